//! Answers in words: why a layout was chosen, what limits it, what is missing where nothing can run.

use super::search::Choice;
use crate::attention::{Description, Scheme};
use crate::engine::Timeline;
use crate::hardware::Accelerator;
use crate::hardware::mac_array::Stationary;
use crate::mapping::Cause;
use crate::mapping::machine::Machine;
use crate::units::Bytes;
use crate::workload::Capacity;

/// What a cause means to a reader.
const fn unit(cause: Cause) -> &'static str {
    match cause {
        Cause::Compute => "the MAC array",
        Cause::Vector => "the vector unit",
        Cause::Bandwidth => "memory bandwidth",
        Cause::Latency => "memory latency",
        Cause::Sram => "on-chip SRAM bandwidth",
        Cause::Exchange => "exchange between cores",
        Cause::Overhead => "launches and barriers",
        Cause::Refresh => "memory refreshes",
        Cause::RowMiss => "memory row misses",
    }
}

/// The plan in words, what forced it, how often the kept rows are read, and which unit limits attention.
pub(super) fn reason(
    machine: &Machine,
    a: &Description,
    operator: &str,
    scheme: &Scheme,
    choice: &Choice,
    timeline: &Timeline,
) -> String {
    let plan = &choice.plan;
    let cores = &machine.spec.cores;
    let mut text = String::new();
    let passes = match choice.passes {
        1 => "one pass".to_owned(),
        n => format!("{n} passes"),
    };
    text.push_str(&format!("{passes} over the kept rows"));
    let mut how = Vec::new();
    if choice.split > 1 {
        how.push(format!("tokens split {} ways", choice.split));
    }
    if plan.cluster > 1 {
        how.push(format!("each row split by columns over clusters of {} cores", plan.cluster));
    }
    if plan.head_groups > 1 {
        how.push(format!("{} groups of heads walking the same tokens", plan.head_groups));
    }
    if plan.query_groups > 1 {
        how.push(format!("{} groups of query tokens walking the same tokens", plan.query_groups));
    }
    if choice.heads_in_tile > 1 {
        how.push(format!("each tile holds all {} KV heads", choice.heads_in_tile));
    }
    if plan.fused > 1 {
        how.push(format!("a work item walks all {} KV heads in turn", plan.fused));
    }
    if !how.is_empty() {
        text.push_str(&format!(" ({})", how.join(", ")));
    }
    text.push_str(&match choice.memory_reads {
        1 => "; each is read from memory once".to_owned(),
        n => format!("; each is read from memory {n} times"),
    });
    let whole = a.values.macs() * 4;
    let shares = a.shared_row;
    let room = cores.accumulators.or(cores.sram.capacity).map_or(u64::MAX, |b| b.0);
    if shares && plan.cluster * plan.head_groups > 1 && whole > room {
        text.push_str(&format!(
            "; one core alone would need {} KiB of accumulators for {} heads and has {}",
            whole / 1024,
            a.heads(),
            room / 1024
        ));
    }
    if shares && plan.accumulators_in_sram {
        text.push_str(&format!(
            "; accumulators ({} KiB) live in local SRAM",
            plan.accumulators.0.div_ceil(1024)
        ));
    }
    if let crate::hardware::mac_array::MacArray::Systolic { .. } = cores.mac_array {
        let name = |held, other| if held == Stationary::Right { "kept rows held" } else { other };
        text.push_str(&format!(
            "; scores with {}, weighted sums with {}",
            name(plan.scores_held, "kept rows streaming past the query"),
            name(plan.values_held, "kept rows streaming past the probabilities")
        ));
    }
    let total = timeline.time.0.max(1);
    let largest = timeline.causes.largest();
    let share = 100.0 * timeline.causes.0[largest as usize] as f64 / total as f64;
    text.push_str(&format!(
        "; {} {} is limited by {} ({share:.0} % of its time)",
        scheme.name,
        operator.replace('_', "-"),
        unit(largest)
    ));
    if let Some((name, time)) = choice.runner_up {
        text.push_str(&format!("; plan {name} would take {:.2} times as long", time.0 as f64 / total as f64));
    }
    text
}

/// What is missing, the largest batch that fits, and on machines without external memory how many chips would hold it.
pub(super) fn shortfall(
    accelerator: &Accelerator,
    capacity: &Capacity,
    available: Bytes,
    largest: Option<u64>,
) -> String {
    let gb = |b: Bytes| b.as_f64() / 1e9;
    let missing = capacity.total.saturating_sub(available);
    let mut text = format!(
        "needs {:.3} GB (weights {:.3}, cache {:.3}, activations {:.3}) and {} has {:.3}: {:.3} GB short",
        gb(capacity.total),
        gb(capacity.weights),
        gb(capacity.cache),
        gb(capacity.activations),
        accelerator.name,
        gb(available),
        gb(missing)
    );
    match largest {
        Some(0) if capacity.weights > available => text.push_str("; the weights alone do not fit"),
        Some(0) => text.push_str("; not one sequence of this context fits"),
        Some(n) => text.push_str(&format!("; the largest batch that fits is {n}")),
        None => {}
    }
    if accelerator.hbm.is_none() {
        text.push_str(&format!(
            "; it would take {} chips to hold it",
            capacity.total.0.div_ceil(available.0.max(1))
        ));
    }
    text
}
