//! Lists the preset files, so that adding a device or a model is adding one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let mut code = String::new();
    for (constant, folder) in
        [("ACCELERATORS", "accelerators"), ("KERNELS", "kernels"), ("MEMORY", "memory"), ("MODELS", "models")]
    {
        let folder = root.join("configs").join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        let _ = writeln!(code, "pub(crate) const {constant}: &[(&str, &str)] = &[");
        for (name, path) in presets(&folder)? {
            let _ = writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string());
        }
        code.push_str("];\n");
    }
    let paper = root.join("configs/paper");
    code.push_str("pub(crate) const PAPER: &[(&str, &str)] = &[\n");
    for folder in ["", "accelerators", "models"] {
        println!("cargo:rerun-if-changed={}", paper.join(folder).display());
        for (name, path) in presets(&paper.join(folder))? {
            let name =
                if folder.is_empty() { format!("{name}.toml") } else { format!("{folder}/{name}.toml") };
            let _ = writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string());
        }
    }
    code.push_str("];\n");
    fs::write(out.join("presets.rs"), code)
}

/// The TOML files of a folder by name, sorted.
fn presets(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "toml")
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
        {
            files.push((stem.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}
