//! Reading a table of measured points: a bad row refuses the table, and every bad row is said.
//!
//! The lines, the columns by name and the form of complaints are those of other tables of measurements.

use super::{Measured, Setting, Summary, Tier};
use crate::config::limits::{MAX_BATCH, MAX_CONTEXT, MAX_CORES, MAX_DIMENSION, MAX_HEADS};
use crate::host::kernels::{Scheme, Shape};
use crate::trace::measured::Tally;
use crate::trace::{
    Diagnostic, Fault, LONGEST_LINE, Lines, TraceError, count, fields, find, header_names, lacks, misspelt,
    near, short,
};
use crate::units::Dtype;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The columns, in the order of the constants below. All have to be there, in any order, beside others.
const COLUMNS: [&str; 18] = [
    "machine",
    "heads",
    "head_dim",
    "context",
    "batch",
    "dtype",
    "threads",
    "tier",
    "kv-cache_seconds",
    "kv-cache_spread",
    "kv-cache_samples",
    "slim-k_seconds",
    "slim-k_spread",
    "slim-k_samples",
    "slim-k-recompute_seconds",
    "slim-k-recompute_spread",
    "slim-k-recompute_samples",
    "rejected",
];
const MACHINE: usize = 0;
const HEADS: usize = 1;
const HEAD_DIM: usize = 2;
const CONTEXT: usize = 3;
const BATCH: usize = 4;
const DTYPE: usize = 5;
const THREADS: usize = 6;
const TIER: usize = 7;
/// Three a scheme, in the order of [`Scheme::ALL`].
const TIMES: usize = 8;
const REJECTED: usize = 17;

/// The types that kernels here have.
const DTYPES: [Dtype; 3] = [Dtype::Fp32, Dtype::Bf16, Dtype::Fp16];
/// Most samples of a point, taken or left out.
const MAX_SAMPLES: u64 = 1 << 31;
/// Shortest and longest time of a step, in seconds: none is below a picosecond, none above an hour.
const SECONDS: (f64, f64) = (1e-12, 3600.0);
/// Widest spread, as a part of the time.
const MAX_SPREAD: f64 = 10.0;
/// Most FLOPs of a point, rebuilding all values, which takes most: as of a decode step elsewhere.
const MOST_WORK: u128 = 1 << 62;

/// What is wrong with a table of measured points.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file, or its header.
    #[error(transparent)]
    File(#[from] TraceError),
    /// Nothing but blank space.
    #[error("'{0}' is empty; expected a table that 'slimsim host measure' wrote")]
    Empty(String),
    /// Rows.
    #[error("{0}")]
    Rows(Tally),
}

/// A table that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The machine of all its rows, as [`crate::host::cpu::Cpu::identity`] gives it.
    pub machine: String,
    /// Its points, in the file's order, each once.
    pub points: Vec<Measured>,
    path: PathBuf,
    /// Of each point its line, that line's text, and where the threads stand in it.
    places: Vec<(u64, String, Range<usize>)>,
}

/// Reads what [`super::write()`] wrote to `path`.
///
/// # Errors
/// A file that cannot be read, is empty or has no rows, a header without one of the columns, and rows that are wrong: a count or a time
/// out of its range, an unknown type or tier, another machine's row among the first's, a point that an earlier row has.
pub fn read(path: &Path) -> Result<Table, TableError> {
    read_lines(Lines::open(path)?)
}

fn read_lines(mut lines: Lines<'_>) -> Result<Table, TableError> {
    let path = lines.path().to_path_buf();
    let Some(line) = lines.next()? else { return Err(TableError::Empty(path.display().to_string())) };
    let number = line.number;
    let header = match line.text {
        Ok(text) => Header::parse(text).map_err(|fault| (text.to_owned(), fault)),
        Err(fault) => Err((String::new(), fault)),
    };
    let header = header.map_err(|(text, fault)| TraceError::At(lines.diagnose(number, &text, fault)))?;
    let mut table = Builder::new(path, header);
    while let Some(line) = lines.next()? {
        let number = line.number;
        if line.bytes.len() >= LONGEST_LINE {
            // What was read of it is not all of it, and the rest may be endless.
            let fault = Fault::new("the line is longer than 16 MiB", "a row of the table");
            return Err(TraceError::At(lines.diagnose(number, "", fault)).into());
        }
        match line.text {
            Ok(text) => table.row(number, text),
            Err(fault) => {
                let text = String::from_utf8_lossy(line.bytes).into_owned();
                table.wrong(number, &text, ("not text", fault));
            }
        }
    }
    table.finish()
}

impl Table {
    /// Refuses points that run on more threads than the `cores` of the accelerator called `name`: their times would be predicted for
    /// fewer than they were measured with.
    ///
    /// # Errors
    /// The rows of such points.
    pub fn at_most_threads(&self, cores: u64, name: &str) -> Result<(), TableError> {
        let mut wrong = Tally::default();
        for (point, (line, text, span)) in self.points.iter().zip(&self.places) {
            let threads = point.setting.threads;
            if threads as u64 > cores {
                let message =
                    format!("threads {threads} are more than the cores of '{}', {cores}", short(name));
                let fault = Fault::new(message, format!("at most {cores}")).at(span.clone());
                wrong.add("more threads than cores", || Diagnostic::new(&self.path, *line, text, fault));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(TableError::Rows(wrong)) }
    }
}

/// Where the columns stand.
struct Header {
    places: [usize; COLUMNS.len()],
    /// Columns of the header.
    width: usize,
}

impl Header {
    fn parse(text: &str) -> Result<Self, Fault> {
        let names: Vec<_> = header_names(text).collect();
        let mut header = Self { places: [0; COLUMNS.len()], width: names.len() };
        let mut missing = Vec::new();
        for (column, name) in COLUMNS.into_iter().enumerate() {
            match find(&names, &[name])? {
                Some(place) => header.places[column] = place,
                None => missing.push(name),
            }
        }
        if missing.is_empty() {
            return Ok(header);
        }
        let expected = format!("the columns that 'slimsim host measure' writes: {}", COLUMNS.join(", "));
        let (span, help) = misspelt(&names, &missing, &|name| COLUMNS.contains(&name));
        Err(Fault { span, message: lacks(&missing), expected, help: (!help.is_empty()).then_some(help) })
    }
}

/// What is wrong with a row, and the few words under which it is counted.
type Wrong = (&'static str, Fault);

/// A field of a row.
struct Cell<'a> {
    name: &'static str,
    text: &'a str,
    span: Range<usize>,
}

impl Cell<'_> {
    /// `problem` follows the column's name and the text.
    fn wrong(&self, reason: &'static str, problem: &str, expected: impl Into<String>) -> Wrong {
        let message = if self.text.is_empty() {
            format!("{} is missing", self.name)
        } else {
            format!("{} '{}' {problem}", self.name, short(self.text))
        };
        (reason, Fault::new(message, expected).at(self.span.clone()))
    }

    /// A whole number from `least` to `most`.
    fn count(&self, least: u64, most: u64) -> Result<usize, Wrong> {
        let expected = format!("a whole number from {least} to {most}");
        let number = self.text.parse().is_ok_and(f64::is_finite);
        let reason = if number { "count out of range" } else { "not a number" };
        let fault =
            |fault: Fault| (reason, Fault { expected: expected.clone(), ..fault }.at(self.span.clone()));
        match count(self.text, self.name).map_err(fault)? {
            0 if least > 0 => Err(fault(Fault::new(format!("{} is zero", self.name), ""))),
            n if n > most => Err(fault(Fault::new(format!("{} {n} is too large", self.name), ""))),
            n => Ok(n as usize),
        }
    }

    /// A finite number.
    fn number(&self, expected: &str) -> Result<f64, Wrong> {
        match self.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => Err(self.wrong("not a number", "is not finite", expected)),
            Err(_) => Err(self.wrong("not a number", "is not a number", expected)),
        }
    }

    /// A time in seconds.
    fn seconds(&self) -> Result<f64, Wrong> {
        let expected = "a time in seconds above 0, at most an hour";
        let seconds = self.number(expected)?;
        let problem = match seconds {
            s if s < 0.0 => "is negative",
            0.0 => "is zero",
            s if s < SECONDS.0 => "is less than a picosecond",
            s if s > SECONDS.1 => "is more than an hour",
            _ => return Ok(seconds),
        };
        Err(self.wrong("time out of range", problem, expected))
    }

    /// A part of a time.
    fn spread(&self) -> Result<f64, Wrong> {
        let expected = format!("a part of the time, from 0 to {MAX_SPREAD}");
        let spread = self.number(&expected)?;
        let problem = match spread {
            s if s < 0.0 => "is negative",
            s if s > MAX_SPREAD => "is too large",
            _ => return Ok(spread),
        };
        Err(self.wrong("spread out of range", problem, expected))
    }

    /// One of `names`.
    fn one_of<T: Copy>(&self, reason: &'static str, what: &str, names: &[(&str, T)]) -> Result<T, Wrong> {
        if let Some((_, found)) = names.iter().find(|(name, _)| *name == self.text) {
            return Ok(*found);
        }
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        let (reason, fault) =
            self.wrong(reason, &format!("is no {what}"), format!("one of {}", names.join(", ")));
        let near = near(self.text, names).map(|near| format!("did you mean '{near}'?"));
        Err((reason, fault.help(near)))
    }
}

/// The fields of a row by column.
struct Cells<'a>(Vec<(&'a str, Range<usize>)>);

impl<'a> Cells<'a> {
    fn split(header: &Header, line: &'a str) -> Result<Self, Wrong> {
        let all: Vec<_> = fields(line).collect();
        if let Some((_, span)) = all.iter().find(|(_, span)| unclosed(&line[span.clone()])) {
            let fault = Fault::new("a quoted field does not end on its line", "each row on one line");
            return Err(("wrong number of columns", fault.at(span.clone())));
        }
        if all.len() != header.width {
            let plural = if all.len() == 1 { "" } else { "s" };
            let fault = Fault::new(
                format!("the row has {} column{plural}", all.len()),
                format!("{} columns as in the header", header.width),
            );
            return Err(("wrong number of columns", fault));
        }
        Ok(Self(header.places.iter().map(|place| all[*place].clone()).collect()))
    }

    fn of(&self, column: usize) -> Cell<'a> {
        let (text, span) = self.0[column].clone();
        Cell { name: COLUMNS[column], text: text.trim(), span }
    }

    /// The machine, as it was written.
    fn machine(&self) -> Result<String, Wrong> {
        let cell = self.of(MACHINE);
        if cell.text.is_empty() {
            return Err(cell.wrong("no machine", "", "a machine, in a line"));
        }
        Ok(self.0[MACHINE].0.replace("\"\"", "\""))
    }

    /// The point that was measured.
    fn setting(&self) -> Result<Setting, Wrong> {
        let size = |column, most| self.of(column).count(1, most);
        let shape = Shape {
            heads: size(HEADS, MAX_HEADS)?,
            head_dim: size(HEAD_DIM, MAX_DIMENSION)?,
            context: size(CONTEXT, MAX_CONTEXT)?,
            batch: size(BATCH, MAX_BATCH)?,
        };
        if !shape.head_dim.is_multiple_of(16) {
            let cell = self.of(HEAD_DIM);
            return Err(cell.wrong("count out of range", "is no multiple of 16", "a multiple of 16"));
        }
        if work(&shape).is_none_or(|work| work >= MOST_WORK) {
            let expected =
                format!("a width of at most {MAX_DIMENSION}, and fewer than 2^62 FLOPs, all values rebuilt");
            return Err(("count out of range", Fault::new("the point is too large to be counted", expected)));
        }
        Ok(Setting {
            shape,
            dtype: self.of(DTYPE).one_of("unknown type", "type", &DTYPES.map(|d| (d.name(), d)))?,
            threads: size(THREADS, MAX_CORES)?,
            tier: self.of(TIER).one_of("unknown tier", "tier", &Tier::ALL.map(|t| (t.name(), t)))?,
        })
    }

    /// The times by scheme; only the last scheme may have none.
    fn times(&self) -> Result<Vec<(Scheme, Summary)>, Wrong> {
        let mut times = Vec::new();
        for (at, scheme) in Scheme::ALL.into_iter().enumerate() {
            let [seconds, spread, samples] = [0, 1, 2].map(|i| self.of(TIMES + 3 * at + i));
            let empty = [&seconds, &spread, &samples].iter().all(|cell| cell.text.is_empty());
            if empty && scheme == Scheme::SlimKRecompute {
                continue;
            }
            let (median, spread) = (seconds.seconds()?, spread.spread()?);
            times.push((scheme, Summary { median, spread, samples: samples.count(1, MAX_SAMPLES)? }));
        }
        Ok(times)
    }
}

/// Whether a field begins with a quote that none ends.
fn unclosed(field: &str) -> bool {
    field.starts_with('"') && !field.matches('"').count().is_multiple_of(2)
}

/// FLOPs of a point, generously: rebuilding the values of all tokens, and all weights of its one layer; `None` of too wide a row.
fn work(shape: &Shape) -> Option<u128> {
    let wide = |n: usize| n as u128;
    let width = wide(shape.heads) * wide(shape.head_dim);
    // The bounds of the factors keep the product below 2^104.
    (width <= wide(MAX_DIMENSION as usize))
        .then(|| 4 * width * (width + wide(shape.heads)) * (wide(shape.context) + 16) * wide(shape.batch))
}

/// A table while it is read.
struct Builder {
    header: Header,
    path: PathBuf,
    /// The first row's machine, and its line.
    machine: Option<(String, u64)>,
    points: Vec<Measured>,
    places: Vec<(u64, String, Range<usize>)>,
    /// Lines of the points so far.
    seen: BTreeMap<Setting, u64>,
    wrong: Tally,
}

impl Builder {
    fn new(path: PathBuf, header: Header) -> Self {
        Self {
            header,
            path,
            machine: None,
            points: Vec::new(),
            places: Vec::new(),
            seen: BTreeMap::new(),
            wrong: Tally::default(),
        }
    }

    fn wrong(&mut self, line: u64, text: &str, (reason, fault): Wrong) {
        self.wrong.add(reason, || Diagnostic::new(&self.path, line, text, fault));
    }

    fn row(&mut self, line: u64, text: &str) {
        if let Err(wrong) = self.point(line, text) {
            self.wrong(line, text, wrong);
        }
    }

    fn point(&mut self, line: u64, text: &str) -> Result<(), Wrong> {
        let cells = Cells::split(&self.header, text)?;
        let machine = cells.machine()?;
        let (first, at) = self.machine.get_or_insert_with(|| (machine.clone(), line));
        if *first != machine {
            let message = format!("another machine than in line {at}");
            let fault = Fault::new(message, format!("'{first}' in all rows")).at(cells.of(MACHINE).span);
            return Err(("another machine", fault));
        }
        let setting = cells.setting()?;
        let times = cells.times()?;
        let rejected = cells.of(REJECTED).count(0, MAX_SAMPLES)? as u64;
        let first = *self.seen.entry(setting).or_insert(line);
        if first != line {
            let message = format!("this point has been measured already, in line {first}");
            return Err(("duplicate point", Fault::new(message, "each point once")));
        }
        self.points.push(Measured { setting, times, rejected });
        self.places.push((line, text.to_owned(), cells.of(THREADS).span));
        Ok(())
    }

    fn finish(self) -> Result<Table, TableError> {
        if !self.wrong.is_empty() {
            return Err(TableError::Rows(self.wrong));
        }
        match self.machine {
            None => Err(TraceError::NoRows(self.path.display().to_string()).into()),
            Some((machine, _)) => {
                Ok(Table { machine, points: self.points, path: self.path, places: self.places })
            }
        }
    }
}

#[cfg(test)]
mod tests;
