//! Commands in the pages: blocks marked `console` show `$ command` (continued by `> `) and what it writes, in which one line `...`
//! stands for any number of lines; blocks marked `sh` are commands alone.

use super::{comparable, hold, pages, root, shell, update, workplace};
use std::fmt::Write as _;
use std::path::Path;

/// What cargo is told in the pages beside `cargo run`, which is mapped to the program under test.
const CARGO: [&str; 4] =
    ["cargo build --release", "cargo test --locked", "cargo install --path . --locked", "cargo bench"];

/// Committed pictures, and the files that commands of a page make them in.
const PICTURES: [[&str; 3]; 4] = [
    ["README.md", "docs/images/h100.{}", "reports/h100/speedup.{}"],
    ["docs/memory.md", "docs/images/hbm3.{}", "hbm3.{}"],
    ["docs/host.md", "docs/images/host.{}", "host.{}"],
    ["README.md", "docs/images/machines.{}", "reports/machines/plots/01-speedup.{}"],
];

/// A command and what is shown of its output.
struct Shown {
    command: String,
    output: Option<Vec<String>>,
}

fn blocks(text: &str) -> Vec<(usize, usize, &str)> {
    // (first line, line behind the last, language) of each fenced block's content.
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    for (i, line) in text.lines().enumerate() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        match open.take() {
            None => open = Some((i + 1, fence.trim())),
            Some((from, language)) => blocks.push((from, i, language)),
        }
    }
    assert!(open.is_none(), "a block that is not closed");
    blocks
}

fn console(lines: &[&str]) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for line in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            all.push(Shown { command: command.to_owned(), output: Some(Vec::new()) });
            continue;
        }
        let last = all.last_mut().expect("a console block begins with a command");
        match line.strip_prefix("> ").filter(|_| last.output.as_ref().is_some_and(Vec::is_empty)) {
            Some(more) => {
                last.command.push('\n');
                last.command.push_str(more);
            }
            None => last.output.get_or_insert_default().push((*line).to_owned()),
        }
    }
    all
}

/// The lines shown, made anew: as many at the start and at the end as there were around `...`.
fn renewed(shown: &[String], real: &[&str]) -> Vec<String> {
    let owned = |lines: &[&str]| lines.iter().map(|&l| l.to_owned()).collect::<Vec<_>>();
    let Some(gap) = shown.iter().position(|l| l == "...") else { return owned(real) };
    let tail = shown.len() - gap - 1;
    assert!(!shown[gap + 1..].iter().any(|l| l == "..."), "one '...' an output");
    if gap + tail >= real.len() {
        return owned(real);
    }
    let mut lines = owned(&real[..gap]);
    lines.push("...".to_owned());
    lines.extend(owned(&real[real.len() - tail..]));
    lines
}

fn run(page: &Path, place: &Path, command: &str) -> Option<String> {
    let command = command.replace("cargo run --release --", "slimsim");
    if command.starts_with("cargo ") || command.starts_with("git ") || command.starts_with(".ci/") {
        assert!(
            CARGO.contains(&command.as_str()) || !command.starts_with("cargo "),
            "{}: who tests '{command}'?",
            page.display()
        );
        return None;
    }
    let (output, fine) = shell(place, &command);
    assert!(fine, "{}: '{command}' fails:\n{output}", page.display());
    Some(output)
}

/// Runs everything in a page; the page as it should be.
fn replay(page: &Path, place: &Path) -> (String, String) {
    let text = std::fs::read_to_string(page).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (mut new, mut copied) = (String::new(), 0);
    for (from, to, language) in blocks(&text) {
        match language {
            "sh" => lines[from..to].iter().filter(|l| !l.trim().is_empty()).for_each(|line| {
                let command = line.split(" #").next().unwrap_or_default().trim();
                assert!(!command.is_empty(), "{}: '{line}'", page.display());
                run(page, place, command);
            }),
            "console" => {
                lines[copied..from].iter().for_each(|line| writeln!(new, "{line}").unwrap());
                for Shown { command, output } in console(&lines[from..to]) {
                    let shown = output.unwrap_or_default();
                    writeln!(new, "$ {}", command.replace('\n', "\n> ")).unwrap();
                    let real = run(page, place, &command).expect("a command whose output is shown is run");
                    let real: Vec<&str> = real.lines().map(str::trim_end).collect();
                    renewed(&shown, &real).iter().for_each(|line| writeln!(new, "{line}").unwrap());
                }
                copied = to;
            }
            _ => {}
        }
    }
    lines[copied..].iter().for_each(|line| writeln!(new, "{line}").unwrap());
    (text, new)
}

#[test]
fn every_command_does_what_the_pages_show() {
    let _pages = super::PAGES.lock();
    let mut stale = String::new();
    for page in pages() {
        let place = workplace();
        let (text, new) = replay(&page, place.path());
        if text != new {
            if update() {
                std::fs::write(&page, &new).unwrap();
            } else {
                let change = text.lines().zip(new.lines()).find(|(a, b)| a != b);
                let (is, should) = change.unwrap_or(("", "(more or fewer lines)"));
                writeln!(stale, "{}\n  shown: {is}\n  now:   {should}", page.display()).unwrap();
            }
        }
        for [_, committed, made] in PICTURES.into_iter().filter(|[of, ..]| page.ends_with(of)) {
            for extension in ["svg", "png"] {
                let [committed, made] = [committed, made].map(|p| p.replace("{}", extension));
                if comparable(Path::new(&made)) {
                    hold(&root().join(committed), &std::fs::read(place.path().join(made)).unwrap());
                }
            }
        }
    }
    assert!(stale.is_empty(), "UPDATE_DOCS=1 cargo test --test docs renews what is shown:\n{stale}");
}

#[test]
fn the_readme_names_the_test_command_of_the_gate() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let gate = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    for text in [readme, gate] {
        assert!(text.lines().any(|line| line == "cargo test --locked"));
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") {
                let path = page.parent().unwrap().join(target);
                assert!(path.exists(), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn an_elision_keeps_as_many_lines_at_either_end() {
    let shown = ["a", "...", "z"].map(str::to_owned);
    assert_eq!(renewed(&shown, &["b", "c", "d", "y"]), ["b", "...", "y"]);
    assert_eq!(renewed(&shown, &["b", "y"]), ["b", "y"]);
    assert_eq!(renewed(&[], &["b"]), ["b"]);
}
