//! What transactions teach a predictor of accesses: executed once more under its recorder, in
//! their block or out of it.

use super::{TracedBlock, replay::Replay};
use crate::{
    Call, CallBlock, Limits, Overlay, SimulationError,
    precompiles::PrecompileSet,
    run::{self, from_evm_error},
};
use alloy_evm::{Database, Evm};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    context::TxEnv, context_interface::result::ResultAndState, primitives::hardfork::SpecId,
    state::EvmState,
};
use warpline_predictor::{BlockValues, Lesson, Recorder, TrialState};

/// Follows a block that is executed again in order.
pub trait Follower {
    /// A transaction is about to run.
    fn before(&mut self, index: usize, tx: &TxEnv);

    /// It ran, taught this, and left this state with everything it touched.
    fn after(&mut self, index: usize, tx: &TxEnv, lessons: &[Lesson], state: &EvmState);
}

/// Executes the first `count` transactions of a block, whose parent's state is `parent`, under the
/// recorder of a predictor.
///
/// # Errors
/// Too little time, which `follower` need not mind, or a state that cannot be read.
pub fn follow_block<DB: Database>(
    parent: DB,
    block: &TracedBlock<'_>,
    count: usize,
    follower: &mut impl Follower,
    limits: &Limits,
) -> Result<(), SimulationError<DB::Error>> {
    let mut replay = Replay::begin(parent, block, limits)?;
    let mut recorder = Recorder::default();
    for index in 0..count.min(block.transactions.len()) {
        follower.before(index, &replay.next_tx()?);
        let (tx, result) = replay.execute(&mut recorder)?;
        follower.after(index, &tx, &recorder.finish(), &result.state);
        replay.commit(result);
    }
    Ok(())
}

/// What came of a transaction that was tried out.
#[derive(Debug)]
pub struct Trial {
    /// What it teaches.
    pub lessons: Vec<Lesson>,
    /// The state that it left, with everything it touched.
    pub state: EvmState,
}

/// Executes a transaction on a state as if it were due, in a block after whose header `block` is.
/// `None` where it cannot run at all.
///
/// # Errors
/// Too little time, or a state that cannot be read.
pub fn try_out<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    tx: TxEnv,
    limits: &Limits,
) -> Result<Option<Trial>, SimulationError<DB::Error>> {
    let env = run::relaxed(block.chain.evm_env(block.header));
    let precompiles = PrecompileSet::new(env.cfg_env.spec);
    let mut state = Overlay::new(TrialState::new(state, tx.caller, tx.nonce));
    state.deadline = limits.deadline();
    let (mut recorder, gas_limit) = (Recorder::default(), tx.gas_limit);
    let mut evm = run::evm(&mut state, env, &precompiles, &mut recorder, true);
    let ran = evm.transact_raw(tx).map_err(|error| from_evm_error(error, gas_limit));
    drop(evm);
    match ran {
        Ok(ResultAndState { state, .. }) => Ok(Some(Trial { lessons: recorder.finish(), state })),
        Err(SimulationError::Invalid { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The transaction that a call is, with everything filled in that the caller left out.
///
/// # Errors
/// As [`crate::call`] has them for what it is asked.
pub fn call_transaction<E>(
    request: &TransactionRequest,
    block: CallBlock<'_>,
    gas_cap: u64,
) -> Result<TxEnv, SimulationError<E>> {
    let cfg = block.chain.evm_env(block.header).cfg_env;
    let london = cfg.spec.is_enabled_in(SpecId::LONDON);
    let call = Call::fill(request, gas_cap, london, cfg.chain_id)?;
    Ok(call.tx_env(cfg.spec, cfg.chain_id))
}

impl CallBlock<'_> {
    /// What a prediction takes of the block.
    pub fn values(&self) -> BlockValues {
        let env = self.chain.evm_env(self.header);
        BlockValues::new(&env.block_env, env.cfg_env.chain_id)
    }
}
