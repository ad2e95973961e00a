//! The tables of `docs/trust.md`: predictions held against measured kernels. The measurements are not part of the project; where they
//! are absent the tests say so and are skipped. `SLIMSIM_MEASURED` names their folder, else it is `../shared/data/measured`.
//! `UPDATE_DOCS=1 cargo test --test trust` writes the page anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use slimsim::analysis::validation::{Judge, Validation};
use slimsim::config::kernel_presets;
use slimsim::hardware::kernel::Residency;
use slimsim::trace::measured::{self, Measured, MeasuredTable, MeasuredWork, Regime};

/// Held by whoever reads the page to write it anew.
static PAGE: Mutex<()> = Mutex::new(());

/// Kinds of tables and what their files are called.
const FILES: [(&str, &str); 4] = [
    ("mha", "decode_attention_mha_calibration.csv"),
    ("gqa", "decode_attention_gqa_calibration.csv"),
    ("mla", "decode_attention_mla_calibration.csv"),
    ("gemm", "gemm_decode_calibration.csv"),
];

/// The folder of the measurements, if it is there.
fn folder() -> Option<PathBuf> {
    let shared = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/measured");
    let folder = std::env::var_os("SLIMSIM_MEASURED").map_or_else(shared, PathBuf::from);
    if folder.join(FILES[0].1).exists() {
        return Some(folder);
    }
    eprintln!("skipped: no measured kernels at {}", folder.display());
    None
}

fn update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1")
}

/// Holds the part of docs/trust.md that is called `name` to what was made.
fn hold(name: &str, made: &str) {
    let _page = PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trust.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), "<!-- end -->");
    let from = page.find(&open).unwrap_or_else(|| panic!("docs/trust.md has no part '{name}'")) + open.len();
    let to = from + page[from..].find(close).unwrap();
    if page[from..to] == *made {
        return;
    }
    assert!(update(), "'{name}' in docs/trust.md is stale: UPDATE_DOCS=1 cargo test --test trust\n{made}");
    std::fs::write(&path, format!("{}{made}{}", &page[..from], &page[to..])).unwrap();
}

fn judged(folder: &Path, file: &str) -> (MeasuredTable, Validation) {
    let judge = Judge {
        profiles: kernel_presets().unwrap(),
        accelerator: None,
        any_framework: false,
        framework: None,
        residency: Residency::Hot,
    };
    let mut table = measured::read(&folder.join(file)).unwrap();
    let validation = judge.judge(&mut table);
    (table, validation)
}

#[test]
fn the_error_tables_are_what_validate_prints() {
    let Some(folder) = folder() else { return };
    for (name, file) in FILES {
        let output = Command::new(env!("CARGO_BIN_EXE_slimsim"))
            .args(["validate", "--measured"])
            .arg(folder.join(file))
            .env("COLUMNS", "130")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        hold(name, &format!("```text\n{}\n```\n", text.trim_end()));
    }
}

#[test]
fn the_pictures_are_what_validate_draws() {
    let Some(folder) = folder() else { return };
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_slimsim"))
        .args(["validate", "--measured"])
        .arg(folder.join(FILES[0].1))
        .arg("--plot")
        .arg(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["measured-predicted.png", "error-bytes.png"] {
        let made = std::fs::read(place.path().join(name)).unwrap();
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images").join(name);
        if update() {
            std::fs::write(&committed, &made).unwrap();
        }
        // Rendered alike on one kind of processor.
        if cfg!(target_arch = "x86_64") {
            assert!(
                std::fs::read(&committed).unwrap() == made,
                "{name} is stale: UPDATE_DOCS=1 cargo test --test trust"
            );
        }
    }
}

/// Bytes beyond which latent attention is read from memory on every machine of the tables.
const BEYOND: f64 = 100e6;

#[test]
fn latent_attention_by_heads() {
    let Some(folder) = folder() else { return };
    let (table, validation) = judged(&folder, FILES[2].1);
    let rows: BTreeMap<usize, &Measured> = table.measured().collect();
    let mut errors: BTreeMap<String, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for v in validation.verdicts.iter().filter(|v| v.bytes.as_f64() > BEYOND) {
        let MeasuredWork::Latent { heads, .. } = rows[&v.row].work else { panic!("a row of another kind") };
        let g = &validation.groups[v.group];
        let group = errors.entry(format!("{} {} {}", g.gpu, g.framework, g.dtype)).or_default();
        group.entry(heads).or_default().push((v.predicted / v.measured - 1.0).abs());
    }
    let heads: Vec<u64> = errors.values().next().unwrap().keys().copied().collect();
    let mean = |errors: &[f64]| 100.0 * errors.iter().sum::<f64>() / errors.len() as f64;
    let mut made = String::from("| mean error |");
    heads.iter().for_each(|h| write!(made, " {h} |").unwrap());
    made += " all but 32 heads |\n|---|";
    heads.iter().for_each(|_| made += "---|");
    made += "---|\n";
    for (group, by_heads) in &errors {
        write!(made, "| {group} |").unwrap();
        heads.iter().for_each(|h| write!(made, " {:.1} % |", mean(&by_heads[h])).unwrap());
        let most: Vec<f64> =
            by_heads.iter().filter(|(h, _)| **h != 32).flat_map(|(_, e)| e.clone()).collect();
        writeln!(made, " {:.1} % |", mean(&most)).unwrap();
    }
    hold("mla by heads", &made);
}

/// GPU, type of the cache, and sizes.
type Work = (String, &'static str, [u64; 5]);

/// What the same work takes under different frameworks, by GPU, type and regime.
#[test]
fn frameworks_disagree() {
    let Some(folder) = folder() else { return };
    let table = measured::read(&folder.join(FILES[0].1)).unwrap();
    let mut points: BTreeMap<Work, Vec<(f64, Regime)>> = BTreeMap::new();
    for (_, row) in table.measured() {
        let MeasuredWork::Attention { batch, heads, kv_heads, head_dim, context } = row.work else {
            continue;
        };
        let key = (
            table.names.gpu(row.gpu).to_owned(),
            row.dtype.name(),
            [batch, heads, kv_heads, head_dim, context],
        );
        points.entry(key).or_default().push((row.latency.seconds(), row.regime.unwrap()));
    }
    let mut spreads: BTreeMap<(String, &str, Regime), Vec<f64>> = BTreeMap::new();
    for ((gpu, dtype, _), all) in points.into_iter().filter(|(_, all)| all.len() > 1) {
        let times = || all.iter().map(|a| a.0);
        let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
        spreads.entry((gpu, dtype, all[0].1)).or_default().push(most / least - 1.0);
    }
    let mut made = String::from(
        "| GPU | cache | regime | points | median | 90th percentile |\n|---|---|---|---|---|---|\n",
    );
    for ((gpu, dtype, regime), mut all) in spreads {
        all.sort_by(f64::total_cmp);
        let quantile = |p: f64| 100.0 * all[((all.len() - 1) as f64 * p).round() as usize];
        let (median, p90) = (quantile(0.5), quantile(0.9));
        writeln!(
            made,
            "| {gpu} | {dtype} | {} | {} | {median:.0} % | {p90:.0} % |",
            regime.name(),
            all.len()
        )
        .unwrap();
    }
    hold("frameworks", &made);
}

/// What the issue of this page promises for the given rows; rows that calibration never saw are judged elsewhere.
#[test]
fn errors_stay_where_they_were() {
    let Some(folder) = folder() else { return };
    for ((name, file), most) in FILES.into_iter().zip([0.055, 0.065, 0.095, 0.063]) {
        let (table, validation) = judged(&folder, file);
        assert_eq!(validation.verdicts.len(), table.outcomes.len(), "{name}: rows were left out");
        let errors = validation.verdicts.iter().map(|v| (v.predicted / v.measured - 1.0).abs());
        let mean = errors.sum::<f64>() / validation.verdicts.len() as f64;
        assert!(mean < most, "{name}: {mean}");
    }
}
