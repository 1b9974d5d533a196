//! Change sets and the history indices: what the one lists the other has.

use super::{Check, Stop};
use crate::{
    Table,
    codec::numbered_key,
    engine::{Read, Walk},
    history::{account_change, decode, for_account_changes, for_slot_changes},
    tables,
};
use alloy_primitives::B256;

/// Every indexed block changed the account, and as many changes are indexed as there are.
pub(super) fn accounts(check: &mut Check<'_>) -> Result<(), Stop> {
    let indexed = shards(check, Table::AccountsHistory, 32, |check, key, block| {
        let account = B256::from_slice(key);
        Ok(account_change(check.tx, block, &account)?.is_some())
    })?;
    let (mut changes, mut outside) = (0, 0);
    let progress = check.progress;
    for_account_changes(check.tx, 0, u64::MAX, |block, _, _| {
        changes += u64::from(block <= progress.indexed_to);
        outside += u64::from(block <= progress.history_from || block > check.head);
    })?;
    count(check, Table::AccountChangeSets, indexed, changes, outside)
}

/// The same for slots.
pub(super) fn storages(check: &mut Check<'_>) -> Result<(), Stop> {
    let indexed = shards(check, Table::StoragesHistory, 64, |check, key, block| {
        let (account, slot) = key.split_at(32);
        let key = numbered_key(block, &B256::from_slice(account));
        let slot = B256::from_slice(slot);
        Ok(tables::value_with_prefix(check.tx, Table::StorageChangeSets, &key, &slot)?.is_some())
    })?;
    let (mut changes, mut outside) = (0, 0);
    let progress = check.progress;
    for_slot_changes(check.tx, 0, u64::MAX, |block, _, _, _| {
        changes += u64::from(block <= progress.indexed_to);
        outside += u64::from(block <= progress.history_from || block > check.head);
    })?;
    count(check, Table::StorageChangeSets, indexed, changes, outside)
}

fn count(
    check: &mut Check<'_>,
    table: Table,
    indexed: u64,
    changes: u64,
    outside: u64,
) -> Result<(), Stop> {
    let problem = format!("{indexed} changes are indexed, {changes} are there");
    check.expect(indexed == changes, table, &[], problem)?;
    check.expect(outside == 0, table, &[], format!("{outside} changes of blocks not kept"))
}

/// Walks through an index whose keys have `length` bytes before the block; counts its blocks.
fn shards(
    check: &mut Check<'_>,
    table: Table,
    length: usize,
    changed: impl Fn(&Check<'_>, &[u8], u64) -> Result<bool, Stop>,
) -> Result<u64, Stop> {
    let kept = check.progress.history_from + 1..=check.progress.indexed_to;
    let mut cursor = check.tx.cursor(table)?;
    let mut count = 0;
    // The last block of the shard before, where it is of the same key.
    let mut before: Option<(Vec<u8>, u64)> = None;
    while let Some((shard, value)) = cursor.next()? {
        let Some((key, end)) = shard.split_at_checked(length).filter(|(_, end)| end.len() == 8)
        else {
            check.report(table, &shard, "not the key of a shard")?;
            continue;
        };
        let blocks = decode(table, &shard, &value)?;
        let last = blocks.last().map_or(0, |last| *last);
        let named = end == last.to_be_bytes() || end == u64::MAX.to_be_bytes();
        check.expect(named, table, &shard, "the key is not the last block of the shard")?;
        let of_key = before.as_ref().filter(|(other, _)| other == key);
        let ascends = of_key.is_none_or(|(_, last)| blocks.first() > Some(last));
        check.expect(ascends, table, &shard, "the shard overlaps the one before")?;
        for block in blocks {
            count += 1;
            let holds = kept.contains(&block) && changed(check, key, block)?;
            let problem = format_args!("block {block} is listed and did not change it");
            check.expect(holds, table, &shard, problem)?;
        }
        before = Some((key.to_vec(), last));
    }
    Ok(count)
}
