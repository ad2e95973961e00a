#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::attention::{Options, QkNorm, Rotation, Sparsity};
use crate::config::load_sweep;
use crate::step::Point;
use crate::units::Dtype;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::path::Path;

fn plan(text: &str) -> Result<Plan, SweepError> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    Plan::new("sweep.toml", load_sweep(path)?)
}

const MIXED: &str = r#"
[base]
accelerator = ["h100-sxm", "tpu-v5p"]
model = "codellama-7b"
batch = [2, 1]
set = { "hbm.bandwidth" = "1 TB/s", "overheads.launch" = "1 us" }
[sweep]
context = [512, 128]
"hbm.bandwidth" = ["2 TB/s", "4 TB/s", "3 TB/s"]
"model.layers" = [8, 4]
cache_dtype = ["bf16", "int8"]
"#;

/// What a combination must be, from nested loops.
fn expected() -> Vec<(u64, u64, u64, Dtype, &'static str, u64)> {
    use Dtype::{Bf16, Int8};
    let mut all = Vec::new();
    for context in [512, 128] {
        for bandwidth in [2_000_000_000_000, 4_000_000_000_000, 3_000_000_000_000] {
            for layers in [8, 4] {
                for cache in [Bf16, Int8] {
                    for machine in ["h100-sxm", "tpu-v5p"] {
                        for batch in [2, 1] {
                            all.push((context, bandwidth, layers, cache, machine, batch));
                        }
                    }
                }
            }
        }
    }
    all
}

#[test]
fn combinations_come_in_axis_order_the_last_fastest() {
    let plan = plan(MIXED).unwrap();
    assert_eq!((plan.combinations(), plan.points()), (96, 192));
    let columns: Vec<_> = plan.dimensions().iter().filter(|d| d.column).map(|d| d.name.as_str()).collect();
    assert_eq!(columns, ["context", "hbm.bandwidth", "model.layers", "cache_dtype", "accelerator"]);
    for (index, want) in expected().into_iter().enumerate() {
        let place = plan.place(index as u64);
        let machine = plan.machine(place.setting.machine).unwrap();
        let model = plan.model(place.setting.model).unwrap();
        let got = (
            place.context,
            machine.hbm.as_ref().unwrap().bandwidth.0,
            model.layers,
            place.setting.cache.default,
            machine.name.as_str(),
            place.batch,
        );
        assert_eq!(got, want, "{index}");
        assert_eq!(machine.overheads.launch.0, 1_000_000, "what the base sets holds throughout");
        assert_eq!(plan.index(&plan.coordinates(index as u64)), index as u64);
    }
}

const CONDITIONS: &str = r#"
[base]
accelerator = "h100-sxm"
model = "codellama-7b"
context = 64
query_tokens = 3
qk_norm = "scale"
sparsity = 0.25
set = { "cache.sparsity" = 0.75, "cache.rotation" = "kept" }
cache_dtype = { default = "fp8", slim-k = "fp32" }
[sweep]
query_tokens = { from = 1, to = 5, steps = 3 }
sparsity = [0, 0.5]
"cache.rotation" = ["kept", "on-read"]
cache_dtype = ["bf16", "int8,slim-k=fp32"]
"#;

#[test]
fn conditions_are_axes_and_keys_of_the_base() {
    let vary = plan(CONDITIONS).unwrap();
    assert_eq!(vary.combinations(), 24);
    let mut index = 0;
    for query_tokens in [1, 3, 5] {
        for sparsity in [0.0, 0.5] {
            for rotation in [Rotation::Kept, Rotation::OnRead] {
                for (cache, own) in [(Dtype::Bf16, None), (Dtype::Int8, Some(("slim-k", Dtype::Fp32)))] {
                    let got = vary.place(index).setting.conditions();
                    assert_eq!(got.query_tokens, query_tokens);
                    let sparsity = Sparsity::new(sparsity).unwrap();
                    assert_eq!(
                        got.options,
                        Options { rotation, qk_norm: QkNorm::Scale, sparsity, block_tokens: None }
                    );
                    assert_eq!((got.precision.cache, got.cache_of), (cache, Vec::from_iter(own)));
                    index += 1;
                }
            }
        }
    }
    let (base, _) = CONDITIONS.split_once("[sweep]").unwrap();
    let fixed = plan(&format!("{base}[sweep]\nbatch = [1, 2]\n")).unwrap();
    let got = fixed.place(1).setting.conditions();
    assert_eq!((got.query_tokens, got.precision.cache), (3, Dtype::Fp8));
    assert_eq!(got.cache_of, [("slim-k", Dtype::Fp32)]);
    // A key of the file wins over its `set`.
    assert_eq!((got.options.rotation, got.options.sparsity.fraction()), (Rotation::Kept, 0.25));
    let again = plan(&fixed.sweep().resolved_toml()).unwrap();
    assert_eq!(again.place(1), fixed.place(1), "the resolved file is the same sweep");
}

#[test]
fn blocks_of_a_paged_cache_are_an_axis() {
    let base = "[base]\naccelerator = \"h100-sxm\"\nmodel = \"codellama-7b\"\ncontext = 64\n";
    let with = |more: &str| plan(&format!("{base}{more}"));
    let blocks = |plan: &Plan, index| plan.place(index).setting.options.block_tokens.map(NonZeroU64::get);
    let swept =
        with("[sweep]\n\"cache.block_tokens\" = { from = 1, to = 64, steps = 3, scale = \"log2\" }\n")
            .unwrap();
    assert_eq!([0, 1, 2].map(|i| blocks(&swept, i)), [Some(1), Some(8), Some(64)]);
    // An axis wins over what the base sets.
    let set = "set = { \"cache.block_tokens\" = 5 }\n[sweep]\n";
    let fixed = with(&format!("{set}batch = [1, 2]\n")).unwrap();
    assert_eq!(blocks(&fixed, 1), Some(5));
    assert_eq!(blocks(&with(&format!("{set}\"cache.block_tokens\" = [16]\n")).unwrap(), 0), Some(16));
    let wrong = with("[sweep]\n\"cache.block_tokens\" = [16, 0]\n").unwrap_err().to_string();
    assert!(wrong.contains("'cache.block_tokens' is zero"), "{wrong}");
}

#[test]
fn encoder_tokens_are_an_axis_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.toml");
    let decoder = crate::config::show_model("codellama-7b", &Default::default()).unwrap();
    std::fs::write(&model, format!("{decoder}\n[encoder]\nlayers = 2\ntokens = 1500\n")).unwrap();
    let text = |axis: &str| {
        let model = model.display();
        format!(
            "[base]\naccelerator = \"h100-sxm\"\nmodel = '{model}'\ncontext = 64\nencoder_tokens = 7\n[sweep]\n{axis}\n"
        )
    };
    let tokens = |axis: &str| -> Vec<u64> {
        let plan = plan(&text(axis)).unwrap();
        let model = |i| plan.model(plan.place(i).setting.model).unwrap();
        (0..plan.combinations()).map(|i| model(i).encoder.unwrap().tokens).collect()
    };
    assert_eq!(tokens("encoder_tokens = [100, 200]"), [100, 200]);
    assert_eq!(tokens("\"model.encoder.tokens\" = [100, 300]"), [100, 300]);
    assert_eq!(tokens("batch = [1, 2]"), [7, 7]);
}

#[test]
fn results_come_in_order_and_do_not_depend_on_threads() {
    let plan = plan(MIXED).unwrap();
    let collect = |threads| {
        let mut all: Vec<(u64, Vec<Point>)> = Vec::new();
        run(
            &plan,
            Some(threads),
            |_, points| points.to_vec(),
            |place, points| {
                all.push((place.index, points));
                Ok(())
            },
        )
        .unwrap();
        all
    };
    let one = collect(1);
    assert!(one.iter().map(|(index, _)| *index).eq(0..96));
    assert_eq!(one, collect(3));
    // Each is what a fresh comparison says.
    for (index, points) in one.iter().step_by(7) {
        let place = plan.place(*index);
        let fresh = plan.comparison(&place.setting).unwrap().points(place.context, place.batch);
        assert_eq!(*points, fresh);
    }
}

#[test]
fn a_writer_that_fails_ends_the_sweep() {
    let plan = plan(MIXED).unwrap();
    let mut taken = 0;
    let result = run(
        &plan,
        Some(1),
        |_, _| (),
        |_, ()| {
            taken += 1;
            if taken == 5 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        },
    );
    assert!(matches!(result, Err(SweepError::Write(_))));
    assert_eq!(taken, 5);
}

#[test]
fn senseless_sweeps_are_refused_with_words() {
    let text = |text: &str| plan(text).unwrap_err().to_string();
    let sweep = "[sweep]\ncontext = [1, 2]\n";
    let no_model = text(&format!("[base]\naccelerator = \"h100-sxm\"\n{sweep}"));
    assert!(no_model.starts_with("sweep.toml: no model: expected 'model' under [base]"), "{no_model}");
    let both = "accelerator = \"h100-sxm\"\nmodel = \"codellama-7b\"\n";
    let no_context = text(&format!("[base]\n{both}[sweep]\nbatch = [1, 2]\n"));
    assert!(no_context.contains("no context"), "{no_context}");
    let scheme = text(&format!("[base]\n{both}scheme = \"slim-kk\"\n{sweep}"));
    assert!(
        scheme.contains(".toml:4:10: unknown scheme 'slim-kk'") && scheme.contains("did you mean 'slim-k'?"),
        "{scheme}"
    );
    let forced = text(&format!("[base]\n{both}{sweep}plan = [\"split\", \"splt\"]\n"));
    assert!(forced.contains("unknown plan 'splt'"), "{forced}");
    let kernels = text(&format!("[base]\n{both}kernels = \"vllm\"\n{sweep}"));
    assert!(kernels.contains("unknown kernel profile 'vllm'"), "{kernels}");
    let range = "{ from = 1, to = 1000000, steps = 100000 }";
    let huge = text(&format!("[base]\n{both}[sweep]\ncontext = {range}\nbatch = {range}\n"));
    assert!(huge.contains("too many combinations (100000 context × 100000 batch"), "{huge}");
}

#[test]
fn a_combination_that_makes_no_model_is_found_before_the_start() {
    let error = plan(
        r#"
[base]
accelerator = "h100-sxm"
model = "gemma2-9b"
context = 128
[sweep]
"hbm.bandwidth" = ["1 TB/s", "2 TB/s"]
"model.heads" = [16, 20, 24, 28]
"#,
    )
    .unwrap_err();
    let SweepError::Config { error, others } = error else { panic!("{error}") };
    let message: String = error.messages().collect();
    assert!(message.contains(":8:22: "), "points at the 20 in the sweep file: {message}");
    assert_eq!(others, 1, "28 is no multiple of 8 either");
}

#[test]
fn folders_appear_whole_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b");
    let names = |path: &Path| {
        let mut all: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    {
        let folder = OutputFolder::create(&path).unwrap();
        folder.write("plots/x.svg", b"x").unwrap();
        writeln!(folder.open("results.csv").unwrap(), "half").unwrap();
        assert_eq!(names(&path).len(), 1, "all is aside");
        assert!(matches!(OutputFolder::create(&path), Err(SweepError::Folder { .. })), "it is in use");
    }
    assert!(!root.path().join("a").exists(), "nothing is left of what was not committed");
    std::fs::create_dir_all(&path).unwrap();
    drop(OutputFolder::create(&path).unwrap());
    assert_eq!(names(&path), Vec::<String>::new(), "a folder that was there stays");
    let folder = OutputFolder::create(&path).unwrap();
    folder.write("plots/x.svg", b"x").unwrap();
    folder.write("results.csv", b"whole").unwrap();
    folder.commit("results.csv").unwrap();
    assert_eq!(names(&path), ["plots", "results.csv"]);
    assert_eq!(std::fs::read(path.join("plots/x.svg")).unwrap(), b"x");
    let error = OutputFolder::create(&path).unwrap_err().to_string();
    assert!(
        error.contains("is not empty (it has 'plots')")
            || error.contains("is not empty (it has 'results.csv')")
    );
    for (bad, why) in [("a/b/results.csv", "it is a file"), ("a/b/results.csv/c", "")] {
        let error = OutputFolder::create(&root.path().join(bad)).unwrap_err().to_string();
        assert!(error.starts_with("cannot write to") && error.contains(why), "{error}");
    }
}
