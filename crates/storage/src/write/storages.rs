//! The storage of accounts: slots of all blocks of a batch merged, cleared storage recorded.

use super::put_slot;
use crate::{
    BlockCommit, HashedAccountDiff, HashedSlotDiff, StorageError, Table, codec,
    engine::{Change, WriteTx},
};
use alloy_primitives::{B256, U256, map::HashMap};
use std::collections::BTreeMap;

/// What blocks, by position in the batch, found in the storage of accounts that they cleared:
/// slots of before with their values, and slots written again with zero where they were not
/// there, in ascending order.
pub(super) type Wiped = HashMap<(usize, B256), Vec<(B256, U256)>>;

/// Writes the slots as they are after the last block.
pub(super) fn write(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<Wiped, StorageError> {
    let mut changed: Vec<(usize, &HashedAccountDiff)> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let touched = |a: &&HashedAccountDiff| a.storage_cleared || !a.storage.is_empty();
        changed.extend(block.diff.accounts().iter().filter(touched).map(|a| (index, a)));
    }
    // Stable: the blocks of an account stay in order.
    changed.sort_by_key(|(_, account)| account.hash);

    let mut wiped = Wiped::default();
    let mut cursor = tx.writer(Table::HashedStorages)?;
    for of_account in changed.chunk_by(|a, b| a.1.hash == b.1.hash) {
        if of_account.iter().any(|(_, diff)| diff.storage_cleared) {
            rewrite(&mut cursor, of_account, &mut wiped)?;
        } else {
            update(&mut cursor, of_account)?;
        }
    }
    Ok(wiped)
}

/// The usual case: nothing was cleared.
fn update<'a>(
    cursor: &mut impl Change<'a>,
    of_account: &[(usize, &HashedAccountDiff)],
) -> Result<(), StorageError> {
    let lists = of_account.iter().map(|(_, diff)| diff.storage.as_slice());
    let account = &of_account[0].1.hash;
    let mut buffer = Vec::with_capacity(64);
    for slot in super::last_of_each(lists, |slot: &HashedSlotDiff| &slot.hash) {
        put_slot(cursor, account, &slot.hash, slot.after, &mut buffer)?;
    }
    Ok(())
}

/// The storage was cleared at least once: go through the blocks in order with all of it at hand.
fn rewrite<'a>(
    cursor: &mut impl Change<'a>,
    of_account: &[(usize, &HashedAccountDiff)],
    wiped: &mut Wiped,
) -> Result<(), StorageError> {
    let account = &of_account[0].1.hash;
    let mut slots = BTreeMap::new();
    let mut value = cursor.seek_value(account.as_slice(), &[])?;
    let existed = value.is_some();
    while let Some(slot) = value {
        let decoded = codec::decode_slot(&slot);
        let (key, value_of) =
            decoded.map_err(|e| e.at(Table::HashedStorages, account.as_slice()))?;
        slots.insert(key, value_of);
        value = cursor.next_value()?;
    }
    for (block, diff) in of_account {
        if diff.storage_cleared {
            let mut before = slots.clone();
            for slot in diff.storage.iter().filter(|slot| !slot.after.is_zero()) {
                before.entry(slot.hash).or_insert(U256::ZERO);
            }
            wiped.insert((*block, *account), before.into_iter().collect());
            slots.clear();
        }
        for slot in &diff.storage {
            if slot.after.is_zero() {
                slots.remove(&slot.hash);
            } else {
                slots.insert(slot.hash, slot.after);
            }
        }
    }
    if existed && cursor.seek_value(account.as_slice(), &[])?.is_some() {
        cursor.delete_values()?;
    }
    let mut buffer = Vec::with_capacity(64);
    for (slot, value) in &slots {
        buffer.clear();
        codec::encode_slot(&mut buffer, slot, *value);
        cursor.put(account.as_slice(), &buffer)?;
    }
    Ok(())
}
