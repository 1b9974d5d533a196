//! The blocks in a database against what their headers say of them.

use crate::{body::transactions_root, receipts::receipts_root};
use alloy_consensus::{
    Eip658Value, EthereumReceipt, Header,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
};
use alloy_primitives::B256;
use warpline_storage::{StateReader, Storage, StorageError, StoredReceipt};

/// Holds transactions, ommers, withdrawals and receipts of every block but the genesis block
/// against the roots in its header, and says what differs, at most `limit` of it. What has been
/// pruned, or cannot be read, is passed over: [`Storage::verify`] tells of the latter.
///
/// # Errors
/// The database cannot be read at all.
pub fn verify_blocks(storage: &Storage, limit: usize) -> Result<Vec<String>, StorageError> {
    let snapshot = storage.snapshot(1)?;
    let reader = snapshot.reader()?;
    let mut problems = Vec::new();
    for number in 1..=snapshot.block().number {
        let Ok(Some((header, _))) = reader.header(number) else { continue };
        let wrong =
            body_differs(&reader, &header).into_iter().chain(receipts_differ(&reader, &header));
        problems
            .extend(wrong.map(|what| format!("block {number}: {what} not those of its header")));
        if problems.len() >= limit {
            problems.truncate(limit);
            break;
        }
    }
    Ok(problems)
}

fn body_differs(reader: &StateReader<'_>, header: &Header) -> Vec<&'static str> {
    let Ok(Some(body)) = reader.body(header.number) else { return Vec::new() };
    let withdrawals = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    let compared = [
        (transactions_root(&body.transactions) == header.transactions_root, "the transactions are"),
        (calculate_ommers_root(&body.ommers) == header.ommers_hash, "the ommers are"),
        (withdrawals == header.withdrawals_root, "the withdrawals are"),
    ];
    compared.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}

fn receipts_differ(reader: &StateReader<'_>, header: &Header) -> Option<&'static str> {
    let Ok(Some(receipts)) = reader.receipts(header.number) else { return None };
    let root_after = |stored: &StoredReceipt| match stored.receipt.status {
        Eip658Value::PostState(root) => Some(root),
        Eip658Value::Eip658(_) => None,
    };
    // All of them have one, or none: one too few is a difference as well.
    let roots: Vec<B256> = receipts.iter().filter_map(root_after).collect();
    let receipt = |stored: StoredReceipt| EthereumReceipt {
        tx_type: stored.tx_type,
        success: stored.receipt.status.coerce_status(),
        cumulative_gas_used: stored.receipt.cumulative_gas_used,
        logs: stored.receipt.logs,
    };
    let receipts: Vec<_> = receipts.into_iter().map(receipt).collect();
    let (root, bloom) = receipts_root(&receipts, &roots);
    let same = root == header.receipts_root && bloom == header.logs_bloom;
    (!same).then_some("the receipts are")
}
