//! `slimsim dram`: what a memory part delivers under an access pattern.

use super::CliError;
use super::output::{self, print};
use crate::config::limits::{MAX_MEMORY_CHANNELS, MAX_MEMORY_QUEUE};
use crate::config::{load_memory, nearest};
use crate::hardware::hbm::address_map::AddressMap;
use crate::hardware::hbm::device::Device;
use crate::hardware::hbm::organisation::Field;
use crate::hardware::hbm::pattern::{Pattern, PatternError};
use crate::hardware::hbm::requester::Interleave;
use crate::hardware::hbm::study::Study;
use crate::report::plot::{LineChart, lines};
use crate::report::{DramDocument, Format, thousands, write_atomically, write_json};
use crate::units::Bytes;
use crate::units::format::exact_bytes;
use crate::units::parse::{Dimension, quantity};
use clap::ValueEnum;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Show what a memory part delivers: efficiency, row hits and latency under an access pattern
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Memory part: a preset's name or the path of a TOML file
    #[arg(long, value_name = "PART")]
    device: String,

    /// Access pattern, sizes in bytes: seq, rand4096, stride65536x64, multi8x4096, seqw5x1024, kvw5x256
    #[arg(long, value_name = "PATTERN", default_value = "seq", value_parser = pattern)]
    pattern: Pattern,

    /// Address map: the name of one of the part's, or fields from the lowest bit upwards, such as "pc bg col ba sid row" [default: the
    /// part's first]
    #[arg(long, value_name = "MAP")]
    map: Option<String>,

    /// Refresh
    #[arg(long, value_enum, value_name = "KIND", default_value = "all-bank")]
    refresh: Refresh,

    /// Entries of a channel's read queue, and of its write queue [default: the part's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_MEMORY_QUEUE as i64))]
    queue: Option<u32>,

    /// Bursts to ask for
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=MAX_BURSTS))]
    bursts: u64,

    /// Channels that addresses are spread over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_MEMORY_CHANNELS as i64))]
    channels: u32,

    /// Bytes at consecutive addresses that one channel takes [default: 256, or a burst if that is longer]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    interleave: Option<u64>,

    /// Whether higher address bits are folded into the channel number
    #[arg(long, value_enum, value_name = "KIND", default_value = "none")]
    hash: Hash,

    /// Bytes that may be asked for and not yet have arrived [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    window: Option<u64>,

    /// Seed of random patterns
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Simulate every burst; without it, a sample stands for the rest
    #[arg(long)]
    whole: bool,

    /// Format of the result: table or json
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = format)]
    format: Format,

    /// Draw efficiency against chunk size, a line for each of the part's maps, as .svg or .png
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pattern", "map", "format"])]
    plot: Option<PathBuf>,
}

/// Most bursts of a study: 32 TB of 32-byte bursts.
const MAX_BURSTS: u64 = 1_000_000_000_000;

/// Smallest and largest chunks of a plot.
const CHUNKS: std::ops::RangeInclusive<u64> = 32..=65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Refresh {
    /// None at all: what the rest of the timing allows
    None,
    /// All banks of a pseudo-channel at once, every tREFI
    AllBank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Hash {
    /// The bits above the interleave are the channel's number
    None,
    /// All higher bits are folded into them by exclusive or
    Xor,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let device = load_memory(&self.device)?;
        if let Some(path) = &self.plot {
            let plot = self.draw(&device, path)?;
            write_atomically(path, &plot)?;
            return print(|out| writeln!(out, "{}", path.display()));
        }
        let study = self.study(&device, self.pattern, self.map(&device)?);
        let outcome = study.run(&device).map_err(|e| CliError::usage(e.to_string()))?;
        let document = DramDocument::new(&device, &study, &outcome);
        match self.format {
            Format::Json => print(|out| write_json(&document, out)),
            Format::Table | Format::Csv => print(|out| document.write_table(output::width(), out)),
        }
    }

    /// The map that was asked for.
    fn map(&self, device: &Device) -> Result<AddressMap, CliError> {
        let Some(written) = &self.map else { return Ok(device.maps[0].clone()) };
        if let Some(map) = device.map(written) {
            return Ok(map.clone());
        }
        let names = || device.maps.iter().map(|m| m.name.as_str());
        if !written.contains([' ', ':']) {
            let error = CliError::usage(format!("{} has no address map '{written}'", device.name));
            let error = match nearest(written, names()) {
                Some(near) => error.with_help(format!("did you mean '{near}'?")),
                None => error,
            };
            let maps = names().collect::<Vec<_>>().join(", ");
            return Err(error
                .with_help(format!("it has {maps}; fields will do as well: --map \"{}\"", device.maps[0])));
        }
        let map = AddressMap::parse(written, written).map_err(|entry| {
            let fields = Field::ALL.map(Field::name);
            let error = CliError::usage(format!("address map '{written}' has an unknown entry '{entry}'"));
            error.with_help(format!("fields are {}, with a number of bits as in col:2", fields.join(", ")))
        })?;
        map.decoder(&device.organisation).map_err(|error| {
            let words =
                CliError::usage(format!("address map '{written}' does not suit {}: {error}", device.name));
            words.with_help(format!("each bit is used once, as in \"{}\"", device.maps[0]))
        })?;
        Ok(map)
    }

    fn interleave(&self, device: &Device) -> u64 {
        self.interleave.unwrap_or(256.max(u64::from(device.organisation.burst_bytes)))
    }

    fn study(&self, device: &Device, pattern: Pattern, map: AddressMap) -> Study {
        Study {
            pattern,
            map,
            refresh: self.refresh == Refresh::AllBank,
            queue: self.queue.unwrap_or(device.queue),
            bursts: self.bursts,
            interleave: Interleave {
                channels: self.channels,
                granularity: self.interleave(device),
                hash: self.hash == Hash::Xor,
            },
            window: self.window,
            seed: self.seed,
            whole: self.whole,
        }
    }

    /// Efficiency against the size of random chunks, a line a map, as the bytes of a file of that name.
    fn draw(&self, device: &Device, path: &Path) -> Result<Vec<u8>, CliError> {
        let render = output::plot_file(path)?;
        let least = u64::from(device.organisation.burst_bytes).max(*CHUNKS.start());
        let chunks: Vec<u64> =
            std::iter::successors(Some(least), |c| Some(2 * c)).take_while(|c| c <= CHUNKS.end()).collect();
        let studies: Vec<Study> = device
            .maps
            .iter()
            .flat_map(|map| {
                chunks.iter().map(|&chunk| self.study(device, Pattern::Random { chunk }, map.clone()))
            })
            .collect();
        let shares = studies
            .par_iter()
            .map(|study| Ok(Some(100.0 * study.run(device)?.efficiency)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e: crate::hardware::hbm::study::StudyError| CliError::usage(e.to_string()))?;
        let names = device.maps.iter().map(|map| map.name.clone());
        let chart = LineChart {
            title: format!("What {} gives of its peak, by size of the chunks read", device.name),
            note: self.note(device),
            x_title: "bytes read at one place".to_owned(),
            x: chunks.iter().map(|&c| (Some(c as f64), exact_bytes(Bytes(c)))).collect(),
            y_title: "share of the peak bandwidth".to_owned(),
            y_unit: "%".to_owned(),
            reference: None,
            lines: names.zip(shares.chunks(chunks.len()).map(<[_]>::to_vec)).collect(),
        };
        render(&lines(&chart)?)
    }

    /// Under which conditions a plot holds.
    fn note(&self, device: &Device) -> String {
        let mut note = format!(
            "{}, chunks at random addresses, queue {}",
            device.standard,
            self.queue.unwrap_or(device.queue)
        );
        note += match self.refresh {
            Refresh::None => ", no refresh",
            Refresh::AllBank => ", all-bank refresh",
        };
        if self.channels > 1 {
            note +=
                &format!(", {} channels by {}", self.channels, exact_bytes(Bytes(self.interleave(device))));
            if self.hash == Hash::Xor {
                note += ", hashed";
            }
        }
        if let Some(window) = self.window {
            note += &format!(", at most {} under way", exact_bytes(Bytes(window)));
        }
        note + &format!(
            "; {} bursts of {} B a point",
            thousands(self.bursts),
            device.organisation.burst_bytes
        )
    }
}

/// Reads a pattern; of a misspelt one, says which was meant.
fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse().map_err(|error: PatternError| {
        let name = text.find(|c: char| c.is_ascii_digit()).map_or(text, |digits| &text[..digits]);
        let mended = |near: &str| format!("{near}{}", &text[name.len()..]);
        let makes_sense = |near: &&str| mended(near).parse::<Pattern>().is_ok();
        let near = nearest(name, Pattern::NAMES.into_iter().filter(makes_sense));
        near.map_or(error.to_string(), |near| format!("{error}; did you mean '{}'?", mended(near)))
    })
}

/// Reads a size: a bare number of bytes, or one with a unit.
fn bytes(text: &str) -> Result<u64, String> {
    if let Ok(bytes) = text.parse::<u64>() {
        return if bytes == 0 { Err("expected at least 1 byte".to_owned()) } else { Ok(bytes) };
    }
    let read = quantity(text, &[Dimension::Bytes]).and_then(|q| q.whole(text));
    match read {
        Ok(0) => Err("expected at least 1 byte".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("{error}; expected bytes, such as 4096 or \"4 KiB\"")),
    }
}

/// Reads the value of `--format`: one result has no use for CSV.
pub(super) fn format(text: &str) -> Result<Format, String> {
    match text.parse() {
        Ok(Format::Csv) | Err(_) => Err("expected table or json".to_owned()),
        Ok(format) => Ok(format),
    }
}
