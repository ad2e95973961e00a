//! The keys of a model file.

use crate::config::limits::*;
use crate::config::reader::table;
use crate::config::scalars::{Count, Number};
use crate::model::{AttentionBias, Norm, Position};

table! {
    /// A language model.
    RawModel {
        /// Name in results; the file's name where absent.
        optional name: String,
        /// Decoder layers.
        required layers: Count<MAX_LAYERS>,
        /// Width of the residual stream.
        required d_model: Count<MAX_DIMENSION>,
        /// Query heads.
        required heads: Count<MAX_HEADS>,
        /// Key and value heads; divides `heads`.
        required kv_heads: Count<MAX_HEADS>,
        /// Dimension of one head.
        required head_dim: Count<MAX_DIMENSION>,
        /// Width of the feed-forward network.
        required d_ffn: Count<MAX_DIMENSION>,
        /// Whether the feed-forward network has a gate: three matrices, not two.
        required gated_ffn: bool,
        /// Whether the feed-forward matrices carry biases (default false).
        optional ffn_bias: bool,
        /// Vocabulary.
        required vocab: Count<MAX_DIMENSION>,
        /// Whether the LM head shares the embedding's weights.
        required tied_embeddings: bool,
        /// Longest context the model was made for, in tokens.
        required max_context: Count<MAX_CONTEXT>,
        /// Position encoding of the self-attention.
        required position: Position,
        /// Fraction of each head that a rotary embedding rotates, above 0 and up to 1 (default 1); ignored for other position encodings.
        optional rotary_fraction: Number,
        /// Whether queries and keys are normalised after their projection (default false).
        optional qk_norm: bool,
        /// Projections that carry a bias (default "none").
        optional attention_bias: AttentionBias,
        /// Kind of norm (default "rms").
        optional norm: Norm,
        /// Norms in a decoder layer (default 2; 1 where attention and feed-forward run in parallel, 4 with post-norms).
        optional norms_per_layer: Count<8, 0>,
        /// Layers that hold a cache, where not all do.
        optional cache_layers: Count<MAX_LAYERS>,
        /// Sliding window of the attention, in tokens.
        optional sliding_window: Count<MAX_CONTEXT>,
        /// Mixture of experts in place of the dense feed-forward network.
        optional moe: RawMoe,
        /// Encoder of an encoder–decoder model.
        optional encoder: RawEncoder,
        /// Multi-head latent attention.
        optional mla: RawMla,
        /// Where the figures come from.
        optional source: String,
        /// What is uncertain about the figures.
        optional note: String,
    }
}

table! {
    /// A mixture of experts.
    RawMoe {
        /// Experts in a layer.
        required experts: Count<MAX_HEADS>,
        /// Experts that one token uses.
        required active: Count<MAX_HEADS>,
    }
}

table! {
    /// The encoder of an encoder–decoder model.
    RawEncoder {
        /// Encoder layers.
        required layers: Count<MAX_LAYERS>,
        /// Encoder tokens that cross-attention attends to.
        required tokens: Count<MAX_CONTEXT>,
    }
}

table! {
    /// Multi-head latent attention.
    RawMla {
        /// Width of the latent row.
        required latent_dim: Count<MAX_DIMENSION>,
        /// Width of the shared rotary key.
        required rope_dim: Count<MAX_DIMENSION>,
    }
}
