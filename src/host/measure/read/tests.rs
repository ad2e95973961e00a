#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::host::measure::write;
use proptest::prelude::*;

/// Reads `text` as a table.
fn table(text: &str) -> Result<Table, TableError> {
    read_lines(Lines::new(Path::new("t.csv"), text.as_bytes()))
}

/// What a text is refused with.
fn refused(text: &str) -> String {
    table(text).unwrap_err().to_string()
}

/// A row of fields that are right.
const ROW: &str = "\"a CPU, 2 CPUs\",4,64,1024,1,fp32,1,dram,2e-4,0.01,9,1e-4,0.02,8,,,,3";

/// The header and `rows`.
fn with_rows(rows: &[&str]) -> String {
    format!("{}\n{}\n", COLUMNS.join(","), rows.join("\n"))
}

fn summary(median: f64, spread: f64, samples: usize) -> Summary {
    Summary { median, spread, samples }
}

#[test]
fn a_row_is_a_point() {
    let found = table(&with_rows(&[ROW])).unwrap();
    assert_eq!(found.machine, "a CPU, 2 CPUs");
    let shape = Shape { heads: 4, head_dim: 64, context: 1024, batch: 1 };
    let expected = Measured {
        setting: Setting { shape, dtype: Dtype::Fp32, threads: 1, tier: Tier::Dram },
        times: vec![(Scheme::KvCache, summary(2e-4, 0.01, 9)), (Scheme::SlimK, summary(1e-4, 0.02, 8))],
        rejected: 3,
    };
    assert_eq!(found.points, [expected]);
}

#[test]
fn line_ends_marks_and_the_order_of_columns_do_not_matter() {
    let plain = table(&with_rows(&[ROW])).unwrap();
    let text = with_rows(&[ROW]);
    for same in [
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
        text.trim_end().to_owned(),
        text.replace('\n', "\n\n"),
        text.replace("rejected", "rejected,remark").replace(",,,,3", ",,,,3,\"quiet, I think\""),
        text.replace("heads,head_dim", "head_dim,heads").replace("4,64,", "64, 4,"),
    ] {
        let found = table(&same).unwrap();
        assert_eq!((&found.machine, &found.points), (&plain.machine, &plain.points), "{same}");
    }
}

#[test]
fn every_bad_row_is_said_with_its_place() {
    let zero = ROW.replace(",4,64,", ",0,64,");
    let nan = ROW.replace("1e-4", "NaN");
    let said = refused(&with_rows(&[&zero, ROW, &nan]));
    assert!(said.starts_with("t.csv:2:17: heads is zero\n"), "{said}");
    assert!(said.contains("t.csv:4:53: slim-k_seconds 'NaN' is not finite\n"), "{said}");
}

#[test]
fn sizes_at_the_bounds_do_not_overflow() {
    let of = |sizes: [u64; 4]| {
        let [heads, head_dim, context, batch] = sizes.map(|s| s.to_string());
        table(&with_rows(
            &[&ROW.replace(",4,64,1024,1,", &format!(",{heads},{head_dim},{context},{batch},"))],
        ))
    };
    let all = [MAX_HEADS, MAX_DIMENSION, MAX_CONTEXT, MAX_BATCH];
    assert!(of(all).unwrap_err().to_string().contains("too large to be counted"));
    assert!(of([1, MAX_DIMENSION, MAX_CONTEXT, MAX_BATCH]).is_err());
    assert!(of([MAX_HEADS, 16, 16, 1]).is_ok());
    for at in 0..4 {
        let mut sizes = [4, 64, 1024, 1];
        for (size, problem) in [(0, "is zero"), (all[at] + 1, "is too large"), (u64::MAX, "is too large")] {
            sizes[at] = size;
            let said = of(sizes).unwrap_err().to_string();
            assert!(said.contains(problem), "{said}");
        }
    }
    // Whatever is accepted can be counted.
    let largest = of([32, 128, 1 << 20, 64]).unwrap();
    let setting = largest.points[0].setting;
    assert_eq!(setting.cache_bytes(), 4 * 4096 * (1 << 26));
}

#[test]
fn a_table_is_of_one_machine_and_has_a_point_once() {
    let other = ROW.replace("a CPU", "another").replace("1024", "2048");
    let said = refused(&with_rows(&[ROW, &other]));
    assert!(said.starts_with("t.csv:3:1: another machine than in line 2"), "{said}");
    let later = ROW.replace("2e-4", "3e-4");
    let said = refused(&with_rows(&[ROW, &later]));
    assert!(said.starts_with("t.csv:3:1: this point has been measured already, in line 2"), "{said}");
}

#[test]
fn threads_beyond_the_cores_are_refused_where_they_stand() {
    let two = ROW.replace(",fp32,1,", ",fp32,2,");
    let found = table(&with_rows(&[ROW, &two])).unwrap();
    assert!(found.at_most_threads(2, "host").is_ok());
    let said = found.at_most_threads(1, "host").unwrap_err().to_string();
    assert!(said.starts_with("t.csv:3:34: threads 2 are more than the cores of 'host', 1\n"), "{said}");
}

/// A number that five digits hold, as times are written.
fn five_digits(exponent: std::ops::Range<i32>) -> impl Strategy<Value = f64> {
    (10_000_u32..100_000, exponent)
        .prop_map(|(digits, exponent)| format!("{digits}e{exponent}").parse().unwrap())
}

fn summaries() -> impl Strategy<Value = Summary> {
    (five_digits(-14..-2), prop_oneof![Just(0.0), five_digits(-9..-5)], 1..10_000_usize)
        .prop_map(|(median, spread, samples)| Summary { median, spread, samples })
}

fn points() -> impl Strategy<Value = Measured> {
    let shape = (1..200_usize, 1..20_usize, 1..1_000_000_usize, 1..64_usize);
    let dtype = prop::sample::select(&DTYPES[..]);
    let tier = prop::sample::select(&Tier::ALL[..]);
    let times = (summaries(), summaries(), prop::option::of(summaries()));
    (shape, dtype, 1..300_usize, tier, times, 0..1_000_u64).prop_map(
        |((heads, rows, context, batch), dtype, threads, tier, (kv, slim, rebuilt), rejected)| {
            let shape = Shape { heads, head_dim: 16 * rows, context, batch };
            let mut times = vec![(Scheme::KvCache, kv), (Scheme::SlimK, slim)];
            times.extend(rebuilt.map(|rebuilt| (Scheme::SlimKRecompute, rebuilt)));
            Measured { setting: Setting { shape, dtype, threads, tier }, times, rejected }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        machine in "[ -~é]{0,30}[!-~é][ -~é]{0,30}",
        points in prop::collection::vec(points(), 1..20),
    ) {
        let once: BTreeMap<Setting, Measured> = points.into_iter().map(|p| (p.setting, p)).collect();
        let points: Vec<_> = once.into_values().collect();
        let mut text = Vec::new();
        write(&mut text, &machine, &points).unwrap();
        let found = read_lines(Lines::new(Path::new("t.csv"), text.as_slice())).unwrap();
        prop_assert_eq!(found.machine, machine);
        prop_assert_eq!(found.points, points);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-0-9a-z,\"\n\r.é]{0,200}", row in 0..18_usize, field in "\\PC{0,12}") {
        let _ = table(&text);
        let _ = table(&with_rows(&[&text]));
        let mut fields: Vec<_> = ROW.replace(", ", "").split(',').map(str::to_owned).collect();
        fields[row] = field;
        let _ = table(&with_rows(&[&fields.join(",")]));
    }
}
