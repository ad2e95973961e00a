//! Whether predictions have moved: computing what a file of pins freezes, and comparing.

use crate::attention::{Conditions, Precision, Scheme};
use crate::config::{
    AcceleratorFile, ConfigError, KernelChoice, ModelFile, Overrides, PinnedNumbers, PinnedPoint, Pins,
    Tolerance,
};
use crate::hardware::Accelerator;
use crate::model::Model;
use crate::step::{Point, SetupError, Simulator};
use serde::Serialize;
use serde_json::Value;

/// Simulates points in the order asked for, remembering the last machine, model and scheme.
pub struct Predictor<'a> {
    conditions: Conditions,
    set: &'a Overrides,
    kernels: Option<KernelChoice>,
    machines: Vec<(String, Accelerator)>,
    models: Vec<(String, Model)>,
    simulators: Vec<([String; 2], &'static Scheme, Result<Simulator, SetupError>)>,
}

impl<'a> Predictor<'a> {
    /// Nothing loaded yet.
    #[must_use]
    pub fn new(conditions: &Conditions, set: &'a Overrides, kernels: Option<KernelChoice>) -> Self {
        Self {
            conditions: conditions.clone(),
            set,
            kernels,
            machines: Vec::new(),
            models: Vec::new(),
            simulators: Vec::new(),
        }
    }

    fn machine(&mut self, name: &str) -> Result<Accelerator, ConfigError> {
        if let Some((_, known)) = self.machines.iter().find(|(n, _)| n == name) {
            return Ok(known.clone());
        }
        let machine = AcceleratorFile::open(name)?.resolve(self.set)?;
        let machine = KernelChoice::select(self.kernels.as_ref(), machine)?;
        self.machines.push((name.to_owned(), machine.clone()));
        Ok(machine)
    }

    fn model(&mut self, name: &str) -> Result<Model, ConfigError> {
        if let Some((_, known)) = self.models.iter().find(|(n, _)| n == name) {
            return Ok(known.clone());
        }
        let model = ModelFile::open(name)?.resolve(self.set)?;
        self.models.push((name.to_owned(), model.clone()));
        Ok(model)
    }

    /// One point: its numbers, or why it cannot run.
    ///
    /// # Errors
    /// Machine or model cannot be loaded.
    pub fn predict(
        &mut self,
        accelerator: &str,
        model: &str,
        scheme: &'static Scheme,
        context: u64,
        batch: u64,
    ) -> Result<Result<PinnedNumbers, String>, ConfigError> {
        let known = |(names, s, _): &([String; 2], &'static Scheme, _)| {
            names[0] == accelerator && names[1] == model && **s == *scheme
        };
        let at = match self.simulators.iter().position(known) {
            Some(at) => at,
            None => {
                let simulator = Simulator::new(
                    &self.machine(accelerator)?,
                    &self.model(model)?,
                    scheme,
                    &self.conditions,
                );
                self.simulators.push(([accelerator.to_owned(), model.to_owned()], scheme, simulator));
                self.simulators.len() - 1
            }
        };
        Ok(match &mut self.simulators[at].2 {
            Ok(simulator) => numbers(&simulator.point(context, batch)),
            Err(why) => Err(why.to_string()),
        })
    }
}

/// The numbers of a point that are pinned.
fn numbers(point: &Point) -> Result<PinnedNumbers, String> {
    let found = || {
        Some(PinnedNumbers {
            picoseconds: point.seconds?.0.0,
            cycles: point.cycles?.0,
            traffic_bytes: point.traffic_bytes?.total().0,
            flops: point.flops?.total().0,
            energy_joules: point.energy_joules,
        })
    };
    found().ok_or_else(|| point.infeasible_reason.clone().unwrap_or_default())
}

/// A number that has moved further than it may.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Accelerator, as the pins name it.
    pub accelerator: String,
    /// Model, as the pins name it.
    pub model: String,
    /// Scheme.
    pub scheme: &'static str,
    /// Tokens attended.
    pub context: u64,
    /// Sequences in the step.
    pub batch: u64,
    /// Which number.
    pub field: &'static str,
    /// What it was.
    pub pinned: Value,
    /// What it is.
    pub now: Value,
    /// (now − pinned) / pinned, where both are numbers.
    pub relative: Option<f64>,
    /// How far it may move.
    pub tolerance: f64,
    /// Why the point cannot run now, where it could.
    pub reason: Option<String>,
}

/// What became of pins.
#[derive(Debug, Clone, Serialize)]
pub struct PinsDocument {
    /// Version that compared.
    pub slimsim: String,
    /// Version that made the pins.
    pub pinned_by: String,
    /// How many points were compared.
    pub points: usize,
    /// What moved, in the order of the pins.
    pub moved: Vec<Moved>,
}

/// Recomputes every pinned point.
///
/// # Errors
/// A machine or a model cannot be loaded any more.
pub fn compare(pins: &Pins) -> Result<PinsDocument, ConfigError> {
    let precision = Precision { weights: pins.weight_dtype, cache: pins.cache_dtype.default };
    let conditions = Conditions {
        precision,
        cache_of: pins.cache_dtype.own().collect(),
        options: pins.set.options(),
        query_tokens: pins.query_tokens,
        plan: pins.plan.clone(),
    };
    let kernels = pins.kernels.as_deref().map(KernelChoice::load).transpose()?;
    let mut predictor = Predictor::new(&conditions, &pins.set, kernels);
    let mut moved = Vec::new();
    for pin in &pins.points {
        let now = predictor.predict(&pin.accelerator, &pin.model, pin.scheme, pin.context, pin.batch)?;
        moved.extend(differences(pin, &now, &pins.tolerance));
    }
    Ok(PinsDocument {
        slimsim: env!("CARGO_PKG_VERSION").to_owned(),
        pinned_by: pins.slimsim.clone(),
        points: pins.points.len(),
        moved,
    })
}

fn differences(pin: &PinnedPoint, now: &Result<PinnedNumbers, String>, tolerance: &Tolerance) -> Vec<Moved> {
    let moved = |field, pinned: Value, now: Value, tolerance| {
        let relative = pinned.as_f64().zip(now.as_f64()).filter(|(p, _)| *p != 0.0).map(|(p, n)| (n - p) / p);
        Moved {
            accelerator: pin.accelerator.clone(),
            model: pin.model.clone(),
            scheme: pin.scheme.name,
            context: pin.context,
            batch: pin.batch,
            field,
            pinned,
            now,
            relative,
            tolerance,
            reason: None,
        }
    };
    match (&pin.numbers, now) {
        (None, Err(_)) => Vec::new(),
        (None, Ok(_)) => vec![moved("feasible", false.into(), true.into(), 0.0)],
        (Some(_), Err(why)) => {
            vec![Moved { reason: Some(why.clone()), ..moved("feasible", true.into(), false.into(), 0.0) }]
        }
        (Some(old), Ok(new)) => {
            let counts = [
                ("picoseconds", old.picoseconds, new.picoseconds, tolerance.picoseconds),
                ("cycles", old.cycles, new.cycles, tolerance.cycles),
                ("traffic_bytes", old.traffic_bytes, new.traffic_bytes, tolerance.traffic_bytes),
                ("flops", old.flops, new.flops, tolerance.flops),
            ];
            let mut all: Vec<Moved> = counts
                .into_iter()
                .filter(|&(_, old, new, tolerance)| old.abs_diff(new) as f64 > tolerance * old as f64)
                .map(|(field, old, new, tolerance)| moved(field, old.into(), new.into(), tolerance))
                .collect();
            let stays = match (old.energy_joules, new.energy_joules) {
                (Some(old), Some(new)) => (new - old).abs() <= tolerance.energy_joules * old.abs(),
                (old, new) => old == new,
            };
            if !stays {
                let (old, new) = (old.energy_joules.into(), new.energy_joules.into());
                all.push(moved("energy_joules", old, new, tolerance.energy_joules));
            }
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(numbers: Option<PinnedNumbers>) -> PinnedPoint {
        PinnedPoint {
            accelerator: "h100-sxm".into(),
            model: "codellama-7b".into(),
            scheme: &crate::attention::ALL[0],
            context: 1024,
            batch: 1,
            numbers,
        }
    }

    const OLD: PinnedNumbers = PinnedNumbers {
        picoseconds: 1000,
        cycles: 10,
        traffic_bytes: u64::MAX / 2,
        flops: 0,
        energy_joules: Some(0.5),
    };

    #[test]
    fn what_moves_is_told_and_nothing_else() {
        let none = Tolerance::default();
        assert_eq!(differences(&pin(Some(OLD)), &Ok(OLD), &none), []);
        let new = PinnedNumbers { picoseconds: 1010, traffic_bytes: OLD.traffic_bytes + 1, ..OLD };
        let fields: Vec<_> =
            differences(&pin(Some(OLD)), &Ok(new), &none).iter().map(|m| (m.field, m.relative)).collect();
        assert_eq!(
            fields,
            [("picoseconds", Some(0.01)), ("traffic_bytes", Some(0.0))],
            "one byte in 2⁶³ counts"
        );
        let loose = Tolerance { picoseconds: 0.01, traffic_bytes: 1e-9, ..none };
        assert_eq!(differences(&pin(Some(OLD)), &Ok(new), &loose), []);
    }

    #[test]
    fn what_appears_or_vanishes_has_moved() {
        let none = Tolerance::default();
        let moved = differences(&pin(Some(OLD)), &Err("too large".into()), &none);
        assert_eq!((moved[0].field, moved[0].reason.as_deref()), ("feasible", Some("too large")));
        assert_eq!(differences(&pin(None), &Ok(OLD), &none)[0].now, Value::Bool(true));
        assert_eq!(differences(&pin(None), &Err(String::new()), &none), []);
        let dark = PinnedNumbers { energy_joules: None, ..OLD };
        let moved = differences(&pin(Some(OLD)), &Ok(dark), &Tolerance { energy_joules: 1.0, ..none });
        assert_eq!((moved[0].field, &moved[0].now), ("energy_joules", &Value::Null));
        let grown = PinnedNumbers { flops: 1, ..OLD };
        let moved = differences(&pin(Some(OLD)), &Ok(grown), &Tolerance { flops: 1.0, ..none });
        assert_eq!((moved[0].field, moved[0].relative), ("flops", None), "from nothing is any factor");
    }
}
