//! Running a sweep on many threads, results in order.

use super::plan::{Place, Plan, Setting};
use super::{SweepError, plan};
use crate::step::{Comparison, Point};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Combinations whose results are held at a time. Within a block the work goes by setting, whatever the order of the axes.
const BLOCK: u64 = 16_384;
/// Combinations of one setting that a thread takes at a time: enough to keep its caches warm, few enough to share out.
const TASK: usize = 64;
/// Simulators kept for later.
const SHELF: usize = 64;
/// Combinations after which a simulator's caches are thrown away, to bound them.
const WORN: usize = 1 << 15;

/// Simulators that are not in use, by setting.
#[derive(Default)]
struct Shelf {
    idle: Mutex<Vec<(Setting, usize, Comparison)>>,
}

impl Shelf {
    fn take(&self, plan: &Plan, setting: &Setting) -> Result<(usize, Comparison), SweepError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = idle.iter().rposition(|(s, ..)| s == setting) {
            let (_, served, comparison) = idle.remove(at);
            return Ok((served, comparison));
        }
        drop(idle);
        Ok((0, plan.comparison(setting)?))
    }

    fn put_back(&self, setting: Setting, served: usize, comparison: Comparison) {
        if served >= WORN {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= SHELF {
            idle.remove(0);
        }
        idle.push((setting, served, comparison));
    }
}

/// Simulates every combination on `threads` threads (`None`: as many as there are cores). `observe` sees each combination with
/// the points of all schemes, on any thread and in any order; what it makes of them goes to `emit` in axis order, on this
/// thread. At most some ten thousand results are held at a time.
///
/// # Errors
/// What `emit` returns, and the machine's refusal of threads.
pub fn run<T: Send>(
    plan: &Plan,
    threads: Option<usize>,
    observe: impl Fn(&Place, &[Point]) -> T + Sync,
    mut emit: impl FnMut(&Place, T) -> std::io::Result<()>,
) -> Result<(), SweepError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|e| SweepError::Input(format!("cannot start threads: {e}")))?;
    let shelf = Shelf::default();
    let total = plan.combinations();
    let mut start = 0;
    while start < total {
        let end = total.min(start + BLOCK);
        let places: Vec<Place> = (start..end).map(|index| plan.place(index)).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&i| (places[i].setting, i));
        let tasks: Vec<&[usize]> = order
            .chunk_by(|&a, &b| places[a].setting == places[b].setting)
            .flat_map(|same| same.chunks(TASK))
            .collect();
        let work = |task: &&[usize]| -> Result<Vec<(usize, T)>, SweepError> {
            let Some(setting) = task.first().map(|&i| places[i].setting) else { return Ok(Vec::new()) };
            let (served, mut comparison) = shelf.take(plan, &setting)?;
            let results = task
                .iter()
                .map(|&i| {
                    let plan::Place { context, batch, .. } = places[i];
                    (i, observe(&places[i], &comparison.points(context, batch)))
                })
                .collect();
            shelf.put_back(setting, served + task.len(), comparison);
            Ok(results)
        };
        let done: Result<Vec<_>, SweepError> = pool.install(|| tasks.par_iter().map(work).collect());
        let mut results: Vec<Option<T>> = Vec::new();
        results.resize_with(places.len(), || None);
        for (i, result) in done?.into_iter().flatten() {
            results[i] = Some(result);
        }
        for (place, result) in places.iter().zip(results) {
            if let Some(result) = result {
                emit(place, result).map_err(SweepError::Write)?;
            }
        }
        start = end;
    }
    Ok(())
}
