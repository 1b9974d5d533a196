//! Parallel execution: a front that commits in order, and helpers that run ahead of it.
//!
//! The front executes on the canonical state exactly as the oracle would: no read set, no
//! versions. When it reaches a transaction that a helper has already run it only checks that
//! what the helper read is still true, and commits. When that fails it executes the transaction
//! itself, so verdicts, gas and receipts are sequential by construction.

mod dialect;
mod early;
mod expectations;
mod foretold;
mod front;
mod memory;
mod plan;
mod prefetch;
mod rehearsal;
mod speculate;
mod stats;
mod transfer;
mod validate;
mod view;
mod watch;

pub use dialect::{AnyFactory, Dialect, Ethereum};
pub use early::EarlyOutcome;
pub use expectations::Expectations;
pub use stats::ExecStats;

use crate::{BlockInput, Env, ExecuteError, Guidance, ParentState};
use alloy_consensus::Transaction;
use alloy_eips::eip7928::BlockAccessList;
use alloy_evm::{
    EvmFactory, RecoveredTx,
    block::{BlockExecutionResult, BlockExecutorFactory, ExecutableTxParts},
};
use core::{marker::PhantomData, time::Duration};
use front::Means;
use memory::Memory;
use parking_lot::Mutex;
use speculate::Outcome;
use std::io;
use warpline_block_stm::WorkerPool;
use warpline_types::StateDiff;

/// How to execute in parallel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelConfig {
    /// Threads that work on a block, the calling one included; at least 1.
    pub threads: usize,
    /// How far ahead of the front helpers start at most, in transactions of average size. They
    /// keep closer while there are conflicts.
    pub lead: u64,
    /// Helpers are called only for blocks whose transactions (plain transfers not counted) may
    /// use at least this much gas: below it, waking a thread costs more than it saves.
    pub min_gas: u64,
    /// Helpers are called when the rest of the block is expected to take at least this long,
    /// judged by the gas limits and by how long the block has taken so far.
    pub min_remaining: Duration,
    /// Threads that do nothing but read the parent state where transactions are expected to look
    /// ([`Guidance`]), while others execute. They wait for a disk most of the time, so there may
    /// be more of them than cores; they stop where the state turns out to be in memory.
    pub prefetchers: usize,
    /// Measure where the time goes ([`ExecStats`]); costs two clock readings per transaction.
    pub timings: bool,
    /// For tests: no thread helps. The calling thread runs transactions ahead itself, between
    /// commits and in an order that this number decides, so that a failing schedule can be
    /// repeated. Slower than sequential execution.
    pub rehearse: Option<u64>,
}

impl Default for ParallelConfig {
    fn default() -> Self {
        Self {
            threads: 2,
            lead: 4,
            min_gas: 400_000,
            min_remaining: Duration::from_micros(250),
            prefetchers: 0,
            timings: false,
            rehearse: None,
        }
    }
}

/// What executing a block produces.
#[derive(Debug)]
pub struct BlockOutput<R> {
    /// Receipts, requests and gas.
    pub result: BlockExecutionResult<R>,
    /// What the block changed, unsorted.
    pub diff: StateDiff,
    /// What the block accessed (EIP-7928), where [`Guidance`] asks for it.
    pub access_list: Option<BlockAccessList>,
    /// How the execution went.
    pub stats: ExecStats,
}

/// Executes blocks on a long-lived pool of threads.
///
/// `D` is what may be assumed of the factory: for [`AnyFactory`] no more than
/// [`execute_block`](Self::execute_block) says, for [`Ethereum`] that its EVM is revm's mainnet EVM.
#[derive(Debug)]
pub struct ParallelExecutor<D = AnyFactory> {
    dialect: PhantomData<D>,
    config: ParallelConfig,
    pool: WorkerPool,
    prefetchers: WorkerPool,
    /// Kept between blocks for its memory.
    spare: Mutex<Vec<Memory>>,
}

impl ParallelExecutor<AnyFactory> {
    /// Starts the threads, for blocks of any factory.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(config: ParallelConfig) -> io::Result<Self> {
        Self::start(config)
    }
}

impl ParallelExecutor<Ethereum> {
    /// Starts the threads, for factories whose EVM is alloy-evm's `EthEvmFactory`. Their receipt
    /// builder must not look at the state in its context, which may be empty.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn ethereum(config: ParallelConfig) -> io::Result<Self> {
        Self::start(config)
    }
}

impl<D> ParallelExecutor<D> {
    fn start(config: ParallelConfig) -> io::Result<Self> {
        let pool = WorkerPool::new(config.threads.saturating_sub(1))?;
        let prefetchers = WorkerPool::new(config.prefetchers)?;
        // The first block should not have to pay for what all others find ready.
        let spare = Mutex::new(vec![Memory::default()]);
        Ok(Self { dialect: PhantomData, config, pool, prefetchers, spare })
    }

    /// The configuration in use.
    pub const fn config(&self) -> &ParallelConfig {
        &self.config
    }

    /// Executes a block. The output is the same for any number of threads and any schedule, and
    /// equal to what [`execute_sequential`](crate::execute_sequential) gives.
    ///
    /// Balances are compared only as far as a transaction looks at them, so it must look only
    /// through the EVM's own opcodes, and at the sender's, from which a factory may charge what it
    /// likes: of a factory that is not Ethereum's own the sender's balance is compared exactly.
    /// Not supported is a factory whose precompiles or handler look at other balances, or whose
    /// [`commit_transaction`](alloy_evm::block::BlockExecutor::commit_transaction) commits
    /// anything but the result, once.
    ///
    /// # Errors
    /// Those of the sequential execution, at the same place.
    pub fn execute_block<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        parent: &P,
    ) -> Result<BlockOutput<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        D: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        self.execute_with::<F, P, T, D>(factory, input, Guidance::default(), Vec::new(), parent)
    }

    /// Executes a block as [`execute_block`](Self::execute_block) does, with what is known or
    /// guessed of its accesses. The output is the same whatever that is, statistics aside.
    ///
    /// # Errors
    /// Those of the sequential execution, at the same place.
    pub fn execute_guided<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        parent: &P,
    ) -> Result<BlockOutput<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        D: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        self.execute_with::<F, P, T, D>(factory, input, guidance, Vec::new(), parent)
    }

    /// Executes a block of any factory on the same threads, as one of [`AnyFactory`].
    ///
    /// # Errors
    /// Those of the sequential execution, at the same place.
    pub fn execute_any_block<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        parent: &P,
    ) -> Result<BlockOutput<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        self.execute_with::<F, P, T, AnyFactory>(factory, input, guidance, Vec::new(), parent)
    }

    fn execute_with<'a, F, P, T, S>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        early: Vec<Option<Outcome<F::TxExecutionResult>>>,
        parent: &P,
    ) -> Result<BlockOutput<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        S: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        let mut memory = self.spare.lock().pop().unwrap_or_default();
        let means = Means {
            config: &self.config,
            pool: &self.pool,
            prefetchers: &self.prefetchers,
            memory: &memory,
        };
        let output = front::execute::<_, _, _, S>(means, factory, &input, guidance, early, parent);
        // Only what speculations made use of has anything to forget.
        let alone = self.config.rehearse.is_none()
            && output.as_ref().is_ok_and(|output| output.stats.threads == 1);
        if !alone {
            memory.clear();
        }
        self.spare.lock().push(memory);
        output
    }
}
