//! The blocks in a database against what their headers say of them.

use crate::{body::transactions_root, receipts::receipts_root};
use alloy_consensus::{
    BlockBody, Eip658Value, EthereumReceipt, Header,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
    transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256};
use rayon::prelude::*;
use warpline_storage::{StateReader, Storage, StorageError, StoredReceipt, Transaction};
use warpline_types::impersonation_mark;

/// Holds transactions, ommers, withdrawals and receipts of every block but the genesis block
/// against the roots in its header, and senders against the signatures, and says what differs, at
/// most `limit` of it. What has been pruned, or cannot be read, is passed over:
/// [`Storage::verify`] tells of the latter. `step` is told each block. Signatures are recovered on
/// the threads of the rayon pool it is called in.
///
/// # Errors
/// The database cannot be read at all.
pub fn verify_blocks(
    storage: &Storage,
    limit: usize,
    mut step: impl FnMut(u64),
) -> Result<Vec<String>, StorageError> {
    let head = storage.head().number;
    let (mut problems, mut next) = (Vec::new(), 1);
    while next <= head && problems.len() < limit {
        // A view that has met a damaged page can be read no further.
        let snapshot = storage.snapshot(1)?;
        let reader = snapshot.reader()?;
        while next <= head && problems.len() < limit {
            step(next);
            let found = block_differs(&reader, next);
            next += 1;
            let Ok(found) = found else { break };
            problems.extend(found.into_iter().map(|what| format!("block {}: {what}", next - 1)));
        }
    }
    problems.truncate(limit);
    Ok(problems)
}

fn block_differs(reader: &StateReader<'_>, number: u64) -> Result<Vec<String>, StorageError> {
    let Some((header, _)) = reader.header(number)? else { return Ok(Vec::new()) };
    let Some(body) = reader.body(number)? else { return Ok(Vec::new()) };
    let receipts =
        kept(reader.receipts(number))?.is_some_and(|list| receipts_differ(list, &header));
    let of_header = body_differs(&header, &body).into_iter().chain(receipts.then_some("receipts"));
    let mut found: Vec<_> =
        of_header.map(|what| format!("the {what} are not those of its header")).collect();
    let senders = kept(reader.senders(number))?;
    if let Some(index) = senders.and_then(|senders| sender_differs(&body, &senders)) {
        found.push(format!("the sender of transaction {index} is not who has signed it"));
    }
    Ok(found)
}

/// None of what has been pruned.
fn kept<T>(found: Result<Option<T>, StorageError>) -> Result<Option<T>, StorageError> {
    match found {
        Err(StorageError::Pruned { .. }) => Ok(None),
        found => found,
    }
}

/// What of a block is not what its header says: its transactions, its ommers, its withdrawals.
pub fn body_differs(header: &Header, body: &BlockBody<Transaction>) -> Vec<&'static str> {
    let withdrawals = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    let compared = [
        (transactions_root(&body.transactions) == header.transactions_root, "transactions"),
        (calculate_ommers_root(&body.ommers) == header.ommers_hash, "ommers"),
        (withdrawals == header.withdrawals_root, "withdrawals"),
    ];
    compared.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}

/// The first transaction that somebody else has signed.
fn sender_differs(body: &BlockBody<Transaction>, senders: &[Address]) -> Option<usize> {
    let signed = body.transactions.par_iter().zip(senders);
    signed.position_first(|(transaction, sender)| {
        *transaction.signature() != impersonation_mark(sender)
            && !transaction.recover_signer_unchecked().is_ok_and(|signer| signer == *sender)
    })
}

fn receipts_differ(receipts: Vec<StoredReceipt>, header: &Header) -> bool {
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
    root != header.receipts_root || bloom != header.logs_bloom
}
