//! The search prunes by lower bounds. Here every candidate is timed, and the search must have found the fastest.

use super::fixtures::subject_under;
use super::wild::{Dice, accelerator, cases, conditions, first_seed, network, scheme};
use crate::engine;
use crate::mapping::attention::two_pass::TwoPass;
use crate::mapping::attention::{Candidate, PlanBound, Residence, SPLITS, Shape, combine, plans};
use crate::mapping::machine::Machine;
use crate::mapping::product;
use crate::step::OperatorTimer;
use crate::step::search::{self, PlanCache};
use crate::units::{Bytes, Femtos};
use crate::workload::{self, Batch, Work};

fn batch(dice: &mut Dice) -> Batch {
    if dice.once_in(2) {
        Batch::uniform(dice.log(1, 30_000), dice.log(1, 64))
    } else {
        let count = dice.range(1, 24);
        Batch::ragged(&(0..count).map(|_| dice.log(1, 20_000)).collect::<Vec<_>>())
    }
}

/// The least time of any plan, split and look-ahead in one pass; checks every bound on the way.
fn one_pass(machine: &Machine, shape: &Shape, batch: &Batch, seed: u64) -> Option<Femtos> {
    let mut best: Option<Femtos> = None;
    for plan in plans(machine, shape) {
        let bound = PlanBound::new(machine, shape, &plan, batch);
        for split in SPLITS.iter().map(|&s| s.min(batch.longest())) {
            let (mut program, _) = Candidate::new(machine, shape, &plan, split).program(batch);
            let after = combine(machine, shape, batch, split).0;
            for (ahead, slots) in plan.lookaheads.into_iter().flatten() {
                (program.lookahead, program.slots) = (ahead, slots);
                let time = engine::time(&program);
                assert!(
                    time >= program.bound(),
                    "seed {seed}: {time:?} under its program's bound, {plan:?} split {split}"
                );
                assert!(
                    time >= bound.with(split),
                    "seed {seed}: {time:?} under its plan's bound {:?}, {plan:?} split {split}",
                    bound.with(split)
                );
                let time = time + after;
                best = Some(best.map_or(time, |b| b.min(time)));
            }
        }
    }
    best
}

/// The least time of any plan of a product; checks every bound on the way.
fn product_time(machine: &Machine, shape: &product::Shape, seed: u64) -> Option<Femtos> {
    let outlines = product::outlines(machine, shape, Femtos(u64::MAX));
    let plans = outlines.into_iter().flat_map(|o| o.plans(machine, shape).map(move |p| (o, p)));
    let times = plans.map(|(outline, plan)| {
        let (program, after, _) = plan.program(machine, shape);
        let time = engine::time(&program);
        assert!(time >= program.bound(), "seed {seed}: {time:?} under its program's bound, {plan:?}");
        let time = time + after.total();
        assert!(time >= plan.bound, "seed {seed}: {time:?} under its plan's bound, {plan:?}");
        let array = &machine.spec.cores.mac_array;
        assert!(
            time >= outline.bound,
            "seed {seed}: {time:?} under its outline's bound, {outline:?} {plan:?} {array:?}"
        );
        time
    });
    times.min()
}

fn fastest(machine: &Machine, shape: &Shape, batch: &Batch, seed: u64) -> Option<Femtos> {
    let one = one_pass(machine, shape, batch, seed);
    let two = TwoPass::cuts(machine, shape, batch).into_iter().filter_map(|two| {
        let mut time = two.between(machine).0.total();
        for &(tokens, count) in &two.pieces {
            let chunk = Batch::uniform(tokens, 1);
            let blocks = |shape: Option<product::Shape>| product_time(machine, &shape?, seed);
            let scores = one_pass(machine, &two.scores, &chunk, seed);
            let scores = scores.into_iter().chain(blocks(two.scores_in_blocks(machine, tokens))).min()?;
            let values = two.values.iter().filter_map(|v| one_pass(machine, v, &chunk, seed));
            let values = values.chain(blocks(two.values_in_blocks(machine, tokens))).min()?;
            time += (scores + values - machine.launch() * 2) * count;
        }
        let bound = two.bound(machine, shape, batch);
        assert!(
            time >= bound,
            "seed {seed}: two passes take {time:?}, under their bound {bound:?}: {two:?} on {machine:?}"
        );
        Some(time)
    });
    let all_heads = shape.all_heads_a_tile().and_then(|all| one_pass(machine, &all, batch, seed));
    one.into_iter().chain(two).chain(all_heads).min()
}

#[test]
fn attention_is_the_fastest_of_all_candidates() {
    let first = first_seed();
    let mut feasible = 0;
    for seed in first..first + cases(60) {
        let mut dice = Dice::new(seed);
        let (a, model) = (accelerator(&mut dice), network(&mut dice));
        let conditions = conditions(&mut dice);
        let scheme = scheme(&mut dice, &model, &conditions);
        let subject = subject_under(scheme, model, &conditions);
        let batch = batch(&mut dice);
        let machine = Machine::new(&a);
        for op in workload::decode(&subject, &batch) {
            let Work::Attention(work) = &op.work else { continue };
            let shape = Shape::of(work, subject.precision.cache, Residence::Memory);
            let found = search::attention(&machine, &mut PlanCache::default(), &shape, &work.batch, None);
            let best = fastest(&machine, &shape, &work.batch, seed);
            let found = found.ok().map(|c| c.timeline.time);
            assert_eq!(found, best, "seed {seed} {} on {a:?}: {:?}", scheme.name, work.batch);
            feasible += u64::from(found.is_some());
        }
    }
    assert!(2 * feasible > cases(60), "too few candidates fit anything");
}

#[test]
fn products_are_the_fastest_of_all_plans() {
    let first = first_seed();
    for seed in first..first + cases(60) {
        let mut dice = Dice::new(seed);
        let (a, model) = (accelerator(&mut dice), network(&mut dice));
        let conditions = conditions(&mut dice);
        let scheme = scheme(&mut dice, &model, &conditions);
        let subject = subject_under(scheme, model, &conditions);
        let batch = batch(&mut dice);
        let machine = Machine::new(&a);
        let mut timer = OperatorTimer::new(machine.clone(), None);
        for mut op in workload::decode(&subject, &batch) {
            let Work::Product(p) = &op.work else { continue };
            let shape = product::Shape {
                product: p.shape,
                weights: p.matrix + p.extra,
                input: p.input,
                output: p.output,
                dtype: subject.precision.weights,
                input_from_memory: Bytes::ZERO,
                prefetched: a.overheads.prefetch_weights,
                pass: None,
            };
            let best = product_time(&machine, &shape, seed);
            op.vector = workload::VectorWorkItems::default();
            let found = timer.time(&subject, &op).ok().map(|c| c.timeline.time);
            assert_eq!(found, best, "seed {seed} {} on {a:?}", op.name);
        }
    }
}
