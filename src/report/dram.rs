//! What `dram` prints: a study of a memory part and its outcome.

use serde::Serialize;
use std::io;

use super::numbers::{duration, si, significant, thousands};
use super::table::TableWriter;
use crate::hardware::hbm::device::Device;
use crate::hardware::hbm::study::{Outcome, Study};
use crate::units::format::exact_bytes;
use crate::units::{Bandwidth, Bytes};

/// What a part delivers under a pattern.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DramDocument {
    /// Name of the part.
    pub device: String,
    /// Access pattern.
    pub pattern: String,
    /// Name of the address map.
    pub map: String,
    /// `none` or `all-bank`.
    pub refresh: &'static str,
    /// Entries of a channel's read queue, and of its write queue.
    pub queue: u32,
    /// Bursts that were asked for.
    pub bursts: u64,
    /// Bursts that were simulated; the rest is like them.
    pub simulated_bursts: u64,
    /// Channels.
    pub channels: u32,
    /// Bytes at consecutive addresses that one channel takes.
    pub interleave: u64,
    /// `none` or `xor`.
    pub hash: &'static str,
    /// Bytes that may be under way; none: no limit.
    pub window: Option<u64>,
    /// Share of the peak bandwidth, 0 to 1.
    pub efficiency: f64,
    /// Bandwidth of all channels in bytes per second.
    pub bandwidth: Bandwidth,
    /// ACTs.
    pub activates: u64,
    /// Share of bursts that found their row open.
    pub row_hit_rate: f64,
    /// Refreshes, each pseudo-channel for itself.
    pub refreshes: u64,
    /// Mean time from a read's arrival at its controller to its last data.
    pub mean_read_latency_seconds: f64,
    /// Time of all bursts.
    pub seconds: f64,
}

impl DramDocument {
    /// The document of a study.
    #[must_use]
    pub fn new(device: &Device, study: &Study, outcome: &Outcome) -> Self {
        let peak = device.channel_peak().0 as f64 * f64::from(study.interleave.channels);
        Self {
            device: device.name.clone(),
            pattern: study.pattern.to_string(),
            map: study.map.name.clone(),
            refresh: if study.refresh { "all-bank" } else { "none" },
            queue: study.queue,
            bursts: outcome.bursts,
            simulated_bursts: outcome.simulated,
            channels: study.interleave.channels,
            interleave: study.interleave.granularity,
            hash: if study.interleave.hash { "xor" } else { "none" },
            window: study.window,
            efficiency: outcome.efficiency,
            bandwidth: Bandwidth((outcome.efficiency * peak).round() as u64),
            activates: outcome.activates,
            row_hit_rate: outcome.row_hit_rate,
            refreshes: outcome.refreshes,
            mean_read_latency_seconds: outcome.mean_read_latency.seconds(),
            seconds: outcome.time.seconds(),
        }
    }

    /// Writes it for people, a figure a line.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_table(&self, width: Option<u16>, out: &mut dyn io::Write) -> io::Result<()> {
        let mut table = TableWriter::new(&[self.device.as_str(), self.pattern.as_str()], 1, width);
        let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
        row("address map", self.map.clone());
        row("refresh", self.refresh.to_owned());
        row("queue", self.queue.to_string());
        if self.channels > 1 {
            row("channels", self.channels.to_string());
            row("interleave", exact_bytes(Bytes(self.interleave)));
            row("hash", self.hash.to_owned());
        }
        if let Some(window) = self.window {
            row("window", exact_bytes(Bytes(window)));
        }
        row("efficiency", format!("{} %", significant(100.0 * self.efficiency, 3)));
        row("bandwidth", si(self.bandwidth.0 as f64, "B/s"));
        row("row hits", format!("{} %", significant(100.0 * self.row_hit_rate, 3)));
        row("activates", thousands(self.activates));
        row("refreshes", thousands(self.refreshes));
        row("mean read latency", duration(self.mean_read_latency_seconds));
        row("bursts", thousands(self.bursts));
        if self.simulated_bursts < self.bursts {
            row("simulated of them", thousands(self.simulated_bursts));
        }
        row("time", duration(self.seconds));
        table.write(out)
    }
}
