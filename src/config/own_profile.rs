//! The `[kernel_profile]` table of an accelerator: kernels as in a profile of their own, and rates by shape.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::kernels::{from_root, no_two_alike, place};
use super::raw::{RawOwnProfile, RawRate, rate_key};
use super::reader::{Located, Reader};
use super::source::{Origin, Source};
use crate::hardware::kernel::{KernelProfile, MeasuredRate};

impl RawOwnProfile {
    /// Checks what keys mean together; they stand in `sources`.
    pub(super) fn validate(&self, sources: &[Arc<Source>], reader: &mut Reader) {
        let kernels = self.kernel.value().map_or(&[][..], |tables| &tables.0);
        for kernel in kernels {
            kernel.value.validate(reader);
        }
        no_two_alike(kernels, sources, reader);
        let rates = self.rate.value().map_or(&[][..], |tables| &tables.0);
        for rate in rates {
            reader.within("rate", |reader| rate.validate(reader));
        }
        no_two_of_a_shape(rates, sources, reader);
    }

    /// The profile of the accelerator `name`; `None` where something is wrong, which has been reported.
    pub(super) fn resolve(&self, name: &str) -> Option<KernelProfile> {
        let kernels = &self.kernel.value()?.0;
        let rates = self.rate.map(|tables| tables.0.iter().map(|rate| rate.value.resolve()).collect())?;
        Some(KernelProfile {
            name: name.to_owned(),
            accelerator: name.to_owned(),
            framework: self.framework.value()?.clone(),
            source: self.source.value()?.clone(),
            note: self.note.value().cloned(),
            machine: self.machine.value().cloned(),
            kernels: kernels.iter().map(|kernel| kernel.value.resolve()).collect::<Option<_>>()?,
            rates: rates.unwrap_or_default(),
        })
    }
}

/// Reports rates of which only one could ever be used.
fn no_two_of_a_shape(rates: &[Located<RawRate>], sources: &[Arc<Source>], reader: &mut Reader) {
    let mut seen = HashMap::new();
    for (index, rate) in rates.iter().enumerate() {
        let raw = &rate.value;
        let (Some(phase), Some(kind), Some(dtype), Some(heads), Some(head_dim)) = (
            raw.phase.get(),
            raw.kind.map(|k| Some(*k)),
            raw.dtype.get(),
            raw.heads.get(),
            raw.head_dim.get(),
        ) else {
            continue;
        };
        let first = *seen.entry((phase, kind, dtype, heads.0, head_dim.0)).or_insert(index);
        if first == index {
            continue;
        }
        let of = kind.map_or_else(String::new, |kind| format!(" of kind {}", kind.name()));
        let message = format!(
            "a second rate of {}{of} for {dtype} at heads {}, head_dim {}",
            phase.name(),
            heads.0,
            head_dim.0
        );
        let first = place(rates[first].at, sources);
        let expected = format!("expected another phase, kind, dtype or shape: the first is in {first}");
        reader.push(Diagnostic::new(rate.at, message, expected));
    }
}

impl Located<RawRate> {
    /// Reports a rate under a key that does not fit its phase, and one that is missing.
    fn validate(&self, reader: &mut Reader) {
        let raw = &self.value;
        let Some(phase) = raw.phase.get() else { return };
        let fits = rate_key(phase);
        let keys: [(&str, Option<Origin>); 3] = [
            ("macs_per_second", raw.macs_per_second.at()),
            ("exp_per_second", raw.exp_per_second.at()),
            ("bandwidth", raw.bandwidth.at()),
        ];
        let mut given = false;
        for (key, at) in keys {
            let Some(at) = at else { continue };
            given = true;
            if key != fits {
                let message = format!("'{}' of phase {}", from_root(key, reader), phase.name());
                let expected = format!("expected '{fits}' alone, which is what this phase is measured in");
                reader.push(Diagnostic::new(at, message, expected));
            }
        }
        if !given {
            reader.missing_key(self.at, fits, &format!("the rate of phase {}", phase.name()));
        }
    }
}

impl RawRate {
    fn resolve(&self) -> Option<MeasuredRate> {
        let phase = self.phase.get()?;
        let per_second = match rate_key(phase) {
            "macs_per_second" => self.macs_per_second.get()?.0,
            "exp_per_second" => self.exp_per_second.get()?.0,
            _ => self.bandwidth.get()?.0,
        };
        Some(MeasuredRate {
            phase,
            kind: self.kind.map(|kind| Some(*kind))?,
            dtype: self.dtype.get()?,
            heads: self.heads.get()?.0,
            head_dim: self.head_dim.get()?.0,
            tile: self.tile.get()?.0,
            per_second,
            spread: self.spread.get().map_or(0.0, |spread| spread.0),
        })
    }
}
