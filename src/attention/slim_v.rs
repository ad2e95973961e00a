//! slim-v: only V is kept; K = V·W_VK with W_VK = W_V⁻¹·W_K, whose transpose is moved to the query's side: scores are (q_i·W_VK,iᵀ)·Vᵀ,
//! dense over the kept row, weighted sums block-diagonal (paper, "keep V instead"). No rotary embedding.
//!
//! The V bias is taken off before V is kept and folds into the output projection's bias; a K bias cancels in the softmax.

use super::site::Site;
use super::{Contraction, Description, Keeper, Kept, Projection, ReadWork, Scheme, Stage, Tensor};

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-v",
    summary: "keeps V only; scores with the query moved into V's space (no RoPE)",
    own: describe,
    cross: |site| Ok(vec![(u64::MAX, describe(site)?)]),
};

fn describe(site: &Site<'_>) -> Result<Description, String> {
    site.admits_absorbed("V")?;
    site.admits_inverse("W_V")?;
    let model = site.model;
    let width = site.invertible_width();
    Ok(Description {
        kept: kept(site, Tensor::V, width),
        keeper: Keeper::EachLayer,
        groups: 1,
        row: width,
        shared_row: true,
        scores: Contraction { slices: 1, heads: model.heads, width },
        values: Contraction { slices: model.kv_heads, heads: model.gqa_group(), width: model.head_dim },
        before_scores: scaled_scores(site),
        before_values: ReadWork::default(),
        recompute: None,
        rotated_once: 0,
        normalised_once: super::slim_k::normalised_once(site),
        norm_weights: site.norm_weights(),
        projections: vec![
            site.query_projection(),
            site.rows_projection("W_V", width),
            Projection::per_kv_head("W_VK", Stage::Query, model, model.head_dim, width),
            site.output_projection(true),
        ],
    })
}

/// The kept row, and the scale of the norm of keys that are not kept themselves.
pub(super) fn kept(site: &Site<'_>, tensor: Tensor, width: u64) -> Vec<Kept> {
    let mut kept = vec![Kept::new(tensor, width)];
    if site.qk_norm() {
        kept.push(Kept::norm_scale(site.norm_scalars()));
    }
    kept
}

/// The norm's scale, multiplied to every score of a token: its weight and its centring are linear and move to the query's side.
pub(super) fn scaled_scores(site: &Site<'_>) -> ReadWork {
    ReadWork { rotated: 0, ops: if site.qk_norm() { site.model.heads } else { 0 } }
}
