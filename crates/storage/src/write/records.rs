//! Headers, bodies, senders, receipts, access lists, and where to find them.

use crate::{
    BlockCommit, StorageError, Table,
    codec::{self, block_key, numbered_key},
    engine::{Change, Read, WriteTx},
};

/// Appends the records of consecutive blocks that follow all others.
pub(super) fn write(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    for block in blocks {
        let key = block_key(block.header.number);
        let append = |table, value: &[u8]| tx.writer(table)?.append(&key, value);
        let header = codec::encode_header(block.header.inner(), block.total_difficulty);
        append(Table::Headers, &header)?;
        append(Table::CanonicalHeaders, block.header.seal().as_slice())?;
        let body = codec::encode_body(&block.body).map_err(|problem| StorageError::BadCommit {
            block: block.block(),
            problem: problem.to_owned(),
        })?;
        append(Table::BlockBodies, &body)?;
        append(Table::TransactionSenders, &codec::encode_senders(&block.senders))?;
        append(Table::Receipts, &codec::encode_receipts(&block.receipts))?;
        tx.writer(Table::HeaderNumbers)?.put(block.header.seal().as_slice(), &key)?;
        access_list(tx, block)?;
    }
    lookup(tx, blocks)
}

/// The list, in the place of one that is there already and is another.
fn access_list(tx: &WriteTx, block: &BlockCommit) -> Result<(), StorageError> {
    let Some(list) = &block.access_list else { return Ok(()) };
    let table = Table::BlockAccessLists;
    let key = numbered_key(block.header.number, &block.header.seal());
    let list = codec::encode_access_list(list);
    if tx.get(table, &key)?.is_some_and(|known| *known == *list) {
        return Ok(());
    }
    tx.writer(table)?.put(&key, &list)
}

/// Where each transaction is. The hashes are sorted, so that those that fall on one page meet.
fn lookup(tx: &WriteTx, blocks: &[&BlockCommit]) -> Result<(), StorageError> {
    let mut positions = Vec::new();
    for block in blocks {
        let transactions = block.body.transactions.iter().enumerate();
        let number = block.header.number;
        positions.extend(transactions.map(|(index, tx)| (*tx.tx_hash(), number, index as u64)));
    }
    positions.sort_unstable();
    let mut cursor = tx.writer(Table::TransactionHashNumbers)?;
    for (hash, number, index) in positions {
        cursor.put(hash.as_slice(), &codec::encode_position(number, index))?;
    }
    Ok(())
}
