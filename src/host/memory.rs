//! Large buffers, and how to empty the caches of them.
#![expect(unsafe_code, reason = "mapped memory, and an instruction that has no intrinsic")]

use super::simd::Element;
use std::ptr::NonNull;

/// Memory of its own pages, huge ones where the system has them: address translation should not be what is measured.
#[derive(Debug)]
pub struct Buffer<E> {
    at: NonNull<E>,
    len: usize,
    bytes: usize,
}

// SAFETY: the buffer owns its memory, and its elements are plain numbers.
unsafe impl<E: Element> Send for Buffer<E> {}
// SAFETY: as above.
unsafe impl<E: Element> Sync for Buffer<E> {}

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

impl<E: Element> Buffer<E> {
    /// `len` zeros.
    ///
    /// # Errors
    /// If the system has no memory for it.
    pub fn zeros(len: usize) -> std::io::Result<Self> {
        let bytes = (len * size_of::<E>()).max(1).next_multiple_of(HUGE_PAGE) + HUGE_PAGE;
        #[cfg(unix)]
        {
            use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
            // SAFETY: a new private mapping that nothing else knows of.
            let map = unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    bytes,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE,
                )
            }?;
            #[cfg(target_os = "linux")]
            {
                // SAFETY: the mapping just made. That huge pages are refused changes speed alone.
                let _ = unsafe { rustix::mm::madvise(map, bytes, rustix::mm::Advice::LinuxHugepage) };
            }
            let at = NonNull::new(map.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
            Ok(Self { at, len, bytes })
        }
        #[cfg(not(unix))]
        {
            let mut elements = vec![E::default(); len].into_boxed_slice();
            let at = NonNull::new(elements.as_mut_ptr()).ok_or(std::io::ErrorKind::OutOfMemory)?;
            std::mem::forget(elements);
            Ok(Self { at, len, bytes })
        }
    }

    /// `len` elements that repeat `pattern`.
    ///
    /// # Errors
    /// If the system has no memory for it.
    pub fn repeating(len: usize, pattern: &[E]) -> std::io::Result<Self> {
        let mut buffer = Self::zeros(len)?;
        for chunk in buffer.chunks_mut(pattern.len()) {
            chunk.copy_from_slice(&pattern[..chunk.len()]);
        }
        Ok(buffer)
    }
}

impl<E> std::ops::Deref for Buffer<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        // SAFETY: `len` initialised elements, owned.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl<E> std::ops::DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

impl<E> Drop for Buffer<E> {
    fn drop(&mut self) {
        #[cfg(unix)]
        // SAFETY: the mapping that `zeros` made, not used after this.
        unsafe {
            let _ = rustix::mm::munmap(self.at.as_ptr().cast(), self.bytes);
        }
        #[cfg(not(unix))]
        // SAFETY: the slice that `zeros` let go of.
        unsafe {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.at.as_ptr(), self.len)));
        }
    }
}

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Whether [`flush`] can do what it says.
#[must_use]
pub fn can_flush() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        // Leaf 7: CLFLUSHOPT is bit 23 of EBX.
        let leaf = std::arch::x86_64::__cpuid_count(7, 0);
        leaf.ebx & (1 << 23) != 0
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    false
}

/// Drives `elements` out of all caches, so that the next reading comes from DRAM. Does nothing where [`can_flush`] says so.
pub fn flush<E>(elements: &[E]) {
    if !can_flush() {
        return;
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let (start, bytes) = (elements.as_ptr().cast::<u8>(), size_of_val(elements));
        for at in (0..bytes.next_multiple_of(LINE)).step_by(LINE) {
            let line = start.wrapping_add(at.min(bytes.saturating_sub(1)));
            // SAFETY: the line holds an element that is borrowed; flushing it changes no value.
            unsafe {
                std::arch::asm!("clflushopt [{}]", in(reg) line, options(nostack, preserves_flags));
            }
        }
        // SAFETY: no memory is touched. Later reads wait for the flushes.
        unsafe { std::arch::asm!("mfence", options(nostack, preserves_flags)) };
    }
}
