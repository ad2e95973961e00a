//! The external memory of an accelerator: the part that it names, and how it is used.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::diagnostic::{ConfigError, Diagnostic};
use super::limits::MAX_PARTS;
use super::memory::load_memory;
use super::presets::{self, PresetKind};
use super::raw::{HbmModel, RawHbm, Refresh};
use super::reader::{Field, Reader};
use crate::hardware::hbm::Hbm;
use crate::hardware::hbm::device::Device;
use crate::hardware::hbm::service::Attached;
use crate::units::{Bandwidth, Picos};

/// Presets that have been read: a sweep over machines asks for the same part at every point.
static PARTS: LazyLock<Mutex<FxHashMap<String, Arc<Device>>>> = LazyLock::new(Mutex::default);

fn device(name_or_path: &str) -> Result<Arc<Device>, ConfigError> {
    let mut parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = parts.get(name_or_path) {
        return Ok(Arc::clone(known));
    }
    let device = Arc::new(load_memory(name_or_path)?);
    if presets::preset_text(PresetKind::Memory, name_or_path).is_some() {
        parts.insert(name_or_path.to_owned(), Arc::clone(&device));
    }
    Ok(device)
}

impl RawHbm {
    /// Whether the part's rows and banks count.
    fn of_parts(&self) -> bool {
        let default = if self.part.value().is_some() { HbmModel::Device } else { HbmModel::Flat };
        self.model.get().unwrap_or(default) == HbmModel::Device
    }

    /// The memory, made of `parts`; what is wrong with it has been reported.
    pub(super) fn resolve(&self, parts: Option<Attached>) -> Option<Hbm> {
        Some(Hbm {
            bandwidth: self.bandwidth.get()?,
            capacity: self.capacity.get(),
            latency: self.latency.get().unwrap_or(Picos(0)),
            parts,
        })
    }

    /// The parts under the settings given; `None` where a key is wrong in itself, which the reader has reported.
    fn attach(&self, folder: &Path) -> Result<Option<Attached>, Diagnostic> {
        let Field::Read(part) = &self.part else { return Ok(None) };
        // A path in a file is one from its folder; in an override, from where the command runs.
        let preset = presets::preset_text(PresetKind::Memory, &part.value).is_some();
        let file = if preset || part.at.source != 0 {
            part.value.clone()
        } else {
            folder.join(&part.value).to_string_lossy().into_owned()
        };
        let device = device(&file).map_err(|error| {
            let expected = "expected a memory preset or a TOML file";
            let name = part.value.as_str();
            if !preset && !presets::is_path(name) {
                let (message, help) = presets::unknown(PresetKind::Memory, name);
                return help
                    .into_iter()
                    .fold(Diagnostic::new(part.at, message, expected), Diagnostic::with_help);
            }
            let wrong: Vec<_> = error.messages().collect();
            Diagnostic::new(part.at, wrong.join("; "), expected)
        })?;
        let bandwidth = self.bandwidth.get().unwrap_or(Bandwidth(0));
        let nearest_whole = (bandwidth.0 + device.peak().0 / 2) / device.peak().0.max(1);
        let count = self.count.get().map_or(nearest_whole.clamp(1, MAX_PARTS), |c| c.0);
        let Some(attached) = Attached::new(&file, Arc::clone(&device), count as u32) else {
            return Ok(None);
        };
        let map = match &self.map {
            Field::Absent => attached.map.clone(),
            Field::Wrong(_) => return Ok(None),
            Field::Read(name) => device.map(&name.value).cloned().ok_or_else(|| {
                let names: Vec<_> = device.maps.iter().map(|m| m.name.as_str()).collect();
                let message = format!("{} has no address map '{}'", device.name, name.value);
                Diagnostic::new(name.at, message, format!("expected one of {}", names.join(", ")))
                    .suggesting(&name.value, names)
            })?,
        };
        let burst = u64::from(device.organisation.burst_bytes);
        let interleave = match &self.interleave {
            Field::Absent => attached.interleave,
            Field::Wrong(_) => return Ok(None),
            Field::Read(bytes) if !bytes.value.0.is_power_of_two() || bytes.value.0 < burst => {
                let message = format!("an interleave of {} bytes cannot be", bytes.value.0);
                let expected = format!("expected a power of two, at least a burst of {burst} bytes");
                return Err(Diagnostic::new(bytes.at, message, expected));
            }
            Field::Read(bytes) => bytes.value,
        };
        let queue = self.queue.get().map_or(attached.queue, |q| q.0 as u32);
        let refresh = self.refresh.get().is_none_or(|r| r == Refresh::AllBank);
        let attached = Attached { map, interleave, queue, refresh, ..attached };
        // Studied once here, so that nothing can be wrong with it later.
        attached
            .service(None, None)
            .map_err(|e| Diagnostic::new(part.at, e.to_string(), "expected a part that works"))?;
        Ok(Some(attached))
    }

    /// Checks what the keys mean together. Returns the parts, unless none are named, they do not count, or something is wrong.
    pub(super) fn validate(&self, folder: &Path, reader: &mut Reader) -> Option<Attached> {
        if self.part.at().is_none() {
            if let Field::Read(model) = &self.model
                && model.value == HbmModel::Device
            {
                let expected = "expected a key 'part' beside it that names a memory part";
                reader.push(Diagnostic::new(model.at, "no memory part is named", expected));
            }
            for (key, at) in [
                ("count", self.count.at()),
                ("map", self.map.at()),
                ("interleave", self.interleave.at()),
                ("queue", self.queue.at()),
                ("refresh", self.refresh.at()),
            ] {
                if let Some(at) = at {
                    let message = format!("'{key}' says how a memory part is used, and none is named");
                    reader.push(Diagnostic::new(at, message, "expected a key 'part' beside it"));
                }
            }
            return None;
        }
        if !self.of_parts() {
            return None;
        }
        self.attach(folder).unwrap_or_else(|wrong| {
            reader.push(wrong);
            None
        })
    }
}
