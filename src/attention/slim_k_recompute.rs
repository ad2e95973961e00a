//! slim-k-recompute: only the raw K is kept; V = K·W_KV is rebuilt for the whole context in every step, then attention proceeds
//! as in the baseline: P_i·(K·W_KV,i). The order of multiplication that decode should not choose; it is here to be compared.

use super::slim_k::key_projection;
use super::{
    Contraction, Description, Kept, Recompute, Scheme, admits_k_to_v, output_projection, query_projection,
};
use crate::model::Model;

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-k-recompute",
    summary: "keeps K only; rebuilds V of the whole context first",
    describe,
};

fn describe(model: &Model) -> Result<Description, String> {
    admits_k_to_v(model)?;
    let e = model.query_width();
    // Once V is rebuilt, every head reads its own columns of K and V, as in the baseline.
    let per_head = Contraction { slices: 1, heads: 1, width: model.head_dim };
    Ok(Description {
        kept: vec![Kept { name: "K", width: e }],
        groups: model.heads,
        scores: per_head,
        values: per_head,
        rotated_on_read: model.rotary_dims(),
        recompute: Some(Recompute { inputs: e, outputs: e }),
        rotated_once: model.heads * model.rotary_dims(),
        projections: vec![query_projection(model), key_projection(model), output_projection(model, true)],
        recompute_weights: e * e,
    })
}
