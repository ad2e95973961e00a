//! Runs the kernels of a point and times them.

use super::{Measured, Setting, Summary, Tier};
use crate::host::cpu::Cpu;
use crate::host::kernels::{KvCache, Scheme, Shape, SlimK, SlimKRecompute, Walk, Weights};
use crate::host::memory::{Buffer, can_flush, flush};
use crate::host::samples::Samples;
use crate::host::simd::Element;
use crate::host::team::Team;
use crate::units::Dtype;

/// Elements of the pattern that caches repeat: their values do not change what kernels do, but for how often a maximum rises.
const PATTERN: usize = 1 << 18;
/// Tokens of a tile of slim-k-recompute, which reads all weights once a tile.
const RECOMPUTE_TILE: usize = 128;
/// Multiply–accumulates of slim-k-recompute beyond which it is not run: half a second.
const MOST_RECOMPUTE: f64 = 5e10;
/// Times a point's usual seconds after which it is given up.
const HOPELESS: f64 = 4.0;

/// Fewest and most samples of a scheme that count, and the seconds after which no more are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Fewest.
    pub least: usize,
    /// Most.
    pub most: usize,
    /// Seconds a point beyond which the fewest have to do.
    pub seconds: f64,
    /// Whether slim-k-recompute is run, too.
    pub recompute: bool,
}

impl Effort {
    /// For a quick look.
    pub const QUICK: Self = Self { least: 7, most: 15, seconds: 0.4, recompute: false };
    /// For a table that is kept.
    pub const FULL: Self = Self { least: 5, most: 15, seconds: 0.4, recompute: true };
}

/// What [`Bench::point`] says of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Timed {
    /// It was measured.
    Done(Measured),
    /// Too many samples were disturbed.
    Disturbed {
        /// Samples left out.
        rejected: u64,
    },
}

/// Memory and threads, kept from point to point.
#[derive(Debug)]
pub struct Bench {
    cpu: Cpu,
    team: Team,
    fp32: Option<Caches<f32>>,
    bf16: Option<Caches<half::bf16>>,
    fp16: Option<Caches<half::f16>>,
    /// What is read to drive the caches out where they cannot be flushed.
    sweep: Option<Buffer<f32>>,
}

/// Keys, values and weights of one type, as large as the largest point so far.
#[derive(Debug)]
struct Caches<E> {
    keys: Buffer<E>,
    values: Buffer<E>,
    pattern: Vec<E>,
}

impl<E: Element> Caches<E> {
    /// Large enough for `elements`.
    fn of(held: &mut Option<Self>, elements: usize) -> std::io::Result<&mut Self> {
        let enough = held.as_ref().is_some_and(|caches| caches.keys.len() >= elements);
        if !enough {
            *held = None;
            let pattern = pattern();
            let (keys, values) =
                (Buffer::repeating(elements, &pattern)?, Buffer::repeating(elements, &pattern)?);
            *held = Some(Self { keys, values, pattern });
        }
        held.as_mut().ok_or_else(|| std::io::ErrorKind::OutOfMemory.into())
    }
}

/// Numbers in (−½, ½), the same every time.
pub(in crate::host) fn pattern<E: Element>() -> Vec<E> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        E::from_f32((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
    };
    (0..PATTERN).map(|_| next()).collect()
}

impl Bench {
    /// For `threads` threads of this machine.
    ///
    /// # Errors
    /// If the system gives no threads or memory.
    pub fn new(cpu: &Cpu, threads: usize) -> std::io::Result<Self> {
        let team = Team::new(threads).map_err(std::io::Error::other)?;
        let sweep = if can_flush() { None } else { Some(Buffer::repeating(cpu.l3 / 2, &[1.0])?) };
        Ok(Self { cpu: cpu.clone(), team, fp32: None, bf16: None, fp16: None, sweep })
    }

    /// Measures `setting`, whose threads are the bench's.
    ///
    /// # Errors
    /// If the system gives no memory.
    pub fn point(&mut self, setting: &Setting, effort: Effort) -> std::io::Result<Timed> {
        let elements = setting.shape.cache();
        // One type's caches at a time: together they might not fit.
        match setting.dtype {
            Dtype::Fp32 => (self.bf16, self.fp16) = (None, None),
            Dtype::Bf16 => (self.fp32, self.fp16) = (None, None),
            _ => (self.fp32, self.bf16) = (None, None),
        }
        let Self { cpu, team, sweep, .. } = self;
        let with = Conditions { cpu, team, sweep: sweep.as_deref(), setting, effort };
        match setting.dtype {
            Dtype::Fp32 => Ok(with.measure(Caches::of(&mut self.fp32, elements)?)),
            Dtype::Bf16 => Ok(with.measure(Caches::of(&mut self.bf16, elements)?)),
            Dtype::Fp16 => Ok(with.measure(Caches::of(&mut self.fp16, elements)?)),
            other => Err(std::io::Error::other(format!("no kernels for caches of type {other}"))),
        }
    }
}

/// What a point is measured under.
struct Conditions<'a> {
    cpu: &'a Cpu,
    team: &'a Team,
    sweep: Option<&'a [f32]>,
    setting: &'a Setting,
    effort: Effort,
}

impl Conditions<'_> {
    fn measure<E: Element>(&self, caches: &Caches<E>) -> Timed {
        let Setting { shape, threads, .. } = *self.setting;
        let width = shape.width();
        let (keys, values) = (&caches.keys[..shape.cache()], &caches.values[..shape.cache()]);
        let elements = caches.pattern.iter().copied().cycle().take(width * width).collect();
        let weights = Weights::laid_out(elements, width, shape.head_dim);
        let walk = Walk::fitting(width * size_of::<E>(), self.cpu.l2);
        let query: Vec<f32> =
            caches.pattern.iter().map(|x| x.to_f32()).cycle().take(width * shape.batch).collect();
        let mut out = vec![0.0; width * shape.batch];
        let (isa, team) = (self.cpu.isa, self.team);
        let baseline = KvCache::new(shape, walk, [keys, values], None, threads);
        let slim = SlimK::new(shape, walk, keys, &weights, None, threads);
        let rebuilt = (self.effort.recompute && recomputes(&shape)).then(|| {
            SlimKRecompute::new(shape, Walk { tile: RECOMPUTE_TILE }, keys, &weights, None, threads)
        });
        let mut samples = vec![Samples::default(); Scheme::ALL.len()];
        let started = std::time::Instant::now();
        let (mut round, mut first) = (0, f64::INFINITY);
        loop {
            for (scheme, samples) in Scheme::ALL.into_iter().zip(&mut samples) {
                let rebuilding = scheme == Scheme::SlimKRecompute;
                // Slow and never close: the fewest samples do.
                if rebuilding && (rebuilt.is_none() || samples.len() >= self.effort.least.min(3)) {
                    continue;
                }
                let mut step = || match scheme {
                    Scheme::KvCache => baseline.run(isa, team, &query, &mut out),
                    Scheme::SlimK => slim.run(isa, team, &query, &mut out),
                    Scheme::SlimKRecompute => {
                        if let Some(kernel) = &rebuilt {
                            kernel.run(isa, team, &query, &mut out);
                        }
                    }
                };
                match self.setting.tier {
                    Tier::Dram => {
                        flush(keys);
                        match scheme {
                            Scheme::KvCache => flush(values),
                            _ => flush(weights.elements()),
                        }
                        if let Some(sweep) = self.sweep {
                            std::hint::black_box(sweep.iter().sum::<f32>());
                        }
                    }
                    Tier::Cache => step(),
                }
                samples.take(team, step);
            }
            round += 1;
            if round == self.effort.least {
                // Of long points the fewest samples may take longer.
                first = started.elapsed().as_secs_f64();
            }
            let counted = samples[..2].iter().map(Samples::len).min().unwrap_or(0);
            let late = started.elapsed().as_secs_f64() > self.effort.seconds;
            if counted >= self.effort.most || (counted >= self.effort.least && late) {
                break;
            }
            // Of a machine that disturbs most samples nothing will come.
            if round >= 6 * self.effort.most
                || started.elapsed().as_secs_f64() > HOPELESS * self.effort.seconds.max(first)
            {
                break;
            }
        }
        let rejected = samples.iter().map(|s| s.rejected).sum();
        let times: Vec<_> = Scheme::ALL
            .into_iter()
            .zip(&samples)
            .filter_map(|(scheme, samples)| Some((scheme, Summary::of(samples)?)))
            .collect();
        let enough = samples[..2].iter().all(|s| s.len() >= self.effort.least);
        if enough {
            Timed::Done(Measured { setting: *self.setting, times, rejected })
        } else {
            Timed::Disturbed { rejected }
        }
    }
}

/// Whether slim-k-recompute is run: not where it would take seconds.
fn recomputes(shape: &Shape) -> bool {
    let width = shape.width() as f64;
    (shape.context * shape.batch) as f64 * width * width <= MOST_RECOMPUTE
}
