//! Where output goes: results to stdout, all else to stderr.

use super::CliError;
use crate::report::plot::Plot;
use crate::report::{CsvWriter, Exporter, Format, ReportError, write_atomically, write_json};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Writes a result to stdout. It is put together first: a command that fails on the way prints no part of one.
///
/// # Errors
/// [`CliError::Output`], a closed pipe among them.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|e| CliError::Internal(e.to_string()))?;
    let mut out = io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Writes a line to stderr. Where even that is closed there is nobody to tell.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The width for tables and words: what the environment's `COLUMNS` says, else the terminal's; `None` where stdout is none.
#[must_use]
pub fn width() -> Option<u16> {
    if let Some(width) = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()) {
        return Some(width);
    }
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| width.0)
}

/// Reads the value of `--format`.
pub(super) fn format(text: &str) -> Result<Format, String> {
    text.parse()
}

/// A document of results about one machine and one model.
pub(super) trait Document: Serialize {
    /// A row of its CSV.
    type Row: Serialize;

    /// Names of machine and model.
    fn of(&self) -> [&str; 2];

    /// Columns and rows of its CSV.
    fn rows(&self) -> (&'static [String], &[Self::Row]);

    /// Writes it by itself.
    ///
    /// # Errors
    /// The writer's own.
    fn export(&self, exporter: &dyn Exporter, out: &mut dyn Write) -> io::Result<()>;
}

/// Prints documents: of several, JSON is an array, and CSV has the names of machine and model in front.
///
/// # Errors
/// As [`print`].
pub(super) fn documents<D: Document>(documents: &[D], format: Format) -> Result<(), CliError> {
    print(|out| match (documents, format) {
        ([one], _) => one.export(&*format.exporter(width()), out),
        (many, Format::Json) => write_json(&many, out),
        (many, Format::Csv) => {
            let leading = ["accelerator", "model"].map(str::to_owned);
            let columns = many.first().map_or(&[][..], |d| d.rows().0);
            let mut csv = CsvWriter::new(out, &leading, columns)?;
            for document in many {
                let leading = document.of().map(str::to_owned);
                document.rows().1.iter().try_for_each(|row| csv.row(&leading, row))?;
            }
            csv.finish()
        }
        (many, Format::Table) => {
            let exporter = format.exporter(width());
            for (i, one) in many.iter().enumerate() {
                if i > 0 {
                    writeln!(out)?;
                }
                one.export(&*exporter, out)?;
            }
            Ok(())
        }
    })
}

/// Makes sure that files can be written to `folder` before hours are spent on what they should hold.
///
/// # Errors
/// [`CliError::Report`] where they cannot.
pub(super) fn prepare_folder(folder: &Path) -> Result<(), CliError> {
    let refused = |source| ReportError::Write { path: folder.to_path_buf(), source };
    if folder.exists() && !folder.is_dir() {
        return Err(refused(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder")).into());
    }
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map_err(refused)?;
    Ok(())
}

/// Writes a plot as `NAME.svg` and `NAME.png`; returns their paths.
///
/// # Errors
/// [`CliError::Plot`] where it cannot be rendered, [`CliError::Report`] where it cannot be written.
pub(super) fn save_plot(folder: &Path, name: &str, plot: &Plot) -> Result<[PathBuf; 2], CliError> {
    let png = plot.png()?;
    let paths = ["svg", "png"].map(|extension| folder.join(format!("{name}.{extension}")));
    for (path, bytes) in paths.iter().zip([plot.svg.as_bytes(), &png]) {
        write_atomically(path, bytes)?;
    }
    Ok(paths)
}

/// What makes the bytes of a plot's file.
pub(super) type Render = fn(&Plot) -> Result<Vec<u8>, CliError>;

/// How a plot becomes a file of that name, by its extension.
///
/// # Errors
/// The extension is neither `.svg` nor `.png`.
pub(super) fn plot_file(path: &Path) -> Result<Render, CliError> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => Ok(|plot| Ok(plot.svg.clone().into_bytes())),
        Some("png") => Ok(|plot| Ok(plot.png()?)),
        _ => {
            let message = format!("cannot draw into '{}': unknown kind of file", path.display());
            Err(CliError::usage(message).with_help("plots are .svg or .png"))
        }
    }
}

/// The name of a plot's files: its kind, and what it is of where there are several.
pub(super) fn file_name(kind: &str, of: Option<[&str; 2]>) -> String {
    let mut name = kind.to_owned();
    for part in of.into_iter().flatten() {
        name.push('-');
        // Names come from files: what could lead elsewhere is replaced.
        name.extend(part.chars().map(|c| if c.is_alphanumeric() || "-.".contains(c) { c } else { '_' }));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_stay_in_their_folder() {
        assert_eq!(file_name("causes", None), "causes");
        assert_eq!(file_name("causes", Some(["tpu-v5p", "a/../b c"])), "causes-tpu-v5p-a_.._b_c");
    }
}
