//! Rotary position encoding: the angles of each token.

/// Base of the angles, as in most models.
const BASE: f64 = 10_000.0;

/// Cosines and sines of some tokens, half a head of each a token.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    /// Cosines.
    pub cosines: &'a [f32],
    /// Sines.
    pub sines: &'a [f32],
}

impl<'a> Angles<'a> {
    /// Those of `tokens` tokens from `first` on, of heads of `head_dim` elements.
    #[must_use]
    pub fn of(self, first: usize, tokens: usize, head_dim: usize) -> Self {
        let (at, to) = (first * head_dim / 2, (first + tokens) * head_dim / 2);
        Self { cosines: &self.cosines[at..to], sines: &self.sines[at..to] }
    }
}

/// Cosines and sines for every token of a context.
#[derive(Debug, Clone)]
pub struct Rotation {
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Rotation {
    /// For `tokens` tokens and heads of `head_dim` elements: token t turns pair i by `t / BASE^(2i / head_dim)`.
    #[must_use]
    pub fn new(tokens: usize, head_dim: usize) -> Self {
        let half = head_dim / 2;
        let angle = |t: usize, i: usize| t as f64 * BASE.powf(-2.0 * i as f64 / head_dim as f64);
        let all = || (0..tokens).flat_map(|t| (0..half).map(move |i| (t, i)));
        Self {
            cosines: all().map(|(t, i)| angle(t, i).cos() as f32).collect(),
            sines: all().map(|(t, i)| angle(t, i).sin() as f32).collect(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn angles(&self) -> Angles<'_> {
        Angles { cosines: &self.cosines, sines: &self.sines }
    }
}
