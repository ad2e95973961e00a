//! From the raw keys of a memory part to the device: what keys mean together, and what absent ones stand for.

use super::diagnostic::{ConfigError, Diagnostic, Nature};
use super::limits::{MAX_BURST_BYTES, MAX_COLUMNS};
use super::load::{finish, stem};
use super::presets::{self, PresetKind};
use super::raw::{RawMemory, RawOrganisation, RawTiming};
use super::reader::{Field, FromNode, Located, Reader};
use super::show;
use super::source::Origin;
use super::tree::Tree;
use crate::hardware::hbm::address_map::{AddressMap, MapError};
use crate::hardware::hbm::device::{Device, MOST_BANKS};
use crate::hardware::hbm::organisation::Organisation;
use crate::hardware::hbm::timing::{CommandBus, Timing};
use crate::units::{Bytes, format};

/// Reads a memory part: a preset's name or the path of a TOML file.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_memory(name_or_path: &str) -> Result<Device, ConfigError> {
    resolve(&open(name_or_path)?, name_or_path)
}

/// The resolved TOML of a memory part: standard tables, one key a line, usable as a file.
///
/// # Errors
/// As [`load_memory`].
pub fn show_memory(name_or_path: &str) -> Result<String, ConfigError> {
    let tree = open(name_or_path)?;
    Ok(show::memory(&resolve(&tree, name_or_path)?, Some(&tree)))
}

fn open(name_or_path: &str) -> Result<Tree, ConfigError> {
    presets::open(PresetKind::Memory, name_or_path).map(Tree::parse)
}

fn resolve(tree: &Tree, name: &str) -> Result<Device, ConfigError> {
    let mut reader = Reader::default();
    let raw = RawMemory::read(&tree.root, &mut reader);
    if let Some(raw) = &raw {
        raw.validate(&mut reader);
    }
    finish(tree, reader, raw.and_then(|raw| raw.resolve(&stem(name))))
}

impl RawOrganisation {
    fn validate(&self, at: Origin, reader: &mut Reader) {
        let mut found = Vec::new();
        let mut push = |at: Origin, message: String, expected: &str| {
            found.push(Diagnostic::new(at, message, expected));
        };
        if let (Some(burst), Some(at)) = (self.burst.get(), self.burst.at()) {
            let text = format::exact_bytes(burst);
            if !burst.0.is_power_of_two() {
                push(at, format!("'organisation.burst' is {text}"), "expected a power of two");
            } else if burst.0 > MAX_BURST_BYTES {
                let most = format::exact_bytes(Bytes(MAX_BURST_BYTES));
                push(at, format!("'organisation.burst' is {text}"), &format!("expected at most {most}"));
            }
        }
        match (self.columns.at(), self.row.at()) {
            (None, None) => {
                let message = "missing key 'columns' in [organisation]";
                let expected = "expected 'columns', bursts of a row, or 'row', its bytes";
                reader.push(Diagnostic::new(at, message, expected).of(Nature::Missing));
            }
            (Some(_), Some(at)) => push(
                at,
                "'organisation.row' beside 'organisation.columns'".into(),
                "expected one of them: a row is as long as its columns",
            ),
            _ => {}
        }
        if let (Some(row), Some(burst), Some(at)) = (self.row.get(), self.burst.get(), self.row.at())
            && burst.0.is_power_of_two()
            && self.row_columns().is_none()
        {
            let text = |bytes| format::exact_bytes(bytes);
            if row.0.is_multiple_of(burst.0) {
                let message =
                    format!("a row holds {} bursts: {} of {}", row.0 / burst.0, text(row), text(burst));
                push(at, message, &format!("expected a power of two, at most {MAX_COLUMNS}"));
            } else {
                let message = format!("the burst does not divide the row: {} and {}", text(burst), text(row));
                push(at, message, "a row holds a whole number of bursts");
            }
        }
        if let (Some(ranks), Some(groups), Some(banks), Some(at)) =
            (self.ranks(), self.bank_groups.get(), self.banks.get(), self.banks.at())
        {
            let all = ranks * groups.0 * banks.0;
            if all > u64::from(MOST_BANKS) {
                let message = format!("a pseudo-channel has {all} banks over its ranks and groups");
                push(at, message, &format!("expected at most {MOST_BANKS}"));
            }
        }
        for diagnostic in found {
            reader.push(diagnostic);
        }
    }

    fn ranks(&self) -> Option<u64> {
        match self.ranks {
            Field::Absent => Some(1),
            _ => self.ranks.get().map(|r| r.0),
        }
    }

    /// Bursts of a row that is given in bytes, if they are a power of two.
    fn row_columns(&self) -> Option<u64> {
        let (row, burst) = (self.row.get()?.0, self.burst.get()?.0);
        let columns = row.is_multiple_of(burst).then(|| row / burst)?;
        (columns.is_power_of_two() && columns <= MAX_COLUMNS).then_some(columns)
    }

    fn resolve(&self) -> Option<Organisation> {
        let columns = match self.columns {
            Field::Absent => self.row_columns(),
            _ => self.columns.get().map(|c| c.0),
        };
        let pseudo_channels = match self.pseudo_channels {
            Field::Absent => Some(1),
            _ => self.pseudo_channels.get().map(|c| c.0),
        };
        // Every count has a bound far below 32 bits.
        let burst = self.burst.get()?.0;
        let sound = burst.is_power_of_two() && burst <= MAX_BURST_BYTES;
        sound.then_some(Organisation {
            pseudo_channels: pseudo_channels? as u32,
            ranks: self.ranks()? as u32,
            bank_groups: self.bank_groups.get()?.0 as u32,
            banks: self.banks.get()?.0 as u32,
            rows: self.rows.get()?.0 as u32,
            columns: columns? as u32,
            burst_bytes: burst as u32,
        })
    }
}

impl RawTiming {
    fn validate(&self, reader: &mut Reader) {
        let Some(t) = self.resolve() else { return };
        let mut push = |at: Option<Origin>, message: String, expected: &str| {
            reader.push(Diagnostic::new(at.unwrap_or_default(), message, expected));
        };
        if t.trp + t.trfc + t.trc >= t.trefi {
            let message = format!(
                "a refresh is not shorter than its interval: trp + trfc + trc are {} cycles, trefi {}",
                t.trp + t.trfc + t.trc,
                t.trefi
            );
            push(self.trfc.at(), message, "between refreshes a row must be read");
        }
        let pairs = [
            (("tccd_s", t.tccd_s, &self.tccd_s), ("tbl", t.tbl), "bursts would overlap on the data bus"),
            (("tccd_r", t.tccd_r, &self.tccd_r), ("tbl", t.tbl), "bursts would overlap on the data bus"),
            (("tccd_l", t.tccd_l, &self.tccd_l), ("tccd_s", t.tccd_s), "a bank group is no faster than two"),
            (("trrd_l", t.trrd_l, &self.trrd_l), ("trrd_s", t.trrd_s), "a bank group is no faster than two"),
            (("twtr_l", t.twtr_l, &self.twtr_l), ("twtr_s", t.twtr_s), "a bank group is no faster than two"),
            (("trc", t.trc, &self.trc), ("tras", t.tras), "a row is open for tras at least"),
        ];
        for ((key, value, field), (least, bound), why) in pairs {
            if value < bound {
                let message = format!("'timing.{key}' is less than 'timing.{least}': {value} and {bound}");
                // An absent key has its default from the others.
                push(field.at().or(self.tccd_s.at()), message, why);
            }
        }
    }

    fn resolve(&self) -> Option<Timing> {
        let cycles = |field: &Field<_>| match field {
            Field::Read(Located { value: super::scalars::Count(n), .. }) => Some(*n as u32),
            _ => None,
        };
        let or = |field: &Field<_>, default: u32| match field {
            Field::Absent => Some(default),
            _ => cycles(field),
        };
        let (tbl, tcl, tcwl) = (cycles(&self.tbl)?, cycles(&self.tcl)?, cycles(&self.tcwl)?);
        let tccd_s = cycles(&self.tccd_s)?;
        Some(Timing {
            tck: self.clock.get().filter(|tck| tck.0 > 0)?,
            tbl,
            tcl,
            tcwl,
            trcd_read: cycles(&self.trcd_read)?,
            trcd_write: cycles(&self.trcd_write)?,
            trp: cycles(&self.trp)?,
            tras: cycles(&self.tras)?,
            trc: cycles(&self.trc)?,
            trtp: cycles(&self.trtp)?,
            twr: cycles(&self.twr)?,
            tccd_s,
            tccd_l: cycles(&self.tccd_l)?,
            tccd_r: or(&self.tccd_r, tccd_s)?,
            trrd_s: cycles(&self.trrd_s)?,
            trrd_l: cycles(&self.trrd_l)?,
            tfaw: cycles(&self.tfaw)?,
            twtr_s: cycles(&self.twtr_s)?,
            twtr_l: cycles(&self.twtr_l)?,
            // The data of a write may follow that of a read after a gap of two cycles.
            trtw: or(&self.trtw, (tcl + tbl + 2).saturating_sub(tcwl).max(1))?,
            tppd: or(&self.tppd, 1)?,
            trfc: cycles(&self.trfc)?,
            trefi: cycles(&self.trefi)?,
        })
    }
}

impl RawMemory {
    /// Checks what keys mean together.
    fn validate(&self, reader: &mut Reader) {
        if let Field::Read(organisation) = &self.organisation {
            organisation.value.validate(organisation.at, reader);
        }
        if let Some(timing) = self.timing.value() {
            if let (Some(clock), Some(at)) = (timing.clock.get(), timing.clock.at())
                && clock.0 == 0
            {
                reader.push(Diagnostic::new(at, "'timing.clock' is zero", "expected the time of a cycle"));
            }
            timing.validate(reader);
        }
        let organisation = self.organisation.value().and_then(RawOrganisation::resolve);
        if let (Some(organisation), Some(maps)) = (organisation, self.maps.value()) {
            for map in &maps.0 {
                check_map(map, &organisation, reader);
            }
        }
    }

    fn resolve(&self, file_name: &str) -> Option<Device> {
        let commands = self.commands.value()?;
        Some(Device {
            name: self.name.value().cloned().unwrap_or_else(|| file_name.to_owned()),
            standard: self.standard.value()?.clone(),
            channels: self.channels.get()?.0 as u32,
            organisation: self.organisation.value()?.resolve()?,
            timing: self.timing.value()?.resolve()?,
            bus: CommandBus {
                shared: commands.shared_bus.get().unwrap_or(false),
                activate: commands.activate.get()?.0,
                row: commands.row.get()?.0,
                column: 2 * commands.column.get()?.0 as u32,
            },
            maps: self.maps.value()?.0.iter().map(|map| map.value.clone()).collect(),
            queue: self.queue.get()?.0 as u32,
            source: self.source.value().cloned(),
            note: self.note.value().cloned(),
        })
    }
}

/// Reports a map that uses a bit twice or misses one.
fn check_map(map: &Located<AddressMap>, organisation: &Organisation, reader: &mut Reader) {
    let name = &map.value.name;
    let (message, expected) = match map.value.decoder(organisation) {
        Ok(_) => return,
        Err(MapError::Twice { field, bit, has }) => {
            let field = field.name();
            let what = if bit == 0 { "takes bits of" } else { "uses a bit twice, or one too many, of" };
            (
                format!("'maps.{name}' {what} {field}"),
                format!("{field} has {has} {}: each is used once", if has == 1 { "bit" } else { "bits" }),
            )
        }
        Err(MapError::Misses { field, missing, has }) => {
            let field = field.name();
            (
                format!("'maps.{name}' misses {missing} of the {has} bits of {field}"),
                format!("expected '{field}', which takes all bits that are left"),
            )
        }
    };
    reader.push(Diagnostic::new(map.at, message, expected));
}
