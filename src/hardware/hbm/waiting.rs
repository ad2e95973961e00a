//! Requests that wait in a controller's queue, by bank and by age.

use super::device::MOST_BANKS;

/// No row is open.
pub(super) const CLOSED: u32 = u32::MAX;
/// Never.
pub(super) const NEVER: u64 = u64::MAX;
/// No slot of a queue.
const NONE: u32 = u32::MAX;
/// Places for banks in a pseudo-channel: a bank's number is that of its pseudo-channel times this, and its own in it.
pub(super) const PLACES: usize = MOST_BANKS as usize;
/// The same as a shift.
pub(super) const PC_SHIFT: u32 = MOST_BANKS.ilog2();
/// Bits of an order that hold the bank.
const BANK_BITS: u32 = 16;

/// Place in the order in which a controller takes requests in, and the bank: of two, the lower is the older one.
pub(super) const fn order(place: u64, bank: usize) -> u64 {
    place << BANK_BITS | bank as u64
}

/// The bank of a request of this order.
pub(super) const fn bank_of(order: u64) -> usize {
    (order & ((1 << BANK_BITS) - 1)) as usize
}

/// A burst in a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Its place and bank: see [`order`].
    pub(super) order: u64,
    pub(super) arrival: u64,
    pub(super) row: u32,
    /// Whether a row command was issued for it.
    pub(super) counted: bool,
    pub(super) write: bool,
}

/// No request.
pub(super) const NOBODY: Request =
    Request { order: 0, arrival: 0, row: CLOSED, counted: false, write: false };

/// A request and its neighbours; a free slot has only the next free one.
#[derive(Debug, Clone, Copy)]
struct Slot {
    request: Request,
    /// The next one of the same bank.
    next: u32,
    older: u32,
    newer: u32,
}

/// Banks of a pseudo-channel as bits, and a tick before which none of them is ready: never, where there are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Banks {
    pub(super) mask: u64,
    pub(super) next: u64,
}

impl Banks {
    pub(super) const NONE: Self = Self { mask: 0, next: NEVER };

    /// One more, not ready before `ready`.
    #[inline]
    pub(super) fn insert(&mut self, bit: u64, ready: u64) {
        self.mask |= bit;
        self.next = self.next.min(ready);
    }

    #[inline]
    pub(super) const fn remove(&mut self, bit: u64) {
        self.mask &= !bit;
        if self.mask == 0 {
            self.next = NEVER;
        }
    }
}

/// What waits for a pseudo-channel.
#[derive(Debug, Clone)]
pub(super) struct Wants {
    /// Banks with requests for their open row.
    pub(super) hits: Banks,
    /// Closed banks with requests.
    pub(super) closed: Banks,
    /// Banks with an open row and requests for another, to be closed.
    pub(super) conflicts: Banks,
    /// By bank, its oldest and newest request.
    ends: [(u32, u32); PLACES],
    /// By bank, the order of the oldest request for its open row, and of the oldest one for another row.
    hit: [u64; PLACES],
    miss: [u64; PLACES],
}

impl Wants {
    /// Order of the oldest request for the open row of `bank`.
    #[inline]
    pub(super) const fn oldest_hit(&self, bank: usize) -> u64 {
        self.hit[bank % PLACES]
    }

    /// Order of the oldest request for another row than the open one of `bank`.
    #[inline]
    pub(super) const fn oldest_miss(&self, bank: usize) -> u64 {
        self.miss[bank % PLACES]
    }
}

/// A queue: requests by bank and by age, and which banks want which command, by pseudo-channel.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    slots: Vec<Slot>,
    free: u32,
    oldest: u32,
    newest: u32,
    pub(super) len: usize,
    pub(super) pcs: Vec<Wants>,
}

/// The bit of a bank in its pseudo-channel.
#[inline]
const fn bit(bank: usize) -> u64 {
    1 << (bank % PLACES)
}

impl Queue {
    pub(super) fn new(pcs: usize) -> Self {
        let wants = Wants {
            hits: Banks::NONE,
            closed: Banks::NONE,
            conflicts: Banks::NONE,
            ends: [(NONE, NONE); PLACES],
            hit: [NEVER; PLACES],
            miss: [NEVER; PLACES],
        };
        Self { slots: Vec::new(), free: NONE, oldest: NONE, newest: NONE, len: 0, pcs: vec![wants; pcs] }
    }

    /// Takes a request in, for which there is room. `open` is the row that is open; while it waits for the request that opened it,
    /// `guarded`, nobody may close it. The command that it needs is not ready before `ready`.
    #[inline]
    pub(super) fn push(&mut self, bank: usize, open: u32, guarded: bool, request: Request, ready: u64) {
        self.len += 1;
        let slot = Slot { request, next: NONE, older: self.newest, newer: NONE };
        let new = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let next = std::mem::replace(free, slot).next;
                std::mem::replace(&mut self.free, next)
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let newest = std::mem::replace(&mut self.newest, new);
        if newest == NONE {
            self.oldest = new;
        } else {
            self.slots[newest as usize].newer = new;
        }
        let wants = &mut self.pcs[bank >> PC_SHIFT];
        let b = bank % PLACES;
        let last = std::mem::replace(&mut wants.ends[b].1, new);
        if last == NONE {
            wants.ends[b].0 = new;
        } else {
            self.slots[last as usize].next = new;
        }
        // What is older keeps its place: only a first of its kind changes anything.
        if open == request.row {
            if wants.hit[b] == NEVER {
                wants.hit[b] = request.order;
                wants.hits.insert(bit(bank), ready);
            }
        } else if wants.miss[b] == NEVER {
            wants.miss[b] = request.order;
            let banks = if open == CLOSED { &mut wants.closed } else { &mut wants.conflicts };
            banks.insert(bit(bank), ready);
            if guarded {
                banks.remove(bit(bank));
            }
        }
    }

    /// Requests of all banks with their slots, oldest first.
    #[inline]
    pub(super) fn by_age(&self) -> impl Iterator<Item = (u32, &Request)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            let here = at;
            let slot = self.slots.get(here as usize)?;
            at = slot.newer;
            Some((here, &slot.request))
        })
    }

    /// Slot of the oldest request of all.
    #[inline]
    pub(super) const fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Takes what is in slot `at` out and `new` in, by age only: between [`Self::forget_banks`] and [`Self::sort_banks`].
    #[inline]
    pub(super) fn exchange(&mut self, at: u32, new: Request) -> Request {
        if at != self.newest {
            let Slot { older, newer, .. } = self.slots[at as usize];
            self.slots[newer as usize].older = older;
            if older == NONE {
                self.oldest = newer;
            } else {
                self.slots[older as usize].newer = newer;
            }
            let slot = &mut self.slots[at as usize];
            (slot.older, slot.newer) = (self.newest, NONE);
            self.slots[self.newest as usize].newer = at;
            self.newest = at;
        }
        std::mem::replace(&mut self.slots[at as usize].request, new)
    }

    /// Keeps requests by age alone, all of them for open rows.
    pub(super) fn forget_banks(&mut self) {
        for wants in &mut self.pcs {
            let mut mask = wants.hits.mask;
            while mask != 0 {
                let b = mask.trailing_zeros() as usize % PLACES;
                (wants.ends[b], wants.hit[b]) = ((NONE, NONE), NEVER);
                mask &= mask - 1;
            }
            wants.hits = Banks::NONE;
        }
    }

    /// Sorts by bank anew, after [`Self::forget_banks`].
    pub(super) fn sort_banks(&mut self) {
        let mut at = self.oldest;
        while let Some(slot) = self.slots.get_mut(at as usize) {
            slot.next = NONE;
            let (here, order) = (at, slot.request.order);
            at = slot.newer;
            let bank = bank_of(order);
            let wants = &mut self.pcs[bank >> PC_SHIFT];
            let b = bank % PLACES;
            let last = std::mem::replace(&mut wants.ends[b].1, here);
            if last == NONE {
                (wants.ends[b].0, wants.hit[b]) = (here, order);
                wants.hits.insert(bit(bank), 0);
            } else {
                self.slots[last as usize].next = here;
            }
        }
    }

    /// Takes the oldest request for the open row out.
    #[inline]
    pub(super) fn take_hit(&mut self, bank: usize, open: u32) -> Option<Request> {
        let (mut before, mut at) = (NONE, self.first(bank));
        while self.slots.get(at as usize)?.request.row != open {
            before = at;
            at = self.slots[at as usize].next;
        }
        let (request, mut after) = self.take(bank, before, at);
        let mut hit = NEVER;
        while let Some(slot) = self.slots.get(after as usize) {
            if slot.request.row == open {
                hit = slot.request.order;
                break;
            }
            after = slot.next;
        }
        let wants = &mut self.pcs[bank >> PC_SHIFT];
        wants.hit[bank % PLACES] = hit;
        if hit == NEVER {
            wants.hits.remove(bit(bank));
        }
        Some(request)
    }

    /// Takes the oldest request of a closed bank out: its row is opened for it.
    #[inline]
    pub(super) fn take_first(&mut self, bank: usize) -> Option<Request> {
        let first = self.first(bank);
        (first != NONE).then(|| self.take(bank, NONE, first).0)
    }

    #[inline]
    fn first(&self, bank: usize) -> u32 {
        self.pcs[bank >> PC_SHIFT].ends[bank % PLACES].0
    }

    /// Takes out what is in slot `at`, after `before` in its bank. Returns also what comes after it in its bank.
    #[inline]
    fn take(&mut self, bank: usize, before: u32, at: u32) -> (Request, u32) {
        self.len -= 1;
        let free = std::mem::replace(&mut self.free, at);
        let slot = &mut self.slots[at as usize];
        let Slot { request, next, older, newer } = *slot;
        slot.next = free;
        let ends = &mut self.pcs[bank >> PC_SHIFT].ends[bank % PLACES];
        if next == NONE {
            ends.1 = before;
        }
        if before == NONE {
            ends.0 = next;
        } else {
            self.slots[before as usize].next = next;
        }
        if older == NONE {
            self.oldest = newer;
        } else {
            self.slots[older as usize].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.slots[newer as usize].older = older;
        }
        (request, next)
    }

    /// Sorts the requests of `bank` by its row `open`, which has just been opened, is guarded, and can be read or written at `ready`.
    #[inline]
    pub(super) fn opened(&mut self, bank: usize, open: u32, ready: u64) {
        let wants = &mut self.pcs[bank >> PC_SHIFT];
        let (mut hit, mut miss) = (NEVER, NEVER);
        let mut at = wants.ends[bank % PLACES].0;
        while let Some(slot) = self.slots.get(at as usize) {
            let first = if slot.request.row == open { &mut hit } else { &mut miss };
            *first = (*first).min(slot.request.order);
            at = slot.next;
        }
        (wants.hit[bank % PLACES], wants.miss[bank % PLACES]) = (hit, miss);
        if hit < NEVER {
            wants.hits.insert(bit(bank), ready);
        }
        wants.closed.remove(bit(bank));
    }

    /// The row of `bank` is guarded no longer: it can be read or written at `ready`, and closed at `close`.
    #[inline]
    pub(super) fn released(&mut self, bank: usize, ready: u64, close: u64) {
        let wants = &mut self.pcs[bank >> PC_SHIFT];
        if wants.hit[bank % PLACES] < NEVER {
            wants.hits.insert(bit(bank), ready);
        }
        if wants.miss[bank % PLACES] < NEVER {
            wants.conflicts.insert(bit(bank), close);
        }
    }

    /// The row of `bank` has been closed; another one can be opened at `ready`.
    #[inline]
    pub(super) fn closed(&mut self, bank: usize, ready: u64) {
        let wants = &mut self.pcs[bank >> PC_SHIFT];
        let first = wants.ends[bank % PLACES].0;
        let miss = self.slots.get(first as usize).map_or(NEVER, |s| s.request.order);
        (wants.hit[bank % PLACES], wants.miss[bank % PLACES]) = (NEVER, miss);
        wants.hits.remove(bit(bank));
        if miss < NEVER {
            wants.closed.insert(bit(bank), ready);
        }
        wants.conflicts.remove(bit(bank));
    }

    /// Notes that a row command was issued for the oldest request for another row than `open`.
    #[inline]
    pub(super) fn note_row_command(&mut self, bank: usize, open: u32) {
        let mut at = self.first(bank);
        while let Some(slot) = self.slots.get_mut(at as usize) {
            if slot.request.row != open {
                slot.request.counted = true;
                return;
            }
            at = slot.next;
        }
    }
}
