//! Trie nodes of all blocks of a batch, merged. What they mean is the trie's affair.

use super::{delete_key, last_of_each};
use crate::{
    BlockCommit, StorageError, StorageTrieUpdates, Table, TrieUpdates,
    engine::{Change, WriteTx},
    tables::{account_node_key, storage_node_key},
};
use alloy_primitives::{B256, Bytes};

/// Writes the nodes as they are after the last block.
pub(super) fn write(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    let updates: Vec<_> = blocks.iter().map(|block| &block.trie).collect();
    apply(tx, &updates)
}

/// Applies sorted updates, one after the other.
pub(crate) fn apply(tx: &WriteTx, updates: &[&TrieUpdates]) -> Result<(), StorageError> {
    let lists = updates.iter().map(|update| update.accounts.as_slice());
    let mut cursor = tx.writer(Table::AccountsTrie)?;
    for (path, node) in last_of_each(lists, by_path) {
        set(&mut cursor, &account_node_key(path), node.as_ref())?;
    }

    let mut storages: Vec<_> = updates.iter().flat_map(|update| &update.storages).collect();
    // Stable: the updates of an account stay in order.
    storages.sort_by_key(|(account, _)| *account);
    let mut cursor = tx.writer(Table::StoragesTrie)?;
    for of_account in storages.chunk_by(|a, b| a.0 == b.0) {
        apply_storage(&mut cursor, of_account)?;
    }
    Ok(())
}

fn by_path(update: &(Bytes, Option<Bytes>)) -> &Bytes {
    &update.0
}

fn apply_storage<'a>(
    cursor: &mut impl Change<'a>,
    of_account: &[&(B256, StorageTrieUpdates)],
) -> Result<(), StorageError> {
    let account = &of_account[0].0;
    let last_clear = of_account.iter().rposition(|(_, updates)| updates.cleared);
    if last_clear.is_some() {
        clear(cursor, account)?;
    }
    let kept = &of_account[last_clear.unwrap_or_default()..];
    let lists = kept.iter().map(|(_, updates): &&(_, _)| -> &[_] { &updates.nodes });
    let lists: Vec<&[(Bytes, Option<Bytes>)]> = lists.collect();
    for (path, node) in last_of_each(lists.into_iter(), by_path) {
        set(cursor, &storage_node_key(account, path), node.as_ref())?;
    }
    Ok(())
}

fn set<'a>(
    cursor: &mut impl Change<'a>,
    key: &[u8],
    node: Option<&Bytes>,
) -> Result<(), StorageError> {
    match node {
        Some(node) => cursor.put(key, node),
        None => delete_key(cursor, key),
    }
}

/// Removes all nodes of the storage trie of an account.
fn clear<'a>(cursor: &mut impl Change<'a>, account: &B256) -> Result<(), StorageError> {
    while let Some((key, _)) = cursor.seek(account.as_slice())? {
        if !key.starts_with(account.as_slice()) {
            break;
        }
        cursor.delete()?;
    }
    Ok(())
}
