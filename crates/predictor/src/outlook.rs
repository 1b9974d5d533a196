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
    /// Accounts to which trials gave code, or from which they took it, or whose code ran in them.
    tried: AddressMap<Tried>,
    /// What the last prediction adds, once it is accepted.
    pending: Vec<(SlotKey, U256)>,
    pub(crate) memo: Memo,
}

/// What trials left of an account with code. Its balance is left out, since senders of trials have
/// more than is there.
#[derive(Clone, Debug)]
struct Tried {
    /// Who creates contracts counts them here.
    nonce: u64,
    code: Option<Code>,
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
            let destroyed = account.is_selfdestructed();
            if destroyed {
                let own = self.values.iter_mut().filter(|(key, _)| key.address == *address);
                own.for_each(|(_, value)| *value = Some(U256::ZERO));
            }
            let slots = account.storage.iter().filter(|(_, slot)| slot.is_changed() && !destroyed);
            self.values.extend(
                slots.map(|(slot, value)| {
                    (SlotKey::new(*address, *slot), Some(value.present_value))
                }),
            );
            let (before, info) = (account.original_info(), &account.info);
            let has_code = !destroyed && !info.is_empty_code_hash();
            let had_code = !before.is_empty_code_hash() || self.tried.contains_key(address);
            if account.is_touched() && (has_code || had_code) {
                let code = || Code { hash: info.code_hash, code: info.code.clone() };
                let (code, nonce) = (has_code.then(code), if destroyed { 0 } else { info.nonce });
                self.codes.insert(*address, code.clone());
                self.tried.insert(*address, Tried { nonce, code });
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
        let found = self.0.state.basic(address)?;
        let Some(Tried { nonce, code }) = self.0.tried.get(&address) else { return Ok(found) };
        let (code_hash, code) = match code {
            Some(Code { hash, code }) => (*hash, code.clone()),
            None => (KECCAK256_EMPTY, None),
        };
        Ok(Some(AccountInfo { nonce: *nonce, code_hash, code, ..found.unwrap_or_default() }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use revm::{
        database_interface::EmptyDB,
        state::{Account, EvmStorageSlot},
    };

    const CONTRACT: Address = Address::repeat_byte(7);

    fn account(nonce: u64, code: &[u8]) -> Account {
        let code = Bytecode::new_raw(code.to_vec().into());
        let info = AccountInfo { balance: U256::MAX, nonce, ..AccountInfo::from_bytecode(code) };
        let mut account = Account::from(info);
        account.mark_touch();
        account
    }

    fn left(account: Account) -> EvmState {
        EvmState::from_iter([(CONTRACT, account)])
    }

    #[test]
    fn trials_leave_nonce_and_code_but_no_balance() {
        let mut outlook = Outlook::new(EmptyDB::default());
        let account = account(5, &[1, 2, 3]);
        let hash = account.info.code_hash;
        outlook.accept_trial(&left(account));
        assert_eq!(outlook.code_hash(CONTRACT), Some(hash));
        let found = outlook.expected().basic(CONTRACT).unwrap().unwrap();
        assert_eq!((found.nonce, found.code_hash, found.balance), (5, hash, U256::ZERO));
        assert!(found.code.is_some());
    }

    #[test]
    fn what_a_trial_takes_away_is_gone() {
        let slot = U256::ONE;
        for destroyed in [false, true] {
            let mut outlook = Outlook::new(EmptyDB::default());
            let mut created = account(1, &[1, 2, 3]);
            let changed =
                EvmStorageSlot::new_changed(U256::ZERO, U256::from(9), Default::default());
            created.storage.insert(slot, changed);
            outlook.accept_trial(&left(created));
            assert_eq!(outlook.expected().storage(CONTRACT, slot).unwrap(), U256::from(9));
            let mut gone = account(2, &[]);
            if destroyed {
                gone.mark_selfdestruct();
            }
            outlook.accept_trial(&left(gone));
            assert_eq!(outlook.code_hash(CONTRACT), None);
            let found = outlook.expected().basic(CONTRACT).unwrap().unwrap();
            assert!(found.is_empty_code_hash());
            assert_eq!(found.nonce, if destroyed { 0 } else { 2 });
            let value = if destroyed { U256::ZERO } else { U256::from(9) };
            assert_eq!(outlook.expected().storage(CONTRACT, slot).unwrap(), value);
        }
    }
}
