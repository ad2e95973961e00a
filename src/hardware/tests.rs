//! What a matrix unit is charged for, by hand.

use super::energy::EnergyTable;
use super::mac_array::{ArrayWork, Dataflow, MacArray, Product, Stationary};
use super::vector_unit::VectorUnit;
use crate::units::{Cycles, Dtype, VectorOps};

fn tensor_core(rates: Vec<(Dtype, u64)>) -> MacArray {
    MacArray::DotProduct { m: 64, n: 8, k: 16, latency: 32, macs_per_cycle: rates }
}

fn systolic(count: u64, dataflow: Dataflow) -> MacArray {
    let macs_per_cycle = vec![(Dtype::Bf16, 128 * 128 * count), (Dtype::Int8, 2 * 128 * 128 * count)];
    MacArray::Systolic { rows: 128, columns: 128, count, dataflow, macs_per_cycle }
}

fn product(repeats: u64, m: u64, k: u64, n: u64) -> Product {
    Product { repeats, m, k, n }
}

/// A float never runs at an integer rate; an integer runs at any rate that holds it.
#[test]
fn types_fall_back_to_types_that_can_hold_them() {
    let tpu = tensor_core(vec![(Dtype::Fp32, 10), (Dtype::Bf16, 60), (Dtype::Int8, 120)]);
    let rate = |array: &MacArray, dtype| array.macs_per_cycle(dtype);
    assert_eq!(rate(&tpu, Dtype::Fp8), Some(60), "not the int8 rate");
    assert_eq!(rate(&tpu, Dtype::Fp16), Some(60));
    assert_eq!(rate(&tpu, Dtype::Int4), Some(120));
    assert_eq!(rate(&tpu, Dtype::Int8), Some(120));
    let floats = tensor_core(vec![(Dtype::Fp32, 10), (Dtype::Fp16, 40), (Dtype::Fp8, 80)]);
    assert_eq!(rate(&floats, Dtype::Int8), Some(40), "not the fp8 rate");
    assert_eq!(rate(&floats, Dtype::Int4), Some(40));
    assert_eq!(rate(&floats, Dtype::Bf16), Some(40));
    let wide = tensor_core(vec![(Dtype::Fp32, 10)]);
    assert_eq!(rate(&wide, Dtype::Fp8), Some(10));
    let narrow = tensor_core(vec![(Dtype::Int8, 10)]);
    assert!(narrow.supports(Dtype::Int4) && !narrow.supports(Dtype::Fp8) && !narrow.supports(Dtype::Bf16));
    assert!(MacArray::Ideal.supports(Dtype::Fp8));
}

#[test]
fn energy_falls_back_as_rates_do() {
    let table = EnergyTable {
        mac_pj: vec![(Dtype::Fp32, 2.3), (Dtype::Bf16, 0.75), (Dtype::Int8, 0.15)],
        ..EnergyTable::default()
    };
    assert_eq!(table.mac(Dtype::Fp8), Some(0.75));
    assert_eq!(table.mac(Dtype::Int4), Some(0.15));
    assert_eq!(table.mac(Dtype::Fp32), Some(2.3));
    let integers = EnergyTable { mac_pj: vec![(Dtype::Int8, 0.15)], ..EnergyTable::default() };
    assert_eq!(integers.mac(Dtype::Fp8), None);
}

/// Decode scores of one head, 1×128 · 128×512: the lone query pads to 64 rows, or, with tokens on the wide side, to 8 columns.
#[test]
fn a_lone_query_pads_to_sixty_four_rows_or_to_eight_columns() {
    let array = tensor_core(vec![(Dtype::Bf16, 2048)]);
    let scores = product(1, 1, 128, 512);
    let query_wide = array.work(scores, Stationary::Left, Dtype::Bf16);
    let tokens_wide = array.work(scores, Stationary::Right, Dtype::Bf16);
    assert_eq!(query_wide.mac_slots, 64 * 128 * 512);
    assert_eq!(tokens_wide.mac_slots, 8 * 128 * 512);
    assert_eq!(tokens_wide.stream, Cycles(8 * 128 * 512 / 2048));
    // slim-k's weighted sum is one product with m = h: no padding at all for 32 heads
    let values = array.work(product(1, 32, 512, 4096), Stationary::Right, Dtype::Bf16);
    assert_eq!(values.mac_slots, 32 * 512 * 4096);
}

/// A 128×128 array takes 128 elements a cycle on either port: 3.58 TB/s of bf16 for the eight of a TPU v5p.
#[test]
fn a_weight_stationary_array_takes_a_row_of_elements_a_cycle_on_each_port() {
    let array = systolic(4, Dataflow::WeightStationary);
    // 1024 tokens of 32 heads of 128: 4 M elements of K
    let scores = product(32, 1, 128, 1024);
    let kept_held = array.work(scores, Stationary::Right, Dtype::Bf16);
    assert_eq!((kept_held.preload, kept_held.stream), (Cycles(32 * 1024 / 4), Cycles(32 * 8 / 4)));
    let query_held = array.work(scores, Stationary::Left, Dtype::Bf16);
    assert_eq!((query_held.preload, query_held.stream), (Cycles(32 * 128 / 4), Cycles(32 * 1024 / 4)));
    // narrow operands go twice as fast through both ports
    let narrow = array.work(scores, Stationary::Right, Dtype::Int8);
    assert_eq!((narrow.preload, narrow.stream), (Cycles(32 * 1024 / 8), Cycles(32 * 8 / 8)));
    let per_second = 2.0 * 128.0 * 8.0 * 1.751e9;
    assert!((per_second / 3.58e12 - 1.0_f64).abs() < 0.003);
}

/// Slots never outnumber what the busy cycles of the array offer, and never fall short of the useful work.
#[test]
fn slots_lie_between_useful_work_and_what_the_cycles_offer() {
    let arrays = [
        tensor_core(vec![(Dtype::Bf16, 2048)]),
        systolic(1, Dataflow::WeightStationary),
        systolic(4, Dataflow::WeightStationary),
        systolic(3, Dataflow::OutputStationary),
    ];
    for array in &arrays {
        for (r, m, k, n) in
            [(1, 1, 1, 1), (3, 1, 128, 130), (1, 32, 100, 4096), (25, 5, 64, 17), (2, 300, 300, 300)]
        {
            let product = product(r, m, k, n);
            for held in Stationary::BOTH {
                let ArrayWork { stream, mac_slots, .. } = array.work(product, held, Dtype::Bf16);
                let peak = array.macs_per_cycle(Dtype::Bf16).expect("a real array");
                assert!(product.macs() <= mac_slots, "{array:?} {product:?} {held:?}");
                assert!(
                    mac_slots <= stream.0 * peak,
                    "{array:?} {product:?} {held:?}: {mac_slots} in {stream:?}"
                );
            }
        }
    }
}

#[test]
fn exponentials_and_lanes_run_side_by_side() {
    let unit = VectorUnit::Lanes { lanes: 128, exp_per_cycle: 16, rotate_ops: 6 };
    assert_eq!(unit.cycles(VectorOps(1280), VectorOps(1600)), Cycles(100));
    assert_eq!(unit.cycles(VectorOps(12_801), VectorOps(1600)), Cycles(101));
    assert_eq!(unit.cycles(VectorOps(0), VectorOps(0)), Cycles(0));
}
