//! Machines and models made for tests.

use crate::attention::{Conditions, Contraction, Precision, ReadWork, Scheme, Sparsity};
use crate::hardware::energy::EnergyTable;
use crate::hardware::hbm::Hbm;
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{Dataflow, MacArray};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::hardware::{Accelerator, Cores, Overheads};
use crate::mapping::attention::{Residence, Shape};
use crate::model::{AttentionBias, Model, Norm, NormSpan, Position};
use crate::step::Simulator;
use crate::units::{Bandwidth, Bytes, Dtype, Hertz, Picos};
use crate::workload::Subject;

pub(super) fn model(heads: u64, head_dim: u64, position: Position) -> Model {
    let d = heads * head_dim;
    Model {
        name: format!("mha-{heads}x{head_dim}"),
        layers: 4,
        d_model: d,
        heads,
        kv_heads: heads,
        head_dim,
        d_ffn: 8 * d / 3,
        gated_ffn: true,
        ffn_bias: false,
        vocab: 32000,
        tied_embeddings: false,
        max_context: 1 << 20,
        position,
        rotary_fraction: 1.0,
        qk_norm: false,
        qk_norm_span: NormSpan::Row,
        clip_qkv: None,
        decode_steps: None,
        attention_bias: AttentionBias::default(),
        norm: Norm::Rms,
        norms_per_layer: 2,
        cache_layers: None,
        sliding_window: None,
        moe: None,
        encoder: None,
        mla: None,
        source: "made for a test".into(),
        note: None,
    }
}

/// CodeLlama-7B's shape.
pub(super) fn llama_7b() -> Model {
    Model { layers: 32, d_ffn: 11008, vocab: 32016, max_context: 16384, ..model(32, 128, Position::Rope) }
}

pub(super) fn ideal() -> Accelerator {
    Accelerator {
        name: "ideal".into(),
        clock: Hertz(1_000_000_000),
        cores: Cores {
            count: 1,
            mac_array: MacArray::Ideal,
            accumulators: None,
            vector_unit: VectorUnit::Ideal,
            sram: Sram { capacity: None, bandwidth: OnChipBandwidth::Ideal, banks: None },
            bytes_in_flight: None,
            load_bandwidth: None,
            cluster: None,
        },
        shared_sram: None,
        hbm: Some(Hbm {
            bandwidth: Bandwidth(1_000_000_000_000),
            capacity: None,
            latency: Picos(0),
            parts: None,
        }),
        overheads: Overheads::default(),
        energy: EnergyTable::default(),
        free_activations: true,
        kernels: None,
        own_kernels: None,
        source: String::new(),
        note: None,
    }
}

/// A GPU much like an H100.
pub(super) fn gpu() -> Accelerator {
    Accelerator {
        name: "gpu".into(),
        clock: Hertz(1_830_000_000),
        cores: Cores {
            count: 132,
            mac_array: MacArray::DotProduct {
                m: 64,
                n: 8,
                k: 16,
                latency: 32,
                macs_per_cycle: vec![(Dtype::Bf16, 2048), (Dtype::Fp8, 4096)],
            },
            accumulators: Some(Bytes(192 << 10)),
            vector_unit: VectorUnit::Lanes { lanes: 128, exp_per_cycle: 16, rotate_ops: 6 },
            sram: Sram {
                capacity: Some(Bytes(228 << 10)),
                bandwidth: OnChipBandwidth::PerCycle(128),
                banks: None,
            },
            bytes_in_flight: None,
            load_bandwidth: None,
            cluster: Some(Cluster {
                max_size: 16,
                bandwidth: OnChipBandwidth::PerCycle(32),
                barrier: Picos(300_000),
                multicast: true,
            }),
        },
        shared_sram: Some(Sram {
            capacity: Some(Bytes(50_000_000)),
            bandwidth: OnChipBandwidth::PerSecond(Bandwidth(5_500_000_000_000)),
            banks: None,
        }),
        hbm: Some(Hbm {
            bandwidth: Bandwidth(3_350_000_000_000),
            capacity: Some(Bytes(80_000_000_000)),
            latency: Picos(600_000),
            parts: None,
        }),
        overheads: Overheads {
            launch: Picos(2_000_000),
            work_item: Picos(800_000),
            barrier: Picos(1_000_000),
            prefetch_weights: false,
            overlap: 1.0,
        },
        energy: EnergyTable {
            hbm_pj_per_bit: Some(3.9),
            shared_sram_pj_per_bit: Some(0.2),
            local_sram_pj_per_bit: Some(0.05),
            mac_pj: vec![(Dtype::Bf16, 0.7), (Dtype::Fp8, 0.4)],
            vector_op_pj: Some(1.0),
        },
        free_activations: false,
        kernels: None,
        own_kernels: None,
        source: String::new(),
        note: None,
    }
}

/// A machine much like a TPU v5p.
pub(super) fn tpu() -> Accelerator {
    Accelerator {
        name: "tpu".into(),
        clock: Hertz(1_751_000_000),
        cores: Cores {
            count: 2,
            mac_array: MacArray::Systolic {
                rows: 128,
                columns: 128,
                count: 4,
                dataflow: Dataflow::WeightStationary,
                macs_per_cycle: vec![(Dtype::Bf16, 65536), (Dtype::Int8, 131_072)],
            },
            accumulators: None,
            vector_unit: VectorUnit::Lanes { lanes: 4096, exp_per_cycle: 1024, rotate_ops: 6 },
            sram: Sram {
                capacity: Some(Bytes(64 << 20)),
                bandwidth: OnChipBandwidth::PerCycle(12288),
                banks: None,
            },
            bytes_in_flight: None,
            load_bandwidth: None,
            cluster: None,
        },
        shared_sram: None,
        hbm: Some(Hbm {
            bandwidth: Bandwidth(2_765_000_000_000),
            capacity: Some(Bytes(95_000_000_000)),
            latency: Picos(600_000),
            parts: None,
        }),
        overheads: Overheads { launch: Picos(500_000), prefetch_weights: true, ..Overheads::default() },
        energy: EnergyTable::default(),
        free_activations: false,
        kernels: None,
        own_kernels: None,
        source: String::new(),
        note: None,
    }
}

pub(super) fn simulator(accelerator: &Accelerator, model: &Model, scheme: &str) -> Simulator {
    let scheme = Scheme::find(scheme).expect("known");
    Simulator::new(accelerator, model, scheme, &Conditions::default()).expect("admitted")
}

pub(super) fn simulator_under(
    accelerator: &Accelerator,
    model: &Model,
    scheme: &'static Scheme,
    conditions: &Conditions,
) -> Simulator {
    Simulator::new(accelerator, model, scheme, conditions).expect("admitted")
}

/// A scheme on a model under conditions.
pub(super) fn subject_under(scheme: &Scheme, model: Model, conditions: &Conditions) -> Subject {
    let layout = scheme.describe(&model, conditions.options).expect("admitted");
    Subject {
        model,
        layout,
        precision: conditions.precision_of(scheme),
        options: conditions.options,
        query_tokens: conditions.query_tokens,
    }
}

/// A scheme on a model, one new token a step.
pub(super) fn subject(scheme: &Scheme, model: Model, precision: Precision) -> Subject {
    subject_under(scheme, model, &precision.into())
}

/// Block-diagonal scores and dense weighted sums of `heads` heads of `width` elements over one row of 16-bit numbers.
pub(super) fn one_row(heads: u64, width: u64) -> Shape {
    let row = Bytes(2 * heads * width);
    Shape {
        groups: 1,
        scores: Contraction { slices: heads, heads: 1, width },
        values: Contraction { slices: 1, heads, width: heads * width },
        before_scores: ReadWork::default(),
        before_values: ReadWork::default(),
        row,
        score_row: row,
        value_row: row,
        shared_row: true,
        queries: 1,
        most_query_groups: 1,
        sparsity: Sparsity::default(),
        dtype: Dtype::Bf16,
        residence: Residence::Memory,
    }
}
