//! Where labels go so that none covers another: a column beside the data, or free places around points.

use super::canvas::{Area, At};

/// Moves the centres of labels of `height` apart as little as possible, within [top, bottom]; order is kept. `wanted`
/// need not be sorted. The result belongs to `wanted` one to one.
pub(super) fn spread(wanted: &[f64], height: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]).then(a.cmp(&b)));
    // Blocks of labels that touch: (first position, members' summed wish relative to it, how many).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for &i in &order {
        blocks.push((wanted[i], wanted[i], 1));
        // A block sits at the mean of its members' wishes: merge while it reaches into the one before.
        while let [.., (above, above_sum, above_count), (below, below_sum, below_count)] = blocks[..] {
            if above + above_count as f64 * height <= below {
                break;
            }
            let shifted = below_sum - below_count as f64 * above_count as f64 * height;
            let (sum, count) = (above_sum + shifted, above_count + below_count);
            blocks.truncate(blocks.len() - 2);
            blocks.push((sum / count as f64, sum, count));
        }
    }
    let mut placed: Vec<f64> = blocks
        .iter()
        .flat_map(|&(first, _, count)| (0..count).map(move |i| first + i as f64 * height))
        .collect();
    // Push back inside the column: from the bottom up, then from the top down.
    let mut limit = bottom - height / 2.0;
    for y in placed.iter_mut().rev() {
        *y = y.min(limit);
        limit = *y - height;
    }
    let mut limit = top + height / 2.0;
    for y in &mut placed {
        *y = y.max(limit);
        limit = *y + height;
    }
    let mut out = vec![0.0; wanted.len()];
    for (&i, y) in order.iter().zip(placed) {
        out[i] = y;
    }
    out
}

/// Finds places for labels of points within an area, clear of what is already there.
#[derive(Debug)]
pub(super) struct Placer {
    area: Area,
    taken: Vec<Area>,
    lines: Vec<(At, At)>,
}

impl Placer {
    pub(super) const fn new(area: Area) -> Self {
        Self { area, taken: Vec::new(), lines: Vec::new() }
    }

    /// Nothing may be placed here.
    pub(super) fn block(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Labels should not cover this line.
    pub(super) fn avoid(&mut self, line: &[At]) {
        self.lines.extend(line.windows(2).map(|w| (w[0], w[1])));
    }

    /// A place for a label of `width` × `height` at most `farthest` from `anchor`, or `None` if all are taken. The place
    /// is then taken.
    pub(super) fn place(&mut self, anchor: At, width: f64, height: f64, farthest: f64) -> Option<Area> {
        // Right, left, above, below and between, nearest first.
        const DIRECTIONS: [At; 12] = [
            (1.0, -0.75),
            (-1.0, -0.75),
            (1.0, 0.75),
            (-1.0, 0.75),
            (0.0, -1.0),
            (0.0, 1.0),
            (1.0, -1.0),
            (-1.0, -1.0),
            (1.0, 1.0),
            (-1.0, 1.0),
            (1.0, 0.0),
            (-1.0, 0.0),
        ];
        const REACH: [f64; 9] = [8.0, 12.0, 18.0, 26.0, 36.0, 50.0, 68.0, 92.0, 124.0];
        let mut best: Option<(f64, Area)> = None;
        for reach in REACH.into_iter().filter(|&reach| reach <= farthest) {
            for (order, (dx, dy)) in DIRECTIONS.into_iter().enumerate() {
                let (x, y) = (anchor.0 + dx * (reach + width / 2.0), anchor.1 + dy * (reach + height / 2.0));
                let place = Area::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0);
                if !self.area.contains(&place) || self.taken.iter().any(|t| t.overlaps(&place.grow(1.0))) {
                    continue;
                }
                let crossed = self.lines.iter().filter(|&&(a, b)| crosses(a, b, &place.grow(1.5))).count();
                let cost = reach + order as f64 * 0.5 + crossed as f64 * 30.0;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, place));
                }
            }
        }
        let (_, place) = best?;
        self.taken.push(place);
        Some(place)
    }
}

/// The point of `area` nearest to `anchor`, for a line that leads there.
pub(super) fn nearest(area: &Area, anchor: At) -> At {
    (anchor.0.clamp(area.left, area.right), anchor.1.clamp(area.top, area.bottom))
}

/// Whether the stretch from `a` to `b` has a part in `area`.
fn crosses(a: At, b: At, area: &Area) -> bool {
    // Clip the stretch against each side in turn (Liang and Barsky).
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    for (step, room) in
        [(-dx, a.0 - area.left), (dx, area.right - a.0), (-dy, a.1 - area.top), (dy, area.bottom - a.1)]
    {
        if step == 0.0 {
            if room < 0.0 {
                return false;
            }
        } else if step < 0.0 {
            from = from.max(room / step);
        } else {
            to = to.min(room / step);
        }
    }
    from <= to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_spread_no_more_than_needed() {
        assert_eq!(spread(&[50.0, 10.0], 10.0, 0.0, 100.0), [50.0, 10.0], "far apart: left alone");
        let placed = spread(&[50.0, 50.0, 50.0], 10.0, 0.0, 100.0);
        assert_eq!(placed, [40.0, 50.0, 60.0], "equal wishes: around the wish");
        let placed = spread(&[99.0, 100.0, 98.0], 10.0, 0.0, 100.0);
        assert_eq!(placed, [85.0, 95.0, 75.0], "pushed inside, order kept");
        let placed = spread(&[1.0, 2.0, 60.0], 10.0, 0.0, 100.0);
        assert_eq!(placed, [5.0, 15.0, 60.0]);
        assert!(spread(&[], 10.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn placed_labels_never_overlap() {
        let area = Area::new(0.0, 0.0, 300.0, 200.0);
        let mut placer = Placer::new(area);
        let places: Vec<Area> =
            (0..30).filter_map(|_| placer.place((150.0, 100.0), 50.0, 14.0, 200.0)).collect();
        assert!(places.len() > 10, "{} places", places.len());
        for (i, a) in places.iter().enumerate() {
            assert!(area.contains(a));
            assert!(places[..i].iter().all(|b| !a.overlaps(b)));
        }
        placer.block(area);
        assert_eq!(placer.place((150.0, 100.0), 50.0, 14.0, 200.0), None, "no room: no label");
    }

    #[test]
    fn a_label_keeps_off_a_line_where_it_can() {
        let mut placer = Placer::new(Area::new(0.0, 0.0, 300.0, 200.0));
        let (a, b) = ((0.0, 100.0), (300.0, 100.0));
        placer.avoid(&[a, b]);
        let place = placer.place((150.0, 100.0), 40.0, 14.0, 200.0).expect("an empty area has room");
        assert!(!crosses(a, b, &place), "{place:?}");
        assert!(crosses((0.0, 0.0), (300.0, 200.0), &Area::new(140.0, 90.0, 160.0, 110.0)));
        assert!(!crosses((0.0, 0.0), (10.0, 200.0), &Area::new(140.0, 90.0, 160.0, 110.0)));
    }
}
