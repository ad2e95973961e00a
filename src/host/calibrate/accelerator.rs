//! The machine's figures as an accelerator: cores as MAC arrays, second-level caches as local SRAMs, the last-level cache as shared SRAM,
//! DRAM as its external memory.

use super::{Figure, MachineRates, PhaseRate, ThreadRates, Walked};
use crate::config::limits::MAX_HEADS;
use crate::hardware::energy::EnergyTable;
use crate::hardware::hbm::Hbm;
use crate::hardware::kernel::{
    Constants, Kernel, KernelProfile, Kind, MeasuredRate, Phase, Policy, SplitRule,
};
use crate::hardware::mac_array::MacArray;
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::hardware::{Accelerator, Cores, Overheads};
use crate::host::cpu::Cpu;
use crate::host::kernels::phases;
use crate::host::samples::quantile;
use crate::units::{Bandwidth, Bytes, Dtype, Hertz, Picos};
use std::sync::Arc;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The machine without attention.
    pub machine: MachineRates,
    /// Phases by shape.
    pub phases: Vec<PhaseRate>,
    /// Whole walks by shape.
    pub walks: Vec<Walked>,
    /// Seconds from a load's request to its data on an idle DRAM.
    pub latency: f64,
}

/// Multiply–accumulate pipes of a core that the clock is derived for: what CPUs with such vectors have.
const PIPES: u64 = 2;
/// Operations to rotate one element, as for other machines.
const ROTATE_OPS: u64 = 6;

impl Calibration {
    /// The accelerator that `cpu` is, called `name`; `memory` bytes hold weights and cache.
    #[must_use]
    pub fn accelerator(&self, cpu: &Cpu, name: &str, memory: Option<usize>) -> Accelerator {
        let one = &self.machine.by_threads[0];
        let all = self.machine.by_threads.last().unwrap_or(one);
        let macs_per_cycle = PIPES * cpu.isa.lanes() as u64;
        let clock = Hertz((one.macs.value / macs_per_cycle as f64).round().max(1.0) as u64);
        let rate = |per_second: f64| Bandwidth(per_second.round().max(1.0) as u64);
        let types = [Dtype::Fp32, Dtype::Bf16, Dtype::Fp16];
        let exponentials = self.median(|p| p.phase == phases::Phase::Softmax, |p| p.per_second.value);
        let profile = self.profile(cpu, name);
        Accelerator {
            name: name.to_owned(),
            clock,
            cores: Cores {
                count: all.threads as u64,
                mac_array: MacArray::DotProduct {
                    m: cpu.isa.lanes() as u64,
                    n: 1,
                    k: 1,
                    latency: 0,
                    macs_per_cycle: types.map(|t| (t, macs_per_cycle)).to_vec(),
                },
                accumulators: None,
                vector_unit: VectorUnit::Lanes {
                    lanes: cpu.isa.lanes() as u64,
                    exp_per_cycle: (exponentials / clock.0 as f64).round().max(1.0) as u64,
                    rotate_ops: ROTATE_OPS,
                },
                sram: Sram {
                    capacity: Some(Bytes(cpu.l2 as u64)),
                    bandwidth: OnChipBandwidth::PerSecond(rate(one.l2.value)),
                    banks: None,
                },
                bytes_in_flight: None,
                load_bandwidth: Some(OnChipBandwidth::PerSecond(rate(one.l3.value.max(one.dram.value)))),
                cluster: None,
            },
            shared_sram: Some(Sram {
                capacity: Some(Bytes(self.machine.l3_reach as u64)),
                bandwidth: OnChipBandwidth::PerSecond(rate(all.l3.value.max(all.dram.value))),
                banks: None,
            }),
            hbm: Some(Hbm {
                // One core that reads while it computes may read faster than the probe.
                bandwidth: rate(self.walks.iter().map(|w| w.baseline.value).fold(all.dram.value, f64::max)),
                capacity: memory.map(|bytes| Bytes(bytes as u64)),
                latency: picos(self.latency),
                parts: None,
            }),
            overheads: Overheads {
                launch: picos(all.dispatch),
                overlap: self.overlap(&profile, None),
                ..Overheads::default()
            },
            energy: EnergyTable::default(),
            free_activations: false,
            kernels: None,
            own_kernels: Some(Arc::new(profile)),
            source: format!("slimsim {} host calibrate", env!("CARGO_PKG_VERSION")),
            note: Some(spreads(one, all)),
        }
    }

    /// The kernels of [`crate::host::kernels`] on it.
    fn profile(&self, cpu: &Cpu, name: &str) -> KernelProfile {
        let mut dtypes: Vec<Dtype> = self.walks.iter().map(|w| w.dtype).collect();
        dtypes.dedup();
        let all = self.machine.by_threads.last().map_or(0.0, |t| t.dispatch);
        let launch = picos(all);
        let mut profile = KernelProfile {
            name: name.to_owned(),
            accelerator: name.to_owned(),
            framework: "slimsim-host".to_owned(),
            source: format!("slimsim {} host calibrate", env!("CARGO_PKG_VERSION")),
            note: None,
            machine: Some(cpu.identity()),
            kernels: Vec::new(),
            rates: self.rates(),
        };
        let mut kernels = Vec::new();
        for dtype in dtypes {
            let kernel = |kind, constants| {
                let heads = if kind == Kind::SlimK { MAX_HEADS } else { 1 };
                let split = if kind == Kind::Gemm { SplitRule::None } else { SplitRule::EvenTokens };
                // One phase after the other, in one thread.
                let policy = Policy { split, block: 128, heads, pipelined: false, ..Policy::PLAIN };
                Kernel { kind, dtype, name: None, policy, constants, rival: None, fit: None }
            };
            // The baseline's stream was measured with its arithmetic.
            let hidden = |overlap| Constants {
                launch,
                overlap: Some(overlap),
                mac_fraction: Some(self.together()),
                ..Constants::default()
            };
            let of_type = |w: &&Walked| w.dtype == dtype;
            let weights: Vec<f64> =
                self.walks.iter().filter(of_type).filter_map(|w| Some(w.weights?.value)).collect();
            kernels.push(kernel(Kind::Mha, hidden(1.0)));
            kernels.push(kernel(Kind::SlimK, hidden(self.overlap(&profile, Some(dtype)))));
            let item_rate = Some(median(weights).round().max(1.0) as u64);
            kernels.push(kernel(Kind::Gemm, Constants { item_rate, mac_fraction: None, ..hidden(1.0) }));
        }
        profile.kernels = kernels;
        profile
    }

    /// What all cores together achieve of as many times one core's arithmetic: they may share units, and a clock that falls.
    fn together(&self) -> f64 {
        match self.machine.by_threads.as_slice() {
            [one, .., all] => rounded((all.macs.value / (all.threads as f64 * one.macs.value)).min(1.0)),
            _ => 1.0,
        }
    }

    /// All rates by shape.
    fn rates(&self) -> Vec<MeasuredRate> {
        let whole = |x: f64| x.round().max(1.0) as u64;
        let phases = self.phases.iter().map(|p| MeasuredRate {
            phase: match p.phase {
                phases::Phase::Scores => Phase::Scores,
                phases::Phase::WeightedSums => Phase::WeightedSums,
                phases::Phase::Softmax => Phase::Softmax,
                phases::Phase::Product => Phase::Product,
            },
            kind: None,
            dtype: p.dtype,
            heads: p.heads as u64,
            head_dim: p.head_dim as u64,
            tile: p.tile as u64,
            per_second: whole(p.per_second.value),
            spread: rounded(p.per_second.spread),
        });
        let walked = |phase, kind, figure: fn(&Walked) -> Figure| {
            self.walks.iter().map(move |w| MeasuredRate {
                phase,
                kind,
                dtype: w.dtype,
                heads: w.shape.heads as u64,
                head_dim: w.shape.head_dim as u64,
                tile: w.tile as u64,
                per_second: whole(figure(w).value),
                spread: rounded(figure(w).spread),
            })
        };
        let streams = walked(Phase::Stream, None, |w| w.baseline);
        let walks = walked(Phase::Walk, Some(Kind::SlimK), |w| w.slim);
        phases.chain(streams).chain(walks).collect()
    }

    /// The overlap of slim-k's walks, in the median of the shapes of that type, or of all.
    fn overlap(&self, profile: &KernelProfile, dtype: Option<Dtype>) -> f64 {
        let of_type = self.walks.iter().filter(|w| dtype.is_none_or(|d| d == w.dtype));
        let overlaps = of_type.filter_map(|w| {
            profile.overlap(Kind::SlimK, w.dtype, w.shape.heads as u64, w.shape.head_dim as u64)
        });
        rounded(median(overlaps.collect()))
    }

    /// The median of some figures of phases.
    fn median(&self, of: impl Fn(&PhaseRate) -> bool, figure: impl Fn(&PhaseRate) -> f64) -> f64 {
        median(self.phases.iter().filter(|p| of(p)).map(figure).collect())
    }
}

/// The median; 0 of nothing.
fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5).unwrap_or(0.0)
}

/// To three decimals.
fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

/// To whole nanoseconds, which is what clocks give.
fn picos(seconds: f64) -> Picos {
    Picos((seconds * 1e9).round() as u64 * 1000)
}

/// The spreads of the machine's own figures, for people.
fn spreads(one: &ThreadRates, all: &ThreadRates) -> String {
    let of = |rates: &ThreadRates| {
        let percent = |f: &super::Figure| format!("{:.1} %", 100.0 * f.spread);
        format!(
            "{} threads: MACs {:.4e}/s ± {}, L2 {:.4e} B/s ± {}, L3 {:.4e} B/s ± {}, DRAM {:.4e} B/s ± {}",
            rates.threads,
            rates.macs.value,
            percent(&rates.macs),
            rates.l2.value,
            percent(&rates.l2),
            rates.l3.value,
            percent(&rates.l3),
            rates.dram.value,
            percent(&rates.dram)
        )
    };
    format!("Measured. {}; {}.", of(one), of(all))
}
