//! slim-k: only the raw K is kept; head i is (P_i·K)·W_KV,i, projected last (paper, "K-cache is all you need", equation for
//! head_i). All heads share the one kept row; scores are block-diagonal on it, weighted sums dense.
//!
//! The row has e = h·d_k elements, and W_KV = W_K⁺·W_V with the right inverse of W_K where e > d. Where h_kv·d_k < d (grouped queries,
//! narrow heads), W_K is extended to a d×d matrix W_K*, whose first h_kv·d_k outputs are the keys: the row has d elements, and the
//! scheme keeps less than K and V only if 2·h_kv·d_k > d.
//!
//! Raw K is normalised and rotated after every read where the model does so (or kept rotated, and turned back for the tokens that the
//! weighted sum uses). A V bias folds into the output projection's bias; a K bias cancels in the softmax without rotary embedding, and
//! is added on read with it.

use super::site::Site;
use super::{Contraction, Description, Keeper, Kept, Projection, Scheme, Stage, Tensor};

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-k",
    summary: "keeps K only; attends with it and projects with W_KV last",
    own: describe,
    cross: |site| Ok(vec![(u64::MAX, describe(site)?)]),
};

pub(super) fn describe(site: &Site<'_>) -> Result<Description, String> {
    site.admits_inverse("W_K")?;
    let model = site.model;
    let width = site.invertible_width();
    let (before_scores, before_values) = site.raw_key_work();
    Ok(Description {
        kept: kept(site, width),
        keeper: Keeper::EachLayer,
        groups: 1,
        row: width,
        shared_row: true,
        scores: Contraction { slices: model.kv_heads, heads: model.gqa_group(), width: model.head_dim },
        values: Contraction { slices: 1, heads: model.heads, width },
        before_scores,
        before_values,
        recompute: None,
        rotated_once: rotated_once(site),
        normalised_once: normalised_once(site),
        norm_weights: site.norm_weights(),
        projections: vec![
            site.query_projection(),
            // The raw K is what W_KV needs; its bias is added on read, where at all.
            site.rows_projection("W_K", width).plus(key_bias(site)),
            Projection::per_kv_head("W_KV", Stage::PerHead, model, width, model.head_dim),
            site.output_projection(true),
        ],
    })
}

/// K, and the statistics of its norm where they are kept.
pub(super) fn kept(site: &Site<'_>, width: u64) -> Vec<Kept> {
    let mut kept = vec![Kept::new(Tensor::K, width)];
    if site.keeps_scale() {
        kept.push(Kept::norm_scale(site.norm_scalars()));
    }
    kept
}

/// Elements rotated once for a new token: its query; its key too where that is kept rotated.
pub(super) fn rotated_once(site: &Site<'_>) -> u64 {
    let keys = if site.keeps_rotated() { site.model.kv_heads } else { 0 };
    (site.model.heads + keys) * site.rotary_dims()
}

/// Elements normalised once for a new token: its query; its key too where that is kept ready, or for the statistics that are kept.
pub(super) fn normalised_once(site: &Site<'_>) -> u64 {
    if !site.qk_norm() {
        return 0;
    }
    site.model.query_width() + if site.keeps_scale() { site.model.kv_width() } else { 0 }
}

/// Elements of the K bias that a step reads to add it to keys.
pub(super) fn key_bias(site: &Site<'_>) -> u64 {
    if site.model.attention_bias.k && site.rotates() { site.model.kv_width() } else { 0 }
}
