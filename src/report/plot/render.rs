//! From SVG to PNG with the embedded font, so that both look alike and need no system fonts.

use super::{Plot, PlotError};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use std::sync::{Arc, LazyLock};

/// Pixels of a PNG for each of the SVG.
const PNG_SCALE: u32 = 2;

impl Plot {
    /// The plot as a PNG image of twice the SVG's size.
    ///
    /// # Errors
    /// [`PlotError::Render`] if the SVG cannot be read back or there is no memory for the image.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let tree = self.tree()?;
        let (width, height) = (self.width * PNG_SCALE, self.height * PNG_SCALE);
        let mut image = Pixmap::new(width, height)
            .ok_or_else(|| PlotError::Render(format!("no image of {width} × {height} pixels")))?;
        let scale = PNG_SCALE as f32;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut image.as_mut());
        image.encode_png().map_err(|e| PlotError::Render(e.to_string()))
    }

    /// The SVG read back, its text laid out in the embedded font.
    pub(super) fn tree(&self) -> Result<Tree, PlotError> {
        static FONTS: LazyLock<Arc<resvg::usvg::fontdb::Database>> = LazyLock::new(|| {
            let mut fonts = resvg::usvg::fontdb::Database::new();
            fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
            fonts.load_font_data(notosans::BOLD_TTF.to_vec());
            fonts.set_sans_serif_family("Noto Sans");
            Arc::new(fonts)
        });
        let options = Options { fontdb: Arc::clone(&FONTS), ..Options::default() };
        Tree::from_str(&self.svg, &options).map_err(|e| PlotError::Render(e.to_string()))
    }
}
