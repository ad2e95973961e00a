//! reports/example: what one sweep leaves behind, byte for byte.

use super::{comparable, hold, root, shell, update, workplace};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_path_buf());
            }
        }
    }
    all
}

#[test]
fn the_example_output_is_what_the_sweep_makes_now() {
    let place = workplace();
    let (said, fine) = shell(place.path(), "slimsim sweep configs/sweeps/example.toml --out reports/example");
    assert!(fine, "{said}");
    let (made, committed) = (place.path().join("reports/example"), root().join("reports/example"));
    if update() {
        let _ = std::fs::remove_dir_all(&committed);
    } else {
        assert_eq!(files(&made), files(&committed));
    }
    for file in files(&made).iter().filter(|f| comparable(f)) {
        hold(&committed.join(file), &std::fs::read(made.join(file)).unwrap());
    }
}
