//! The resolved TOML of a machine, a memory part, a kernel profile or a model: standard tables, one key a line, every default written out.
//!
//! Numbers are exact: reading the text back gives the same machine. Behind a value stands the comment that the file has
//! there (its source, as a rule), or where else the value comes from.

use std::fmt::Write as _;

mod kernels;

pub(crate) use kernels::kernels;

use super::raw::{HbmModel, MacKind, Refresh, SramKind, VectorKind};
use super::scalars::Named;
use super::tree::{Node, Tree, quote};
use crate::hardware::Accelerator;
use crate::hardware::hbm::device::Device;
use crate::hardware::mac_array::{MacArray, MacRates};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::model::Model;
use crate::units::{Bytes, format};

/// Writes keys, table by table.
struct Writer<'a> {
    out: String,
    table: Vec<&'static str>,
    /// The tree that the values come from, for the comments.
    tree: Option<&'a Tree>,
    /// The table of a list `[[name]]` that is being written: the list's name, and the table in the tree.
    item: Option<(&'static str, Option<&'a Node>)>,
}

impl<'a> Writer<'a> {
    fn new(tree: Option<&'a Tree>) -> Self {
        Self { out: String::new(), table: Vec::new(), tree, item: None }
    }

    fn table(&mut self, path: &[&'static str]) {
        self.table = path.to_vec();
        let list = self.item.map(|(name, _)| name);
        let path: Vec<&str> = list.into_iter().chain(path.iter().copied()).collect();
        let _ = writeln!(self.out, "\n[{}]", path.join("."));
    }

    /// Begins a table of the list `[[name]]`.
    fn item(&mut self, name: &'static str, node: Option<&'a Node>) {
        self.table.clear();
        self.item = Some((name, node));
        let _ = writeln!(self.out, "\n[[{name}]]");
    }

    fn raw(&mut self, key: &str, value: &str) {
        let comment = self.comment(key);
        let _ = writeln!(self.out, "{key} = {value}{comment}");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quote(value));
    }

    fn number(&mut self, key: &str, value: f64) {
        self.raw(key, &toml::Value::from(value).to_string());
    }

    fn count(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// Where a value comes from: the comment behind it in its file, an override, or a default.
    fn comment(&self, key: &str) -> String {
        let Some(tree) = self.tree else { return String::new() };
        let path: Vec<&str> = self.table.iter().copied().chain([key]).collect();
        let root = match self.item {
            Some((_, Some(item))) => item,
            _ => &tree.root,
        };
        let Some(node) = root.at(&path) else { return "  # default".into() };
        let Some(source) = tree.sources.get(node.origin.source as usize) else { return String::new() };
        if node.origin.source != 0 {
            return if source.is_file { format!("  # set in {}", source.name) } else { "  # --set".into() };
        }
        let rest = source.text.get(node.origin.end as usize..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default().trim();
        if line.starts_with('#') { format!("  {line}") } else { String::new() }
    }
}

/// The resolved TOML of an accelerator. `tree` is what it was read from, if comments are wanted.
pub(crate) fn accelerator(machine: &Accelerator, tree: Option<&Tree>) -> String {
    let mut w = Writer::new(tree);
    w.text("name", &machine.name);
    w.text("clock", &format::exact_frequency(machine.clock));
    if !machine.source.is_empty() {
        w.text("source", &machine.source);
    }
    if let Some(note) = &machine.note {
        w.text("note", note);
    }
    w.flag("free_activations", machine.free_activations);

    w.table(&["cores"]);
    w.count("count", machine.cores.count);
    if let Some(bytes) = machine.cores.bytes_in_flight {
        w.text("bytes_in_flight", &format::exact_bytes(bytes));
    }
    if let Some(bandwidth) = machine.cores.load_bandwidth {
        w.text("load_bandwidth", &on_chip(bandwidth));
    }
    mac_array(&mut w, &machine.cores.mac_array);
    if let Some(capacity) = machine.cores.accumulators {
        w.table(&["cores", "accumulators"]);
        w.text("capacity", &format::exact_bytes(capacity));
    }
    w.table(&["cores", "vector_unit"]);
    match machine.cores.vector_unit {
        VectorUnit::Ideal => w.text("kind", VectorKind::Ideal.name()),
        VectorUnit::Lanes { lanes, exp_per_cycle, rotate_ops } => {
            w.text("kind", VectorKind::Lanes.name());
            w.count("lanes", lanes);
            w.count("exp_per_cycle", exp_per_cycle);
            w.count("rotate_ops", rotate_ops);
        }
    }
    w.table(&["cores", "sram"]);
    if machine.cores.sram.capacity.is_none() {
        w.text("kind", SramKind::Ideal.name());
    } else {
        w.text("kind", SramKind::Real.name());
        sram(&mut w, &machine.cores.sram);
    }
    if let Some(cluster) = machine.cores.cluster {
        w.table(&["cores", "cluster"]);
        w.count("max_size", cluster.max_size);
        w.text("bandwidth", &on_chip(cluster.bandwidth));
        w.text("barrier", &format::exact_time(cluster.barrier));
        w.flag("multicast", cluster.multicast);
    }
    outside(&mut w, machine);
    // Last: what follows a list's tables would belong to them.
    if let Some(profile) = &machine.own_kernels {
        kernels::own(&mut w, profile);
    }
    w.out
}

fn mac_array(w: &mut Writer<'_>, array: &MacArray) {
    w.table(&["cores", "mac_array"]);
    let rates = match array {
        MacArray::Ideal => return w.text("kind", MacKind::Ideal.name()),
        MacArray::Systolic { rows, columns, count, dataflow, macs_per_cycle } => {
            w.text("kind", MacKind::Systolic.name());
            w.count("rows", *rows);
            w.count("columns", *columns);
            w.count("count", *count);
            w.text("dataflow", dataflow.name());
            macs_per_cycle
        }
        MacArray::DotProduct { m, n, k, latency, macs_per_cycle } => {
            w.text("kind", MacKind::DotProduct.name());
            w.count("m", *m);
            w.count("n", *n);
            w.count("k", *k);
            w.count("latency", *latency);
            macs_per_cycle
        }
    };
    let rates: &MacRates = rates;
    w.table(&["cores", "mac_array", "macs_per_cycle"]);
    for (dtype, rate) in rates {
        w.count(dtype.name(), *rate);
    }
}

/// Shared SRAM, external memory, overheads and energy.
fn outside(w: &mut Writer<'_>, machine: &Accelerator) {
    if let Some(shared) = &machine.shared_sram {
        w.table(&["shared_sram"]);
        sram(w, shared);
    }
    if let Some(hbm) = &machine.hbm {
        w.table(&["hbm"]);
        w.text("bandwidth", &format::exact_bandwidth(hbm.bandwidth));
        if let Some(capacity) = hbm.capacity {
            w.text("capacity", &format::exact_bytes(capacity));
        }
        w.text("latency", &format::exact_time(hbm.latency));
        let model = if hbm.parts.is_some() { HbmModel::Device } else { HbmModel::Flat };
        w.text("model", model.name());
        if let Some(parts) = &hbm.parts {
            w.text("part", &parts.part);
            w.count("count", u64::from(parts.count));
            w.text("map", &parts.map.name);
            w.text("interleave", &format::exact_bytes(parts.interleave));
            w.count("queue", u64::from(parts.queue));
            w.text("refresh", if parts.refresh { Refresh::AllBank } else { Refresh::None }.name());
        }
    }
    w.table(&["overheads"]);
    w.text("launch", &format::exact_time(machine.overheads.launch));
    w.text("work_item", &format::exact_time(machine.overheads.work_item));
    w.text("barrier", &format::exact_time(machine.overheads.barrier));
    w.flag("prefetch_weights", machine.overheads.prefetch_weights);
    w.number("overlap", machine.overheads.overlap);

    let energy = &machine.energy;
    let per_bit = [
        ("hbm", energy.hbm_pj_per_bit),
        ("shared_sram", energy.shared_sram_pj_per_bit),
        ("local_sram", energy.local_sram_pj_per_bit),
    ];
    if per_bit.iter().any(|(_, e)| e.is_some()) || energy.vector_op_pj.is_some() || !energy.mac_pj.is_empty()
    {
        w.table(&["energy"]);
    }
    for (key, value) in per_bit {
        if let Some(value) = value {
            w.text(key, &format!("{value} pJ/bit"));
        }
    }
    if let Some(value) = energy.vector_op_pj {
        w.text("vector_op", &format!("{value} pJ"));
    }
    if !energy.mac_pj.is_empty() {
        w.table(&["energy", "mac"]);
        for (dtype, value) in &energy.mac_pj {
            w.text(dtype.name(), &format!("{value} pJ"));
        }
    }
}

fn sram(w: &mut Writer<'_>, memory: &Sram) {
    if let Some(capacity) = memory.capacity {
        w.text("capacity", &format::exact_bytes(capacity));
    }
    w.text("bandwidth", &on_chip(memory.bandwidth));
    if let Some(banks) = memory.banks {
        w.count("banks", banks);
    }
}

fn on_chip(bandwidth: OnChipBandwidth) -> String {
    match bandwidth {
        OnChipBandwidth::PerCycle(bytes) => format!("{bytes} B/cycle"),
        OnChipBandwidth::PerSecond(rate) => format::exact_bandwidth(rate),
        OnChipBandwidth::Ideal => "ideal".into(),
    }
}

/// The resolved TOML of a model. `tree` is what it was read from, if comments are wanted.
pub(crate) fn model(model: &Model, tree: Option<&Tree>) -> String {
    let mut w = Writer::new(tree);
    w.text("name", &model.name);
    w.count("layers", model.layers);
    w.count("d_model", model.d_model);
    w.count("heads", model.heads);
    w.count("kv_heads", model.kv_heads);
    w.count("head_dim", model.head_dim);
    w.count("d_ffn", model.d_ffn);
    w.flag("gated_ffn", model.gated_ffn);
    w.flag("ffn_bias", model.ffn_bias);
    w.count("vocab", model.vocab);
    w.flag("tied_embeddings", model.tied_embeddings);
    w.count("max_context", model.max_context);
    w.text("position", model.position.name());
    w.number("rotary_fraction", model.rotary_fraction);
    w.flag("qk_norm", model.qk_norm);
    if model.qk_norm {
        w.text("qk_norm_span", model.qk_norm_span.name());
    }
    if let Some(bound) = model.clip_qkv {
        w.number("clip_qkv", bound);
    }
    let bias = model.attention_bias;
    let biased: Vec<&str> = [("\"q\"", bias.q), ("\"k\"", bias.k), ("\"v\"", bias.v), ("\"o\"", bias.o)]
        .into_iter()
        .filter_map(|(name, carried)| carried.then_some(name))
        .collect();
    if biased.is_empty() {
        w.text("attention_bias", "none");
    } else {
        w.raw("attention_bias", &format!("[{}]", biased.join(", ")));
    }
    w.text("norm", model.norm.name());
    w.count("norms_per_layer", model.norms_per_layer);
    if let Some(layers) = model.cache_layers {
        w.count("cache_layers", layers);
    }
    if let Some(window) = model.sliding_window {
        w.count("sliding_window", window);
    }
    if let Some(steps) = model.decode_steps {
        w.count("decode_steps", steps);
    }
    if !model.source.is_empty() {
        w.text("source", &model.source);
    }
    if let Some(note) = &model.note {
        w.text("note", note);
    }
    if let Some(moe) = model.moe {
        w.table(&["moe"]);
        w.count("experts", moe.experts);
        w.count("active", moe.active);
    }
    if let Some(encoder) = model.encoder {
        w.table(&["encoder"]);
        w.count("layers", encoder.layers);
        w.count("tokens", encoder.tokens);
        w.count("d_ffn", encoder.d_ffn);
        w.flag("gated_ffn", encoder.gated_ffn);
        w.flag("reads_prompt", encoder.reads_prompt);
    }
    if let Some(mla) = model.mla {
        w.table(&["mla"]);
        w.count("latent_dim", mla.latent_dim);
        w.count("rope_dim", mla.rope_dim);
        if let Some(width) = mla.query_latent_dim {
            w.count("query_latent_dim", width);
        }
    }
    w.out
}

/// The resolved TOML of a memory part. `tree` is what it was read from, if comments are wanted.
pub(crate) fn memory(part: &Device, tree: Option<&Tree>) -> String {
    let mut w = Writer::new(tree);
    w.text("name", &part.name);
    w.text("standard", &part.standard);
    if let Some(source) = &part.source {
        w.text("source", source);
    }
    if let Some(note) = &part.note {
        w.text("note", note);
    }
    w.count("channels", part.channels.into());
    w.count("queue", part.queue.into());
    let (o, t) = (&part.organisation, &part.timing);
    w.table(&["organisation"]);
    for (key, count) in [
        ("pseudo_channels", o.pseudo_channels),
        ("ranks", o.ranks),
        ("bank_groups", o.bank_groups),
        ("banks", o.banks),
        ("rows", o.rows),
        ("columns", o.columns),
    ] {
        w.count(key, count.into());
    }
    w.text("burst", &format::exact_bytes(Bytes(o.burst_bytes.into())));
    w.table(&["timing"]);
    w.text("clock", &format::exact_time(t.tck));
    for (key, cycles) in [
        ("tbl", t.tbl),
        ("tcl", t.tcl),
        ("tcwl", t.tcwl),
        ("trcd_read", t.trcd_read),
        ("trcd_write", t.trcd_write),
        ("trp", t.trp),
        ("tras", t.tras),
        ("trc", t.trc),
        ("trtp", t.trtp),
        ("twr", t.twr),
        ("tccd_s", t.tccd_s),
        ("tccd_l", t.tccd_l),
        ("tccd_r", t.tccd_r),
        ("trrd_s", t.trrd_s),
        ("trrd_l", t.trrd_l),
        ("tfaw", t.tfaw),
        ("twtr_s", t.twtr_s),
        ("twtr_l", t.twtr_l),
        ("trtw", t.trtw),
        ("tppd", t.tppd),
        ("trfc", t.trfc),
        ("trefi", t.trefi),
    ] {
        w.count(key, cycles.into());
    }
    w.table(&["commands"]);
    w.flag("shared_bus", part.bus.shared);
    w.number("activate", f64::from(part.bus.activate) / 2.0);
    w.number("row", f64::from(part.bus.row) / 2.0);
    w.count("column", u64::from(part.bus.column) / 2);
    w.table(&["maps"]);
    for map in &part.maps {
        w.text(&key(&map.name), &map.to_string());
    }
    w.out
}

/// A key, quoted where TOML asks for it.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if bare { name.to_owned() } else { quote(name) }
}
