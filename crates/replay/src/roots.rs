//! State roots, where the fixture holds the whole state.

use crate::PreparedBlock;
use alloy_consensus::{
    Eip658Value, EthereumReceipt, Receipt, ReceiptEnvelope, proofs::calculate_receipt_root,
};
use alloy_evm::{
    Evm, EvmFactory,
    block::{BlockExecutionError, BlockExecutionResult, BlockExecutor, BlockExecutorFactory},
};
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use revm::{
    Database, DatabaseCommit, DatabaseRef,
    state::{Account, AccountInfo, Bytecode},
};
use warpline_fixture::{PreState, StateError};
use warpline_types::StateDiff;

/// The root of the state after a block.
pub fn state_root_after(before: &PreState, diff: &StateDiff) -> B256 {
    let mut state = before.clone();
    apply_diff(&mut state, diff);
    state.state_root()
}

/// Turns the state before a block into that after it.
pub fn apply_diff(state: &mut PreState, diff: &StateDiff) {
    for (_, code) in &diff.codes {
        state.insert_code(code.clone());
    }
    for account in &diff.accounts {
        let address = account.address;
        let Some(after) = account.after else {
            state.remove_account(&address);
            continue;
        };
        let kept = state.account(&address).filter(|_| !account.storage_cleared);
        let storage = kept.map(|entry| entry.storage.clone()).unwrap_or_default();
        let (balance, nonce) = (after.balance, after.nonce);
        state.insert_account_with_code_hash(address, balance, nonce, after.code_hash);
        for (slot, value) in storage {
            state.insert_storage(address, slot, value);
        }
        for slot in &account.storage {
            state.insert_storage(address, slot.slot, slot.after);
        }
    }
}

/// The root of receipts that hold the state root after their transaction, as they did before
/// Byzantium. It takes one more execution, on the pre-state itself.
pub(crate) fn receipts_root_with_states(
    block: &PreparedBlock,
    result: &BlockExecutionResult<EthereumReceipt>,
) -> Result<B256, BlockExecutionError> {
    let factory = block.factory();
    let input = block.input();
    let state = Committed(block.pre_state.clone());
    let evm = factory.evm_factory().create_evm(state, input.env);
    let mut executor = factory.create_executor(evm, input.ctx);
    executor.apply_pre_execution_changes()?;
    let mut receipts = Vec::with_capacity(result.receipts.len());
    for (tx, receipt) in block.txs.iter().zip(&result.receipts) {
        executor.execute_transaction(tx)?;
        let receipt = Receipt {
            status: Eip658Value::PostState(executor.evm_mut().db_mut().0.state_root()),
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        receipts.push(ReceiptEnvelope::Legacy(receipt.with_bloom()));
    }
    Ok(calculate_receipt_root(&receipts))
}

/// A state that changes are committed to at once.
#[derive(Debug)]
struct Committed(PreState);

impl Database for Committed {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.0.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.0.code_by_hash_ref(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, StateError> {
        self.0.storage_ref(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash_ref(number)
    }
}

impl DatabaseCommit for Committed {
    fn commit(&mut self, changes: AddressMap<Account>) {
        let state = &mut self.0;
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            // Empty accounts go (EIP-161); before that rule the journal marks them as created.
            let ends = account.is_selfdestructed() || (!account.is_created() && account.is_empty());
            if ends {
                state.remove_account(&address);
                continue;
            }
            if let Some(code) = &account.info.code {
                state.insert_code(code.original_bytes());
            }
            let kept = state.account(&address).filter(|_| !account.is_created());
            let storage = kept.map(|entry| entry.storage.clone()).unwrap_or_default();
            let info = &account.info;
            state.insert_account_with_code_hash(address, info.balance, info.nonce, info.code_hash);
            for (slot, value) in storage {
                state.insert_storage(address, slot, value);
            }
            for (slot, value) in account.changed_storage_slots() {
                state.insert_storage(address, *slot, value.present_value());
            }
        }
    }
}
