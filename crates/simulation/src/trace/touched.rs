//! What a block takes from the state before it: `debug_executionWitness`.

use super::TracedBlock;
use crate::{Limits, Overlay, SimulationError, run::block_error};
use alloy_consensus::{Header, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{
    Database, EthEvmFactory, Evm, EvmFactory,
    block::{BlockExecutionError, BlockExecutor, StateDB},
    eth::EthBlockExecutor,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    context::{BlockEnv, TxEnv},
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode},
};
use std::collections::{BTreeMap, BTreeSet};
use warpline_executor::{EthReceiptBuilder, UnreachedEvmFactory};
use warpline_types::StateDiff;

/// What a block takes from the state before it, and what it makes of it.
#[derive(Debug, Clone, Default)]
pub struct Touched {
    /// Accounts that it reads, with their slots.
    pub reads: Vec<(Address, Vec<U256>)>,
    /// Code that it runs or looks at, by hash.
    pub codes: Vec<Bytes>,
    /// The oldest block whose hash it asks for; the parent where it asks for none.
    pub oldest_block: u64,
    /// What it changes. What was before is not filled in.
    pub changes: StateDiff,
}

/// Executes a block, whose parent's state is `parent`, and notes what it touches.
///
/// # Errors
/// The block is invalid, there is too little time, or the state cannot be read.
pub fn touched<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    ommers: &[Header],
    withdrawals: Option<&[Withdrawal]>,
    limits: &Limits,
) -> Result<Touched, SimulationError<DB::Error>> {
    let number = block.header.number;
    let mut state = Overlay::new(Recording::new(parent, number.saturating_sub(1)));
    state.deadline = limits.deadline();
    let env = block.chain.evm_env(block.header);
    let ctx = block.chain.block_ctx(block.header, ommers, withdrawals, block.transactions.len());
    let (chain, receipts) = (block.chain, EthReceiptBuilder);
    let executed = if block.unreached.is_empty() {
        let evm = EthEvmFactory::default().create_evm(&mut state, env);
        execute(EthBlockExecutor::new(evm, ctx, chain, receipts), block)
    } else {
        let evm = UnreachedEvmFactory(block.unreached.clone()).create_evm(&mut state, env);
        execute(EthBlockExecutor::new(evm, ctx, chain, receipts), block)
    };
    if let Err(error) = executed {
        return Err(block_error(&mut state, &error));
    }
    let changes = state.take_changes();
    Ok(state.into_below().finish(changes))
}

type Executor<'a, E> =
    EthBlockExecutor<'a, E, &'a warpline_chainspec::ChainSpec, EthReceiptBuilder>;

fn execute<E>(
    mut executor: Executor<'_, E>,
    block: &TracedBlock<'_>,
) -> Result<(), BlockExecutionError>
where
    E: Evm<DB: StateDB, Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
{
    executor.apply_pre_execution_changes()?;
    for (transaction, sender) in block.transactions.iter().zip(block.senders) {
        executor.execute_transaction(Recovered::new_unchecked(transaction, *sender))?;
    }
    executor.finish().map(drop)
}

/// A state that notes what is read of it.
#[derive(Debug)]
struct Recording<DB> {
    below: DB,
    reads: BTreeMap<Address, BTreeSet<U256>>,
    codes: BTreeMap<B256, Bytes>,
    oldest_block: u64,
}

impl<DB> Recording<DB> {
    fn new(below: DB, parent: u64) -> Self {
        let (reads, codes) = (BTreeMap::new(), BTreeMap::new());
        Self { below, reads, codes, oldest_block: parent }
    }

    fn finish(self, changes: StateDiff) -> Touched {
        let slots =
            |(address, slots): (Address, BTreeSet<U256>)| (address, slots.into_iter().collect());
        Touched {
            reads: self.reads.into_iter().map(slots).collect(),
            codes: self.codes.into_values().collect(),
            oldest_block: self.oldest_block,
            changes,
        }
    }

    fn note_code(&mut self, hash: B256, code: &Bytecode) {
        if !code.is_empty() {
            self.codes.entry(hash).or_insert_with(|| code.original_bytes());
        }
    }
}

impl<DB: Database> revm::Database for Recording<DB> {
    type Error = DB::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        let info = self.below.basic(address)?;
        self.reads.entry(address).or_default();
        if let Some(AccountInfo { code_hash, code: Some(code), .. }) = &info {
            self.note_code(*code_hash, code);
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, DB::Error> {
        let code = self.below.code_by_hash(code_hash)?;
        self.note_code(code_hash, &code);
        Ok(code)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, DB::Error> {
        self.reads.entry(address).or_default().insert(index);
        self.below.storage(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DB::Error> {
        self.oldest_block = self.oldest_block.min(number);
        self.below.block_hash(number)
    }
}
