//! Published figures against simulated ones: each cell of a [`PaperTable`] measured on an ideal machine and on another one.
//!
//! No figure is computed here but by the expression that the table gives, from the points of [`crate::step`].

use crate::attention::{self, Conditions, Options, Precision, Scheme, Sparsity};
use crate::config::paper::{Expression, Figure, Measured, PaperCell, PaperTable, Quantity, Size};
use crate::hardware::Accelerator;
use crate::model::Model;
use crate::step::{Point, SetupError, Simulator};
use crate::units::Dtype;
use crate::workload::Batch;
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::rc::Rc;
use std::sync::Arc;

/// One published figure, and what was simulated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellResult {
    /// Heading of the row.
    pub row: String,
    /// Heading of the column.
    pub column: String,
    /// What was printed: a number, a formula, yes or no.
    pub paper: String,
    /// Its value; of a formula, with the sizes put in.
    pub paper_value: f64,
    /// Unit behind the numbers.
    pub unit: Option<String>,
    /// What is measured.
    pub quantity: String,
    /// The model.
    pub model: String,
    /// The scheme, where the quantity does not name one.
    pub scheme: &'static str,
    /// Tokens attended to.
    pub context: u64,
    /// Sequences in the step.
    pub batch: u64,
    /// The machine that `simulated` is of.
    pub simulated_on: String,
    /// Measured on the ideal machine (or on the one that the figure is about), the model without norms and biases.
    pub simulated: Option<f64>,
    /// What norms and biases add to it.
    pub norms_and_biases: Option<f64>,
    /// Measured on the other machine, the model with norms and biases; `null` where the figure is about a machine itself.
    pub on_accelerator: Option<f64>,
    /// Why there is no number, where one is missing.
    pub missing_because: Option<String>,
    /// Whether `simulated` rounds to what was printed.
    pub agrees: bool,
    /// Why not, where it does not.
    pub explanation: Option<String>,
    /// Decimals that were printed; `None` of a formula.
    #[serde(skip)]
    pub decimals: Option<usize>,
    /// Whether it is a question of yes or no.
    #[serde(skip)]
    pub is_answer: bool,
}

impl CellResult {
    /// Whether it disagrees and nothing says why.
    #[must_use]
    pub const fn unexplained(&self) -> bool {
        !self.agrees && self.explanation.is_none()
    }
}

/// A table with its results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableResult {
    /// Its number in the paper, or a word.
    pub table: String,
    /// What it is about.
    pub title: String,
    /// Where it was published.
    pub source: String,
    /// What is left out, or read in another way.
    pub note: Option<String>,
    /// The cells, row by row.
    pub cells: Vec<CellResult>,
}

/// What became of all tables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PaperDocument {
    /// Version that compared.
    pub slimsim: String,
    /// The ideal machine.
    pub ideal: String,
    /// The other machine.
    pub accelerator: String,
    /// Element type of weights and cache.
    pub dtype: Dtype,
    /// Cells that agree.
    pub agree: usize,
    /// Cells that do not, with an explanation.
    pub explained: usize,
    /// Cells that do not, without one.
    pub unexplained: usize,
    /// The tables.
    pub tables: Vec<TableResult>,
}

/// One byte an element, so that bytes are elements.
const DTYPE: Dtype = Dtype::Int8;

/// Measures every cell of `tables` on `ideal` and on `other`.
#[must_use]
pub fn compare(tables: &[PaperTable], ideal: &Accelerator, other: &Accelerator) -> PaperDocument {
    let tables: Vec<TableResult> = tables.iter().map(|table| compare_table(table, ideal, other)).collect();
    let count = |of: fn(&CellResult) -> bool| {
        tables.iter().flat_map(|table| &table.cells).filter(|cell| of(cell)).count()
    };
    PaperDocument {
        slimsim: env!("CARGO_PKG_VERSION").to_owned(),
        ideal: ideal.name.clone(),
        accelerator: other.name.clone(),
        dtype: DTYPE,
        agree: count(|cell| cell.agrees),
        explained: count(|cell| !cell.agrees && cell.explanation.is_some()),
        unexplained: count(CellResult::unexplained),
        tables,
    }
}

fn compare_table(table: &PaperTable, ideal: &Accelerator, other: &Accelerator) -> TableResult {
    // Cells of one model share points; models do not.
    let mut models: Vec<*const Model> = Vec::new();
    let group = |cell: &PaperCell| Arc::as_ptr(&cell.model);
    for cell in &table.cells {
        if !models.contains(&group(cell)) {
            models.push(group(cell));
        }
    }
    let jobs: Vec<Vec<&PaperCell>> =
        models.iter().map(|&model| table.cells.iter().filter(|c| group(c) == model).collect()).collect();
    let results: Vec<Vec<CellResult>> = jobs
        .par_iter()
        .map(|cells| {
            let mut bench = Bench::default();
            cells.iter().map(|cell| bench.compare(cell, ideal, other)).collect()
        })
        .collect();
    let mut results: Vec<_> = results.into_iter().map(Vec::into_iter).collect();
    let in_order = table.cells.iter().filter_map(|cell| {
        let at = models.iter().position(|&model| model == group(cell))?;
        results[at].next()
    });
    TableResult {
        table: table.table.clone(),
        title: table.title.clone(),
        source: table.source.clone(),
        note: table.note.clone(),
        cells: in_order.collect(),
    }
}

/// Where a quantity is measured.
#[derive(Clone, Copy)]
struct Place<'a> {
    accelerator: &'a Accelerator,
    model: &'a Model,
    scheme: &'static Scheme,
    sparsity: Sparsity,
    context: u64,
    batch: u64,
}

/// Machine, model, scheme and sparsity: what a simulator is set up for. Machine and model by address: they outlive the bench.
type Subject = (usize, usize, &'static str, Sparsity);

impl Place<'_> {
    fn subject(&self) -> Subject {
        let (machine, model) = (std::ptr::from_ref(self.accelerator), std::ptr::from_ref(self.model));
        (machine.addr(), model.addr(), self.scheme.name, self.sparsity)
    }
}

/// Simulators and points that have been asked for.
#[derive(Default)]
struct Bench {
    simulators: FxHashMap<Subject, Result<Simulator, SetupError>>,
    points: FxHashMap<(Subject, u64, u64), Rc<Point>>,
}

impl Bench {
    fn compare(&mut self, cell: &PaperCell, ideal: &Accelerator, other: &Accelerator) -> CellResult {
        let machine = cell.accelerator.as_deref().unwrap_or(ideal);
        let mut value = |accelerator, model| {
            let place = Place {
                accelerator,
                model,
                scheme: cell.scheme,
                sparsity: cell.sparsity,
                context: cell.context,
                batch: cell.batch,
            };
            self.evaluate(&cell.quantity, place)
        };
        let simulated = value(machine, &cell.bare);
        let complete = value(machine, &cell.model);
        // A figure about a machine has nothing to say about another one.
        let elsewhere = cell.accelerator.is_none().then(|| value(other, &cell.model));
        let paper_value = match &cell.figure {
            Figure::Printed { value, .. } => *value,
            Figure::Answer(yes) => f64::from(*yes),
            Figure::Formula(formula) => formula
                .evaluate(&|s| size(s, &cell.model, cell.context, cell.batch), &mut |_| Err(()))
                .unwrap_or(f64::NAN),
        };
        let agrees = simulated.as_ref().is_ok_and(|&x| cell.figure.agrees(paper_value, x));
        let missing = [simulated.as_ref().err(), elsewhere.as_ref().and_then(|e| e.as_ref().err())];
        let missing_because = missing.into_iter().flatten().next().cloned();
        CellResult {
            row: cell.row.clone(),
            column: cell.column.clone(),
            paper: cell.figure.text().to_owned(),
            paper_value,
            unit: cell.unit.clone(),
            quantity: cell.quantity.text().to_owned(),
            model: cell.model.name.clone(),
            scheme: cell.scheme.name,
            context: cell.context,
            batch: cell.batch,
            simulated_on: machine.name.clone(),
            norms_and_biases: simulated.as_ref().ok().zip(complete.ok()).map(|(bare, full)| full - bare),
            missing_because,
            simulated: simulated.ok(),
            on_accelerator: elsewhere.and_then(Result::ok),
            agrees,
            explanation: cell.explain.clone().filter(|_| !agrees),
            decimals: match cell.figure {
                Figure::Printed { decimals, .. } => Some(decimals),
                _ => None,
            },
            is_answer: matches!(cell.figure, Figure::Answer(_)),
        }
    }

    /// The value of an expression; in words, why there is none.
    fn evaluate(&mut self, expression: &Expression, place: Place<'_>) -> Result<f64, String> {
        let size = |s| size(s, place.model, place.context, place.batch);
        let value = expression.evaluate(&size, &mut |measured: Measured| {
            let scheme = measured.scheme.unwrap_or(place.scheme);
            self.measure(measured.quantity, Place { scheme, ..place })
        })?;
        if value.is_finite() { Ok(value) } else { Err(format!("{} divides by zero", expression.text())) }
    }

    fn measure(&mut self, quantity: Quantity, place: Place<'_>) -> Result<f64, String> {
        match quantity {
            Quantity::Admitted => return Ok(f64::from(self.simulator(place).is_ok())),
            Quantity::SharedRows => {
                let simulator = self.simulator(place).as_ref().map_err(ToString::to_string)?;
                return Ok((simulator.subject().shared_row()
                    * (simulator.subject().encoder_tokens() * place.batch))
                    .0 as f64);
            }
            Quantity::AttentionWeights => return self.attention_weights(place),
            Quantity::Scores | Quantity::Values => {
                // Half of the attention weights left out halve the weighted sums and leave the scores as they are.
                let half = Sparsity::new(0.5).ok_or("half is no sparsity")?;
                let all =
                    self.measure(Quantity::Attention, Place { sparsity: Sparsity::default(), ..place })?;
                let sparse = self.measure(Quantity::Attention, Place { sparsity: half, ..place })?;
                let values = 2.0 * (all - sparse);
                return Ok(if quantity == Quantity::Values { values } else { all - values });
            }
            Quantity::Speedup => {
                let baseline = Place { scheme: &attention::ALL[0], ..place };
                return Ok(
                    self.measure(Quantity::Seconds, baseline)? / self.measure(Quantity::Seconds, place)?
                );
            }
            _ => {}
        }
        let point = self.point(place)?;
        of_point(quantity, &point).ok_or_else(|| {
            let why = point.infeasible_reason.clone();
            why.unwrap_or_else(|| "the model has no encoder".to_owned())
        })
    }

    /// Weights that the operators read whose FLOPs count as attention's.
    fn attention_weights(&mut self, place: Place<'_>) -> Result<f64, String> {
        let contexts = Batch::uniform(place.context, place.batch);
        let simulator = self.simulator(place).as_mut().map_err(|e| e.to_string())?;
        let operators = simulator.operators(&contexts)?;
        let of_attention = operators.runs.iter().filter(|(_, _, cost)| {
            let flops = cost.flops;
            flops.projection.0 + flops.recompute.0 + flops.attention.0 > 0
        });
        Ok(of_attention.map(|(_, repeat, cost)| (cost.traffic.weights * *repeat).0 as f64).sum())
    }

    fn simulator(&mut self, place: Place<'_>) -> &mut Result<Simulator, SetupError> {
        self.simulators.entry(place.subject()).or_insert_with(|| {
            let options = Options { sparsity: place.sparsity, ..Options::default() };
            let precision = Precision { weights: DTYPE, cache: DTYPE };
            let conditions = Conditions { options, ..precision.into() };
            Simulator::new(place.accelerator, place.model, place.scheme, &conditions)
        })
    }

    fn point(&mut self, place: Place<'_>) -> Result<Rc<Point>, String> {
        let key = (place.subject(), place.context, place.batch);
        if let Some(point) = self.points.get(&key) {
            return Ok(Rc::clone(point));
        }
        let simulator = self.simulator(place).as_mut().map_err(|e| e.to_string())?;
        let point = Rc::new(simulator.point(place.context, place.batch));
        self.points.insert(key, Rc::clone(&point));
        Ok(point)
    }
}

/// A quantity that a point has; `None` where the point lacks it.
fn of_point(quantity: Quantity, point: &Point) -> Option<f64> {
    let (traffic, flops) = (point.traffic_bytes?, point.flops?);
    let capacity = &point.capacity_bytes;
    let count = match quantity {
        Quantity::StoredWeights => capacity.weights.0,
        Quantity::Weights => traffic.weights.0,
        Quantity::CacheRead => traffic.cache_read.0,
        Quantity::Memory => traffic.total().0,
        Quantity::Cache => capacity.cache.0,
        Quantity::CacheSelf => capacity.cache_self.0,
        Quantity::CacheCross => capacity.cache_cross.0,
        Quantity::Projection => flops.projection.0,
        Quantity::Recompute => flops.recompute.0,
        Quantity::Attention => flops.attention.0,
        Quantity::FeedForward => flops.ffn.0,
        Quantity::Seconds => return Some(point.seconds?.0.seconds()),
        Quantity::CrossPhase => return Some(point.first_token_seconds?.cross_phase.0.seconds()),
        Quantity::Peak => return Some(flops.total().0 as f64 / point.bounds_seconds?.compute.0.seconds()),
        Quantity::Bandwidth => {
            return Some(traffic.compulsory().0 as f64 / point.bounds_seconds?.bandwidth.0.seconds());
        }
        // Measured by more than a point.
        Quantity::AttentionWeights
        | Quantity::SharedRows
        | Quantity::Scores
        | Quantity::Values
        | Quantity::Speedup
        | Quantity::Admitted => return None,
    };
    Some(count as f64)
}

/// A size of the model or of the step.
fn size(size: Size, model: &Model, context: u64, batch: u64) -> f64 {
    let count = match size {
        Size::ModelWidth => model.d_model,
        Size::HeadDim => model.head_dim,
        Size::Heads => model.heads,
        Size::KvHeads => model.kv_heads,
        Size::QueryWidth => model.query_width(),
        Size::Layers => model.layers,
        Size::Context => context,
        Size::EncoderTokens => model.encoder.map_or(0, |encoder| encoder.tokens),
        Size::Batch => batch,
    };
    count as f64
}
