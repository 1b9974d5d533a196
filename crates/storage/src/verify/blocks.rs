//! Headers and what is stored by block.

use super::{Check, Stop};
use crate::{
    BlockRef, Table,
    codec::{block_key, decode_access_list, decode_numbered_key},
    engine::{Read, Walk},
    meta,
    prune::LISTS_ASIDE,
    tables,
};
use alloy_primitives::{B256, U256};

/// Heights without gaps, hashes that are those of the headers, parents that are there, and the
/// way back from hash to height.
pub(super) fn headers(check: &mut Check<'_>) -> Result<(), Stop> {
    let mut parent = B256::ZERO;
    let mut difficulty = U256::ZERO;
    for number in 0..=check.head {
        let key = block_key(number);
        let Some((header, total)) = tables::header(check.tx, number)? else {
            check.report(Table::Headers, &key, "the header is missing")?;
            continue;
        };
        let hash = header.hash_slow();
        check.expect(header.number == number, Table::Headers, &key, "the number is another")?;
        let known = tables::block_hash(check.tx, number)?;
        let problem = "the hash is not that of the header";
        check.expect(known == Some(hash), Table::CanonicalHeaders, &key, problem)?;
        let back = tables::block_number(check.tx, &hash)? == Some(number);
        check.expect(back, Table::HeaderNumbers, hash.as_slice(), "not the number of the block")?;
        let follows = number == 0 || header.parent_hash == parent;
        check.expect(follows, Table::Headers, &key, "the parent is not the block before")?;
        let sum = number == 0 || difficulty.saturating_add(header.difficulty) == total;
        check.expect(sum, Table::Headers, &key, "the total difficulty is not the sum")?;
        (parent, difficulty) = (hash, total);
    }
    let head = meta::known_head(check.tx)?;
    let last = BlockRef { number: check.head, hash: parent };
    check.expect(head == last, Table::Metadata, b"head", "the head is not the last block")?;
    for block in meta::finality(check.tx)?.blocks() {
        let known = tables::block_hash(check.tx, block.number)? == Some(block.hash);
        let problem = format_args!("block {block} is not in the chain");
        check.expect(known, Table::Metadata, meta::FINALITY, problem)?;
    }
    for table in [Table::Headers, Table::CanonicalHeaders, Table::HeaderNumbers] {
        check.expect_entries(table, check.head + 1)?;
    }
    Ok(())
}

/// One sender, one receipt and one place in the lookup per transaction.
pub(super) fn bodies(check: &mut Check<'_>) -> Result<(), Stop> {
    let (mut places, mut senders_kept, mut receipts_kept) = (0, 0, 0);
    for number in 0..=check.head {
        let key = block_key(number);
        let Some(body) = tables::body(check.tx, number)? else {
            check.report(Table::BlockBodies, &key, "the body is missing")?;
            continue;
        };
        let count = body.transactions.len();
        for (transaction, index) in body.transactions.iter().zip(0u64..) {
            let hash = transaction.tx_hash();
            match tables::position(check.tx, hash)? {
                Some(position) if position == (number, index) => places += 1,
                Some((other, at)) if has_transaction(check, other, at, hash)? => {}
                _ => {
                    let table = Table::TransactionHashNumbers;
                    check.report(table, hash.as_slice(), "not the place of the transaction")?;
                }
            }
        }
        if number >= check.progress.senders_from {
            senders_kept += 1;
            let senders = tables::senders(check.tx, number)?.map(|senders| senders.len());
            let each = senders == Some(count);
            check.expect(each, Table::TransactionSenders, &key, "not one per transaction")?;
        }
        if number >= check.progress.receipts_from {
            receipts_kept += 1;
            receipts(check, number, count)?;
        }
    }
    check.expect_entries(Table::BlockBodies, check.head + 1)?;
    check.expect_entries(Table::TransactionSenders, senders_kept)?;
    check.expect_entries(Table::Receipts, receipts_kept)?;
    check.expect_entries(Table::TransactionHashNumbers, places)
}

fn has_transaction(check: &Check<'_>, number: u64, at: u64, hash: &B256) -> Result<bool, Stop> {
    let Ok(index) = usize::try_from(at) else { return Ok(false) };
    let found = tables::transaction(check.tx, number, index)?;
    Ok(found.is_some_and(|transaction| transaction.tx_hash() == hash))
}

fn receipts(check: &mut Check<'_>, number: u64, count: usize) -> Result<(), Stop> {
    let key = block_key(number);
    let receipts = tables::receipts(check.tx, number)?.unwrap_or_default();
    check.expect(receipts.len() == count, Table::Receipts, &key, "not one per transaction")?;
    let gas = receipts.last().map_or(0, |last| last.receipt.cumulative_gas_used);
    let used = tables::header(check.tx, number)?.map_or(0, |(header, _)| header.gas_used);
    // The genesis block may state any gas; before a block's last transaction gas only grows.
    let ascends =
        receipts.is_sorted_by_key(|receipt| receipt.receipt.cumulative_gas_used) && gas == used;
    check.expect(ascends || number == 0, Table::Receipts, &key, "not the gas of the header")
}

/// Lists that are whole, with the hash that the header of their block commits to if it does, of
/// blocks of the chain or of late.
pub(super) fn access_lists(check: &mut Check<'_>) -> Result<(), Stop> {
    let table = Table::BlockAccessLists;
    let mut cursor = check.tx.cursor(table)?;
    while let Some((key, value)) = cursor.next()? {
        let (number, hash) = match decode_numbered_key(&key) {
            Ok(key) => key,
            Err(error) => {
                check.report(table, &key, error)?;
                continue;
            }
        };
        let list_hash = match decode_access_list(&value) {
            Ok(list) => list.seal(),
            Err(error) => {
                check.report(table, &key, error)?;
                continue;
            }
        };
        if tables::block_hash(check.tx, number)? == Some(hash) {
            let header = tables::header(check.tx, number)?;
            let stated = header.and_then(|(header, _)| header.block_access_list_hash);
            let same = stated.is_none_or(|stated| stated == list_hash);
            check.expect(same, table, &key, "not the hash that the header commits to")?;
        } else {
            let late = number.saturating_add(LISTS_ASIDE) > check.head;
            check.expect(late, table, &key, "the block is not in the chain and long past")?;
        }
    }
    Ok(())
}
