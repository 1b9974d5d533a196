//! What was computed for one prediction, and hashes that the next ones will ask for again.

use crate::expr::ExprId;
use alloy_primitives::{U256, keccak256, map::HashMap};

/// Hashes that are remembered at most.
const HASHES: usize = 1 << 14;

/// The preimage of an entry of a Solidity mapping: key and place of the mapping.
type MappingEntry = [u8; 64];

/// Values of formulas, and hashes. Kept from one prediction to the next for its memory.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// A value belongs to the call that it is marked with, so that nothing has to be cleared.
    values: Vec<(u32, Option<U256>)>,
    /// How many of them the calls so far take.
    taken: usize,
    /// The number of the last call, of this prediction or an earlier one.
    call: u32,
    hashes: HashMap<MappingEntry, U256>,
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
        if self.call > u32::MAX / 2 {
            (self.call, self.values) = (0, Vec::new());
        }
        if self.hashes.len() > HASHES {
            self.hashes.clear();
        }
    }

    /// Room for the values of a call with so many formulas.
    pub(crate) fn enter(&mut self, formulas: usize) -> Values {
        let start = self.taken;
        self.taken += formulas;
        if self.values.len() < self.taken {
            self.values.resize(self.taken, (0, None));
        }
        self.call += 1;
        Values { start, call: self.call }
    }

    /// The value of a formula of a call, if it has been computed: `Some(None)` if it cannot be.
    #[inline]
    pub(crate) fn get(&self, of: Values, id: ExprId) -> Option<Option<U256>> {
        let (call, value) = self.values.get(of.start + id.index())?;
        (*call == of.call).then_some(*value)
    }

    #[inline]
    pub(crate) fn set(&mut self, of: Values, id: ExprId, value: Option<U256>) {
        if let Some(entry) = self.values.get_mut(of.start + id.index()) {
            *entry = (of.call, value);
        }
    }

    /// The Keccak-256 hash of bytes.
    pub(crate) fn keccak(&mut self, bytes: &[u8]) -> U256 {
        match MappingEntry::try_from(bytes) {
            Ok(entry) => *self.hashes.entry(entry).or_insert_with(|| keccak256(entry).into()),
            Err(_) => keccak256(bytes).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_value_is_that_of_its_call_and_its_prediction() {
        let (mut memo, id) = (Memo::default(), ExprId::ZERO);
        let first = memo.enter(3);
        let second = memo.enter(2);
        memo.set(first, id, Some(U256::ONE));
        memo.set(second, id, None);
        assert_eq!(memo.get(first, id), Some(Some(U256::ONE)));
        assert_eq!(memo.get(second, id), Some(None));
        memo.begin();
        let third = memo.enter(5);
        assert_eq!(memo.get(third, id), None);
    }

    #[test]
    fn hashes_are_those_of_keccak() {
        let mut memo = Memo::default();
        for bytes in [&[7; 64][..], &[7; 64], &[7; 32], &[]] {
            assert_eq!(B256::from(memo.keccak(bytes)), keccak256(bytes));
        }
    }
}
