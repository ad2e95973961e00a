//! Large buffers, and how to empty the caches of them.
#![expect(unsafe_code, reason = "mapped memory, and an instruction that has no intrinsic")]

use super::simd::Element;
use std::io::ErrorKind;
use std::ptr::NonNull;

/// Memory of its own pages, huge ones where the system has them: address translation should not be what is measured.
#[derive(Debug)]
pub struct Buffer<E> {
    at: NonNull<E>,
    len: usize,
    /// What `at` points into.
    _pages: Pages,
}

// SAFETY: the buffer owns its memory, and its elements are plain numbers.
unsafe impl<E: Element> Send for Buffer<E> {}
// SAFETY: as above.
unsafe impl<E: Element> Sync for Buffer<E> {}

/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

impl<E: Element> Buffer<E> {
    /// `len` zeros, the first at the front of a huge page.
    ///
    /// # Errors
    /// If the system has no memory for it.
    pub fn zeros(len: usize) -> std::io::Result<Self> {
        // A mapping begins at any small page: one huge page more, and there is a front of one to begin at.
        let bytes = len
            .checked_mul(size_of::<E>())
            .and_then(|bytes| bytes.max(1).checked_next_multiple_of(HUGE_PAGE)?.checked_add(HUGE_PAGE))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(ErrorKind::OutOfMemory)?;
        let pages = Pages::zeros(bytes)?;
        let before = pages.at.addr().get().wrapping_neg() % HUGE_PAGE;
        // SAFETY: the memory is longer by a huge page than the elements are.
        let at = unsafe { pages.at.add(before) };
        Ok(Self { at: at.cast(), len, _pages: pages })
    }

    /// `len` elements that repeat `pattern`.
    ///
    /// # Errors
    /// If the system has no memory for it.
    ///
    /// # Panics
    /// If there is no pattern.
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

/// Memory, zeros at first, that is given back when dropped.
#[derive(Debug)]
struct Pages {
    at: NonNull<u8>,
    bytes: usize,
}

#[cfg(all(unix, not(miri)))]
impl Pages {
    fn zeros(bytes: usize) -> std::io::Result<Self> {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new private mapping that nothing else knows of.
        let map = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, access, MapFlags::PRIVATE) }?;
        #[cfg(target_os = "linux")]
        {
            // SAFETY: the mapping just made. That huge pages are refused changes speed alone.
            let _ = unsafe { rustix::mm::madvise(map, bytes, rustix::mm::Advice::LinuxHugepage) };
        }
        Ok(Self { at: NonNull::new(map.cast()).ok_or(ErrorKind::OutOfMemory)?, bytes })
    }
}

#[cfg(all(unix, not(miri)))]
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping that `zeros` made, not used after this.
        let _ = unsafe { rustix::mm::munmap(self.at.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(not(all(unix, not(miri))))]
impl Pages {
    fn zeros(bytes: usize) -> std::io::Result<Self> {
        let layout = Self::layout(bytes).ok_or(ErrorKind::OutOfMemory)?;
        // SAFETY: `bytes` is a huge page at least.
        let at = unsafe { std::alloc::alloc_zeroed(layout) };
        Ok(Self { at: NonNull::new(at).ok_or(ErrorKind::OutOfMemory)?, bytes })
    }

    fn layout(bytes: usize) -> Option<std::alloc::Layout> {
        std::alloc::Layout::from_size_align(bytes, LINE).ok()
    }
}

#[cfg(not(all(unix, not(miri))))]
impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.bytes) {
            // SAFETY: what `zeros` allocated with this layout, not used after this.
            unsafe { std::alloc::dealloc(self.at.as_ptr(), layout) };
        }
    }
}

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Whether [`flush`] can do what it says.
#[must_use]
pub const fn can_flush() -> bool {
    cfg!(all(target_arch = "x86_64", not(miri)))
}

/// Drives `elements` out of all caches, so that the next reading comes from DRAM. Does nothing where [`can_flush`] says so.
pub fn flush<E>(elements: &[E]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let start = elements.as_ptr().cast::<u8>();
        let before = start.addr() % LINE;
        let first = start.wrapping_sub(before);
        let many_at_once = many_flushes_at_once();
        for at in (0..before + size_of_val(elements)).step_by(LINE) {
            let line = first.wrapping_add(at);
            // SAFETY: the line holds bytes of an element that is borrowed; flushing it changes no value. Every such CPU has `clflush`.
            unsafe {
                if many_at_once {
                    std::arch::asm!("clflushopt [{}]", in(reg) line, options(nostack, preserves_flags));
                } else {
                    std::arch::asm!("clflush [{}]", in(reg) line, options(nostack, preserves_flags));
                }
            }
        }
        // SAFETY: no memory is touched. Later reads wait for the flushes.
        unsafe { std::arch::asm!("mfence", options(nostack, preserves_flags)) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = elements;
}

/// Whether the CPU has `clflushopt`, of which one does not wait for the other.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn many_flushes_at_once() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    // Leaf 7, where the CPU has one: bit 23 of EBX. A virtual machine pays dearly for each asking.
    *FOUND.get_or_init(|| __cpuid(0).eax >= 7 && __cpuid_count(7, 0).ebx & (1 << 23) != 0)
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_huge_page_and_hold_what_was_asked_for() {
        for len in [0, 1, HUGE_PAGE / 4, HUGE_PAGE / 4 + 1] {
            let zeros = Buffer::<f32>::zeros(len).expect("memory");
            assert_eq!(zeros.as_ptr().addr() % HUGE_PAGE, 0);
            assert_eq!(zeros.len(), len);
            assert!(zeros.first().is_none_or(|x| *x == 0.0) && zeros.last().is_none_or(|x| *x == 0.0));
        }
        let pattern = [1.0, 2.0, 3.0].map(half::bf16::from_f32);
        let repeating = Buffer::repeating(7, &pattern).expect("memory");
        assert_eq!(
            repeating.iter().map(|x| x.to_f32()).collect::<Vec<_>>(),
            [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
        );
    }

    #[test]
    fn buffers_that_no_memory_can_hold_are_refused() {
        let most = isize::MAX as usize;
        for len in [usize::MAX, usize::MAX / 4, usize::MAX / 4 + 2, most / 4, (most - HUGE_PAGE) / 4 + 1] {
            let error = Buffer::<f32>::zeros(len).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::OutOfMemory), "{len}");
        }
    }

    /// Lines of caches: slices that begin and end inside of them.
    #[test]
    fn flushing_changes_nothing() {
        let mut bytes = Buffer::<f32>::zeros(200).expect("memory");
        bytes.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
        for (from, to) in [(0, 0), (0, 200), (1, 2), (15, 17), (3, 190), (200, 200)] {
            flush(&bytes[from..to]);
        }
        assert!(bytes.iter().enumerate().all(|(i, x)| *x == i as f32));
    }
}
