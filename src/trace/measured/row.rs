//! One row of a table: its values, checked, with what is wrong said in words.

use super::super::table::fields;
use super::super::values::{MAX_TOKENS, short};
use super::aiconfigurator as aic;
use super::columns::{Column, Kind, Layout};
use super::header::Header;
use super::names::{Interner, Names};
use super::table::Complaint;
use super::{Measured, MeasuredWork, Regime, dtypes};
use crate::units::Picos;

/// Why a row is left out. The words are keys of results: they never change.
pub(super) mod reason {
    pub(in super::super) const COLUMNS: &str = "wrong number of columns";
    pub(in super::super) const NOT_TEXT: &str = "not text";
    pub(super) const NUMBER: &str = "not a number";
    pub(super) const SIZE: &str = "zero or negative size";
    pub(super) const LARGE: &str = "size too large";
    pub(super) const HEADS: &str = "heads not a multiple of kv_heads";
    pub(super) const LATENCY: &str = "zero or negative latency";
    pub(super) const FINITE: &str = "latency not finite";
    pub(super) const HOUR: &str = "latency over an hour";
    pub(super) const DTYPE: &str = "unknown type";
    pub(super) const NAME: &str = "name missing";
    pub(super) const OPERATION: &str = "not a decode kernel";
    pub(super) const NEW_TOKENS: &str = "more than one new token";
    pub(super) const WINDOW: &str = "sliding window";
    pub(super) const BEAMS: &str = "beam search";
    pub(in super::super) const DUPLICATE: &str = "duplicate point";
    /// Such a row is kept.
    pub(in super::super) const REGIME: &str = "unknown regime";
}

/// A row that is left out.
pub(super) struct Skip {
    pub reason: &'static str,
    /// Where; the whole row if nowhere.
    pub column: Option<Column>,
    pub complaint: Complaint,
}

impl Skip {
    pub(super) fn new(
        reason: &'static str,
        column: Option<Column>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let complaint = Complaint { message: message.into(), expected: expected.into(), help: None };
        Self { reason, column, complaint }
    }
}

/// What a count must be.
const SIZE_EXPECTED: &str = "a whole number from 1 to 2147483648";

/// What the number of tokens before the new one must be.
const PAST_EXPECTED: &str = "a whole number from 0 to 2147483647";

/// What a latency must be.
const LATENCY_EXPECTED: &str = "a time above 0, at most an hour";

/// Most multiply–accumulates of a kernel that is accepted: FLOPs and bytes of further ones could not be counted.
const MOST_WORK: f64 = (1_u64 << 61) as f64;

/// The cells of a row by column; empty where the file has no such column.
pub(super) struct Cells<'a> {
    header: &'a Header,
    texts: [&'a str; Column::COUNT],
}

impl<'a> Cells<'a> {
    /// Splits a row.
    pub(super) fn split(header: &'a Header, line: &'a str) -> Result<Self, Skip> {
        let mut texts = [""; Column::COUNT];
        let mut width = 0;
        for (text, _) in fields(line) {
            if let Some(&Some(column)) = header.columns.get(width) {
                texts[column as usize] = text.trim();
            }
            width += 1;
        }
        let wanted = header.columns.len();
        if width != wanted {
            let plural = if width == 1 { "" } else { "s" };
            return Err(Skip::new(
                reason::COLUMNS,
                None,
                format!("the row has {width} column{plural}"),
                format!("{wanted} column{} as in the header", if wanted == 1 { "" } else { "s" }),
            ));
        }
        Ok(Self { header, texts })
    }

    const fn text(&self, column: Column) -> &'a str {
        self.texts[column as usize]
    }

    /// What is wrong with a column's text: `problem` follows its name and text.
    fn wrong(&self, reason: &'static str, column: Column, problem: &str, expected: &str) -> Skip {
        let (name, text) = (self.header.name(column), self.text(column));
        let message = if text.is_empty() {
            format!("{name} is missing")
        } else {
            format!("{name} '{}' {problem}", short(text))
        };
        Skip::new(reason, Some(column), message, expected)
    }

    /// A whole number, which may be zero. `expected` says what it must be.
    fn count(&self, column: Column, expected: &str) -> Result<u64, Skip> {
        let text = self.text(column);
        let fault = |reason, problem| Err(self.wrong(reason, column, problem, expected));
        // Spreadsheets and pandas write fractions of zeros.
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
            _ => text,
        };
        if !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) {
            return match whole.parse() {
                Ok(count) if count <= MAX_TOKENS => Ok(count),
                _ => fault(reason::LARGE, "is too large"),
            };
        }
        match text.parse::<f64>() {
            Ok(value) if value < 0.0 && value.is_finite() => fault(reason::SIZE, "is negative"),
            Ok(value) if value.is_finite() => fault(reason::NUMBER, "is not a whole number"),
            _ => fault(reason::NUMBER, "is not a number"),
        }
    }

    /// A whole number above zero.
    fn size(&self, column: Column) -> Result<u64, Skip> {
        match self.count(column, SIZE_EXPECTED)? {
            0 => Err(Skip::new(
                reason::SIZE,
                Some(column),
                format!("{} is zero", self.header.name(column)),
                SIZE_EXPECTED,
            )),
            count => Ok(count),
        }
    }

    /// What the kernel computed.
    fn work(&self) -> Result<MeasuredWork, Skip> {
        let shape = self.header.shape;
        let size = |column| self.size(column);
        let own = shape.layout == Layout::Own;
        let work = match shape.kind {
            Kind::Attention => MeasuredWork::Attention {
                batch: size(Column::Batch)?,
                heads: size(Column::Heads)?,
                kv_heads: size(Column::KvHeads)?,
                head_dim: size(Column::HeadDim)?,
                context: if own { size(Column::Context)? } else { self.attended()? },
            },
            Kind::Latent => MeasuredWork::Latent {
                batch: size(Column::Batch)?,
                heads: size(Column::Heads)?,
                latent_dim: if own { size(Column::LatentDim)? } else { aic::LATENT_DIM },
                rope_dim: if own { size(Column::RopeDim)? } else { aic::ROPE_DIM },
                context: if own { size(Column::Context)? } else { self.attended()? },
            },
            Kind::Gemm => {
                MeasuredWork::Gemm { m: size(Column::M)?, n: size(Column::N)?, k: size(Column::K)? }
            }
        };
        if let MeasuredWork::Attention { heads, kv_heads, .. } = work
            && heads % kv_heads != 0
        {
            let (all, kept) = (self.header.name(Column::Heads), self.header.name(Column::KvHeads));
            return Err(Skip::new(
                reason::HEADS,
                Some(Column::KvHeads),
                format!("{all} {heads} is no multiple of {kept} {kv_heads}"),
                format!("as many query heads for each of the {kept}"),
            ));
        }
        if macs(work) > MOST_WORK {
            return Err(Skip::new(
                reason::LARGE,
                None,
                "the kernel is too large to be counted",
                "at most 2^61 multiply-accumulates",
            ));
        }
        Ok(work)
    }

    /// Tokens attended in a decode step of aiconfigurator's: those in the cache, and the new one.
    fn attended(&self) -> Result<u64, Skip> {
        let new = self.size(Column::NewTokens)?;
        if new > 1 {
            return Err(self.wrong(
                reason::NEW_TOKENS,
                Column::NewTokens,
                "is more than one new token",
                "1, as in a decode step",
            ));
        }
        let context = self.count(Column::PastTokens, PAST_EXPECTED)? + new;
        if context > MAX_TOKENS {
            return Err(self.wrong(reason::LARGE, Column::PastTokens, "is too large", PAST_EXPECTED));
        }
        Ok(context)
    }

    /// Whether a row of aiconfigurator's is a decode kernel as they are known here.
    fn decode_kernel(&self) -> Result<(), Skip> {
        let shape = self.header.shape;
        if shape.layout == Layout::Own {
            return Ok(());
        }
        let operation = aic::operation(shape.kind);
        if self.text(Column::Operation) != operation {
            let problem = "is no decode kernel of this kind";
            return Err(self.wrong(reason::OPERATION, Column::Operation, problem, operation));
        }
        if !matches!(self.text(Column::Window), "" | "0" | "-1") {
            let problem = "is a sliding window, which no kind of rows has";
            return Err(self.wrong(reason::WINDOW, Column::Window, problem, "0"));
        }
        if !matches!(self.text(Column::Beams), "" | "1") {
            let problem = "is a beam search, which no kind of rows has";
            return Err(self.wrong(reason::BEAMS, Column::Beams, problem, "1"));
        }
        if !self.text(Column::ComputeDtype).is_empty() {
            self.dtype(Column::ComputeDtype)?;
        }
        Ok(())
    }

    fn dtype(&self, column: Column) -> Result<crate::units::Dtype, Skip> {
        let text = self.text(column);
        dtypes::parse(text).ok_or_else(|| {
            let mut skip = self.wrong(reason::DTYPE, column, "is no known element type", dtypes::EXPECTED);
            skip.complaint.help = dtypes::like(text).map(|name| format!("did you mean '{name}'?"));
            skip
        })
    }

    fn latency(&self) -> Result<Picos, Skip> {
        let fault = |reason, problem| self.wrong(reason, Column::Latency, problem, LATENCY_EXPECTED);
        let value: f64 =
            self.text(Column::Latency).parse().map_err(|_| fault(reason::NUMBER, "is not a number"))?;
        if !value.is_finite() {
            return Err(fault(reason::FINITE, "is not finite"));
        }
        let picos = (value * self.header.unit).round();
        if value < 0.0 {
            Err(fault(reason::LATENCY, "is negative"))
        } else if value == 0.0 {
            Err(fault(reason::LATENCY, "is zero"))
        } else if picos < 1.0 {
            Err(fault(reason::LATENCY, "is less than a picosecond"))
        } else if picos > 3600e12 {
            Err(fault(reason::HOUR, "is more than an hour"))
        } else {
            Ok(Picos(picos as u64))
        }
    }

    /// The number of the name in `column`, which is `name` of its text.
    fn name(&self, column: Column, interner: &mut Interner, name: impl FnOnce(&str) -> String) -> u32 {
        interner.number(self.text(column), name)
    }

    /// The row. What is to be said of a regime that is unknown goes to `unknown_regime`.
    pub(super) fn measured(
        &self,
        line: u64,
        names: &mut Names,
        unknown_regime: impl FnOnce(Skip),
    ) -> Result<Measured, Skip> {
        for column in [Column::Gpu, Column::Framework, Column::Kernel] {
            if self.text(column).is_empty() {
                return Err(self.wrong(reason::NAME, column, "", "a name"));
            }
        }
        self.decode_kernel()?;
        let dtype = self.dtype(Column::Dtype)?;
        let work = self.work()?;
        let latency = self.latency()?;
        let text = self.text(Column::Regime);
        let regime = Regime::ALL.into_iter().find(|r| r.name() == text);
        if regime.is_none() && !text.is_empty() {
            let known = Regime::ALL.map(Regime::name).join(", ");
            let mut remark = self.wrong(reason::REGIME, Column::Regime, "is no known regime", &known);
            remark.complaint.help = Some("the row is kept, without a regime".into());
            unknown_regime(remark);
        }
        let version = self.header.place(Column::Version).map(|_| Column::Version);
        let own = self.header.shape.layout == Layout::Own;
        Ok(Measured {
            work,
            gpu: self.name(Column::Gpu, &mut names.gpus, |text| {
                if own { text } else { aic::gpu(text) }.to_ascii_lowercase()
            }),
            framework: self.name(Column::Framework, &mut names.frameworks, str::to_ascii_lowercase),
            version: version.map(|column| self.name(column, &mut names.versions, str::to_owned)),
            kernel: self.name(Column::Kernel, &mut names.kernels, str::to_owned),
            dtype,
            latency,
            regime,
            line,
        })
    }
}

/// Multiply–accumulates of a kernel.
fn macs(work: MeasuredWork) -> f64 {
    let product = |sizes: &[u64]| sizes.iter().map(|&s| s as f64).product::<f64>();
    match work {
        MeasuredWork::Attention { batch, heads, head_dim, context, .. } => {
            2.0 * product(&[batch, heads, head_dim, context])
        }
        MeasuredWork::Latent { batch, heads, latent_dim, rope_dim, context } => {
            product(&[batch, heads, 2 * latent_dim + rope_dim, context])
        }
        MeasuredWork::Gemm { m, n, k } => product(&[m, n, k]),
    }
}
