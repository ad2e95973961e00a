#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::config::{Overrides, load_accelerator, load_model};

struct Case {
    accelerator: Accelerator,
    model: Model,
    schemes: Vec<&'static Scheme>,
    conditions: Conditions,
}

fn case(accelerator: &str, model: &str, scheme: &str, set: &[&str]) -> Case {
    let set = Overrides::parse(set).unwrap();
    Case {
        accelerator: load_accelerator(accelerator, &set).unwrap(),
        model: load_model(model, &set).unwrap(),
        schemes: vec![Scheme::find(scheme).unwrap()],
        conditions: Conditions::default(),
    }
}

impl Case {
    fn ask(&self, contexts: &[u64], batches: &[u64], heads: &[u64], max_context: u64) -> Vec<Answer> {
        let question = Question {
            accelerator: &self.accelerator,
            model: &self.model,
            schemes: &self.schemes,
            conditions: &self.conditions,
            contexts,
            head_contexts: heads,
            query_contexts: &[],
            context_batches: batches,
            batches,
            max_context,
            lead: 1.0,
        };
        question.answer().answers
    }

    /// At every context, or every batch, whether the scheme wins; in a plain loop.
    fn won(&self, at: impl Iterator<Item = (u64, u64)>) -> Vec<bool> {
        let both = [Scheme::find(BASELINE).unwrap(), self.schemes[0]];
        let mut comparison = Comparison::new(&self.accelerator, &self.model, &both, &Conditions::default());
        at.map(|(n, b)| {
            let points = comparison.points(n, b);
            points[1].seconds.unwrap() < points[0].seconds.unwrap()
        })
        .collect()
    }
}

fn expected(won: &[bool]) -> (Option<u64>, Option<u64>) {
    let last_lost = won.iter().rposition(|w| !w);
    let from = last_lost.map_or(1, |at| at as u64 + 2);
    let from = (from <= won.len() as u64).then_some(from);
    let first = won.iter().position(|&w| w).map(|at| at as u64 + 1);
    (from, first.filter(|&n| Some(n) != from))
}

#[test]
fn contexts_are_those_of_a_plain_loop() {
    let mut crossed = 0;
    for machine in ["h100-sxm", "a100-sxm", "tpu-v5p", "l40s", "ideal-memory-bound"] {
        let case = case(machine, "codellama-7b", "slim-k", &[]);
        for batch in [1, 4, 8] {
            let won = case.won((1..=600).map(|n| (n, batch)));
            let (from, first) = expected(&won);
            let answers = case.ask(&[], &[batch], &[], 600);
            let answer = &answers[0];
            assert_eq!(
                (answer.wins_from, answer.first_win),
                (from, first),
                "{machine}, batch {batch}: {}",
                answer.reason
            );
            let verdict = match (won.iter().all(|w| *w), won.iter().any(|w| *w), won[599]) {
                (true, ..) => Verdict::Always,
                (_, false, _) => Verdict::Never,
                (_, _, true) => Verdict::Wins,
                _ => Verdict::InPart,
            };
            assert_eq!(answer.verdict, verdict, "{machine}, batch {batch}");
            crossed += u64::from(verdict == Verdict::Wins);
        }
    }
    assert!(crossed > 2, "machines without a crossing would test nothing: {crossed}");
}

#[test]
fn batches_are_those_of_a_plain_loop() {
    let mut crossed = 0;
    for (machine, context) in [("h100-sxm", 256), ("a100-sxm", 128), ("tpu-v5p", 300)] {
        let case = case(machine, "codellama-7b", "slim-k", &[]);
        let answers = case.ask(&[context], &[], &[], 4096);
        let answer = &answers[0];
        let end = answer.range_to.unwrap();
        let (from, first) = expected(&case.won((1..=end).map(|b| (context, b))));
        assert_eq!((answer.wins_from, answer.first_win), (from, first), "{machine}: {}", answer.reason);
        crossed += u64::from(from.is_some_and(|b| b > 1));
    }
    assert!(crossed > 0);
}

#[test]
fn on_the_ideal_machine_the_bound_is_the_answer() {
    let case = case("ideal-memory-bound", "codellama-7b", "slim-k", &[]);
    let answers = case.ask(&[64], &[1, 16], &[1024], 16384);
    for answer in answers.iter().filter(|a| a.along != Along::Heads) {
        assert_eq!(answer.verdict, Verdict::Always, "{}", answer.reason);
        assert_eq!((answer.wins_from, answer.bandwidth_bound), (Some(1), Some(1)));
    }
    let heads = answers.iter().find(|a| a.along == Along::Heads).unwrap();
    assert_eq!(heads.wins_to, heads.range_to, "half the cache wins at any number of heads");
}

#[test]
fn never_comes_with_the_reason() {
    // Recomputing V for the whole context in every step is compute-bound at any length.
    let case = case("h100-sxm", "codellama-7b", "slim-k-recompute", &[]);
    let answers = case.ask(&[4096], &[1], &[], 16384);
    for answer in &answers {
        assert_eq!(answer.verdict, Verdict::Never);
        assert_eq!((answer.wins_from, answer.first_win), (None, None));
        let best = answer.best_speedup.unwrap();
        assert!(best <= 1.0, "{best}");
        for word in ["never wins", "at best", "if bandwidth alone counted", "limited by", "the MAC array"] {
            assert!(answer.reason.contains(word), "no '{word}' in: {}", answer.reason);
        }
    }
    assert!(answers[0].bandwidth_bound.is_some(), "fewer bytes are read: bandwidth alone would let it win");
}

#[test]
fn the_range_ends_where_one_no_longer_fits() {
    let case = case("h100-sxm", "codellama-7b", "slim-k", &["hbm.capacity=16 GB"]);
    let answers = case.ask(&[512], &[1], &[], 16384);
    let answer = &answers[0];
    let (base, own) = (answer.baseline_fits_to.unwrap(), answer.scheme_fits_to.unwrap());
    assert!(base < own && own < 16384, "{base} {own}");
    assert_eq!(answer.range_to, Some(base));
    let told =
        format!("kv-cache no longer fits beyond n = {}, slim-k beyond n = {}", count(base), count(own));
    assert!(answer.reason.contains(&told), "{}", answer.reason);
    let both = [Scheme::find(BASELINE).unwrap(), case.schemes[0]];
    let mut comparison = Comparison::new(&case.accelerator, &case.model, &both, &Conditions::default());
    for (at, fits) in
        [(base, [true, true]), (base + 1, [false, true]), (own, [false, true]), (own + 1, [false, false])]
    {
        let points = comparison.points(at, 1);
        assert_eq!([points[0].feasible, points[1].feasible], fits, "{at}");
    }
    let small = self::case("h100-sxm", "codellama-7b", "slim-k", &["hbm.capacity=8 GB"]);
    let answer = &small.ask(&[], &[1], &[], 1024)[0];
    assert_eq!((answer.verdict, answer.range_to), (Verdict::DoesNotRun, None));
    assert!(answer.reason.contains("the weights alone do not fit"), "{}", answer.reason);
}

#[test]
fn more_heads_share_a_row_until_compute_gives_out() {
    let case = case("h100-sxm", "codellama-7b", "slim-k", &["hbm.capacity=100 TB"]);
    let answers = case.ask(&[], &[1], &[65536], 65536);
    let heads = answers.iter().find(|a| a.along == Along::Heads).unwrap();
    let won = |h: u64| {
        let model = with_heads(&case.model, h);
        let scaled = Case {
            accelerator: case.accelerator.clone(),
            model,
            schemes: case.schemes.clone(),
            conditions: Conditions::default(),
        };
        scaled.won(std::iter::once((65536, 1)))[0]
    };
    let to = heads.wins_to.unwrap();
    assert!(won(to), "{to}: {}", heads.reason);
    assert!(to == heads.range_to.unwrap() || !won(to + 1), "{to}");
}

#[test]
fn heads_scale_the_model_at_constant_head_dimension() {
    let model = case("h100-sxm", "codellama-7b", "slim-k", &[]).model;
    assert_eq!(
        with_heads(&model, model.heads),
        Model { name: "codellama-7b, 32 heads".into(), ..model.clone() }
    );
    let half = with_heads(&model, 16);
    assert_eq!((half.heads, half.kv_heads, half.head_dim, half.d_model), (16, 16, 128, 2048));
    assert_eq!(half.d_ffn, 5504);
    let grouped = case("h100-sxm", "gemma2-9b", "slim-k", &[]);
    assert_eq!(with_heads(&grouped.model, 64).kv_heads, 4 * grouped.model.kv_heads);
}
