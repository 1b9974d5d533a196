//! The oracle: one transaction after the other on revm's own `State`.

use crate::{
    BlockInput, ExecuteError, ParentState,
    blame::{FailedRead, NotedDb},
};
use alloy_eips::eip7928::BlockAccessList;
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
    /// What the block accessed (EIP-7928), made by revm's own builder; only
    /// [`execute_sequential_listed`] asks for it.
    pub access_list: Option<BlockAccessList>,
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
    execute(factory, input, parent, false)
}

/// Executes a block as [`execute_sequential`] does, and has revm build its access list (EIP-7928):
/// the list that every other must equal.
///
/// # Errors
/// The first transaction or block-level change that fails.
pub fn execute_sequential_listed<'a, F, P, T>(
    factory: &'a F,
    input: BlockInput<'a, F, T>,
    parent: &P,
) -> Result<SequentialOutput<F::Receipt>, ExecuteError>
where
    F: BlockExecutorFactory,
    P: ParentState,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    execute(factory, input, parent, true)
}

fn execute<'a, F, P, T>(
    factory: &'a F,
    input: BlockInput<'a, F, T>,
    parent: &P,
    listed: bool,
) -> Result<SequentialOutput<F::Receipt>, ExecuteError>
where
    F: BlockExecutorFactory,
    P: ParentState,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    let failed = FailedRead::default();
    let parent = NotedDb::new(parent.open(), &failed);
    let state = State::builder()
        .with_database(parent)
        .with_bundle_update()
        .with_bal_builder_if(listed)
        .build();
    let evm = factory.evm_factory().create_evm(state, input.env);
    let mut executor = factory.create_executor(evm, input.ctx);

    executor
        .apply_pre_execution_changes()
        .map_err(|error| ExecuteError::PreExecution(failed.blame(error)))?;
    for (index, tx) in input.txs.iter().enumerate() {
        executor
            .execute_transaction_with_index(tx, index)
            .map_err(|error| ExecuteError::Transaction { index: TxIndex::from(index), error })?;
    }
    failed.forget();
    executor.evm_mut().db_mut().bump_bal_index();
    let (evm, result) =
        executor.finish().map_err(|error| ExecuteError::PostExecution(failed.blame(error)))?;

    let mut state = evm.into_db();
    state.merge_transitions(BundleRetention::Reverts);
    let access_list = state.take_built_alloy_bal();
    Ok(SequentialOutput { result, bundle: state.take_bundle(), access_list })
}
