//! slim-e: encoder–decoder models keep the encoder's output E once for all layers, ideally resident on chip; self-attention is that of
//! `slim-k` (paper, encoder–decoder models, "option 2"). Every layer's cross-attention reads W_K and W_V in every step instead of a
//! cache of its own: scores (q_i·W_K,iᵀ)·Eᵀ, values (P_i·E)·W_V,i.

use super::site::Site;
use super::{Description, Keeper, Scheme, Tensor, slim_k, slim_x};

pub(super) const SCHEME: Scheme = Scheme {
    name: "slim-e",
    summary: "keeps the encoder's output E once for all layers, and K in self-attention (encoder–decoder)",
    own: |site| {
        admits_encoder(site)?;
        slim_k::describe(site)
    },
    cross: |site| Ok(vec![(u64::MAX, encoder_rows(site)?)]),
};

/// What a scheme needs that keeps something of the encoder.
pub(super) fn admits_encoder(site: &Site<'_>) -> Result<(), String> {
    if site.model.encoder.is_some() {
        return Ok(());
    }
    Err("the model has no encoder; slim-k and slim-x are the schemes of decoder-only models".into())
}

/// Cross-attention over E.
pub(super) fn encoder_rows(site: &Site<'_>) -> Result<Description, String> {
    site.admits_linear()?;
    Ok(Description { keeper: Keeper::AllLayers, ..slim_x::dense(site, Tensor::X, site.d()) })
}
