//! slim-x: self-attention keeps the layer's input X (d elements a token): scores are (x·W_Q,i·W_K,iᵀ)·Xᵀ, values (P_i·X)·W_V,i, both
//! dense over the kept row (paper, non-square projections; its gain is largest where e > d). No inverse is needed, and no rotary
//! embedding allowed. Cross-attention keeps the encoder's output E once for all layers, as in `slim-e`.
//!
//! A V bias folds into the output projection's bias; a K bias cancels in the softmax.

use super::site::Site;
use super::slim_v::{kept, scaled_scores};
use super::{Contraction, Description, Keeper, Projection, ReadWork, Scheme, Stage, Tensor, slim_e};

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-x",
    summary: "keeps the layer's input X (cross-attention: the encoder's output E, once for all layers; no RoPE)",
    own: describe,
    cross: |site| Ok(vec![(u64::MAX, slim_e::encoder_rows(site)?)]),
};

fn describe(site: &Site<'_>) -> Result<Description, String> {
    site.admits_linear()?;
    site.admits_absorbed("X")?;
    let (d, both) = (site.d(), 2 * site.model.kv_width());
    if both <= d {
        return Err(format!(
            "X takes {d} elements a token, K and V together {both}: keeping X saves nothing ({} KV heads for {} query heads)",
            site.model.kv_heads, site.model.heads
        ));
    }
    Ok(dense(site, Tensor::X, d))
}

/// Attention over rows of `width` elements that keys and values are products of: W_K on the query's side, W_V on the weighted sums.
pub(super) fn dense(site: &Site<'_>, tensor: Tensor, width: u64) -> Description {
    let model = site.model;
    let all = Contraction { slices: 1, heads: model.heads, width };
    Description {
        kept: kept(site, tensor, width),
        keeper: Keeper::EachLayer,
        groups: 1,
        row: width,
        shared_row: true,
        scores: all,
        values: all,
        before_scores: scaled_scores(site),
        before_values: ReadWork::default(),
        recompute: None,
        rotated_once: 0,
        normalised_once: super::slim_k::normalised_once(site),
        norm_weights: site.norm_weights(),
        projections: vec![
            site.query_projection(),
            Projection::per_kv_head("W_K", Stage::Query, model, model.head_dim, width),
            Projection::per_kv_head("W_V", Stage::PerHead, model, width, model.head_dim),
            site.output_projection(true),
        ],
    }
}
