//! What configuration accepts: presets, overrides, Hugging Face files, experiments and sweeps; and that schemas are fresh.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use slimsim::config::{
    self, AcceleratorFile, AxisTarget, AxisValue, FileKind, ModelFile, Overrides, PresetKind,
    load_accelerator, load_memory, load_model,
};
use slimsim::hardware::kernel::{Kind, Phase};
use slimsim::hardware::mac_array::MacArray;
use slimsim::hardware::sram::OnChipBandwidth;
use slimsim::model::{Encoder, Mla, Moe, Norm, NormSpan, Position};
use slimsim::units::{Bandwidth, Bytes, Dtype, Picos};

fn none() -> Overrides {
    Overrides::default()
}

/// Writes a file into a fresh folder and passes its path on.
fn with_file<T>(name: &str, text: &str, read: impl FnOnce(&str) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    read(path.to_str().unwrap())
}

#[test]
fn every_preset_loads_under_its_own_name() {
    let folder = |name: &str| {
        let entries = fs::read_dir(Path::new("configs").join(name)).unwrap();
        entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml")).count()
    };
    assert_eq!(config::preset_names(PresetKind::Accelerator).count(), folder("accelerators"));
    assert_eq!(config::preset_names(PresetKind::Model).count(), folder("models"));
    for name in config::preset_names(PresetKind::Accelerator) {
        let machine = load_accelerator(name, &none()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(machine.name, name);
    }
    for name in config::preset_names(PresetKind::Model) {
        let model = load_model(name, &none()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(model.name, name);
    }
    assert_eq!(config::preset_names(PresetKind::Memory).count(), folder("memory"));
    for name in config::preset_names(PresetKind::Memory) {
        let part = load_memory(name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(part.name, name);
        assert_eq!(part.maps[0].name, "stream", "{name}");
    }
    assert!(config::preset_names(PresetKind::Model).is_sorted());
}

#[test]
fn what_is_shown_is_the_same_as_a_file() {
    for name in config::preset_names(PresetKind::Accelerator) {
        let text = config::show_accelerator(name, &none()).unwrap();
        let again = with_file("again.toml", &text, |path| load_accelerator(path, &none())).unwrap();
        assert_eq!(again, load_accelerator(name, &none()).unwrap(), "{name}:\n{text}");
    }
    for name in config::preset_names(PresetKind::Model) {
        let text = config::show_model(name, &none()).unwrap();
        let again = with_file("again.toml", &text, |path| load_model(path, &none())).unwrap();
        assert_eq!(again, load_model(name, &none()).unwrap(), "{name}:\n{text}");
    }
    for name in config::preset_names(PresetKind::Memory) {
        let text = config::show_memory(name).unwrap();
        let again = with_file("again.toml", &text, load_memory).unwrap();
        assert_eq!(again, load_memory(name).unwrap(), "{name}:\n{text}");
    }
}

/// A machine with every table and every key.
const EVERYTHING: &str = r#"
name = "everything"
clock = "1.755 GHz"
source = "a \"quoted\" source,\nin two lines\u007f"
note = "none"
free_activations = true
[cores]
count = 3
bytes_in_flight = "33 KiB"
load_bandwidth = "64 B/cycle"
[cores.mac_array]
kind = "dot-product"
m = 64
n = 8
k = 16
latency = 32
macs_per_cycle = { int8 = 4096, bf16 = 2048 }
[cores.accumulators]
capacity = "192 KiB"
[cores.vector_unit]
lanes = 128
exp_per_cycle = 16
rotate_ops = 5
[cores.sram]
capacity = "228 KiB"
bandwidth = "128 B/cycle"
banks = 32
[cores.cluster]
max_size = 16
bandwidth = "32 B/cycle"
barrier = "300 ns"
multicast = true
[shared_sram]
capacity = "50 MB"
bandwidth = "5.5 TB/s"
banks = 80
[hbm]
bandwidth = "3.35 TB/s" # HBM3
capacity = "80 GB"
latency = "600.5 ns"
model = "flat"
[overheads]
launch = "2 us"
work_item = "0.5 µs"
barrier = "1 us"
prefetch_weights = true
overlap = 0.65
[energy]
hbm = "3.9 pJ/bit"
shared_sram = "203 fJ/bit"
local_sram = "0.0447 pJ/bit"
vector_op = "2.3 pJ"
mac = { bf16 = "0.75 pJ", int8 = "150 fJ" }
[kernel_profile]
framework = "mine"
source = "measured here"
note = "a note"
machine = "8 cores, one of a kind"
[[kernel_profile.kernel]]
kind = "slim-k"
dtype = "bf16"
policy = { split = "even-blocks", block = 64, padded_rows = 6, pipelined = false }
constants = { launch = "2 us", overlap = 0 }
[[kernel_profile.rate]]
phase = "weighted-sums" # a comment
kind = "slim-k"
dtype = "bf16"
heads = 32
head_dim = 128
tile = 64
macs_per_second = 112_000_000_001
spread = 0.011
"#;

#[test]
fn every_key_arrives_and_is_shown() {
    with_file("x.toml", EVERYTHING, |path| {
        let machine = load_accelerator(path, &none()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(machine.name, "everything");
        assert_eq!(machine.clock.0, 1_755_000_000);
        assert!(machine.free_activations);
        assert_eq!(machine.source, "a \"quoted\" source,\nin two lines\u{7f}");
        let rates = vec![(Dtype::Bf16, 2048), (Dtype::Int8, 4096)];
        let array = MacArray::DotProduct { m: 64, n: 8, k: 16, latency: 32, macs_per_cycle: rates };
        assert_eq!(machine.cores.mac_array, array);
        assert_eq!(machine.cores.bytes_in_flight, Some(Bytes(33 << 10)));
        assert_eq!(machine.cores.accumulators, Some(Bytes(192 << 10)));
        assert_eq!(machine.cores.sram.bandwidth, OnChipBandwidth::PerCycle(128));
        let cluster = machine.cores.cluster.unwrap();
        assert_eq!((cluster.max_size, cluster.barrier, cluster.multicast), (16, Picos(300_000), true));
        let shared = machine.shared_sram.unwrap();
        assert_eq!(shared.bandwidth, OnChipBandwidth::PerSecond(Bandwidth(5_500_000_000_000)));
        assert_eq!((shared.capacity, shared.banks), (Some(Bytes(50_000_000)), Some(80)));
        let hbm = machine.hbm.as_ref().unwrap();
        assert_eq!((hbm.bandwidth.0, hbm.latency), (3_350_000_000_000, Picos(600_500)));
        assert_eq!(machine.overheads.work_item, Picos(500_000));
        assert_eq!(machine.overheads.overlap.to_bits(), 0.65_f64.to_bits());
        assert_eq!(machine.energy.shared_sram_pj_per_bit, Some(0.203));
        assert_eq!(machine.energy.mac_pj, [(Dtype::Bf16, 0.75), (Dtype::Int8, 0.15)]);

        let own = machine.own_kernels.as_ref().unwrap();
        assert_eq!((own.name.as_str(), own.accelerator.as_str()), ("everything", "everything"));
        assert_eq!(own.machine.as_deref(), Some("8 cores, one of a kind"));
        assert_eq!((own.kernels[0].kind, own.kernels[0].policy.padded_rows), (Kind::SlimK, Some(6)));
        let rate = |phase| own.rate(phase, Kind::SlimK, Dtype::Bf16, 32, 128);
        assert_eq!((rate(Phase::WeightedSums), rate(Phase::Scores)), (Some(112_000_000_001.0), None));
        assert_eq!(machine.kernels, None, "a profile is used where it is asked for");

        let set = Overrides::parse(&["hbm.latency=1 us"]).unwrap();
        let text = config::show_accelerator(path, &set).unwrap();
        assert!(text.contains("bandwidth = \"3.35 TB/s\"  # HBM3\n"), "{text}");
        assert!(text.contains("latency = \"1 us\"  # --set\n"), "{text}");
        assert!(text.contains("[[kernel_profile.rate]]\nphase = \"weighted-sums\"  # a comment\n"), "{text}");
        let again = with_file("y.toml", &text, |path| load_accelerator(path, &none())).unwrap();
        assert_eq!(again, load_accelerator(path, &set).unwrap());
    });
}

#[test]
fn every_key_of_a_model_arrives_and_is_shown() {
    let text = r#"
layers = 3
d_model = 64
heads = 8
kv_heads = 2
head_dim = 16
d_ffn = 100
gated_ffn = false
ffn_bias = true
vocab = 1_000
tied_embeddings = true
max_context = 0x1000
position = "rope"
rotary_fraction = 0.25
qk_norm = true
qk_norm_span = "head"
clip_qkv = 7.5
attention_bias = ["o", "q"]
norm = "layer-no-bias"
norms_per_layer = 4
cache_layers = 2
sliding_window = 128
decode_steps = 0
moe = { experts = 8, active = 8 }
encoder = { layers = 2, tokens = 1500, d_ffn = 50, gated_ffn = true, reads_prompt = true }
source = "here"
note = "invented"
"#;
    with_file("tiny-model.toml", text, |path| {
        let model = load_model(path, &none()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(model.name, "tiny-model");
        assert_eq!((model.vocab, model.max_context, model.gqa_group()), (1000, 4096, 4));
        assert_eq!((model.rotary_fraction, model.rotary_dims()), (0.25, 4));
        assert!(
            model.attention_bias.q
                && model.attention_bias.o
                && !model.attention_bias.k
                && !model.attention_bias.v
        );
        assert_eq!((model.norm, model.norms_per_layer), (Norm::LayerNoBias, 4));
        assert_eq!(model.qk_norm_span, NormSpan::Head);
        assert_eq!((model.clip_qkv, model.decode_steps), (Some(7.5), Some(0)));
        assert_eq!((model.cache_layers, model.sliding_window), (Some(2), Some(128)));
        assert_eq!(model.moe, Some(Moe { experts: 8, active: 8 }));
        let encoder = Encoder { layers: 2, tokens: 1500, d_ffn: 50, gated_ffn: true, reads_prompt: true };
        assert_eq!(model.encoder, Some(encoder));
        let shown = config::show_model(path, &none()).unwrap();
        assert_eq!(shown.matches("# default").count(), 1, "all but the name was given:\n{shown}");
        let again = with_file("y.toml", &shown, |path| load_model(path, &none())).unwrap();
        assert_eq!(again, model);
    });
}

#[test]
fn every_key_of_latent_attention_arrives_and_is_shown() {
    let text = config::preset_text(PresetKind::Model, "codellama-7b").unwrap();
    let text = format!("{text}\n[mla]\nlatent_dim = 512\nrope_dim = 64\nquery_latent_dim = 1536\n");
    with_file("latent.toml", &text, |path| {
        let model = load_model(path, &none()).unwrap_or_else(|e| panic!("{e}"));
        let mla = Mla { latent_dim: 512, rope_dim: 64, query_latent_dim: Some(1536) };
        assert_eq!((model.mla, model.key_dim()), (Some(mla), 192));
        let shown = config::show_model(path, &none()).unwrap();
        assert!(
            shown.contains("[mla]\nlatent_dim = 512\nrope_dim = 64\nquery_latent_dim = 1536\n"),
            "{shown}"
        );
        let again = with_file("y.toml", &shown, |path| load_model(path, &none())).unwrap();
        assert_eq!(again, model);
    });
}

#[test]
fn absent_keys_of_a_model_stand_for_the_usual() {
    let text = config::preset_text(PresetKind::Model, "codellama-7b").unwrap();
    let plain = text.replace("norms_per_layer = 2\n", "");
    let read = |more: &str| {
        let text = format!("{plain}{more}");
        with_file("x.toml", &text, |path| load_model(path, &none())).unwrap_or_else(|e| panic!("{e}"))
    };
    let decoder = read("");
    assert_eq!((decoder.norms_per_layer, decoder.qk_norm_span), (2, NormSpan::Row));
    assert_eq!((decoder.clip_qkv, decoder.decode_steps), (None, None));
    let both = read("[encoder]\nlayers = 2\ntokens = 10\n");
    let encoder = Encoder { layers: 2, tokens: 10, d_ffn: 11008, gated_ffn: true, reads_prompt: false };
    assert_eq!((both.norms_per_layer, both.encoder), (3, Some(encoder)));
    // A span that no norm uses is no difference between two models.
    assert_eq!(read("qk_norm_span = \"head\"\n").qk_norm_span, NormSpan::Row);
}

#[test]
fn rotary_fraction_counts_only_with_rope() {
    let text = config::preset_text(PresetKind::Model, "codellama-7b").unwrap();
    let text = text.replace("\"rope\"", "\"alibi\"").replace("rotary_fraction = 1.0\n", "") + "\n";
    let text = format!("rotary_fraction = 0\n{text}");
    let model =
        with_file("x.toml", &text, |path| load_model(path, &none())).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((model.position, model.rotary_fraction, model.rotary_dims()), (Position::Alibi, 1.0, 0));
}

#[test]
fn overrides_replace_create_and_come_later_first() {
    let set = Overrides::parse(&[
        "hbm.bandwidth=4 TB/s",
        "hbm.bandwidth=\"5 TB/s\"",
        "shared_sram.capacity=1 MiB",
        "shared_sram.bandwidth=ideal",
        "model.layers=2",
    ])
    .unwrap();
    let machine = load_accelerator("ideal-memory-bound", &set).unwrap();
    assert_eq!(machine.hbm.unwrap().bandwidth, Bandwidth(5_000_000_000_000));
    assert_eq!(machine.shared_sram.unwrap().capacity, Some(Bytes(1 << 20)));
    assert_eq!(load_model("codellama-7b", &set).unwrap().layers, 2);
}

#[test]
fn an_override_of_a_kind_leaves_the_old_kinds_keys_aside() {
    with_file("x.toml", EVERYTHING, |path| {
        let set = Overrides::parse(&["cores.mac_array.kind=ideal", "cores.vector_unit.kind=ideal"]).unwrap();
        let machine = load_accelerator(path, &set).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(machine.cores.mac_array, MacArray::Ideal);
    });
}

#[test]
fn a_file_is_read_once_for_many_overrides() {
    let (machine, model) =
        (AcceleratorFile::open("ideal-memory-bound").unwrap(), ModelFile::open("codellama-7b").unwrap());
    for tera in 1..=20_u64 {
        let mut set = none();
        set.push("hbm.bandwidth", format!("{tera} TB/s").into()).unwrap();
        set.push("model.layers", toml::Value::from(tera as i64)).unwrap();
        assert_eq!(machine.resolve(&set).unwrap().hbm.unwrap().bandwidth.0, tera * 1_000_000_000_000);
        assert_eq!(model.resolve(&set).unwrap().layers, tera);
    }
    assert_eq!(machine.resolve(&none()).unwrap(), load_accelerator("ideal-memory-bound", &none()).unwrap());
}

#[test]
fn an_experiment_knows_its_folder() {
    let text = r#"
accelerator = ["ideal-memory-bound", "machines/mine.toml"]
model = "codellama-7b"
scheme = "slim-k"
context = [4096, 1024]
cache_dtype = "fp8"
plan = "split-tokens"
set = { "hbm.bandwidth" = "4 TB/s", model.layers = 2 }
"#;
    with_file("experiment.toml", text, |path| {
        let experiment = config::load_experiment(path).unwrap_or_else(|e| panic!("{e}"));
        let beside = Path::new(path).parent().unwrap().join("machines/mine.toml");
        assert_eq!(experiment.accelerators, ["ideal-memory-bound", beside.to_str().unwrap()]);
        assert_eq!(experiment.models, ["codellama-7b"]);
        assert_eq!(experiment.schemes, Some(vec!["slim-k".to_owned()]));
        assert_eq!((experiment.contexts, experiment.batches), (vec![4096, 1024], vec![1]));
        assert_eq!((experiment.weight_dtype, experiment.cache_dtype), (Dtype::Bf16, Dtype::Fp8.into()));
        assert_eq!(experiment.plan.as_deref(), Some("split-tokens"));
        assert_eq!(load_model("codellama-7b", &experiment.set).unwrap().layers, 2);
        let shown = config::show_accelerator("ideal-memory-bound", &experiment.set).unwrap();
        assert!(shown.contains(&format!("bandwidth = \"4 TB/s\"  # set in {path}\n")), "{shown}");
    });
}

const SWEEP: &str = r#"
[base]
accelerator = "ideal-memory-bound"
model = "codellama-7b"
batch = [1, 8]
set = { "model.layers" = 3 }

[sweep]
hbm.bandwidth = { from = "1 TB/s", to = "8 TB/s", steps = 4 }
context = { from = 1024, to = 131072, steps = 8, scale = "log2" }
"overheads.overlap" = { from = 0, to = 1, steps = 5 }
"cores.count" = { from = 1, to = 3, steps = 5 }
"hbm.latency" = { from = "1 ns", to = "1 us", steps = 4, scale = "log10" }
cache_dtype = ["bf16", "fp8"]
"model.tied_embeddings" = [true, false]

[[plot]]
kind = "speedup"
x = "context"
series = "batch"

[[plot]]
kind = "heatmap"
x = "context"
y = "hbm.bandwidth"
title = "where"
"#;

#[test]
fn axes_keep_their_order_and_their_ends() {
    with_file("sweep.toml", SWEEP, |path| {
        let sweep = config::load_sweep(path).unwrap_or_else(|e| panic!("{e}"));
        let values = |i: usize| sweep.axes[i].values.iter().map(ToString::to_string).collect::<Vec<_>>();
        let paths: Vec<&str> = sweep.axes.iter().map(|a| a.path.as_str()).collect();
        let expected = [
            "hbm.bandwidth",
            "context",
            "overheads.overlap",
            "cores.count",
            "hbm.latency",
            "cache_dtype",
            "model.tied_embeddings",
        ];
        assert_eq!(paths, expected);
        assert_eq!(values(0), ["1 TB/s", "3.333333333333 TB/s", "5.666666666667 TB/s", "8 TB/s"]);
        assert_eq!(values(1), ["1024", "2048", "4096", "8192", "16384", "32768", "65536", "131072"]);
        assert_eq!(sweep.axes[2].values[1], AxisValue::Float(0.25));
        // 1, 1.5, 2, 2.5, 3: halves round away from zero, duplicates stay.
        assert_eq!(values(3), ["1", "2", "2", "3", "3"]);
        assert_eq!(values(4), ["1 ns", "10 ns", "100 ns", "1 us"]);
        assert_eq!(sweep.axes[1].target, AxisTarget::Context);
        assert_eq!(sweep.axes[6].values, [AxisValue::Bool(true), AxisValue::Bool(false)]);
        assert_eq!(sweep.combinations(), Some(4 * 8 * 5 * 5 * 4 * 2 * 2));
        assert_eq!(sweep.plots.len(), 2);

        let mut set = sweep.base.set.clone();
        sweep.axes[0].apply(3, &mut set);
        sweep.axes[6].apply(0, &mut set);
        let machine = load_accelerator("ideal-memory-bound", &set).unwrap();
        assert_eq!(machine.hbm.unwrap().bandwidth.0, 8_000_000_000_000);
        let model = load_model("codellama-7b", &set).unwrap();
        assert!(model.tied_embeddings && model.layers == 3);
    });
}

#[test]
fn a_resolved_sweep_is_the_same_sweep() {
    with_file("sweep.toml", SWEEP, |path| {
        let sweep = config::load_sweep(path).unwrap();
        let text = sweep.resolved_toml();
        let again =
            with_file("again.toml", &text, config::load_sweep).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(again.resolved_toml(), text);
        for (a, b) in sweep.axes.iter().zip(&again.axes) {
            assert_eq!((&a.path, &a.values), (&b.path, &b.values));
        }
        assert_eq!(again.plots, sweep.plots);
        assert_eq!(again.base.batches, [1, 8]);
    });
}

#[test]
fn a_machine_that_an_axis_breaks_is_refused_at_the_axis() {
    let text = "[base]\nmodel = \"codellama-7b\"\n[sweep]\n\"model.heads\" = [32, 48]\ncontext = 1\n";
    with_file("sweep.toml", text, |path| {
        let sweep = config::load_sweep(path).unwrap();
        let mut set = none();
        sweep.axes[0].apply(1, &mut set);
        let error = load_model("codellama-7b", &set).unwrap_err().to_string();
        assert!(error.starts_with(&format!("error: {path}:4:22: kv_heads does not divide heads")), "{error}");
    });
}

#[test]
fn schemas_are_fresh() {
    for kind in FileKind::ALL {
        let path = format!("configs/schema/{}.schema.json", kind.name());
        let schema = config::schema(kind);
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(&path, &schema).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == schema, "{path} is stale: UPDATE_SCHEMA=1 cargo test --test config rewrites it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a file says, it is read or refused with a text; nothing panics.
    #[test]
    fn no_file_makes_it_panic(
        file in 0_usize..3, at in 0.0_f64..1.0, length in 0_usize..30, junk in "[\\PC\n\t\"'=.\\[\\]{}#0-9-]{0,12}",
    ) {
        let text = [EVERYTHING, config::preset_text(PresetKind::Model, "codellama-7b").unwrap(), SWEEP][file];
        let mut start = (at * text.len() as f64) as usize;
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) { end -= 1; }
        let broken = format!("{}{junk}{}", &text[..start], &text[end.max(start)..]);
        with_file("x.toml", &broken, |path| {
            let error = match file {
                0 => load_accelerator(path, &none()).err(),
                1 => load_model(path, &none()).err(),
                _ => config::load_sweep(path).err(),
            };
            if let Some(error) = error {
                assert!(error.count() > 0 && error.to_string().starts_with("error: "), "{error}");
            }
        });
    }

    #[test]
    fn no_override_makes_it_panic(text in "(hbm|cores|model|x)?[.a-z_]{0,12}=?\\PC{0,12}") {
        if let Ok(set) = Overrides::parse(&[&text]) {
            let _ = load_accelerator("ideal-memory-bound", &set).map_err(|e| e.to_string());
            let _ = load_model("codellama-7b", &set).map_err(|e| e.to_string());
        }
    }
}
