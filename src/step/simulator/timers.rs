//! The timers of a simulator: one of the whole machine, and some of what is left of it while rows are held on chip.

use super::super::operator::OperatorTimer;
use crate::units::Bytes;

/// Timers with something held on chip that are kept at most.
const MOST_TIMERS: usize = 16;

/// Timers of one machine, with nothing or something held in its on-chip memory.
#[derive(Debug)]
pub(super) struct Timers {
    pub(super) plain: OperatorTimer,
    /// While part of the memory holds rows that all layers share: one for each number of bytes.
    pub(super) reserving: Vec<(Bytes, OperatorTimer)>,
}

impl Timers {
    /// The timer of the machine while `bytes` of its on-chip memory are held.
    pub(super) fn holding(&mut self, bytes: Bytes) -> &mut OperatorTimer {
        if bytes == Bytes::ZERO {
            return &mut self.plain;
        }
        let at = match self.reserving.iter().position(|(held, _)| *held == bytes) {
            Some(at) => at,
            None => {
                if self.reserving.len() >= MOST_TIMERS {
                    self.reserving.remove(0);
                }
                self.reserving.push((bytes, self.plain.reserving(bytes)));
                self.reserving.len() - 1
            }
        };
        &mut self.reserving[at].1
    }
}
