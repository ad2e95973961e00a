//! The baseline: K (rotated, where the model rotates) and V are kept for every KV head. MHA, GQA and MQA alike.

use super::{
    Contraction, Description, Kept, Projection, Scheme, Stage, bias, output_projection, query_projection,
};
use crate::model::Model;

pub(super) const SCHEME: Scheme = Scheme {
    name: super::BASELINE,
    summary: "keeps K and V of every KV head (MHA, GQA, MQA): the baseline",
    describe,
};

fn describe(model: &Model) -> Result<Description, String> {
    if model.mla.is_some() {
        return Err("the model has latent attention: its baseline is another scheme".into());
    }
    let kv = model.kv_width();
    let per_head = Contraction { slices: 1, heads: model.gqa_group(), width: model.head_dim };
    let projection = |name, has_bias| Projection {
        name,
        stage: Stage::Input,
        repeats: 1,
        inputs: model.d_model,
        outputs: kv,
        bias: bias(has_bias, kv),
    };
    Ok(Description {
        kept: vec![Kept { name: "K", width: kv }, Kept { name: "V", width: kv }],
        groups: model.kv_heads,
        scores: per_head,
        values: per_head,
        rotated_on_read: 0,
        recompute: None,
        rotated_once: (model.heads + model.kv_heads) * model.rotary_dims(),
        projections: vec![
            query_projection(model),
            projection("W_K", model.attention_bias.k),
            projection("W_V", model.attention_bias.v),
            output_projection(model, false),
        ],
        recompute_weights: 0,
    })
}
