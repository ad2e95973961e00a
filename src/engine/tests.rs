use super::*;
use crate::mapping::program::{ArrayStage, Tile, Wave};
use proptest::prelude::*;

fn stage() -> impl Strategy<Value = ArrayStage> {
    (0u64..40, 0u64..40, any::<bool>(), 0u64..8).prop_map(|(stream, preload, preload_waits, fill)| {
        ArrayStage { stream: Femtos(stream), preload: Femtos(preload), preload_waits, fill: Femtos(fill) }
    })
}

fn tile() -> impl Strategy<Value = Tile> {
    (0u64..50, 0u64..30, stage(), 0u64..20, 0u64..30, stage(), 0u64..40).prop_map(
        |(load, rotate, scores, exchange, softmax, values, sram)| Tile {
            load: Femtos(load),
            load_cause: Cause::Bandwidth,
            rotate: Femtos(rotate),
            scores,
            exchange: Femtos(exchange),
            softmax: Femtos(softmax),
            values,
            sram: Femtos(sram),
        },
    )
}

fn wave() -> impl Strategy<Value = Wave> {
    (prop::collection::vec((tile(), 0u64..300), 1..3), 1u64..40, 0u64..10)
        .prop_map(|(runs, repeat, start)| Wave { runs, repeat, start: Femtos(start) })
}

fn program() -> impl Strategy<Value = Program> {
    (0u64..200, 1usize..9, 0usize..4, 0u64..20, prop::collection::vec(wave(), 1..3)).prop_map(
        |(latency, slots, lookahead, launch, waves)| Program {
            latency: Femtos(latency),
            slots,
            lookahead,
            launch: Femtos(launch),
            waves,
        },
    )
}

/// The busy time of each resource: no program can be faster than any of them.
fn busiest(program: &Program) -> u64 {
    let mut busy = [0u64; 6];
    for wave in &program.waves {
        for (t, count) in &wave.runs {
            let n = count * wave.repeat;
            busy[0] += n * t.load.0;
            busy[1] += n * (t.rotate.0 + t.softmax.0);
            busy[2] += n * (t.scores.stream.0 + t.values.stream.0);
            busy[3] += n * (t.scores.preload.0 + t.values.preload.0);
            busy[4] += n * t.exchange.0;
            busy[5] += n * t.sram.0;
        }
    }
    busy.into_iter().max().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fast_forward_equals_tile_by_tile(program in program()) {
        let slow = run_tile_by_tile(&program);
        prop_assert_eq!(run(&program), slow);
        prop_assert_eq!(super::time(&program), slow.time);
    }

    #[test]
    fn causes_sum_to_the_time_and_no_resource_is_outrun(program in program()) {
        let timeline = run(&program);
        prop_assert_eq!(timeline.causes.total(), timeline.time);
        prop_assert!(timeline.time.0 >= busiest(&program));
        prop_assert!(timeline.time >= program.bound());
    }

    #[test]
    fn more_slots_are_never_slower(mut program in program(), extra in 1usize..8) {
        // with look-ahead from the start: a program without it is another program
        program.slots += 3;
        let before = run(&program).time;
        program.slots += extra;
        prop_assert!(run(&program).time <= before);
    }

    #[test]
    fn with_many_slots_and_no_latency_the_busiest_resource_decides(tile in tile()) {
        let mut tile = tile;
        tile.scores.fill = Femtos(0);
        tile.values.fill = Femtos(0);
        tile.load += Femtos(1);
        let count = 20_000;
        let program = Program {
            latency: Femtos(0),
            slots: 16,
            lookahead: 3,
            launch: Femtos(0),
            waves: vec![Wave { runs: vec![(tile, count)], repeat: 1, start: Femtos(0) }],
        };
        let limit = busiest(&program) as f64;
        let time = run(&program).time.0 as f64;
        prop_assert!(time <= limit * 1.002 + 1.0, "{} against {}", time, limit);
    }
}

/// A hand-checked run: load 10, latency 5, product 4, two slots, three tiles.
#[test]
fn three_tiles_by_hand() {
    let tile = Tile {
        load: Femtos(10),
        values: ArrayStage { stream: Femtos(4), ..ArrayStage::default() },
        ..Tile::default()
    };
    let program = Program {
        latency: Femtos(5),
        slots: 2,
        lookahead: 0,
        launch: Femtos(3),
        waves: vec![Wave { runs: vec![(tile, 3)], repeat: 1, start: Femtos(0) }],
    };
    // loads end at 13, 23; tile 0 is done at 13+5+4 = 22, so its slot is free before 23: third load ends at 33,
    // arrives at 38, done at 42.
    let timeline = run(&program);
    assert_eq!(timeline.time, Femtos(42));
    let by = |cause: Cause| timeline.causes.0[cause as usize];
    assert_eq!(
        (by(Cause::Overhead), by(Cause::Bandwidth), by(Cause::Latency), by(Cause::Compute)),
        (3, 30, 5, 4)
    );
}

/// Little's law: s tiles in flight against a long latency give s tiles per round trip.
#[test]
fn bytes_in_flight_limit_the_rate() {
    let tile = Tile { load: Femtos(1), ..Tile::default() };
    let program = |slots| Program {
        latency: Femtos(99),
        slots,
        lookahead: 0,
        launch: Femtos(0),
        waves: vec![Wave { runs: vec![(tile, 100_000)], repeat: 1, start: Femtos(0) }],
    };
    for slots in [1, 2, 4, 10] {
        let per_tile = run(&program(slots)).time.0 as f64 / 1e5;
        assert!((per_tile - 100.0 / slots as f64).abs() < 0.01, "{slots} slots: {per_tile}");
    }
}
