//! Kernel profiles as files: what is read, what is written, and that the one gives the other back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use proptest::prelude::*;
use slimsim::config::{
    KernelChoice, Overrides, PresetKind, kernel_presets, load_accelerator, load_experiment, load_kernels,
    preset_names, preset_text, show_kernels, write_accelerator, write_kernels,
};
use slimsim::hardware::Accelerator;
use slimsim::hardware::kernel::{
    Constants, FitQuality, Kernel, KernelProfile, Kind, LaunchPlusBytes, MeasuredRate, Phase, Policy,
    SplitRule, Tiling,
};
use slimsim::units::{Dtype, Picos};

/// Writes a file into a fresh folder and passes its path on.
fn with_file<T>(text: &str, read: impl FnOnce(&str) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, text).unwrap();
    read(path.to_str().unwrap())
}

fn parse(text: &str) -> KernelProfile {
    with_file(text, load_kernels).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn presets_name_accelerators_and_are_named_after_them() {
    let profiles = kernel_presets().unwrap_or_else(|error| panic!("{error}"));
    let files = fs::read_dir("configs/kernels").unwrap();
    let files = files.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml"));
    assert_eq!(profiles.len(), files.count());
    assert!(!profiles.is_empty());
    for (name, profile) in preset_names(PresetKind::Kernels).zip(&profiles) {
        assert_eq!(profile.name, name);
        assert_eq!(profile.name, format!("{}-{}", profile.accelerator, profile.framework));
        assert!(preset_text(PresetKind::Accelerator, &profile.accelerator).is_some(), "{name}");
        let shown = show_kernels(name).unwrap();
        assert_eq!(parse(&shown), *profile, "{shown}");
        assert_eq!(parse(&write_kernels(profile)), *profile, "{name}");
    }
}

/// A profile with every table and every key.
const EVERYTHING: &str = r#"
accelerator = "b200-sxm"
framework = "a \"framework\""
source = "tables"
note = "a note\nin two lines\u007f"

[[kernel]]
kind = "mla"
dtype = "fp8"
name = "flash_mla" # a comment
[kernel.policy]
split = "fill-down" # read off its source
block = 64
unsplit = 4_096
items_per_core = 2
heads = 64
[kernel.constants]
launch = "8.680001 us" # fitted
work_item = "0 ns"
item_rate = "29.123456789 GB/s"
memory_fraction = 1
overlap = 0
l2_reach = 2.0
[kernel.rival]
launch = "9 us"
memory_fraction = 0.9
[kernel.fit]
rows = 235
mape = 0.036
held_out_rows = 58
held_out_mape = 0.037
low = 0.95
high = 1.06

[[kernel]]
kind = "gemm"
dtype = "bf16"
policy = { split = "none", block = 64, rows = 128, columns = 256 }
constants = { launch = "1 us", mac_fraction = 0.67 }

[[kernel]]
kind = "mla"
dtype = "bf16"
policy = { split = "fill-up", block = 1 }
constants = { launch = "1 us", combine = "7 ps" }
"#;

#[test]
fn every_key_arrives_and_is_shown() {
    with_file(EVERYTHING, |path| {
        let profile = load_kernels(path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(profile.name, "mine");
        assert_eq!(
            (profile.accelerator.as_str(), profile.framework.as_str()),
            ("b200-sxm", "a \"framework\"")
        );
        assert_eq!(
            (profile.source.as_str(), profile.note.as_deref()),
            ("tables", Some("a note\nin two lines\u{7f}"))
        );
        let [latent, product, plain] = &profile.kernels[..] else { panic!("three kernels") };
        let policy = Policy {
            split: SplitRule::FillDown,
            block: 64,
            unsplit: 4096,
            items_per_core: 2,
            heads: 64,
            ..Policy::PLAIN
        };
        let constants = Constants {
            launch: Picos(8_680_001),
            work_item: Some(Picos(0)),
            combine: None,
            item_rate: Some(29_123_456_789),
            memory_fraction: Some(1.0),
            mac_fraction: None,
            overlap: Some(0.0),
            l2_reach: Some(2.0),
        };
        let fit = FitQuality {
            rows: 235,
            mape: 0.036,
            held_out_rows: 58,
            held_out_mape: 0.037,
            low: 0.95,
            high: 1.06,
        };
        let whole = Kernel {
            kind: Kind::Mla,
            dtype: Dtype::Fp8,
            name: Some("flash_mla".to_owned()),
            policy,
            constants,
            rival: Some(LaunchPlusBytes { launch: Picos(9_000_000), memory_fraction: 0.9 }),
            fit: Some(fit),
        };
        assert_eq!(*latent, whole);
        assert_eq!(latent.constants.given(), 6);
        let policy = Policy {
            split: SplitRule::None,
            block: 64,
            unsplit: 0,
            items_per_core: 1,
            heads: 1,
            tiling: Some(Tiling { rows: 128, columns: 256 }),
            ..Policy::PLAIN
        };
        assert_eq!((product.kind, &product.name, product.policy), (Kind::Gemm, &None, policy));
        assert_eq!((product.rival, product.fit), (None, None));
        // Where a file does not say, one work item serves every head that shares a row.
        assert_eq!(plain.policy.heads, slimsim::config::limits::MAX_HEADS);
        assert_eq!(plain.constants.combine, Some(Picos(7)));

        let shown = show_kernels(path).unwrap();
        assert_eq!(parse(&shown), profile, "{shown}");
        let mut lines = shown.lines();
        for expected in [
            "name = \"mine\"  # default",
            "name = \"flash_mla\"  # a comment",
            "split = \"fill-down\"  # read off its source",
            "launch = \"8.680001 us\"  # fitted",
            "unsplit = 0  # default",
            "items_per_core = 1  # default",
            "rows = 128",
            "heads = 65536  # default",
        ] {
            assert!(lines.any(|line| line == expected), "'{expected}' is not in order in\n{shown}");
        }
    });
}

#[test]
fn a_kernel_is_chosen_by_name_then_as_the_one_for_all_others() {
    let kernel = |name: &str, block| {
        format!(
            "[[kernel]]\nkind = \"mha\"\ndtype = \"bf16\"\n{name}\npolicy = {{ split = \"none\", block = {block} }}\n\
             constants = {{ launch = \"1 us\" }}\n"
        )
    };
    let head = "accelerator = \"h100-sxm\"\nframework = \"f\"\nsource = \"s\"\n";
    let profile = parse(&format!("{head}{}{}", kernel("name = \"fa3\"", 1), kernel("", 2)));
    let block = |dtype, name| profile.kernel(Kind::Mha, dtype, name).map(|k| k.policy.block);
    assert_eq!((block(Dtype::Bf16, "fa3"), block(Dtype::Bf16, "fa2")), (Some(1), Some(2)));
    assert_eq!((block(Dtype::Fp8, "fa3"), profile.kernel(Kind::Gqa, Dtype::Bf16, "fa3")), (None, None));
}

#[test]
fn an_accelerators_file_is_found_from_the_profiles_folder() {
    let text = EVERYTHING.replace("\"b200-sxm\"", "\"machines/mine.toml\"");
    with_file(&text, |path| {
        let beside = std::path::Path::new(path).parent().unwrap().join("machines/mine.toml");
        assert_eq!(load_kernels(path).unwrap().accelerator, beside.to_str().unwrap());
    });
}

/// A preset with a profile of its own.
fn measured(kernels: Vec<Kernel>, rates: Vec<MeasuredRate>) -> Accelerator {
    let machine = load_accelerator("a100-sxm", &Overrides::default()).unwrap();
    let profile = KernelProfile {
        name: machine.name.clone(),
        accelerator: machine.name.clone(),
        framework: "mine".to_owned(),
        source: "measured".to_owned(),
        note: None,
        machine: Some("this one".to_owned()),
        kernels,
        rates,
    };
    Accelerator { own_kernels: Some(profile.into()), ..machine }
}

fn any_kernel() -> Kernel {
    let constants = Constants { launch: Picos(1), ..Constants::default() };
    Kernel {
        kind: Kind::Mha,
        dtype: Dtype::Bf16,
        name: None,
        policy: Policy::PLAIN,
        constants,
        rival: None,
        fit: None,
    }
}

#[test]
fn an_accelerators_file_stands_for_the_profile_in_it() {
    let machine = measured(vec![any_kernel()], Vec::new());
    let text = write_accelerator(&machine);
    with_file(&text, |path| {
        let profile = load_kernels(path).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(Some(&profile), machine.own_kernels.as_deref());
        let refused = show_kernels(path).unwrap_err().to_string();
        assert!(refused.contains("slimsim show accelerator"), "{refused}");

        let read = load_accelerator(path, &Overrides::default()).unwrap();
        assert_eq!((&read, &read.kernels), (&machine, &None));
        let own = KernelChoice::load("own").unwrap();
        let selected = KernelChoice::select(Some(&own), read.clone()).unwrap();
        assert_eq!(selected.kernels.as_deref(), Some(&profile));
        assert_eq!(KernelChoice::select(None, selected).unwrap(), read);
        let plain = load_accelerator("a100-sxm", &Overrides::default()).unwrap();
        let refused = KernelChoice::select(Some(&own), plain.clone()).unwrap_err().to_string();
        assert!(refused.contains("accelerator 'a100-sxm' has no kernels of its own"), "{refused}");
        let other = KernelChoice::load(path).unwrap();
        assert_eq!(KernelChoice::select(Some(&other), plain).unwrap().kernels.as_deref(), Some(&profile));
        assert_eq!((own.name(), other.name()), ("own", "a100-sxm"));
    });
    // Without the table it is an accelerator all the same, and an accelerator's errors are shown.
    let (plain, _) = text.split_once("\n[kernel_profile]").unwrap();
    let refused = with_file(plain, load_kernels).unwrap_err().to_string();
    assert!(refused.contains("mine.toml has no kernels of its own"), "{refused}");
    let refused = with_file(&text.replace("count = 108", "count = 0"), load_kernels).unwrap_err().to_string();
    assert!(refused.contains("'cores.count' is zero"), "{refused}");
}

#[test]
fn an_experiment_may_ask_for_the_machines_own_kernels() {
    with_file("kernels = \"own\"\n", |path| {
        assert_eq!(load_experiment(path).unwrap().kernels.as_deref(), Some("own"));
    });
}

/// Any time that a file may give.
fn times() -> impl Strategy<Value = Picos> {
    prop_oneof![0..=1_000_000_000_000_u64, 0..100_000_000_u64].prop_map(Picos)
}

/// Above 0, at most `most`.
fn shares(most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(most),
        f64::MIN_POSITIVE..=most,
        (1..=9999_u32).prop_map(move |n| most * f64::from(n) / 1e4)
    ]
}

fn texts() -> impl Strategy<Value = String> {
    "[\\PC\n\t]{0,6}[a-z0-9\"'\\\\#]\\PC{0,6}"
}

fn policies(kind: Kind) -> impl Strategy<Value = Policy> {
    let split = proptest::sample::select(SplitRule::ALL.to_vec());
    let tiling = proptest::option::of((1..=1_u64 << 24, 1..=1_u64 << 24));
    (split, 1..=1_u64 << 31, 0..=1_u64 << 31, 1..=4096_u64, 1..=1_u64 << 16, tiling).prop_map(
        move |(split, block, unsplit, items_per_core, heads, tiling)| Policy {
            split,
            block,
            unsplit,
            items_per_core,
            heads: match kind {
                Kind::Mla => heads,
                Kind::SlimK => slimsim::config::limits::MAX_HEADS,
                _ => 1,
            },
            padded_rows: (kind != Kind::Gemm && block.is_multiple_of(3)).then_some(heads),
            quick_unsplit: kind != Kind::Gemm && block.is_multiple_of(2),
            serial_combine: kind != Kind::Gemm && unsplit.is_multiple_of(2),
            pipelined: kind == Kind::Gemm || unsplit.is_multiple_of(3),
            tiling: tiling.filter(|_| kind == Kind::Gemm).map(|(rows, columns)| Tiling { rows, columns }),
        },
    )
}

fn constants(kind: Kind) -> impl Strategy<Value = Constants> {
    let all = (
        times(),
        times(),
        times(),
        1..=1_000_000_000_000_000_000_u64,
        shares(1.0),
        shares(1.0),
        0.0..=1.0,
        shares(2.0),
    );
    // Seven beside the launch, of which five at most are given.
    (all, any::<u8>()).prop_map(
        move |((launch, work_item, combine, rate, memory, mac, overlap, reach), mask)| {
            let mut left = Constants::MOST - 1;
            let mut given = |bit: u8| {
                let yes = mask >> bit & 1 == 1 && left > 0;
                left -= usize::from(yes);
                yes
            };
            Constants {
                launch,
                work_item: given(0).then_some(work_item),
                combine: (kind != Kind::Gemm && given(1)).then_some(combine),
                item_rate: given(2).then_some(rate),
                memory_fraction: given(3).then_some(memory),
                mac_fraction: given(4).then_some(mac),
                overlap: given(5).then_some(overlap),
                l2_reach: given(6).then_some(reach),
            }
        },
    )
}

fn kernels() -> impl Strategy<Value = Kernel> {
    let kinds = proptest::sample::select(Kind::ALL.to_vec());
    let rival = proptest::option::of((times(), shares(1.0)));
    let amount = || prop_oneof![Just(0.0), 0.0..1.0, 0.0..1e9];
    let fit = (1..=1_u64 << 32, amount(), 0..=1_u64 << 32, amount(), amount(), amount());
    let dtypes = proptest::sample::select(Dtype::ALL.to_vec());
    (kinds, dtypes, proptest::option::of(texts()), rival, proptest::option::of(fit)).prop_flat_map(
        |(kind, dtype, name, rival, fit)| {
            (policies(kind), constants(kind)).prop_map(move |(policy, constants)| Kernel {
                kind,
                dtype,
                name: name.clone(),
                policy,
                constants,
                rival: rival.map(|(launch, memory_fraction)| LaunchPlusBytes { launch, memory_fraction }),
                fit: fit.map(|(rows, mape, held_out_rows, held_out_mape, a, b)| FitQuality {
                    rows,
                    mape,
                    held_out_rows,
                    held_out_mape,
                    low: f64::min(a, b),
                    high: f64::max(a, b),
                }),
            })
        },
    )
}

fn rates() -> impl Strategy<Value = MeasuredRate> {
    let phases = proptest::sample::select(Phase::ALL.to_vec());
    let kinds = proptest::option::of(proptest::sample::select(Kind::ALL.to_vec()));
    let dtypes = proptest::sample::select(Dtype::ALL.to_vec());
    let shape = (1..=64_u64, 1..=512_u64, 1..=4096_u64);
    (phases, kinds, dtypes, shape, 1..=1_000_000_000_000_000_000_u64, 0.0..=1.0).prop_map(
        |(phase, kind, dtype, (heads, head_dim, tile), per_second, spread)| MeasuredRate {
            phase,
            kind,
            dtype,
            heads,
            head_dim,
            tile,
            per_second,
            spread,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a profile holds, reading what was written gives it back to the last bit.
    #[test]
    fn what_is_written_is_read_back(
        name in texts(), framework in texts(), source in texts(), note in proptest::option::of(texts()),
        drawn in proptest::collection::vec(kernels(), 1..5),
    ) {
        let mut kernels: Vec<Kernel> = Vec::new();
        for kernel in drawn {
            if !kernels.iter().any(|k| (k.kind, k.dtype, &k.name) == (kernel.kind, kernel.dtype, &kernel.name)) {
                kernels.push(kernel);
            }
        }
        let (machine, rates) = (None, Vec::new());
        let profile =
            KernelProfile { name, accelerator: "h100-sxm".to_owned(), framework, source, note, machine, kernels, rates };
        let text = write_kernels(&profile);
        prop_assert_eq!(parse(&text), profile, "{}", text);
    }

    /// The same of an accelerator that has a profile of its own, with rates.
    #[test]
    fn an_accelerator_that_is_written_is_read_back(
        kernel in kernels(), launch in times(), drawn in proptest::collection::vec(rates(), 0..6),
    ) {
        let mut rates: Vec<MeasuredRate> = Vec::new();
        let shape = |r: &MeasuredRate| (r.phase, r.kind, r.dtype, r.heads, r.head_dim);
        for rate in drawn {
            if !rates.iter().any(|r| shape(r) == shape(&rate)) {
                rates.push(rate);
            }
        }
        let mut machine = measured(vec![kernel], rates);
        machine.overheads.launch = launch;
        let text = write_accelerator(&machine);
        let read = with_file(&text, |path| load_accelerator(path, &Overrides::default()));
        prop_assert_eq!(read.unwrap_or_else(|error| panic!("{error}\n{text}")), machine, "{}", text);
    }

    /// Whatever a file says, it is read or refused with a text; nothing panics.
    #[test]
    fn no_file_makes_it_panic(
        at in 0.0_f64..1.0, length in 0_usize..60, junk in "[\\PC\n\t\"'=.\\[\\]{}#0-9-]{0,12}",
    ) {
        let start = (at * EVERYTHING.len() as f64) as usize;
        let end = (start + length).min(EVERYTHING.len());
        let broken = format!("{}{junk}{}", &EVERYTHING[..start], &EVERYTHING[end..]);
        if let Err(error) = with_file(&broken, load_kernels) {
            prop_assert!(error.count() > 0 && error.to_string().starts_with("error: "), "{}", error);
        }
    }
}
