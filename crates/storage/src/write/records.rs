//! Headers, bodies, senders, receipts, and where to find them.

use crate::{
    BlockCommit, StorageError, Table,
    codec::{self, block_key},
    engine::{Change, WriteTx},
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
    }
    lookup(tx, blocks)
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
