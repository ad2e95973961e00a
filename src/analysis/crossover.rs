//! From which context, from which batch, up to how many heads a scheme wins – or never, and why.
//!
//! A scheme *wins* where its step takes less time than the baseline's; equal is not won. It wins *from* n where it wins at
//! every value from n to the end of the range, as far as the samples tell (see `search`): eight an octave, closer near 1, the
//! crossing itself to the integer. The range ends where either scheme no longer fits the machine.
//!
//! Along query tokens, the question is the order of multiplication: from how many new tokens a sequence and step (speculative decoding,
//! prefill chunks) rebuilding V of the whole context once beats projecting every weighted sum last.
//!
//! Along heads, the model is scaled at constant head dimension: KV heads, d_model and d_ffn in proportion (d_ffn to the nearest
//! multiple of 64), layers and vocabulary as they are. Such a model exists on paper only; it shows which unit gives out first
//! when more heads share a kept row.

use super::NonDefault;
use super::search::{Of, Sample, Sampler, fits_to};
use crate::attention::{BASELINE, Conditions, Scheme};
use crate::hardware::Accelerator;
use crate::ledger::Cause;
use crate::model::Model;
use crate::step::{Comparison, Point};
use crate::units::Dtype;
use crate::units::format::count;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt::Write as _;

/// Largest batch that is tried.
pub const MAX_BATCH: u64 = 1024;
/// Most query tokens that are tried.
pub const MAX_QUERY_TOKENS: u64 = 4096;
/// The orders of multiplication that query tokens decide between: the one that few favour, the one that many favour.
pub(super) const ORDERS: [&str; 2] = ["slim-k", "slim-k-recompute"];
/// Most heads that are tried.
pub const MAX_HEADS: u64 = 512;

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Along {
    /// Tokens attended, at a given batch.
    Context,
    /// Sequences, at a given context.
    Batch,
    /// Heads, at a given context and batch.
    Heads,
    /// New tokens of each sequence in a step, at a given context and batch.
    QueryTokens,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It wins at every value of the range.
    Always,
    /// It wins from a value on to the end of the range (of heads: from the smallest up to a value).
    Wins,
    /// It wins at some values, but not at the end of the range.
    InPart,
    /// It wins nowhere.
    Never,
    /// One of the two cannot run anywhere in the range.
    DoesNotRun,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The scheme.
    pub scheme: String,
    /// What it is held against.
    pub against: String,
    /// What was varied.
    pub along: Along,
    /// Tokens attended, where they were given.
    pub context: Option<u64>,
    /// Sequences, where they were given.
    pub batch: Option<u64>,
    /// What came out.
    pub verdict: Verdict,
    /// Along context and batch: the smallest value from which it wins to the end of the range.
    pub wins_from: Option<u64>,
    /// Along heads: the largest value at which it wins.
    pub wins_to: Option<u64>,
    /// The smallest value at which it wins, if only there.
    pub first_win: Option<u64>,
    /// What `wins_from` (along heads `wins_to`) would be if bandwidth alone counted: compulsory bytes at peak.
    pub bandwidth_bound: Option<u64>,
    /// First value of the range.
    pub range_from: u64,
    /// Last value at which both run.
    pub range_to: Option<u64>,
    /// Last value that was to be tried.
    pub range_asked: u64,
    /// Largest value at which the baseline fits the machine.
    pub baseline_fits_to: Option<u64>,
    /// Largest value at which the scheme fits.
    pub scheme_fits_to: Option<u64>,
    /// Where the speedup is largest.
    pub best_at: Option<u64>,
    /// The largest speedup.
    pub best_speedup: Option<f64>,
    /// Cause of most of the scheme's attention time there.
    pub limited_by: Option<String>,
    /// The answer in words.
    pub reason: String,
}

/// Everything that was asked of one machine and one model.
#[derive(Debug, Clone, Serialize)]
pub struct CrossoverDocument {
    /// Version of slimsim that made it.
    pub slimsim: String,
    /// Name of the accelerator.
    pub accelerator: String,
    /// Name of the model.
    pub model: String,
    /// Element type of the weights.
    pub weight_dtype: Dtype,
    /// Element type of the cache.
    pub cache_dtype: Dtype,
    /// Other conditions, where they are not the default ones.
    #[serde(flatten)]
    pub conditions: NonDefault,
    /// Longest context tried.
    pub max_context: u64,
    /// The answers: along context, then batch, then heads.
    pub answers: Vec<Answer>,
}

/// What is asked: every scheme but the baseline at every context and batch.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The machine.
    pub accelerator: &'a Accelerator,
    /// The model.
    pub model: &'a Model,
    /// Schemes; the baseline among them is passed over.
    pub schemes: &'a [&'static Scheme],
    /// Element types, options, plan.
    pub conditions: &'a Conditions,
    /// Contexts at which the batch is varied.
    pub contexts: &'a [u64],
    /// Contexts at which heads are varied.
    pub head_contexts: &'a [u64],
    /// Batches at which the context is varied.
    pub context_batches: &'a [u64],
    /// Contexts at which query tokens are varied: of V rebuilt first, against projecting last.
    pub query_contexts: &'a [u64],
    /// Batches at which heads and query tokens are varied.
    pub batches: &'a [u64],
    /// Longest context to try.
    pub max_context: u64,
    /// How many times as fast as the baseline a scheme must be for it to count as a win: 1, or more (or less) to allow for the error of
    /// predictions.
    pub lead: f64,
}

impl Question<'_> {
    /// Answers everything, on all threads of the pool that it is called in.
    #[must_use]
    pub fn answer(&self) -> CrossoverDocument {
        let mut asked: Vec<(&'static Scheme, Along, Option<u64>, Option<u64>)> = Vec::new();
        let baseline = &crate::attention::ALL[0];
        let schemes = || self.schemes.iter().copied().filter(|s| s.name != BASELINE);
        for scheme in schemes() {
            asked.extend(self.context_batches.iter().map(|&b| (scheme, Along::Context, None, Some(b))));
        }
        for scheme in schemes() {
            asked.extend(self.contexts.iter().map(|&n| (scheme, Along::Batch, Some(n), None)));
        }
        for scheme in schemes() {
            for &n in self.head_contexts {
                asked.extend(self.batches.iter().map(|&b| (scheme, Along::Heads, Some(n), Some(b))));
            }
        }
        let mut against = vec![baseline; asked.len()];
        if let [Some(few), Some(many)] = ORDERS.map(Scheme::find) {
            for &n in self.query_contexts {
                asked.extend(self.batches.iter().map(|&b| (many, Along::QueryTokens, Some(n), Some(b))));
            }
            against.resize(asked.len(), few);
        }
        let answers = asked
            .into_par_iter()
            .zip(against)
            .map(|((scheme, along, context, batch), against)| {
                Search { question: self, scheme, against, along, context, batch, comparison: None }.answer()
            })
            .collect();
        CrossoverDocument {
            slimsim: env!("CARGO_PKG_VERSION").to_owned(),
            accelerator: self.accelerator.name.clone(),
            model: self.model.name.clone(),
            weight_dtype: self.conditions.precision.weights,
            cache_dtype: self.conditions.precision.cache,
            conditions: NonDefault::of(self.conditions),
            max_context: self.max_context,
            answers,
        }
    }
}

/// `model` with `heads` heads at constant head dimension: KV heads, d_model and d_ffn in proportion, d_ffn to the nearest
/// multiple of 64.
#[must_use]
pub fn with_heads(model: &Model, heads: u64) -> Model {
    let scale = |value: u64| {
        let wide = u128::from(value) * u128::from(heads);
        u64::try_from((wide + u128::from(model.heads) / 2) / u128::from(model.heads)).unwrap_or(u64::MAX)
    };
    Model {
        heads,
        kv_heads: (heads / model.gqa_group()).max(1),
        d_model: scale(model.d_model),
        d_ffn: (scale(model.d_ffn).saturating_add(32) / 64 * 64).max(64),
        name: format!("{}, {heads} heads", model.name),
        ..model.clone()
    }
}

/// One question being answered.
struct Search<'a> {
    question: &'a Question<'a>,
    scheme: &'static Scheme,
    against: &'static Scheme,
    along: Along,
    context: Option<u64>,
    batch: Option<u64>,
    /// The simulators, along context and batch.
    comparison: Option<Comparison>,
}

impl Search<'_> {
    fn compare(&self, model: &Model, conditions: &Conditions) -> Comparison {
        let both: [&'static Scheme; 2] = [self.against, self.scheme];
        Comparison::new(self.question.accelerator, model, &both, conditions)
    }

    /// What the scheme is held against, and the scheme, at one value.
    fn pair(&mut self, at: u64) -> Option<(Point, Point)> {
        let (context, batch) = match self.along {
            Along::Context => (at, self.batch?),
            Along::Batch => (self.context?, at),
            Along::Heads | Along::QueryTokens => (self.context?, self.batch?),
        };
        let Question { model, conditions, .. } = *self.question;
        let points = match self.along {
            Along::Heads => {
                let heads = at * self.unit();
                self.compare(&with_heads(model, heads), conditions).points(context, batch)
            }
            Along::QueryTokens => {
                let conditions = Conditions { query_tokens: at, ..conditions.clone() };
                self.compare(model, &conditions).points(context, batch)
            }
            Along::Context | Along::Batch => {
                if self.comparison.is_none() {
                    self.comparison = Some(self.compare(model, conditions));
                }
                self.comparison.as_mut()?.points(context, batch)
            }
        };
        let mut points = points.into_iter();
        points.next().zip(points.next())
    }

    /// Heads are counted in groups that share a KV head.
    fn unit(&self) -> u64 {
        if self.along == Along::Heads { self.question.model.gqa_group() } else { 1 }
    }

    /// The smallest value to try: a context holds the new tokens at least.
    fn low(&self) -> u64 {
        if self.along == Along::Context { self.question.conditions.query_tokens } else { 1 }
    }

    fn answer(mut self) -> Answer {
        let asked = match self.along {
            Along::Context => self.question.max_context,
            Along::Batch => MAX_BATCH,
            Along::Heads => MAX_HEADS.max(2 * self.question.model.heads) / self.unit(),
            Along::QueryTokens => self.context.unwrap_or(1).min(MAX_QUERY_TOKENS),
        }
        .max(self.low());
        let low = self.low();
        let baseline = fits_to(low, asked, |at| self.pair(at).is_some_and(|(base, _)| base.feasible));
        let scheme = fits_to(low, asked, |at| self.pair(at).is_some_and(|(_, own)| own.feasible));
        let unit = self.unit();
        let mut answer = Answer {
            scheme: self.scheme.name.to_owned(),
            against: self.against.name.to_owned(),
            along: self.along,
            context: self.context,
            batch: self.batch,
            verdict: Verdict::DoesNotRun,
            wins_from: None,
            wins_to: None,
            first_win: None,
            bandwidth_bound: None,
            range_from: low * unit,
            range_to: None,
            range_asked: asked * unit,
            baseline_fits_to: baseline.map(|n| n * unit),
            scheme_fits_to: scheme.map(|n| n * unit),
            best_at: None,
            best_speedup: None,
            limited_by: None,
            reason: String::new(),
        };
        let Some(end) = baseline.zip(scheme).map(|(b, s)| b.min(s)) else {
            answer.reason = self.does_not_run(baseline.is_none());
            return answer;
        };
        answer.range_to = Some(end * unit);
        self.search(&mut answer, end);
        let best = answer.best_at.and_then(|at| self.pair(at / unit));
        let last = self.pair(end);
        answer.limited_by = best.as_ref().and_then(|(_, own)| Some(own.mapping.as_ref()?.limited_by.clone()));
        answer.reason = words(&answer, self.question.model.heads, best.as_ref(), last.as_ref());
        if self.question.lead.to_bits() != 1.0f64.to_bits() {
            let _ = write!(answer.reason, "; to win is to be more than {} times as fast", self.question.lead);
        }
        answer
    }

    fn search(&mut self, answer: &mut Answer, end: u64) {
        let unit = self.unit();
        let (along, low, lead) = (self.along, self.low(), self.question.lead);
        let evaluate = |at: u64| {
            let (base, own) = self.pair(at)?;
            let bound = base.bounds_seconds.zip(own.bounds_seconds).and_then(|(b, o)| {
                (o.bandwidth.0.0 > 0).then(|| b.bandwidth.0.as_f64() / o.bandwidth.0.as_f64())
            });
            let (base, own) = (base.seconds?.0.as_f64(), own.seconds?.0.as_f64());
            Some(Sample { speedup: base / own / lead, bound })
        };
        let mut sampler = Sampler::new(low, end, evaluate);
        for of in [Of::Speedup, Of::Bound] {
            sampler.refine(of);
        }
        let wins_last = sampler.last(Of::Speedup, true);
        answer.verdict = match wins_last {
            None => Verdict::Never,
            Some(_) if sampler.last(Of::Speedup, false).is_none() => Verdict::Always,
            Some(at) if at == end || along == Along::Heads => Verdict::Wins,
            Some(_) => Verdict::InPart,
        };
        let first = sampler.first(Of::Speedup);
        if along == Along::Heads {
            answer.wins_to = wins_last.map(|n| n * unit);
            answer.bandwidth_bound = sampler.last(Of::Bound, true).map(|n| n * unit);
        } else {
            let from = |sampler: &mut Sampler<_>, of| match sampler.last(of, false) {
                None => sampler.last(of, true).map(|_| low),
                Some(lost) => (lost < end).then_some(lost + 1),
            };
            answer.wins_from = wins_last.and_then(|_| from(&mut sampler, Of::Speedup));
            answer.bandwidth_bound = from(&mut sampler, Of::Bound);
        }
        answer.first_win = first.map(|n| n * unit).filter(|&n| Some(n) != answer.wins_from);
        if let Some((at, speedup)) = sampler.best() {
            (answer.best_at, answer.best_speedup) = (Some(at * unit), Some(speedup * lead));
        }
    }

    /// Why there is no range.
    fn does_not_run(&mut self, baseline: bool) -> String {
        let name = if baseline { self.against.name } else { self.scheme.name };
        let why = self
            .pair(self.low())
            .and_then(|(base, own)| if baseline { base.infeasible_reason } else { own.infeasible_reason });
        let why = why.unwrap_or_else(|| "no reason was given".to_owned());
        format!("{name} does not run even at the smallest {}: {why}", noun(self.along))
    }
}

const fn noun(along: Along) -> &'static str {
    match along {
        Along::Context => "context",
        Along::Batch => "batch",
        Along::Heads => "number of heads",
        Along::QueryTokens => "number of query tokens",
    }
}

const fn symbol(along: Along) -> &'static str {
    match along {
        Along::Context => "n",
        Along::Batch => "B",
        Along::Heads => "h",
        Along::QueryTokens => "q",
    }
}

/// The answer in words, for a reader who designs hardware.
fn words(
    answer: &Answer,
    heads: u64,
    best: Option<&(Point, Point)>,
    last: Option<&(Point, Point)>,
) -> String {
    let (scheme, v) = (&answer.scheme, symbol(answer.along));
    let first = count(answer.range_from);
    let end = count(answer.range_to.unwrap_or(answer.range_asked));
    let mut text = match (answer.verdict, answer.wins_from, answer.wins_to) {
        (Verdict::Always, ..) => format!("{scheme} wins at every {v} from {first} to {end}"),
        (Verdict::Wins, Some(from), _) => {
            format!("{scheme} wins from {v} = {} on, to {v} = {end}", count(from))
        }
        (Verdict::Wins, None, Some(to)) => {
            format!("{scheme} wins up to {v} = {} (the model has {})", count(to), count(heads))
        }
        (Verdict::Never, ..) => format!("{scheme} never wins from {v} = {first} to {end}"),
        _ => format!("{scheme} wins at some {v} only, and not at the end of the range, {v} = {end}"),
    };
    if let Some(first) = answer.first_win.filter(|_| answer.along != Along::Heads) {
        let _ = write!(text, "; it first wins at {v} = {} and loses again", count(first));
    }
    if let (Some(at), Some(speedup)) = (answer.best_at, answer.best_speedup) {
        let _ = write!(text, "; at best {speedup:.3}× at {v} = {}", count(at));
    }
    let alone = match (answer.bandwidth_bound, answer.along) {
        (Some(to), Along::Heads) => format!("up to {v} = {}", count(to)),
        (Some(from), _) => format!("from {v} = {} on", count(from)),
        (None, _) => "nowhere".to_owned(),
    };
    // Both orders of multiplication read the same bytes.
    if answer.along != Along::QueryTokens {
        let _ = write!(text, "; if bandwidth alone counted it would win {alone}");
    }
    text.push_str(&fits(answer, v));
    let mut show = |at: Option<u64>, shown: Option<&(Point, Point)>, layout: bool| {
        let (Some(at), Some((base, own))) = (at, shown) else { return };
        let _ = write!(text, ". At {v} = {}", count(at));
        if let (Some(of), Some(by)) = (base.seconds, own.seconds) {
            let _ = write!(text, " ({:.3}×)", of.0.seconds() / by.0.seconds());
        }
        let _ = write!(text, ": {}, {}", spends(base), spends(own));
        if let Some(mapping) = own.mapping.as_ref().filter(|_| layout) {
            let _ = write!(text, "; {scheme}: {}", mapping.reason);
        }
    };
    // Where it never wins, why not even at its best; else, and besides, what limits it at the end of the range. The layout is told
    // once, along the context, and wherever it is to blame.
    if answer.verdict == Verdict::Never && answer.best_at != answer.range_to {
        show(answer.best_at, best, true);
    }
    let loses = matches!(answer.verdict, Verdict::Never | Verdict::InPart);
    show(answer.range_to, last, loses || answer.along == Along::Context);
    text
}

/// Which of the two no longer fits, and from where.
fn fits(answer: &Answer, v: &str) -> String {
    let asked = answer.range_asked;
    let (scheme, against) = (&answer.scheme, &answer.against);
    let beyond = |end: Option<u64>| end.filter(|&n| n < asked).map(count);
    match (beyond(answer.baseline_fits_to), beyond(answer.scheme_fits_to)) {
        (Some(base), None) => {
            format!(
                "; {against} no longer fits beyond {v} = {base}, {scheme} fits to {v} = {} at least",
                count(asked)
            )
        }
        (Some(base), Some(own)) => {
            format!("; {against} no longer fits beyond {v} = {base}, {scheme} beyond {v} = {own}")
        }
        (None, Some(own)) => format!("; {scheme} no longer fits beyond {v} = {own}"),
        (None, None) => String::new(),
    }
}

/// What a step spends its time on: the two largest causes.
fn spends(point: &Point) -> String {
    let Some(causes) = point.cycles_by_cause else { return format!("{} does not run", point.scheme) };
    let total = causes.total().as_f64().max(1.0);
    let mut shares: Vec<(Cause, f64)> =
        Cause::ALL.into_iter().map(|c| (c, 100.0 * causes.get(c).as_f64() / total)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let named: Vec<String> = shares
        .iter()
        .take(2)
        .filter(|(_, share)| *share >= 1.0)
        .map(|(cause, share)| format!("{share:.0} % on {}", noun_of(*cause)))
        .collect();
    format!("{} spends {}", point.scheme, named.join(" and "))
}

const fn noun_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Compute => "the MAC array",
        Cause::Vector => "the vector unit",
        Cause::Bandwidth => "memory bandwidth",
        Cause::Latency => "memory latency",
        Cause::Sram => "on-chip SRAM",
        Cause::Exchange => "exchange between cores",
        Cause::Overhead => "launches and barriers",
        Cause::Refresh => "memory refreshes",
        Cause::RowMiss => "memory row misses",
    }
}

#[cfg(test)]
mod tests;
