//! Writing a batch of blocks into one transaction.
//!
//! State and trie nodes are merged first, so that what several blocks of a batch change is
//! written once, and every table is written in the order of its keys: neighbouring entries share
//! a page, and copying pages is what a commit costs. Change sets and records are per block and
//! go to the end of their tables.

mod nodes;
mod records;
mod storages;

use crate::{
    BlockCommit, StorageError, StoredAccount, Table,
    codec::{self, block_key, numbered_key},
    engine::{Change, Read, WriteTx},
    tables,
};
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, U256};

pub(crate) use nodes::apply as apply_nodes;

/// Writes everything about consecutive blocks but indices and metadata.
pub(crate) fn blocks(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    let wiped = storages::write(tx, blocks)?;
    accounts(tx, blocks)?;
    for (index, block) in blocks.iter().enumerate() {
        account_changes(tx, block)?;
        slot_changes(tx, block, |account| wiped.get(&(index, *account)).map(Vec::as_slice))?;
    }
    nodes::write(tx, blocks)?;
    codes(tx, blocks)?;
    records::write(tx, blocks)
}

/// Writes what the genesis block allocates. Nothing was before, so there are no change sets.
pub(crate) fn genesis(tx: &WriteTx, block: &BlockCommit) -> Result<(), StorageError> {
    storages::write(tx, &[block])?;
    accounts(tx, &[block])?;
    nodes::write(tx, &[block])?;
    codes(tx, &[block])?;
    records::write(tx, &[block])
}

/// Of items in several sorted lists the last one per key, in the order of keys.
fn last_of_each<'a, T, K: Ord>(
    lists: impl Iterator<Item = &'a [T]>,
    key: impl Fn(&T) -> &K,
) -> Vec<&'a T> {
    let mut all: Vec<&T> = lists.flatten().collect();
    // Stable, and quick where runs are sorted already.
    all.sort_by(|a, b| key(a).cmp(key(b)));
    let mut kept = 0;
    for at in 0..all.len() {
        if all.get(at + 1).is_none_or(|next| key(next) != key(all[at])) {
            all[kept] = all[at];
            kept += 1;
        }
    }
    all.truncate(kept);
    all
}

fn accounts(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    let mut all: Vec<_> = blocks.iter().flat_map(|block| block.diff.accounts()).collect();
    // Stable: the blocks of an account stay in order.
    all.sort_by_key(|account| account.hash);
    let roots = blocks.iter().map(|block| block.trie.storage_roots.as_slice());
    let roots = last_of_each(roots, |(account, _)| account);
    let mut roots = roots.into_iter().peekable();
    let mut cursor = tx.writer(Table::HashedAccounts)?;
    let mut value = Vec::new();
    for of_account in all.chunk_by(|a, b| a.hash == b.hash) {
        let Some(last) = of_account.last() else { continue };
        let key = last.hash.as_slice();
        let Some(state) = last.after else {
            delete_key(&mut cursor, key)?;
            continue;
        };
        while roots.next_if(|(account, _)| *account < last.hash).is_some() {}
        let listed = roots.next_if(|(account, _)| *account == last.hash);
        let storage_root = match listed {
            Some((_, root)) => *root,
            None if of_account.iter().any(|diff| diff.storage_cleared) => EMPTY_ROOT_HASH,
            None => tables::account(tx, &last.hash)?.map_or(EMPTY_ROOT_HASH, |a| a.storage_root),
        };
        value.clear();
        codec::encode_account(&mut value, &StoredAccount { state, storage_root });
        cursor.put(key, &value)?;
    }
    Ok(())
}

/// Sets storage roots of accounts that exist.
pub(crate) fn storage_roots(tx: &WriteTx, roots: &[(B256, B256)]) -> Result<(), StorageError> {
    let mut cursor = tx.writer(Table::HashedAccounts)?;
    let mut value = Vec::new();
    for (account, storage_root) in roots {
        if let Some(StoredAccount { state, .. }) = tables::account(tx, account)? {
            value.clear();
            let account_now = StoredAccount { state, storage_root: *storage_root };
            codec::encode_account(&mut value, &account_now);
            cursor.put(account.as_slice(), &value)?;
        }
    }
    Ok(())
}

/// Removes a key where it is there.
fn delete_key<'a>(cursor: &mut impl Change<'a>, key: &[u8]) -> Result<(), StorageError> {
    match cursor.seek(key)? {
        Some((found, _)) if *found == *key => cursor.delete(),
        _ => Ok(()),
    }
}

/// Sets a slot, or removes it where the value is zero.
pub(crate) fn put_slot<'a>(
    cursor: &mut impl Change<'a>,
    account: &B256,
    slot: &B256,
    value: U256,
    buffer: &mut Vec<u8>,
) -> Result<(), StorageError> {
    buffer.clear();
    codec::encode_slot(buffer, slot, value);
    let found = cursor.seek_value(account.as_slice(), slot.as_slice())?;
    if let Some(found) = found.filter(|found| found.starts_with(slot.as_slice())) {
        if *found == **buffer {
            return Ok(());
        }
        cursor.delete()?;
    }
    if value.is_zero() { Ok(()) } else { cursor.put(account.as_slice(), buffer) }
}

/// What a block found at the accounts that it changed.
fn account_changes(tx: &WriteTx, block: &BlockCommit) -> Result<(), StorageError> {
    let mut cursor = tx.writer(Table::AccountChangeSets)?;
    let key = block_key(block.header.number);
    let mut value = Vec::new();
    for account in block.diff.accounts() {
        if account.before != account.after {
            value.clear();
            codec::encode_account_change(&mut value, &account.hash, account.before.as_ref());
            cursor.append_value(&key, &value)?;
        }
    }
    Ok(())
}

/// What a block found at the slots that it changed, those of cleared storage from `wiped`.
fn slot_changes<'w>(
    tx: &WriteTx,
    block: &BlockCommit,
    wiped: impl Fn(&B256) -> Option<&'w [(B256, U256)]>,
) -> Result<(), StorageError> {
    let mut cursor = tx.writer(Table::StorageChangeSets)?;
    let mut value = Vec::new();
    for account in block.diff.accounts() {
        let key = numbered_key(block.header.number, &account.hash);
        let mut change = |slot: &B256, before| {
            value.clear();
            codec::encode_slot(&mut value, slot, before);
            cursor.append_value(&key, &value)
        };
        if account.storage_cleared {
            let slots = wiped(&account.hash).unwrap_or_default();
            slots.iter().try_for_each(|(slot, before)| change(slot, *before))?;
        } else {
            let slots = account.storage.iter().filter(|slot| slot.before != slot.after);
            slots.into_iter().try_for_each(|slot| change(&slot.hash, slot.before))?;
        }
    }
    Ok(())
}

fn codes(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    let codes = blocks.iter().flat_map(|block| block.diff.codes());
    let preimages = blocks.iter().flat_map(|block| block.diff.preimages());
    for (hash, code) in codes.chain(preimages) {
        if tx.get(Table::Bytecodes, hash.as_slice())?.is_none() {
            tx.writer(Table::Bytecodes)?.put(hash.as_slice(), code)?;
        }
    }
    Ok(())
}
