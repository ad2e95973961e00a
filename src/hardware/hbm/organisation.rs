//! How a channel is organised: pseudo-channels, ranks, bank groups, banks, rows and columns.

/// The organisation of one channel. Every count is a power of two, since addresses are made of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Organisation {
    /// Pseudo-channels: halves of the data bus that share the command buses.
    pub pseudo_channels: u32,
    /// Ranks; in HBM stack IDs (SID).
    pub ranks: u32,
    /// Bank groups of a rank.
    pub bank_groups: u32,
    /// Banks of a bank group.
    pub banks: u32,
    /// Rows of a bank.
    pub rows: u32,
    /// Bursts of a row of one pseudo-channel.
    pub columns: u32,
    /// Bytes of a burst.
    pub burst_bytes: u32,
}

impl Organisation {
    /// Banks of a channel, over all pseudo-channels.
    #[must_use]
    pub const fn all_banks(&self) -> u32 {
        self.pseudo_channels * self.ranks * self.bank_groups * self.banks
    }

    /// Bursts of a channel.
    #[must_use]
    pub const fn bursts(&self) -> u64 {
        self.all_banks() as u64 * self.rows as u64 * self.columns as u64
    }

    /// Bytes of a row of one pseudo-channel.
    #[must_use]
    pub const fn row_bytes(&self) -> u64 {
        self.columns as u64 * self.burst_bytes as u64
    }

    /// Address bits of `field`.
    #[must_use]
    pub const fn bits(&self, field: Field) -> u32 {
        match field {
            Field::PseudoChannel => self.pseudo_channels,
            Field::Rank => self.ranks,
            Field::BankGroup => self.bank_groups,
            Field::Bank => self.banks,
            Field::Row => self.rows,
            Field::Column => self.columns,
        }
        .ilog2()
    }
}

/// What a group of address bits selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The pseudo-channel.
    PseudoChannel,
    /// The rank or stack ID.
    Rank,
    /// The bank group.
    BankGroup,
    /// The bank in its group.
    Bank,
    /// The row of the bank.
    Row,
    /// The burst in the row.
    Column,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 6] =
        [Self::PseudoChannel, Self::Rank, Self::BankGroup, Self::Bank, Self::Row, Self::Column];

    /// Its name in an address map.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PseudoChannel => "pc",
            Self::Rank => "sid",
            Self::BankGroup => "bg",
            Self::Bank => "ba",
            Self::Row => "row",
            Self::Column => "col",
        }
    }
}
