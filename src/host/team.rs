//! Threads that stay where they are put.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

/// Threads, each pinned to a CPU where the system lets us: the calling thread alone, or as many workers.
#[derive(Debug)]
pub struct Team {
    workers: Option<rayon::ThreadPool>,
    threads: usize,
    pinned: bool,
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
            return Ok(Self { workers: None, threads: 1, pinned });
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
        Ok(Self { workers: Some(workers), threads, pinned })
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
        match &self.workers {
            None => vec![work(0)],
            Some(workers) => workers.broadcast(|context| work(context.index())),
        }
    }
}

/// CPUs that this process may use.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
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
