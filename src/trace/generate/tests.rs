#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
use crate::trace::{Format, lines::Lines};
use crate::trace::{Request, TraceError, TraceKind, read, read_lines};
use std::path::Path;

fn generated(text: &str) -> Result<Vec<Request>, TraceError> {
    let lines = Lines::new(Path::new("g.toml"), text.as_bytes());
    match read_lines(lines, None, false)?.kind {
        TraceKind::Requests(all) => Ok(all),
        TraceKind::Steps(_) => panic!("a trace of steps"),
    }
}

/// Nearest-rank percentile.
fn percentile(values: impl Iterator<Item = u64>, p: usize) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values[(values.len() * p).div_ceil(100) - 1] as f64
}

/// Mean and coefficient of variation of the gaps between arrivals, in seconds.
fn gaps(requests: &[Request]) -> (f64, f64) {
    let gaps: Vec<_> = requests.windows(2).map(|w| w[1].arrival.seconds() - w[0].arrival.seconds()).collect();
    let n = gaps.len() as f64;
    let mean = gaps.iter().sum::<f64>() / n;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt() / mean)
}

#[track_caller]
fn close(what: &str, got: f64, want: f64, tolerance: f64) {
    let off = got / want - 1.0;
    println!("{what}: {got:.4} (wanted {want}, {:+.2} %)", 100.0 * off);
    assert!(off.abs() <= tolerance, "{what}: {got}, wanted {want} ± {} %", 100.0 * tolerance);
}

/// What a shipped generator file must reproduce.
struct Wanted {
    requests: usize,
    prompt: [u64; 3],
    output: [u64; 3],
    mean_context: f64,
    rate: f64,
    gap_cv: f64,
}

/// 5 % on percentiles, exact maxima, 10 % on the mean context and the gap CV.
fn check(name: &str, wanted: &Wanted) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(name);
    let trace = read(&path, None, false).unwrap();
    assert_eq!(trace.format.name(), "generated");
    let TraceKind::Requests(all) = trace.kind else { panic!("a trace of steps") };
    println!("{name}");
    assert_eq!(all.len(), wanted.requests);
    let (prompts, outputs) = (all.iter().map(|r| r.prompt_tokens), all.iter().map(|r| r.output_tokens));
    close("prompt p50", percentile(prompts.clone(), 50), wanted.prompt[0] as f64, 0.05);
    close("prompt p95", percentile(prompts.clone(), 95), wanted.prompt[1] as f64, 0.05);
    assert_eq!(prompts.max(), Some(wanted.prompt[2]));
    close("output p50", percentile(outputs.clone(), 50), wanted.output[0] as f64, 0.05);
    close("output p95", percentile(outputs.clone(), 95), wanted.output[1] as f64, 0.05);
    assert_eq!(outputs.clone().max(), Some(wanted.output[2]));
    // The i-th output token attends the prompt and the i tokens up to itself.
    let contexts: u64 = all
        .iter()
        .map(|r| r.output_tokens * r.prompt_tokens + r.output_tokens * (r.output_tokens + 1) / 2)
        .sum();
    close("mean context", contexts as f64 / outputs.sum::<u64>() as f64, wanted.mean_context, 0.1);
    let (gap, cv) = gaps(&all);
    close("requests/s", 1.0 / gap, wanted.rate, 0.001);
    close("gap CV", cv, wanted.gap_cv, 0.1);
}

#[test]
fn chat_has_the_statistics_of_azure_chat() {
    check(
        "chat.toml",
        &Wanted {
            requests: 20_000,
            prompt: [1020, 4083, 14050],
            output: [129, 451, 1000],
            mean_context: 1228.0,
            rate: 5.53,
            gap_cv: 1.09,
        },
    );
}

#[test]
fn code_has_the_statistics_of_azure_code() {
    check(
        "code.toml",
        &Wanted {
            requests: 8_819,
            prompt: [1469, 7303, 7437],
            output: [13, 90, 1899],
            mean_context: 2131.0,
            rate: 2.57,
            gap_cv: 13.2,
        },
    );
}

#[test]
fn long_has_lengths_like_mooncake() {
    check(
        "long.toml",
        &Wanted {
            requests: 12_000,
            prompt: [11_587, 48_905, 130_000],
            output: [69, 519, 893],
            mean_context: 7292.0,
            rate: 0.5,
            gap_cv: 1.0,
        },
    );
}

const SMALL: &str = "requests = 1000\nseed = 7\n[arrivals]\nprocess = \"poisson\"\nrequests_per_second = 2\n\
    [prompt_tokens]\ndistribution = \"lognormal\"\np50 = 100\np95 = 400\nmax = 1000\n\
    [output_tokens]\ndistribution = \"quantiles\"\nquantiles = [[0, 5], [1, 5]]\n";

#[test]
fn a_seed_decides_the_order_and_only_that() {
    let (a, b) = (generated(SMALL).unwrap(), generated(SMALL).unwrap());
    assert_eq!(a, b);
    let c = generated(&SMALL.replace("seed = 7", "seed = 8")).unwrap();
    assert_ne!(a, c);
    let sorted = |all: &[Request]| {
        let mut lengths: Vec<_> = all.iter().map(|r| r.prompt_tokens).collect();
        lengths.sort_unstable();
        lengths
    };
    assert_eq!(sorted(&a), sorted(&c));
    assert_eq!((a[0].arrival.0, a.len()), (0, 1000));
    assert!(a.iter().all(|r| r.output_tokens == 5));
}

#[test]
fn lognormal_meets_its_percentiles_and_bounds() {
    let all = generated(&SMALL.replace("max = 1000", "max = 1000\nmin = 30")).unwrap();
    let prompts = all.iter().map(|r| r.prompt_tokens);
    close("p50", percentile(prompts.clone(), 50), 100.0, 0.01);
    close("p95", percentile(prompts.clone(), 95), 400.0, 0.01);
    assert_eq!((prompts.clone().min(), prompts.max()), (Some(30), Some(1000)));
}

#[test]
fn processes_have_their_variation() {
    for (process, cv) in [("gamma", 0.3), ("gamma", 1.0), ("gamma", 2.0), ("bursty", 1.0), ("bursty", 5.0)] {
        let table = format!("process = \"{process}\"\ngap_cv = {cv}");
        let text = SMALL.replace("process = \"poisson\"", &table).replace("= 1000\nseed", "= 20000\nseed");
        let (mean, got) = gaps(&generated(&text).unwrap());
        close("mean gap", mean, 0.5, 1e-6);
        close(process, got, cv, 0.05);
    }
}

#[test]
fn correlation_pairs_long_with_long() {
    let with = |rho: f64| {
        let text =
            format!("correlation = {rho}\n{}", SMALL.replace("[[0, 5], [1, 5]]", "[[0, 1], [1, 1001]]"));
        let all = generated(&text).unwrap();
        // Rank correlation with the outputs, which are uniform: their covariance with the prompt's rank.
        let mut by_prompt: Vec<_> = all.iter().map(|r| (r.prompt_tokens, r.output_tokens)).collect();
        by_prompt.sort_unstable();
        let n = by_prompt.len() as f64;
        let cov: f64 =
            by_prompt.iter().enumerate().map(|(i, p)| (i as f64 - n / 2.0) * (p.1 as f64 - n / 2.0)).sum();
        cov / (n * n * n / 12.0)
    };
    assert!((with(1.0) - 1.0).abs() < 0.01 && (with(-1.0) + 1.0).abs() < 0.01);
    assert!(with(0.0).abs() < 0.1);
    // Spearman's ρ of a Gaussian copula: 6/π · asin(ρ/2).
    assert!((with(0.6) - 6.0 / std::f64::consts::PI * 0.3_f64.asin()).abs() < 0.06);
}

#[test]
fn one_request() {
    let all = generated(&SMALL.replace("requests = 1000", "requests = 1")).unwrap();
    assert_eq!((all.len(), all[0].prompt_tokens, all[0].arrival.0), (1, 100, 0));
}

#[test]
fn bad_values_are_shown_where_they_stand_and_all_at_once() {
    for (from, to, wanted) in [
        ("requests = 1000", "requests = 0", "g.toml:1:12: requests is 0"),
        ("requests = 1000", "requests = -4", "g.toml:1:12: invalid value: integer `-4`"),
        ("requests = 1000", "requests = \"a\"", "g.toml:1:12: invalid type: string \"a\""),
        ("requests = 1000", "request = 1000", "did you mean 'requests'?"),
        ("requests = 1000", "requests = 1\nrequests = 2", "g.toml:2:1: duplicate key"),
        ("= 2\n", "= 0\n", "g.toml:5:23: requests_per_second is 0"),
        ("= 2\n", "= nan\n", "g.toml:5:23: requests_per_second is NaN"),
        ("\"poisson\"", "\"gamma\"", "g.toml:4:11: this process needs gap_cv"),
        ("\"poisson\"", "\"poisson\"\ngap_cv = 2", "gap_cv does not belong"),
        ("\"poisson\"", "\"bursty\"\ngap_cv = 0.5", "gap_cv is 0.5"),
        ("\"poisson\"", "\"poison\"", "did you mean 'poisson'?"),
        ("p95 = 400", "p95 = 50", "g.toml:9:7: p95 is 50"),
        ("p95 = 400\n", "", "needs p50, p95 and max"),
        ("max = 1000", "max = 99", "p50 is 100"),
        ("max = 1000", "max = 9999999999", "max is 9999999999"),
        ("max = 1000", "max = 1000\nquantiles = []", "quantiles does not belong"),
        ("[[0, 5], [1, 5]]", "[[0, 5], [0.9, 5]]", "from probability 0 to 1"),
        ("[[0, 5], [1, 5]]", "[]", "from probability 0 to 1"),
        ("[[0, 5], [1, 5]]", "[[0, 5], [1, 4]]", "quantiles do not rise"),
        ("[[0, 5], [1, 5]]", "[[0, 0], [1, 5]]", "a length is out of range"),
        ("[[0, 5], [1, 5]]", "[[0, nan], [1, 5]]", "quantiles do not rise"),
        ("seed = 7", "seed = ", "g.toml:2:"),
    ] {
        let shown = generated(&SMALL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(shown.contains(wanted), "{to}: {shown}");
    }
    let two = SMALL.replace("p95 = 400", "p95 = 50").replace("requests = 1000", "requests = 0");
    assert!(matches!(generated(&two), Err(TraceError::Values(all)) if all.len() == 2));
}

#[test]
fn blank_lines_and_bytes_keep_their_places() {
    let shown = generated("\n\n# a comment\nrequests = x\n").unwrap_err().to_string();
    assert!(shown.starts_with("g.toml:4:"), "{shown}");
    let bytes = b"requests = 1\n# \xff\n";
    let lines = Lines::new(Path::new("g.toml"), &bytes[..]);
    let shown = read_lines(lines, Format::parse("generated").unwrap(), false).unwrap_err().to_string();
    assert!(shown.starts_with("g.toml:2:1: not UTF-8 text at byte 15 of the file"), "{shown}");
}
