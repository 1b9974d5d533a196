//! The oracle: one transaction after the other on revm's own `State`.

use crate::{
    BlockInput, ExecuteError, ParentState,
    blame::{FailedRead, NotedDb},
};
use alloy_evm::{
    Evm, EvmFactory,
    block::{BlockExecutionResult, BlockExecutor, BlockExecutorFactory, ExecutableTxParts},
};
use revm::database::{BundleState, State, states::bundle_state::BundleRetention};
use warpline_types::TxIndex;

/// What the oracle produces.
#[derive(Debug)]
pub struct SequentialOutput<R> {
    /// Receipts, requests and gas.
    pub result: BlockExecutionResult<R>,
    /// What the block changed, with the data to revert it.
    pub bundle: BundleState,
}

/// Executes a block in order through alloy-evm on revm's `State`, as a plain client does: the
/// result every parallel execution must equal, and the speed it is compared with.
///
/// # Errors
/// The first transaction or block-level change that fails.
pub fn execute_sequential<'a, F, P, T>(
    factory: &'a F,
    input: BlockInput<'a, F, T>,
    parent: &P,
) -> Result<SequentialOutput<F::Receipt>, ExecuteError>
where
    F: BlockExecutorFactory,
    P: ParentState,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    let failed = FailedRead::default();
    let parent = NotedDb::new(parent.open(), &failed);
    let state = State::builder().with_database(parent).with_bundle_update().build();
    let evm = factory.evm_factory().create_evm(state, input.env);
    let mut executor = factory.create_executor(evm, input.ctx);

    executor
        .apply_pre_execution_changes()
        .map_err(|error| ExecuteError::PreExecution(failed.blame(error)))?;
    for (index, tx) in input.txs.iter().enumerate() {
        executor
            .execute_transaction(tx)
            .map_err(|error| ExecuteError::Transaction { index: TxIndex::from(index), error })?;
    }
    failed.forget();
    let (evm, result) =
        executor.finish().map_err(|error| ExecuteError::PostExecution(failed.blame(error)))?;

    let mut state = evm.into_db();
    state.merge_transitions(BundleRetention::Reverts);
    Ok(SequentialOutput { result, bundle: state.take_bundle() })
}
