//! The baseline: K (rotated, where the model rotates) and V are kept for every KV head. MHA, GQA and MQA alike.
//!
//! On a model with latent attention the same holds for the keys and values that are projected up from the latent row, as its
//! reference code does: the shared rotary key is kept with every head's key.

use super::site::Site;
use super::{Contraction, Description, Keeper, Kept, Projection, ReadWork, Scheme, Stage, Tensor, mla};

pub(super) const SCHEME: Scheme = Scheme {
    name: super::BASELINE,
    summary: "keeps K and V of every KV head (MHA, GQA, MQA): the baseline",
    own: |site| Ok(describe(site)),
    cross: |site| Ok(vec![(u64::MAX, describe(site))]),
};

fn describe(site: &Site<'_>) -> Description {
    let model = site.model;
    let (key, value) = (model.key_dim(), model.head_dim);
    let group = model.gqa_group();
    let mut projections = Vec::with_capacity(5);
    let (rotated_once, normalised_once, norm_weights);
    if let Some(latent) = model.mla.filter(|_| !site.cross) {
        projections.extend(mla::down_projections(model, latent));
        let up = Projection::new("W_UKV", Stage::Up, latent.latent_dim, 2 * model.kv_width());
        projections.push(up);
        rotated_once = (model.heads + 1) * latent.rope_dim;
        normalised_once = mla::latent_widths(latent);
        norm_weights = mla::norm_weights(model, latent);
    } else {
        let bias = model.attention_bias;
        projections.push(site.query_projection());
        projections.push(site.rows_projection("W_K", model.kv_width()).biased(bias.k));
        projections.push(site.rows_projection("W_V", model.kv_width()).biased(bias.v));
        rotated_once = (model.heads + model.kv_heads) * site.rotary_dims();
        normalised_once = if site.qk_norm() { model.query_width() + model.kv_width() } else { 0 };
        norm_weights = site.norm_weights();
    }
    projections.push(site.output_projection(false));
    Description {
        kept: vec![Kept::new(Tensor::K, model.kv_heads * key), Kept::new(Tensor::V, model.kv_width())],
        keeper: Keeper::EachLayer,
        groups: model.kv_heads,
        row: key + value,
        shared_row: false,
        scores: Contraction { slices: 1, heads: group, width: key },
        values: Contraction { slices: 1, heads: group, width: value },
        before_scores: ReadWork::default(),
        before_values: ReadWork::default(),
        recompute: None,
        rotated_once,
        normalised_once,
        norm_weights,
        projections,
    }
}
