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

/// Whether what a step reads stays in the last-level cache, and not in those before it.
fn resident(cpu: &Cpu, point: &Setting) -> bool {
    let all = 2 * point.cache_bytes() + point.weight_bytes();
    point.cache_bytes() > cpu.l2 * point.threads && all <= cpu.l3 / RESIDENT_PART
}

/// Leaves out what does not fit the memory.
fn fit(mut points: Vec<Setting>, memory: Option<usize>) -> (Vec<Setting>, Skipped) {
    let room = (memory.unwrap_or(4 << 30) as f64 * MEMORY_PART) as usize;
    let before = points.len();
    points.retain(|p| 2 * p.cache_bytes() + p.weight_bytes() <= room);
    let memory = before - points.len();
    (points, Skipped { memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::simd::Isa;
    use std::collections::BTreeSet;

    fn cpu(cpus: usize) -> Cpu {
        Cpu { model: "a CPU".into(), cpus, isa: Isa::Portable, l2: 1 << 20, l3: 256 << 20 }
    }

    /// What a point needs: keys, values and weights.
    fn bytes(point: &Setting) -> usize {
        2 * point.cache_bytes() + point.weight_bytes()
    }

    fn distinct(points: &[Setting]) -> bool {
        points.iter().collect::<BTreeSet<_>>().len() == points.len()
    }

    #[test]
    fn a_quick_look_has_enough_points_of_one_kind() {
        let (points, skipped) = quick_grid(Some(8 << 30));
        assert!(points.len() >= 20 && distinct(&points), "{}", points.len());
        assert_eq!(skipped.memory, 0);
        assert!(points.iter().all(|p| (p.threads, p.tier, p.shape.batch) == (1, Tier::Dram, 1)));
        let heads: BTreeSet<_> = points.iter().map(|p| p.shape.heads).collect();
        assert!(heads.len() >= 4, "{heads:?}");
        assert!(points.iter().all(|p| p.shape.head_dim.is_multiple_of(16)));
    }

    #[test]
    fn what_does_not_fit_the_memory_is_counted() {
        let (all, none) = quick_grid(Some(64 << 30));
        assert_eq!(none.memory, 0);
        for memory in [1 << 30, 256 << 20, 1 << 20, 0] {
            let (points, skipped) = quick_grid(Some(memory));
            let room = (memory as f64 * MEMORY_PART) as usize;
            let fitting: Vec<_> = all.iter().filter(|p| bytes(p) <= room).copied().collect();
            assert_eq!(points, fitting);
            assert_eq!(skipped.memory, all.len() - points.len());
        }
        assert_eq!(quick_grid(Some(0)).0, []);
        assert_eq!(quick_grid(None), quick_grid(Some(4 << 30)));
        let (few, skipped) = full_grid(&cpu(2), Some(1 << 30));
        let (many, more_fits) = full_grid(&cpu(2), Some(64 << 30));
        assert!(skipped.memory > more_fits.memory && few.len() < many.len());
        assert_eq!(few.len() + skipped.memory, many.len() + more_fits.memory);
    }

    #[test]
    fn the_whole_grid_is_of_one_thread_and_all_and_of_both_tiers() {
        let (points, _) = full_grid(&cpu(3), Some(64 << 30));
        assert!(distinct(&points));
        let threads: BTreeSet<_> = points.iter().map(|p| p.threads).collect();
        assert_eq!(threads, BTreeSet::from([1, 3]));
        let resident = points.iter().filter(|p| p.tier == Tier::Cache).inspect(|p| {
            assert!(bytes(p) <= cpu(3).l3 / RESIDENT_PART, "{p:?}");
        });
        assert!(resident.count() > 0);
        // What is measured from the caches is measured from DRAM as well.
        for point in points.iter().filter(|p| p.tier == Tier::Cache) {
            assert!(points.contains(&Setting { tier: Tier::Dram, ..*point }));
        }
        let (points, _) = full_grid(&cpu(1), Some(64 << 30));
        assert!(distinct(&points) && points.iter().all(|p| p.threads == 1));
        // Without a last-level cache of any size there is only DRAM.
        let (points, _) = full_grid(&Cpu { l3: 0, ..cpu(2) }, Some(64 << 30));
        assert!(points.iter().all(|p| p.tier == Tier::Dram));
    }
}
