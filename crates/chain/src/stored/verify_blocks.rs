//! The blocks in a database against what their headers say of them.

use crate::{body::transactions_root, receipts::receipts_root};
use alloy_consensus::{
    BlockBody, Eip658Value, EthereumReceipt, Header,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
    transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256, Signature, U256};
use rayon::prelude::*;
use warpline_storage::{StateReader, Storage, StorageError, StoredReceipt, Transaction};

/// Holds transactions, ommers, withdrawals and receipts of every block but the genesis block
/// against the roots in its header, and senders against the signatures, and says what differs, at
/// most `limit` of it. What has been pruned, or cannot be read, is passed over:
/// [`Storage::verify`] tells of the latter.
///
/// # Errors
/// The database cannot be read at all.
pub fn verify_blocks(storage: &Storage, limit: usize) -> Result<Vec<String>, StorageError> {
    let snapshot = storage.snapshot(1)?;
    let reader = snapshot.reader()?;
    let mut problems = Vec::new();
    for number in 1..=snapshot.block().number {
        let Ok(Some((header, _))) = reader.header(number) else { continue };
        let body = reader.body(number).ok().flatten();
        let of_body = body.as_ref().map(|body| body_differs(body, &header)).unwrap_or_default();
        let of_receipts = receipts_differ(&reader, &header);
        let wrong = of_body.into_iter().chain(of_receipts);
        problems
            .extend(wrong.map(|what| format!("block {number}: {what} not those of its header")));
        if let Some(index) = body.and_then(|body| sender_differs(&reader, number, &body)) {
            problems.push(format!(
                "block {number}: the sender of transaction {index} is not who has signed it"
            ));
        }
        if problems.len() >= limit {
            problems.truncate(limit);
            break;
        }
    }
    Ok(problems)
}

fn body_differs(body: &BlockBody<Transaction>, header: &Header) -> Vec<&'static str> {
    let withdrawals = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    let compared = [
        (transactions_root(&body.transactions) == header.transactions_root, "the transactions are"),
        (calculate_ommers_root(&body.ommers) == header.ommers_hash, "the ommers are"),
        (withdrawals == header.withdrawals_root, "the withdrawals are"),
    ];
    compared.into_iter().filter(|(same, _)| !same).map(|(_, what)| what).collect()
}

/// The first transaction that somebody else has signed.
fn sender_differs(
    reader: &StateReader<'_>,
    number: u64,
    body: &BlockBody<Transaction>,
) -> Option<usize> {
    let senders = reader.senders(number).ok().flatten()?;
    let signed = body.transactions.par_iter().zip(&senders);
    signed.position_first(|(transaction, sender)| {
        !is_mark_of(transaction.signature(), sender)
            && !transaction.recover_signer_unchecked().is_ok_and(|signer| signer == *sender)
    })
}

/// Whether it is what stands for the signature of an account that a development node acts for
/// without its key.
fn is_mark_of(signature: &Signature, sender: &Address) -> bool {
    *signature == Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false)
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
