//! Memories made of parts, presets and odd ones alike: what studies, services and steps on them must obey.

use std::sync::Arc;

use super::fixtures::simulator_under;
use super::wild::{Dice, accelerator, cases, conditions, first_seed, network, scheme};
use crate::config::{PresetKind, load_memory, preset_names};
use crate::hardware::hbm::address_map::AddressMap;
use crate::hardware::hbm::device::Device;
use crate::hardware::hbm::organisation::{Field, Organisation};
use crate::hardware::hbm::pattern::Pattern;
use crate::hardware::hbm::requester::Interleave;
use crate::hardware::hbm::service::Attached;
use crate::hardware::hbm::study::{Outcome, Study};
use crate::hardware::hbm::timing::{CommandBus, Timing};
use crate::units::{Bandwidth, Bytes, Picos};

/// A part that no vendor makes: any organisation and timing that a file may have, within what a study takes milliseconds for.
fn odd(dice: &mut Dice) -> Device {
    let power = |dice: &mut Dice, high: u64| 1u32 << dice.range(0, high);
    let organisation = Organisation {
        pseudo_channels: power(dice, 2),
        ranks: power(dice, 2),
        bank_groups: power(dice, 2),
        banks: power(dice, 2),
        rows: power(dice, 16),
        columns: power(dice, 8),
        burst_bytes: power(dice, 9),
    };
    let cycles = |dice: &mut Dice, high: u64| dice.log(1, high) as u32;
    let tbl = power(dice, 3);
    let tccd_s = tbl + dice.pick(&[0, 0, 2]);
    let (tras, trrd_s, twtr_s) = (cycles(dice, 80), cycles(dice, 8), cycles(dice, 12));
    let (trc, trp, trfc) = (tras + cycles(dice, 40), cycles(dice, 40), cycles(dice, 900));
    let timing = Timing {
        tck: Picos(dice.log(1, 50_000)),
        tbl,
        tcl: cycles(dice, 60),
        tcwl: cycles(dice, 60),
        trcd_read: cycles(dice, 60),
        trcd_write: cycles(dice, 60),
        trp,
        tras,
        trc,
        trtp: cycles(dice, 20),
        twr: cycles(dice, 60),
        tccd_s,
        tccd_l: tccd_s + dice.pick(&[0, 2, 7]),
        tccd_r: tccd_s + dice.pick(&[0, 1, 4]),
        trrd_s,
        trrd_l: trrd_s + dice.pick(&[0, 1, 4]),
        tfaw: cycles(dice, 60),
        twtr_s,
        twtr_l: twtr_s + dice.pick(&[0, 3]),
        trtw: cycles(dice, 30),
        tppd: cycles(dice, 4),
        trfc,
        trefi: trfc + trp + trc + dice.log(1, 60_000) as u32,
    };
    let bus = CommandBus {
        shared: dice.once_in(3),
        activate: dice.pick(&[1, 2, 3, 4]),
        row: dice.pick(&[1, 2, 3]),
        column: dice.pick(&[2, 4]),
    };
    let mut fields = Field::ALL.map(Field::name);
    for i in (1..fields.len()).rev() {
        fields.swap(i, dice.range(0, i as u64) as usize);
    }
    let map = AddressMap::parse("odd", &fields.join(" ")).expect("all are fields");
    Device {
        name: "odd".into(),
        standard: "none".into(),
        channels: dice.pick(&[1, 2, 3, 16]),
        organisation,
        timing,
        bus,
        maps: vec![map],
        queue: dice.pick(&[1, 2, 5, 32, 100]),
        source: None,
        note: None,
    }
}

fn device(dice: &mut Dice) -> Device {
    if dice.once_in(2) {
        return odd(dice);
    }
    let names: Vec<&str> = preset_names(PresetKind::Memory).collect();
    load_memory(dice.pick(&names)).expect("presets load")
}

/// Parts of a machine, with settings of their own one time in two.
pub(super) fn drawn(dice: &mut Dice) -> Attached {
    let device = device(dice);
    let map = device.maps[dice.range(0, device.maps.len() as u64 - 1) as usize].clone();
    let burst = u64::from(device.organisation.burst_bytes);
    let count = dice.range(1, 9) as u32;
    let plain = Attached::new("drawn", Arc::new(device), count).expect("it has maps");
    if dice.once_in(2) {
        return plain;
    }
    let interleave = Bytes(burst << dice.range(0, 8));
    let queue = dice.log(1, 128) as u32;
    Attached { map, interleave, queue, refresh: dice.once_in(2), ..plain }
}

fn pattern(dice: &mut Dice, burst: u64, bursts: u64) -> Pattern {
    let mut size = || burst * dice.log(1, bursts.min(1 << 12));
    let (a, b) = (size(), size());
    let percent = dice.range(1, 99);
    match dice.range(0, 5) {
        0 => Pattern::Sequential,
        1 => Pattern::Random { chunk: a },
        2 => Pattern::Strided { stride: a, access: b },
        3 => Pattern::Streams { streams: dice.log(1, bursts.min(100)), chunk: a },
        4 => Pattern::SequentialWrites { percent, run: a },
        _ if bursts * burst >= 4096 => Pattern::CacheWrites { percent, run: a },
        _ => Pattern::Random { chunk: b },
    }
}

fn study(dice: &mut Dice, device: &Device) -> Study {
    let o = &device.organisation;
    let burst = u64::from(o.burst_bytes);
    let few = dice.once_in(2);
    Study {
        pattern: pattern(dice, burst, o.bursts()),
        map: device.maps[0].clone(),
        refresh: dice.once_in(2),
        queue: dice.log(1, 128) as u32,
        bursts: if few { dice.log(1, 2_000) } else { dice.log(2_000, 200_000) },
        interleave: Interleave {
            channels: 1 << if dice.once_in(2) { dice.range(1, 3) } else { 0 },
            granularity: burst << dice.range(0, 6).min(u64::from(o.bursts().ilog2())),
            hash: dice.once_in(2),
        },
        window: dice.once_in(3).then(|| burst * dice.log(1, 200)),
        seed: dice.next(),
        whole: dice.once_in(4),
    }
}

fn writes(study: &Study) -> bool {
    matches!(study.pattern, Pattern::SequentialWrites { .. } | Pattern::CacheWrites { .. })
}

/// What no channel can beat, in picoseconds: data on the bus, four ACTs a tFAW, column commands on the bus.
fn least(device: &Device, study: &Study, outcome: &Outcome) -> f64 {
    let (t, channels) = (&device.timing, f64::from(study.interleave.channels));
    let pcs = f64::from(device.organisation.pseudo_channels) * channels;
    let (bursts, acts) = (outcome.bursts as f64, outcome.activates as f64);
    let data = bursts / pcs * f64::from(t.tbl);
    let four = ((acts / pcs - 4.0) / 4.0).max(0.0) * (f64::from(t.tfaw) - 4.0);
    let column = bursts / channels * f64::from(device.bus.column) / 2.0;
    data.max(four).max(column) * t.tck.0 as f64
}

#[test]
fn no_study_beats_its_buses() {
    let first = first_seed();
    let mut sampled = 0;
    for seed in first..first + cases(400) {
        let mut dice = Dice::new(seed);
        let device = device(&mut dice);
        let study = study(&mut dice, &device);
        let outcome = study.run(&device).unwrap_or_else(|e| panic!("seed {seed}: {e}: {study:?}"));
        let what = format!("seed {seed}: {study:?} {outcome:?} {device:?}");
        assert!(outcome.efficiency > 0.0 && outcome.efficiency <= 1.0, "{what}");
        assert!(outcome.time.0 as f64 >= 0.999 * least(&device, &study, &outcome), "{what}");
        assert!((0.0..=1.0).contains(&outcome.row_hit_rate), "{what}");
        assert!(outcome.activates <= outcome.bursts, "{what}");
        assert!(outcome.simulated <= outcome.bursts, "{what}");
        if outcome.simulated == outcome.bursts {
            // Every burst finds its row open or has it opened, but for a few whose row was closed for them and opened for another.
            let hits = outcome.row_hit_rate * outcome.bursts as f64;
            let least = if writes(&study) { 0.8 } else { 0.97 };
            assert!(hits + outcome.activates as f64 >= least * outcome.bursts as f64, "{what}");
        } else {
            sampled += 1;
        }
        assert!(study.refresh || outcome.refreshes == 0, "{what}");
        assert_eq!(study.run(&device).expect("it ran"), outcome, "the same again");
    }
    assert!(sampled > 10);
}

/// A sample gives what all bursts give, the first and the last apart; without refreshes, or with no limit to what is under way, nothing is much worse.
#[test]
fn studies_order_as_hardware_does() {
    let first = first_seed();
    for seed in first..first + cases(60) {
        let mut dice = Dice::new(seed);
        let device = device(&mut dice);
        let drawn = study(&mut dice, &device);
        let base = Study { bursts: 60_000, whole: false, ..drawn };
        let efficiency = |s: Study| s.run(&device).expect("it suits the part").efficiency;
        let sample = efficiency(base.clone());
        let what = format!("seed {seed}: {base:?} {device:?}");
        let within = |worse: f64, better: f64, by: f64, why: &str| {
            assert!(worse <= better * (1.0 + by), "{why}: {worse} against {better}, {what}");
        };
        let whole = efficiency(Study { whole: true, ..base.clone() });
        // Where reads and writes meet in a bank drifts over more than a sample holds.
        let drift = if writes(&base) { 0.1 } else { 0.03 };
        within(sample, whole, drift, "sample");
        within(whole, sample, drift, "whole");
        // A delay may drain writes in a better order.
        let by = if writes(&base) { 0.15 } else { 0.02 };
        // An odd part's refresh may take no longer than to close the rows that it closes, and channels that wait are refreshed for nothing.
        if device.name != "odd" && base.queue >= 16 && base.interleave.channels == 1 {
            within(sample, efficiency(Study { refresh: false, ..base.clone() }), by, "refresh");
        }
        within(sample, efficiency(Study { window: None, ..base.clone() }), by, "window");
    }
}

#[test]
fn shares_of_a_service_are_its_time() {
    let first = first_seed();
    for seed in first..first + cases(60) {
        let mut dice = Dice::new(seed);
        let parts = drawn(&mut dice);
        let burst = u64::from(parts.device.organisation.burst_bytes);
        let run = (!dice.once_in(3)).then(|| Bytes(dice.log(1, 1 << 20)));
        let window = dice.once_in(2).then(|| Bytes(dice.log(1, 1 << 20)));
        let service = |run, window| parts.service(run, window).expect("it suits the part");
        let found = service(run, window);
        let what = format!("seed {seed}: {run:?} {window:?} {found:?} {parts:?}");
        let lost = found.row_miss + found.refresh + found.latency;
        assert!(found.efficiency >= 1 && lost + found.efficiency <= 1_000_000_000, "{what}");
        if run.is_none_or(|r| r.0.is_multiple_of(burst)) {
            assert_eq!(lost + found.efficiency, 1_000_000_000, "{what}");
        }
        for time in [0, 1, 1_000, u64::MAX / 4] {
            let split = found.split(time);
            assert_eq!(split.data + split.row_miss + split.refresh + split.latency, time, "{what}");
        }
        assert!(parts.refresh || found.refresh == 0, "{what}");
        assert!(window.is_some() || found.latency == 0, "{what}");
        assert!(service(run, None).efficiency >= found.efficiency, "{what}");
        // Of a run that ends within a burst the rest is moved for nothing.
        if let Some(Bytes(run)) = run.filter(|r| r.0 < burst) {
            let whole = service(Some(Bytes(burst)), window).efficiency;
            let part = u128::from(whole) * u128::from(run) / u128::from(burst);
            assert_eq!(u128::from(found.efficiency), part.max(1), "{what}");
        }
    }
}

/// On memories of parts: causes sum to the cycles, no step is faster than its bounds, nor than on a flat memory of the same bandwidth, which
/// knows neither blocks nor refreshes.
#[test]
fn steps_on_parts_are_no_faster_than_on_a_flat_memory() {
    let first = first_seed();
    let (mut slower, mut refreshed) = (0, 0);
    for seed in first..first + cases(150) {
        let mut dice = Dice::new(seed);
        let (mut a, m) = (accelerator(&mut dice), network(&mut dice));
        let parts = drawn(&mut dice);
        let Some(hbm) = &mut a.hbm else { continue };
        if dice.once_in(2) {
            hbm.bandwidth =
                Bandwidth(parts.device.peak().0.saturating_mul(u64::from(parts.count)).clamp(1, 1 << 50));
        }
        hbm.parts = Some(parts);
        let mut flat = a.clone();
        flat.hbm.iter_mut().for_each(|h| h.parts = None);
        let conditions = conditions(&mut dice);
        let scheme = scheme(&mut dice, &m, &conditions);
        let n = dice.log(1, 40_000).max(conditions.query_tokens);
        let b = dice.log(1, 64);
        let point = simulator_under(&a, &m, scheme, &conditions).point(n, b);
        let without = simulator_under(&flat, &m, scheme, &conditions).point(n, b);
        let what = format!("seed {seed}: {} n {n} b {b} {conditions:?} on {a:?}", scheme.name);
        let (Some(seconds), Some(causes)) = (point.seconds, point.cycles_by_cause) else { continue };
        assert_eq!(Some(causes.total()), point.cycles, "{what}");
        let bounds = point.bounds_seconds.expect("it ran");
        assert!(seconds.0 >= bounds.bandwidth.0 && seconds.0 >= bounds.compute.0, "{what}");
        let flat_seconds = without.seconds.unwrap_or_else(|| panic!("a flat memory is no slower, {what}"));
        assert!(flat_seconds.0 <= seconds.0, "{flat_seconds:?} {seconds:?} {what}");
        let by_flat = without.cycles_by_cause.expect("it ran");
        assert_eq!((by_flat.refresh, by_flat.row_miss), Default::default(), "{what}");
        slower += u32::from(flat_seconds.0 < seconds.0);
        refreshed += u32::from(causes.refresh != Default::default());
    }
    assert!(slower > 20 && refreshed > 20, "{slower} {refreshed}");
}
