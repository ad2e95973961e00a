//! Formats that are CSV with a header: columns are found by name, in any order, beside others.

use super::Reader;
use super::error::{Fault, TraceError, near};
use super::lines::Lines;
use super::rows::Rows;
use super::values::{self, Instant};
use std::ops::Range;
use std::path::Path;

/// What output 0 means in a format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ZeroOutput {
    /// A malformed row.
    Malformed,
    /// A request that failed, as the format documents.
    Failed,
}

/// A column by the names it goes by; the first is the usual one.
pub(super) type Column = &'static [&'static str];

/// A CSV format, as data.
pub(super) struct Table {
    pub name: &'static str,
    /// When the request comes.
    pub arrival: Column,
    /// Whether a file may lack that column: then everything arrives at once.
    pub arrival_optional: bool,
    pub prompt: Column,
    pub output: Column,
    /// Turns the arrival's text into a time.
    pub parse_arrival: fn(&str) -> Result<Instant, Fault>,
    pub zero_output: ZeroOutput,
    /// The header for messages.
    pub header: &'static str,
}

/// Where the columns stand.
struct Places {
    arrival: Option<usize>,
    prompt: usize,
    output: usize,
    /// Columns of the header.
    width: usize,
}

impl Table {
    /// Finds the columns in the header, or says which is missing.
    fn places(&self, header: &str) -> Result<Places, Fault> {
        let names: Vec<_> = header_names(header).collect();
        let find = |column: Column| -> Result<Option<usize>, Fault> {
            let mut found = names.iter().enumerate().filter(|(_, (name, _))| column.contains(name));
            let first = found.next().map(|(i, _)| i);
            match found.next() {
                Some((_, (name, span))) => {
                    Err(Fault::new(format!("column '{name}' appears twice"), "each column once")
                        .at(span.clone()))
                }
                None => Ok(first),
            }
        };
        let need = |column: Column| {
            find(column)?.ok_or_else(|| {
                let like = names.iter().find(|(name, _)| near(name, column.iter().copied()).is_some());
                let fault = Fault::new(
                    format!("the header has no column '{}'", column[0]),
                    format!("the header of {} traces: {}", self.name, self.header),
                );
                match like {
                    Some((name, span)) => fault
                        .at(span.clone())
                        .help(Some(format!("column '{name}': did you mean '{}'?", column[0]))),
                    None => fault,
                }
            })
        };
        Ok(Places {
            arrival: if self.arrival_optional { find(self.arrival)? } else { Some(need(self.arrival)?) },
            prompt: need(self.prompt)?,
            output: need(self.output)?,
            width: names.len(),
        })
    }

    /// Reads one row: arrival, prompt, output; `None` for a request that failed.
    fn row(&self, places: &Places, line: &str) -> Result<Option<(Instant, u64, u64)>, Fault> {
        let (mut arrival, mut prompt, mut output, mut width) = (None, "", "", 0);
        let (mut prompt_span, mut output_span) = (0..0, 0..0);
        for (i, (text, span)) in fields(line).enumerate() {
            if Some(i) == places.arrival {
                arrival = Some((text, span.clone()));
            }
            if i == places.prompt {
                (prompt, prompt_span) = (text, span.clone());
            }
            if i == places.output {
                (output, output_span) = (text, span);
            }
            width += 1;
        }
        if width != places.width {
            let plural = |n: usize| if n == 1 { "1 column".to_owned() } else { format!("{n} columns") };
            return Err(Fault::new(
                format!("the row has {}", plural(width)),
                format!("{} as in the header", plural(places.width)),
            ));
        }
        let at = match arrival {
            Some((text, span)) => (self.parse_arrival)(text).map_err(|f| f.at(span))?,
            None => 0,
        };
        let prompt_tokens = values::tokens(prompt, "prompt").map_err(|f| f.at(prompt_span))?;
        let count = values::count(output, "output").map_err(|f| f.at(output_span.clone()))?;
        if count == 0 && self.zero_output == ZeroOutput::Failed {
            return Ok(None);
        }
        let output_tokens = values::tokens_in_range(count, "output").map_err(|f| f.at(output_span))?;
        Ok(Some((at, prompt_tokens, output_tokens)))
    }
}

impl Reader for Table {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> String {
        format!("CSV with the header {}", self.header)
    }

    fn columns(&self) -> Vec<&'static str> {
        [self.arrival, self.prompt, self.output].concat()
    }

    fn recognises(&self, _path: &Path, first: &str) -> bool {
        let names: Vec<_> = header_names(first).map(|(name, _)| name).collect();
        let has = |column: Column| column.iter().any(|name| names.contains(name));
        has(self.prompt) && has(self.output) && (self.arrival_optional || has(self.arrival))
    }

    fn read(&self, mut lines: Lines<'_>, rows: &mut Rows) -> Result<(), TraceError> {
        let Some(line) = lines.next()? else {
            return Err(TraceError::Empty(lines.path().display().to_string()));
        };
        let number = line.number;
        let places = match line.text {
            Ok(text) => self.places(text).map_err(|fault| (text.to_owned(), fault)),
            Err(fault) => Err((String::new(), fault)),
        };
        let places = places.map_err(|(text, fault)| TraceError::At(lines.diagnose(number, &text, fault)))?;
        if places.arrival.is_none() {
            rows.note("the file has no arrival times: all requests arrive at time 0".into());
        }
        while let Some(line) = lines.next()? {
            let number = line.number;
            let row = match line.text {
                Ok(text) => self.row(&places, text).map_err(|fault| (text.to_owned(), fault)),
                Err(fault) => Err((String::new(), fault)),
            };
            match row {
                Ok(Some((at, prompt, output))) => rows.request(at, prompt, output),
                Ok(None) => rows.failed(),
                Err((text, fault)) => rows.bad(lines.diagnose(number, &text, fault))?,
            }
        }
        Ok(())
    }
}

/// The fields of a line and where they stand; quotes around a field are taken off, those doubled within it stay doubled.
pub(crate) fn fields(line: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut from = Some(0);
    std::iter::from_fn(move || {
        let start = from?;
        let rest = &line[start..];
        let length =
            if rest.starts_with('"') { quoted_length(rest) } else { rest.find(',').unwrap_or(rest.len()) };
        let end = start + length;
        from = (end < line.len()).then_some(end + 1);
        let text = &line[start..end];
        let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        Some((bare, start..end))
    })
}

/// Bytes of the field at the beginning of `rest`, which is quoted: up to a quote that is not doubled and that a comma or the line's end
/// follows.
fn quoted_length(rest: &str) -> usize {
    let mut from = 1;
    while let Some(found) = rest[from..].find('"') {
        let after = from + found + 1;
        match rest.as_bytes().get(after) {
            Some(b',') => return after,
            Some(b'"') => from = after + 1,
            _ => from = after,
        }
    }
    rest.len()
}

/// The names in a header and where they stand, without blanks around them.
pub(crate) fn header_names(header: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    fields(header).map(|(name, span)| (name.trim(), span))
}

/// The names of a header and where they stand.
pub(crate) type Names<'a> = [(&'a str, Range<usize>)];

/// The place of the first of `wanted` that a header has.
pub(crate) fn find(names: &Names<'_>, wanted: &[&str]) -> Result<Option<usize>, Fault> {
    for name in wanted {
        let mut found = names.iter().enumerate().filter(|(_, (n, _))| n == name);
        let Some((place, _)) = found.next() else { continue };
        return match found.next() {
            Some((_, (name, span))) => {
                Err(Fault::new(format!("column '{name}' appears twice"), "each column once").at(span.clone()))
            }
            None => Ok(Some(place)),
        };
    }
    Ok(None)
}

/// `the header has no columns 'a', 'b'`.
pub(crate) fn lacks(missing: &[&str]) -> String {
    let names: Vec<_> = missing.iter().map(|name| format!("'{name}'")).collect();
    format!("the header has no column{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// The name of a header that is most like a missing one, and is not `known` as another column's.
pub(crate) fn like<'a, 'b>(
    names: &'b Names<'a>,
    missing: &str,
    known: &dyn Fn(&str) -> bool,
) -> Option<&'b (&'a str, Range<usize>)> {
    // Any letter is near to any other.
    let alike = |name: &str| match missing.len() {
        1 => name.eq_ignore_ascii_case(missing),
        _ => near(name, [missing]).is_some(),
    };
    names.iter().find(|(name, _)| !known(name) && alike(name))
}

/// Which names seem to be meant for missing columns: where the first stands, and a sentence each.
pub(crate) fn misspelt(
    names: &Names<'_>,
    missing: &[&'static str],
    known: &dyn Fn(&str) -> bool,
) -> (Option<Range<usize>>, String) {
    let found: Vec<_> =
        missing.iter().filter_map(|m| like(names, m, known).map(|found| (found, m))).collect();
    let hints: Vec<_> = found
        .iter()
        .map(|((name, _), m)| format!("column '{}': did you mean '{m}'?", values::short(name)))
        .collect();
    (found.first().map(|((_, span), _)| span.clone()), hints.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_their_places() {
        let split = |line| fields(line).map(|(t, s)| (t, s.start)).collect::<Vec<_>>();
        assert_eq!(split("a,b"), [("a", 0), ("b", 2)]);
        assert_eq!(split("a,,"), [("a", 0), ("", 2), ("", 3)]);
        assert_eq!(split("\"a,x\",b"), [("a,x", 0), ("b", 6)]);
        assert_eq!(split("\"a \"\"x\"\", y\",b"), [("a \"\"x\"\", y", 0), ("b", 13)]);
        assert_eq!(split("\"\",b"), [("", 0), ("b", 3)]);
        assert_eq!(split("\"a"), [("\"a", 0)]);
        assert_eq!(split("\""), [("\"", 0)]);
        assert_eq!(split("é,b"), [("é", 0), ("b", 3)]);
    }
}
