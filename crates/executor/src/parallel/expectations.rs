//! Where the transactions of a block are expected to meet.

use alloy_primitives::{Address, U256, map::HashMap};
use std::sync::Arc;
use warpline_block_stm::Needs;
use warpline_types::{ExpectedAccesses, SlotKey};

/// A slot that a transaction is expected to read after an earlier one of the block wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting {
    pub(crate) address: Address,
    pub(crate) key: U256,
    /// The last transaction before the reader that is expected to write the slot.
    pub(crate) writer: u32,
}

/// What the transactions of a block are expected to touch, worked out for its execution: made with
/// the block, like senders and environments.
#[derive(Debug, Default)]
pub struct Expectations {
    accesses: Vec<ExpectedAccesses>,
    /// Where the meetings of each transaction end.
    ends: Vec<u32>,
    meetings: Vec<Meeting>,
    needs: Arc<Needs>,
    serial: bool,
    better_tried: bool,
}

/// Nearly all, in percent: of a block's work, where one chain makes it serial, and of its
/// transactions, where they are called quick.
const NEARLY_ALL: u128 = 95;

/// A transaction with a lower gas limit is over before two threads have taken turns.
const QUICK: u64 = 100_000;

/// In a longer chain trying tells more than the order of slots, at a cost that does not matter.
const SHORT: usize = 64;

impl Expectations {
    /// What is expected of the transactions of a block, in its order, each with its gas limit.
    pub fn new(expected: impl IntoIterator<Item = (ExpectedAccesses, u64)>) -> Self {
        let (mut known, mut serial) = (Self::default(), Serial::default());
        let expected: Vec<_> = expected.into_iter().collect();
        let slots = expected.iter().flat_map(|(accesses, _)| &accesses.slots);
        let written = slots.filter(|slot| slot.written).count();
        let mut writers =
            HashMap::<SlotKey, u32>::with_capacity_and_hasher(written, Default::default());
        for (tx, (accesses, gas_limit)) in (0_u32..).zip(expected) {
            let start = known.meetings.len();
            let mut late = None;
            for (at, slot) in accesses.slots.iter().enumerate() {
                let (address, key) = (slot.address, slot.slot);
                let writer = match slot.written {
                    true => writers.insert(SlotKey::new(address, key), tx),
                    false => writers.get(&SlotKey::new(address, key)).copied(),
                };
                if let Some(writer) = writer.filter(|writer| *writer != tx) {
                    known.meetings.push(Meeting { address, key, writer });
                    late.get_or_insert(at * 2 >= accesses.slots.len());
                }
            }
            serial.add(&known.meetings[start..], gas_limit, late);
            known.ends.push(known.meetings.len() as u32);
            known.accesses.push(accesses);
        }
        let writers = |tx| known.of(tx).iter().map(|meeting| meeting.writer);
        known.needs = Arc::new((0..known.len()).map(writers).collect());
        known.serial = serial.is_serial();
        known.better_tried = serial.is_better_tried();
        known
    }

    /// Number of transactions.
    pub const fn len(&self) -> usize {
        self.accesses.len()
    }

    /// Whether nothing is expected of anybody.
    pub const fn is_empty(&self) -> bool {
        self.accesses.is_empty()
    }

    /// What each transaction is expected to touch.
    pub fn accesses(&self) -> &[ExpectedAccesses] {
        &self.accesses
    }

    /// The same, to be changed and made use of anew.
    pub fn into_accesses(self) -> Vec<ExpectedAccesses> {
        self.accesses
    }

    /// Whether no transaction is expected to need what another one writes.
    pub(crate) const fn is_independent(&self) -> bool {
        self.meetings.is_empty()
    }

    /// Where transaction `tx` is expected to meet earlier ones.
    #[inline]
    pub(crate) fn of(&self, tx: usize) -> &[Meeting] {
        let Some(end) = self.ends.get(tx) else { return &[] };
        let start = tx.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.meetings[start as usize..*end as usize]
    }

    /// Who needs whom.
    pub(crate) const fn needs(&self) -> &Arc<Needs> {
        &self.needs
    }

    /// Whether running transactions ahead can hardly gain anything: nearly all work is in one
    /// short chain, whose transactions meet so early that not even their beginnings can overlap.
    pub(crate) const fn is_serial(&self) -> bool {
        self.serial
    }

    /// Whether to run transactions ahead and see is quicker than to hold each back until it has what
    /// it needs: nearly all are quick, in one long chain, and most meet only towards their end.
    pub(crate) const fn is_better_tried(&self) -> bool {
        self.better_tried
    }
}

/// How serial a block is, one transaction after the other.
#[derive(Default)]
struct Serial {
    /// The heaviest chain that ends with each transaction.
    chains: Vec<u64>,
    heaviest: u64,
    sum: u64,
    /// Transactions that meet earlier ones, and those of them that do so only in the second half
    /// of the slots that they look at.
    meeting: usize,
    late: usize,
    /// Transactions with a low gas limit.
    quick: usize,
}

impl Serial {
    fn add(&mut self, meetings: &[Meeting], work: u64, meets_late: Option<bool>) {
        let writers = meetings.iter().map(|meeting| meeting.writer as usize);
        let before = writers.filter_map(|writer| self.chains.get(writer)).max();
        let chain = before.copied().unwrap_or(0).saturating_add(work);
        self.chains.push(chain);
        self.heaviest = self.heaviest.max(chain);
        self.sum = self.sum.saturating_add(work);
        self.meeting += usize::from(meets_late.is_some());
        self.late += usize::from(meets_late == Some(true));
        self.quick += usize::from(work < QUICK);
    }

    fn is_serial(&self) -> bool {
        self.is_one_chain() && !self.meets_late() && self.meeting < SHORT
    }

    fn is_better_tried(&self) -> bool {
        let quick = self.quick as u128 * 100 >= self.chains.len() as u128 * NEARLY_ALL;
        self.is_one_chain() && self.meets_late() && self.meeting >= SHORT && quick
    }

    fn is_one_chain(&self) -> bool {
        u128::from(self.heaviest) * 100 > u128::from(self.sum) * NEARLY_ALL
    }

    const fn meets_late(&self) -> bool {
        self.late * 2 >= self.meeting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guidance;
    use warpline_types::ExpectedSlot;

    /// Slots by number; those that are written are negative.
    fn expected(slots: &[i64]) -> ExpectedAccesses {
        let slot = |slot: &i64| ExpectedSlot {
            address: Address::ZERO,
            slot: U256::from(slot.unsigned_abs()),
            written: *slot < 0,
        };
        ExpectedAccesses { accounts: Vec::new(), slots: slots.iter().map(slot).collect() }
    }

    fn of<const N: usize>(all: [&[i64]; N]) -> Expectations {
        Expectations::new(all.map(|slots| (expected(slots), 5)))
    }

    #[test]
    fn a_reader_meets_the_last_writer_before_it() {
        let known = of([&[-1], &[-1, 2], &[1, 3], &[-2], &[2, 1]]);
        let writers = |tx| known.of(tx).iter().map(|meeting| meeting.writer).collect::<Vec<_>>();
        assert_eq!([writers(0), writers(1), writers(2)], [vec![], vec![0], vec![1]]);
        assert_eq!([writers(3), writers(4), writers(5)], [vec![], vec![3, 1], vec![]]);
        assert_eq!(known.needs().of(4), [1, 3]);
        assert!(!known.is_independent());
        assert!(of([&[-1], &[2, -3], &[2, 4]]).is_independent());
    }

    #[test]
    fn a_chain_that_meets_early_is_serial_and_one_that_meets_late_is_not() {
        assert!(of([&[-1, 2, 3, 4], &[-1, 5, 6, 7], &[-1, 8, 9, 10]]).is_serial());
        assert!(!of([&[2, 3, 4, -1], &[5, 6, 7, -1], &[8, 9, 10, -1]]).is_serial());
        assert!(!of([&[-1, 2], &[-3, 4], &[-1, 5]]).is_serial());
    }

    #[test]
    fn a_long_chain_of_quick_transactions_that_meet_late_is_better_tried() {
        let chain = |length: usize, slots: &[i64], gas: u64| {
            Expectations::new((0..length).map(|_| (expected(slots), gas)))
        };
        assert!(chain(2 * SHORT, &[2, 3, -1], QUICK / 2).is_better_tried());
        assert!(!chain(2 * SHORT, &[2, 3, -1], 2 * QUICK).is_better_tried());
        assert!(!chain(2 * SHORT, &[-1, 2, 3], QUICK / 2).is_better_tried());
        assert!(!chain(SHORT / 2, &[2, 3, -1], QUICK / 2).is_better_tried());
        assert!(!chain(2 * SHORT, &[2, 3], QUICK / 2).is_better_tried());

        let ordered = |known: &Expectations| Guidance::expecting(known).order().is_some();
        assert!(!ordered(&chain(2 * SHORT, &[2, 3, -1], QUICK / 2)));
        assert!(ordered(&chain(2 * SHORT, &[2, 3, -1], 2 * QUICK)));
        let with_long_ones = |count: usize| {
            let gas = |tx| if tx < count { 2 * QUICK } else { QUICK / 2 };
            Expectations::new((0..2 * SHORT).map(|tx| (expected(&[2, -1]), gas(tx))))
        };
        assert!(with_long_ones(5).is_better_tried() && !with_long_ones(8).is_better_tried());
    }
}
