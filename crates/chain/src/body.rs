//! What a body must be, given its header.

use crate::{InvalidBlock, Reason, rules::BlockRules};
use alloy_consensus::{
    Block, Header, Transaction, TxReceipt,
    proofs::{calculate_ommers_root, calculate_withdrawals_root},
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::{
    eip2718::{Encodable2718, Typed2718},
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Log, b256};
use revm::context::TxEnv;
use warpline_chainspec::ChainSpec;
use warpline_executor::{EthTransaction, PreparedTx};
use warpline_trie::ordered_root;

/// The largest block (EIP-7934): 10 MiB less what a beacon block takes besides.
const MAX_BLOCK_SIZE: usize = 8 << 20;

/// A transaction ready to run.
pub(crate) type Tx = PreparedTx<TxEnv, EthTransaction>;

/// Checks what the header says of the transactions, which have turned out to be valid. Their root
/// may have been computed before.
pub(crate) fn check_transactions(
    rules: BlockRules<'_>,
    block: &Block<EthTransaction>,
    root: Option<B256>,
) -> Result<(), InvalidBlock> {
    let (header, txs) = (&block.header, &block.body.transactions);
    let root = root.unwrap_or_else(|| transactions_root(txs));
    InvalidBlock::compare(Reason::TransactionsRoot, &header.transactions_root, &root)?;
    if rules.chain.is_cancun_active_at_timestamp(header.timestamp) {
        let used = txs.iter().filter_map(Transaction::blob_gas_used).sum();
        InvalidBlock::compare(Reason::BlobGasUsed, &header.blob_gas_used, &Some(used))?;
    }
    Ok(())
}

/// The root of transactions.
pub(crate) fn transactions_root(txs: &[EthTransaction]) -> B256 {
    ordered_root(txs, |tx, out| tx.encode_2718(out))
}

/// Checks the size, and the roots of everything in the body but the transactions: an invalid
/// transaction says more than a root that does not match it.
pub(crate) fn check(
    rules: BlockRules<'_>,
    block: &Block<EthTransaction>,
    size: usize,
) -> Result<(), InvalidBlock> {
    let (header, body) = (&block.header, &block.body);
    let chain = rules.chain;
    if chain.is_osaka_active_at_timestamp(header.timestamp) && size > MAX_BLOCK_SIZE {
        let detail = format_args!("{size} bytes, at most {MAX_BLOCK_SIZE}");
        return Err(InvalidBlock::new(Reason::BlockSize, detail));
    }
    let ommers = calculate_ommers_root(&body.ommers);
    InvalidBlock::compare(Reason::OmmersHash, &header.ommers_hash, &ommers)?;
    if body.withdrawals.is_some() != header.withdrawals_root.is_some() {
        return Err(InvalidBlock::new(Reason::BodyFields, "withdrawals in header or body only"));
    }
    let withdrawals = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    InvalidBlock::compare(Reason::WithdrawalsRoot, &header.withdrawals_root, &withdrawals)?;
    Ok(())
}

/// Recovers the senders. What only the EVM can tell is left to the execution.
pub(crate) fn recover(
    rules: BlockRules<'_>,
    block: &Block<EthTransaction>,
) -> Result<Vec<Tx>, InvalidBlock> {
    let recover = |(index, tx)| {
        recover_one(rules.chain, &block.header, tx)
            .map_err(|error| InvalidBlock { transaction: Some(index), ..error })
    };
    block.body.transactions.iter().enumerate().map(recover).collect()
}

/// Recovers the sender of a transaction, if its type and signature are among those that the
/// block's fork knows.
pub(crate) fn recover_one(
    chain: &ChainSpec,
    header: &Header,
    tx: &EthTransaction,
) -> Result<Tx, InvalidBlock> {
    let (number, timestamp) = (header.number, header.timestamp);
    let known = match tx.ty() {
        0 => true,
        1 => chain.is_berlin_active_at_block(number),
        2 => chain.is_london_active_at_block(number),
        3 => chain.is_cancun_active_at_timestamp(timestamp),
        4 => chain.is_prague_active_at_timestamp(timestamp),
        _ => false,
    };
    if !known {
        return Err(InvalidBlock::new(Reason::TransactionType, tx.ty()));
    }
    let protected = chain.is_spurious_dragon_active_at_block(number);
    if tx.is_legacy() && tx.chain_id().is_some() && !protected {
        return Err(InvalidBlock::new(Reason::Signature, "replay protection too early"));
    }
    let (claimed, id) = (tx.chain_id(), chain.chain_id());
    if claimed.is_some_and(|claimed| claimed != id) {
        return Err(InvalidBlock::new(Reason::ChainId, format_args!("{claimed:?}, not {id}")));
    }
    // Before Homestead a signature may have a high `s`.
    let signer = match chain.is_homestead_active_at_block(number) {
        true => tx.recover_signer(),
        false => tx.recover_signer_unchecked(),
    };
    let signer = signer.map_err(|error| InvalidBlock::new(Reason::Signature, error))?;
    Ok(Tx::new(Recovered::new_unchecked(tx.clone(), signer)))
}

/// `DepositEvent(bytes,bytes,bytes,bytes,bytes)`.
const DEPOSIT_EVENT: B256 =
    b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

/// Where each field of a deposit stands in the log's data, and how long it is (EIP-6110).
const DEPOSIT_FIELDS: [(u64, u64); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];
const DEPOSIT_LENGTH: usize = 576;

/// Checks that every deposit is laid out as the deposit contract lays it out.
pub(crate) fn check_deposits<R: TxReceipt<Log = Log>>(
    rules: BlockRules<'_>,
    timestamp: u64,
    receipts: &[R],
) -> Result<(), InvalidBlock> {
    if !rules.chain.is_prague_active_at_timestamp(timestamp) {
        return Ok(());
    }
    let contract =
        rules.chain.deposit_contract_address().unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS);
    for (index, receipt) in receipts.iter().enumerate() {
        let is_deposit =
            |log: &&Log| log.address == contract && log.topics().first() == Some(&DEPOSIT_EVENT);
        if receipt.logs().iter().filter(is_deposit).any(|log| !well_laid_out(&log.data.data)) {
            return Err(InvalidBlock::at(index, Reason::Deposit, ""));
        }
    }
    Ok(())
}

fn well_laid_out(data: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = data.get(at..at + 32)?;
        let (high, low) = bytes.split_at(24);
        let value = u64::from_be_bytes(low.try_into().ok()?);
        high.iter().all(|byte| *byte == 0).then_some(value)
    };
    let field = |(index, (offset, length)): (usize, &(u64, u64))| {
        word(index * 32) == Some(*offset) && word(*offset as usize) == Some(*length)
    };
    data.len() == DEPOSIT_LENGTH && DEPOSIT_FIELDS.iter().enumerate().all(field)
}
