//! The matrix unit of one core: how many cycles a product takes on it, padding, fill and preload included.
//!
//! Which operand is held still is the mapper's choice per product, not a property of the array: see [`Stationary`].

use crate::units::{Cycles, Dtype, round_up};

/// Multiply–accumulates per cycle of one core by operand type.
pub type MacRates = Vec<(Dtype, u64)>;

/// How a systolic array holds its operands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Dataflow {
    /// One operand is preloaded and stays; the other streams past it.
    WeightStationary,
    /// Outputs stay; both operands stream.
    OutputStationary,
}

/// The matrix unit of one core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MacArray {
    /// Unlimited and free.
    Ideal,
    /// `count` systolic arrays of `rows` × `columns`.
    Systolic {
        /// Rows: the reduction dimension (weight-stationary) or the left operand's rows (output-stationary).
        rows: u64,
        /// Columns: the right operand's columns.
        columns: u64,
        /// Arrays in the core.
        count: u64,
        /// Dataflow.
        dataflow: Dataflow,
        /// Multiply–accumulates per cycle of all arrays of the core, by type.
        macs_per_cycle: MacRates,
    },
    /// Tensor-core-like units with a granularity on each dimension.
    DotProduct {
        /// Rows of the left operand that an instruction takes.
        m: u64,
        /// Columns of the right operand.
        n: u64,
        /// Reduction length.
        k: u64,
        /// Pipeline depth in cycles, paid once a product.
        latency: u64,
        /// Multiply–accumulates per cycle of the core, by type.
        macs_per_cycle: MacRates,
    },
}

/// Which operand of (m×k)·(k×n) is held: stationary on a systolic array, or laid on the wide side (m) of a dot-product unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stationary {
    /// The right operand, k×n: its columns on the array's columns; the left one streams, m rows of it.
    Right,
    /// The left operand: the product is computed transposed.
    Left,
}

impl Stationary {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Right, Self::Left];
}

/// `repeats` independent products (m×k)·(k×n).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Product {
    /// Independent products of this shape.
    pub repeats: u64,
    /// Rows of the left operand.
    pub m: u64,
    /// Reduction length.
    pub k: u64,
    /// Columns of the right operand.
    pub n: u64,
}

impl Product {
    /// Multiply–accumulates without padding.
    #[must_use]
    pub const fn macs(&self) -> u64 {
        times([self.repeats, self.m, self.k, self.n])
    }
}

/// What a product asks of the array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArrayWork {
    /// Cycles in which the streaming port (or the dot-product unit) is busy.
    pub stream: Cycles,
    /// Cycles in which the preload port is busy; preloads are double-buffered under streaming.
    pub preload: Cycles,
    /// Cycles from the last operand to the last result.
    pub fill: Cycles,
    /// Multiply–accumulate slots spent, padding included.
    pub mac_slots: u64,
}

impl MacArray {
    /// Multiply–accumulates per cycle of one core for `dtype`, or for the type it is computed in there
    /// ([`Dtype::computed_in`]); `None` on an ideal array. Zero where there is none: such a configuration is refused before it is timed.
    #[must_use]
    pub fn macs_per_cycle(&self, dtype: Dtype) -> Option<u64> {
        match self {
            Self::Ideal => None,
            Self::Systolic { macs_per_cycle, .. } | Self::DotProduct { macs_per_cycle, .. } => {
                Some(dtype.entry(macs_per_cycle).unwrap_or(0))
            }
        }
    }

    /// Whether operands of `dtype` can be computed at all.
    #[must_use]
    pub fn supports(&self, dtype: Dtype) -> bool {
        self.macs_per_cycle(dtype) != Some(0)
    }

    /// Reduction length that the array takes at once: shorter pieces are padded to it.
    #[must_use]
    pub const fn reduction_step(&self) -> u64 {
        match self {
            Self::Ideal => 1,
            Self::Systolic { rows, dataflow: Dataflow::WeightStationary, .. } => *rows,
            Self::Systolic { .. } => 16,
            Self::DotProduct { k, .. } => *k,
        }
    }

    /// The orientations in which a product can take different time.
    #[must_use]
    pub fn orientations(&self) -> &'static [Stationary] {
        match self {
            Self::Ideal => &[Stationary::Right],
            _ => &Stationary::BOTH,
        }
    }

    /// Cycles of `product` on one core with `held` stationary.
    ///
    /// Weight-stationary, per (rows×columns) tile of the held operand: the other operand's rows stream past in as many cycles, the
    /// next tile's preload takes `rows` cycles on a port of its own. Output-stationary: k cycles a tile of outputs. Dot-product: each
    /// dimension padded to its granularity. Arrays of a core share the tiles, and where tiles are fewer than arrays, the rows.
    #[must_use]
    pub fn work(&self, product: Product, held: Stationary, dtype: Dtype) -> ArrayWork {
        let Product { repeats, k, .. } = product;
        let (m, n) = match held {
            Stationary::Right => (product.m, product.n),
            Stationary::Left => (product.n, product.m),
        };
        if product.macs() == 0 {
            return ArrayWork::default();
        }
        match self {
            Self::Ideal => ArrayWork { mac_slots: product.macs(), ..ArrayWork::default() },
            Self::DotProduct { m: gm, n: gn, k: gk, latency, macs_per_cycle } => {
                // The held operand lies on m: tokens or weights on the wide side, queries on the narrow one.
                let padded = times([repeats, round_up(n, *gm), round_up(k, *gk), round_up(m, *gn)]);
                let rate = dtype.entry(macs_per_cycle).unwrap_or(1);
                ArrayWork {
                    stream: Cycles(padded.div_ceil(rate)),
                    preload: Cycles(0),
                    fill: Cycles(*latency),
                    mac_slots: padded,
                }
            }
            Self::Systolic { rows, columns, count, dataflow, macs_per_cycle } => {
                let native = rows * columns * count;
                let rate = dtype.entry(macs_per_cycle).unwrap_or(1);
                // Narrow operands run `rate / native` times faster through the same array.
                let scale = |cycles: u64| {
                    let scaled = (u128::from(cycles) * u128::from(native)).div_ceil(u128::from(rate));
                    Cycles(u64::try_from(scaled).unwrap_or(u64::MAX))
                };
                let fill = Cycles(rows + columns);
                match dataflow {
                    Dataflow::WeightStationary => {
                        let tiles = times([repeats, k.div_ceil(*rows), n.div_ceil(*columns), 1]);
                        let (per_array, stream_rows) = share(tiles, m, *count);
                        ArrayWork {
                            stream: scale(per_array.saturating_mul(stream_rows)),
                            preload: scale(per_array.saturating_mul(*rows)),
                            fill,
                            mac_slots: times([tiles, *rows, *columns, m]),
                        }
                    }
                    Dataflow::OutputStationary => {
                        let tiles = times([repeats, m.div_ceil(*rows), n.div_ceil(*columns), 1]);
                        let (per_array, depth) = share(tiles, k, *count);
                        ArrayWork {
                            stream: scale(per_array.saturating_mul(depth)),
                            preload: Cycles(0),
                            fill,
                            mac_slots: times([tiles, *rows, *columns, k]),
                        }
                    }
                }
            }
        }
    }

    /// Cycles that `product` takes at least, in however many pieces along its reduction it is done: arrays share the tiles of the held
    /// operand without remainder.
    #[must_use]
    pub fn least_cycles(&self, product: Product, held: Stationary, dtype: Dtype) -> Cycles {
        let Self::Systolic { rows, columns, dataflow, macs_per_cycle, .. } = self else {
            return self.work(product, held, dtype).stream;
        };
        let Product { repeats, k, .. } = product;
        let (m, n) = match held {
            Stationary::Right => (product.m, product.n),
            Stationary::Left => (product.n, product.m),
        };
        let (tiles, length) = match dataflow {
            Dataflow::WeightStationary => {
                (k.div_ceil(*rows).saturating_mul(n.div_ceil(*columns)), m.max(*rows))
            }
            Dataflow::OutputStationary => (m.div_ceil(*rows).saturating_mul(n.div_ceil(*columns)), k),
        };
        if product.macs() == 0 {
            return Cycles(0);
        }
        let slots = u128::from(times([repeats, tiles, length, 1])) * u128::from(rows * columns);
        Cycles(
            u64::try_from(slots / u128::from(dtype.entry(macs_per_cycle).unwrap_or(1))).unwrap_or(u64::MAX),
        )
    }
}

/// A product of counts; the largest where it does not fit.
const fn times(factors: [u64; 4]) -> u64 {
    let [a, b, c, d] = factors;
    a.saturating_mul(b).saturating_mul(c).saturating_mul(d)
}

/// Deals `tiles`, each with `length` rows to stream, to `arrays`: tiles per array, and rows per tile and array.
const fn share(tiles: u64, length: u64, arrays: u64) -> (u64, u64) {
    if tiles >= arrays { (tiles.div_ceil(arrays), length) } else { (1, length.div_ceil(arrays / tiles)) }
}
