//! One execution: a call, an EVM for it, and what came out.

use crate::{
    BlockOverrides, Call, InvalidCall, Overlay, OverlayError, SimulationError, StateOverrides,
    checks,
    deadline::{self, Deadline, OverlayEvm},
    overrides,
    precompiles::PrecompileSet,
    reason,
};
use alloy_consensus::Header;
use alloy_evm::{
    Database, Evm, EvmEnv,
    block::BlockExecutionError,
    eth::{EthEvmBuilder, EthEvmContext},
};
use alloy_primitives::{Address, Bytes, Log};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    Inspector,
    context::TxEnv,
    context_interface::result::{
        EVMError, ExecutionResult, HaltReason, InvalidTransaction, ResultAndState,
    },
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};
use std::time::Duration;
use warpline_chainspec::ChainSpec;

/// The block that a call is executed in: by the rules of its chain, on the state after it.
#[derive(Debug, Clone, Copy)]
pub struct CallBlock<'a> {
    /// The rules of the chain.
    pub chain: &'a ChainSpec,
    /// The header.
    pub header: &'a Header,
}

/// How far an execution may go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Most gas; 0 for no limit.
    pub gas_cap: u64,
    /// Most time; `None` for no limit.
    pub timeout: Option<Duration>,
}

impl Limits {
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.timeout.and_then(Deadline::after)
    }
}

/// Changes to state and block that a caller may ask for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// Changes to accounts.
    pub state: Option<&'a StateOverrides>,
    /// Changes to the block.
    pub block: Option<&'a BlockOverrides>,
}

/// What came of code that was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it returned, or the reason of its revert.
    pub output: Bytes,
    /// Gas to be paid for.
    pub gas_used: u64,
    /// Gas that had to be there: that before refunds.
    pub max_gas_used: u64,
    /// Logs; none where it failed.
    pub logs: Vec<Log>,
}

/// How code ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Well.
    Success,
    /// It reverted.
    Revert,
    /// It failed in another way.
    Halt(HaltReason),
}

impl Outcome {
    pub(crate) fn new(result: ExecutionResult) -> Self {
        let gas = *result.gas();
        let gas_used = gas.tx_gas_used();
        let max_gas_used = gas.total_gas_spent().max(gas.floor_gas());
        let output = result.output().cloned().unwrap_or_default();
        let (end, logs) = match result {
            ExecutionResult::Success { logs, .. } => (End::Success, logs),
            ExecutionResult::Revert { .. } => (End::Revert, Vec::new()),
            ExecutionResult::Halt { reason, .. } => (End::Halt(reason), Vec::new()),
        };
        Self { end, output, gas_used, max_gas_used, logs }
    }

    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.end == End::Success
    }

    /// What it returned, unless it failed.
    pub(crate) fn returned<E>(self) -> Result<Bytes, SimulationError<E>> {
        match self.end {
            End::Success => Ok(self.output),
            End::Revert => Err(SimulationError::Reverted(self.output)),
            End::Halt(halt) => Err(SimulationError::Failed(reason::of_halt(&halt).into_owned())),
        }
    }
}

/// All that calls in one block have in common.
#[derive(Debug)]
pub(crate) struct Session<DB: Database> {
    pub(crate) state: Overlay<DB>,
    pub(crate) env: EvmEnv,
    pub(crate) precompiles: PrecompileSet,
}

impl<DB: Database> Session<DB> {
    /// On a state, with overrides.
    pub(crate) fn open(
        state: DB,
        block: CallBlock<'_>,
        overrides: Overrides<'_>,
        limits: &Limits,
    ) -> Result<Self, SimulationError<DB::Error>> {
        let mut overlay = Overlay::new(state);
        overlay.deadline = limits.deadline();
        Self::on(overlay, block, overrides)
    }

    /// On a state that something was done to already, with overrides.
    pub(crate) fn on(
        state: Overlay<DB>,
        block: CallBlock<'_>,
        overrides: Overrides<'_>,
    ) -> Result<Self, SimulationError<DB::Error>> {
        let env = match overrides.block {
            None => block.chain.evm_env(block.header),
            Some(changes) => {
                let mut header = block.header.clone();
                changes.apply_to_call(&mut header)?;
                let mut env = block.chain.evm_env(&header);
                set_blob_price(&mut env, changes.blob_price()?);
                env
            }
        };
        let precompiles = PrecompileSet::new(env.cfg_env.spec);
        let mut session = Self { state, env: relaxed(env), precompiles };
        if let Some(changes) = overrides.state {
            overrides::apply(changes, &mut session.state, &mut session.precompiles)?;
        }
        Ok(session)
    }

    /// Fills in what a request leaves out.
    pub(crate) fn fill(
        &self,
        request: &TransactionRequest,
        gas_cap: u64,
    ) -> Result<Call, SimulationError<DB::Error>> {
        let cfg = &self.env.cfg_env;
        Call::fill(request, gas_cap, cfg.spec.is_enabled_in(SpecId::LONDON), cfg.chain_id)
    }

    /// The account of an address.
    pub(crate) fn account(
        &mut self,
        address: Address,
    ) -> Result<AccountInfo, SimulationError<DB::Error>> {
        Ok(revm::Database::basic(&mut self.state, address)?.unwrap_or_default())
    }

    /// Executes a call, by the rules of `eth_call`, and forgets what it changed.
    pub(crate) fn run(&mut self, call: &Call) -> Result<Outcome, SimulationError<DB::Error>> {
        let (result, ..) = self.inspect(call, NoOpInspector {}, false)?;
        Ok(Outcome::new(result.result))
    }

    /// The same, in front of an inspector. Tells with what the EVM was run.
    pub(crate) fn inspect<'a, I>(
        &'a mut self,
        call: &Call,
        inspector: I,
        inspect: bool,
    ) -> Result<(ResultAndState<HaltReason>, TxEnv, EvmEnv), SimulationError<DB::Error>>
    where
        I: Inspector<EthEvmContext<&'a mut Overlay<DB>>>,
    {
        let sender = self.account(call.from)?;
        let env = for_call(&self.env, call);
        checks::check(call, &sender, &env, checks::LENIENT)
            .map_err(|reason| SimulationError::invalid(reason, call.gas_limit))?;
        let tx = call.tx_env(env.cfg_env.spec, env.cfg_env.chain_id);
        let mut evm = evm(&mut self.state, env.clone(), &self.precompiles, inspector, inspect);
        let result = evm.transact_raw(tx.clone()).map_err(|error| from_evm(error, call))?;
        Ok((result, tx, env))
    }
}

/// An EVM on an overlay, which stops at its deadline.
pub(crate) fn evm<'a, DB, I>(
    state: &'a mut Overlay<DB>,
    env: EvmEnv,
    precompiles: &PrecompileSet,
    inspector: I,
    inspect: bool,
) -> OverlayEvm<'a, DB, I>
where
    DB: Database,
    I: Inspector<EthEvmContext<&'a mut Overlay<DB>>>,
{
    let timed = state.deadline.is_some();
    let mut builder = EthEvmBuilder::new(state, env).inspector(inspector).set_inspect(inspect);
    let changed = precompiles.map();
    let moved = changed.is_some();
    if let Some(map) = changed {
        builder = builder.precompiles(map);
    }
    let mut evm = builder.build();
    if moved {
        precompiles.warm(&mut evm.ctx_mut().journaled_state);
    }
    if timed { deadline::watch(evm, inspect) } else { evm }
}

/// Leaves the rules to [`checks`] that calls need not keep.
pub(crate) const fn relaxed(mut env: EvmEnv) -> EvmEnv {
    env.cfg_env.disable_nonce_check = true;
    env.cfg_env.disable_eip3607 = true;
    env.cfg_env.disable_block_gas_limit = true;
    if !env.cfg_env.spec.is_enabled_in(SpecId::AMSTERDAM) {
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
    }
    env
}

/// A call without fees finds a block without base fee, and the same with blobs.
fn for_call(env: &EvmEnv, call: &Call) -> EvmEnv {
    let mut env = env.clone();
    if call.price.effective(env.block_env.basefee) == 0 {
        env.block_env.basefee = 0;
    }
    if call.blobs.as_ref().is_some_and(|(_, cap)| *cap == 0) {
        set_blob_price(&mut env, Some(0));
    }
    env
}

/// Sets the price of blob gas where there is such a thing.
pub(crate) const fn set_blob_price(env: &mut EvmEnv, price: Option<u128>) {
    if let (Some(price), Some(blob)) = (price, env.block_env.blob_excess_gas_and_price.as_mut()) {
        blob.blob_gasprice = price;
    }
}

/// What an EVM's error says of a call.
pub(crate) fn from_evm<E>(
    error: EVMError<OverlayError<E>, InvalidTransaction>,
    call: &Call,
) -> SimulationError<E> {
    match error {
        EVMError::Transaction(error) => {
            SimulationError::invalid(InvalidCall::from_evm(error, call), call.gas_limit)
        }
        error => from_evm_error(error, call.gas_limit),
    }
}

/// What an EVM's error says of a transaction.
pub(crate) fn from_evm_error<E>(
    error: EVMError<OverlayError<E>, InvalidTransaction>,
    gas_limit: u64,
) -> SimulationError<E> {
    match error {
        EVMError::Transaction(error) => {
            SimulationError::invalid(InvalidCall::Other(error), gas_limit)
        }
        EVMError::Database(error) => error.into(),
        EVMError::Header(error) => SimulationError::Block(error.to_string()),
        EVMError::Custom(words) => SimulationError::Block(words),
        EVMError::CustomAny(error) => SimulationError::Block(error.to_string()),
    }
}

/// Whose fault it is that the rules of a block could not be applied.
pub(crate) fn block_error<DB: Database>(
    state: &mut Overlay<DB>,
    error: &BlockExecutionError,
) -> SimulationError<DB::Error> {
    match state.failure.take() {
        Some(failure) => failure.into(),
        None => SimulationError::Block(error.to_string()),
    }
}
