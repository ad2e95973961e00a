#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
#[test]
fn smoke() {
    for f in ["mha", "gqa", "mla"] {
        let t = read(Path::new(&format!("/work/shared/data/measured/decode_attention_{f}_calibration.csv"))).unwrap();
        println!("{} {} {}\n{}", t.outcomes.len(), t.skipped.total(), t.remarks.total(), t.skipped);
    }
}
