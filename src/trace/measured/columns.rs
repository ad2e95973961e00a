//! The columns of tables of measured kernels, and the kinds of rows that they make: as data, a layout an entry.

/// What a column holds, whatever a file calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Which GPU.
    Gpu,
    /// Which framework.
    Framework,
    /// Which version of it.
    Version,
    /// Which kernel.
    Kernel,
    /// Element type of the cache, or of the weights.
    Dtype,
    /// How long it took; the column's name, or the layout, says in what unit.
    Latency,
    /// What limits it.
    Regime,
    /// Sequences.
    Batch,
    /// Query heads.
    Heads,
    /// Heads kept.
    KvHeads,
    /// Elements of a head.
    HeadDim,
    /// Elements of a latent row without its rotary part.
    LatentDim,
    /// Elements of its rotary part.
    RopeDim,
    /// Tokens attended, the new one included.
    Context,
    /// Rows of the activations.
    M,
    /// Columns of the weights.
    N,
    /// Rows of the weights.
    K,
    /// aiconfigurator: which operation was measured.
    Operation,
    /// aiconfigurator: the element type that is computed in.
    ComputeDtype,
    /// aiconfigurator: new tokens of a sequence.
    NewTokens,
    /// aiconfigurator: tokens of a sequence that are in the cache already.
    PastTokens,
    /// aiconfigurator: tokens of a sliding window, 0 for none.
    Window,
    /// aiconfigurator: beams of a beam search.
    Beams,
}

impl Column {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Beams as usize + 1;
}

/// A column and the names that it goes by, the first being the usual one. Where a file has several, the first of them counts.
pub(super) type Named = (Column, &'static [&'static str]);

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Attention over keys and values.
    Attention,
    /// Absorbed latent attention.
    Latent,
    /// Matrix products.
    Gemm,
}

/// Whose names the columns have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// slimsim's own: latencies with the unit in the column's name.
    Own,
    /// aiconfigurator's: latencies in milliseconds, contexts as new and past tokens.
    Aiconfigurator,
}

/// The columns of a kind of rows in a layout.
#[derive(Debug)]
pub(super) struct Shape {
    /// What its rows are.
    pub kind: Kind,
    /// How messages call it.
    pub name: &'static str,
    /// Whose names these are.
    pub layout: Layout,
    /// Columns that a file of another kind lacks: by these the kind is recognised.
    pub telling: &'static [Named],
    /// Further columns that have to be there, without the latency.
    pub needed: &'static [Named],
    /// Columns that are used if they are there.
    pub optional: &'static [Named],
}

const OWN_NEEDED: &[Named] = &[
    (Column::Gpu, &["gpu"]),
    (Column::Framework, &["framework"]),
    (Column::Kernel, &["kernel"]),
    (Column::Dtype, &["kv_dtype", "cache_dtype", "dtype"]),
];

const OWN_OPTIONAL: &[Named] = &[(Column::Version, &["version"]), (Column::Regime, &["regime"])];

const AIC_NEEDED: &[Named] = &[
    (Column::Gpu, &["device"]),
    (Column::Framework, &["framework"]),
    (Column::Kernel, &["kernel_source"]),
    (Column::Operation, &["op_name"]),
    (Column::Dtype, &["kv_cache_dtype"]),
];

/// Every kind of rows in every layout, in the order of messages.
pub(super) static SHAPES: [Shape; 6] = [
    Shape {
        kind: Kind::Attention,
        name: "attention",
        layout: Layout::Own,
        telling: &[
            (Column::Batch, &["batch"]),
            (Column::Heads, &["heads"]),
            (Column::KvHeads, &["kv_heads"]),
            (Column::HeadDim, &["head_dim"]),
            (Column::Context, &["context"]),
        ],
        needed: OWN_NEEDED,
        optional: OWN_OPTIONAL,
    },
    Shape {
        kind: Kind::Latent,
        name: "mla",
        layout: Layout::Own,
        telling: &[
            (Column::Batch, &["batch"]),
            (Column::Heads, &["heads"]),
            (Column::LatentDim, &["latent_dim"]),
            (Column::RopeDim, &["rope_dim"]),
            (Column::Context, &["context"]),
        ],
        needed: OWN_NEEDED,
        optional: OWN_OPTIONAL,
    },
    Shape {
        kind: Kind::Gemm,
        name: "gemm",
        layout: Layout::Own,
        telling: &[(Column::M, &["m"]), (Column::N, &["n"]), (Column::K, &["k"])],
        needed: &[
            (Column::Gpu, &["gpu"]),
            (Column::Framework, &["framework"]),
            (Column::Kernel, &["kernel"]),
            (Column::Dtype, &["dtype", "weight_dtype"]),
        ],
        optional: OWN_OPTIONAL,
    },
    Shape {
        kind: Kind::Attention,
        name: "attention of aiconfigurator",
        layout: Layout::Aiconfigurator,
        telling: &[
            (Column::Batch, &["batch_size"]),
            (Column::Heads, &["num_heads"]),
            (Column::KvHeads, &["num_key_value_heads"]),
            (Column::HeadDim, &["head_dim"]),
            (Column::NewTokens, &["isl"]),
            (Column::PastTokens, &["step"]),
        ],
        needed: AIC_NEEDED,
        optional: &[
            (Column::Version, &["version"]),
            (Column::ComputeDtype, &["attn_dtype"]),
            (Column::Window, &["window_size"]),
            (Column::Beams, &["beam_width"]),
        ],
    },
    Shape {
        kind: Kind::Latent,
        name: "mla of aiconfigurator",
        layout: Layout::Aiconfigurator,
        telling: &[
            (Column::ComputeDtype, &["mla_dtype"]),
            (Column::Heads, &["num_heads"]),
            (Column::Batch, &["batch_size"]),
            (Column::NewTokens, &["isl"]),
            (Column::PastTokens, &["step"]),
        ],
        needed: AIC_NEEDED,
        optional: &[(Column::Version, &["version"])],
    },
    Shape {
        kind: Kind::Gemm,
        name: "gemm of aiconfigurator",
        layout: Layout::Aiconfigurator,
        telling: &[
            (Column::Dtype, &["gemm_dtype"]),
            (Column::M, &["m"]),
            (Column::N, &["n"]),
            (Column::K, &["k"]),
        ],
        needed: &[
            (Column::Gpu, &["device"]),
            (Column::Framework, &["framework"]),
            (Column::Kernel, &["kernel_source"]),
            (Column::Operation, &["op_name"]),
        ],
        optional: &[(Column::Version, &["version"])],
    },
];

impl Shape {
    /// The names of all columns without which a file is not read, the latency's included.
    pub(super) fn usual(&self) -> impl Iterator<Item = &'static str> {
        let latency = match self.layout {
            Layout::Own => "latency_us",
            Layout::Aiconfigurator => "latency",
        };
        self.needed.iter().chain(self.telling).map(|(_, names)| names[0]).chain([latency])
    }
}
