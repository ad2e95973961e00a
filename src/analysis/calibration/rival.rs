//! The rival that a sceptic would use: a launch, and all bytes at a constant part of the memory's bandwidth.

use super::minimise::minimise;
use super::observation::Observation;
use crate::hardware::Accelerator;
use crate::hardware::kernel::LaunchPlusBytes;
use crate::units::{Bandwidth, Bytes, Picos};

/// Seconds that `rival` predicts for `bytes` on a memory of bandwidth `peak`.
#[must_use]
pub fn rival_seconds(rival: &LaunchPlusBytes, bytes: Bytes, peak: Bandwidth) -> f64 {
    rival.launch.seconds() + bytes.as_f64() / (rival.memory_fraction * peak.0 as f64)
}

/// The rival of least mean relative |error| on `rows`. `None` on a machine without external memory.
pub(super) fn fit(spec: &Accelerator, rows: &[&Observation]) -> Option<LaunchPlusBytes> {
    let peak = spec.hbm.as_ref()?.bandwidth;
    let least = rows.iter().map(|o| o.seconds).fold(f64::INFINITY, f64::min);
    // The part may be more than one: a loop over few bytes reads them on chip.
    let at = |point: &[f64]| LaunchPlusBytes {
        launch: Picos((point[0].exp() * 1e12).round() as u64),
        memory_fraction: (point[1].exp() * 1e4).round() / 1e4,
    };
    let cost = |point: &[f64]| {
        let rival = at(point);
        let error = |o: &&Observation| (rival_seconds(&rival, o.task.bytes(), peak) / o.seconds - 1.0).abs();
        rows.iter().map(error).sum::<f64>() / rows.len().max(1) as f64
    };
    let (point, _) = minimise(cost, &[(0.8 * least).ln(), 0.8f64.ln()], 400, 4);
    let rival = at(&point);
    Some(LaunchPlusBytes { launch: Picos((rival.launch.0 + 500) / 1000 * 1000), ..rival })
}
