//! mla: multi-head latent attention with the up-projections absorbed. A latent row and one rotary key, shared by all heads, are kept;
//! scores contract with both, weighted sums with the latent row (DeepSeek-V2, arXiv 2405.04434, section 2.1).

use super::site::Site;
use super::{Contraction, Description, Keeper, Kept, Projection, ReadWork, Scheme, Stage, Tensor};
use crate::model::{Mla, Model};

pub(super) const SCHEME: Scheme = Scheme {
    name: "mla",
    summary: "keeps the latent row and the shared rotary key; up-projections absorbed into query and output",
    own: describe,
    cross: |_| Err("latent attention over an encoder's output is in no known model".into()),
};

fn describe(site: &Site<'_>) -> Result<Description, String> {
    let model = site.model;
    let Some(latent) = model.mla else {
        return Err("the model has no latent row ([mla] latent_dim, rope_dim)".into());
    };
    let width = latent.latent_dim;
    let row = width + latent.rope_dim;
    let mut projections = down_projections(model, latent);
    projections.push(Projection::per_kv_head("W_UK", Stage::Query, model, model.head_dim, width));
    projections.push(Projection::per_kv_head("W_UV", Stage::PerHead, model, width, model.head_dim));
    projections.push(site.output_projection(false));
    Ok(Description {
        kept: vec![Kept::new(Tensor::Latent, width), Kept::new(Tensor::RotaryKey, latent.rope_dim)],
        keeper: Keeper::EachLayer,
        groups: 1,
        row,
        shared_row: true,
        scores: Contraction { slices: 1, heads: model.heads, width: row },
        values: Contraction { slices: 1, heads: model.heads, width },
        before_scores: ReadWork::default(),
        before_values: ReadWork::default(),
        recompute: None,
        rotated_once: (model.heads + 1) * latent.rope_dim,
        normalised_once: latent_widths(latent),
        norm_weights: norm_weights(model, latent),
        projections,
    })
}

/// Elements of a token's latent rows, which are normalised.
pub(super) fn latent_widths(latent: Mla) -> u64 {
    latent.latent_dim + latent.query_latent_dim.unwrap_or(0)
}

/// Weights of their norms.
pub(super) fn norm_weights(model: &Model, latent: Mla) -> u64 {
    model.norm.parameters(latent_widths(latent))
}

/// Queries, by way of their own latent row where they have one, and the latent row with its rotary key.
pub(super) fn down_projections(model: &Model, latent: Mla) -> Vec<Projection> {
    let queries = model.heads * model.key_dim();
    let d = model.d_model;
    let mut projections = match latent.query_latent_dim {
        None => vec![Projection::new("W_Q", Stage::Input, d, queries)],
        Some(width) => vec![
            Projection::new("W_DQ", Stage::Input, d, width),
            Projection::new("W_UQ", Stage::Up, width, queries),
        ],
    };
    projections.push(Projection::new("W_DKV", Stage::Input, d, latent.latent_dim + latent.rope_dim));
    projections
}
