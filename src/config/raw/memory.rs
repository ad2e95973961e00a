//! The keys of a memory file.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::config::diagnostic::Diagnostic;
use crate::config::limits::*;
use crate::config::reader::{FromNode, KeyType, Located, Reader, table};
use crate::config::scalars::{Count, PowerOfTwo, finite};
use crate::config::tree::{Node, Value};
use crate::hardware::hbm::address_map::AddressMap;
use crate::hardware::hbm::organisation::Field;
use crate::units::{Bytes, Picos};

table! {
    /// A memory part: a stack of HBM, or a device or module of another standard.
    RawMemory {
        /// Name in results; the file's name where absent.
        optional name: String,
        /// The standard, such as "HBM3".
        required standard: String,
        /// Where the figures come from.
        optional source: String,
        /// What is derived or uncertain about them.
        optional note: String,
        /// Channels of one part.
        required channels: Count<MAX_MEMORY_CHANNELS>,
        /// Entries of the read queue of a channel's controller, and of its write queue.
        required queue: Count<MAX_MEMORY_QUEUE>,
        /// How a channel is organised.
        required organisation: RawOrganisation,
        /// Timing of the part.
        required timing: RawTiming,
        /// How commands reach the part.
        required commands: RawCommands,
        /// Address maps by name: fields from the lowest bit above the burst upwards. The first is the default.
        required maps: RawMaps,
    }
}

table! {
    /// The organisation of one channel. Counts are powers of two.
    RawOrganisation {
        /// Pseudo-channels: halves of the data bus that share the command buses (default 1).
        optional pseudo_channels: PowerOfTwo<MAX_PSEUDO_CHANNELS>,
        /// Ranks; in HBM stack IDs (default 1).
        optional ranks: PowerOfTwo<MAX_MEMORY_BANKS>,
        /// Bank groups of a rank.
        required bank_groups: PowerOfTwo<MAX_MEMORY_BANKS>,
        /// Banks of a bank group.
        required banks: PowerOfTwo<MAX_MEMORY_BANKS>,
        /// Rows of a bank.
        required rows: PowerOfTwo<MAX_ROWS>,
        /// Bursts of a row of one pseudo-channel; or give `row`.
        optional columns: PowerOfTwo<MAX_COLUMNS>,
        /// Bytes of a row of one pseudo-channel; or give `columns`.
        optional row: Bytes,
        /// Bytes of a burst.
        required burst: Bytes,
    }
}

table! {
    /// Timing in clock cycles, under JEDEC's names.
    RawTiming {
        /// Time of one clock cycle (CK).
        required clock: Picos,
        /// Data bus time of a burst.
        required tbl: Count<MAX_CYCLES>,
        /// Read command to data.
        required tcl: Count<MAX_CYCLES>,
        /// Write command to data.
        required tcwl: Count<MAX_CYCLES>,
        /// ACT to RD.
        required trcd_read: Count<MAX_CYCLES>,
        /// ACT to WR.
        required trcd_write: Count<MAX_CYCLES>,
        /// PRE to ACT.
        required trp: Count<MAX_CYCLES>,
        /// ACT to PRE.
        required tras: Count<MAX_CYCLES>,
        /// ACT to ACT of one bank.
        required trc: Count<MAX_CYCLES>,
        /// RD to PRE.
        required trtp: Count<MAX_CYCLES>,
        /// End of write data to PRE.
        required twr: Count<MAX_CYCLES>,
        /// Column command to column command, other bank group.
        required tccd_s: Count<MAX_CYCLES>,
        /// Column command to column command, same bank group.
        required tccd_l: Count<MAX_CYCLES>,
        /// RD to RD of another rank (default `tccd_s`).
        optional tccd_r: Count<MAX_CYCLES>,
        /// ACT to ACT, other bank group.
        required trrd_s: Count<MAX_CYCLES>,
        /// ACT to ACT, same bank group.
        required trrd_l: Count<MAX_CYCLES>,
        /// Window that holds at most four ACTs.
        required tfaw: Count<MAX_CYCLES>,
        /// End of write data to RD, other bank group.
        required twtr_s: Count<MAX_CYCLES>,
        /// End of write data to RD, same bank group.
        required twtr_l: Count<MAX_CYCLES>,
        /// RD to WR (default `tcl` + `tbl` + 2 − `tcwl`).
        optional trtw: Count<MAX_CYCLES>,
        /// PRE to PRE (default 1).
        optional tppd: Count<MAX_CYCLES>,
        /// All-bank refresh.
        required trfc: Count<MAX_CYCLES>,
        /// Mean interval of all-bank refreshes.
        required trefi: Count<MAX_CYCLES>,
    }
}

table! {
    /// Commands: cycles that they take on their bus.
    RawCommands {
        /// Whether row and column commands share one bus (default false: HBM has one for each).
        optional shared_bus: bool,
        /// Cycles of ACT.
        required activate: HalfCycles,
        /// Cycles of PRE and REF.
        required row: HalfCycles,
        /// Cycles of RD and WR.
        required column: Count<MAX_COMMAND_CYCLES>,
    }
}

/// A multiple of half a cycle, counted in half cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HalfCycles(pub(crate) u32);

impl FromNode for HalfCycles {
    const TYPE: KeyType = KeyType::Float;

    fn expected() -> String {
        format!("a multiple of 0.5 from 0.5 to {MAX_COMMAND_CYCLES}")
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let doubled = 2.0 * finite::<Self>(node, reader)?;
        if doubled < 0.0 {
            reader.refuse(node, "is negative", &Self::expected())
        } else if doubled == 0.0 {
            reader.refuse(node, "is zero", &Self::expected())
        } else if doubled > 2.0 * MAX_COMMAND_CYCLES as f64 {
            reader.refuse(node, "is too large", &Self::expected())
        } else if doubled.fract() == 0.0 {
            Some(Self(doubled as u32))
        } else {
            reader.refuse(node, "is no multiple of half a cycle", &Self::expected())
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0.5, "maximum": MAX_COMMAND_CYCLES, "multipleOf": 0.5 })
    }
}

/// Address maps in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawMaps(pub(crate) Vec<Located<AddressMap>>);

impl FromNode for RawMaps {
    const TYPE: KeyType = KeyType::Table;

    fn expected() -> String {
        "a table of address maps, such as stream = \"pc bg col ba sid row\"".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let table = reader.table(node)?;
        if table.entries.is_empty() {
            return reader.refuse(node, "is empty", &Self::expected());
        }
        let maps: Vec<_> =
            table.entries.iter().filter_map(|(key, value)| read_map(&key.name, value, reader)).collect();
        (maps.len() == table.entries.len()).then_some(Self(maps))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let fields = Field::ALL.map(Field::name).join("|");
        let entry = format!("({fields})(:[0-9]+)?");
        json_schema!({
            "type": "object", "minProperties": 1,
            "additionalProperties": { "type": "string", "pattern": format!("^ *{entry}( +{entry})* *$") }
        })
    }
}

/// One map: entries from the lowest bit upwards.
fn read_map(name: &str, node: &Node, reader: &mut Reader) -> Option<Located<AddressMap>> {
    let fields = Field::ALL.map(Field::name);
    let key = format!("'{}.{name}'", reader.key());
    let expected = || format!("expected fields from the lowest bit upwards: {}", fields.join(", "));
    let Value::Text(text) = &node.value else {
        reader.push(Diagnostic::new(node.origin, format!("{key} is {}", node.describe()), expected()));
        return None;
    };
    match AddressMap::parse(name, text) {
        Ok(value) => Some(Located { value, at: node.origin }),
        Err(entry) => {
            let (field, bits) = entry.split_once(':').map_or((&*entry, None), |(f, b)| (f, Some(b)));
            let diagnostic = if fields.contains(&field) {
                let bits = bits.unwrap_or_default();
                let message = format!("{key} takes '{bits}' bits of {field}");
                Diagnostic::new(node.origin, message, "expected a whole number behind the colon")
            } else {
                let message = format!("{key} has an unknown field '{field}'");
                Diagnostic::new(node.origin, message, expected()).suggesting(field, fields)
            };
            reader.push(diagnostic);
            None
        }
    }
}
