//! What was computed for one prediction, and hashes that the next ones will ask for again.

use crate::{distinct::Distinct, expr::ExprId, value::Loaded, walk::Written};
use alloy_primitives::{U256, keccak256, map::AddressSet};

/// Hashes that are remembered, a power of two: as many as a core's own cache has room for.
const HASHES: usize = 1 << 10;

/// The preimage of an entry of a Solidity mapping: key and place of the mapping.
type MappingEntry = [u8; 64];

/// Values of formulas, and hashes. Kept from one prediction to the next for its memory.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    values: Vec<U256>,
    /// What is known of each: twice the number of the call that it belongs to, so that nothing has
    /// to be cleared, and one more if there is a value.
    marks: Vec<u32>,
    /// How many of them the calls so far take.
    taken: usize,
    /// The number of the last call, of this prediction or an earlier one.
    call: u32,
    /// What was written so far.
    pub(crate) written: Distinct<Written>,
    /// Accounts that were created, or whose balance is not what it was.
    pub(crate) changed: AddressSet,
    /// Memory for what calls load.
    spare: Vec<Vec<Loaded>>,
    /// Each in the place that follows from its preimage, the latest of those that share one.
    hashes: Vec<Option<(MappingEntry, U256)>>,
}

/// Where a call keeps the values of its formulas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values {
    start: usize,
    call: u32,
}

impl Memo {
    /// Begins the next prediction.
    pub(crate) fn begin(&mut self) {
        self.taken = 0;
        self.written.clear();
        self.changed.clear();
        if self.call > u32::MAX / 4 {
            (self.call, self.marks, self.values) = (0, Vec::new(), Vec::new());
        }
    }

    /// Ends a prediction, and takes back what its calls had.
    pub(crate) fn end(&mut self, loads: impl Iterator<Item = Vec<Loaded>>) {
        self.spare.extend(loads);
    }

    /// Room for the values of a call with so many formulas, and for what it loads.
    pub(crate) fn enter(&mut self, formulas: usize) -> (Values, Vec<Loaded>) {
        let start = self.taken;
        self.taken += formulas;
        if self.values.len() < self.taken {
            self.values.resize(self.taken, U256::ZERO);
            self.marks.resize(self.taken, 0);
        }
        self.call += 1;
        let mut loads = self.spare.pop().unwrap_or_default();
        loads.clear();
        (Values { start, call: self.call }, loads)
    }

    /// The value of a formula of a call, if it has been computed: `Some(None)` if it cannot be.
    #[inline]
    pub(crate) fn get(&self, of: Values, id: ExprId) -> Option<Option<U256>> {
        let at = of.start + id.index();
        let mark = *self.marks.get(at)?;
        if mark == 2 * of.call {
            return Some(None);
        }
        (mark == 2 * of.call + 1).then(|| self.values.get(at).copied())
    }

    #[inline]
    pub(crate) fn set(&mut self, of: Values, id: ExprId, value: Option<U256>) {
        let at = of.start + id.index();
        if let (Some(mark), Some(entry)) = (self.marks.get_mut(at), self.values.get_mut(at)) {
            *mark = 2 * of.call + u32::from(value.is_some());
            if let Some(value) = value {
                *entry = value;
            }
        }
    }

    /// The Keccak-256 hash of bytes.
    pub(crate) fn keccak(&mut self, bytes: &[u8]) -> U256 {
        let Ok(entry) = MappingEntry::try_from(bytes) else { return keccak256(bytes).into() };
        if self.hashes.is_empty() {
            self.hashes.resize(HASHES, None);
        }
        let known = &mut self.hashes[place(&entry)];
        match known {
            Some((of, hash)) if *of == entry => *hash,
            _ => known.insert((entry, keccak256(entry).into())).1,
        }
    }
}

/// Where the hash of an entry is remembered.
fn place(entry: &MappingEntry) -> usize {
    /// Odd, with its bits all over.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = entry.as_chunks::<8>();
    let mixed = words.iter().fold(0_u64, |mixed, word| {
        (mixed.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(SPREAD)
    });
    (mixed >> (u64::BITS - HASHES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_value_is_that_of_its_call_and_its_prediction() {
        let (mut memo, id) = (Memo::default(), ExprId::ZERO);
        let (first, loads) = memo.enter(3);
        let (second, _) = memo.enter(2);
        memo.set(first, id, Some(U256::ONE));
        memo.set(second, id, None);
        assert_eq!(memo.get(first, id), Some(Some(U256::ONE)));
        assert_eq!(memo.get(second, id), Some(None));
        memo.end([loads, vec![Loaded::Zero]].into_iter());
        memo.begin();
        let (third, loads) = memo.enter(5);
        assert_eq!(memo.get(third, id), None);
        assert!(loads.is_empty());
    }

    #[test]
    fn hashes_are_those_of_keccak() {
        let mut memo = Memo::default();
        for bytes in [&[7; 64][..], &[7; 64], &[7; 32], &[]] {
            assert_eq!(B256::from(memo.keccak(bytes)), keccak256(bytes));
        }
    }

    #[test]
    fn entries_that_share_a_place_have_their_own_hashes() {
        let mut memo = Memo::default();
        let entry = |n: u64| {
            let mut entry = [0; 64];
            entry[24..32].copy_from_slice(&n.to_be_bytes());
            entry
        };
        for n in (0..4 * HASHES as u64).chain(0..4 * HASHES as u64) {
            let entry = entry(n);
            assert_eq!(B256::from(memo.keccak(&entry)), keccak256(entry), "entry {n}");
        }
    }
}
