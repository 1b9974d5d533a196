//! What the trie reads through. It knows nothing of where nodes are stored.

use crate::error::SourceError;
use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use warpline_types::AccountState;

/// An account as the flat state holds it: all that its leaf in the account trie needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatAccount {
    /// Nonce, balance and code hash.
    pub state: AccountState,
    /// Root of the account's storage trie; [`EMPTY_ROOT_HASH`] where it has no storage.
    pub storage_root: B256,
}

impl FlatAccount {
    /// An account without storage.
    pub const fn new(state: AccountState) -> Self {
        Self { state, storage_root: EMPTY_ROOT_HASH }
    }
}

/// A snapshot of the flat state and the trie nodes.
///
/// What it shows must be the state at some point between the last block reported to
/// [`StateTrie::persisted`](crate::StateTrie::persisted) and the last root computed, whole blocks
/// only. The trie keeps everything newer than that in memory, so either end will do, and the
/// commit of a block need not be waited for.
pub trait TrieSource: Sync {
    /// A handle for one thread.
    type Reader<'a>: TrieReader + Send
    where
        Self: 'a;

    /// Another handle on the same snapshot.
    fn open(&self) -> Result<Self::Reader<'_>, SourceError>;
}

/// One thread's view of a [`TrieSource`]. Keys are Keccak-256 hashes of addresses and slots.
pub trait TrieReader {
    /// Appends the stored node of the account trie at `path` to `out`; false if there is none.
    fn account_node(&mut self, path: &Nibbles, out: &mut Vec<u8>) -> Result<bool, SourceError>;

    /// Appends the stored node at `path` of an account's storage trie to `out`; false if there is
    /// none.
    fn storage_node(
        &mut self,
        account: B256,
        path: &Nibbles,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError>;

    /// Visits accounts in ascending order of their key, beginning at the first one not below
    /// `from`, until `visit` returns false.
    fn accounts(
        &mut self,
        from: B256,
        visit: &mut dyn FnMut(B256, FlatAccount) -> bool,
    ) -> Result<(), SourceError>;

    /// Visits the slots of one account in ascending order of their key, beginning at the first
    /// one not below `from`, until `visit` returns false. Values are not zero.
    fn storage(
        &mut self,
        account: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError>;

    /// The first account not below `from` that has any slot.
    fn account_with_storage(&mut self, from: B256) -> Result<Option<B256>, SourceError>;
}
