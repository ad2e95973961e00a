//! Loops that show what the CPU can do at most: multiply–adds without memory, and reading without arithmetic to speak of.
#![expect(unsafe_code, reason = "calls kernels of an instruction set")]

use super::scores::ask_ahead;
use crate::host::simd::{Element, Isa, Kernel, Lanes};

/// Independent sums: enough to hide the latency of a multiply–add on two ports.
const SUMS: usize = 12;

/// Multiply–adds in registers, `steps` times twelve vectors of them; returns their number.
pub fn multiply_adds(isa: Isa, steps: usize) -> u64 {
    isa.run(MultiplyAdds { steps });
    (steps * SUMS * isa.lanes()) as u64
}

struct MultiplyAdds {
    steps: usize,
}

impl Kernel for MultiplyAdds {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's.
        unsafe {
            // Factors that the compiler cannot see through, and that keep the sums finite.
            let factor = L::splat(std::hint::black_box(0.5));
            let term = L::splat(std::hint::black_box(1.0));
            // Each sum begins elsewhere: equal ones would be one.
            let mut sums = [term; SUMS];
            let mut i = 0;
            while i < SUMS {
                sums[i] = L::splat(std::hint::black_box(i as f32));
                i += 1;
            }
            for _ in 0..self.steps {
                let mut i = 0;
                while i < SUMS {
                    sums[i] = sums[i].mul_add(factor, term);
                    i += 1;
                }
            }
            let mut total = 0.0;
            let mut i = 0;
            while i < SUMS {
                total += sums[i].sum();
                i += 1;
            }
            std::hint::black_box(total);
        }
    }
}

/// Reads `elements` from front to back, and asks ahead as the kernels do: no kernel should read faster than this.
pub fn read<E: Element>(isa: Isa, elements: &[E]) {
    isa.run(Read { elements });
}

struct Read<'a, E> {
    elements: &'a [E],
}

/// Vectors that are read side by side.
const READS: usize = 8;

impl<E: Element> Kernel for Read<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let whole = self.elements.len() / (READS * L::COUNT) * (READS * L::COUNT);
        // SAFETY: the caller's; reads stay below `whole`, and what is asked for may lie anywhere.
        unsafe {
            let mut sums = [L::splat(0.0); READS];
            let mut at = 0;
            while at < whole {
                let from = self.elements.as_ptr().add(at);
                ask_ahead::<L, E>(from, READS * L::COUNT);
                let mut i = 0;
                while i < READS {
                    sums[i] = sums[i].add(E::load(from.add(i * L::COUNT)));
                    i += 1;
                }
                at += READS * L::COUNT;
            }
            let mut total = 0.0;
            let mut i = 0;
            while i < READS {
                total += sums[i].sum();
                i += 1;
            }
            std::hint::black_box(total);
        }
    }
}
