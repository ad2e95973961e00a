//! Threads that stay where they are put.

use super::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Working memory that one thread writes in one phase and others read in the next.
#[derive(Debug, Default)]
pub struct Shared<T>(RwLock<T>);

impl<T> Shared<T> {
    /// Holds `inner`.
    pub const fn new(inner: T) -> Self {
        Self(RwLock::new(inner))
    }

    /// To write.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        // A panic in a kernel ends the program; nothing here outlives it.
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// To read.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nanoseconds a thread within which all threads that are called have started, unless something else has their CPUs.
const WAKE_NANOS: u64 = 50_000;

/// Threads, each pinned to a CPU where the system lets us: the calling thread alone, or as many workers.
#[derive(Debug)]
pub struct Team {
    workers: Option<rayon::ThreadPool>,
    threads: usize,
    pinned: bool,
    /// Nanoseconds that the worst thread was kept from running, in all phases since last asked.
    lost: AtomicU64,
}

impl Team {
    /// `threads` threads; of one, the calling thread, which is pinned to the CPU it is on.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let cpus = allowed_cpus();
        if threads <= 1 {
            // The last CPU: the first serves interrupts on most machines.
            let pinned = cpus.last().is_some_and(|&cpu| pin(cpu));
            return Ok(Self { workers: None, threads: 1, pinned, lost: AtomicU64::new(0) });
        }
        let pinned = cpus.len() >= threads;
        let workers = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .start_handler(move |i| {
                if let Some(&cpu) = cpus.get(i) {
                    pin(cpu);
                }
            })
            .build()?;
        Ok(Self { workers: Some(workers), threads, pinned, lost: AtomicU64::new(0) })
    }

    /// How many.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Whether each has a CPU of its own.
    #[must_use]
    pub const fn pinned(&self) -> bool {
        self.pinned
    }

    /// Runs `work` on every thread, which is told its number, and waits for all.
    pub fn run<R: Send>(&self, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let called = std::time::Instant::now();
        let watched = |thread| {
            let late = u64::try_from(called.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let late = if late > WAKE_NANOS * self.threads as u64 { late } else { 0 };
            let (wall, cpu) = (std::time::Instant::now(), clock::thread_nanos());
            let result = work(thread);
            let lost = cpu.and_then(|before| {
                let busy = clock::thread_nanos()?.saturating_sub(before);
                Some(u64::try_from(wall.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_sub(busy))
            });
            (result, lost.unwrap_or(0) + late)
        };
        let results = match &self.workers {
            None => vec![watched(0)],
            Some(workers) => workers.broadcast(|context| watched(context.index())),
        };
        let worst = results.iter().map(|(_, lost)| *lost).max().unwrap_or(0);
        self.lost.fetch_add(worst, Ordering::Relaxed);
        results.into_iter().map(|(result, _)| result).collect()
    }

    /// Nanoseconds that threads were kept from running since this was last asked: of each phase, those of the worst.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// CPUs that this process may use: as it was first asked, since threads that are pinned later see their own one alone.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    let ask = || {
        let mut cpus = ask_for_cpus();
        // A quota may allow less time than there are CPUs.
        cpus.truncate(std::thread::available_parallelism().map_or(cpus.len(), std::num::NonZero::get));
        cpus
    };
    ALLOWED.get_or_init(ask).clone()
}

fn ask_for_cpus() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
    }
    (0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).collect()
}

/// Pins the calling thread; whether that worked.
fn pin(cpu: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = cpu;
        false
    }
}
