//! `slimsim list`: presets and schemes with the figures that matter most.

use super::CliError;
use super::output::{print, width};
use crate::attention;
use crate::config::{
    Overrides, PresetKind, kernel_presets, load_accelerator, load_memory, load_model, preset_names,
};
use crate::hardware::Accelerator;
use crate::hardware::kernel::FitQuality;
use crate::model::Model;
use crate::report::{TableWriter, bytes, context, si, significant, wrapped};
use crate::units::format::exact_bytes;
use crate::units::{Bytes, Dtype};
use clap::ValueEnum;

/// List presets and schemes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to list
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Accelerators,
    Models,
    Memory,
    Schemes,
    Kernels,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        match self.what {
            What::Accelerators => accelerators(),
            What::Models => models(),
            What::Memory => memory(),
            What::Schemes => schemes(),
            What::Kernels => kernels(),
        }
    }
}

/// What holds weights and cache.
pub(super) const fn memory_name(machine: &Accelerator) -> &'static str {
    match (&machine.hbm, &machine.shared_sram) {
        (Some(_), _) => "HBM",
        (None, Some(_)) => "shared SRAM",
        (None, None) => "local SRAM",
    }
}

fn accelerators() -> Result<(), CliError> {
    let header = ["name", "cores", "clock", "peak (16-bit)", "memory", "capacity", "bandwidth", "ridge"];
    let mut table = TableWriter::new(&header, 1, width());
    for name in preset_names(PresetKind::Accelerator) {
        let machine = load_accelerator(name, &Overrides::default())?;
        let unlimited = || "unlimited".to_owned();
        table.row([
            machine.name.clone(),
            machine.cores.count.to_string(),
            si(machine.clock.0 as f64, "Hz"),
            machine
                .peak_macs_per_second(Dtype::Bf16)
                .map_or_else(unlimited, |macs| si(2.0 * macs as f64, "FLOP/s")),
            memory_name(&machine).to_owned(),
            machine.memory_capacity().map_or_else(unlimited, |b| bytes(b.0)),
            machine.memory_bandwidth().map_or_else(unlimited, |b| si(b.0 as f64, "B/s")),
            machine.ridge_flop_per_byte(Dtype::Bf16).map_or_else(unlimited, |r| significant(r, 3)),
        ]);
    }
    print(|out| {
        table.write(out)?;
        writeln!(
            out,
            "ridge: FLOP per byte at which peak and bandwidth balance. Sources: slimsim show accelerator NAME"
        )
    })
}

fn models() -> Result<(), CliError> {
    let header = ["name", "layers", "d", "heads", "KV heads", "d_k", "context", "with", "slim-", "sure"];
    let mut notes = Vec::new();
    let mut table = TableWriter::new(&header, 1, width());
    for name in preset_names(PresetKind::Model) {
        let model = load_model(name, &Overrides::default())?;
        let admitted: Vec<&str> = attention::ALL
            .iter()
            .filter(|s| s.name != attention::BASELINE)
            .filter(|s| s.describe(&model, attention::Options::default()).is_ok())
            .map(|s| s.name.strip_prefix("slim-").unwrap_or(s.name))
            .collect();
        table.row([
            model.name.clone(),
            model.layers.to_string(),
            model.d_model.to_string(),
            model.heads.to_string(),
            model.kv_heads.to_string(),
            model.head_dim.to_string(),
            context(model.max_context),
            parts(&model),
            if admitted.is_empty() { "–".to_owned() } else { admitted.join(", ") },
            if model.note.is_some() { "see below".to_owned() } else { "yes".to_owned() },
        ]);
        notes.extend(model.note.map(|note| format!("{}: {note}", model.name)));
    }
    print(|out| {
        table.write(out)?;
        writeln!(
            out,
            "with: layers and tokens of an encoder, experts that a token uses, layers that hold a cache, and what else decides a cache\n\
             slim-: what comes after \"slim-\" in the names of the schemes that the model admits beside kv-cache. Sources: slimsim show model NAME"
        )?;
        if !notes.is_empty() {
            writeln!(out, "\nwhat is not sure:")?;
        }
        notes.iter().try_for_each(|note| wrapped(note, "  ", width(), out))
    })
}

fn memory() -> Result<(), CliError> {
    let header = ["name", "standard", "channels", "banks", "row", "burst", "clock", "peak", "refresh"];
    let mut table = TableWriter::new(&header, 2, width());
    for name in preset_names(PresetKind::Memory) {
        let part = load_memory(name)?;
        let (o, t) = (&part.organisation, &part.timing);
        table.row([
            part.name.clone(),
            part.standard.clone(),
            format!("{}×{}", part.channels, o.pseudo_channels),
            (o.all_banks() / o.pseudo_channels).to_string(),
            exact_bytes(Bytes(o.row_bytes())),
            exact_bytes(Bytes(o.burst_bytes.into())),
            format!("{} ps", t.tck.0),
            si(part.peak().0 as f64, "B/s"),
            format!("{} %", significant(100.0 * f64::from(t.trfc) / f64::from(t.trefi), 2)),
        ]);
    }
    print(|out| {
        table.write(out)?;
        writeln!(
            out,
            "channels: of one part, times pseudo-channels; banks and row: of a pseudo-channel; refresh: share of the time that it takes.\n\
             Sources and address maps: slimsim show memory NAME"
        )
    })
}

fn kernels() -> Result<(), CliError> {
    let header = [
        "name",
        "accelerator",
        "framework",
        "kind",
        "type",
        "kernel",
        "constants",
        "rows",
        "error",
        "unseen",
    ];
    let mut table = TableWriter::new(&header, 6, width());
    for profile in kernel_presets()? {
        for kernel in &profile.kernels {
            let of_fit = |value: &dyn Fn(&FitQuality) -> String| {
                kernel.fit.as_ref().map_or_else(|| "–".to_owned(), value)
            };
            let percent = |part: f64| format!("{} %", significant(100.0 * part, 2));
            table.row([
                profile.name.clone(),
                profile.accelerator.clone(),
                profile.framework.clone(),
                kernel.kind.name().to_owned(),
                kernel.dtype.name().to_owned(),
                kernel.name.clone().unwrap_or_else(|| "any other".to_owned()),
                kernel.constants.given().to_string(),
                of_fit(&|fit| fit.rows.to_string()),
                of_fit(&|fit| percent(fit.mape)),
                of_fit(&|fit| {
                    if fit.held_out_rows == 0 { "–".to_owned() } else { percent(fit.held_out_mape) }
                }),
            ]);
        }
    }
    print(|out| {
        table.write(out)?;
        writeln!(
            out,
            "kernel: its name in measurements; error: mean over the rows that the constants were fitted to, and over rows that the fit did\n\
             not see; –: not fitted. Constants and policies: slimsim show kernels NAME"
        )
    })
}

/// What a model has beside the layers of a plain decoder.
fn parts(model: &Model) -> String {
    let mut parts = Vec::new();
    if let Some(encoder) = model.encoder {
        parts.push(format!("encoder {}×{}", encoder.layers, encoder.tokens));
    }
    if let Some(moe) = model.moe {
        parts.push(format!("experts {} of {}", moe.active, moe.experts));
    }
    if let Some(mla) = model.mla {
        parts.push(format!("latent {}+{}", mla.latent_dim, mla.rope_dim));
    }
    if let Some(cached) = model.cache_layers {
        parts.push(format!("cache in {cached}"));
    }
    if let Some(window) = model.sliding_window {
        parts.push(format!("window {}", context(window)));
    }
    if model.qk_norm {
        parts.push("QK norm".to_owned());
    }
    if model.attention_bias.k && model.rotates() {
        parts.push("K bias".to_owned());
    }
    if model.clip_qkv.is_some() {
        parts.push("clamp".to_owned());
    }
    if let Some(steps) = model.decode_steps {
        parts.push(format!("{steps} {}", if steps == 1 { "step" } else { "steps" }));
    }
    parts.join(", ")
}

fn schemes() -> Result<(), CliError> {
    let mut table = TableWriter::new(&["name", "what it keeps and does"], 2, width());
    for scheme in attention::ALL {
        table.row([scheme.name, scheme.summary].map(str::to_owned));
    }
    print(|out| table.write(out))
}
