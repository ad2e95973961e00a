//! Nothing is lost where time is apportioned.

use super::{Cause, CyclesByCause};
use crate::units::{Cycles, Hertz, Picos};
use proptest::prelude::*;

proptest! {
    #[test]
    fn parts_sum_and_stay_within_one_of_their_share(
        cycles in 0u64..1 << 50,
        shares in prop::array::uniform9(prop_oneof![Just(0u128), 1u128..1000, 0u128..1 << 70]),
    ) {
        let parts = CyclesByCause::apportion(Cycles(cycles), &shares);
        prop_assert_eq!(parts.total(), Cycles(cycles));
        let total: u128 = shares.iter().sum();
        if total == 0 {
            prop_assert_eq!(parts.overhead, Cycles(cycles));
            return Ok(());
        }
        for cause in Cause::ALL {
            let share = shares[cause as usize];
            let exact = cycles as f64 * (share as f64 / total as f64);
            let part = parts.get(cause).as_f64();
            prop_assert!((part - exact).abs() <= 1.0 + exact * 1e-9, "{:?}: {} of {}", cause, part, exact);
            prop_assert!(share > 0 || part == 0.0, "{:?} has no share", cause);
        }
    }
}

/// 10 cycles in proportion 1 : 1 : 1 are 4, 3, 3: the remainder goes to the first of equals.
#[test]
fn ties_go_to_the_earlier_cause() {
    let parts = CyclesByCause::apportion(Cycles(10), &[1, 1, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!((parts.compute, parts.vector, parts.exchange), (Cycles(4), Cycles(3), Cycles(3)));
}

/// Cycles come from the time and the clock, rounded up once: 1 µs at 1.41 GHz is 1410 cycles, a picosecond more is 1411.
#[test]
fn cycles_are_rounded_up_once() {
    let clock = Hertz(1_410_000_000);
    assert_eq!(CyclesByCause::of(Picos(1_000_000), &[1; 9], clock).0, Cycles(1410));
    assert_eq!(CyclesByCause::of(Picos(1_000_001), &[1; 9], clock).0, Cycles(1411));
}
