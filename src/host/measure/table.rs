//! Measured points as CSV, one row a point; [`super::read()`] reads them.

use super::{Measured, Setting, Tier};
use crate::host::kernels::Scheme;
use serde::Serialize;
use std::io::Write;

/// A row.
#[derive(Serialize)]
struct Row {
    machine: String,
    heads: usize,
    head_dim: usize,
    context: usize,
    batch: usize,
    dtype: String,
    threads: usize,
    tier: Tier,
    #[serde(rename = "kv-cache_seconds")]
    kv_cache: f64,
    #[serde(rename = "kv-cache_spread")]
    kv_cache_spread: f64,
    #[serde(rename = "kv-cache_samples")]
    kv_cache_samples: usize,
    #[serde(rename = "slim-k_seconds")]
    slim_k: f64,
    #[serde(rename = "slim-k_spread")]
    slim_k_spread: f64,
    #[serde(rename = "slim-k_samples")]
    slim_k_samples: usize,
    #[serde(rename = "slim-k-recompute_seconds")]
    rebuilt: Option<f64>,
    #[serde(rename = "slim-k-recompute_spread")]
    rebuilt_spread: Option<f64>,
    #[serde(rename = "slim-k-recompute_samples")]
    rebuilt_samples: Option<usize>,
    rejected: u64,
}

/// Writes `points`, measured on `machine`.
///
/// # Errors
/// If writing fails.
pub fn write(out: impl Write, machine: &str, points: &[Measured]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for point in points {
        let Setting { shape, dtype, threads, tier } = point.setting;
        let of = |scheme| point.of(scheme).copied();
        let (Some(kv), Some(slim)) = (of(Scheme::KvCache), of(Scheme::SlimK)) else { continue };
        let rebuilt = of(Scheme::SlimKRecompute);
        let row = Row {
            machine: machine.to_owned(),
            heads: shape.heads,
            head_dim: shape.head_dim,
            context: shape.context,
            batch: shape.batch,
            dtype: dtype.name().to_owned(),
            threads,
            tier,
            kv_cache: rounded(kv.median),
            kv_cache_spread: rounded(kv.spread),
            kv_cache_samples: kv.samples,
            slim_k: rounded(slim.median),
            slim_k_spread: rounded(slim.spread),
            slim_k_samples: slim.samples,
            rebuilt: rebuilt.map(|r| rounded(r.median)),
            rebuilt_spread: rebuilt.map(|r| rounded(r.spread)),
            rebuilt_samples: rebuilt.map(|r| r.samples),
            rejected: point.rejected,
        };
        writer.serialize(row).map_err(std::io::Error::other)?;
    }
    writer.flush()
}

/// To five significant digits, more than a clock gives.
fn rounded(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}
