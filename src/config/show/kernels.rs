//! Kernel profiles, in files of their own and in an accelerator's.

use super::Writer;
use crate::config::raw::rate_key;
use crate::config::scalars::Named;
use crate::config::tree::{Node, Tree, Value};
use crate::hardware::kernel::{Kernel, KernelProfile, Kind, MeasuredRate, Phase};
use crate::units::{Bandwidth, Picos, format};

/// The resolved TOML of a kernel profile. `tree` is what it was read from, if comments are wanted.
pub(crate) fn kernels(profile: &KernelProfile, tree: Option<&Tree>) -> String {
    let mut w = Writer::new(tree);
    w.text("name", &profile.name);
    w.text("accelerator", &profile.accelerator);
    w.text("framework", &profile.framework);
    w.text("source", &profile.source);
    if let Some(note) = &profile.note {
        w.text("note", note);
    }
    let written = items(tree, &["kernel"]);
    for (index, kernel) in profile.kernels.iter().enumerate() {
        w.item("kernel", written.get(index));
        one_kernel(&mut w, kernel);
    }
    w.out
}

/// The `[kernel_profile]` of an accelerator.
pub(super) fn own(w: &mut Writer<'_>, profile: &KernelProfile) {
    w.table(&["kernel_profile"]);
    w.text("framework", &profile.framework);
    w.text("source", &profile.source);
    if let Some(note) = &profile.note {
        w.text("note", note);
    }
    if let Some(machine) = &profile.machine {
        w.text("machine", machine);
    }
    let written = items(w.tree, &["kernel_profile", "kernel"]);
    for (index, kernel) in profile.kernels.iter().enumerate() {
        w.item("kernel_profile.kernel", written.get(index));
        one_kernel(w, kernel);
    }
    let written = items(w.tree, &["kernel_profile", "rate"]);
    for (index, rate) in profile.rates.iter().enumerate() {
        w.item("kernel_profile.rate", written.get(index));
        one_rate(w, rate);
    }
}

/// The tables of a list in the tree, in its order.
fn items<'a>(tree: Option<&'a Tree>, path: &[&str]) -> &'a [Node] {
    match tree.and_then(|tree| tree.root.at(path)).map(|node| &node.value) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn one_rate(w: &mut Writer<'_>, rate: &MeasuredRate) {
    w.text("phase", rate.phase.name());
    if let Some(kind) = rate.kind {
        w.text("kind", kind.name());
    }
    w.text("dtype", rate.dtype.name());
    w.count("heads", rate.heads);
    w.count("head_dim", rate.head_dim);
    w.count("tile", rate.tile);
    let key = rate_key(rate.phase);
    match rate.phase {
        Phase::Stream | Phase::Walk => w.text(key, &format::exact_bandwidth(Bandwidth(rate.per_second))),
        _ => w.count(key, rate.per_second),
    }
    w.number("spread", rate.spread);
}

fn one_kernel(w: &mut Writer<'_>, kernel: &Kernel) {
    w.text("kind", kernel.kind.name());
    w.text("dtype", kernel.dtype.name());
    if let Some(name) = &kernel.name {
        w.text("name", name);
    }
    let (policy, constants) = (&kernel.policy, &kernel.constants);
    w.table(&["policy"]);
    w.text("split", policy.split.name());
    w.count("block", policy.block);
    w.count("unsplit", policy.unsplit);
    w.count("items_per_core", policy.items_per_core);
    if kernel.kind == Kind::Mla {
        w.count("heads", policy.heads);
    }
    if kernel.kind != Kind::Gemm {
        if let Some(rows) = policy.padded_rows {
            w.count("padded_rows", rows);
        }
        w.flag("quick_unsplit", policy.quick_unsplit);
        w.flag("serial_combine", policy.serial_combine);
        w.flag("pipelined", policy.pipelined);
    }
    if let Some(tiling) = policy.tiling {
        w.count("rows", tiling.rows);
        w.count("columns", tiling.columns);
    }
    w.table(&["constants"]);
    let time = |time: Picos| format::exact_time(time);
    w.text("launch", &time(constants.launch));
    for (key, value) in [("work_item", constants.work_item), ("combine", constants.combine)] {
        if let Some(value) = value {
            w.text(key, &time(value));
        }
    }
    if let Some(rate) = constants.item_rate {
        w.text("item_rate", &format::exact_bandwidth(Bandwidth(rate)));
    }
    for (key, value) in [
        ("memory_fraction", constants.memory_fraction),
        ("mac_fraction", constants.mac_fraction),
        ("overlap", constants.overlap),
        ("l2_reach", constants.l2_reach),
    ] {
        if let Some(value) = value {
            w.number(key, value);
        }
    }
    if let Some(rival) = &kernel.rival {
        w.table(&["rival"]);
        w.text("launch", &time(rival.launch));
        w.number("memory_fraction", rival.memory_fraction);
    }
    if let Some(fit) = &kernel.fit {
        w.table(&["fit"]);
        w.count("rows", fit.rows);
        w.number("mape", fit.mape);
        w.count("held_out_rows", fit.held_out_rows);
        w.number("held_out_mape", fit.held_out_mape);
        w.number("low", fit.low);
        w.number("high", fit.high);
    }
}
