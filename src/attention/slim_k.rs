//! slim-k: only the raw K is kept; head i is (P_i·K)·W_KV,i, projected last (paper, "K-cache is all you need", equation for
//! head_i). All heads share the one kept row of h·d_k elements; scores are block-diagonal on it, weighted sums dense.
//!
//! Raw K is rotated after every read where the model has rotary embedding. A V bias folds into the output projection's bias; a K
//! bias cancels in the softmax without rotary embedding, and is not read.

use super::{
    Contraction, Description, Kept, Projection, Scheme, Stage, admits_k_to_v, output_projection,
    query_projection,
};
use crate::model::Model;

pub(super) const SCHEME: Scheme =
    Scheme { name: "slim-k", summary: "keeps K only; attends with it and projects with W_KV last", describe };

fn describe(model: &Model) -> Result<Description, String> {
    admits_k_to_v(model)?;
    let e = model.query_width();
    Ok(Description {
        kept: vec![Kept { name: "K", width: e }],
        groups: 1,
        scores: Contraction { slices: model.heads, heads: 1, width: model.head_dim },
        values: Contraction { slices: 1, heads: model.heads, width: e },
        rotated_on_read: model.heads * model.rotary_dims(),
        recompute: None,
        rotated_once: model.heads * model.rotary_dims(),
        projections: vec![
            query_projection(model),
            key_projection(model),
            Projection {
                name: "W_KV",
                stage: Stage::PerHead,
                repeats: model.heads,
                inputs: e,
                outputs: model.head_dim,
                bias: 0,
            },
            output_projection(model, true),
        ],
        recompute_weights: 0,
    })
}

/// W_K without its bias: the raw K is what W_KV needs.
pub(super) const fn key_projection(model: &Model) -> Projection {
    Projection {
        name: "W_K",
        stage: Stage::Input,
        repeats: 1,
        inputs: model.d_model,
        outputs: model.query_width(),
        bias: 0,
    }
}
