//! Plots: SVG, and PNG from that same SVG. No system fonts; the same input gives the same bytes.
//!
//! Each kind of plot takes a small plain struct that says what to draw and knows nothing of how it was computed. Values
//! that are not finite (or not positive on logarithmic axes) are left out; what leaves nothing to draw is an error.

mod canvas;
mod causes;
mod cloud;
mod errors;
mod frame;
mod heat;
mod labels;
mod lines;
mod ratios;
mod render;
mod replay;
mod results;
mod roofline;
mod scale;
mod scatter;
mod speedup;
mod theme;

pub use causes::{CauseBar, CauseChart, CauseUnit, causes};
pub use errors::{ErrorChart, ErrorGroup, errors};
pub use heat::{HeatMap, heat_map};
pub use lines::{LineChart, lines};
pub use ratios::{RatioChart, RatioLine, RatioPanel, RatioRow, ratios};
pub use replay::{ReplayChart, ReplayLine, ReplaySample, replay};
pub use roofline::{OperatingPoint, RooflineChart, roofline};
pub use scatter::{ScatterChart, ScatterGroup, scatter};
pub use speedup::{SpeedupChart, SpeedupCurve, speedup};

/// A finished plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// The drawing as SVG.
    pub svg: String,
    /// Width in pixels of the SVG.
    pub width: u32,
    /// Height in pixels of the SVG.
    pub height: u32,
}

/// Why there is no plot.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// There is no value that could be drawn.
    #[error("nothing to draw: {0}")]
    Empty(String),
    /// The drawing failed.
    #[error("cannot draw: {0}")]
    Draw(String),
    /// The image could not be made from the drawing.
    #[error("cannot render: {0}")]
    Render(String),
}

#[cfg(test)]
mod tests;
