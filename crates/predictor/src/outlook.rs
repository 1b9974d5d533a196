//! The state as the predictions so far expect it: where a counter is read that each transaction
//! of a block moves on, the place that the next one touches follows from what the one before is
//! expected to write.

use crate::memo::Memo;
use alloy_primitives::{
    Address, B256, U256,
    map::{HashMap, HashSet},
};
use revm::{Database, bytecode::Bytecode, state::AccountInfo};

/// A slot.
type Location = (Address, U256);

/// A state, and what the transactions that were predicted on it are expected to leave in those
/// slots that a prediction has asked for.
#[derive(Debug)]
pub struct Outlook<S> {
    state: S,
    asked: HashSet<Location>,
    expected: HashMap<Location, U256>,
    /// What the last prediction adds, once it is accepted.
    pending: Vec<(Location, U256)>,
    pub(crate) memo: Memo,
}

impl<S: Database> Outlook<S> {
    /// Nothing is expected to have happened yet.
    pub fn new(state: S) -> Self {
        Self {
            state,
            asked: HashSet::default(),
            expected: HashMap::default(),
            pending: Vec::new(),
            memo: Memo::default(),
        }
    }

    /// The transaction that was predicted last comes before those that are predicted next.
    pub fn accept(&mut self) {
        self.expected.extend(self.pending.drain(..));
    }

    pub(crate) fn begin(&mut self) {
        self.pending.clear();
        self.memo.begin();
    }

    pub(crate) fn account(&mut self, address: Address) -> Option<AccountInfo> {
        self.state.basic(address).ok().flatten()
    }

    pub(crate) fn code(&mut self, hash: B256) -> Option<Bytecode> {
        self.state.code_by_hash(hash).ok()
    }

    /// The value of a slot, if it is known. From now on it is followed.
    pub(crate) fn storage(&mut self, address: Address, slot: U256) -> Option<U256> {
        if let Some(expected) = self.expected.get(&(address, slot)) {
            return Some(*expected);
        }
        self.asked.insert((address, slot));
        self.state.storage(address, slot).ok()
    }

    /// Whether anybody cares what a slot will hold.
    pub(crate) fn is_followed(&self, address: Address, slot: U256) -> bool {
        self.asked.contains(&(address, slot))
    }

    pub(crate) fn expect(&mut self, address: Address, slot: U256, value: U256) {
        self.pending.push(((address, slot), value));
    }
}
