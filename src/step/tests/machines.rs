//! Machines whose answers are known.

use super::fixtures::*;
use crate::attention::{Conditions, Contraction, Precision, Scheme};
use crate::config::{Overrides, load_accelerator, load_model};
use crate::hardware::Accelerator;
use crate::hardware::mac_array::{Product, Stationary};
use crate::mapping::attention::Shape;
use crate::mapping::machine::Machine;
use crate::model::{Model, Position};
use crate::step::search::Choice;
use crate::step::{OperatorCost, OperatorTimer};
use crate::units::{Bytes, Dtype};
use crate::workload::{self, Batch};

/// One layer's attention operator.
fn attention(a: &Accelerator, m: &Model, scheme: &str, batch: &Batch) -> OperatorCost {
    let subject = subject(Scheme::find(scheme).expect("known"), m.clone(), Precision::default());
    let ops = workload::decode(&subject, batch);
    let op = ops.iter().find(|op| op.name == "attention").expect("every step attends");
    OperatorTimer::new(Machine::new(a), None).time(&subject, op).expect("fits")
}

fn choice(cost: &OperatorCost) -> &Choice {
    cost.choice.as_deref().expect("attention was laid out")
}

/// Eight 128×128 weight-stationary arrays take 3.58 TB/s per kind of port against 2.765 TB/s of memory: with one product's rows held and
/// the other's streaming, slim-k attention runs at 1.9 times the baseline's speed.
#[test]
fn a_systolic_machine_reaches_1_9() {
    let batch = Batch::uniform(131_072, 1);
    let base = attention(&tpu(), &llama_7b(), "kv-cache", &batch);
    let slim = attention(&tpu(), &llama_7b(), "slim-k", &batch);
    let ratio = base.timeline.time.as_f64() / slim.timeline.time.as_f64();
    assert!((1.88..2.0).contains(&ratio), "{ratio}");
    let slim = choice(&slim);
    assert_ne!(
        slim.plan.scores_held, slim.plan.values_held,
        "one product holds the rows, the other streams them"
    );
    assert_eq!((slim.name, slim.passes, slim.memory_reads), ("split", 1, 1));
    assert_eq!(slim.plan.accumulators.0, 512 << 10);
    assert!(slim.plan.accumulators_in_sram);
}

/// 32 heads of a 4096-wide row need 512 KiB of accumulators; a core with 192 has to split columns or heads.
#[test]
fn a_gpu_cannot_keep_all_heads_in_one_core() {
    for batch in [Batch::uniform(32_768, 1), Batch::uniform(4096, 8)] {
        let slim = attention(&gpu(), &llama_7b(), "slim-k", &batch);
        let c = choice(&slim);
        assert!(c.plan.cluster * c.plan.head_groups >= 4, "{c:?}");
        assert!(c.plan.accumulators.0 <= 192 << 10);
    }
    let mut roomy = gpu();
    roomy.cores.accumulators = Some(Bytes(512 << 10));
    roomy.cores.sram.capacity = Some(Bytes(8 << 20));
    roomy.cores.cluster = None;
    let slim = attention(&roomy, &llama_7b(), "slim-k", &Batch::uniform(32_768, 8));
    assert_eq!(choice(&slim).plan.head_groups, 1);
}

/// Without clusters and with little room, the rows are walked twice (scores, then weighted sums), at most once from memory.
#[test]
fn a_small_core_walks_the_rows_twice_on_chip() {
    let mut a = gpu();
    a.cores.cluster = None;
    a.cores.sram.capacity = Some(Bytes(96 << 10));
    let slim = attention(&a, &llama_7b(), "slim-k", &Batch::uniform(32_768, 1));
    let c = choice(&slim);
    assert_eq!((c.name, c.passes, c.memory_reads), ("two-pass", 2, 1));
    let rows = 32_768 * 4096 * 2;
    assert!(slim.shared.0 >= 2 * rows, "both passes go through the shared SRAM");
    assert_eq!(slim.traffic.cache_read.0, rows);
    assert_eq!(slim.traffic.cache_reread.0, 0);
    a.shared_sram = None;
    let slim = attention(&a, &llama_7b(), "slim-k", &Batch::uniform(32_768, 1));
    assert!(slim.traffic.cache_reread.0 >= rows, "without a shared SRAM the second walk is from memory");
}

/// A product of one query row pads to the unit's 8 columns with tokens on the 64 rows, and to 64 rows the other way round: never less
/// than 8 slots a useful multiply–accumulate.
#[test]
fn single_query_rows_pad_to_the_narrow_side() {
    let base = attention(&gpu(), &llama_7b(), "kv-cache", &Batch::uniform(4096, 1));
    assert!(base.mac_slots >= 8 * base.flops.attention.0 / 2);
    let a = gpu();
    let slots = |m, held| {
        let product = Product { repeats: 1, m, k: 128, n: 128 };
        a.cores.mac_array.work(product, held, Dtype::Bf16).mac_slots
    };
    assert_eq!(slots(1, Stationary::Right), 8 * 128 * 128);
    assert_eq!(slots(1, Stationary::Left), 64 * 128 * 128);
    assert_eq!(slots(32, Stationary::Right), 32 * 128 * 128);
    // P·K of 32 heads fills 32 of 32 columns: only the scores pad.
    let slim = attention(&gpu(), &llama_7b(), "slim-k", &Batch::uniform(4096, 16));
    let useful = slim.flops.attention.0 / 2;
    assert!(slim.mac_slots < 2 * useful, "{} for {useful}", slim.mac_slots);
}

/// No head's columns are cut: 12 heads on 8 cores leave the busiest with 2 heads' columns, not 12/8 of one.
#[test]
fn columns_go_to_cores_by_whole_heads() {
    let m = model(12, 64, Position::None);
    let slim = attention(&gpu(), &m, "slim-k", &Batch::uniform(4096, 4));
    let shape = one_row(12, 64);
    assert_eq!([1, 2, 4, 8].map(|c| shape.columns(768, c)), [768, 384, 192, 128]);
    // Dense scores cut columns evenly.
    let dense = Shape { scores: Contraction { slices: 1, heads: 12, width: 768 }, ..shape };
    assert_eq!(dense.columns(768, 8), 96);
    let c = choice(&slim);
    assert!(c.plan.cluster * c.plan.head_groups <= 12);
}

/// E stays on chip where that is faster, and is read from memory where what it leaves of the shared SRAM is too little for the logits of
/// many query tokens: `operators` and `run` alike.
#[test]
fn rows_that_all_layers_share_are_where_they_are_faster() {
    let mut a = load_accelerator("h100-sxm", &Overrides::default()).expect("presets load");
    a.shared_sram.as_mut().expect("it has one").capacity = Some(Bytes(40_000_000));
    let m = load_model("whisper-small", &Overrides::default()).expect("presets load");
    for (query_tokens, on_chip) in [(1, true), (16, false)] {
        let conditions = Conditions { query_tokens, ..Conditions::default() };
        let mut s = simulator_under(&a, &m, Scheme::find("slim-e").expect("known"), &conditions);
        let step = s.operators(&Batch::uniform(100, 8)).expect("runs");
        let e = 8 * 1500 * 768 * 2;
        assert_eq!((step.resident, step.shared.0), (on_chip, e), "{query_tokens} query tokens");
        let read = step.runs.iter().any(|r| r.0 == "cross_attention" && r.2.traffic.cache_read.0 == e);
        assert_eq!(read, !on_chip);
        assert_eq!(s.point(100, 8).capacity_bytes.cache_cross.0, if on_chip { 0 } else { e });
    }
}

/// Where attention takes no time, what limits it is what limits the step.
#[test]
fn attention_without_time_is_limited_by_the_memory() {
    let mapping = simulator(&ideal(), &llama_7b(), "slim-k-recompute").point(4096, 1).mapping;
    let mapping = mapping.expect("it runs");
    assert_eq!(mapping.limited_by, "bandwidth");
    assert!(
        mapping.reason.contains("takes no time: what limits the step is memory bandwidth"),
        "{mapping:?}"
    );
}

/// Tiles scored ahead keep their scores and probabilities: slots give way to them.
#[test]
fn scoring_ahead_takes_room() {
    let slim = attention(&tpu(), &llama_7b(), "slim-k", &Batch::uniform(131_072, 1));
    let mut a = gpu();
    a.cores.cluster = None;
    a.cores.accumulators = Some(Bytes(1 << 20));
    a.cores.sram.capacity = Some(Bytes(1 << 20));
    let plans = crate::mapping::attention::plans(&Machine::new(&a), &one_row(32, 128));
    let plan = plans.iter().find(|p| p.tile == 16 && p.head_groups == 1).expect("fits");
    // 1 MiB less 32·16·6 bytes of scores a tile ahead and one in work, in slots of 128 KiB.
    let slots = |tiles: u64| ((1 << 20) - tiles * 32 * 16 * 6) / (16 * 8192);
    assert_eq!(plan.lookaheads[0], Some((0, slots(1) as usize)));
    assert_eq!(plan.lookaheads[1], Some((1, slots(2) as usize)));
    assert_eq!(plan.lookaheads[2], None, "seven slots are too few to score three tiles ahead");
    assert!(choice(&slim).plan.lookaheads.iter().flatten().all(|o| o.0 < o.1));
}
