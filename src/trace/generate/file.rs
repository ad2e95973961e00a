//! The generator file as users write it, and its validation.

use super::super::error::Fault;
use super::super::values::MAX_TOKENS;
use super::{Generator, Lengths, Process};
use serde::Deserialize;
use serde_spanned::Spanned;
use std::ops::Range;

/// Most requests that one file may ask for.
const MAX_REQUESTS: u64 = 2_000_000;

/// A trace generator, as in `traces/*.toml`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeneratorFile {
    /// Where the statistics come from.
    pub source: Option<String>,
    /// Anything else worth knowing.
    pub note: Option<String>,
    /// How many requests, 1 to 2,000,000.
    #[schemars(with = "u64")]
    pub requests: Spanned<u64>,
    /// Decides the order of gaps and lengths; default 0.
    #[serde(default)]
    pub seed: u64,
    /// Correlation of prompt and output lengths (of their normal scores: a Gaussian copula), −1 to 1; default 0.
    #[schemars(with = "Option<f64>")]
    pub correlation: Option<Spanned<f64>>,
    /// When requests come.
    pub arrivals: ArrivalTable,
    /// How long prompts are.
    pub prompt_tokens: LengthTable,
    /// How many tokens are generated.
    pub output_tokens: LengthTable,
}

/// When requests come.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivalTable {
    /// The arrival process.
    #[schemars(with = "ProcessName")]
    pub process: Spanned<ProcessName>,
    /// Mean rate, > 0.
    #[schemars(with = "f64")]
    pub requests_per_second: Spanned<f64>,
    /// Coefficient of variation of the gaps between arrivals: `gamma` 0.05 to 10, `bursty` 1 to 100; not for `poisson`, whose is 1.
    #[schemars(with = "Option<f64>")]
    pub gap_cv: Option<Spanned<f64>>,
}

/// Names of arrival processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessName {
    /// Independent arrivals: exponential gaps.
    Poisson,
    /// Gamma-distributed gaps: smoother or rougher than Poisson.
    Gamma,
    /// Bursts with idle time between them: a two-phase hyperexponential with balanced means.
    Bursty,
}

/// Lengths in tokens.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LengthTable {
    /// The kind of distribution.
    #[schemars(with = "Distribution")]
    pub distribution: Spanned<Distribution>,
    /// `lognormal`: median.
    #[schemars(with = "Option<f64>")]
    pub p50: Option<Spanned<f64>>,
    /// `lognormal`: 95th percentile, ≥ `p50`.
    #[schemars(with = "Option<f64>")]
    pub p95: Option<Spanned<f64>>,
    /// `lognormal`: shorter ones are raised to it; default 1.
    #[schemars(with = "Option<u64>")]
    pub min: Option<Spanned<u64>>,
    /// `lognormal`: longer ones are cut to it.
    #[schemars(with = "Option<u64>")]
    pub max: Option<Spanned<u64>>,
    /// `quantiles`: `[probability, tokens]` pairs from probability 0 to 1, straight lines between them.
    #[schemars(with = "Option<Vec<(f64, f64)>>")]
    pub quantiles: Option<Spanned<Vec<(f64, f64)>>>,
}

/// Names of length distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// By median, 95th percentile and bounds.
    Lognormal,
    /// By a table of quantiles.
    Quantiles,
}

/// Faults with the bytes of the file that they concern.
type Faults = Vec<(Range<usize>, Fault)>;

impl GeneratorFile {
    /// Checks every value; all faults at once.
    pub(super) fn validate(&self) -> Result<Generator, Faults> {
        let mut faults = Faults::new();
        let requests = *self.requests.get_ref();
        if !(1..=MAX_REQUESTS).contains(&requests) {
            let message = format!("requests is {requests}");
            faults.push((self.requests.span(), Fault::new(message, "a whole number, 1 to 2000000")));
        }
        let correlation = self
            .correlation
            .as_ref()
            .map_or(0.0, |c| check(&mut faults, "correlation", c, -1.0..=1.0, "a number, -1 to 1"));
        let requests_per_second = check(
            &mut faults,
            "requests_per_second",
            &self.arrivals.requests_per_second,
            1e-6..=1e9,
            "a number, 1e-6 to 1e9",
        );
        let process = self.arrivals.validate(&mut faults);
        let prompt = self.prompt_tokens.validate(&mut faults);
        let output = self.output_tokens.validate(&mut faults);
        match (process, prompt, output) {
            (Some(process), Some(prompt), Some(output)) if faults.is_empty() => Ok(Generator {
                requests: requests as usize,
                seed: self.seed,
                correlation,
                process,
                requests_per_second,
                prompt,
                output,
            }),
            _ => Err(faults),
        }
    }
}

impl ArrivalTable {
    fn validate(&self, faults: &mut Faults) -> Option<Process> {
        let name = *self.process.get_ref();
        let (range, expected) = match name {
            ProcessName::Poisson => {
                if let Some(cv) = &self.gap_cv {
                    let message = "gap_cv does not belong to process = \"poisson\", whose is 1";
                    faults.push((cv.span(), Fault::new(message, "no gap_cv, or another process")));
                }
                return Some(Process::Poisson);
            }
            ProcessName::Gamma => (0.05..=10.0, "a number, 0.05 to 10"),
            ProcessName::Bursty => (1.0..=100.0, "a number, 1 to 100"),
        };
        let Some(cv) = &self.gap_cv else {
            faults.push((
                self.process.span(),
                Fault::new("this process needs gap_cv", format!("gap_cv: {expected}")),
            ));
            return None;
        };
        let cv = check(faults, "gap_cv", cv, range, expected);
        Some(if name == ProcessName::Gamma { Process::Gamma { cv } } else { Process::Bursty { cv } })
    }
}

impl LengthTable {
    fn validate(&self, faults: &mut Faults) -> Option<Lengths> {
        let misplaced: Vec<(&str, Range<usize>)> = match self.distribution.get_ref() {
            Distribution::Lognormal => self.quantiles.iter().map(|q| ("quantiles", q.span())).collect(),
            Distribution::Quantiles => {
                let p50 = self.p50.iter().map(|v| ("p50", v.span()));
                let p95 = self.p95.iter().map(|v| ("p95", v.span()));
                let min = self.min.iter().map(|v| ("min", v.span()));
                let max = self.max.iter().map(|v| ("max", v.span()));
                p50.chain(p95).chain(min).chain(max).collect()
            }
        };
        for (key, span) in misplaced {
            faults.push((span, Fault::new(format!("{key} does not belong to this distribution"), "")));
        }
        match self.distribution.get_ref() {
            Distribution::Lognormal => self.lognormal(faults),
            Distribution::Quantiles => self.table(faults),
        }
    }

    fn lognormal(&self, faults: &mut Faults) -> Option<Lengths> {
        let (Some(p50), Some(p95), Some(max)) = (&self.p50, &self.p95, &self.max) else {
            let fault = Fault::new("a lognormal distribution needs p50, p95 and max", "all three keys");
            faults.push((self.distribution.span(), fault));
            return None;
        };
        let before = faults.len();
        let min = self.min.as_ref().map_or(1, |m| *m.get_ref());
        if let Some(given) = self.min.as_ref().filter(|_| !(1..=MAX_TOKENS).contains(&min)) {
            faults.push((given.span(), Fault::new(format!("min is {min}"), "1 to 2147483648")));
        }
        let longest = *max.get_ref();
        if !(1..=MAX_TOKENS).contains(&longest) {
            faults.push((max.span(), Fault::new(format!("max is {longest}"), "1 to 2147483648")));
        }
        if faults.len() > before {
            return None;
        }
        let (low, high) = (min as f64, longest as f64);
        let median = check(faults, "p50", p50, low..=high, "a number from min to max");
        let tail = check(faults, "p95", p95, median..=high, "a number from p50 to max");
        // Φ⁻¹(0.95)
        let sigma = (tail / median).ln() / 1.644_853_626_951_472_2;
        (faults.len() == before).then(|| Lengths::Lognormal { mu: median.ln(), sigma, min, max: longest })
    }

    fn table(&self, faults: &mut Faults) -> Option<Lengths> {
        let Some(table) = &self.quantiles else {
            let fault =
                Fault::new("this distribution needs quantiles", "quantiles = [[0.0, 3], …, [1.0, 1000]]");
            faults.push((self.distribution.span(), fault));
            return None;
        };
        let knots = table.get_ref();
        let limit = MAX_TOKENS as f64;
        let rising = knots.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
        let ends = knots.first().is_some_and(|k| k.0 == 0.0) && knots.last().is_some_and(|k| k.0 == 1.0);
        let bounded = knots.iter().all(|k| (1.0..=limit).contains(&k.1));
        let fault = if !ends || knots.len() < 2 {
            Fault::new("quantiles do not go from probability 0 to 1", "[[0.0, least], …, [1.0, most]]")
        } else if !rising {
            Fault::new("quantiles do not rise", "probabilities that rise, and lengths that never fall")
        } else if !bounded {
            Fault::new("a length is out of range", "1 to 2147483648 tokens")
        } else {
            return Some(Lengths::Quantiles(knots.clone()));
        };
        faults.push((table.span(), fault));
        None
    }
}

/// The value if it lies in `range` (NaN does not), else a fault.
fn check(
    faults: &mut Faults,
    key: &str,
    value: &Spanned<f64>,
    range: std::ops::RangeInclusive<f64>,
    expected: &str,
) -> f64 {
    let number = *value.get_ref();
    if !range.contains(&number) {
        faults.push((value.span(), Fault::new(format!("{key} is {number}"), expected)));
    }
    number
}
