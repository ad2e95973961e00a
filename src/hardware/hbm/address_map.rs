//! Which address bits select pseudo-channel, rank, bank group, bank, row and column.

use std::fmt;

use super::organisation::{Field, Organisation};

/// One entry of a map: a field and how many of its bits come here; `None`: all that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// The field.
    pub field: Field,
    /// Its bits here, the lowest ones that no earlier entry took.
    pub bits: Option<u32>,
}

/// An address map of one channel: entries from the lowest bit above the burst upwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressMap {
    /// Its name.
    pub name: String,
    /// The entries.
    pub parts: Vec<Part>,
}

/// Why a map does not suit an organisation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// More bits of a field than there are.
    #[error("address map uses bit {bit} of {} twice or beyond its {has} bits", field.name())]
    Twice {
        /// The field.
        field: Field,
        /// The first bit too many.
        bit: u32,
        /// Bits of the field.
        has: u32,
    },
    /// Bits that no entry takes.
    #[error("address map misses {missing} of the {has} bits of {}", field.name())]
    Misses {
        /// The field.
        field: Field,
        /// How many are missing.
        missing: u32,
        /// Bits of the field.
        has: u32,
    },
}

impl AddressMap {
    /// Parses `pc bg:1 col:2 …`.
    ///
    /// # Errors
    ///
    /// The entry that is none.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let parts = text.split_whitespace().map(|entry| {
            let (field, bits) = entry.split_once(':').map_or((entry, None), |(f, b)| (f, Some(b)));
            let field = Field::ALL.into_iter().find(|f| f.name() == field).ok_or_else(|| entry.to_owned())?;
            let bits = bits.map(str::parse).transpose().map_err(|_| entry.to_owned())?;
            Ok(Part { field, bits })
        });
        Ok(Self { name: name.to_owned(), parts: parts.collect::<Result<_, String>>()? })
    }

    /// The map of `organisation`'s addresses.
    ///
    /// # Errors
    ///
    /// A bit that is used twice or not at all.
    pub fn decoder(&self, organisation: &Organisation) -> Result<Decoder, MapError> {
        let mut used = [0; Field::ALL.len()];
        let mut slices = Vec::with_capacity(self.parts.len());
        let mut from = 0;
        for part in &self.parts {
            let taken = &mut used[part.field as usize];
            let has = organisation.bits(part.field);
            let bits = part.bits.unwrap_or(has.saturating_sub(*taken));
            if bits > has - *taken {
                return Err(MapError::Twice { field: part.field, bit: has, has });
            }
            // The bank number is made of pseudo-channel, rank, group and bank, from the highest bit down.
            let above = match part.field {
                Field::Bank => 0,
                Field::BankGroup => organisation.bits(Field::Bank),
                Field::Rank => organisation.bits(Field::Bank) + organisation.bits(Field::BankGroup),
                Field::PseudoChannel => {
                    organisation.bits(Field::Bank)
                        + organisation.bits(Field::BankGroup)
                        + organisation.bits(Field::Rank)
                }
                Field::Row | Field::Column => 0,
            };
            if bits > 0 {
                slices.push((part.field, Slice { from, mask: (1 << bits) - 1, to: above + *taken }));
            }
            *taken += bits;
            from += bits;
        }
        for field in Field::ALL {
            let has = organisation.bits(field);
            if used[field as usize] < has {
                return Err(MapError::Misses { field, missing: has - used[field as usize], has });
            }
        }
        let of = |wanted: fn(Field) -> bool| -> Vec<Slice> {
            let mut merged: Vec<Slice> = Vec::new();
            for &(_, slice) in slices.iter().filter(|s| wanted(s.0)) {
                match merged.last_mut() {
                    Some(last) if last.joins(slice) => last.mask |= slice.mask << last.mask.count_ones(),
                    _ => merged.push(slice),
                }
            }
            merged
        };
        Ok(Decoder {
            bank: of(|f| !matches!(f, Field::Row | Field::Column)),
            row: of(|f| f == Field::Row),
            bursts: organisation.bursts(),
        })
    }
}

impl fmt::Display for AddressMap {
    /// The text that [`AddressMap::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}", part.field.name())?;
            if let Some(bits) = part.bits {
                write!(f, ":{bits}")?;
            }
        }
        Ok(())
    }
}

/// A run of address bits and where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    from: u32,
    mask: u64,
    to: u32,
}

impl Slice {
    /// Whether `next` continues this slice on both sides.
    const fn joins(&self, next: Self) -> bool {
        let bits = self.mask.count_ones();
        self.from + bits == next.from && self.to + bits == next.to
    }
}

/// A map, ready to take addresses apart.
#[derive(Debug, Clone)]
pub struct Decoder {
    bank: Vec<Slice>,
    row: Vec<Slice>,
    bursts: u64,
}

impl Decoder {
    /// Bank number over all pseudo-channels, and row, of the burst numbered `burst` within its channel.
    #[must_use]
    #[inline]
    pub fn bank_and_row(&self, burst: u64) -> (u16, u32) {
        let take =
            |slices: &[Slice]| slices.iter().fold(0, |sum, s| sum | (((burst >> s.from) & s.mask) << s.to));
        (take(&self.bank) as u16, take(&self.row) as u32)
    }

    /// Bursts of a channel.
    #[must_use]
    pub const fn bursts(&self) -> u64 {
        self.bursts
    }
}
