//! `slimsim crossover`: from which context and batch, and up to how many heads, a scheme wins – or never, and why.

use super::output::{self, documents};
use super::{CliError, Selectors, Study};
use crate::analysis::{Along, Answer, CrossoverDocument, Question, Verdict};
use crate::attention::BASELINE;
use crate::config::limits::MAX_CONTEXT;
use crate::model::Model;
use crate::report::{Exporter, Format, answer_columns, write_brief};
use crate::step::Comparison;
use clap::ValueEnum;
use std::io;

/// Find from which context and batch, and up to how many heads, a scheme beats the KV-cache
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Experiment file; options replace what it says
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: Option<String>,

    #[command(flatten)]
    selectors: Selectors,

    /// Longest context to try [default: what the model was made for]
    #[arg(long, value_name = "N", value_parser = super::selectors::tokens)]
    max_context: Option<u64>,

    /// What to vary [default: context, batch and heads]
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    along: Vec<What>,

    /// How many times as fast as the KV-cache counts as a win: 1.2 where a prediction may be a fifth too good
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = lead)]
    lead: f64,

    /// Only the answers, of all machines and models in one table: no words
    #[arg(long, conflicts_with = "format")]
    brief: bool,

    /// Format of the result
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = output::format)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Context, at each batch
    Context,
    /// Batch, at each context
    Batch,
    /// Heads, at each context and batch
    Heads,
    /// Query tokens, at each context and batch: V rebuilt first (slim-k-recompute) against projected last (slim-k)
    QueryTokens,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let study = self.selectors.resolve(self.experiment.as_deref())?;
        let of_schemes = self.along.is_empty() || self.along.iter().any(|w| *w != What::QueryTokens);
        if of_schemes && study.schemes.iter().all(|s| s.name == BASELINE) {
            let error = CliError::usage(format!(
                "{BASELINE} is what schemes are compared with: there is nothing to find"
            ));
            return Err(error.with_help("--scheme names others, such as slim-k"));
        }
        let results = self.selectors.on_threads(|| self.answer(&study))?;
        if self.brief {
            output::print(|out| write_brief(&results, output::width(), out))?;
        } else {
            documents(&results, self.format)?;
        }
        // A model on paper that has few heads fits everywhere: that answers nothing of what was asked.
        let asked = |a: &&Answer| a.along != Along::Heads || self.along == [What::Heads];
        let answers = || results.iter().flat_map(|d| &d.answers).filter(asked);
        if answers().any(|a| a.verdict != Verdict::DoesNotRun) {
            return Ok(());
        }
        let reason = answers().next().map_or("there is nothing to compare", |a| &a.reason);
        Err(CliError::Infeasible(reason.to_owned()))
    }

    fn answer(&self, study: &Study) -> Result<Vec<CrossoverDocument>, CliError> {
        let one = |(accelerator, model): (_, &Model)| {
            let comparison = Comparison::new(accelerator, model, &study.schemes, &study.conditions);
            if let Some(refusal) = comparison.refusal().filter(|_| study.schemes_named) {
                return Err(CliError::from(refusal.clone()));
            }
            let max_context = self.max_context.unwrap_or(model.max_context).min(MAX_CONTEXT);
            let query_tokens = study.conditions.query_tokens;
            if query_tokens > max_context {
                let message = format!(
                    "{query_tokens} query tokens are more than the longest context to try, {max_context}"
                );
                return Err(CliError::usage(message).with_help("--max-context N says how far to try"));
            }
            let wanted = |what| self.along.is_empty() || self.along.contains(&what);
            let only = |what, values: Vec<u64>| if wanted(what) { values } else { Vec::new() };
            let contexts = only(What::Batch, study.contexts_or_grid(model));
            let longest = vec![max_context];
            let head_contexts = if study.contexts.is_empty() { longest } else { study.contexts.clone() };
            let of_queries = self.along.contains(&What::QueryTokens);
            let query_contexts = if of_queries { study.contexts_or_grid(model) } else { Vec::new() };
            let question = Question {
                accelerator,
                model,
                schemes: &study.schemes,
                conditions: &study.conditions,
                head_contexts: &only(What::Heads, head_contexts),
                contexts: &contexts,
                query_contexts: &query_contexts,
                context_batches: &only(What::Context, study.batches.clone()),
                batches: &study.batches,
                max_context,
                lead: self.lead,
            };
            Ok(CrossoverDocument { conditions: study.non_default(model), ..question.answer() })
        };
        study.combinations().map(one).collect()
    }
}

/// Reads the value of `--lead`.
fn lead(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(lead) if (0.1..=10.0).contains(&lead) => Ok(lead),
        _ => Err("expected a factor from 0.1 to 10, such as 1.2".to_owned()),
    }
}

impl output::Document for CrossoverDocument {
    type Row = Answer;

    fn of(&self) -> [&str; 2] {
        [&self.accelerator, &self.model]
    }

    fn rows(&self) -> (&'static [String], &[Answer]) {
        (answer_columns(), &self.answers)
    }

    fn export(&self, exporter: &dyn Exporter, out: &mut dyn io::Write) -> io::Result<()> {
        exporter.crossover(self, out)
    }
}
