//! Invariant 3 of the design over presets and odd machines: more of anything good is never slower, more work never faster.

use super::fixtures::simulator;
use super::wild::{Dice, accelerator, cases, first_seed, network, scheme};
use crate::hardware::Accelerator;
use crate::hardware::mac_array::MacArray;
use crate::hardware::sram::OnChipBandwidth;
use crate::hardware::vector_unit::VectorUnit;
use crate::model::Model;
use crate::units::{Bandwidth, Bytes, Hertz, Picos};

/// What is changed for the better.
const BETTER: [&str; 20] = [
    "hbm bandwidth",
    "clock",
    "sram capacity",
    "cores",
    "shared capacity",
    "shared bandwidth",
    "lanes",
    "exponentials",
    "cluster barrier",
    "cluster bandwidth",
    "latency",
    "no latency",
    "accumulators",
    "work item",
    "launch",
    "barrier",
    "sram bandwidth",
    "bytes in flight",
    "overlap",
    "mac rate",
];

fn more(x: u64, dice: &mut Dice) -> u64 {
    if dice.once_in(3) { x + dice.range(1, 16) } else { x + (x / 16 * dice.log(1, 64)).max(1) }
}

fn less(t: Picos, dice: &mut Dice) -> Picos {
    Picos(t.0 - t.0.min((t.0 / 16 * dice.range(1, 16)).max(1)))
}

fn wider(bandwidth: &mut OnChipBandwidth, dice: &mut Dice) {
    *bandwidth = match *bandwidth {
        OnChipBandwidth::PerCycle(b) => OnChipBandwidth::PerCycle(more(b, dice)),
        OnChipBandwidth::PerSecond(b) => OnChipBandwidth::PerSecond(Bandwidth(more(b.0, dice))),
        OnChipBandwidth::Ideal => OnChipBandwidth::Ideal,
    };
}

fn improve(a: &mut Accelerator, what: &str, dice: &mut Dice) {
    let (c, o) = (&mut a.cores, &mut a.overheads);
    match what {
        "hbm bandwidth" => a.hbm.iter_mut().for_each(|h| h.bandwidth = Bandwidth(more(h.bandwidth.0, dice))),
        "clock" => a.clock = Hertz(more(a.clock.0, dice)),
        "sram capacity" => c.sram.capacity.iter_mut().for_each(|x| *x = Bytes(more(x.0, dice))),
        "cores" => c.count = more(c.count, dice),
        "shared capacity" => {
            a.shared_sram
                .iter_mut()
                .filter_map(|s| s.capacity.as_mut())
                .for_each(|x| *x = Bytes(more(x.0, dice)));
        }
        "shared bandwidth" => a.shared_sram.iter_mut().for_each(|s| wider(&mut s.bandwidth, dice)),
        "lanes" | "exponentials" => {
            if let VectorUnit::Lanes { lanes, exp_per_cycle, .. } = &mut c.vector_unit {
                let x = if what == "lanes" { lanes } else { exp_per_cycle };
                *x = more(*x, dice);
            }
        }
        "cluster barrier" => c.cluster.iter_mut().for_each(|x| x.barrier = less(x.barrier, dice)),
        "cluster bandwidth" => c.cluster.iter_mut().for_each(|x| wider(&mut x.bandwidth, dice)),
        "latency" => a.hbm.iter_mut().for_each(|h| h.latency = less(h.latency, dice)),
        "no latency" => a.hbm.iter_mut().for_each(|h| h.latency = Picos(0)),
        "accumulators" => c.accumulators.iter_mut().for_each(|x| *x = Bytes(more(x.0, dice))),
        "work item" => o.work_item = less(o.work_item, dice),
        "launch" => o.launch = less(o.launch, dice),
        "barrier" => o.barrier = less(o.barrier, dice),
        "sram bandwidth" => wider(&mut c.sram.bandwidth, dice),
        "bytes in flight" => c.bytes_in_flight.iter_mut().for_each(|x| *x = Bytes(more(x.0, dice))),
        "overlap" => o.overlap = 1.0,
        _ => match &mut c.mac_array {
            MacArray::Ideal => {}
            MacArray::Systolic { macs_per_cycle, .. } | MacArray::DotProduct { macs_per_cycle, .. } => {
                macs_per_cycle.iter_mut().for_each(|(_, rate)| *rate = more(*rate, dice));
            }
        },
    }
}

fn picos(a: &Accelerator, m: &Model, scheme: &str, n: u64, b: u64) -> u64 {
    simulator(a, m, scheme).point(n, b).seconds.map_or(u64::MAX, |s| s.0.0)
}

fn context_and_batch(dice: &mut Dice) -> (u64, u64) {
    (dice.log(1, 40_000), if dice.once_in(2) { dice.range(1, 4) } else { dice.log(1, 128) })
}

#[test]
fn explore() {
    let first = first_seed();
    let mut bad: std::collections::BTreeMap<&str, (u64, u64, f64, u64, String)> = Default::default();
    for seed in first..first + cases(100) {
        let mut dice = Dice::new(seed);
        let (a, m) = (accelerator(&mut dice), network(&mut dice));
        let scheme = scheme(&mut dice, &m);
        let (n, b) = context_and_batch(&mut dice);
        let before = picos(&a, &m, scheme, n, b);
        let mut note = |what: &'static str, slow: u64, fast: u64, text: String| {
            let e = bad.entry(what).or_insert((0, 0, 0.0, 0, String::new()));
            e.0 += 1;
            if fast > slow {
                e.1 += 1;
                let r = fast as f64 / slow as f64 - 1.0;
                if r > e.2 {
                    (e.2, e.3, e.4) = (r, seed, text);
                }
            }
        };
        for what in BETTER {
            let mut better = a.clone();
            improve(&mut better, what, &mut dice);
            if better == a {
                continue;
            }
            let after = picos(&better, &m, scheme, n, b);
            note(what, before, after, format!("{} {scheme} h{} n{n} b{b} {before} {after}", a.name, m.heads));
        }
        let longer = n + if dice.once_in(2) { 1 } else { dice.log(1, 500) };
        note(
            "context",
            picos(&a, &m, scheme, longer, b),
            before,
            format!("{} {scheme} h{} n{n}->{longer} b{b}", a.name, m.heads),
        );
        let wider = b + if dice.once_in(2) { 1 } else { dice.log(1, 20) };
        note(
            "batch",
            picos(&a, &m, scheme, n, wider),
            before,
            format!("{} {scheme} h{} n{n} b{b}->{wider}", a.name, m.heads),
        );
    }
    for (k, v) in bad {
        eprintln!("{k}: {} cases {} bad worst {:.5} seed {} {}", v.0, v.1, v.2, v.3, v.4);
    }
}

fn dump(a: &Accelerator, m: &Model, scheme: &str, n: u64, b: u64) {
    use crate::attention::*;
    use crate::step::OperatorTimer;
    use crate::workload::*;
    let s = Scheme::find(scheme).unwrap();
    let subject =
        Subject { attention: s.describe(m).unwrap(), model: m.clone(), precision: Precision::default() };
    let mut timer = OperatorTimer::new(crate::mapping::machine::Machine::new(a), None);
    for op in decode(&subject, &Batch::uniform(n, b)) {
        match timer.time(&subject, &op) {
            Ok(c) => eprintln!(
                "   {:18} {:>14} {:?} {:?}",
                op.name,
                c.timeline.time.0,
                c.timeline.causes.0,
                c.choice.map(|c| (
                    c.name,
                    c.split,
                    c.plan.cluster,
                    c.plan.head_groups,
                    c.plan.tile,
                    c.plan.slots,
                    c.lookahead
                ))
            ),
            Err(e) => eprintln!("   {} {e}", op.name),
        }
    }
}

#[test]
fn debug() {
    let Ok(list) = std::env::var("SLIMSIM_DEBUG") else { return };
    for item in list.split(',') {
        let (seed, only) = item.split_once(':').unwrap();
        let seed: u64 = seed.parse().unwrap();
        let mut dice = Dice::new(seed);
        let (a, m) = (accelerator(&mut dice), network(&mut dice));
        let scheme = scheme(&mut dice, &m);
        let (n, b) = context_and_batch(&mut dice);
        eprintln!(
            "### {seed} {scheme} n{n} b{b} h{} dk{} win{:?} {a:?}",
            m.heads, m.head_dim, m.sliding_window
        );
        dump(&a, &m, scheme, n, b);
        for what in BETTER {
            let mut better = a.clone();
            improve(&mut better, what, &mut dice);
            if what == only {
                eprintln!(
                    " {what} -> cores {} hbm {:?} shared {:?}",
                    better.cores.count, better.hbm, better.shared_sram
                );
                dump(&better, &m, scheme, n, b);
            }
        }
        let longer = n + if dice.once_in(2) { 1 } else { dice.log(1, 500) };
        if only == "context" {
            eprintln!(" context {longer}");
            dump(&a, &m, scheme, longer, b);
        }
        let wider = b + if dice.once_in(2) { 1 } else { dice.log(1, 20) };
        if only == "batch" {
            eprintln!(" batch {wider}");
            dump(&a, &m, scheme, n, wider);
        }
    }
}
