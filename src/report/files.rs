//! Files written whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot write '{}': {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `bytes` to `path` by way of a temporary file beside it and a rename: readers see the old file or the new
/// one, and a failure leaves the old one untouched. Missing folders are made.
///
/// # Errors
/// [`ReportError::Write`] names the path: the folder cannot be made or written, `path` is a folder, the disk is full.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    replace(path, bytes).map_err(|source| ReportError::Write { path: path.to_path_buf(), source })
}

/// Whether [`write_atomically`] could write `path` now: what takes long had better ask first. Missing folders are made.
///
/// # Errors
/// As [`write_atomically`].
pub fn check_writable(path: &Path) -> Result<(), ReportError> {
    let write = |source| ReportError::Write { path: path.to_path_buf(), source };
    beside(path).map(drop).map_err(write)
}

/// A temporary file in the folder of `path`, which is made if missing.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".slimsim-").suffix(".tmp");
    // Temporary files are private by default; results should get what the user's mask allows, as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    file.flush()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}
