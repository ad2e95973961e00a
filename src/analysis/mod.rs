//! What results mean: from where on a scheme wins, what else would do, and whether predictions have moved.
//!
//! Everything here asks [`crate::step`] and computes no time of its own.

pub mod calibration;
pub mod crossover;
mod non_default;
mod order;
pub mod paper;
pub mod pins;
pub mod rivals;
mod search;
pub mod validation;

pub use crossover::{Along, Answer, CrossoverDocument, Question, Verdict};
pub use non_default::NonDefault;
pub use order::{Order, order};
pub use rivals::{Contest, OtherModel, Rival, RivalPoint, RivalsDocument};
pub use search::between;
