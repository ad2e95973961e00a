//! The options that say what to simulate, shared by every command that simulates, and what they resolve to.

use super::{CliError, output};
use crate::analysis::NonDefault;
use crate::attention::{self, Conditions, Precision, QkNorm, Rotation, Scheme, Sparsity, evidence};
use crate::config::limits::{MAX_BATCH, MAX_CONTEXT};
use crate::config::{self, CacheTypes, Experiment, KernelChoice, NormForm, Overrides};
use crate::hardware::Accelerator;
use crate::model::{Model, Norm};
use crate::step::search::PLAN_NAMES;
use crate::units::Dtype;
use clap::Args;

/// Schemes that are compared where none are named.
const DEFAULT_SCHEMES: [&str; 2] = [attention::BASELINE, "slim-k"];

/// The shortest context of the grid that stands in where none is asked for.
const GRID_START: u64 = 512;

/// What to simulate. Each option replaces what an experiment file says; `--set` adds to it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What to simulate")]
pub struct Selectors {
    /// Accelerator: a preset or the path of a TOML file (`slimsim list accelerators`)
    #[arg(short, long, value_name = "A", value_delimiter = ',')]
    pub accelerator: Vec<String>,

    /// Model: a preset, or the path of a TOML file or a Hugging Face config.json (`slimsim list models`)
    #[arg(short, long, value_name = "M", value_delimiter = ',')]
    pub model: Vec<String>,

    /// Tokens attended to, the new one included; 32k means 32 × 1024
    #[arg(short = 'n', long, value_name = "N", value_delimiter = ',', allow_negative_numbers = true, value_parser = tokens)]
    pub context: Vec<u64>,

    /// Sequences in a step [default: 1]
    #[arg(short, long, value_name = "B", value_delimiter = ',', allow_negative_numbers = true, value_parser = sequences)]
    pub batch: Vec<u64>,

    /// Schemes, in the order wanted [default: kv-cache,slim-k] (`slimsim list schemes`)
    #[arg(short, long, value_name = "S", value_delimiter = ',')]
    pub scheme: Vec<String>,

    /// Element type of the weights: fp32, bf16, fp16, fp8, int8, int4 [default: bf16]
    #[arg(long, value_name = "TYPE", value_parser = dtype)]
    pub weight_dtype: Option<Dtype>,

    /// Element type of the cache, of single schemes after `SCHEME=`, as in bf16,slim-k=fp32 [default: bf16]
    #[arg(long, value_name = "TYPE", value_parser = cache_types)]
    pub cache_dtype: Option<CacheTypes>,

    /// New tokens of each sequence in a step, as in speculative decoding or chunked prefill [default: 1]
    #[arg(long, value_name = "Q", allow_negative_numbers = true, value_parser = tokens)]
    pub query_tokens: Option<u64>,

    /// Encoder tokens that cross-attention attends to [default: the model's]
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = tokens)]
    pub encoder_tokens: Option<u64>,

    /// Fraction of attention weights that count as zero, from 0 to below 1 [default: 0]
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = config::parse_sparsity)]
    pub sparsity: Option<Sparsity>,

    /// Rotated keys: rotated on every read (on-read), or kept rotated and rotated back where needed (kept) [default: on-read]
    #[arg(long, value_name = "FORM", value_parser = config::parse_name::<Rotation>)]
    pub rotation: Option<Rotation>,

    /// Keys that the model normalises: normalised on every read (on-read), or kept with their scale (scale) [default: on-read]
    #[arg(long, value_name = "FORM", value_parser = config::parse_name::<QkNorm>)]
    pub qk_norm: Option<QkNorm>,

    /// RMSNorms: as the model has them (as-is), or as FlashNorm (flash) [default: as-is]
    #[arg(long, value_name = "FORM", value_parser = config::parse_name::<NormForm>)]
    pub norm: Option<NormForm>,

    /// Set a key of the accelerator, of the model after `model.`, or of the cache after `cache.`, by its dotted path
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Force the mapping plan of schemes whose heads share a row [default: the fastest]
    #[arg(long, value_name = "NAME")]
    pub plan: Option<String>,

    /// Kernel profile, accelerator file that has one, or `own`: each accelerator's [default: the free mapper]
    #[arg(long, value_name = "NAME")]
    pub kernels: Option<String>,

    /// Threads [default: all]; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// What to simulate, resolved. Every combination of a machine and a model makes a document.
#[derive(Debug, Clone)]
pub struct Study {
    /// Machines, at least one.
    pub accelerators: Vec<Accelerator>,
    /// Kernels, where any were asked for.
    pub kernels: Option<KernelChoice>,
    /// Their name.
    pub kernels_name: Option<&'static str>,
    /// Models, at least one.
    pub models: Vec<Model>,
    /// Schemes in the order asked for, at least one.
    pub schemes: Vec<&'static Scheme>,
    /// Whether the user named them: one that a model does not admit is then an error.
    pub schemes_named: bool,
    /// Tokens attended to, in the order asked for; empty where none were.
    pub contexts: Vec<u64>,
    /// Sequences in a step, in the order asked for, at least one.
    pub batches: Vec<u64>,
    /// Element types, options, new tokens, and the plan that is forced.
    pub conditions: Conditions,
    /// Element types of what schemes keep, as they are written.
    pub cache_types: CacheTypes,
    /// Overrides, those of the file before those of the command line, single options last.
    pub overrides: Overrides,
}

impl Selectors {
    /// Reads the experiment file, if there is one, puts the options over it, and loads machines and models.
    ///
    /// # Errors
    /// Whatever the user got wrong: [`CliError::Usage`] for options, [`CliError::Config`] for files.
    pub fn resolve(&self, experiment: Option<&str>) -> Result<Study, CliError> {
        let file = experiment.map(config::load_experiment).transpose()?;
        let named_in = |option: bool| if option { None } else { experiment };
        let base = file.unwrap_or_default();
        let contexts = pick(&self.context, base.contexts.clone());
        let query_tokens = self.fitting_query_tokens(&base, &contexts)?;
        let Experiment { accelerators, models, schemes, batches, kernels, plan, set, .. } = base;

        let kernels = self.kernels.as_ref().or(kernels.as_ref());
        let kernels = kernels.map(|name| KernelChoice::load(name)).transpose()?;
        let plan = self.plan.clone().or(plan);
        if let Some(name) = &plan {
            check_name("plan", name, &PLAN_NAMES, named_in(self.plan.is_some()))?;
        }
        let named: Option<Vec<String>> =
            if self.scheme.is_empty() { schemes } else { Some(self.scheme.clone()) };
        let schemes_named = named.is_some();
        let named = named.unwrap_or_else(|| DEFAULT_SCHEMES.map(str::to_owned).to_vec());
        let schemes = find_schemes(&named, named_in(!self.scheme.is_empty()))?;

        let accelerators = pick(&self.accelerator, accelerators);
        let models = pick(&self.model, models);
        missing("accelerator", accelerators.is_empty())?;
        missing("model", models.is_empty())?;
        let mut overrides = set;
        overrides.extend(&Overrides::parse(&self.set)?);
        self.push_options(&mut overrides)?;
        let accelerators = accelerators
            .iter()
            .map(|a| KernelChoice::select(kernels.as_ref(), config::load_accelerator(a, &overrides)?))
            .collect::<Result<Vec<_>, config::ConfigError>>()?;
        let models =
            models.iter().map(|m| config::load_model(m, &overrides)).collect::<Result<Vec<_>, _>>()?;

        let cache_types = self.cache_dtype.unwrap_or(base.cache_dtype);
        // Told in every document of the process, which there is one of.
        let kernels_name = kernels.as_ref().map(|kernels| &*kernels.name().to_owned().leak());
        let study = Study {
            accelerators,
            kernels,
            kernels_name,
            models,
            schemes,
            schemes_named,
            contexts,
            batches: pick(&self.batch, batches),
            conditions: Conditions {
                precision: Precision {
                    weights: self.weight_dtype.unwrap_or(base.weight_dtype),
                    cache: cache_types.default,
                },
                cache_of: cache_types.own().collect(),
                options: overrides.options(),
                query_tokens,
                plan,
            },
            cache_types,
            overrides,
        };
        study.warn();
        Ok(study)
    }

    /// New tokens, which every context asked for must hold.
    fn fitting_query_tokens(&self, file: &Experiment, contexts: &[u64]) -> Result<u64, CliError> {
        let query_tokens = self.query_tokens.unwrap_or(file.query_tokens);
        let Some(&context) = contexts.iter().find(|&&n| n < query_tokens) else { return Ok(query_tokens) };
        if self.query_tokens.is_none() {
            return Err(file.too_many_query_tokens(context).into());
        }
        let message = format!("--query-tokens {query_tokens} is more than context {context}");
        Err(CliError::usage(message).with_help("the context includes the new tokens"))
    }

    /// Adds the overrides that options of their own stand for.
    fn push_options(&self, overrides: &mut Overrides) -> Result<(), CliError> {
        if let Some(tokens) = self.encoder_tokens {
            let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
            overrides.push_option("--encoder-tokens", "model.encoder.tokens", tokens.into())?;
        }
        if let Some(sparsity) = self.sparsity {
            overrides.push_option("--sparsity", "cache.sparsity", sparsity.fraction().into())?;
        }
        if let Some(rotation) = self.rotation {
            overrides.push_option("--rotation", "cache.rotation", config::name(rotation).into())?;
        }
        if let Some(qk_norm) = self.qk_norm {
            overrides.push_option("--qk-norm", "cache.qk_norm", config::name(qk_norm).into())?;
        }
        if let Some(norm) = self.norm {
            overrides.push_norm(norm);
        }
        Ok(())
    }

    /// Runs `work` on as many threads as asked for.
    ///
    /// # Errors
    /// Those of `work`; [`CliError::Internal`] where the system gives no threads.
    pub fn on_threads<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, CliError> + Send,
    ) -> Result<T, CliError> {
        let Some(threads) = self.threads else { return work() };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.into())
            .build()
            .map_err(|e| CliError::usage(format!("cannot start {threads} threads: {e}")))?;
        pool.install(work)
    }
}

impl Study {
    /// Every combination of a machine and a model, machines outermost.
    pub fn combinations(&self) -> impl Iterator<Item = (&Accelerator, &Model)> {
        self.accelerators.iter().flat_map(|a| self.models.iter().map(move |m| (a, m)))
    }

    /// What a document about `model` says of the conditions, where they are not the default ones.
    #[must_use]
    pub fn non_default(&self, model: &Model) -> NonDefault {
        let flash = self.overrides.flash_norm() && model.norm == Norm::FlashRms;
        let tokens = model.encoder.map(|e| e.tokens).filter(|_| self.overrides.set_encoder_tokens());
        NonDefault {
            kernels: self.kernels_name,
            encoder_tokens: tokens,
            norm: flash.then_some(NormForm::Flash),
            ..NonDefault::of(&self.conditions)
        }
    }

    /// The contexts asked for.
    ///
    /// # Errors
    /// [`CliError::Usage`] where none were.
    pub fn require_contexts(&self) -> Result<&[u64], CliError> {
        if self.contexts.is_empty() {
            return Err(CliError::usage("no context given").with_help(
                "--context N (or `context` in the experiment file) says how many tokens are attended to",
            ));
        }
        Ok(&self.contexts)
    }

    /// The contexts asked for, or a grid of powers of two from 512 to the longest that `model` was made for.
    #[must_use]
    pub fn contexts_or_grid(&self, model: &Model) -> Vec<u64> {
        if !self.contexts.is_empty() {
            return self.contexts.clone();
        }
        let top = model.max_context;
        let least = self.conditions.query_tokens;
        let mut grid: Vec<u64> = std::iter::successors(Some(GRID_START), |&n| Some(n * 2))
            .take_while(|&n| n < top)
            .filter(|&n| n >= least)
            .collect();
        grid.push(top);
        grid
    }

    /// Says what published measurements speak against, and what is asked for beyond what a model was made for: it is simulated all the
    /// same.
    fn warn(&self) {
        for model in &self.models {
            let unsound = self.schemes.iter().filter_map(|scheme| {
                let dtype = self.conditions.precision_of(scheme).cache;
                evidence::warning(model, scheme, self.conditions.options, dtype)
            });
            unsound.for_each(|why| output::note(&format!("warning: {why}")));
        }
        let Some(&longest) = self.contexts.iter().max() else { return };
        for model in self.models.iter().filter(|m| longest > m.max_context) {
            output::note(&format!(
                "warning: context {longest} is longer than the {} tokens that {} was made for",
                model.max_context, model.name
            ));
        }
    }
}

/// What the command line says, else what the file says.
fn pick<T: Clone>(option: &[T], file: Vec<T>) -> Vec<T> {
    if option.is_empty() { file } else { option.to_vec() }
}

fn missing(what: &str, is_missing: bool) -> Result<(), CliError> {
    if !is_missing {
        return Ok(());
    }
    Err(CliError::usage(format!("no {what} given")).with_help(format!(
        "--{what} takes a preset or the path of a file; 'slimsim list {what}s' shows the presets"
    )))
}

/// The schemes of these names.
fn find_schemes(names: &[String], file: Option<&str>) -> Result<Vec<&'static Scheme>, CliError> {
    let known: Vec<&str> = attention::ALL.iter().map(|s| s.name).collect();
    names
        .iter()
        .map(|name| {
            check_name("scheme", name, &known, file)?;
            Scheme::find(name).ok_or_else(|| CliError::usage(format!("unknown scheme '{name}'")))
        })
        .collect()
}

/// Refuses a name that is not among those known; `file` is where it stands, if not on the command line.
fn check_name(what: &str, name: &str, known: &[&str], file: Option<&str>) -> Result<(), CliError> {
    if known.contains(&name) {
        return Ok(());
    }
    let place = file.map_or_else(|| format!("--{what}: "), |file| format!("{file}: "));
    let message = format!("{place}unknown {what} '{name}'; expected one of {}", known.join(", "));
    let error = CliError::usage(message);
    Err(match config::nearest(name, known.iter().copied()) {
        Some(near) => error.with_help(format!("did you mean '{near}'?")),
        None => error,
    })
}

/// A positive count up to `most`, `k` and `M` meaning 1024 and 1024².
fn count(text: &str, most: u64) -> Result<u64, String> {
    let expected = || format!("expected a whole number from 1 to {most}, such as 4096 or 32k");
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let only_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let value = digits.parse::<u64>().ok().filter(|_| only_digits).and_then(|n| n.checked_mul(unit));
    value.filter(|n| (1..=most).contains(n)).ok_or_else(expected)
}

pub(super) fn tokens(text: &str) -> Result<u64, String> {
    count(text, MAX_CONTEXT)
}

fn sequences(text: &str) -> Result<u64, String> {
    count(text, MAX_BATCH)
}

fn dtype(text: &str) -> Result<Dtype, String> {
    text.parse()
}

fn cache_types(text: &str) -> Result<CacheTypes, String> {
    text.parse()
}
