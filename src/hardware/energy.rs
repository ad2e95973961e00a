//! First-order energy: a price per bit moved and per operation done, each with its source in the accelerator's file.

use crate::units::{Bytes, Dtype};

/// Energy per access in picojoules. A missing figure makes the result's energy unknown, not zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EnergyTable {
    /// External memory, per bit.
    pub hbm_pj_per_bit: Option<f64>,
    /// Shared SRAM, per bit.
    pub shared_sram_pj_per_bit: Option<f64>,
    /// Local SRAM, per bit.
    pub local_sram_pj_per_bit: Option<f64>,
    /// One multiply–accumulate, by operand type.
    pub mac_pj: Vec<(Dtype, f64)>,
    /// One vector operation.
    pub vector_op_pj: Option<f64>,
}

impl EnergyTable {
    /// Price of one multiply–accumulate of `dtype`, or of the type it is computed in ([`Dtype::computed_in`]).
    #[must_use]
    pub fn mac(&self, dtype: Dtype) -> Option<f64> {
        dtype.entry(&self.mac_pj)
    }

    /// Joules to move `bytes` at `pj_per_bit`.
    #[must_use]
    pub fn joules(bytes: Bytes, pj_per_bit: f64) -> f64 {
        bytes.as_f64() * 8.0 * pj_per_bit * 1e-12
    }
}
