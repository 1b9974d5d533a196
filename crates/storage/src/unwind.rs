//! Going back to an earlier block: change sets put back, records removed.

use crate::{
    BlockRef, HashedState, StateReader, StorageError, StoredAccount, Table,
    codec::{self, block_key},
    engine::{Change, Read, Walk, WriteTx},
    history::{Changes, drop_from, for_account_changes, for_slot_changes, slot_key},
    meta::Progress,
    prune::delete_blocks,
    snapshot::check_kept,
    tables,
    write::put_slot,
};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bytes, U256};
use warpline_types::AccountState;

/// The keys whose values an unwind has put back, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwound {
    /// Accounts, and what they are now.
    pub accounts: Vec<(B256, Option<AccountState>)>,
    /// Slots by account and key, and their values now.
    pub slots: Vec<(B256, B256, U256)>,
}

impl StateReader<'_> {
    /// What [`Storage::unwind`](crate::Storage::unwind) to block `to` would put back, without
    /// doing it.
    ///
    /// # Errors
    /// The snapshot is of the past or of blocks that are not written, the state after `to` has
    /// been pruned, or the database cannot be read.
    pub fn unwound(&self, to: u64) -> Result<Unwound, StorageError> {
        let (snapshot, what) = (self.snapshot, "what changed since a block");
        self.view.walkable(what, snapshot)?;
        if !snapshot.overlay().is_empty() {
            return Err(StorageError::OnlyValues { what, block: snapshot.block });
        }
        check_kept("the state", to, self.view.progress.history_from)?;
        what_was(self.view.tx()?, to.saturating_add(1), snapshot.block.number)
    }

    /// What the changes of one block alone put back.
    ///
    /// # Errors
    /// The state before it has been pruned, or the database cannot be read.
    pub fn put_back(&self, block: u64) -> Result<Unwound, StorageError> {
        let before = block.saturating_sub(1);
        check_kept("the state", before, self.view.progress.history_from)?;
        what_was(self.view.tx()?, block, block)
    }
}

/// Puts the state back to what it was after block `to`, and removes what later blocks brought.
/// Trie nodes are left to the caller.
pub(crate) fn unwind(
    tx: &WriteTx,
    progress: &mut Progress,
    to: BlockRef,
    head: BlockRef,
) -> Result<Unwound, StorageError> {
    let (first, last) = (to.number + 1, head.number);
    let unwound = what_was(tx, first, last)?;
    restore(tx, &unwound)?;
    drop_records(tx, first, last)?;

    if progress.indexed_to >= first {
        let changes = Changes::read(tx, first, progress.indexed_to)?;
        drop_from(tx, Table::AccountsHistory, &changes.accounts, first)?;
        drop_from(tx, Table::StoragesHistory, &changes.slots, first)?;
        progress.indexed_to = to.number;
    }
    delete_blocks(tx, Table::AccountChangeSets, first, last)?;
    delete_blocks(tx, Table::StorageChangeSets, first, last)?;
    progress.receipts_from = progress.receipts_from.min(to.number + 1);
    progress.senders_from = progress.senders_from.min(to.number + 1);
    Ok(unwound)
}

/// What the first block of the range that changed a key found.
fn what_was(tx: &impl Read, first: u64, last: u64) -> Result<Unwound, StorageError> {
    let mut accounts = Vec::new();
    for_account_changes(tx, first, last, |_, account, before| accounts.push((account, before)))?;
    let mut slots = Vec::new();
    for_slot_changes(tx, first, last, |_, account, slot, before| {
        slots.push((account, slot, before));
    })?;
    // Stable: of one key the earliest block comes first and is kept.
    accounts.sort_by_key(|(account, _)| *account);
    accounts.dedup_by_key(|(account, _)| *account);
    slots.sort_by_key(|(account, slot, _)| slot_key(account, slot));
    slots.dedup_by_key(|(account, slot, _)| (*account, *slot));
    Ok(Unwound { accounts, slots })
}

fn restore(tx: &WriteTx, unwound: &Unwound) -> Result<(), StorageError> {
    let mut cursor = tx.writer(Table::HashedAccounts)?;
    let mut value = Vec::new();
    for (account, before) in &unwound.accounts {
        value.clear();
        if let Some(state) = *before {
            // The root is the caller's to put back, like the nodes below it.
            let now = tables::account(tx, account)?;
            let storage_root = now.map_or(EMPTY_ROOT_HASH, |now| now.storage_root);
            codec::encode_account(&mut value, &StoredAccount { state, storage_root });
            cursor.put(account.as_slice(), &value)?;
        } else if cursor.seek(account.as_slice())?.is_some_and(|(key, _)| *key == **account) {
            cursor.delete()?;
        }
    }
    let mut cursor = tx.writer(Table::HashedStorages)?;
    for (account, slot, before) in &unwound.slots {
        put_slot(&mut cursor, account, slot, *before, &mut value)?;
    }
    Ok(())
}

/// Removes records of blocks, and where to find them. Access lists stay: they say how a block that
/// comes again is executed without conflicts.
fn drop_records(tx: &WriteTx, first: u64, last: u64) -> Result<(), StorageError> {
    for number in first..=last {
        let block = tables::stored_block(tx, number)?;
        delete_key(tx, Table::HeaderNumbers, block.hash.as_slice())?;
        let body = tables::body(tx, number)?.unwrap_or_default();
        for transaction in &body.transactions {
            // Where an earlier block holds the same transaction, the entry may be its own.
            let hash = transaction.tx_hash();
            if tables::position(tx, hash)?.is_some_and(|(block, _)| block == number) {
                delete_key(tx, Table::TransactionHashNumbers, hash.as_slice())?;
            }
        }
    }
    for table in [
        Table::Headers,
        Table::CanonicalHeaders,
        Table::BlockBodies,
        Table::TransactionSenders,
        Table::Receipts,
    ] {
        delete_blocks(tx, table, first, last)?;
    }
    Ok(())
}

fn delete_key(tx: &WriteTx, table: Table, key: &[u8]) -> Result<(), StorageError> {
    let mut cursor = tx.writer(table)?;
    match cursor.seek(key)? {
        Some((found, _)) if *found == *key => cursor.delete(),
        _ => Err(StorageError::Inconsistent {
            table,
            key: Bytes::copy_from_slice(key),
            problem: "the entry is missing",
        }),
    }
}

/// The state inside an unwind: flat tables as they were after the block gone back to, trie nodes
/// as they were after the head.
pub struct UnwindView<'a> {
    pub(crate) tx: &'a WriteTx,
}

impl core::fmt::Debug for UnwindView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UnwindView").finish_non_exhaustive()
    }
}

impl UnwindView<'_> {
    /// The header of a block that remains.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn header(&self, number: u64) -> Result<Option<alloy_consensus::Header>, StorageError> {
        let record =
            tables::record(self.tx, Table::Headers, &block_key(number), codec::decode_header);
        record.map(|found| found.map(|(header, _)| header))
    }
}

impl HashedState for UnwindView<'_> {
    fn account_by_hash(&self, account: &B256) -> Result<Option<StoredAccount>, StorageError> {
        tables::account(self.tx, account)
    }

    fn slot_by_hash(&self, account: &B256, slot: &B256) -> Result<U256, StorageError> {
        tables::slot(self.tx, account, slot)
    }

    fn accounts_from(
        &self,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, StoredAccount)>, StorageError> {
        tables::accounts_from(self.tx, start, limit)
    }

    fn account_with_storage(&self, start: &B256) -> Result<Option<B256>, StorageError> {
        tables::account_with_storage(self.tx, start)
    }

    fn slots_from(
        &self,
        account: &B256,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, U256)>, StorageError> {
        tables::slots_from(self.tx, account, start, limit)
    }

    fn account_node(&self, path: &[u8]) -> Result<Option<Bytes>, StorageError> {
        tables::account_node(self.tx, path)
    }

    fn storage_node(&self, account: &B256, path: &[u8]) -> Result<Option<Bytes>, StorageError> {
        tables::storage_node(self.tx, account, path)
    }
}
