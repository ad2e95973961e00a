//! A text file, line by line: bounded in memory, with line numbers and byte offsets.

use super::error::{Diagnostic, Fault, TraceError};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line accepted, in bytes: a step of 100,000 sequences is a tenth of it.
pub(crate) const LONGEST_LINE: usize = 16 << 20;

/// The lines of one file. Blank lines are passed over; CR LF and LF both end a line, and the last line needs neither.
pub(crate) struct Lines<'a> {
    path: PathBuf,
    input: Box<dyn BufRead + 'a>,
    buffer: Vec<u8>,
    number: u64,
    /// Byte offset of the next line.
    offset: u64,
    /// Whether the line in `buffer` is to be given once more.
    again: bool,
    /// Whether the input stands within an overlong line. Its rest is read only if a further line is asked for:
    /// the input may be endless.
    within: bool,
}

/// One line that is not blank.
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// The text without its line end, or why it is none.
    pub text: Result<&'a str, Fault>,
    /// The same as bytes, which are there even where they are no text. Of an overlong line only the beginning.
    pub bytes: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Opens `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, TraceError> {
        let io = |source| TraceError::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.is_dir() {
            return Err(TraceError::Directory(path.display().to_string()));
        }
        Ok(Self::new(path, BufReader::with_capacity(1 << 16, file)))
    }

    /// Reads from `input`, which errors call `path`.
    pub(crate) fn new(path: &Path, input: impl BufRead + 'a) -> Self {
        Self {
            path: path.into(),
            input: Box::new(input),
            buffer: Vec::new(),
            number: 0,
            offset: 0,
            again: false,
            within: false,
        }
    }

    /// The file's name for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line that is not blank, `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, TraceError> {
        if std::mem::take(&mut self.again) {
            return Ok(Some(self.line()));
        }
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        if std::mem::take(&mut self.within) {
            self.pass_over_rest()?;
        }
        loop {
            self.offset += self.buffer.len() as u64;
            self.buffer.clear();
            let limit = LONGEST_LINE as u64 + 1;
            let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| self.io(source))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.buffer.len() > LONGEST_LINE && self.buffer.last() != Some(&b'\n') {
                self.within = true;
                return Ok(Some(self.line()));
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.line()));
            }
        }
    }

    /// Makes `next` give the same line again.
    pub(super) fn unread(&mut self) {
        self.again = true;
    }

    /// `fault` in line `number` of this file, whose text is `text`.
    pub(crate) fn diagnose(&self, number: u64, text: &str, fault: Fault) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(&self.path, number, text, fault))
    }

    /// Everything from the line that `next` would give on, as text, or the fault. Blank lines passed over before it
    /// count as empty ones, so that line numbers in the text are those of the file.
    pub(super) fn rest(mut self) -> Result<String, TraceError> {
        let mut bytes = vec![b'\n'; self.number.saturating_sub(u64::from(self.again)) as usize];
        let lead = bytes.len();
        if self.again {
            bytes.extend_from_slice(self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer));
        }
        let limit = LONGEST_LINE as u64;
        (&mut self.input).take(limit).read_to_end(&mut bytes).map_err(|source| self.io(source))?;
        if bytes.len() >= LONGEST_LINE {
            let fault = Fault::new("the file is longer than 16 MiB", "a TOML file");
            return Err(TraceError::At(self.diagnose(1, "", fault)));
        }
        String::from_utf8(bytes).map_err(|e| {
            let valid = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..valid].iter().filter(|&&b| b == b'\n').count() as u64 + 1;
            let at = self.offset + (valid - lead) as u64;
            let fault =
                Fault::new(format!("not UTF-8 text at byte {at} of the file"), "a text file in UTF-8");
            TraceError::At(self.diagnose(line, "", fault))
        })
    }

    fn io(&self, source: std::io::Error) -> TraceError {
        TraceError::Io { path: self.path.display().to_string(), source }
    }

    /// Reads to the end of an overlong line without keeping it.
    fn pass_over_rest(&mut self) -> Result<(), TraceError> {
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.io(source)),
            };
            let end = chunk.iter().position(|&b| b == b'\n');
            let (used, done) = end.map_or((chunk.len(), chunk.is_empty()), |i| (i + 1, true));
            self.input.consume(used);
            self.offset += used as u64;
            if done {
                return Ok(());
            }
        }
    }

    /// The buffered line.
    fn line(&self) -> Line<'_> {
        let mut bytes = self.buffer.as_slice();
        if self.number == 1 {
            // The byte order mark that some spreadsheets write.
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let whole = bytes.len();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let text = if whole > LONGEST_LINE {
            Err(Fault::new("the line is longer than 16 MiB", "one request, or one step, on each line"))
        } else {
            std::str::from_utf8(bytes).map_err(|e| {
                let mark = (self.buffer.len() - whole) as u64;
                let at = self.offset + mark + e.valid_up_to() as u64;
                let hint = match bytes {
                    [0x1f, 0x8b, ..] => Some("the file is compressed with gzip: decompress it first".into()),
                    [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                        Some("the file looks like UTF-16: convert it to UTF-8".into())
                    }
                    _ => None,
                };
                Fault::new(format!("not UTF-8 text at byte {at} of the file"), "a text file in UTF-8")
                    .help(hint)
            })
        };
        Line { number: self.number, text, bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut lines = Lines::new(Path::new("t"), bytes);
        let mut out = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            out.push((line.number, line.text.map(str::to_owned).map_err(|f| f.message)));
        }
        out
    }

    #[test]
    fn line_ends_blank_lines_and_byte_order_mark() {
        let lines = all(b"\xef\xbb\xbfa,b\r\n\r\n  \nc\nd");
        assert_eq!(lines, [(1, Ok("a,b".into())), (4, Ok("c".into())), (5, Ok("d".into()))]);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n\n \r\n"), []);
    }

    #[test]
    fn bytes_that_are_not_text_are_located() {
        let lines = all(b"ok\nab\xffc\nfine\n");
        assert_eq!(lines[1], (2, Err("not UTF-8 text at byte 5 of the file".into())));
        assert_eq!(lines[2], (3, Ok("fine".into())));
    }

    #[test]
    fn an_overlong_line_is_passed_over_whole() {
        let mut bytes = vec![b'x'; 2 * LONGEST_LINE];
        bytes.extend_from_slice(b"\nnext\n\xff");
        let lines = all(&bytes);
        assert_eq!(lines[0], (1, Err("the line is longer than 16 MiB".into())));
        assert_eq!(lines[1], (2, Ok("next".into())));
        let at = 2 * LONGEST_LINE + 6;
        assert_eq!(lines[2], (3, Err(format!("not UTF-8 text at byte {at} of the file"))));
    }

    #[test]
    fn an_endless_line_is_an_error_at_once() {
        let mut lines = Lines::new(Path::new("t"), BufReader::new(std::io::repeat(b'x')));
        assert!(lines.next().unwrap().unwrap().text.is_err());
    }

    #[test]
    fn a_line_can_be_unread() {
        let mut lines = Lines::new(Path::new("t"), &b"a\nb\n"[..]);
        lines.next().unwrap();
        lines.unread();
        assert_eq!(lines.next().unwrap().unwrap().text.unwrap(), "a");
        assert_eq!(lines.next().unwrap().unwrap().text.unwrap(), "b");
    }
}
