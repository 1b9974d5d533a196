//! The state as the predictions so far expect it: where a counter is read that each transaction
//! of a block moves on, the place that the next one touches follows from what the one before is
//! expected to write.

use crate::{memo::Memo, trace::Lesson};
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
    /// The code that its authorizations give to accounts (EIP-7702).
    delegated: Vec<(Address, Option<Code>)>,
    /// The same of the transactions before it.
    delegations: AddressMap<Option<Code>>,
    pub(crate) memo: Memo,
    /// What was read in code.
    pub(crate) lessons: Vec<Lesson>,
}

/// What trials left of an account with code.
#[derive(Clone, Debug, Default)]
struct Tried {
    /// Who creates contracts counts them here.
    nonce: u64,
    code: Option<Code>,
    /// What it got and what it gave: what it has is not known, since senders of trials are given
    /// enough.
    got: U256,
    gave: U256,
    /// It was destroyed once, so that no slot has the value that it has in the state.
    emptied: bool,
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
            delegated: Vec::new(),
            delegations: AddressMap::default(),
            memo: Memo::default(),
            lessons: Vec::new(),
        }
    }

    /// The transaction that was predicted last comes before those that are predicted next.
    pub fn accept(&mut self) {
        self.values.extend(self.pending.drain(..).map(|(key, value)| (key, Some(value))));
        for (authority, code) in self.delegated.drain(..) {
            self.codes.insert(authority, code.clone());
            self.delegations.insert(authority, code);
        }
    }

    /// The transaction that was tried out on [`Outlook::expected`] comes before those that are
    /// predicted next, and leaves what its trial left.
    pub fn accept_trial(&mut self, outcome: &EvmState) {
        for (address, account) in outcome {
            let destroyed = account.is_selfdestructed();
            if destroyed {
                self.values.retain(|key, _| key.address != *address);
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
                let code = Code { hash: info.code_hash, code: info.code.clone() };
                let tried = self.tried.entry(*address).or_default();
                tried.nonce = if destroyed { 0 } else { info.nonce };
                tried.code = has_code.then_some(code);
                tried.emptied |= destroyed;
                let left = if destroyed { U256::ZERO } else { info.balance };
                tried.got = tried.got.saturating_add(left.saturating_sub(before.balance));
                tried.gave = tried.gave.saturating_add(before.balance.saturating_sub(left));
                self.codes.insert(*address, tried.code.clone());
            }
        }
    }

    fn read(&mut self, SlotKey { address, slot }: SlotKey) -> Result<U256, S::Error> {
        match self.tried.get(&address) {
            Some(Tried { emptied: true, .. }) => Ok(U256::ZERO),
            _ => self.state.storage(address, slot),
        }
    }

    /// The state as it is expected to be, for a trial.
    pub const fn expected(&mut self) -> ExpectedState<'_, S> {
        ExpectedState(self)
    }

    pub(crate) fn begin(&mut self) {
        self.pending.clear();
        self.delegated.clear();
        self.memo.begin();
    }

    /// An account hands its calls on to another, or with the zero address no longer does, unless
    /// it has other code or its nonce is past that of the authorization (EIP-7702).
    pub(crate) fn delegate(&mut self, authority: Address, to: Address, nonce: u64) {
        let known = self.expected().basic(authority).ok().flatten();
        // It may be less than it will be: payments before it in the block are not counted.
        if known.is_some_and(|known| nonce < known.nonce) {
            return;
        }
        let has_code = self.code_hash(authority).is_some();
        if has_code && !self.code(authority).is_some_and(|code| code.is_eip7702()) {
            return;
        }
        let code = (!to.is_zero()).then(|| {
            let code = Bytecode::new_eip7702(to);
            Code { hash: code.hash_slow(), code: Some(code) }
        });
        self.delegated.push((authority, code));
        self.memo.changed.insert(authority);
    }

    /// The hash of an account's code, if it is known to have any.
    pub(crate) fn code_hash(&mut self, address: Address) -> Option<B256> {
        if let Some(delegated) = self.delegated(address) {
            return delegated.as_ref().map(|code| code.hash);
        }
        let code = self.codes.entry(address).or_insert_with(|| {
            let account = self.state.basic(address).ok().flatten()?;
            let (hash, code) = (account.code_hash, account.code);
            (hash != KECCAK256_EMPTY).then_some(Code { hash, code })
        });
        code.as_ref().map(|code| code.hash)
    }

    /// The code of an account.
    pub(crate) fn code(&mut self, address: Address) -> Option<Bytecode> {
        let known = self.delegated(address).or_else(|| self.codes.get(&address));
        let Code { hash, code } = known?.clone()?;
        code.or_else(|| self.state.code_by_hash(hash).ok())
    }

    /// The code that the transaction gives an account, the last time that it does.
    fn delegated(&self, address: Address) -> Option<&Option<Code>> {
        let last = self.delegated.iter().rev().find(|(authority, _)| *authority == address);
        last.map(|(_, code)| code)
    }

    /// What `EXTCODEHASH` is expected to find.
    pub(crate) fn known_code_hash(&mut self, address: Address) -> Option<B256> {
        let found = self.expected().basic(address).ok()?;
        Some(found.filter(|info| !info.is_empty()).map_or(B256::ZERO, |info| info.code_hash))
    }

    /// What an account is expected to have, in wei, payments not counted but those of trials.
    pub(crate) fn balance(&mut self, address: Address) -> Option<U256> {
        let found = self.expected().basic(address).ok()?;
        Some(found.map_or(U256::ZERO, |info| info.balance))
    }

    /// The value of a slot, if it is known. From now on it is followed.
    pub(crate) fn storage(&mut self, key: SlotKey) -> Option<U256> {
        if let Some(known) = self.values.get(&key) {
            return *known;
        }
        let value = self.read(key).ok();
        self.values.insert(key, value);
        value
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
        let Some(tried) = self.0.tried.get(&address) else {
            return Ok(match self.0.delegations.get(&address) {
                Some(code) => Some(with_code(found.unwrap_or_default(), code.as_ref())),
                None => found,
            });
        };
        let mut info = found.unwrap_or_default();
        (info.nonce, info.code_hash, info.code) = match &tried.code {
            Some(Code { hash, code }) => (tried.nonce, *hash, code.clone()),
            None => (tried.nonce, KECCAK256_EMPTY, None),
        };
        info.balance = info.balance.saturating_add(tried.got).saturating_sub(tried.gave);
        Ok(Some(info))
    }

    /// The code of what trials created comes with the account.
    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, S::Error> {
        self.0.state.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, S::Error> {
        let key = SlotKey::new(address, slot);
        match self.0.values.get(&key) {
            Some(Some(value)) => Ok(*value),
            _ => self.0.read(key),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, S::Error> {
        self.0.state.block_hash(number)
    }
}

/// An account with other code, or none.
fn with_code(info: AccountInfo, code: Option<&Code>) -> AccountInfo {
    match code {
        Some(Code { hash, code }) => AccountInfo { code_hash: *hash, code: code.clone(), ..info },
        None => AccountInfo { code_hash: KECCAK256_EMPTY, code: None, ..info },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::{
        database::{CacheDB, EmptyDB},
        state::{Account, EvmStorageSlot},
    };

    const CONTRACT: Address = Address::repeat_byte(7);

    /// A state in which slot 1 of the contract is 9, and 100 wei are its.
    fn outlook() -> Outlook<CacheDB<EmptyDB>> {
        let mut state = CacheDB::new(EmptyDB::default());
        state.insert_account_info(CONTRACT, info(100, 1, &[1]));
        state.insert_account_storage(CONTRACT, U256::ONE, U256::from(9)).unwrap();
        Outlook::new(state)
    }

    fn info(balance: u64, nonce: u64, code: &[u8]) -> AccountInfo {
        let code = Bytecode::new_raw(code.to_vec().into());
        AccountInfo { balance: U256::from(balance), nonce, ..AccountInfo::from_bytecode(code) }
    }

    fn left(before: AccountInfo, after: AccountInfo) -> Account {
        let mut account = Account::from(before);
        account.info = after;
        account.mark_touch();
        account
    }

    fn accept(outlook: &mut Outlook<CacheDB<EmptyDB>>, account: Account) -> AccountInfo {
        outlook.accept_trial(&EvmState::from_iter([(CONTRACT, account)]));
        outlook.expected().basic(CONTRACT).unwrap().unwrap()
    }

    #[test]
    fn trials_see_the_nonce_the_code_and_the_payments_of_those_before() {
        let mut outlook = outlook();
        // Of a sender with code, the balance is not the one that it has.
        let found = accept(&mut outlook, left(info(5_000, 1, &[1]), info(5_007, 5, &[1, 2])));
        assert_eq!((found.nonce, found.balance), (5, U256::from(107)));
        assert_eq!(outlook.code_hash(CONTRACT), Some(found.code_hash));
        assert_eq!(found.code_hash, info(0, 0, &[1, 2]).code_hash);
        let found = accept(&mut outlook, left(info(107, 5, &[1, 2]), info(97, 6, &[1, 2])));
        assert_eq!((found.nonce, found.balance), (6, U256::from(97)));
    }

    #[test]
    fn what_a_trial_takes_away_is_gone() {
        for destroyed in [false, true] {
            let mut outlook = outlook();
            let mut gone = left(info(100, 1, &[1]), info(100, 2, &[]));
            let written =
                EvmStorageSlot::new_changed(U256::ZERO, U256::from(3), Default::default());
            gone.storage.insert(U256::from(2), written);
            if destroyed {
                gone.mark_selfdestruct();
            }
            let found = accept(&mut outlook, gone);
            assert_eq!(outlook.code_hash(CONTRACT), None);
            assert!(found.is_empty_code_hash());
            let slots = [1, 2].map(|slot| outlook.expected().storage(CONTRACT, U256::from(slot)));
            let (balance, nonce, expected) =
                if destroyed { (0, 0, [0, 0]) } else { (100, 2, [9, 3]) };
            assert_eq!((found.balance, found.nonce), (U256::from(balance), nonce));
            assert_eq!(slots.map(Result::unwrap), expected.map(U256::from));
            // Whoever makes it anew finds it empty.
            accept(&mut outlook, left(AccountInfo::default(), info(0, 1, &[1])));
            let slot = outlook.storage(SlotKey::new(CONTRACT, U256::ONE));
            assert_eq!(slot, Some(U256::from(expected[0])));
        }
    }
}
