//! Sequential or parallel, behind one call.

use alloy_consensus::Transaction;
use alloy_eips::eip7928::BlockAccessList;
use alloy_evm::{
    EvmFactory, RecoveredTx,
    block::{BlockExecutionResult, BlockExecutorFactory, ExecutableTxParts},
};
use std::io;
use warpline_executor::{
    AnyFactory, BlockInput, BlockOutput, Dialect, EarlyOutcome, Env, Ethereum, ExecStats,
    ExecuteError, Guidance, ParallelConfig, ParallelExecutor, ParentState, execute_sequential,
    execute_sequential_listed,
};
use warpline_merger::diff_from_bundle;
use warpline_types::StateDiff;

/// What a block execution produces.
#[derive(Debug)]
pub struct Executed<R> {
    /// Receipts, requests and gas.
    pub result: BlockExecutionResult<R>,
    /// What the block changed.
    pub diff: StateDiff,
    /// What the block accessed (EIP-7928), where [`Guidance`] asks for it.
    pub access_list: Option<BlockAccessList>,
    /// How it went; of an execution in order, only how many transactions there were.
    pub stats: ExecStats,
}

impl<R> From<BlockOutput<R>> for Executed<R> {
    fn from(output: BlockOutput<R>) -> Self {
        let BlockOutput { result, diff, access_list, stats } = output;
        Self { result, diff, access_list, stats }
    }
}

/// How blocks are executed.
#[derive(Debug)]
pub enum Engine {
    /// One transaction after the other: the oracle.
    Sequential,
    /// A committing front with helpers.
    Parallel(ParallelExecutor<Ethereum>),
    /// The same, assuming nothing of any factory.
    ParallelAny(ParallelExecutor<AnyFactory>),
}

impl Engine {
    /// The parallel engine.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn parallel(config: ParallelConfig) -> io::Result<Self> {
        ParallelExecutor::ethereum(config).map(Self::Parallel)
    }

    /// The parallel engine that treats Ethereum's own factory like any other.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn parallel_any(config: ParallelConfig) -> io::Result<Self> {
        ParallelExecutor::new(config).map(Self::ParallelAny)
    }

    /// Threads that may work on a block.
    pub const fn threads(&self) -> usize {
        match self {
            Self::Sequential => 1,
            Self::Parallel(executor) => executor.config().threads,
            Self::ParallelAny(executor) => executor.config().threads,
        }
    }

    /// From how much gas of calls on more than one thread works on a block. `None` where only one
    /// ever does.
    pub fn helps_from(&self) -> Option<u64> {
        let config = match self {
            Self::Sequential => return None,
            Self::Parallel(executor) => executor.config(),
            Self::ParallelAny(executor) => executor.config(),
        };
        (config.threads > 1).then_some(config.min_gas)
    }

    /// Executes a block of Ethereum's own factory. All engines give the same.
    ///
    /// # Errors
    /// The first transaction or block-level change that fails.
    pub fn execute<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        parent: &P,
    ) -> Result<Executed<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        Ethereum: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        self.execute_with_early(factory, input, guidance, Vec::new(), parent)
    }

    /// The same where some transactions, by their place, were executed early. What of that still
    /// holds need not be executed again.
    ///
    /// # Errors
    /// The first transaction or block-level change that fails.
    pub fn execute_with_early<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        early: Vec<Option<EarlyOutcome<F>>>,
        parent: &P,
    ) -> Result<Executed<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        Ethereum: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        match self {
            Self::Parallel(executor) => {
                executor.execute_with_early(factory, input, guidance, early, parent).map(Into::into)
            }
            _ => self.execute_any(factory, input, guidance, parent),
        }
    }

    /// Whether transactions can be executed early.
    pub const fn executes_early(&self) -> bool {
        matches!(self, Self::Parallel(_))
    }

    /// Executes a transaction before there is a block, as if its sender had sent all before it.
    /// `None` where it cannot be executed there, and with any engine that does not do so.
    pub fn execute_early<'a, F, P, T>(
        &self,
        factory: &'a F,
        block: (Env<F>, F::ExecutionCtx<'a>),
        tx: &'a T,
        list_accesses: bool,
        parent: &P,
    ) -> Option<EarlyOutcome<F>>
    where
        F: BlockExecutorFactory<Transaction: Transaction>,
        Ethereum: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction>,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        match self {
            Self::Parallel(executor) => {
                executor.execute_early(factory, block, tx, list_accesses, parent)
            }
            _ => None,
        }
    }

    /// Whether an early outcome of a transaction is what it would come to here.
    pub fn early_holds<F, P, T>(
        &self,
        env: &Env<F>,
        tx: &T,
        early: &EarlyOutcome<F>,
        list_accesses: bool,
        parent: &P,
    ) -> bool
    where
        F: BlockExecutorFactory<Transaction: Transaction>,
        Ethereum: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction>,
    {
        match self {
            Self::Parallel(executor) => executor.early_holds(env, tx, early, list_accesses, parent),
            _ => false,
        }
    }

    /// Executes a block of any factory. All engines give the same.
    ///
    /// # Errors
    /// The first transaction or block-level change that fails.
    pub fn execute_any<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        parent: &P,
    ) -> Result<Executed<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        match self {
            Self::Sequential => {
                let output = match guidance.list_accesses {
                    true => execute_sequential_listed(factory, input, parent),
                    false => execute_sequential(factory, input, parent),
                }?;
                let diff = diff_from_bundle(&output.bundle);
                let transactions = output.result.receipts.len() as u64;
                let stats = ExecStats { transactions, threads: 1, ..ExecStats::default() };
                let access_list = output.access_list;
                Ok(Executed { result: output.result, diff, access_list, stats })
            }
            Self::Parallel(executor) => {
                executor.execute_any_block(factory, input, guidance, parent).map(Into::into)
            }
            Self::ParallelAny(executor) => {
                executor.execute_guided(factory, input, guidance, parent).map(Into::into)
            }
        }
    }
}
