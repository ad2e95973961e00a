//! What the header of a table says: the kind of its rows, where the columns stand, and the unit of its latencies.

use super::super::error::Fault;
use super::super::table::{Names, find, header_names, lacks, like, misspelt};
use super::super::values::short;
use super::columns::{Column, Layout, Named, SHAPES, Shape};
use std::fmt::Write as _;

/// Names of columns of latencies, and the picoseconds in their unit; the usual one first.
const UNITS: [(&str, f64); 4] =
    [("latency_us", 1e6), ("latency_ms", 1e9), ("latency_ns", 1e3), ("latency_s", 1e12)];

/// A header that has been understood.
#[derive(Debug)]
pub(super) struct Header {
    /// What the rows are.
    pub shape: &'static Shape,
    /// Columns by their place in a row.
    pub columns: Vec<Option<Column>>,
    /// The names that stand in the file, by place.
    pub names: Vec<String>,
    /// Picoseconds in the unit of latencies.
    pub unit: f64,
    /// Places by column.
    places: [Option<usize>; Column::COUNT],
}

impl Header {
    /// Where `column` stands, if the file has it.
    pub(super) const fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }

    /// What the file calls `column`.
    pub(super) fn name(&self, column: Column) -> &str {
        self.place(column).and_then(|place| self.names.get(place)).map_or("", String::as_str)
    }

    /// Understands `text`, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let names: Vec<_> = header_names(text).collect();
        let shape = shape(&names)?;
        let mut header = Self {
            shape,
            columns: vec![None; names.len()],
            names: names.iter().map(|(name, _)| (*name).to_owned()).collect(),
            unit: 0.0,
            places: [None; Column::COUNT],
        };
        let mut missing = Vec::new();
        for named in shape.needed.iter().chain(shape.telling) {
            match find(&names, named.1)? {
                Some(place) => header.put(named.0, place),
                None => missing.push(named.1[0]),
            }
        }
        for named in shape.optional {
            if let Some(place) = find(&names, named.1)? {
                header.put(named.0, place);
            }
        }
        match latency(shape.layout, &names) {
            Ok(Some((place, unit))) => {
                header.put(Column::Latency, place);
                header.unit = unit;
            }
            Ok(None) => missing.push(usual_latency(shape.layout)),
            // What is missing beside it is said, too.
            Err(fault) if missing.is_empty() => return Err(fault),
            Err(fault) => {
                let more = format!("{}; {}", fault.message, lacks(&missing));
                return Err(Fault { message: more, ..fault });
            }
        }
        if missing.is_empty() { Ok(header) } else { Err(incomplete(shape, &names, &missing)) }
    }

    fn put(&mut self, column: Column, place: usize) {
        self.places[column as usize] = Some(place);
        self.columns[place] = Some(column);
    }
}

/// Whether a header has the column, by one of its names.
fn has(names: &Names<'_>, named: &Named) -> bool {
    names.iter().any(|(name, _)| named.1.contains(name))
}

/// The kind of rows under a header: of those all of whose columns are there, the one with the most.
fn shape(names: &Names<'_>) -> Result<&'static Shape, Fault> {
    let fits: Vec<_> = SHAPES.iter().filter(|s| s.telling.iter().all(|named| has(names, named))).collect();
    let most = fits.iter().map(|s| s.telling.len()).max();
    let best: Vec<_> = fits.into_iter().filter(|s| Some(s.telling.len()) == most).collect();
    match best.as_slice() {
        &[shape] => Ok(shape),
        [] => Err(no_kind(names)),
        several => {
            let kinds: Vec<_> = several.iter().map(|s| s.name).collect();
            let message = format!("this header fits several kinds of rows: {}", kinds.join(", "));
            Err(Fault::new(message, "the columns of one kind").help(Some(kinds_help())))
        }
    }
}

/// Where the latencies stand and the picoseconds in their unit, `None` if nowhere.
fn latency(layout: Layout, names: &Names<'_>) -> Result<Option<(usize, f64)>, Fault> {
    if layout == Layout::Aiconfigurator {
        return Ok(find(names, &["latency"])?.map(|place| (place, 1e9)));
    }
    let mut found = None;
    for (name, unit) in UNITS {
        if let Some(place) = find(names, &[name])? {
            if found.is_some() {
                let fault = Fault::new("the header has latencies in two units", "one column of latencies");
                return Err(fault.at(names[place].1.clone()));
            }
            found = Some((place, unit));
        }
    }
    if found.is_some() {
        return Ok(found);
    }
    match names.iter().find(|(name, _)| name.to_lowercase().starts_with("latency")) {
        None => Ok(None),
        Some((name, span)) => {
            let expected: Vec<_> = UNITS.iter().map(|(name, _)| *name).collect();
            let fault = Fault::new(
                format!("unknown unit of the latencies in column '{}'", short(name)),
                format!("one of {}", expected.join(", ")),
            );
            Err(fault.at(span.clone()))
        }
    }
}

const fn usual_latency(layout: Layout) -> &'static str {
    match layout {
        Layout::Own => UNITS[0].0,
        Layout::Aiconfigurator => "latency",
    }
}

/// Whether some kind of rows has a column of this name.
fn known(name: &str) -> bool {
    SHAPES.iter().any(|s| s.usual().any(|usual| usual == name))
}

/// The fault of a header whose kind is known, without the columns `missing`.
fn incomplete(shape: &Shape, names: &Names<'_>, missing: &[&'static str]) -> Fault {
    let usual: Vec<_> = shape.usual().collect();
    let expected = format!("the columns of {} rows: {}", shape.name, usual.join(", "));
    let (span, help) = misspelt(names, missing, &known);
    Fault { span, message: lacks(missing), expected, help: (!help.is_empty()).then_some(help) }
}

/// The fault of a header that fits no kind.
fn no_kind(names: &Names<'_>) -> Fault {
    // The nearest kind is the one with the largest share of its columns there, or nearly so.
    let share = |shape: &Shape| {
        let there = shape.telling.iter().filter(|named| has(names, named)).count() * 2;
        let nearly = shape.telling.iter().filter(|named| like(names, named.1[0], &known).is_some()).count();
        (there + nearly) * 100 / shape.telling.len()
    };
    let mut nearest = &SHAPES[0];
    for shape in &SHAPES {
        if share(shape) > share(nearest) {
            nearest = shape;
        }
    }
    let mut fault = Fault::new("this header fits no kind of measured rows", "the columns of one kind");
    let mut help = kinds_help();
    if share(nearest) > 0 {
        let missing: Vec<_> =
            nearest.telling.iter().filter(|named| !has(names, named)).map(|named| named.1[0]).collect();
        let _ = write!(fault.message, "; {} is the nearest, but {}", nearest.name, lacks(&missing));
        let (span, hint) = misspelt(names, &missing, &known);
        fault.span = span;
        if !hint.is_empty() {
            help = format!("{hint}\n    {help}");
        }
    }
    fault.help(Some(help))
}

/// The kinds there are, with their columns.
fn kinds_help() -> String {
    let mut help =
        "the kinds of rows, with the columns that each needs (others may stand beside them):".to_owned();
    for shape in &SHAPES {
        let _ = write!(help, "\n      {}: {}", shape.name, shape.usual().collect::<Vec<_>>().join(","));
    }
    help
}
