//! Points as CSV rows, written field by field: sweeps write them by the hundred thousand, and walking a JSON document for each would
//! take longer than simulating it. Equal to what [`super::CsvWriter`] writes; a test holds that.

use super::point_columns;
use crate::ledger::{Capacity, CyclesByCause, FlopCount, Traffic, VectorWork};
use crate::step::{Bounds, FirstToken, MappingReport, Point};

/// Appends cells to a row.
struct Row<'a> {
    out: &'a mut String,
    begun: bool,
}

impl Row<'_> {
    fn comma(&mut self) {
        if self.begun {
            self.out.push(',');
        }
        self.begun = true;
    }

    fn empty(&mut self, cells: usize) {
        (0..cells).for_each(|_| self.comma());
    }

    fn text(&mut self, text: &str) {
        self.comma();
        if !text.contains(['"', ',', '\n', '\r']) {
            return self.out.push_str(text);
        }
        self.out.push('"');
        for (i, part) in text.split('"').enumerate() {
            if i > 0 {
                self.out.push_str("\"\"");
            }
            self.out.push_str(part);
        }
        self.out.push('"');
    }

    fn truth(&mut self, truth: bool) {
        self.text(if truth { "true" } else { "false" });
    }

    /// Numbers as JSON has them; what JSON has no number for is an empty cell.
    fn number(&mut self, number: impl Into<serde_json::Number>) {
        self.comma();
        let number: serde_json::Number = number.into();
        let _ = std::fmt::Write::write_fmt(self.out, format_args!("{number}"));
    }

    fn float(&mut self, value: f64) {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.number(number),
            None => self.comma(),
        }
    }

    fn maybe<T>(&mut self, value: Option<T>, cells: usize, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.empty(cells),
        }
    }

    fn counts<const N: usize>(&mut self, counts: [u64; N]) {
        counts.into_iter().for_each(|n| self.number(n));
    }
}

/// Which cells a row has.
#[derive(Debug, Clone, Default)]
pub struct RowLayout {
    leading: Vec<String>,
    /// Whether a leading column is the point's context, or its batch: these come once only.
    has: [bool; 2],
}

impl RowLayout {
    /// Rows with the columns `leading` in front of those of a point. One of them that is called `context` or `batch` stands for
    /// the point's own.
    #[must_use]
    pub fn new(leading: Vec<String>) -> Self {
        let has = ["context", "batch"].map(|name| leading.iter().any(|l| l == name));
        Self { leading, has }
    }

    /// The header, with a line feed.
    #[must_use]
    pub fn header(&self) -> String {
        let mut out = String::new();
        let mut row = Row { out: &mut out, begun: false };
        self.leading.iter().for_each(|name| row.text(name));
        let own = point_columns().iter().enumerate();
        own.filter(|(i, _)| !self.has.get(*i).copied().unwrap_or(false)).for_each(|(_, name)| row.text(name));
        out.push('\n');
        out
    }

    /// Appends the cells of `point` to `out`, in the order of the header; then a line feed.
    pub fn row<'a>(&self, leading: impl IntoIterator<Item = &'a str>, point: &Point, out: &mut String) {
        let mut row = Row { out, begun: false };
        leading.into_iter().for_each(|cell| row.text(cell));
        cells(&mut row, self.has, point);
        out.push('\n');
    }
}

fn cells(row: &mut Row<'_>, [has_context, has_batch]: [bool; 2], point: &Point) {
    // Taken apart by name, so that a field added to a point cannot be forgotten here.
    let Point {
        context,
        batch,
        scheme,
        feasible,
        infeasible_reason,
        seconds,
        cycles,
        tokens_per_second,
        speedup,
        capacity_bytes,
        largest_batch,
        traffic_bytes,
        shared_sram_bytes,
        local_sram_bytes,
        flops,
        mac_slots,
        vector_ops,
        cycles_by_cause,
        bounds_seconds,
        energy_joules,
        mapping,
        first_token_seconds,
    } = point;
    if !has_context {
        row.number(*context);
    }
    if !has_batch {
        row.number(*batch);
    }
    row.text(scheme);
    row.truth(*feasible);
    row.maybe(infeasible_reason.as_ref(), 1, |r, why| r.text(why));
    row.maybe(*seconds, 1, |r, s| r.float(s.0.seconds()));
    row.maybe(*cycles, 1, |r, c| r.number(c.0));
    row.maybe(*tokens_per_second, 1, Row::float);
    row.maybe(*speedup, 1, Row::float);
    capacity(row, capacity_bytes);
    row.maybe(*largest_batch, 1, Row::number);
    row.maybe(*traffic_bytes, 8, |r, t| traffic(r, &t));
    row.maybe(*shared_sram_bytes, 1, |r, b| r.number(b.0));
    row.maybe(*local_sram_bytes, 1, |r, b| r.number(b.0));
    row.maybe(*flops, 6, |r, f| work(r, &f));
    row.maybe(*mac_slots, 1, Row::number);
    row.maybe(*vector_ops, 3, |r, VectorWork { softmax, rotary, other }| {
        r.counts([softmax, rotary, other].map(|ops| ops.0));
    });
    row.maybe(*cycles_by_cause, 9, |r, c| {
        let CyclesByCause {
            compute,
            vector,
            bandwidth,
            latency,
            sram,
            exchange,
            overhead,
            refresh,
            row_miss,
        } = c;
        let all = [compute, vector, bandwidth, latency, sram, exchange, overhead, refresh, row_miss];
        r.counts(all.map(|c| c.0));
    });
    row.maybe(*bounds_seconds, 2, |r, Bounds { bandwidth, compute }| {
        r.float(bandwidth.0.seconds());
        r.float(compute.0.seconds());
    });
    row.maybe(*energy_joules, 1, Row::float);
    row.maybe(mapping.as_ref(), 13, layout);
    row.maybe(*first_token_seconds, 4, |r, FirstToken { encoder, cross_phase, decoder, total }| {
        [encoder, cross_phase, decoder, total].into_iter().for_each(|s| r.float(s.0.seconds()));
    });
}

fn capacity(row: &mut Row<'_>, capacity: &Capacity) {
    let Capacity { weights, cache, cache_self, cache_cross, activations, total, available } = *capacity;
    row.counts([weights, cache, cache_self, cache_cross, activations, total].map(|b| b.0));
    row.maybe(available, 1, |r, b| r.number(b.0));
}

fn traffic(row: &mut Row<'_>, t: &Traffic) {
    let parts = [t.weights, t.cache_read, t.cache_reread, t.cache_write, t.activations, t.spill, t.exchange];
    row.counts(parts.map(|b| b.0));
    row.number(t.total().0);
}

fn work(row: &mut Row<'_>, f: &FlopCount) {
    row.counts([f.projection, f.attention, f.recompute, f.ffn, f.lm_head, f.total()].map(|f| f.0));
}

fn layout(row: &mut Row<'_>, mapping: &MappingReport) {
    let MappingReport {
        plan,
        token_split,
        cluster,
        head_groups,
        query_groups,
        passes,
        tile_tokens,
        slots,
        memory_reads,
        scores_held,
        values_held,
        limited_by,
        reason,
    } = mapping;
    row.text(plan);
    row.counts([*token_split, *cluster, *head_groups, *query_groups]);
    row.counts([*passes, *tile_tokens, *slots, *memory_reads]);
    [scores_held, values_held, limited_by, reason].into_iter().for_each(|text| row.text(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CsvWriter;
    use crate::report::csv::full_point;

    fn slowly(point: &Point) -> String {
        let mut out = Vec::new();
        let mut rows =
            CsvWriter::new(&mut out, &["a, b".to_owned()], point_columns()).expect("memory takes all");
        rows.row(&["x \"y\"".to_owned()], point).expect("memory takes all");
        rows.finish().expect("memory takes all");
        String::from_utf8(out).expect("CSV of text is text")
    }

    fn quickly(point: &Point) -> String {
        let layout = RowLayout::new(vec!["a, b".to_owned()]);
        let mut out = layout.header();
        layout.row(["x \"y\""], point, &mut out);
        out
    }

    #[test]
    fn rows_are_those_of_the_flattened_document() {
        let mut full = full_point();
        full.scheme = "slim-k, \"quoted\"\nin two lines".to_owned();
        full.tokens_per_second = Some(1.0 / 3.0);
        full.speedup = Some(1e-7);
        full.energy_joules = Some(f64::INFINITY);
        full.cycles = Some(crate::units::Cycles(u64::MAX));
        let empty = Point::infeasible(7, 8, "slim-k", "too large".to_owned());
        let part = Point { mapping: None, ..full.clone() };
        for point in [full, empty, part] {
            assert_eq!(quickly(&point), slowly(&point));
        }
    }

    #[test]
    fn a_context_comes_once() {
        let layout = RowLayout::new(vec!["batch".to_owned(), "hbm.bandwidth".to_owned()]);
        let mut out = layout.header();
        layout.row(["8", "1 TB/s"], &Point::open(7, 8, "slim-k"), &mut out);
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[0].starts_with("batch,hbm.bandwidth,context,scheme,feasible,"), "{}", lines[0]);
        assert!(lines[1].starts_with("8,1 TB/s,7,slim-k,false,"), "{}", lines[1]);
        assert_eq!(lines[0].matches(',').count(), lines[1].matches(',').count());
    }
}
