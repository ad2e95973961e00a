//! Traces made from a few statistics: an arrival process, two length distributions, a seed (`traces/*.toml`).
//!
//! Every marginal is sampled by strata: of n values, the i-th smallest is the distribution's quantile at (i − ½)/n. A
//! trace thus has the statistics that its file states, whatever the seed; the seed decides the order of the gaps and
//! of the lengths, and which prompt goes with which output.

mod file;
mod sample;

pub use file::{ArrivalTable, Distribution, GeneratorFile, LengthTable, ProcessName};

use super::error::TraceError;
use super::lines::Lines;
use super::rows::Rows;
use super::values::Instant;
use super::{Reader, toml_file};
use sample::Stream;
use statrs::distribution::{ContinuousCDF, Normal};
use std::path::Path;

/// The format.
pub(super) struct Generated;

impl Reader for Generated {
    fn name(&self) -> &'static str {
        "generated"
    }

    fn shape(&self) -> String {
        "a file *.toml with requests, seed, [arrivals], [prompt_tokens], [output_tokens]".into()
    }

    fn columns(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn recognises(&self, path: &Path, _first: &str) -> bool {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"))
    }

    fn read(&self, lines: Lines<'_>, rows: &mut Rows) -> Result<(), TraceError> {
        let path = lines.path().to_path_buf();
        let text = lines.rest()?;
        let file: GeneratorFile = toml_file::parse(&path, &text)?;
        let generator = file.validate().map_err(|faults| {
            let located =
                faults.into_iter().map(|(span, fault)| toml_file::locate(&path, &text, span, fault));
            TraceError::Values(located.collect())
        })?;
        generator.generate(rows);
        Ok(())
    }
}

/// How arrivals follow each other. All have the same mean gap.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Process {
    /// Exponential gaps.
    Poisson,
    /// Gamma-distributed gaps of this coefficient of variation.
    Gamma {
        /// Standard deviation over mean.
        cv: f64,
    },
    /// Short exponential gaps within bursts, long ones between them, half of the time in each (a two-phase
    /// hyperexponential with balanced means).
    Bursty {
        /// Standard deviation over mean, ≥ 1.
        cv: f64,
    },
}

/// How long prompts or outputs are, in tokens.
#[derive(Debug, Clone, PartialEq)]
enum Lengths {
    /// Lognormal, cut at both ends.
    Lognormal {
        /// ln of the median.
        mu: f64,
        /// Standard deviation of the ln.
        sigma: f64,
        /// Shortest.
        min: u64,
        /// Longest.
        max: u64,
    },
    /// Straight lines between (probability, tokens), from probability 0 to 1.
    Quantiles(Vec<(f64, f64)>),
}

/// A generator file, validated.
#[derive(Debug, Clone, PartialEq)]
struct Generator {
    requests: usize,
    seed: u64,
    correlation: f64,
    process: Process,
    requests_per_second: f64,
    prompt: Lengths,
    output: Lengths,
}

impl Generator {
    /// Generates the trace. The first request arrives at time 0.
    fn generate(&self, rows: &mut Rows) {
        let n = self.requests;
        let mut gaps = sample::gaps(self.process, n - 1);
        let total: f64 = gaps.iter().sum();
        // The quantiles' mean is a little off the process's (a tail is represented by its middle): scale to the exact rate.
        let scale = if total > 0.0 { (n - 1) as f64 / self.requests_per_second / total } else { 0.0 };
        Stream::Gaps.rng(self.seed).shuffle(&mut gaps);
        let order = self.pairs();
        let (prompts, outputs) = (self.prompt.strata(n), self.output.strata(n));
        let mut at = 0.0;
        for (i, (prompt, output)) in order.into_iter().enumerate() {
            if i > 0 {
                at += gaps[i - 1] * scale;
            }
            rows.request((at * 1e12).round() as Instant, prompts[prompt], outputs[output]);
        }
    }

    /// For each request the rank of its prompt and of its output among all: a Gaussian copula.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let n = self.requests;
        let normal = Normal::standard();
        let score = |rank: usize| normal.inverse_cdf((rank as f64 + 0.5) / n as f64);
        let mut prompts: Vec<usize> = (0..n).collect();
        let mut noise = prompts.clone();
        Stream::Prompts.rng(self.seed).shuffle(&mut prompts);
        Stream::Outputs.rng(self.seed).shuffle(&mut noise);
        let (rho, rest) = (self.correlation, (1.0 - self.correlation * self.correlation).sqrt());
        let mut by_score: Vec<_> =
            (0..n).map(|i| (rho * score(prompts[i]) + rest * score(noise[i]), i)).collect();
        by_score.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut pairs: Vec<_> = prompts.into_iter().map(|p| (p, 0)).collect();
        for (rank, (_, i)) in by_score.into_iter().enumerate() {
            pairs[i].1 = rank;
        }
        pairs
    }
}

#[cfg(test)]
mod tests;
