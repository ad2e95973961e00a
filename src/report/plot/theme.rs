//! What every plot looks like: the embedded font, colours that colour-blind readers can tell apart, sizes.
//!
//! Colours never carry a meaning alone: lines also differ by marker, schemes by dash, and every one has its name beside it.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, TextStyle, register_font,
};
use std::sync::LazyLock;

/// The family that SVG viewers look for; PNGs always use the embedded font.
pub(super) const FAMILY: &str = "Noto Sans, sans-serif";

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x26, 0x26, 0x26);
/// Secondary text.
pub(super) const GREY: RGBColor = RGBColor(0x5e, 0x5e, 0x5e);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// The page.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Sizes of text in pixels.
pub(super) mod size {
    /// Title.
    pub(crate) const TITLE: f64 = 20.0;
    /// Line below the title.
    pub(crate) const SUBTITLE: f64 = 13.5;
    /// Axis titles and legend entries.
    pub(crate) const LABEL: f64 = 13.0;
    /// Tick labels and labels of points.
    pub(crate) const TICK: f64 = 12.0;
    /// Notes.
    pub(crate) const NOTE: f64 = 11.0;
}

/// Okabe and Ito's colours for lines on white, without yellow and with the light ones darkened to stay readable.
const LINES: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2), // blue
    RGBColor(0xd5, 0x5e, 0x00), // vermillion
    RGBColor(0x00, 0x8a, 0x67), // green
    RGBColor(0xb3, 0x5a, 0x8e), // purple
    RGBColor(0x99, 0x6b, 0x00), // ochre
    RGBColor(0x2f, 0x95, 0xc9), // sky
    RGBColor(0x26, 0x26, 0x26), // black
];

/// Ends and middle of a dark-to-light ramp (viridis without its yellow end) for many ordered lines.
const RAMP: [RGBColor; 5] = [
    RGBColor(0x44, 0x01, 0x54),
    RGBColor(0x41, 0x44, 0x87),
    RGBColor(0x2a, 0x78, 0x8e),
    RGBColor(0x1e, 0x9b, 0x6e),
    RGBColor(0x62, 0xa8, 0x1f),
];

/// Colour of line `index` of `count`: distinct hues for a few, an ordered ramp for many.
pub(super) fn line_color(index: usize, count: usize) -> RGBColor {
    if count <= LINES.len() {
        return LINES[index % LINES.len()];
    }
    ramp(&RAMP, index as f64 / (count - 1) as f64)
}

/// A second ramp, from maroon to amber, for lines that are ordered by something else.
const WARM: [RGBColor; 3] =
    [RGBColor(0x6b, 0x0f, 0x1a), RGBColor(0xc8, 0x4a, 0x22), RGBColor(0xe0, 0x9a, 0x1b)];

/// Colour of line `index` of `count` that are ordered, along the ramp of drawing `row`: two that differ take turns.
pub(super) fn ordered_color(row: usize, index: usize, count: usize) -> RGBColor {
    let stops: &[RGBColor] = if row.is_multiple_of(2) { &RAMP } else { &WARM };
    ramp(stops, index as f64 / (count.max(2) - 1) as f64)
}

/// Hues for groups without an order; those that resemble each other get different markers.
const GROUPS: [RGBColor; 8] = [
    LINES[0],
    LINES[1],
    LINES[2],
    LINES[3],
    LINES[4],
    LINES[6],
    RGBColor(0x88, 0x22, 0x55), // wine
    RGBColor(0x56, 0xb4, 0xe9), // light sky
];

/// Colour of group `index` of any number: hues repeat, with other markers until all pairs are used up.
pub(super) fn group_color(index: usize) -> RGBColor {
    GROUPS[index % GROUPS.len()]
}

/// Colour of scheme `index`; the first, the baseline, is neutral.
pub(super) fn scheme_color(index: usize) -> RGBColor {
    match index {
        0 => RGBColor(0x55, 0x55, 0x55),
        i => LINES[(i - 1) % LINES.len()],
    }
}

/// Fills of the causes of time, in the order of [`crate::ledger::Cause::ALL`] (Okabe and Ito).
pub(super) const CAUSES: [RGBColor; crate::ledger::Cause::COUNT] = [
    RGBColor(0x00, 0x72, 0xb2), // compute: blue
    RGBColor(0x56, 0xb4, 0xe9), // vector: sky
    RGBColor(0xe6, 0x9f, 0x00), // bandwidth: orange
    RGBColor(0xf0, 0xe4, 0x42), // latency: yellow
    RGBColor(0x00, 0x9e, 0x73), // sram: green
    RGBColor(0xcc, 0x79, 0xa7), // exchange: purple
    RGBColor(0x8c, 0x8c, 0x8c), // overhead: grey
    RGBColor(0xd5, 0x5e, 0x00), // refresh: vermilion
    RGBColor(0x8b, 0x5a, 0x2b), // row misses: brown
];

/// Brown (loss) over near-white (no difference) to blue (win): apart for every kind of colour blindness.
const DIVERGING: [RGBColor; 7] = [
    RGBColor(0x8c, 0x51, 0x0a),
    RGBColor(0xcf, 0x8f, 0x3d),
    RGBColor(0xee, 0xd2, 0xa4),
    RGBColor(0xf6, 0xf6, 0xf4),
    RGBColor(0xa6, 0xcd, 0xe6),
    RGBColor(0x4a, 0x93, 0xc6),
    RGBColor(0x0c, 0x4a, 0x8a),
];

/// Colour of `t` in [−1, 1] on the diverging map.
pub(super) fn diverging(t: f64) -> RGBColor {
    ramp(&DIVERGING, t.mul_add(0.5, 0.5))
}

/// Linear interpolation over `stops`, `t` clamped to [0, 1].
fn ramp(stops: &[RGBColor], t: f64) -> RGBColor {
    let at = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let low = (at.floor() as usize).min(stops.len() - 2);
    mix(stops[low], stops[low + 1], at - low as f64)
}

/// `a` with a share `t` of `b`.
pub(super) fn mix(a: RGBColor, b: RGBColor, t: f64) -> RGBColor {
    let blend = |x: u8, y: u8| f64::from(x).mul_add(1.0 - t, f64::from(y) * t).round() as u8;
    RGBColor(blend(a.0, b.0), blend(a.1, b.1), blend(a.2, b.2))
}

/// Black or white, whichever reads better on `fill`.
pub(super) fn ink_on(fill: RGBColor) -> RGBColor {
    let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(fill.0) + 0.7152 * linear(fill.1) + 0.0722 * linear(fill.2);
    if luminance > 0.3 { INK } else { PAPER }
}

/// How a piece of text looks and where its anchor is; vertically it is centred on its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) color: RGBColor,
    pub(super) align: Align,
    /// Read from bottom to top.
    pub(super) upright: bool,
}

/// Horizontal anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

impl Type {
    pub(super) const fn new(size: f64) -> Self {
        Self { size, bold: false, color: INK, align: Align::Left, upright: false }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) const fn color(mut self, color: RGBColor) -> Self {
        self.color = color;
        self
    }

    pub(super) const fn center(mut self) -> Self {
        self.align = Align::Center;
        self
    }

    pub(super) const fn right(mut self) -> Self {
        self.align = Align::Right;
        self
    }

    pub(super) const fn upright(mut self) -> Self {
        self.upright = true;
        self
    }

    /// Height of a line of text.
    pub(super) fn height(&self) -> f64 {
        self.size * 1.3
    }

    /// Width of `text` in pixels.
    pub(super) fn width(&self, text: &str) -> f64 {
        // The font measures by its full line height (1.362 em for Noto Sans): at 1362 a pixel is a thousandth of an em.
        let font = FontDesc::new(FontFamily::Name(FAMILY), 1362.0, self.style());
        // A font that could not be registered is reported when drawing; until then half an em a letter will do.
        let thousandths = font
            .layout_box(text)
            .map_or_else(|_| text.chars().count() as f64 * 500.0, |(_, (width, _))| f64::from(width));
        thousandths / 1000.0 * self.size
    }

    const fn style(&self) -> FontStyle {
        if self.bold { FontStyle::Bold } else { FontStyle::Normal }
    }

    /// The same for plotters, on a canvas with `scale` units a pixel.
    pub(super) fn plotters(&self, scale: f64) -> TextStyle<'static> {
        let horizontal = match self.align {
            Align::Left => HPos::Left,
            Align::Center => HPos::Center,
            Align::Right => HPos::Right,
        };
        // plotters writes 1/1.24 of the size it is given.
        let font = FontDesc::new(FontFamily::Name(FAMILY), self.size * 1.24 * scale, self.style());
        let style =
            TextStyle { font, color: self.color.to_backend_color(), pos: Pos::new(horizontal, VPos::Center) };
        if self.upright { style.transform(FontTransform::Rotate270) } else { style }
    }
}

/// Makes the embedded font known, once for the process; false if it is broken.
pub(super) fn font_is_ready() -> bool {
    static READY: LazyLock<bool> = LazyLock::new(|| {
        register_font(FAMILY, FontStyle::Normal, notosans::REGULAR_TTF).is_ok()
            && register_font(FAMILY, FontStyle::Bold, notosans::BOLD_TTF).is_ok()
    });
    *READY
}

/// Shortens `text` with an ellipsis until it is at most `width` wide.
pub(super) fn shorten(text: &str, style: &Type, width: f64) -> String {
    if style.width(text) <= width {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let cut = |keep: usize| letters[..keep].iter().collect::<String>().trim_end().to_owned() + "…";
    // Widths grow with the number of letters kept: find the most that fit.
    let (mut fits, mut too_many) = (0, letters.len());
    while too_many - fits > 1 {
        let middle = usize::midpoint(fits, too_many);
        if style.width(&cut(middle)) <= width { fits = middle } else { too_many = middle }
    }
    cut(fits)
}

/// `text` in lines at most `width` wide, at most `lines` of them, broken at spaces; the last is shortened if need be.
pub(super) fn wrap(text: &str, style: &Type, width: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while words.peek().is_some() && out.len() < lines {
        let last = out.len() + 1 == lines;
        let mut line = String::new();
        while let Some(word) = words.peek() {
            let longer = if line.is_empty() { (*word).to_owned() } else { format!("{line} {word}") };
            if !last && !line.is_empty() && style.width(&longer) > width {
                break;
            }
            line = longer;
            words.next();
        }
        out.push(shorten(&line, style, width));
    }
    out
}
