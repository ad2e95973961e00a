//! Requests that wait in a controller's queue, by bank.

use std::collections::VecDeque;

/// No row is open.
pub(super) const CLOSED: u32 = u32::MAX;
/// Never.
pub(super) const NEVER: u64 = u64::MAX;

/// A burst in a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Place in the order in which the controller took requests in.
    pub(super) order: u64,
    pub(super) arrival: u64,
    pub(super) row: u32,
    /// Whether a row command was issued for it.
    pub(super) counted: bool,
    pub(super) write: bool,
}

/// What waits for one bank.
#[derive(Debug, Clone)]
struct OfBank {
    /// In order of arrival.
    requests: VecDeque<Request>,
    /// Order of the oldest request for the open row.
    hit: u64,
    /// Order of the oldest request for another row.
    miss: u64,
}

/// Banks of a pseudo-channel as bits, and a tick before which none of them is ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct Banks {
    pub(super) mask: u64,
    pub(super) next: u64,
}

impl Banks {
    pub(super) const NONE: Self = Self { mask: 0, next: NEVER };

    /// The bits, lowest first.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        let mut mask = self.mask;
        std::iter::from_fn(move || {
            let bit = mask.trailing_zeros() as usize;
            (mask != 0).then(|| {
                mask &= mask - 1;
                bit
            })
        })
    }
}

/// A queue: requests by bank, and which banks want which command, by pseudo-channel.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    banks: Vec<OfBank>,
    pub(super) len: usize,
    /// Banks with requests for their open row.
    pub(super) hits: Vec<Banks>,
    /// Closed banks with requests.
    pub(super) closed: Vec<Banks>,
    /// Banks with an open row and requests for another, to be closed.
    pub(super) conflicts: Vec<Banks>,
    pc_shift: u32,
}

impl Queue {
    pub(super) fn new(banks: usize, pcs: usize, size: usize) -> Self {
        // As many as a bank is likely to hold.
        let room = (4 * size / banks).max(4).min(size);
        let nothing = |_| OfBank { requests: VecDeque::with_capacity(room), hit: NEVER, miss: NEVER };
        Self {
            banks: (0..banks).map(nothing).collect(),
            len: 0,
            hits: vec![Banks::NONE; pcs],
            closed: vec![Banks::NONE; pcs],
            conflicts: vec![Banks::NONE; pcs],
            pc_shift: (banks / pcs).ilog2(),
        }
    }

    const fn place(&self, bank: usize) -> (usize, u64) {
        (bank >> self.pc_shift, 1 << (bank & ((1 << self.pc_shift) - 1)))
    }

    pub(super) fn push(&mut self, bank: usize, open: u32, request: Request) {
        self.len += 1;
        let (p, bit) = self.place(bank);
        let of = &mut self.banks[bank];
        of.requests.push_back(request);
        // What is older keeps its place: only a first of its kind changes anything.
        if open == request.row {
            if of.hit == NEVER {
                of.hit = request.order;
                self.hits[p].mask |= bit;
                self.hits[p].next = 0;
            }
        } else if of.miss == NEVER {
            of.miss = request.order;
            let banks = if open == CLOSED { &mut self.closed[p] } else { &mut self.conflicts[p] };
            banks.mask |= bit;
            banks.next = 0;
        }
    }

    /// Order of the oldest request for the open row of `bank`.
    pub(super) fn oldest_hit(&self, bank: usize) -> u64 {
        self.banks[bank].hit
    }

    /// Order of the oldest request for another row than the open one of `bank`.
    pub(super) fn oldest_miss(&self, bank: usize) -> u64 {
        self.banks[bank].miss
    }

    /// Takes the oldest request for the open row out.
    pub(super) fn take_hit(&mut self, bank: usize, open: u32) -> Option<Request> {
        let of = &mut self.banks[bank];
        let i = of.requests.iter().position(|r| r.row == open)?;
        let request = of.requests.remove(i)?;
        self.len -= 1;
        of.hit = of.requests.iter().skip(i).find(|r| r.row == open).map_or(NEVER, |r| r.order);
        if of.hit == NEVER {
            let (p, bit) = self.place(bank);
            self.hits[p].mask &= !bit;
        }
        Some(request)
    }

    /// Takes the oldest request of a closed bank out: its row is opened for it.
    pub(super) fn take_first(&mut self, bank: usize) -> Option<Request> {
        self.len -= 1;
        self.banks[bank].requests.pop_front()
    }

    /// Notes that a row command was issued for the oldest request for another row than `open`.
    pub(super) fn note_row_command(&mut self, bank: usize, open: u32) {
        if let Some(r) = self.banks[bank].requests.iter_mut().find(|r| r.row != open) {
            r.counted = true;
        }
    }

    /// Sorts the requests of `bank` anew, whose open row is now `open`. While the row waits for the request that opened it, `guarded`,
    /// nobody may close it.
    pub(super) fn sort(&mut self, bank: usize, open: u32, guarded: bool) {
        let (p, bit) = self.place(bank);
        let of = &mut self.banks[bank];
        (of.hit, of.miss) = (NEVER, NEVER);
        for r in &of.requests {
            let first = if r.row == open { &mut of.hit } else { &mut of.miss };
            if *first == NEVER {
                *first = r.order;
            }
        }
        let (hit, miss) = (of.hit < NEVER, of.miss < NEVER);
        let set = |banks: &mut Banks, on: bool| {
            if on {
                banks.mask |= bit;
                banks.next = 0;
            } else {
                banks.mask &= !bit;
            }
        };
        set(&mut self.hits[p], hit);
        set(&mut self.closed[p], miss && open == CLOSED);
        set(&mut self.conflicts[p], miss && open != CLOSED && !guarded);
    }
}
