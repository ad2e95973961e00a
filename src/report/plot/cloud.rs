//! Points by the thousand, in groups: small markers that let others shine through.

use super::canvas::{At, Canvas, Marker};
use super::frame::Sign;
use super::theme;
use std::collections::HashSet;

/// Most markers of one drawing: about 700 kB of SVG.
const MOST: usize = 8_000;

/// The sign of group `index` in a legend.
pub(super) fn sign(index: usize) -> Sign {
    Sign::Marker(Marker::of(index), theme::group_color(index))
}

/// Draws the points of all groups; the fewer they are, the larger and the more solid.
pub(super) fn cloud(canvas: &mut Canvas<'_>, groups: &[Vec<At>]) {
    let points = thinned(groups, MOST);
    let (radius, opacity) = match points.len() {
        0..60 => (4.0, 0.8),
        60..400 => (3.0, 0.6),
        400..2_000 => (2.5, 0.5),
        _ => (2.1, 0.42),
    };
    for (group, at) in points {
        canvas.shape(Marker::of(group), at, radius, theme::group_color(group), opacity);
    }
}

/// Draws the points of all groups with one marker, such as those that an axis ends before.
pub(super) fn marked(canvas: &mut Canvas<'_>, groups: &[Vec<At>], marker: Marker) {
    for (group, at) in thinned(groups, MOST / 8) {
        canvas.shape(marker, at, 3.8, theme::group_color(group), 0.7);
    }
}

/// The points worth drawing, each with its group: of those of one group in one pixel the first. Where more than `most`
/// remain, the pixels grow until they do not. Groups are mixed, so that none lies above all others.
fn thinned(groups: &[Vec<At>], most: usize) -> Vec<(usize, At)> {
    let mut pixel = 1.0;
    loop {
        let mut kept: Vec<(u64, usize, At)> = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            let mut seen = HashSet::new();
            for &(x, y) in group {
                let cell = ((x / pixel).floor() as i64, (y / pixel).floor() as i64);
                if seen.insert(cell) {
                    kept.push((shuffle(cell, i), i, (x, y)));
                }
            }
        }
        // Four times the pixel's area holds about a quarter of the points: this ends.
        if kept.len() > most && kept.len() > groups.len() {
            pixel *= 1.25;
            continue;
        }
        kept.sort_by_key(|&(order, group, _)| (order, group));
        return kept.into_iter().map(|(_, group, at)| (group, at)).collect();
    }
}

/// A number that depends on all of the pixel and the group, for an order without a pattern (the finaliser of SplitMix64).
fn shuffle((x, y): (i64, i64), group: usize) -> u64 {
    let mut z = x.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ y.cast_unsigned().wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ (group as u64).wrapping_mul(0x1656_67b1_9e37_79f9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_drawn_once_for_each_group() {
        let groups = [vec![(3.1, 4.2), (3.9, 4.9), (4.0, 4.2)], vec![(3.5, 4.5)]];
        let mut points = thinned(&groups, 100);
        points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.0.total_cmp(&b.1.0)));
        assert_eq!(points, [(0, (3.1, 4.2)), (0, (4.0, 4.2)), (1, (3.5, 4.5))]);
        assert!(thinned(&[vec![], vec![]], 100).is_empty());
    }

    #[test]
    fn the_number_of_points_is_bounded_and_outliers_stay() {
        let square: Vec<At> =
            (0..40_000u32).map(|i| (f64::from(i % 200) + 0.5, f64::from(i / 200) + 0.5)).collect();
        let groups = [square.clone(), [square, vec![(900.0, 5.0)]].concat()];
        let points = thinned(&groups, 3_000);
        assert!((1_500..=3_000).contains(&points.len()), "{}", points.len());
        assert!(points.contains(&(1, (900.0, 5.0))));
        // One group each in half of any stretch of the order, or nearly.
        let first = points[..points.len() / 2].iter().filter(|p| p.0 == 0).count();
        assert!((points.len() / 5..points.len() * 3 / 10).contains(&first), "{first} of {}", points.len());
    }
}
