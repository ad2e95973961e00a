//! Accelerators: peaks, memories, rotation, energies, and where each figure is from.

use std::path::Path;

use slimsim::config::{Overrides, PresetKind, load_accelerator, preset_names, preset_text};
use slimsim::hardware::Accelerator;
use slimsim::hardware::vector_unit::VectorUnit;
use slimsim::units::{Bandwidth, Bytes, Dtype};

use super::{rows, shared_facts};

/// Published figures of a machine.
struct Published {
    name: &'static str,
    /// Name in the shared table, if it is there.
    listed_as: Option<&'static str>,
    /// Dense 16-bit peak in TFLOP/s.
    bf16: f64,
    /// Dense int8 peak in TOPS, where there is one.
    int8: Option<f64>,
    /// Dense fp8 peak in TFLOP/s, where there is one.
    fp8: Option<f64>,
    /// Bandwidth of the memory that holds weights and cache, in GB/s.
    bandwidth: u64,
    /// Capacity of that memory in MB.
    capacity: u64,
}

/// One line of [`HARDWARE`].
#[rustfmt::skip]
const fn published(
    name: &'static str, listed_as: Option<&'static str>, bf16: f64, int8: Option<f64>, fp8: Option<f64>, bandwidth: u64, capacity: u64,
) -> Published {
    Published { name, listed_as, bf16, int8, fp8, bandwidth, capacity }
}

#[rustfmt::skip]
const HARDWARE: [Published; 20] = [
    published("a100-sxm", Some("A100-80 SXM"), 312.0, Some(624.0), None, 2039, 80_000),
    published("b200-sxm", Some("B200 SXM"), 2250.0, Some(4500.0), Some(4500.0), 7700, 180_000),
    published("b300-sxm", None, 2250.0, None, Some(4500.0), 7750, 270_000),
    published("gaudi3", Some("Intel Gaudi3"), 1835.0, None, Some(1835.0), 3670, 128_000),
    published("gb200", None, 2500.0, Some(5000.0), Some(5000.0), 8000, 186_000),
    published("gb300", None, 2500.0, None, Some(5000.0), 8000, 279_000),
    published("groq-lpu", Some("Groq LPU v1"), 188.0, Some(750.0), None, 80_000, 230),
    published("h100-sxm", Some("H100 SXM"), 989.0, Some(1978.0), Some(1978.0), 3350, 80_000),
    published("h20-3e", None, 148.0, Some(296.0), Some(296.0), 4800, 141_000),
    published("h20-sxm", None, 148.0, Some(296.0), Some(296.0), 4000, 96_000),
    published("h200-sxm", Some("H200 SXM"), 989.0, Some(1978.0), Some(1978.0), 4800, 141_000),
    published("h800-sxm", None, 989.0, Some(1978.0), Some(1978.0), 3350, 80_000),
    published("l40s", Some("L40S"), 362.05, Some(733.0), Some(733.0), 864, 48_000),
    published("mi300x", Some("MI300X"), 1307.0, Some(2615.0), Some(2615.0), 5300, 192_000),
    published("rtx-5090", None, 209.5, Some(838.0), Some(419.0), 1792, 32_000),
    published("rtx-pro-6000-server", None, 467.8, Some(935.6), Some(935.6), 1597, 96_000),
    published("tpu-v4", Some("TPU v4"), 275.0, Some(275.0), None, 1200, 32_000),
    published("tpu-v5e", Some("TPU v5e"), 197.0, Some(394.0), None, 819, 16_000),
    published("tpu-v5p", Some("TPU v5p"), 459.0, Some(918.0), None, 2765, 95_000),
    published("trainium2", Some("AWS Trainium2"), 667.0, None, Some(1299.0), 3000, 96_000),
];

/// The preset as it stands.
fn accelerator(name: &str) -> Accelerator {
    load_accelerator(name, &Overrides::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Dense peak of `dtype` in TFLOP/s.
fn peak(machine: &Accelerator, dtype: Dtype) -> f64 {
    2.0 * machine.peak_macs_per_second(dtype).expect("a real machine has a finite peak") as f64 / 1e12
}

/// Share of the vector unit that rotating 16-bit keys takes when they arrive at full bandwidth.
fn rotation_share(machine: &Accelerator) -> f64 {
    let VectorUnit::Lanes { lanes, rotate_ops, .. } = machine.cores.vector_unit else { return 0.0 };
    let keys = machine.memory_bandwidth().expect("every preset has a memory").0 as f64 / 2.0;
    keys * rotate_ops as f64 / (lanes * machine.cores.count * machine.clock.0) as f64
}

#[test]
fn every_accelerator_preset_loads_and_is_listed() {
    let names: Vec<_> = preset_names(PresetKind::Accelerator).collect();
    let mut expected: Vec<_> = HARDWARE.iter().map(|p| p.name).chain(["ideal-memory-bound"]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for name in names {
        let machine = accelerator(name);
        assert_eq!(machine.name, name, "the name in the file is the file's name");
        assert!(!machine.source.is_empty(), "{name} names no source");
    }
}

#[test]
fn peaks_and_memories_are_the_published_ones() {
    for published in HARDWARE {
        let name = published.name;
        let machine = accelerator(name);
        let near = |dtype, expected: f64, tolerance: f64| {
            let deviation = peak(&machine, dtype) / expected - 1.0;
            println!(
                "{name} {dtype}: {:.1} against {expected} ({:+.2} %)",
                peak(&machine, dtype),
                deviation * 100.0
            );
            assert!(deviation.abs() <= tolerance, "{name} {dtype}: off by {:.2} %", deviation * 100.0);
        };
        near(Dtype::Bf16, published.bf16, 0.01);
        // L40S states its 8-bit peak at another clock than its 16-bit one: 1.2 %.
        for (dtype, expected) in [(Dtype::Int8, published.int8), (Dtype::Fp8, published.fp8)] {
            if let Some(expected) = expected {
                near(dtype, expected, 0.0125);
            }
        }
        assert_eq!(
            machine.memory_bandwidth(),
            Some(Bandwidth(published.bandwidth * 1_000_000_000)),
            "{name}"
        );
        assert_eq!(machine.memory_capacity(), Some(Bytes(published.capacity * 1_000_000)), "{name}");
    }
}

#[test]
fn rotation_takes_the_share_of_the_vector_unit_that_the_design_counts_on() {
    for (name, low, high) in [
        ("h100-sxm", 0.30, 0.36),
        ("a100-sxm", 0.57, 0.70),
        ("b200-sxm", 0.57, 0.70),
        ("tpu-v5p", 0.57, 0.70),
    ] {
        let share = rotation_share(&accelerator(name));
        println!("{name}: {share:.3}");
        assert!((low..=high).contains(&share), "{name}: {share}");
    }
}

#[test]
fn matrix_ports_of_a_tpu_take_what_its_shape_says() {
    // Eight 128-wide arrays, two bytes a port and cycle at 1.751 GHz: 3.58 TB/s for each kind of port.
    let machine = accelerator("tpu-v5p");
    let slimsim::hardware::mac_array::MacArray::Systolic { rows, count, .. } = machine.cores.mac_array else {
        panic!("tpu-v5p is systolic")
    };
    let port = (rows * count * machine.cores.count * 2) as f64 * machine.clock.0 as f64;
    assert!((port / 3.58e12 - 1.0).abs() < 0.01, "{port}");
}

#[test]
fn the_ideal_machine_has_a_memory_and_nothing_else() {
    let machine = accelerator("ideal-memory-bound");
    let hbm = machine.hbm.as_ref().expect("it has a memory");
    assert_eq!(machine.peak_macs_per_second(Dtype::Fp32), None);
    assert_eq!(machine.cores.vector_unit, VectorUnit::Ideal);
    assert_eq!(machine.cores.sram.bandwidth.resolve(machine.clock), None);
    assert_eq!((hbm.capacity, hbm.latency.0), (None, 0));
    assert_eq!(machine.overheads, slimsim::hardware::Overheads::default());
    assert!(machine.free_activations);
    assert!(
        HARDWARE.iter().all(|p| !accelerator(p.name).free_activations),
        "no real machine moves activations for free"
    );
}

#[test]
fn energy_is_known_for_every_real_machine() {
    for published in HARDWARE {
        let machine = accelerator(published.name);
        let energy = &machine.energy;
        assert_eq!(energy.hbm_pj_per_bit.is_some(), machine.hbm.is_some(), "{}", machine.name);
        assert_eq!(
            energy.shared_sram_pj_per_bit.is_some(),
            machine.shared_sram.is_some(),
            "{}",
            machine.name
        );
        assert!(energy.local_sram_pj_per_bit.is_some() && energy.vector_op_pj.is_some(), "{}", machine.name);
        for dtype in Dtype::ALL {
            assert!(energy.mac(dtype).is_some(), "{} has no energy of a {dtype} product", machine.name);
        }
    }
}

#[test]
fn the_table_of_the_documentation_is_what_the_presets_say() {
    let documentation = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accelerators.md");
    let text = std::fs::read_to_string(documentation).expect("docs/accelerators.md is readable");
    let mut missing = String::new();
    for published in &HARDWARE {
        let machine = accelerator(published.name);
        let narrow = if published.int8.is_some() { Dtype::Int8 } else { Dtype::Fp8 };
        let bandwidth = published.bandwidth;
        let capacity = match published.capacity {
            mb if mb >= 1000 => format!("{} GB", mb / 1000),
            mb => format!("{mb} MB"),
        };
        let row = format!(
            "| `{}` | {} | {:.1} | {:.0} ({narrow}) | {bandwidth} | {capacity} | {:.1} | {:.2} |",
            machine.name,
            machine.cores.count,
            peak(&machine, Dtype::Bf16),
            peak(&machine, narrow),
            machine.ridge_flop_per_byte(Dtype::Bf16).expect("a real machine has a ridge point"),
            rotation_share(&machine),
        );
        if !text.lines().any(|line| line == row) {
            missing.push_str(&row);
            missing.push('\n');
        }
    }
    assert!(missing.is_empty(), "docs/accelerators.md lacks these rows:\n{missing}");
}

#[test]
fn every_figure_of_an_accelerator_says_where_it_is_from() {
    // On its line or in the comment above it, a figure names its source or says that it is assumed or derived.
    let figures = [
        "clock",
        "count",
        "bandwidth",
        "capacity",
        "latency",
        "launch",
        "work_item",
        "barrier",
        "lanes",
        "exp_per_cycle",
        "max_size",
        "hbm",
        "shared_sram",
        "local_sram",
        "vector_op",
    ];
    let mut seen = 0;
    for name in preset_names(PresetKind::Accelerator) {
        let text = preset_text(PresetKind::Accelerator, name).expect("a listed preset has a text");
        let mut above = "";
        for line in text.lines() {
            if line.split_once(" = ").is_some_and(|(key, _)| figures.contains(&key)) {
                assert!(line.contains(" # ") || above.starts_with("# "), "{name}: no source for: {line}");
                seen += 1;
            }
            above = line;
        }
    }
    assert!(seen > 150, "only {seen} figures found: the keys have changed");
}

#[test]
fn machines_agree_with_the_shared_table() {
    let Some(path) = shared_facts("hardware.csv") else { return };
    let rows = rows(&path);
    for published in HARDWARE {
        let Some(listed_as) = published.listed_as else { continue };
        let row = rows
            .iter()
            .find(|r| r["name"] == listed_as)
            .unwrap_or_else(|| panic!("{listed_as} is not in the shared table"));
        let number = |column: &str| row[column].parse::<f64>().ok();
        assert_eq!(number("bf16_fp16_dense_tflops"), Some(published.bf16), "{}", published.name);
        assert_eq!(number("int8_dense_tops"), published.int8, "{}", published.name);
        assert_eq!(number("mem_bw_GBps"), Some(published.bandwidth as f64), "{}", published.name);
        let capacity = number("mem_capacity_GB").expect("a capacity");
        assert!((capacity * 1000.0 - published.capacity as f64).abs() < 0.5, "{}", published.name);
    }
}
