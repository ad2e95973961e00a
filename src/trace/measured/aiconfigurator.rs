//! What is particular to the tables of aiconfigurator-core (ai-dynamo/aiconfigurator, Apache-2.0; looked at in version 0.12.0).
//!
//! A row's latency is in milliseconds. A decode kernel has `isl` = 1 new token and `step` tokens in the cache before it: it attends
//! `isl` + `step`. Several operations share a header: those that hold more than one kernel, or a prefill, are left out row by row.

use super::columns::Kind;

/// The operation whose rows are decode kernels of this kind.
pub(super) const fn operation(kind: Kind) -> &'static str {
    match kind {
        Kind::Attention => "generation_attention",
        Kind::Latent => "mla_generation",
        Kind::Gemm => "gemm",
    }
}

/// Elements of a cached row: the tables of latent attention are of DeepSeek-V3's shape, and have no columns for it.
pub(super) const LATENT_DIM: u64 = 512;

/// Its rotary part.
pub(super) const ROPE_DIM: u64 = 64;

/// GPUs by the name that their driver gives, and the folder that the package keeps their tables in.
const DEVICES: [(&str, &str); 10] = [
    ("NVIDIA A100-SXM4-80GB", "a100_sxm"),
    ("NVIDIA H100 80GB HBM3", "h100_sxm"),
    ("NVIDIA H200", "h200_sxm"),
    ("NVIDIA B200", "b200_sxm"),
    ("NVIDIA B300 SXM6 AC", "b300_sxm"),
    ("NVIDIA GB200", "gb200"),
    ("NVIDIA GB300", "gb300"),
    ("NVIDIA L40S", "l40s"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx_pro_6000_server"),
    ("Intel(R) Arc(TM) Pro B60 Graphics", "b60"),
];

/// The short name of a device; the long one where it has none.
pub(super) fn gpu(device: &str) -> &str {
    DEVICES.iter().find(|(long, _)| *long == device).map_or(device, |(_, short)| short)
}
