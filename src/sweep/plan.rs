//! A sweep made ready to run: what every combination of the axes' values is.

use super::SweepError;
use crate::attention::{self, Conditions, Options, Precision, QkNorm, Rotation, Scheme, Sparsity};
use crate::config::{
    self, AcceleratorFile, Axis, AxisTarget, AxisValue, CacheTypes, ConfigError, KernelChoice, ModelFile,
    Overrides, Sweep,
};
use crate::hardware::Accelerator;
use crate::model::Model;
use crate::step::Comparison;
use crate::step::search::PLAN_NAMES;
use crate::units::Dtype;
use rayon::prelude::*;
use std::num::NonZeroU64;

/// Most combinations of a sweep: at the speed of one core, a day and a half.
const MAX_COMBINATIONS: u64 = 1 << 31;

/// Schemes where the file names none.
const DEFAULT_SCHEMES: [&str; 2] = [attention::BASELINE, "slim-k"];

/// Something that varies: an axis of the file, or a list in its base.
#[derive(Debug, Clone)]
pub struct Dimension {
    /// Dotted path, the column's name.
    pub name: String,
    /// What it varies.
    pub target: AxisTarget,
    /// The values as text, in order.
    pub values: Vec<String>,
    /// Whether results get a column for it: axes do, and the base's lists of machines and models of more than one.
    pub column: bool,
    /// Its place among the file's axes, if it is one.
    axis: Option<usize>,
    /// What the values mean.
    choices: Vec<Choice>,
}

/// What a value of a dimension means to a combination.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// A file, or a key of one: the place among the values says which machine or model it makes.
    File,
    Context(u64),
    Batch(u64),
    QueryTokens(u64),
    Weights(Dtype),
    Cache(CacheTypes),
    Sparsity(Sparsity),
    Rotation(Rotation),
    QkNorm(QkNorm),
    BlockTokens(NonZeroU64),
    Plan(&'static str),
}

impl Choice {
    fn of(target: AxisTarget, value: &AxisValue) -> Result<Self, String> {
        Ok(match (target, value) {
            (
                AxisTarget::Accelerator | AxisTarget::Model | AxisTarget::MachineKey | AxisTarget::ModelKey,
                _,
            ) => Self::File,
            (AxisTarget::Context, AxisValue::Integer(n)) => Self::Context(*n),
            (AxisTarget::Batch, AxisValue::Integer(n)) => Self::Batch(*n),
            (AxisTarget::QueryTokens, AxisValue::Integer(n)) => Self::QueryTokens(*n),
            (AxisTarget::WeightDtype, AxisValue::Text(name)) => Self::Weights(name.parse()?),
            (AxisTarget::CacheDtype, AxisValue::Text(types)) => Self::Cache(types.parse()?),
            (AxisTarget::Sparsity, AxisValue::Float(x)) => {
                Self::Sparsity(Sparsity::new(*x).ok_or_else(|| format!("{x} is no sparsity"))?)
            }
            (AxisTarget::Rotation, AxisValue::Text(name)) => Self::Rotation(config::parse_name(name)?),
            (AxisTarget::QkNorm, AxisValue::Text(name)) => Self::QkNorm(config::parse_name(name)?),
            (AxisTarget::BlockTokens, AxisValue::Integer(n)) => {
                Self::BlockTokens(NonZeroU64::new(*n).ok_or("a block has no tokens")?)
            }
            (AxisTarget::Plan, AxisValue::Text(name)) => Self::Plan(plan_name(name)?),
            (_, value) => return Err(format!("an axis has the unexpected value '{value}'")),
        })
    }
}

impl Dimension {
    fn of_axis(index: usize, axis: &Axis) -> Result<Self, String> {
        Ok(Self {
            name: axis.path.clone(),
            target: axis.target,
            values: axis.values.iter().map(AxisValue::to_string).collect(),
            column: true,
            axis: Some(index),
            choices: axis.values.iter().map(|v| Choice::of(axis.target, v)).collect::<Result<_, _>>()?,
        })
    }

    /// A list of files of the base.
    fn of_files(name: &str, target: AxisTarget, values: &[String]) -> Self {
        Self {
            name: name.to_owned(),
            target,
            values: values.to_vec(),
            column: values.len() > 1,
            axis: None,
            choices: vec![Choice::File; values.len()],
        }
    }

    /// A list of counts of the base; results have a column for them as it is.
    fn of_counts(name: &str, target: AxisTarget, counts: &[u64], choice: fn(u64) -> Choice) -> Self {
        Self {
            name: name.to_owned(),
            target,
            values: counts.iter().map(u64::to_string).collect(),
            column: false,
            axis: None,
            choices: counts.iter().map(|&n| choice(n)).collect(),
        }
    }

    /// Whether it varies the machine.
    fn of_machine(&self) -> bool {
        matches!(self.target, AxisTarget::Accelerator | AxisTarget::MachineKey)
    }

    /// Whether it varies the model.
    fn of_model(&self) -> bool {
        matches!(self.target, AxisTarget::Model | AxisTarget::ModelKey)
    }
}

/// What two combinations may share: everything but context and batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Number of the machine among those that the sweep makes.
    pub machine: u64,
    /// Number of the model.
    pub model: u64,
    /// Element type of the weights.
    pub weights: Dtype,
    /// Element types of what schemes keep.
    pub cache: CacheTypes,
    /// How schemes are used.
    pub options: Options,
    /// New tokens of each sequence.
    pub query_tokens: u64,
    /// The plan that is forced.
    pub plan: Option<&'static str>,
}

impl Setting {
    /// Element types, options, new tokens and plan.
    #[must_use]
    pub fn conditions(&self) -> Conditions {
        Conditions {
            precision: Precision { weights: self.weights, cache: self.cache.default },
            cache_of: self.cache.own().collect(),
            options: self.options,
            query_tokens: self.query_tokens,
            plan: self.plan.map(str::to_owned),
        }
    }
}

/// One combination of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number in axis order.
    pub index: u64,
    /// Tokens attended.
    pub context: u64,
    /// Sequences in the step.
    pub batch: u64,
    /// The rest.
    pub setting: Setting,
}

/// A sweep that can run.
#[derive(Debug)]
pub struct Plan {
    sweep: Sweep,
    dimensions: Vec<Dimension>,
    schemes: Vec<&'static Scheme>,
    kernels: Option<KernelChoice>,
    accelerators: Vec<AcceleratorFile>,
    models: Vec<ModelFile>,
    plan: Option<&'static str>,
    /// How schemes are used where no axis says.
    options: Options,
    combinations: u64,
}

impl Plan {
    /// Checks a sweep read from `file`: names, and every machine and model that the axes make.
    ///
    /// # Errors
    /// Everything that makes the sweep senseless as a whole. What cannot run at some points only is left to the results.
    pub fn new(file: &str, sweep: Sweep) -> Result<Self, SweepError> {
        let input = |text: String| SweepError::Input(format!("{file}: {text}"));
        let base = &sweep.base;
        let kernels = base.kernels.as_deref().map(KernelChoice::load).transpose()?;
        let schemes = schemes(base.schemes.as_deref()).map_err(&input)?;
        let plan = base.plan.as_deref().map(plan_name).transpose().map_err(&input)?;
        let dimensions = dimensions(&sweep).map_err(&input)?;
        let combinations = dimensions
            .iter()
            .try_fold(1_u64, |n, d| n.checked_mul(d.values.len() as u64))
            .filter(|&n| n <= MAX_COMBINATIONS)
            .ok_or_else(|| {
                let sizes: Vec<String> =
                    dimensions.iter().map(|d| format!("{} {}", d.values.len(), d.name)).collect();
                let most = format!("at most {MAX_COMBINATIONS} combinations can be swept");
                input(format!("the axes have too many combinations ({}): {most}", sizes.join(" × ")))
            })?;
        let values = |target| dimensions.iter().find(|d| d.target == target).map_or(&[][..], |d| &d.values);
        let accelerators = values(AxisTarget::Accelerator);
        let accelerators: Result<_, ConfigError> =
            accelerators.iter().map(|name| AcceleratorFile::open(name)).collect();
        let models: Result<_, ConfigError> =
            values(AxisTarget::Model).iter().map(|name| ModelFile::open(name)).collect();
        let this = Self {
            kernels,
            accelerators: accelerators?,
            models: models?,
            options: sweep.base.set.options(),
            sweep,
            dimensions,
            schemes,
            plan,
            combinations,
        };
        this.check(|number| this.machine(number).err(), this.numbers(Dimension::of_machine))?;
        this.check(|number| this.model(number).err(), this.numbers(Dimension::of_model))?;
        Ok(this)
    }

    /// Resolves everything once, so that nothing can go wrong later; reports the first error in axis order.
    fn check(
        &self,
        wrong: impl Fn(u64) -> Option<ConfigError> + Sync,
        numbers: u64,
    ) -> Result<(), SweepError> {
        let first = (0..numbers).into_par_iter().find_map_first(|n| wrong(n).map(|error| (n, error)));
        let Some((at, error)) = first else { return Ok(()) };
        let others = (at + 1..numbers).into_par_iter().filter(|&n| wrong(n).is_some()).count();
        Err(SweepError::Config { error, others: others as u64 })
    }

    /// The sweep as it was read.
    #[must_use]
    pub const fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// What varies, slowest first: the file's axes, then the base's lists.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The schemes, one row each.
    #[must_use]
    pub fn schemes(&self) -> &[&'static Scheme] {
        &self.schemes
    }

    /// How many combinations there are.
    #[must_use]
    pub const fn combinations(&self) -> u64 {
        self.combinations
    }

    /// How many points: a row each.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.combinations * self.schemes.len() as u64
    }

    /// For each dimension, the index of its value at a combination.
    #[must_use]
    pub fn coordinates(&self, index: u64) -> Vec<usize> {
        let mut rest = index;
        let mut all: Vec<usize> = self
            .dimensions
            .iter()
            .rev()
            .map(|d| {
                let size = d.values.len() as u64;
                let one = rest % size;
                rest /= size;
                one as usize
            })
            .collect();
        all.reverse();
        all
    }

    /// The combination at these coordinates, the other way round.
    #[must_use]
    pub fn index(&self, coordinates: &[usize]) -> u64 {
        let sizes = self.dimensions.iter().map(|d| d.values.len() as u64);
        sizes.zip(coordinates).fold(0, |index, (size, &at)| index * size + at as u64)
    }

    /// What a combination is.
    #[must_use]
    pub fn place(&self, index: u64) -> Place {
        let base = &self.sweep.base;
        let mut place = Place {
            index,
            context: 1,
            batch: 1,
            setting: Setting {
                machine: 0,
                model: 0,
                weights: base.weight_dtype,
                cache: base.cache_dtype,
                options: self.options,
                query_tokens: base.query_tokens,
                plan: self.plan,
            },
        };
        let setting = &mut place.setting;
        for (dimension, at) in self.dimensions.iter().zip(self.coordinates(index)) {
            let size = dimension.values.len() as u64;
            if dimension.of_machine() {
                setting.machine = setting.machine * size + at as u64;
            } else if dimension.of_model() {
                setting.model = setting.model * size + at as u64;
            }
            match dimension.choices[at] {
                Choice::File => {}
                Choice::Context(n) => place.context = n,
                Choice::Batch(n) => place.batch = n,
                Choice::QueryTokens(n) => setting.query_tokens = n,
                Choice::Weights(dtype) => setting.weights = dtype,
                Choice::Cache(types) => setting.cache = types,
                Choice::Sparsity(sparsity) => setting.options.sparsity = sparsity,
                Choice::Rotation(rotation) => setting.options.rotation = rotation,
                Choice::QkNorm(qk_norm) => setting.options.qk_norm = qk_norm,
                Choice::BlockTokens(tokens) => setting.options.block_tokens = Some(tokens),
                Choice::Plan(plan) => setting.plan = Some(plan),
            }
        }
        place
    }

    /// How many combinations the dimensions have that `of` selects.
    fn numbers(&self, of: impl Fn(&Dimension) -> bool) -> u64 {
        self.dimensions.iter().filter(|d| of(d)).map(|d| d.values.len() as u64).product()
    }

    /// The file of machine or model `number`, and the overrides that make it.
    fn overrides(
        &self,
        mut number: u64,
        target: AxisTarget,
        of: impl Fn(&Dimension) -> bool,
    ) -> (usize, Overrides) {
        let mut file = 0;
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for dimension in self.dimensions.iter().rev().filter(|d| of(d)) {
            let size = dimension.values.len() as u64;
            let at = (number % size) as usize;
            number /= size;
            match dimension.axis {
                _ if dimension.target == target => file = at,
                Some(axis) => chosen.push((axis, at)),
                None => {}
            }
        }
        let mut overrides = self.sweep.base.set.clone();
        for &(axis, at) in chosen.iter().rev() {
            self.sweep.axes[axis].apply(at, &mut overrides);
        }
        (file, overrides)
    }

    /// Machine `number`.
    ///
    /// # Errors
    /// What is wrong with it; never after [`Plan::new`] has succeeded.
    pub fn machine(&self, number: u64) -> Result<Accelerator, ConfigError> {
        let (file, overrides) = self.overrides(number, AxisTarget::Accelerator, Dimension::of_machine);
        let machine = self.accelerators[file].resolve(&overrides)?;
        KernelChoice::select(self.kernels.as_ref(), machine)
    }

    /// Model `number`.
    ///
    /// # Errors
    /// What is wrong with it; never after [`Plan::new`] has succeeded.
    pub fn model(&self, number: u64) -> Result<Model, ConfigError> {
        let (file, overrides) = self.overrides(number, AxisTarget::Model, Dimension::of_model);
        self.models[file].resolve(&overrides)
    }

    /// The simulators of a setting.
    ///
    /// # Errors
    /// Never after [`Plan::new`] has succeeded.
    pub fn comparison(&self, setting: &Setting) -> Result<Comparison, ConfigError> {
        let machine = self.machine(setting.machine)?;
        let model = self.model(setting.model)?;
        Ok(Comparison::new(&machine, &model, &self.schemes, &setting.conditions()))
    }
}

/// The axes, then the lists of the base that no axis replaces.
fn dimensions(sweep: &Sweep) -> Result<Vec<Dimension>, String> {
    let base = &sweep.base;
    let mut all: Vec<Dimension> = sweep
        .axes
        .iter()
        .enumerate()
        .map(|(i, axis)| Dimension::of_axis(i, axis))
        .collect::<Result<_, _>>()?;
    let lists = [
        Dimension::of_files("accelerator", AxisTarget::Accelerator, &base.accelerators),
        Dimension::of_files("model", AxisTarget::Model, &base.models),
        Dimension::of_counts("context", AxisTarget::Context, &base.contexts, Choice::Context),
        Dimension::of_counts("batch", AxisTarget::Batch, &base.batches, Choice::Batch),
    ];
    for list in lists {
        if all.iter().any(|d| d.target == list.target) {
            continue;
        }
        if list.values.is_empty() {
            let name = list.name;
            return Err(format!(
                "no {name}: expected '{name}' under [base], or an axis of that name under [sweep]"
            ));
        }
        all.push(list);
    }
    Ok(all)
}

/// Schemes by name, each once.
fn schemes(names: Option<&[String]>) -> Result<Vec<&'static Scheme>, String> {
    let names: Vec<&str> = match names {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => DEFAULT_SCHEMES.to_vec(),
    };
    let mut found: Vec<&'static Scheme> = Vec::new();
    for name in names {
        let scheme = Scheme::find(name).ok_or_else(|| {
            let all = attention::ALL.iter().map(|s| s.name);
            unknown("scheme", name, all)
        })?;
        if !found.contains(&scheme) {
            found.push(scheme);
        }
    }
    Ok(found)
}

fn plan_name(name: &str) -> Result<&'static str, String> {
    PLAN_NAMES
        .into_iter()
        .find(|plan| *plan == name)
        .ok_or_else(|| unknown("plan", name, PLAN_NAMES.into_iter()))
}

fn unknown(what: &str, name: &str, all: impl Iterator<Item = &'static str>) -> String {
    let all: Vec<&str> = all.collect();
    let near = config::nearest(name, all.iter().copied());
    let hint = near.map_or(String::new(), |near| format!("; did you mean '{near}'?"));
    format!("unknown {what} '{name}': expected one of {}{hint}", all.join(", "))
}
