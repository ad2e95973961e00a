//! Clocks.

/// Nanoseconds that the calling thread has run; `None` where the system has no such clock.
#[must_use]
pub fn thread_nanos() -> Option<u64> {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).ok()?;
        Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    None
}
