//! Timing parameters, as data sheets give them, and the distances between commands that follow.

use crate::units::Picos;

/// Timing of a part in clock cycles (CK), under JEDEC's names. A command counts from its last cycle on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// One clock cycle.
    pub tck: Picos,
    /// Data bus time of a burst.
    pub tbl: u32,
    /// Read command to data.
    pub tcl: u32,
    /// Write command to data.
    pub tcwl: u32,
    /// ACT to RD.
    pub trcd_read: u32,
    /// ACT to WR.
    pub trcd_write: u32,
    /// PRE to ACT.
    pub trp: u32,
    /// ACT to PRE.
    pub tras: u32,
    /// ACT to ACT of one bank.
    pub trc: u32,
    /// RD to PRE.
    pub trtp: u32,
    /// End of write data to PRE.
    pub twr: u32,
    /// Column command to column command, other bank group.
    pub tccd_s: u32,
    /// Column command to column command, same bank group.
    pub tccd_l: u32,
    /// RD to RD of another rank.
    pub tccd_r: u32,
    /// ACT to ACT, other bank group.
    pub trrd_s: u32,
    /// ACT to ACT, same bank group.
    pub trrd_l: u32,
    /// Window that holds at most four ACTs.
    pub tfaw: u32,
    /// End of write data to RD, other bank group.
    pub twtr_s: u32,
    /// End of write data to RD, same bank group.
    pub twtr_l: u32,
    /// RD to WR.
    pub trtw: u32,
    /// PRE to PRE.
    pub tppd: u32,
    /// All-bank refresh.
    pub trfc: u32,
    /// Mean interval of all-bank refreshes.
    pub trefi: u32,
}

/// How commands reach the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandBus {
    /// Whether row and column commands share one bus; HBM has one for each.
    pub shared: bool,
    /// Half cycles that ACT takes.
    pub activate: u32,
    /// Half cycles that PRE and REF take.
    pub row: u32,
    /// Half cycles that RD and WR take.
    pub column: u32,
}

/// Least distances between commands in ticks: half cycles where some command takes an odd number of them, else cycles.
///
/// Data sheets measure from the last cycle of one command to the last of the next; here commands are noted at their first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distances {
    pub(super) half_cycles: bool,
    pub(super) shared_bus: bool,
    pub(super) activate_bus: u64,
    pub(super) row_bus: u64,
    pub(super) column_bus: u64,
    pub(super) data: u64,
    pub(super) act_read: u64,
    pub(super) act_write: u64,
    pub(super) act_pre: u64,
    pub(super) act_act_bank: u64,
    pub(super) act_act_short: u64,
    pub(super) act_act_long: u64,
    pub(super) four_acts: u64,
    pub(super) act_refresh: u64,
    pub(super) pre_act: u64,
    pub(super) pre_pre: u64,
    pub(super) pre_refresh: u64,
    pub(super) refresh_act: u64,
    pub(super) refresh_interval: u64,
    pub(super) read_pre: u64,
    pub(super) write_pre: u64,
    pub(super) column_short: u64,
    pub(super) column_long: u64,
    pub(super) read_read_ranks: u64,
    pub(super) read_write: u64,
    pub(super) write_read_short: u64,
    pub(super) write_read_long: u64,
    pub(super) read_latency: u64,
    pub(super) write_latency: u64,
}

impl Distances {
    /// Ticks of a clock cycle.
    pub(super) const fn per_cycle(&self) -> u64 {
        if self.half_cycles { 2 } else { 1 }
    }

    pub(super) fn new(timing: &Timing, bus: &CommandBus) -> Self {
        let half_cycles = !(bus.activate.is_multiple_of(2) && bus.row.is_multiple_of(2));
        let per_cycle: u64 = if half_cycles { 2 } else { 1 };
        let ticks = |half_cycles: u32| u64::from(half_cycles) * per_cycle / 2;
        let (act, row, col) = (ticks(bus.activate), ticks(bus.row), ticks(bus.column));
        // From the first cycle of a command of `from` ticks to the first of one of `to`.
        let between = |cycles: u32, from: u64, to: u64| {
            (u64::from(cycles) * per_cycle + from).saturating_sub(to).max(1)
        };
        let written = timing.tcwl + timing.tbl;
        Self {
            half_cycles,
            shared_bus: bus.shared,
            activate_bus: act,
            row_bus: row,
            column_bus: col,
            data: u64::from(timing.tbl) * per_cycle,
            act_read: between(timing.trcd_read, act, col),
            act_write: between(timing.trcd_write, act, col),
            act_pre: between(timing.tras, act, row),
            act_act_bank: between(timing.trc, act, act),
            act_act_short: between(timing.trrd_s, act, act),
            act_act_long: between(timing.trrd_l, act, act),
            four_acts: between(timing.tfaw, act, act),
            act_refresh: between(timing.trc, act, row),
            pre_act: between(timing.trp, row, act),
            pre_pre: between(timing.tppd, row, row),
            pre_refresh: between(timing.trp, row, row),
            refresh_act: between(timing.trfc, row, act),
            refresh_interval: u64::from(timing.trefi) * per_cycle,
            read_pre: between(timing.trtp, col, row),
            write_pre: between(written + timing.twr, col, row),
            column_short: between(timing.tccd_s, col, col),
            column_long: between(timing.tccd_l, col, col),
            read_read_ranks: between(timing.tccd_r, col, col),
            read_write: between(timing.trtw, col, col),
            write_read_short: between(written + timing.twtr_s, col, col),
            write_read_long: between(written + timing.twtr_l, col, col),
            read_latency: u64::from(timing.tcl + timing.tbl) * per_cycle,
            write_latency: u64::from(written) * per_cycle,
        }
    }
}
