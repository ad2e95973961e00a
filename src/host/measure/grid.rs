//! Which points are measured.

use super::{Setting, Tier};
use crate::host::cpu::Cpu;
use crate::host::kernels::Shape;
use crate::units::Dtype;

/// Heads.
const HEADS: [usize; 6] = [4, 8, 12, 16, 24, 32];
/// Elements of a head.
const HEAD_DIMS: [usize; 2] = [64, 128];
/// Types.
const DTYPES: [Dtype; 2] = [Dtype::Fp32, Dtype::Bf16];
/// Shortest context.
const SHORTEST: usize = 512;
/// Longest context that is tried: 512 times the shortest.
const LONGEST: usize = 256 << 10;
/// Part of the available memory that keys, values and weights may take.
const MEMORY_PART: f64 = 0.6;
/// Part of the last-level cache that what a resident step reads may take: the rest is other people's.
const RESIDENT_PART: usize = 8;

/// Points that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// For lack of memory.
    pub memory: usize,
}

/// The whole grid: contexts by powers of four, batches 1 and 4, one thread and all, from DRAM, and from the caches where it fits.
///
/// `memory` is what is available; `None`: unknown, 4 GiB are assumed.
#[must_use]
pub fn full_grid(cpu: &Cpu, memory: Option<usize>) -> (Vec<Setting>, Skipped) {
    let mut threads = vec![1];
    threads.extend((cpu.cpus > 1).then_some(cpu.cpus));
    let contexts = || std::iter::successors(Some(SHORTEST), |n| Some(n * 4)).take_while(|n| *n <= LONGEST);
    let mut points = Vec::new();
    for threads in threads {
        for tier in [Tier::Dram, Tier::Cache] {
            for dtype in DTYPES {
                for head_dim in HEAD_DIMS {
                    for heads in HEADS {
                        for batch in [1, 4] {
                            points.extend(contexts().map(|context| Setting {
                                shape: Shape { heads, head_dim, context, batch },
                                dtype,
                                threads,
                                tier,
                            }));
                        }
                    }
                }
            }
        }
    }
    points.retain(|p| p.tier == Tier::Dram || resident(cpu, p));
    fit(points, memory)
}

/// The points of a quick look: one thread, from DRAM, one sequence, contexts of 2,048 and 16,384 tokens.
#[must_use]
pub fn quick_grid(memory: Option<usize>) -> (Vec<Setting>, Skipped) {
    let mut points = Vec::new();
    for dtype in DTYPES {
        for head_dim in HEAD_DIMS {
            for heads in HEADS {
                for context in [2048, 16384] {
                    let shape = Shape { heads, head_dim, context, batch: 1 };
                    points.push(Setting { shape, dtype, threads: 1, tier: Tier::Dram });
                }
            }
        }
    }
    fit(points, memory)
}

/// Whether what a step reads stays in the last-level cache.
fn resident(cpu: &Cpu, point: &Setting) -> bool {
    2 * point.cache_bytes() + point.weight_bytes() <= cpu.l3 / RESIDENT_PART
}

/// Leaves out what does not fit the memory.
fn fit(mut points: Vec<Setting>, memory: Option<usize>) -> (Vec<Setting>, Skipped) {
    let room = (memory.unwrap_or(4 << 30) as f64 * MEMORY_PART) as usize;
    let before = points.len();
    points.retain(|p| 2 * p.cache_bytes() + p.weight_bytes() <= room);
    let memory = before - points.len();
    (points, Skipped { memory })
}
