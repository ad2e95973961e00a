//! Jumping over a steady state.
//!
//! A max-plus recurrence with constant durations becomes periodic: after some tiles the state equals an earlier one up to a shift in
//! time. From there on every decision repeats, so the rest is a multiplication. The paths by cause repeat too once two periods in a row
//! added the same: within a period a stamp's path is another stamp's path a period earlier plus a constant, so that the increment of the
//! next period is a fixed selection from the increments of this one, and equal increments stay equal.

use super::stamp::Moment;
use super::state::{Increment, State};

/// Too few repetitions to be worth watching.
const FEW: u64 = 6;

/// Applies `body` `count` times, or does something that comes to exactly the same.
pub(super) fn repeat<M: Moment>(
    state: &mut State<M>,
    count: u64,
    jump: bool,
    mut body: impl FnMut(&mut State<M>),
) {
    if !jump || count <= FEW {
        for _ in 0..count {
            body(state);
        }
        return;
    }
    let mut anchor: Option<State<M>> = None;
    let mut increment: Option<(u64, Increment<M>)> = None;
    let (mut since, mut patience) = (0u64, 1u64);
    let mut done = 0;
    while done < count {
        body(state);
        done += 1;
        since += 1;
        let Some(earlier) = &anchor else {
            anchor = Some(state.clone());
            since = 0;
            continue;
        };
        if state.same_phase(earlier) {
            let now = state.since(earlier);
            let confirmed =
                increment.as_ref().is_some_and(|(period, before)| *period == since && *before == now);
            // Bare times repeat as soon as the state does; only paths need a second look.
            if confirmed || !M::TRACED {
                let times = (count - done) / since;
                state.advance(&now, times);
                done += times * since;
                for _ in done..count {
                    body(state);
                }
                return;
            }
            increment = Some((since, now));
            anchor = Some(state.clone());
            since = 0;
        } else if since >= patience {
            // No period up to `patience` from this anchor: look from a later one, for a longer one.
            patience *= 2;
            increment = None;
            anchor = Some(state.clone());
            since = 0;
        }
    }
}
