//! The state as the predictions so far expect it: where a counter is read that each transaction
//! of a block moves on, the place that the next one touches follows from what the one before is
//! expected to write.

use crate::memo::Memo;
use alloy_primitives::{
    Address, B256, KECCAK256_EMPTY, U256,
    map::{AddressMap, HashMap},
};
use revm::{
    Database,
    bytecode::Bytecode,
    state::{AccountInfo, EvmState},
};
use warpline_types::SlotKey;

/// A state, and what the transactions that were predicted on it are expected to leave in those
/// slots that a prediction has asked for. What predictions ask for is read once.
#[derive(Debug)]
pub struct Outlook<S> {
    state: S,
    /// Whose code runs at an address.
    codes: AddressMap<Option<Code>>,
    /// What slots that were asked for hold.
    values: HashMap<SlotKey, Option<U256>>,
    /// What trials left of accounts with code: who creates contracts counts them in its nonce.
    tried: AddressMap<AccountInfo>,
    /// What the last prediction adds, once it is accepted.
    pending: Vec<(SlotKey, U256)>,
    pub(crate) memo: Memo,
}

/// Code, as far as an account has it at hand.
#[derive(Clone, Debug)]
struct Code {
    hash: B256,
    code: Option<Bytecode>,
}

impl<S: Database> Outlook<S> {
    /// Nothing is expected to have happened yet.
    pub fn new(state: S) -> Self {
        Self {
            state,
            codes: AddressMap::default(),
            values: HashMap::default(),
            tried: AddressMap::default(),
            pending: Vec::new(),
            memo: Memo::default(),
        }
    }

    /// The transaction that was predicted last comes before those that are predicted next.
    pub fn accept(&mut self) {
        self.values.extend(self.pending.drain(..).map(|(key, value)| (key, Some(value))));
    }

    /// The transaction that was tried out on [`Outlook::expected`] comes before those that are
    /// predicted next, and leaves what its trial left.
    pub fn accept_trial(&mut self, outcome: &EvmState) {
        for (address, account) in outcome {
            let slots = account.storage.iter().filter(|(_, slot)| slot.is_changed());
            self.values.extend(
                slots.map(|(slot, value)| {
                    (SlotKey::new(*address, *slot), Some(value.present_value))
                }),
            );
            let info = &account.info;
            if account.is_touched() && !account.is_selfdestructed() && !info.is_empty_code_hash() {
                let code = Code { hash: info.code_hash, code: info.code.clone() };
                self.codes.insert(*address, Some(code));
                self.tried.insert(*address, info.clone());
            }
        }
    }

    /// The state as it is expected to be, for a trial.
    pub const fn expected(&mut self) -> ExpectedState<'_, S> {
        ExpectedState(self)
    }

    pub(crate) fn begin(&mut self) {
        self.pending.clear();
        self.memo.begin();
    }

    /// The hash of an account's code, if it is known to have any.
    pub(crate) fn code_hash(&mut self, address: Address) -> Option<B256> {
        let code = self.codes.entry(address).or_insert_with(|| {
            let account = self.state.basic(address).ok().flatten()?;
            let (hash, code) = (account.code_hash, account.code);
            (hash != KECCAK256_EMPTY).then_some(Code { hash, code })
        });
        code.as_ref().map(|code| code.hash)
    }

    /// The code of an account.
    pub(crate) fn code(&mut self, address: Address) -> Option<Bytecode> {
        let Code { hash, code } = self.codes.get(&address)?.clone()?;
        code.or_else(|| self.state.code_by_hash(hash).ok())
    }

    /// The value of a slot, if it is known. From now on it is followed.
    pub(crate) fn storage(&mut self, key: SlotKey) -> Option<U256> {
        let SlotKey { address, slot } = key;
        *self.values.entry(key).or_insert_with(|| self.state.storage(address, slot).ok())
    }

    /// Whether anybody cares what a slot will hold.
    pub(crate) fn is_followed(&self, key: SlotKey) -> bool {
        self.values.contains_key(&key)
    }

    pub(crate) fn expect(&mut self, key: SlotKey, value: U256) {
        self.pending.push((key, value));
    }
}

/// A state with what earlier transactions are expected to leave in it.
#[derive(Debug)]
pub struct ExpectedState<'a, S>(&'a mut Outlook<S>);

impl<S: Database> Database for ExpectedState<'_, S> {
    type Error = S::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, S::Error> {
        match self.0.tried.get(&address) {
            Some(info) => Ok(Some(info.clone())),
            None => self.0.state.basic(address),
        }
    }

    /// The code of what trials created comes with the account.
    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, S::Error> {
        self.0.state.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, S::Error> {
        match self.0.values.get(&SlotKey::new(address, slot)) {
            Some(Some(value)) => Ok(*value),
            _ => self.0.state.storage(address, slot),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, S::Error> {
        self.0.state.block_hash(number)
    }
}
