//! From a generated block to a fixture: the sequential oracle fills in what the header says about
//! the execution.

use alloy_consensus::{
    Eip658Value, EthereumReceipt, Receipt, ReceiptEnvelope, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_evm::block::calc::base_block_reward;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bloom, U256};
use warpline_executor::{BlockInput, ExecuteError, SequentialOutput, execute_sequential};
use warpline_fixture::{BlockFixture, Chain, Manifest, PreState};
use warpline_merger::diff_from_bundle;
use warpline_replay::{PrepareError, PreparedBlock, state_root_after};
use warpline_workload::WorkloadBlock;

/// Why a generated block cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

/// Makes a fixture with a complete header. `source` says how the block was made.
pub(crate) fn seal(block: WorkloadBlock, source: String) -> Result<BlockFixture, SealError> {
    let mut fixture = unsealed(block, source);
    let prepared = PreparedBlock::new("generated", fixture.clone(), None)?;
    let output = execute(&prepared, prepared.txs.len())?;
    let result = &output.result;

    let byzantium = prepared.chain.is_byzantium_active_at_block(prepared.header.number);
    let prague = prepared.chain.is_prague_active_at_timestamp(prepared.header.timestamp);
    let header = &mut fixture.header;
    header.gas_used = result.gas_used;
    header.logs_bloom =
        result.receipts.iter().fold(Bloom::ZERO, |all, receipt| all | receipt.bloom());
    header.receipts_root = if byzantium {
        let receipts: Vec<_> = result.receipts.iter().map(TxReceipt::with_bloom_ref).collect();
        calculate_receipt_root(&receipts)
    } else {
        receipts_root_with_states(&prepared, &result.receipts)?
    };
    header.requests_hash = prague.then(|| result.requests.requests_hash());
    header.transactions_root = calculate_transaction_root(&fixture.transactions);
    header.state_root = state_root_after(&prepared.pre_state, &diff_from_bundle(&output.bundle));
    fixture.hash = Some(header.hash_slow());
    Ok(fixture)
}

fn unsealed(block: WorkloadBlock, source: String) -> BlockFixture {
    let mut pre_state = PreState::default();
    for (address, account) in block.pre_state {
        pre_state.insert_account(address, account.balance, account.nonce, account.code);
        for (slot, value) in account.storage {
            pre_state.insert_storage(address, slot, value);
        }
    }
    BlockFixture {
        manifest: Manifest { source, complete_state: true, ..Manifest::default() },
        chain: Chain::Custom(Box::new(block.chain)),
        hash: None,
        header: block.header,
        transactions: block.transactions,
        senders: block.senders,
        ommer_hashes: Vec::new(),
        ommers: Vec::new(),
        withdrawals: block.withdrawals,
        pre_state,
    }
}

/// Executes the first `count` transactions as if they were the whole block.
fn execute(
    block: &PreparedBlock,
    count: usize,
) -> Result<SequentialOutput<EthereumReceipt>, ExecuteError> {
    let input = BlockInput { txs: &block.txs[..count], ..block.input() };
    execute_sequential(block.factory(), input, &block.pre_state)
}

/// Before Byzantium a receipt holds the state root after its transaction: that of a block which
/// ends there, without the reward. Its cost grows with the square of the number of transactions.
fn receipts_root_with_states(
    block: &PreparedBlock,
    receipts: &[EthereumReceipt],
) -> Result<B256, ExecuteError> {
    let reward = base_block_reward(&block.chain, block.header.number).unwrap_or_default();
    let with_state = |(index, receipt): (usize, &EthereumReceipt)| {
        let mut diff = diff_from_bundle(&execute(block, index + 1)?.bundle);
        for account in &mut diff.accounts {
            if let Some(after) =
                account.after.as_mut().filter(|_| account.address == block.header.beneficiary)
            {
                after.balance -= U256::from(reward);
            }
        }
        Ok(ReceiptEnvelope::Legacy(
            Receipt {
                status: Eip658Value::PostState(state_root_after(&block.pre_state, &diff)),
                cumulative_gas_used: receipt.cumulative_gas_used,
                logs: receipt.logs.clone(),
            }
            .with_bloom(),
        ))
    };
    let receipts = receipts.iter().enumerate().map(with_state);
    Ok(calculate_receipt_root(&receipts.collect::<Result<Vec<_>, ExecuteError>>()?))
}
