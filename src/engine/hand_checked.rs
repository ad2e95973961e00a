//! Small programs whose time can be followed by hand: the order of stages, look-ahead, release of slots, what a preload waits for.

use super::*;
use crate::mapping::program::{ArrayStage, Tile, Wave};

fn program(tile: Tile, tiles: u64, slots: usize, lookahead: usize) -> Program {
    Program {
        latency: Femtos(0),
        slots,
        lookahead,
        launch: Femtos(0),
        waves: vec![Wave { runs: vec![(tile, tiles)], repeat: 1, start: Femtos(0) }],
    }
}

fn stream(time: u64) -> ArrayStage {
    ArrayStage { stream: Femtos(time), ..ArrayStage::default() }
}

fn time(program: &Program) -> u64 {
    let timeline = run(program);
    assert_eq!(timeline.causes.total(), timeline.time);
    assert_eq!(timeline, run_tile_by_tile(program));
    timeline.time.0
}

/// Load 10, rotate 3, scores 5 (+1 fill), exchange 2, softmax 4, weighted sum 6 (+1 fill): one after the other for a lone tile.
#[test]
fn a_lone_tile_passes_its_stages_in_order() {
    let tile = Tile {
        load: Femtos(10),
        rotate: Femtos(3),
        scores: ArrayStage { fill: Femtos(1), ..stream(5) },
        exchange: Femtos(2),
        softmax: Femtos(4),
        values: ArrayStage { fill: Femtos(1), ..stream(6) },
        ..Tile::default()
    };
    let timeline = run(&program(tile, 1, 2, 0));
    assert_eq!(timeline.time, Femtos(10 + 3 + 6 + 2 + 4 + 7));
    let by = |cause: Cause| timeline.causes.0[cause as usize];
    assert_eq!(
        (by(Cause::Bandwidth), by(Cause::Vector), by(Cause::Compute), by(Cause::Exchange)),
        (10, 7, 13, 2)
    );
    assert_eq!(Femtos(timeline.time.0 - 10), tile.chain());
}

/// Scores 5, softmax 5, weighted sum 5, loads free. In order the array idles during every softmax: 15 a tile. Scored one ahead, the
/// next tile's scores fill that gap: 10 a tile, the array's own time.
#[test]
fn look_ahead_fills_the_array_while_the_softmax_runs() {
    let tile = Tile { scores: stream(5), softmax: Femtos(5), values: stream(5), ..Tile::default() };
    assert_eq!(time(&program(tile, 100, 4, 0)), 1500);
    assert_eq!(time(&program(tile, 100, 4, 1)), 100 * 10);
}

/// One slot: the next load waits until the weighted sum has left it; two slots: load and compute overlap.
#[test]
fn a_slot_is_free_once_its_weighted_sum_has_read_it() {
    let tile =
        Tile { load: Femtos(7), values: ArrayStage { fill: Femtos(3), ..stream(7) }, ..Tile::default() };
    assert_eq!(time(&program(tile, 10, 1, 0)), 10 * 14 + 3);
    assert_eq!(time(&program(tile, 10, 2, 0)), 11 * 7 + 3);
}

/// Weight-stationary, weighted sum with probabilities of softmax 8: held rows are preloaded while the softmax runs, held
/// probabilities only after it.
#[test]
fn held_rows_are_preloaded_early_and_held_probabilities_are_not() {
    let values =
        |waits| ArrayStage { stream: Femtos(2), preload: Femtos(6), preload_waits: waits, fill: Femtos(0) };
    let tile = |waits| Tile { load: Femtos(1), softmax: Femtos(8), values: values(waits), ..Tile::default() };
    assert_eq!(time(&program(tile(false), 1, 2, 0)), 1 + 8 + 2);
    assert_eq!(time(&program(tile(true), 1, 2, 0)), 1 + 8 + 6);
    // In the steady state the vector unit decides either way.
    assert_eq!(time(&program(tile(false), 100, 4, 1)), 1 + 800 + 2);
    assert_eq!(time(&program(tile(true), 100, 4, 1)), 1 + 800 + 6);
}

/// Both products preload the kept rows through one port: twice 4 a tile, whatever the streams take.
#[test]
fn preloads_of_both_products_share_a_port() {
    let stage = ArrayStage { stream: Femtos(1), preload: Femtos(4), preload_waits: false, fill: Femtos(0) };
    let tile = Tile { load: Femtos(1), scores: stage, values: stage, ..Tile::default() };
    assert_eq!(time(&program(tile, 1000, 8, 3)), 1 + 8 * 1000);
}

/// A wave's start holds back its loads, not what the wave before still computes.
#[test]
fn waves_overlap_with_the_compute_before_them() {
    let tile = Tile { load: Femtos(1), values: stream(10), ..Tile::default() };
    let wave = Wave { runs: vec![(tile, 1)], repeat: 5, start: Femtos(4) };
    let program = Program { waves: vec![wave], ..program(tile, 1, 4, 0) };
    assert_eq!(time(&program), 5 + 5 * 10);
}
