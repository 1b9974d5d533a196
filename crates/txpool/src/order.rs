//! The senders in the order in which their next transactions pay.
//!
//! What a transaction pays depends on the base fee, which changes with every block. But it pays
//! either its whole tip, or what its cap leaves over the base fee; within each of these groups
//! the order does not depend on the base fee. So there is a list for each group, and a change of
//! the base fee moves only the transactions that change groups.

use crate::transaction::PoolTransaction;
use alloy_primitives::Address;
use core::cmp::Reverse;
use std::collections::BTreeMap;

/// A place in one of the lists: the amount that decides, highest first, then arrival.
pub(crate) type Place = (Reverse<u128>, u64);

/// What decides the place of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fees {
    max_fee: u128,
    tip: u128,
    arrival: u64,
}

impl Fees {
    pub(crate) fn new(tx: &PoolTransaction, arrival: u64) -> Self {
        Self { max_fee: tx.max_fee(), tip: tx.max_tip(), arrival }
    }

    /// The highest base fee at which the whole tip is paid.
    fn turning_point(&self) -> (u128, u64) {
        (self.max_fee.saturating_sub(self.tip), self.arrival)
    }
}

/// The next pending transaction of every sender, in order.
#[derive(Debug, Default)]
pub(crate) struct FeeOrder {
    base_fee: u128,
    by_tip: BTreeMap<Place, Address>,
    by_cap: BTreeMap<Place, Address>,
    turning_points: BTreeMap<(u128, u64), (Fees, Address)>,
}

impl FeeOrder {
    pub(crate) fn insert(&mut self, fees: Fees, sender: Address) {
        let (list, place) = self.place(&fees);
        list.insert(place, sender);
        self.turning_points.insert(fees.turning_point(), (fees, sender));
    }

    pub(crate) fn remove(&mut self, fees: Fees) {
        let (list, place) = self.place(&fees);
        list.remove(&place);
        self.turning_points.remove(&fees.turning_point());
    }

    fn place(&mut self, fees: &Fees) -> (&mut BTreeMap<Place, Address>, Place) {
        match fees.turning_point().0 >= self.base_fee {
            true => (&mut self.by_tip, (Reverse(fees.tip), fees.arrival)),
            false => (&mut self.by_cap, (Reverse(fees.max_fee), fees.arrival)),
        }
    }

    /// Moves what changes groups.
    pub(crate) fn set_base_fee(&mut self, base_fee: u128) {
        let (low, high) = (self.base_fee.min(base_fee), self.base_fee.max(base_fee));
        let moving: Vec<_> =
            self.turning_points.range((low, 0)..(high, 0)).map(|(_, moving)| *moving).collect();
        for (fees, _) in &moving {
            let (list, place) = self.place(fees);
            list.remove(&place);
        }
        self.base_fee = base_fee;
        for (fees, sender) in moving {
            let (list, place) = self.place(&fees);
            list.insert(place, sender);
        }
    }

    /// Senders whose next transaction pays its whole tip, from a place on (exclusive).
    pub(crate) fn by_tip(&self, after: Option<Place>) -> impl Iterator<Item = (Place, Address)> {
        after_place(&self.by_tip, after)
    }

    /// Senders whose next transaction pays what its cap leaves, from a place on (exclusive).
    pub(crate) fn by_cap(&self, after: Option<Place>) -> impl Iterator<Item = (Place, Address)> {
        after_place(&self.by_cap, after)
    }

    /// Whether every sender is in the list that the base fee wants and nowhere else.
    #[cfg(test)]
    pub(crate) fn holds(&self, expected: &std::collections::HashMap<Address, Fees>) -> bool {
        let listed = |(fees, sender): &(Fees, Address)| {
            let whole = fees.turning_point().0 >= self.base_fee;
            let tip = self.by_tip.get(&(Reverse(fees.tip), fees.arrival)) == Some(sender);
            let cap = self.by_cap.get(&(Reverse(fees.max_fee), fees.arrival)) == Some(sender);
            tip == whole && cap != whole && expected.get(sender) == Some(fees)
        };
        self.turning_points.values().all(listed)
            && self.turning_points.len() == expected.len()
            && self.by_tip.len() + self.by_cap.len() == expected.len()
    }
}

fn after_place(
    list: &BTreeMap<Place, Address>,
    after: Option<Place>,
) -> impl Iterator<Item = (Place, Address)> {
    use core::ops::Bound::{Excluded, Unbounded};
    let from = after.map_or(Unbounded, Excluded);
    list.range((from, Unbounded)).map(|(place, sender)| (*place, *sender))
}
