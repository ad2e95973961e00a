//! What is beyond the simulator: steps whose counts or time would not fit its integers.

use super::Simulator;
use crate::workload::{Batch, QUERY_ROWS};

/// Largest counts that a step may have, so that no sum overflows.
pub struct Limits;

impl Limits {
    /// Bytes or FLOPs.
    pub const COUNT: u128 = 1 << 60;
    /// Seconds of one step by its bounds.
    pub const SECONDS: f64 = 600.0;
}

impl Simulator {
    /// Refuses steps whose counts or time would not fit the simulator's integers.
    pub(super) fn guard(&self, contexts: &Batch) -> Result<(), String> {
        let model = &self.subject.model;
        let tokens: u128 = contexts.runs().iter().map(|&(n, b)| u128::from(n) * u128::from(b)).sum();
        let sequences: u128 = contexts.runs().iter().map(|r| u128::from(r.1)).sum();
        let encoder_tokens = sequences.saturating_mul(u128::from(self.subject.encoder_tokens()));
        let queries = u128::from(self.subject.query_tokens);
        let mut work: u128 = 0;
        for kind in &self.subject.layout.kinds {
            for (block, tokens) in kind.blocks().zip([tokens, encoder_tokens]) {
                let width = u128::from(block.kept_width().max(block.heads() * block.row));
                let recompute = block.recompute.map_or(0, |r| u128::from(r.weights()) * 2);
                let per_token = (width * 64).saturating_mul(queries).saturating_add(recompute);
                let layers = u128::from(kind.layers);
                work = work.saturating_add(tokens.saturating_mul(per_token.saturating_mul(layers)));
            }
        }
        let wide = u128::from(model.d_model.max(model.query_width()).max(model.kv_width()) + model.d_ffn)
            * u128::from(model.d_model)
            * 8;
        let experts = u128::from(model.moe.map_or(1, |m| m.active));
        let dense = wide * experts * u128::from(model.layers) + u128::from(model.vocab * model.d_model) * 2;
        work = work.saturating_add(sequences.saturating_mul(queries).saturating_mul(dense));
        if work > Limits::COUNT {
            return Err(format!(
                "the step counts more than 2^60 bytes or operations ({tokens} tokens attended)"
            ));
        }
        let spec = self.accelerator();
        let cached: f64 =
            contexts.runs().iter().map(|&(n, b)| self.subject.cache_bytes(n).as_f64() * b as f64).sum();
        let bytes = cached + self.weights.as_f64();
        let dtype = self.subject.precision.weights;
        let moved = spec.memory_bandwidth().map_or(0.0, |b| bytes / b.0 as f64);
        let computed = spec.peak_macs_per_second(dtype).map_or(0.0, |p| work as f64 / p as f64);
        if moved.max(computed) > Limits::SECONDS {
            return Err(
                "a single step would take more than ten minutes: beyond what the simulator times".to_owned()
            );
        }
        Ok(())
    }

    /// The same for a prompt, whose attention grows with the square of its length.
    pub(super) fn guard_prompt(&self, tokens: u64, encoder_tokens: u64) -> Result<(), String> {
        let prompt = |why| format!("a prompt of {tokens} tokens: {why}");
        self.guard(&Batch::uniform(tokens, 1)).map_err(prompt)?;
        let (n, layers) = (u128::from(tokens), u128::from(self.subject.model.layers));
        let encoder = u128::from(encoder_tokens);
        let attended = n * u128::from(self.subject.attended(tokens, QUERY_ROWS[0])) + encoder * n;
        self.guard_work(attended * layers, n).map_err(prompt)?;
        self.guard_encoder(encoder_tokens, 1)
    }

    /// The same for the encoder's pass over `tokens` of each of `sequences` sequences.
    pub(super) fn guard_encoder(&self, tokens: u64, sequences: u64) -> Result<(), String> {
        let Some(encoder) = self.subject.model.encoder else { return Ok(()) };
        let each = u128::from(tokens);
        let tokens = each * u128::from(sequences);
        let attended = tokens.saturating_mul(each);
        self.guard_work(attended.saturating_mul(u128::from(encoder.layers)), tokens)
            .map_err(|why| format!("an encoder over {tokens} tokens: {why}"))
    }

    /// Refuses `attended` pairs of tokens over all layers, and `tokens` rows through all weights.
    fn guard_work(&self, attended: u128, tokens: u128) -> Result<(), String> {
        let width = u128::from(self.subject.model.heads * self.subject.model.key_dim());
        let attention = attended.saturating_mul(width * 4);
        let work = attention.saturating_add(tokens.saturating_mul(u128::from(self.weights.0) * 4));
        let peak = self.accelerator().peak_macs_per_second(self.subject.precision.weights);
        let seconds = peak.map_or(0.0, |p| work as f64 / (4.0 * p as f64));
        if work > Limits::COUNT || seconds > Limits::SECONDS {
            return Err("beyond what the simulator times in one piece".to_owned());
        }
        Ok(())
    }
}
