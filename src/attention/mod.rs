//! Attention schemes as data: what each keeps per token, how it forms scores and values, what it does to kept rows on every
//! read, and which weights a step reads because of it. One file a scheme.
//!
//! Workload, mapping and engine know only [`Layout`] and [`Description`]: two schemes with equal descriptions yield equal programs,
//! and a new scheme is one new file and one line in [`ALL`].

mod conditions;
pub mod evidence;
mod kv_cache;
mod layout;
mod mla;
mod options;
mod site;
mod slim_e;
mod slim_k;
mod slim_k1;
mod slim_k_recompute;
mod slim_v;
mod slim_x;

pub use conditions::Conditions;
pub use options::{Options, QkNorm, Rotation, Sparsity};
pub use site::NORM_OPS;

use crate::model::Model;
use crate::units::{Bytes, Dtype};
use site::Site;

/// A product of every query head with (part of) the kept rows: `slices` independent products, each of `heads` query heads with
/// `width` elements of a row. Block-diagonal contractions have a slice per KV head, dense ones a single slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contraction {
    /// Independent products.
    pub slices: u64,
    /// Query heads in each.
    pub heads: u64,
    /// Elements of the kept row that each contracts with.
    pub width: u64,
}

impl Contraction {
    /// Elements of the row that take part.
    #[must_use]
    pub const fn row_width(&self) -> u64 {
        self.slices * self.width
    }

    /// Multiply–accumulates per token and query token.
    #[must_use]
    pub const fn macs(&self) -> u64 {
        self.slices * self.heads * self.width
    }
}

/// What a kept tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tensor {
    /// Keys; in cross-attention the layer's own, or those of layer 1 for all layers.
    K,
    /// Values.
    V,
    /// What keys and values are projected from: the layer's input, in cross-attention the encoder's output E.
    X,
    /// The latent row of latent attention.
    Latent,
    /// Its rotary key.
    RotaryKey,
    /// Statistics of the norm of a token's keys.
    NormScale,
}

/// A tensor kept for every token, in every layer that has a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kept {
    /// What it is.
    pub tensor: Tensor,
    /// Elements per token and layer, over all heads.
    pub width: u64,
    /// Whether it is kept in fp32 whatever the type of the cache: statistics of a norm.
    pub wide: bool,
}

impl Kept {
    /// A tensor of `width` elements in the type of the cache.
    const fn new(tensor: Tensor, width: u64) -> Self {
        Self { tensor, width, wide: false }
    }

    /// The statistics of a norm: `width` numbers in fp32.
    const fn norm_scale(width: u64) -> Self {
        Self { tensor: Tensor::NormScale, width, wide: true }
    }

    /// Bytes per token.
    #[must_use]
    pub const fn bytes(&self, cache: Dtype) -> Bytes {
        if self.wide { Dtype::Fp32.bytes(self.width) } else { cache.bytes(self.width) }
    }
}

/// Who keeps the rows of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeper {
    /// Every layer its own.
    EachLayer,
    /// All layers read the same rows.
    AllLayers,
}

/// Element-wise work on a kept row each time it is read, per token and group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ReadWork {
    /// Elements rotated (or rotated back).
    pub rotated: u64,
    /// Other operations: norms, biases.
    pub ops: u64,
}

impl ReadWork {
    /// Whether rows are used as they are.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.rotated == 0 && self.ops == 0
    }
}

/// Kept rows multiplied by a matrix on every read, before they serve as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recompute {
    /// Elements of the kept row, the rows of the matrix.
    pub inputs: u64,
    /// Elements recomputed per token.
    pub outputs: u64,
}

impl Recompute {
    /// Elements of the matrix, read once per step.
    #[must_use]
    pub const fn weights(&self) -> u64 {
        self.inputs * self.outputs
    }
}

/// Where in a layer a projection is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// To the layer's normalised input, before attention: all of these run as one fused product.
    Input,
    /// To a latent row that an input projection made, before attention.
    Up,
    /// To the queries, head by head, before attention. On a prompt the same weights turn kept rows into keys instead.
    Query,
    /// To the heads' weighted sums, before the output projection. On a prompt the same weights turn kept rows into values instead.
    PerHead,
    /// After attention.
    Output,
    /// To the encoder's output, once before the first decode step: it fills a cross-attention's cache.
    Encoder,
}

/// A weight matrix applied once per token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Projection {
    /// The weight's name: "W_Q", "W_KV", …
    pub name: &'static str,
    /// Where it is applied.
    pub stage: Stage,
    /// Independent products it consists of: 1, or one a KV head.
    pub repeats: u64,
    /// Rows of a token in each: 1, or the query heads of a KV head.
    pub heads: u64,
    /// Reduction length of each.
    pub inputs: u64,
    /// Outputs of each.
    pub outputs: u64,
    /// Bias elements.
    pub bias: u64,
}

impl Projection {
    /// One product of a token's row.
    const fn new(name: &'static str, stage: Stage, inputs: u64, outputs: u64) -> Self {
        Self { name, stage, repeats: 1, heads: 1, inputs, outputs, bias: 0 }
    }

    /// A product for each KV head, with the rows of the query heads that share it.
    const fn per_kv_head(name: &'static str, stage: Stage, model: &Model, inputs: u64, outputs: u64) -> Self {
        Self { repeats: model.kv_heads, heads: model.gqa_group(), ..Self::new(name, stage, inputs, outputs) }
    }

    /// The same with a bias, if `present`.
    const fn biased(self, present: bool) -> Self {
        Self { bias: if present { self.repeats * self.outputs } else { 0 }, ..self }
    }

    /// The same with `elements` more of bias.
    const fn plus(self, elements: u64) -> Self {
        Self { bias: self.bias + elements, ..self }
    }

    /// Weight elements without bias.
    #[must_use]
    pub const fn weights(&self) -> u64 {
        self.repeats * self.inputs * self.outputs
    }
}

/// One attention of a layer: everything the rest of the simulator knows about a scheme on a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Description {
    /// Tensors kept per token and layer.
    pub kept: Vec<Kept>,
    /// Whether each layer keeps them for itself.
    pub keeper: Keeper,
    /// Independent kept rows per token: KV heads where each head group reads its own row, 1 where all heads share one, 0 where the layer
    /// keeps nothing and does not attend.
    pub groups: u64,
    /// Elements of one group's kept row that attention reads.
    pub row: u64,
    /// Whether scores and weighted sum read the same elements of it, so that one pass over a tile serves both.
    pub shared_row: bool,
    /// Scores of one group.
    pub scores: Contraction,
    /// Weighted sum of one group.
    pub values: Contraction,
    /// Work on a row before it serves the scores.
    pub before_scores: ReadWork,
    /// Work on a row before it serves the weighted sum, for tokens that it does not skip.
    pub before_values: ReadWork,
    /// What kept rows are multiplied by on every read.
    pub recompute: Option<Recompute>,
    /// Elements rotated once for each new token (queries, and keys that are kept rotated).
    pub rotated_once: u64,
    /// Elements normalised once for each new token (queries, and keys that are kept normalised).
    pub normalised_once: u64,
    /// Weights of the norms of queries and keys.
    pub norm_weights: u64,
    /// Weights applied once per token.
    pub projections: Vec<Projection>,
}

impl Description {
    /// Elements kept per token and layer.
    #[must_use]
    pub fn kept_width(&self) -> u64 {
        self.kept.iter().map(|k| k.width).sum()
    }

    /// Bytes kept per token and layer: tensors of the cache's type lie packed in one row, as attention reads them.
    #[must_use]
    pub fn kept_bytes(&self, cache: Dtype) -> Bytes {
        let of = |wide| self.kept.iter().filter(|k| k.wide == wide).map(|k| k.width).sum();
        cache.bytes(of(false)) + Dtype::Fp32.bytes(of(true))
    }

    /// Of these, the bytes that a weighted sum does not need where it skips a token: those of the values, if the scores don't read them.
    #[must_use]
    pub fn skippable_bytes(&self, cache: Dtype) -> Bytes {
        if self.shared_row || self.recompute.is_some() {
            return Bytes::ZERO;
        }
        // Of elements narrower than a byte, one byte can hold the last of the keys and the first of the values.
        cache.bytes(self.row).saturating_sub(cache.bytes(self.scores.row_width())) * self.groups
    }

    /// Query heads that attend to one group's rows.
    #[must_use]
    pub const fn heads_per_group(&self) -> u64 {
        self.scores.slices * self.scores.heads
    }

    /// Query heads in all.
    #[must_use]
    pub const fn heads(&self) -> u64 {
        self.groups * self.heads_per_group()
    }

    /// Whether the layer attends at all.
    #[must_use]
    pub const fn attends(&self) -> bool {
        self.groups > 0
    }

    /// Weights and biases of the attention block, in elements.
    #[must_use]
    pub fn weight_elements(&self) -> u64 {
        let projections: u64 = self.projections.iter().map(|p| p.weights() + p.bias).sum();
        projections + self.recompute.map_or(0, |r| r.weights()) + self.norm_weights
    }
}

/// Layers of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayerKind {
    /// How many.
    pub layers: u64,
    /// Self-attention.
    pub own: Description,
    /// Cross-attention.
    pub cross: Option<Description>,
}

impl LayerKind {
    /// Self-attention, then cross-attention.
    pub fn blocks(&self) -> impl Iterator<Item = &Description> {
        std::iter::once(&self.own).chain(&self.cross)
    }
}

/// A scheme on a model: the kinds of layers that it makes of it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    /// At least one.
    pub kinds: Vec<LayerKind>,
}

impl Layout {
    /// The self-attention of layers that have a cache.
    #[must_use]
    pub fn own(&self) -> &Description {
        &self.kinds[0].own
    }
}

/// Why a model does not admit a scheme, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{scheme} cannot run {model}: {reason}")]
pub struct Refusal {
    /// Scheme.
    pub scheme: &'static str,
    /// Model.
    pub model: String,
    /// Reason.
    pub reason: String,
}

/// A scheme: its name and how it describes itself on a model.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// The name that users write; it says what is kept.
    pub name: &'static str,
    /// One line for `list schemes`.
    pub summary: &'static str,
    /// Describes the self-attention on a model, or says why the model does not admit it.
    own: fn(&Site<'_>) -> Result<Description, String>,
    /// The cross-attention.
    cross: fn(&Site<'_>) -> Result<CrossKinds, String>,
}

/// Cross-attention of a model's layers, from the first on: how many layers have each form. What the others leave goes to the last.
type CrossKinds = Vec<(u64, Description)>;

/// The baseline of every speedup.
pub const BASELINE: &str = "kv-cache";

/// All schemes, the baseline first.
pub const ALL: &[Scheme] = &[
    kv_cache::SCHEME,
    slim_k::SCHEME,
    slim_k_recompute::SCHEME,
    slim_v::SCHEME,
    slim_x::SCHEME,
    slim_e::SCHEME,
    slim_k1::SCHEME,
    mla::SCHEME,
];

impl Scheme {
    /// Describes the scheme on `model`.
    ///
    /// # Errors
    /// The reason why the model does not admit it.
    pub fn describe(&self, model: &Model, options: Options) -> Result<Layout, Refusal> {
        layout::of(self, model, options).map_err(|reason| Refusal {
            scheme: self.name,
            model: model.name.clone(),
            reason,
        })
    }

    /// Finds a scheme by name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|s| s.name == name)
    }
}

impl PartialEq for Scheme {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Element types of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Precision {
    /// Weights.
    pub weights: Dtype,
    /// Kept tensors.
    pub cache: Dtype,
}

impl Default for Precision {
    fn default() -> Self {
        Self { weights: Dtype::Bf16, cache: Dtype::Bf16 }
    }
}

impl Precision {
    /// The type of activations: fp32 beside fp32 weights, else 16 bits.
    #[must_use]
    pub const fn activations(&self) -> Dtype {
        match self.weights {
            Dtype::Fp32 => Dtype::Fp32,
            _ => Dtype::Bf16,
        }
    }
}

#[cfg(test)]
mod tests;
