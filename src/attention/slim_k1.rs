//! slim-k1: the hybrid of `slim-k` and `slim-e`. Layer 1 keeps the K of its cross-attention, K₁ = E·W_K,1; all other layers read that row
//! instead of E, with W_K and W_V replaced by W_K,1⁻¹·W_K and W_K,1⁻¹·W_V (paper, encoder–decoder models, last remark).
//! Self-attention is that of `slim-k`.

use super::{Description, Keeper, Scheme, Tensor, slim_e, slim_k, slim_x};

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-k1",
    summary: "keeps the cross-attention K of layer 1 once for all layers, and K in self-attention (encoder–decoder)",
    own: |site| {
        slim_e::admits_encoder(site)?;
        slim_k::describe(site)
    },
    cross: |site| {
        let first = Description { keeper: Keeper::AllLayers, ..slim_k::describe(site)? };
        let others = slim_x::dense(site, Tensor::K, site.invertible_width());
        Ok(vec![(1, first), (u64::MAX, Description { keeper: Keeper::AllLayers, ..others })])
    },
};
