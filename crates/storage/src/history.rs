//! State in the past: change sets say what a block found, the history indices which blocks
//! changed a key.
//!
//! The state of a key after block `n` is what the first block after `n` that changed the key
//! found, or the present one where no block did. The indices are sharded lists of block numbers
//! under `key ‖ last block of the shard`, the open shard under the highest number there is. They
//! follow the head in strides rather than block by block, because an entry of an index costs as
//! much as the change of the state itself, and many blocks at once cost little more than one;
//! for the few blocks behind the index the change sets are looked at one by one.

use crate::{
    StorageError, Table,
    codec::{self, block_key, numbered_key},
    engine::{Change, Read, Walk, WriteTx},
    meta::Progress,
    tables,
};
use alloy_primitives::{B256, U256};
use warpline_types::AccountState;

/// Most block numbers in a shard.
pub(crate) const SHARD: usize = 512;

/// The end of the key of an open shard.
const OPEN: u64 = u64::MAX;

/// An account after block `number`, which must be in the kept range.
pub(crate) fn account_at(
    tx: &impl Read,
    progress: &Progress,
    head: u64,
    account: &B256,
    number: u64,
) -> Result<Option<AccountState>, StorageError> {
    let table = Table::AccountChangeSets;
    if let Some(block) = first_after(tx, Table::AccountsHistory, account.as_slice(), number)? {
        let found = account_change(tx, block, account)?;
        return found.ok_or_else(|| indexed_in_vain(table, block, account));
    }
    for block in number.max(progress.indexed_to) + 1..=head {
        if let Some(before) = account_change(tx, block, account)? {
            return Ok(before);
        }
    }
    Ok(tables::account(tx, account)?.map(|account| account.state))
}

/// A slot after block `number`, which must be in the kept range.
pub(crate) fn slot_at(
    tx: &impl Read,
    progress: &Progress,
    head: u64,
    (account, slot): (&B256, &B256),
    number: u64,
) -> Result<U256, StorageError> {
    let table = Table::StorageChangeSets;
    let key = slot_key(account, slot);
    let change = |block| {
        let key = numbered_key(block, account);
        tables::value_with_prefix(tx, table, &key, slot)
    };
    if let Some(block) = first_after(tx, Table::StoragesHistory, &key, number)? {
        return change(block)?.ok_or_else(|| indexed_in_vain(table, block, account));
    }
    for block in number.max(progress.indexed_to) + 1..=head {
        if let Some(before) = change(block)? {
            return Ok(before);
        }
    }
    tables::slot(tx, account, slot)
}

/// What a block found at an account, where it changed it.
pub(crate) fn account_change(
    tx: &impl Read,
    block: u64,
    account: &B256,
) -> Result<Option<Option<AccountState>>, StorageError> {
    let key = block_key(block);
    let mut cursor = tx.cursor(Table::AccountChangeSets)?;
    let Some(found) = cursor.seek_value(&key, account.as_slice())? else { return Ok(None) };
    let change = codec::decode_account_change(&found);
    let (hash, before) = change.map_err(|error| error.at(Table::AccountChangeSets, &key))?;
    Ok((hash == *account).then_some(before))
}

fn indexed_in_vain(table: Table, block: u64, account: &B256) -> StorageError {
    let key = numbered_key(block, account).into();
    StorageError::Inconsistent { table, key, problem: "the index lists a change that is not there" }
}

/// The key of a slot in the index.
pub(crate) fn slot_key(account: &B256, slot: &B256) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(account.as_slice());
    key[32..].copy_from_slice(slot.as_slice());
    key
}

/// The key of a shard.
fn shard_key(key: &[u8], last: u64) -> Vec<u8> {
    [key, &last.to_be_bytes()].concat()
}

/// The first indexed block after `number` that changed a key.
fn first_after(
    tx: &impl Read,
    table: Table,
    key: &[u8],
    number: u64,
) -> Result<Option<u64>, StorageError> {
    let mut cursor = tx.cursor(table)?;
    let found = cursor.seek(&shard_key(key, number + 1))?;
    let Some((shard, value)) = found.filter(|(shard, _)| shard.starts_with(key)) else {
        return Ok(None);
    };
    let blocks = decode(table, &shard, &value)?;
    Ok(blocks.get(blocks.partition_point(|block| *block <= number)).copied())
}

/// The block numbers of a shard.
pub(crate) fn decode(table: Table, key: &[u8], value: &[u8]) -> Result<Vec<u64>, StorageError> {
    let mut blocks = Vec::new();
    codec::decode_shard(value, &mut blocks).map_err(|error| error.at(table, key))?;
    Ok(blocks)
}

/// Keys that blocks changed, one entry per change.
#[derive(Default)]
pub(crate) struct Changes {
    /// Accounts.
    pub(crate) accounts: Vec<(B256, u64)>,
    /// Slots, by [`slot_key`].
    pub(crate) slots: Vec<([u8; 64], u64)>,
}

impl Changes {
    /// What the blocks from `first` to `last` changed, sorted by key and then by block.
    pub(crate) fn read(tx: &impl Read, first: u64, last: u64) -> Result<Self, StorageError> {
        let mut changes = Self::default();
        for_account_changes(tx, first, last, |block, account, _| {
            changes.accounts.push((account, block));
        })?;
        for_slot_changes(tx, first, last, |block, account, slot, _| {
            changes.slots.push((slot_key(&account, &slot), block));
        })?;
        // Stable: the blocks of a key stay in order. What comes is one sorted run per block.
        changes.accounts.sort_by_key(|(key, _)| *key);
        changes.slots.sort_by_key(|(key, _)| *key);
        Ok(changes)
    }
}

/// Calls `each` with block, account and what was before, in the order of blocks and accounts.
pub(crate) fn for_account_changes(
    tx: &impl Read,
    first: u64,
    last: u64,
    mut each: impl FnMut(u64, B256, Option<AccountState>),
) -> Result<(), StorageError> {
    let table = Table::AccountChangeSets;
    let mut cursor = tx.cursor(table)?;
    let mut entry = cursor.seek(&block_key(first))?;
    while let Some((key, value)) = entry {
        let decoded = codec::decode_block_key(&key)
            .and_then(|block| Ok((block, codec::decode_account_change(&value)?)));
        let (block, (account, before)) = decoded.map_err(|error| error.at(table, &key))?;
        if block > last {
            break;
        }
        each(block, account, before);
        entry = cursor.next()?;
    }
    Ok(())
}

/// Calls `each` with block, account, slot and what was before, in the order of all three.
pub(crate) fn for_slot_changes(
    tx: &impl Read,
    first: u64,
    last: u64,
    mut each: impl FnMut(u64, B256, B256, U256),
) -> Result<(), StorageError> {
    let table = Table::StorageChangeSets;
    let mut cursor = tx.cursor(table)?;
    let mut entry = cursor.seek(&block_key(first))?;
    while let Some((key, value)) = entry {
        let decoded = codec::decode_numbered_key(&key)
            .and_then(|place| Ok((place, codec::decode_slot(&value)?)));
        let ((block, account), (slot, before)) = decoded.map_err(|error| error.at(table, &key))?;
        if block > last {
            break;
        }
        each(block, account, slot, before);
        entry = cursor.next()?;
    }
    Ok(())
}

/// Brings the indices up to block `last`.
pub(crate) fn index(tx: &WriteTx, first: u64, last: u64) -> Result<(), StorageError> {
    let changes = Changes::read(tx, first, last)?;
    extend(tx, Table::AccountsHistory, &changes.accounts)?;
    extend(tx, Table::StoragesHistory, &changes.slots)
}

/// Adds blocks, sorted by key, to the open shards of their keys.
fn extend<K: AsRef<[u8]> + PartialEq>(
    tx: &WriteTx,
    table: Table,
    changes: &[(K, u64)],
) -> Result<(), StorageError> {
    let mut cursor = tx.writer(table)?;
    let (mut blocks, mut value) = (Vec::new(), Vec::new());
    for of_key in changes.chunk_by(|a, b| a.0 == b.0) {
        let key = of_key[0].0.as_ref();
        let open = shard_key(key, OPEN);
        blocks.clear();
        if let Some((_, shard)) = cursor.seek(&open)?.filter(|(found, _)| **found == *open) {
            codec::decode_shard(&shard, &mut blocks).map_err(|error| error.at(table, &open))?;
        }
        if blocks.last() >= Some(&of_key[0].1) {
            let problem = "the index lists blocks that are not indexed yet";
            return Err(StorageError::Inconsistent { table, key: open.into(), problem });
        }
        blocks.extend(of_key.iter().map(|(_, block)| *block));
        let mut rest = blocks.as_slice();
        while let Some((full, more)) = rest.split_at_checked(SHARD).filter(|(_, r)| !r.is_empty()) {
            value.clear();
            codec::encode_shard(&mut value, full);
            cursor.put(&shard_key(key, full[SHARD - 1]), &value)?;
            rest = more;
        }
        value.clear();
        codec::encode_shard(&mut value, rest);
        cursor.put(&open, &value)?;
    }
    Ok(())
}

/// Removes blocks up to `last` from the shards of keys that changed in them.
pub(crate) fn drop_until<K: AsRef<[u8]> + PartialEq>(
    tx: &WriteTx,
    table: Table,
    changes: &[(K, u64)],
    last: u64,
) -> Result<(), StorageError> {
    let mut cursor = tx.writer(table)?;
    for of_key in changes.chunk_by(|a, b| a.0 == b.0) {
        let key = of_key[0].0.as_ref();
        while let Some((shard, value)) = cursor.seek(&shard_key(key, 0))? {
            if !shard.starts_with(key) {
                break;
            }
            let mut blocks = decode(table, &shard, &value)?;
            let dropped = blocks.partition_point(|block| *block <= last);
            if dropped == blocks.len() {
                cursor.delete()?;
                continue;
            }
            if dropped > 0 {
                let mut value = Vec::new();
                codec::encode_shard(&mut value, blocks.split_off(dropped).as_slice());
                cursor.put(&shard, &value)?;
            }
            break;
        }
    }
    Ok(())
}

/// Removes blocks from `first` on from the shards of keys that changed in them. The last shard
/// that keeps blocks becomes the open one.
pub(crate) fn drop_from<K: AsRef<[u8]> + PartialEq>(
    tx: &WriteTx,
    table: Table,
    changes: &[(K, u64)],
    first: u64,
) -> Result<(), StorageError> {
    let mut cursor = tx.writer(table)?;
    for of_key in changes.chunk_by(|a, b| a.0 == b.0) {
        let key = of_key[0].0.as_ref();
        let mut kept = Vec::new();
        while let Some((shard, value)) = cursor.seek(&shard_key(key, first))? {
            if !shard.starts_with(key) {
                break;
            }
            let blocks = decode(table, &shard, &value)?;
            kept.extend(blocks.into_iter().take_while(|block| *block < first));
            cursor.delete()?;
        }
        if kept.is_empty() {
            // The shard before, if the key has one, is full but the last: it is open from now on.
            let before = match cursor.seek(&shard_key(key, first))? {
                Some(_) => cursor.prev()?,
                None => cursor.last()?,
            };
            let Some((shard, value)) = before.filter(|(shard, _)| shard.starts_with(key)) else {
                continue;
            };
            kept = decode(table, &shard, &value)?;
            cursor.delete()?;
        }
        let mut value = Vec::new();
        codec::encode_shard(&mut value, &kept);
        cursor.put(&shard_key(key, OPEN), &value)?;
    }
    Ok(())
}
