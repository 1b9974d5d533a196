//! The whole state by address. The database has it by hash, so that this works only on chains that
//! keep what lies behind the hashes.

use super::{layer::Layer, view::BlockState};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::BTreeMap;
use warpline_storage::{HashedState, StateReader, StorageError};
use warpline_types::AccountState;

/// An account with everything that belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpedAccount {
    /// Balance, nonce, and the hash of the code.
    pub state: AccountState,
    /// The code.
    pub code: Bytes,
    /// Slots and their values, which are not zero.
    pub storage: BTreeMap<U256, U256>,
}

/// The state cannot be listed by address.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The database cannot be read, or the state is of the past.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nobody has kept what lies behind a hash.
    #[error("the {what} with hash {hash} is not known: this chain does not keep {}", plural(what))]
    Unknown {
        /// An address or a slot.
        what: &'static str,
        /// Its Keccak-256.
        hash: B256,
    },
}

fn plural(what: &str) -> &'static str {
    if what == ADDRESS { "addresses" } else { "slots" }
}

const ADDRESS: &str = "address";
const SLOT: &str = "slot";

/// How many accounts or slots are read at a time.
const CHUNK: usize = 1024;

impl BlockState {
    /// Every account of this state, which has to be that of the head, the changes included that
    /// the next block begins with. All of it is in memory in the end.
    ///
    /// # Errors
    /// The database cannot be read, or does not have the addresses and slots
    /// ([`ChainOptions::preimages`](crate::ChainOptions::preimages)).
    pub fn accounts(&self) -> Result<BTreeMap<Address, DumpedAccount>, AccountsError> {
        let reader = self.reader()?;
        let mut accounts = BTreeMap::new();
        let mut next = Some(B256::ZERO);
        while let Some(start) = next {
            let chunk = reader.accounts_from(&start, CHUNK)?;
            for (hash, account) in &chunk {
                let address = Address::from(preimage::<20>(&reader, hash, ADDRESS)?);
                let code = reader.code(&account.state.code_hash)?;
                let storage = slots(&reader, hash)?;
                accounts.insert(address, DumpedAccount { state: account.state, code, storage });
            }
            let last = chunk.last().filter(|_| chunk.len() == CHUNK);
            next = last.and_then(|(hash, _)| after(*hash));
        }
        for layer in self.layers().iter().rev() {
            put(&mut accounts, layer, &reader)?;
        }
        Ok(accounts)
    }
}

fn after(hash: B256) -> Option<B256> {
    U256::from_be_bytes(hash.0).checked_add(U256::ONE).map(B256::from)
}

fn preimage<const LENGTH: usize>(
    reader: &StateReader<'_>,
    hash: &B256,
    what: &'static str,
) -> Result<[u8; LENGTH], AccountsError> {
    let known = reader.preimage(hash)?;
    let known = known.and_then(|bytes| <[u8; LENGTH]>::try_from(&bytes[..]).ok());
    known.ok_or(AccountsError::Unknown { what, hash: *hash })
}

fn slots(reader: &StateReader<'_>, account: &B256) -> Result<BTreeMap<U256, U256>, AccountsError> {
    let mut slots = BTreeMap::new();
    let mut next = Some(B256::ZERO);
    while let Some(start) = next {
        let chunk = reader.slots_from(account, &start, CHUNK)?;
        for (hash, value) in &chunk {
            slots.insert(U256::from_be_bytes(preimage::<32>(reader, hash, SLOT)?), *value);
        }
        let last = chunk.last().filter(|_| chunk.len() == CHUNK);
        next = last.and_then(|(hash, _)| after(*hash));
    }
    Ok(slots)
}

/// Makes the changes of a layer.
fn put(
    accounts: &mut BTreeMap<Address, DumpedAccount>,
    layer: &Layer,
    reader: &StateReader<'_>,
) -> Result<(), AccountsError> {
    for change in &layer.diff.accounts {
        let Some(state) = change.after else {
            accounts.remove(&change.address);
            continue;
        };
        let account = accounts.entry(change.address).or_default();
        if account.state.code_hash != state.code_hash {
            account.code = match layer.code(&state.code_hash) {
                Some(code) => code.original_bytes(),
                None => reader.code(&state.code_hash)?,
            };
        }
        account.state = state;
        if change.storage_cleared {
            account.storage.clear();
        }
        for slot in &change.storage {
            match slot.after.is_zero() {
                true => account.storage.remove(&slot.slot),
                false => account.storage.insert(slot.slot, slot.after),
            };
        }
    }
    Ok(())
}
