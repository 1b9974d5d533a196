//! Executes a workload block one transaction after the other and records what each one touches.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_evm::{
    EthEvmFactory, EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory, TxResult},
    eth::{EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder},
};
use alloy_primitives::{Address, Bytes, U256};
use revm::{
    bytecode::Bytecode,
    context_interface::result::ExecutionResult,
    database::{CacheDB, EmptyDB, State},
    state::{AccountInfo, EvmState},
};
use std::collections::HashSet;
use warpline_chainspec::ChainSpec;
use warpline_workload::{BlockSpec, Workload, WorkloadBlock, generate};

/// Balance, nonce and code of an account, or one of its slots.
pub(crate) type Location = (Address, Option<U256>);

/// What one transaction did.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) succeeded: bool,
    pub(crate) gas_used: u64,
    /// What it returned, or the error it reverted with.
    pub(crate) output: Bytes,
    pub(crate) logs: Vec<alloy_primitives::Log>,
    /// Everything it loaded, the beneficiary aside.
    pub(crate) touched: HashSet<Location>,
    /// Everything it changed, the beneficiary aside.
    pub(crate) written: HashSet<Location>,
}

pub(crate) fn block(workload: Workload, transactions: usize, hot_ratio: f64) -> WorkloadBlock {
    let spec = BlockSpec { transactions, hot_ratio, ..BlockSpec::default() };
    generate(workload, &spec).unwrap()
}

/// Executes the block under its own chain's rules. Panics if a transaction is invalid.
pub(crate) fn trace(block: &WorkloadBlock) -> Vec<Trace> {
    let chain = ChainSpec::from_config(&block.chain).unwrap();
    let mut parent = CacheDB::new(EmptyDB::new());
    for (address, account) in &block.pre_state {
        let code = Bytecode::new_raw(account.code.clone());
        let info = AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: code.hash_slow(),
            code: Some(code),
            account_id: None,
        };
        parent.insert_account_info(*address, info);
        for (key, value) in &account.storage {
            parent.insert_account_storage(*address, *key, *value).unwrap();
        }
    }
    let state = State::builder().with_database(parent).with_bundle_update().build();
    let factory = EthBlockExecutorFactory::new(
        AlloyReceiptBuilder::default(),
        chain.clone(),
        EthEvmFactory::default(),
    );
    let evm = factory.evm_factory().create_evm(state, chain.evm_env(&block.header));
    let ctx =
        chain.block_ctx(&block.header, &[], block.withdrawals.as_deref(), block.transactions.len());
    let mut executor = factory.create_executor(evm, ctx);
    executor.apply_pre_execution_changes().unwrap();
    let mut traces = Vec::new();
    for (tx, sender) in block.transactions.iter().zip(&block.senders) {
        let tx = Recovered::new_unchecked(TxEnvelope::from(tx.clone()), *sender);
        let result = executor.execute_transaction_without_commit(tx).unwrap();
        let outcome = result.result();
        let (touched, written) = locations(&outcome.state, block.header.beneficiary);
        traces.push(Trace {
            succeeded: outcome.result.is_success(),
            gas_used: outcome.result.tx_gas_used(),
            output: outcome.result.output().cloned().unwrap_or_default(),
            logs: match &outcome.result {
                ExecutionResult::Success { logs, .. } => logs.clone(),
                _ => Vec::new(),
            },
            touched,
            written,
        });
        executor.commit_transaction(result);
    }
    executor.finish().unwrap();
    traces
}

fn locations(state: &EvmState, beneficiary: Address) -> (HashSet<Location>, HashSet<Location>) {
    let (mut touched, mut written) = (HashSet::new(), HashSet::new());
    for (address, account) in state {
        if *address == beneficiary {
            continue;
        }
        touched.insert((*address, None));
        if account.is_touched() && account.info != account.original_info() {
            written.insert((*address, None));
        }
        for (key, slot) in &account.storage {
            touched.insert((*address, Some(*key)));
            if slot.is_changed() {
                written.insert((*address, Some(*key)));
            }
        }
    }
    (touched, written)
}
