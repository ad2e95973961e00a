//! Passes over kept rows as products in blocks: a closed form on a machine checked by hand, and points that need them.

use super::fixtures::{gpu, simulator_under, subject_under};
use crate::attention::{Conditions, Scheme};
use crate::config::{Overrides, load_accelerator, load_model};
use crate::engine;
use crate::hardware::Accelerator;
use crate::hardware::mac_array::MacArray;
use crate::hardware::sram::OnChipBandwidth;
use crate::hardware::vector_unit::VectorUnit;
use crate::mapping::attention::two_pass::TwoPass;
use crate::mapping::attention::{Residence, Shape, plans};
use crate::mapping::machine::Machine;
use crate::mapping::product;
use crate::model::{Model, Position};
use crate::step::search::{Choice, PlanCache, attention};
use crate::units::{Bandwidth, Bytes, Dtype, Femtos, Hertz, Picos};
use crate::workload::{self, Batch, Work};

fn preset(name: &str) -> Accelerator {
    load_accelerator(name, &Overrides::default()).expect("presets load")
}

fn model(name: &str) -> Model {
    load_model(name, &Overrides::default()).expect("presets load")
}

/// The self-attention of `scheme` on `model`.
fn shape(model: Model, scheme: &str, query_tokens: u64) -> Shape {
    let conditions = Conditions { query_tokens, ..Conditions::default() };
    let subject = subject_under(Scheme::find(scheme).expect("known"), model, &conditions);
    let ops = workload::decode(&subject, &Batch::uniform(256, 1));
    let work = ops.iter().find_map(|op| match &op.work {
        Work::Attention(work) => Some(work.clone()),
        _ => None,
    });
    Shape::of(&work.expect("every step has attention"), Dtype::Bf16, Residence::Memory)
}

/// Four cores of 2048 multiply–accumulates a cycle at 1 GHz; nothing costs time but they and the shared SRAM.
fn four_cores(shared: u64) -> Machine {
    let mut a = gpu();
    a.clock = Hertz(1_000_000_000);
    a.cores.count = 4;
    a.cores.mac_array =
        MacArray::DotProduct { m: 16, n: 8, k: 16, latency: 0, macs_per_cycle: vec![(Dtype::Bf16, 2048)] };
    a.cores.accumulators = Some(Bytes(8 << 10));
    a.cores.vector_unit = VectorUnit::Ideal;
    a.cores.sram.capacity = Some(Bytes(1 << 20));
    a.cores.sram.bandwidth = OnChipBandwidth::Ideal;
    a.cores.load_bandwidth = None;
    a.cores.bytes_in_flight = None;
    a.cores.cluster = None;
    a.shared_sram.iter_mut().for_each(|s| s.bandwidth = OnChipBandwidth::PerSecond(Bandwidth(shared)));
    let hbm = a.hbm.as_mut().expect("it has one");
    (hbm.bandwidth, hbm.latency) = (Bandwidth(1_000_000_000_000), Picos(0));
    a.overheads = crate::hardware::Overheads::default();
    Machine::new(&a)
}

/// Nanoseconds of the plan with blocks of 16 query rows × 64 columns, 32 deep, and what it spends.
fn in_blocks(machine: &Machine, shape: &product::Shape) -> (f64, product::Spent) {
    let outlines = product::outlines(machine, shape, Femtos(u64::MAX));
    let mut plans = outlines.into_iter().flat_map(|o| o.plans(machine, shape));
    let plan = plans.find(|p| (p.rows, p.columns, p.depth, p.split) == (16, 64, 32, 1)).expect("such a plan");
    let (program, _, spent) = plan.program(machine, shape);
    (engine::time(&program).0 as f64 / 1e6, spent)
}

/// 4 heads of 64 with 16 query tokens are 64 query rows on 256 columns; 128 tokens. Scores in blocks of 16 rows × 64 tokens: four blocks
/// walk the rows, two stretches of tokens read the queries; eight items in two waves. Weighted sums in blocks of 16 rows × 64 columns:
/// four slices of columns read the probabilities, once of which is counted between the passes; sixteen items in four waves.
#[test]
fn blocks_read_both_operands_once_a_block() {
    let shape = shape(super::fixtures::model(4, 64, Position::None), "slim-x", 16);
    let (rows, queries, probabilities, sums) = (128 * 512, 64 * 256 * 2, 64 * 128 * 2, 64 * 256 * 4);
    // A byte a nanosecond, and a byte an attosecond.
    for (shared, slow) in [(1_000_000_000, true), (1_000_000_000_000_000_000, false)] {
        let machine = four_cores(shared);
        let two = &TwoPass::cuts(&machine, &shape, &Batch::uniform(128, 1))[0];
        let scores = two.scores_in_blocks(&machine, 128).expect("dense scores");
        let values = two.values_in_blocks(&machine, 128).expect("dense weighted sums of 64 rows");
        for (pass, moved, depth) in
            [(scores, 4 * rows + 2 * queries, 256), (values, 4 * rows + 3 * probabilities + 2 * sums, 128)]
        {
            let (time, spent) = in_blocks(&machine, &pass);
            assert_eq!(spent.shared, Bytes(moved));
            assert_eq!((spent.activations, spent.exchange, spent.reread), (Bytes(0), Bytes(0), Bytes(0)));
            assert_eq!(spent.mac_slots, 64 * 256 * 128);
            // 256 cycles of 2048 multiply–accumulates on four cores; behind the last load, one tile.
            let tile = 16.0 * 64.0 * 32.0 / 2048.0;
            let expected = if slow { moved as f64 + tile } else { 256.0 };
            // What the first load takes of 128 rows of 512 bytes at a byte a picosecond.
            let slack = 128.0 * 512.0 / 1000.0 / (depth / 32) as f64;
            assert!(time >= expected - 1e-3 && time <= expected + slack, "{time} against {expected}");
        }
    }
}

/// The scheme's attention at 512 tokens.
fn choice(machine: &str, model_name: &str, scheme: &str) -> Choice {
    let machine = Machine::new(&preset(machine));
    let shape = shape(model(model_name), scheme, 1);
    attention(&machine, &mut PlanCache::default(), &shape, &Batch::uniform(512, 1), None).expect("it runs")
}

/// Where 16 rows fit no core, scores are formed in blocks of columns.
#[test]
fn wide_rows_run_on_small_cores() {
    for machine in ["l40s", "a100-sxm", "mi300x"] {
        for name in ["mpt-7b-8k", "mpt-30b", "bloom"] {
            for scheme in ["slim-v", "slim-x"] {
                let fits = plans(&Machine::new(&preset(machine)), &shape(model(name), scheme, 1));
                let found = choice(machine, name, scheme);
                assert!(found.timeline.time.0 > 0);
                if fits.is_empty() {
                    assert_eq!(found.name, "two-pass", "{machine} {name} {scheme}");
                    assert!(found.blocks[0].is_some(), "{machine} {name} {scheme}: {found:?}");
                }
            }
        }
    }
    let one = Machine::new(&preset("l40s"));
    assert!(plans(&one, &shape(model("mpt-7b-8k"), "slim-v", 1)).is_empty(), "else nothing was tested");
}

/// Also where there is no shared SRAM, so that every block reads its rows from memory.
#[test]
fn wide_rows_run_without_a_shared_sram() {
    let mut a = preset("l40s");
    a.shared_sram = None;
    let conditions = Conditions::default();
    let point = simulator_under(&a, &model("mpt-7b-8k"), Scheme::find("slim-x").expect("known"), &conditions)
        .point(512, 1);
    assert!(point.feasible, "{:?}", point.infeasible_reason);
    let traffic = point.traffic_bytes.expect("it ran");
    assert!(traffic.cache_reread >= traffic.cache_read, "both passes read from memory: {traffic:?}");
}

/// 64 query tokens of slim-k on an H100: within a third and a bit of the closed-form compute bound, where slices of columns with all query
/// rows in each took four times as long.
#[test]
fn many_query_tokens_come_near_the_compute_bound() {
    let conditions = Conditions { query_tokens: 64, ..Conditions::default() };
    let slim = Scheme::find("slim-k").expect("known");
    let point =
        simulator_under(&preset("h100-sxm"), &model("codellama-7b"), slim, &conditions).point(16_384, 8);
    let (seconds, bounds) = (point.seconds.expect("it runs"), point.bounds_seconds.expect("it runs"));
    let over = seconds.0.as_f64() / bounds.compute.0.as_f64();
    assert!((1.0..1.4).contains(&over), "{over}");
}
