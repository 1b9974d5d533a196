//! Sequential or parallel, behind one call.

use alloy_consensus::Transaction;
use alloy_evm::{
    EvmFactory, RecoveredTx,
    block::{BlockExecutionResult, BlockExecutorFactory, ExecutableTxParts},
};
use std::io;
use warpline_executor::{
    BlockInput, Dialect, Env, Ethereum, ExecuteError, ParallelConfig, ParallelExecutor,
    ParentState, execute_sequential,
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
}

/// How blocks are executed.
#[derive(Debug)]
pub enum Engine {
    /// One transaction after the other: the oracle.
    Sequential,
    /// A committing front with helpers.
    Parallel(ParallelExecutor<Ethereum>),
}

impl Engine {
    /// The parallel engine.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn parallel(config: ParallelConfig) -> io::Result<Self> {
        ParallelExecutor::ethereum(config).map(Self::Parallel)
    }

    /// Executes a block. Both engines give the same.
    ///
    /// # Errors
    /// The first transaction or block-level change that fails.
    pub fn execute<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
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
            Self::Sequential => {
                let output = execute_sequential(factory, input, parent)?;
                let diff = diff_from_bundle(&output.bundle);
                Ok(Executed { result: output.result, diff })
            }
            Self::Parallel(executor) => {
                let output = executor.execute_block(factory, input, parent)?;
                Ok(Executed { result: output.result, diff: output.diff })
            }
        }
    }
}
