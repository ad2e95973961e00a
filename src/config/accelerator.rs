//! From the raw keys of an accelerator to the machine: what keys mean together, and what absent ones stand for.

use super::diagnostic::{Diagnostic, Nature};
use super::raw::{
    MacKind, RawAccelerator, RawCores, RawMacArray, RawSram, RawVectorUnit, SramKind, VectorKind,
};
use super::reader::{Field, Reader};
use super::scalars::Named;
use super::source::{Origin, Source};
use crate::hardware::energy::EnergyTable;
use crate::hardware::hbm::service::Attached;
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{MacArray, MacRates};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::hardware::{Accelerator, Cores, Overheads};
use crate::units::{Dtype, Picos};
use std::path::Path;
use std::sync::Arc;

/// Operations to rotate one element where a file does not say.
pub(crate) const ROTATE_OPS: u64 = 6;

/// Keys that a kind of unit needs or admits, and those of its table that are there.
struct Kind<'a> {
    table: &'a str,
    name: &'a str,
    /// Where the kind was chosen, if anywhere.
    chosen: Option<Origin>,
    needs: &'a [&'a str],
    admits: &'a [&'a str],
}

impl Kind<'_> {
    /// Reports keys of the kind that are missing, and keys of another kind. Where an override has changed the kind, the file's
    /// keys of the old kind are left aside: nobody could remove them by an override.
    fn check(&self, at: Origin, keys: &[(&'static str, Option<Origin>)], reader: &mut Reader) {
        let Self { table, name, .. } = self;
        for (key, found) in keys {
            match found {
                None if self.needs.contains(key) => {
                    let message = format!("missing key '{key}' in [{table}]");
                    let expected =
                        format!("expected '{key}': kind \"{name}\" needs {}", self.needs.join(", "));
                    reader.push(Diagnostic::new(at, message, expected).of(Nature::Missing));
                }
                Some(origin) if !self.needs.contains(key) && !self.admits.contains(key) => {
                    if self.chosen.is_some_and(|kind| kind.source != 0) && origin.source == 0 {
                        continue;
                    }
                    let all: Vec<_> = self.needs.iter().chain(self.admits).copied().collect();
                    let message = format!("'{table}.{key}' is no key of kind \"{name}\"");
                    let expected = if all.is_empty() {
                        format!("kind \"{name}\" has no other keys")
                    } else {
                        format!("kind \"{name}\" has {}", all.join(", "))
                    };
                    reader.push(Diagnostic::new(*origin, message, expected));
                }
                _ => {}
            }
        }
    }
}

impl RawMacArray {
    fn validate(&self, at: Origin, reader: &mut Reader) {
        let Some(kind) = self.kind.get() else { return };
        let (needs, admits): (&[&str], &[&str]) = match kind {
            MacKind::Systolic => (&["rows", "columns", "dataflow", "macs_per_cycle"], &["count"]),
            MacKind::DotProduct => (&["m", "n", "k", "macs_per_cycle"], &["latency"]),
            MacKind::Ideal => (&[], &[]),
        };
        let chosen = self.kind.at();
        let kind = Kind { table: "cores.mac_array", name: kind.name(), chosen, needs, admits };
        let keys = [
            ("rows", self.rows.at()),
            ("columns", self.columns.at()),
            ("count", self.count.at()),
            ("dataflow", self.dataflow.at()),
            ("m", self.m.at()),
            ("n", self.n.at()),
            ("k", self.k.at()),
            ("latency", self.latency.at()),
            ("macs_per_cycle", self.macs_per_cycle.at()),
        ];
        kind.check(at, &keys, reader);
    }

    fn rates(&self) -> Option<MacRates> {
        let rates = self.macs_per_cycle.value()?;
        Some(rates.0.iter().map(|&(dtype, rate)| (dtype, rate.0)).collect())
    }

    fn resolve(&self) -> Option<MacArray> {
        Some(match self.kind.get()? {
            MacKind::Ideal => MacArray::Ideal,
            MacKind::Systolic => MacArray::Systolic {
                rows: self.rows.get()?.0,
                columns: self.columns.get()?.0,
                count: self.count.get().map_or(1, |c| c.0),
                dataflow: self.dataflow.get()?,
                macs_per_cycle: self.rates()?,
            },
            MacKind::DotProduct => MacArray::DotProduct {
                m: self.m.get()?.0,
                n: self.n.get()?.0,
                k: self.k.get()?.0,
                latency: self.latency.get().map_or(0, |c| c.0),
                macs_per_cycle: self.rates()?,
            },
        })
    }
}

impl RawVectorUnit {
    fn kind(&self) -> VectorKind {
        self.kind.get().unwrap_or(VectorKind::Lanes)
    }

    fn validate(&self, at: Origin, reader: &mut Reader) {
        let (needs, admits): (&[&str], &[&str]) = match self.kind() {
            VectorKind::Lanes => (&["lanes", "exp_per_cycle"], &["rotate_ops"]),
            VectorKind::Ideal => (&[], &[]),
        };
        let name = self.kind().name();
        let kind = Kind { table: "cores.vector_unit", name, chosen: self.kind.at(), needs, admits };
        let keys = [
            ("lanes", self.lanes.at()),
            ("exp_per_cycle", self.exp_per_cycle.at()),
            ("rotate_ops", self.rotate_ops.at()),
        ];
        kind.check(at, &keys, reader);
    }

    fn resolve(&self) -> Option<VectorUnit> {
        Some(match self.kind() {
            VectorKind::Ideal => VectorUnit::Ideal,
            VectorKind::Lanes => VectorUnit::Lanes {
                lanes: self.lanes.get()?.0,
                exp_per_cycle: self.exp_per_cycle.get()?.0,
                rotate_ops: self.rotate_ops.get().map_or(ROTATE_OPS, |c| c.0),
            },
        })
    }
}

impl RawSram {
    fn kind(&self) -> SramKind {
        self.kind.get().unwrap_or(SramKind::Real)
    }

    fn validate(&self, at: Origin, reader: &mut Reader) {
        let (needs, admits): (&[&str], &[&str]) = match self.kind() {
            SramKind::Real => (&["capacity", "bandwidth"], &["banks"]),
            SramKind::Ideal => (&[], &[]),
        };
        let name = self.kind().name();
        let kind = Kind { table: "cores.sram", name, chosen: self.kind.at(), needs, admits };
        let keys = [
            ("capacity", self.capacity.at()),
            ("bandwidth", self.bandwidth.at()),
            ("banks", self.banks.at()),
        ];
        kind.check(at, &keys, reader);
    }

    fn resolve(&self) -> Option<Sram> {
        Some(match self.kind() {
            SramKind::Ideal => Sram { capacity: None, bandwidth: OnChipBandwidth::Ideal, banks: None },
            SramKind::Real => Sram {
                capacity: Some(self.capacity.get()?),
                bandwidth: self.bandwidth.get()?,
                banks: self.banks.get().map(|c| c.0),
            },
        })
    }
}

impl RawAccelerator {
    /// Checks what keys mean together; they stand in `sources`, first of them the file. Returns the parts that the memory is made of.
    pub(crate) fn validate(&self, sources: &[Arc<Source>], reader: &mut Reader) -> Option<Attached> {
        if let Some(profile) = self.kernel_profile.value() {
            reader.within("kernel_profile", |reader| profile.validate(sources, reader));
        }
        if let Some(cores) = self.cores.value() {
            self.validate_cores(cores, reader);
        }
        let folder = sources.first().and_then(|file| Path::new(&file.name).parent());
        self.hbm.value()?.validate(folder.unwrap_or(Path::new("")), reader)
    }

    fn validate_cores(&self, cores: &RawCores, reader: &mut Reader) {
        if let Field::Read(array) = &cores.mac_array {
            array.value.validate(array.at, reader);
        }
        if let Field::Read(vector) = &cores.vector_unit {
            vector.value.validate(vector.at, reader);
        }
        let Field::Read(sram) = &cores.sram else { return };
        sram.value.validate(sram.at, reader);
        // Weights and cache live in the outermost memory; time is their bytes over its bandwidth.
        let outermost = match &self.shared_sram {
            Field::Read(shared) => shared.value.bandwidth.get().map(|b| (b, shared.at)),
            Field::Wrong(_) => None,
            Field::Absent => sram.value.resolve().map(|s| (s.bandwidth, sram.at)),
        };
        if let Some((OnChipBandwidth::Ideal, at)) = outermost
            && self.hbm.at().is_none()
        {
            let message = "no memory of finite bandwidth holds weights and cache";
            reader.push(Diagnostic::new(at, message, "without [hbm], the outermost SRAM needs a bandwidth"));
        }
    }

    /// The machine, absent keys at their defaults, with the parts that its check has found; `None` if a required key is absent or wrong,
    /// which has been reported.
    pub(crate) fn resolve(&self, file_name: &str, parts: Option<Attached>) -> Option<Accelerator> {
        let cores = self.cores.value()?;
        let cluster = cores.cluster.map(|raw| {
            Some(Cluster {
                max_size: raw.max_size.get()?.0,
                bandwidth: raw.bandwidth.get()?,
                barrier: raw.barrier.get().unwrap_or(Picos(0)),
                multicast: raw.multicast.get().unwrap_or(false),
            })
        })?;
        let shared_sram = self.shared_sram.map(|raw| {
            Some(Sram {
                capacity: Some(raw.capacity.get()?),
                bandwidth: raw.bandwidth.get()?,
                banks: raw.banks.get().map(|c| c.0),
            })
        })?;
        let hbm = self.hbm.map(|raw| raw.resolve(parts))?;
        let name = self.name.value().cloned().unwrap_or_else(|| file_name.to_owned());
        let own_kernels = self.kernel_profile.map(|raw| raw.resolve(&name).map(Arc::new))?;
        Some(Accelerator {
            name,
            clock: self.clock.get()?,
            cores: Cores {
                count: cores.count.get()?.0,
                mac_array: cores.mac_array.value()?.resolve()?,
                accumulators: cores.accumulators.map(|raw| raw.capacity.get())?,
                vector_unit: cores.vector_unit.value()?.resolve()?,
                sram: cores.sram.value()?.resolve()?,
                bytes_in_flight: cores.bytes_in_flight.get(),
                load_bandwidth: cores.load_bandwidth.get(),
                cluster,
            },
            shared_sram,
            hbm,
            overheads: self.resolve_overheads(),
            energy: self.resolve_energy(),
            free_activations: self.free_activations.get().unwrap_or(false),
            kernels: None,
            own_kernels,
            source: self.source.value().cloned().unwrap_or_default(),
            note: self.note.value().cloned(),
        })
    }

    fn resolve_overheads(&self) -> Overheads {
        let none = Overheads::default();
        let Some(raw) = self.overheads.value() else { return none };
        Overheads {
            launch: raw.launch.get().unwrap_or(none.launch),
            work_item: raw.work_item.get().unwrap_or(none.work_item),
            barrier: raw.barrier.get().unwrap_or(none.barrier),
            prefetch_weights: raw.prefetch_weights.get().unwrap_or(none.prefetch_weights),
            overlap: raw.overlap.get().map_or(none.overlap, |f| f.0),
        }
    }

    fn resolve_energy(&self) -> EnergyTable {
        let Some(raw) = self.energy.value() else { return EnergyTable::default() };
        let mac: Vec<(Dtype, f64)> =
            raw.mac.value().map_or_else(Vec::new, |m| m.0.iter().map(|(d, e)| (*d, e.0)).collect());
        EnergyTable {
            hbm_pj_per_bit: raw.hbm.get().map(|e| e.0),
            shared_sram_pj_per_bit: raw.shared_sram.get().map(|e| e.0),
            local_sram_pj_per_bit: raw.local_sram.get().map(|e| e.0),
            mac_pj: mac,
            vector_op_pj: raw.vector_op.get().map(|e| e.0),
        }
    }
}
