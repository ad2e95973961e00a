//! `slimsim dram` and the memory parts: fields, consistency, refusals, plots.

use crate::support::{fails, json, slimsim_in, stderr, stdout, text};
use std::fs;

const ON: &str = "dram --device hbm3-6400";

#[test]
fn the_document_has_its_fields_and_they_agree() {
    let found = json(&format!("{ON} --pattern rand4096 --map bg1 --queue 48 --bursts 100000"));
    assert_eq!(
        (
            found["device"].as_str(),
            found["pattern"].as_str(),
            found["map"].as_str(),
            found["refresh"].as_str()
        ),
        (Some("hbm3-6400"), Some("rand4096"), Some("bg1"), Some("all-bank"))
    );
    let number = |key: &str| found[key].as_f64().unwrap_or_else(|| panic!("{key} in {found}"));
    assert_eq!((number("queue"), number("bursts")), (48.0, 100_000.0));
    // A channel of 64 bits at 6,400 Mb/s.
    assert!((number("bandwidth") / (51.2e9 * number("efficiency")) - 1.0).abs() < 1e-6);
    assert!((number("bursts") * 32.0 / number("seconds") / number("bandwidth") - 1.0).abs() < 1e-6);
    assert!((1.0 - number("activates") / number("bursts") - number("row_hit_rate")).abs() < 1e-3);
    // Both pseudo-channels are refreshed every 3.9 µs.
    assert!((number("refreshes") - 2.0 * number("seconds") / 3.9e-6).abs() <= 4.0, "{found}");
    assert!(number("mean_read_latency_seconds") > 22.0 * 625e-12);
    assert!(number("simulated_bursts") < number("bursts"));
    let whole = json(&format!("{ON} --pattern rand4096 --map bg1 --queue 48 --bursts 100000 --whole"));
    assert_eq!(whole["simulated_bursts"], whole["bursts"]);
    let table = text(&format!("{ON} --channels 8 --hash xor --window 65536"));
    for word in ["efficiency", "row hits", "interleave", "256 B", "xor", "64 KiB"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
}

#[test]
fn a_map_in_words_is_the_map_of_that_name() {
    let named = json(&format!("{ON} --map pcrow"));
    let folder = std::path::Path::new(".");
    let words = ["dram", "--device", "hbm3-6400", "--map", "bg col ba sid pc row", "--format", "json"];
    let output = slimsim_in(folder, &words);
    let written: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(named["efficiency"], written["efficiency"]);
}

#[test]
fn what_does_not_suit_the_part_is_refused() {
    fails("dram", 2, &["--device"]);
    fails("dram --device hbm3-640", 2, &["unknown memory part 'hbm3-640'", "did you mean 'hbm3-6400'?"]);
    fails("dram --device no/such.toml", 2, &["cannot read no/such.toml: no such file"]);
    fails(
        &format!("{ON} --map strem"),
        2,
        &["no address map 'strem'", "did you mean 'stream'?", "robaracoch"],
    );
    fails(&format!("{ON} --map pc:1"), 2, &["misses 1 of the 1 bits of sid", "each bit is used once"]);
    fails(&format!("{ON} --map bank:2"), 2, &["unknown entry 'bank:2'", "pc, sid, bg, ba, row, col"]);
    fails(&format!("{ON} --window 31"), 2, &["a window of 31 bytes is less than one burst, 32 bytes"]);
    fails("dram --device ddr5-6400 --window 63", 2, &["less than one burst, 64 bytes"]);
    fails(&format!("{ON} --window 0"), 2, &["--window", "at least 1 byte"]);
    fails(&format!("{ON} --queue 0"), 2, &["--queue"]);
    fails(&format!("{ON} --bursts 0"), 2, &["--bursts"]);
    fails(&format!("{ON} --channels 0"), 2, &["--channels"]);
    fails(&format!("{ON} --channels 6"), 2, &["the number of channels must be a power of two, not 6"]);
    fails(
        &format!("{ON} --channels 2 --interleave 2147483648"),
        2,
        &["an interleave of 2147483648 bytes is more than a channel, 1073741824 bytes"],
    );
    fails(&format!("{ON} --interleave 16"), 2, &["an interleave of 16 bytes is less than a burst"]);
    fails(&format!("{ON} --interleave 4KB"), 2, &["--interleave", "unknown unit"]);
    fails(&format!("{ON} --format csv"), 2, &["expected table or json"]);
    for (pattern, why) in [
        ("rnad64", "did you mean 'rand64'?"),
        ("SEQ", "did you mean 'seq'?"),
        ("mutli8x64", "did you mean 'multi8x64'?"),
        ("multi33554433x32", "33554433 streams are more than the memory has bursts"),
        ("rand", "is no access pattern"),
        ("rand0", "not a positive multiple of the burst"),
        ("rand48", "not a positive multiple of the burst"),
        ("stride64", "is no access pattern"),
        ("multi0x64", "at least one stream"),
        ("seqw100x64", "outside 1 to 99 %"),
        ("rand18446744073709551616", "is no access pattern"),
    ] {
        fails(&format!("{ON} --pattern {pattern}"), 2, &[why]);
    }
    fails("show memory hbm3-6400 --set queue=3", 2, &["a memory part takes no --set"]);
    fails(&format!("{ON} --plot x.gif"), 2, &[".svg or .png"]);
}

#[test]
fn a_part_that_is_shown_is_the_same_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let shown = text("show memory hbm2-2000");
    fs::write(folder.path().join("mine.toml"), &shown).unwrap();
    let arguments = ["dram", "--device", "mine.toml", "--format", "json"];
    let output = slimsim_in(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), text("dram --device hbm2-2000 --format json"));
}

/// A part that an accelerator's file names by its path lies beside that file, as machines do beside a sweep.
#[test]
fn a_part_lies_beside_the_accelerator_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mine")).unwrap();
    let machine = text("show accelerator a100-sxm");
    let named = machine.replace("part = \"hbm2e-3200\"", "part = \"part.toml\"");
    assert_ne!(machine, named);
    fs::write(folder.path().join("mine/machine.toml"), named).unwrap();
    let run = |machine| {
        let arguments = ["run", "-a", machine, "-m", "gpt-2-xl", "-n", "512", "--format", "csv"];
        slimsim_in(folder.path(), &arguments)
    };
    let missing = run("mine/machine.toml");
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("cannot read mine/part.toml: no such file"), "{}", stderr(&missing));
    fs::write(folder.path().join("mine/part.toml"), text("show memory hbm2e-3200")).unwrap();
    let found = run("mine/machine.toml");
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    assert_eq!(stdout(&found), stdout(&run("a100-sxm")));
}

#[test]
fn a_plot_has_a_line_a_map() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["plot.svg", "plot.png"] {
        let arguments = ["dram", "--device", "hbm2-2000", "--bursts", "2000", "--plot", name];
        let output = slimsim_in(folder.path(), &arguments);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(0), format!("{name}\n")),
            "{}",
            stderr(&output)
        );
    }
    let svg = fs::read_to_string(folder.path().join("plot.svg")).unwrap();
    for word in ["stream", "robaracoch", "mop4", "bg1", "pcrow", "64 KiB", "hbm2-2000"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(fs::read(folder.path().join("plot.png")).unwrap().starts_with(b"\x89PNG"));
}

/// However few bursts, all of them are served before the time is taken: the first takes its latency, none outruns the data bus.
#[test]
fn few_bursts_take_until_the_last_has_come() {
    let found = |bursts: u32, more: &str| json(&format!("{ON} --bursts {bursts} {more}"));
    let one = found(1, "");
    // ACT to RD, read to data, two cycles of data: 31 + 20 + 2 cycles, and the bus cycles of the commands.
    let seconds = one["seconds"].as_f64().expect("a number");
    assert!((53.0 * 625e-12..57.0 * 625e-12).contains(&seconds), "{one}");
    assert_eq!(
        (one["seconds"].clone(), one["activates"].as_u64()),
        (one["mean_read_latency_seconds"].clone(), Some(1))
    );
    let mut before = seconds;
    for bursts in [2, 3, 10, 31, 33, 100, 1_000] {
        for more in ["", "--pattern rand32 --refresh none", "--pattern kvw50x64 --queue 128", "--channels 8"]
        {
            let point = found(bursts, more);
            let efficiency = point["efficiency"].as_f64().unwrap_or_else(|| panic!("{point}"));
            assert!(efficiency > 0.0 && efficiency < 1.0, "{point}");
            assert!(point["activates"].as_u64() <= Some(u64::from(bursts)), "{point}");
        }
        let now = found(bursts, "")["seconds"].as_f64().expect("a number");
        assert!(now > before, "{bursts} bursts");
        before = now;
    }
}

/// A sample of long runs of reads and of writes holds both, and one of intervals longer than all bursts is no sample.
#[test]
fn samples_hold_what_they_stand_for() {
    let long = json(&format!("{ON} --pattern seqw50x1048576 --bursts 10000000 --queue 64"));
    let whole = json(&format!("{ON} --pattern seqw50x1048576 --bursts 196608 --queue 64 --whole"));
    // 32,768 bursts are read, then as many written: three times both.
    let simulated = |point: &serde_json::Value| point["simulated_bursts"].as_u64().expect("a count");
    assert!(simulated(&long) >= 3 * 65_536 && simulated(&long) < 1_000_000, "{long}");
    let efficiency = |point: &serde_json::Value| point["efficiency"].as_f64().expect("a number");
    assert!((efficiency(&long) / efficiency(&whole) - 1.0).abs() < 0.01, "{long} {whole}");

    let folder = tempfile::tempdir().unwrap();
    let part = text("show memory hbm3-6400").replace("trefi = 6240", "trefi = 1000000");
    assert!(part.contains("trefi = 1000000"));
    fs::write(folder.path().join("rare.toml"), part).unwrap();
    let arguments = ["dram", "--device", "rare.toml", "--bursts", "200000", "--format", "json"];
    let output = slimsim_in(folder.path(), &arguments);
    let rare: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((rare["refreshes"].as_u64(), rare["simulated_bursts"].as_u64()), (Some(0), Some(200_000)));
    let without = json(&format!("{ON} --refresh none"));
    assert!((efficiency(&rare) / efficiency(&without) - 1.0).abs() < 0.01, "{rare} {without}");
}

/// Bursts of more than 256 bytes are interleaved one by one where nothing else is said.
#[test]
fn a_part_of_long_bursts_has_an_interleave() {
    let folder = tempfile::tempdir().unwrap();
    let part = text("show memory hbm2-2000").replace("burst = \"32 B\"", "burst = \"1 KiB\"");
    fs::write(folder.path().join("long.toml"), part).unwrap();
    let output =
        slimsim_in(folder.path(), &["dram", "--device", "long.toml", "--channels", "2", "--format", "json"]);
    let found: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(found["interleave"].as_u64(), Some(1024));
}

/// Too little under way is latency, not row misses.
#[test]
fn little_under_way_is_latency() {
    let causes = |set: &str| {
        let found = json(&format!("run -a h100-sxm -m codellama-7b -n 4096 -s kv-cache {set}"));
        let causes = &found["points"][0]["cycles_by_cause"];
        ["latency", "row_miss", "refresh"].map(|cause| causes[cause].as_u64().expect("cycles"))
    };
    // No latency outside the part, so that Little's law holds within it alone.
    let [free, rows, _] = causes("--set hbm.latency=0ns");
    let [bound, rows_too, _] = causes("--set hbm.latency=0ns --set cores.bytes_in_flight=128B");
    assert!(bound > 2 * rows && bound > 10 * free.max(1), "{free} {rows} {bound} {rows_too}");
    assert!(rows_too <= rows + rows / 100, "{rows} {rows_too}");
}

/// A requester with one burst under way, whose queue is empty when a refresh comes, goes on after it.
#[test]
fn one_burst_under_way_is_little_s_law() {
    let found = json(&format!("{ON} --window 32 --bursts 200000"));
    let (bandwidth, latency) = (
        found["bandwidth"].as_f64().expect("a number"),
        found["mean_read_latency_seconds"].as_f64().expect("one"),
    );
    let most = 32.0 / latency;
    assert!(bandwidth <= most * 1.001 && bandwidth > most * 0.8, "{bandwidth} of {most}");
}

/// A queue of one entry looks no further than the burst that it serves: the deeper, the better.
#[test]
fn shallow_queues_work_and_lose() {
    let efficiency = |queue: u32| {
        let found = json(&format!("{ON} --pattern rand256 --queue {queue} --bursts 20000"));
        found["efficiency"].as_f64().expect("a number")
    };
    let found = [1, 2, 3, 4, 8].map(efficiency);
    assert!(found[0] > 0.0 && found.is_sorted(), "{found:?}");
}

/// Blocks of a paged cache cost a machine of parts time, a flat one none, and all causes still sum to the cycles.
#[test]
fn blocks_of_a_paged_cache_cost_a_machine_of_parts() {
    let step = |set: &str| {
        let found = json(&format!("run -a h100-sxm -m codellama-7b -n 16384 -b 4 -s kv-cache,slim-k {set}"));
        let points = found["points"].as_array().expect("points").clone();
        points
            .iter()
            .map(|p| {
                let causes = p["cycles_by_cause"].as_object().expect("causes");
                let sum: u64 = causes.values().map(|c| c.as_u64().expect("cycles")).sum();
                assert_eq!(Some(sum), p["cycles"].as_u64());
                let of = |cause: &str| causes[cause].as_u64().expect("cycles");
                (sum, of("refresh"), of("row_miss"))
            })
            .collect::<Vec<_>>()
    };
    let flat = step("--set hbm.model=flat");
    assert_eq!(flat, step("--set hbm.model=flat --set cache.block_tokens=1"));
    assert!(flat.iter().all(|&(_, refresh, row_miss)| refresh == 0 && row_miss == 0));
    let (contiguous, blocks) = (step(""), step("--set cache.block_tokens=1"));
    for ((c, b), f) in contiguous.iter().zip(&blocks).zip(&flat) {
        assert!(f.0 < c.0 && c.0 < b.0 && c.2 < b.2 && c.1 > 0, "{f:?} {c:?} {b:?}");
    }
}

/// What accelerator presets say of their parts agrees with their vendors' bandwidth to a hundredth.
#[test]
fn presets_name_parts_that_reach_their_bandwidth() {
    let mut seen = 0;
    for name in slimsim::config::preset_names(slimsim::config::PresetKind::Accelerator) {
        let overrides = slimsim::config::Overrides::default();
        let machine = slimsim::config::load_accelerator(name, &overrides).expect("presets load");
        let Some(parts) = machine.hbm.as_ref().and_then(|h| h.parts.as_ref()) else { continue };
        let peak = parts.device.peak().0 as f64 * f64::from(parts.count);
        let vendor = machine.hbm.as_ref().expect("its parts were seen").bandwidth.0 as f64;
        assert!((peak / vendor - 1.0).abs() <= 0.01, "{name}: {peak} of {vendor}");
        seen += 1;
    }
    assert!(seen >= 11);
}
