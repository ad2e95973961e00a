//! A folder that is filled as a whole: files are written aside and appear when all of them are complete.

use super::SweepError;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder for the results of one sweep. Dropped before [`OutputFolder::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    /// Where files are until they are complete; inside the folder, so that renaming stays within one file system.
    aside: Option<TempDir>,
    /// The outermost folder that was made for it.
    made: Option<PathBuf>,
}

impl OutputFolder {
    /// Makes the folder, and those above it, if need be.
    ///
    /// # Errors
    /// It is not empty, is no folder, or cannot be written to.
    pub fn create(path: &Path) -> Result<Self, SweepError> {
        let refuse = |why: String| SweepError::Folder { path: path.to_path_buf(), why };
        let because = |error: io::Error| refuse(reason(&error));
        let made = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).last();
        let made = made.map(Path::to_path_buf);
        if path.exists() && !path.is_dir() {
            return Err(refuse("it is a file, expected a directory".into()));
        }
        std::fs::create_dir_all(path).map_err(because)?;
        let mut this = Self { path: path.to_path_buf(), aside: None, made };
        if let Some(entry) = std::fs::read_dir(path).map_err(because)?.next() {
            let name = entry.map_err(because)?.file_name();
            return Err(refuse(format!(
                "the directory is not empty (it has '{}'): expected a new or an empty one",
                name.to_string_lossy()
            )));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".slimsim-").suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        this.aside = Some(builder.tempdir_in(path).map_err(because)?);
        Ok(this)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.aside.as_ref().map_or_else(|| self.path.join(name), |dir| dir.path().join(name))
    }

    fn error(&self, name: &str, error: &io::Error) -> SweepError {
        SweepError::Folder { path: self.path.join(name), why: reason(error) }
    }

    /// Opens a file that grows while the sweep runs.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(&self, name: &str) -> Result<BufWriter<File>, SweepError> {
        let file = File::create(self.aside(name)).map_err(|e| self.error(name, &e))?;
        Ok(BufWriter::with_capacity(1 << 20, file))
    }

    /// Writes a whole file, and the folders that `name` has.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SweepError> {
        let path = self.aside(name);
        let result = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            let mut file = File::create(&path)?;
            file.write_all(bytes)
        });
        result.map_err(|e| self.error(name, &e))
    }

    /// Moves everything into place, `last` at the very end: where that file is, the sweep is complete.
    ///
    /// # Errors
    /// Something cannot be moved.
    pub fn commit(mut self, last: &str) -> Result<(), SweepError> {
        let Some(aside) = self.aside.take() else { return Ok(()) };
        let mut names = Vec::new();
        let entries = std::fs::read_dir(aside.path()).map_err(|e| self.error("", &e))?;
        for entry in entries {
            names.push(entry.map_err(|e| self.error("", &e))?.file_name());
        }
        names.sort();
        names.sort_by_key(|name| name == last);
        for name in names {
            std::fs::rename(aside.path().join(&name), self.path.join(&name))
                .map_err(|e| self.error(&name.to_string_lossy(), &e))?;
        }
        self.made = None;
        Ok(())
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // First what is inside. A failure to clean up has nobody to be told to.
        drop(self.aside.take());
        let Some(made) = self.made.take() else { return };
        let mut folder = self.path.as_path();
        // Only folders that are empty go away, so that nothing of anybody else's can be lost.
        while std::fs::remove_dir(folder).is_ok() && folder != made {
            let Some(above) = folder.parent() else { break };
            folder = above;
        }
    }
}

/// Why the file system refused, the same words on every system for the common cases.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::NotADirectory => "a part of the path is no directory".into(),
        io::ErrorKind::AlreadyExists => "it is a file, expected a directory".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        io::ErrorKind::StorageFull => "no space left".into(),
        _ => error.to_string(),
    }
}
