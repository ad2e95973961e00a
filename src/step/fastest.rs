//! The fastest way to run a product: outlines in the order of their bounds, the plans of each timed until none can win.

use crate::engine::{self, Timeline};
use crate::mapping::machine::Machine;
use crate::mapping::product::{self, Outline, Plan, Shape, Spent};
use crate::units::Femtos;
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// What is remembered at most: layouts of attention, winners of products.
pub(super) const REMEMBERED: usize = 1 << 14;

thread_local! {
    /// The outline that won last for each shape, whatever the machine: neighbours in a sweep differ little. It speeds the search up
    /// and cannot change its result.
    static LAST_OUTLINES: RefCell<FxHashMap<Shape, Outline>> = RefCell::default();
}

/// Notes a winner; forgets all rather than grow.
pub(super) fn remember<K: std::hash::Hash + Eq, V>(
    last: &'static std::thread::LocalKey<RefCell<FxHashMap<K, V>>>,
    key: K,
    winner: V,
) {
    last.with_borrow_mut(|last| {
        if last.len() >= REMEMBERED {
            last.clear();
        }
        last.insert(key, winner);
    });
}

/// A product as it was finally laid out.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    /// Time and causes.
    pub(super) timeline: Timeline,
    /// What it moves.
    pub(super) spent: Spent,
    /// How it is laid out.
    pub(super) plan: Plan,
}

/// The fastest plan of a product that takes no longer than `to_beat`; ties go to the first in a fixed order.
pub(super) fn product(machine: &Machine, shape: &Shape, mut to_beat: Femtos) -> Option<Timed> {
    // The outline that won for this shape on the machine before is a good first guess.
    let guess = LAST_OUTLINES.with_borrow(|last| last.get(shape).copied());
    if let Some(outline) = guess.and_then(|o| o.on(machine, shape)) {
        for plan in outline.plans(machine, shape) {
            to_beat = to_beat.min(time(machine, shape, &plan, to_beat).unwrap_or(to_beat));
        }
    }
    let mut fastest: Option<(Femtos, Plan)> = None;
    for outline in product::outlines(machine, shape, to_beat) {
        if outline.bound > to_beat {
            break;
        }
        for plan in outline.plans(machine, shape) {
            if let Some(time) = time(machine, shape, &plan, to_beat)
                && fastest.as_ref().is_none_or(|(t, _)| time < *t)
            {
                to_beat = time;
                fastest = Some((time, plan));
            }
        }
    }
    let (_, plan) = fastest?;
    if guess != Some(plan.outline) {
        remember(&LAST_OUTLINES, *shape, plan.outline);
    }
    let (program, after, spent) = plan.program(machine, shape);
    let mut timeline = engine::run(&program);
    timeline += Timeline { time: after.total(), causes: after };
    Some(Timed { timeline, spent, plan })
}

/// The time of a plan, what follows it included; `None` where that exceeds `to_beat`.
fn time(machine: &Machine, shape: &Shape, plan: &Plan, to_beat: Femtos) -> Option<Femtos> {
    if plan.bound > to_beat {
        return None;
    }
    let (program, after, _) = plan.program(machine, shape);
    if program.bound() + after.total() > to_beat {
        return None;
    }
    let time = engine::time(&program) + after.total();
    (time <= to_beat).then_some(time)
}
