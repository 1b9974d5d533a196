//! Ethereum's EVM with the rules that revm leaves out because no mainnet block can meet them.
//!
//! - EIP-7610: a contract cannot be created at an address that has storage, even where it has
//!   neither code nor a nonce. Only a hash collision leads there.
//! - EIP-1283, the gas of `SSTORE` in Constantinople, which Petersburg took back in the same block.
//! - A system call has 30 million gas (EIP-7002 and others). revm gives it what Amsterdam will;
//!   the contracts that are called on public networks never use nearly as much.
//!
//! The consensus fixtures test all three. [`UnreachedEvmFactory`] is for them and for nobody else:
//! it costs a look-up for every contract creation, and [`UnreachedRules::is_empty`] says when
//! alloy-evm's own factory does the same.

use alloy_evm::{
    Database, EthEvmFactory, Evm, EvmEnv, EvmFactory, eth::EthEvmContext,
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes, U256, map::AddressMap};
use core::fmt;
use revm::{
    ExecuteEvm, Inspector,
    bytecode::opcode,
    context::{
        BlockEnv, CfgEnv, ContextSetters, ContextTr, Evm as RevmEvm, FrameStack, JournalTr, TxEnv,
    },
    context_interface::{
        cfg::GasId,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, ExecResultAndState, HaltReason, ResultAndState},
    },
    database_interface::DBErrorMarker,
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, FrameTr, Handler, ItemOrResult,
        MainnetHandler,
        evm::{ContextDbError, FrameInitResult},
        instructions::EthInstructions,
        system_call::SystemCallTx,
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector},
    interpreter::{
        CreateInputs, CreateOutcome, FrameInput, Gas, Host, Instruction, InstructionContext,
        InstructionExecResult, InstructionResult, InterpreterResult, instructions::host,
        interpreter::EthInterpreter, interpreter_action::FrameInit,
    },
    primitives::{constants::CALL_STACK_LIMIT, hardfork::SpecId},
};
use std::sync::Arc;

/// Which of the rules a block needs.
#[derive(Clone, Debug, Default)]
pub struct UnreachedRules {
    /// The accounts that have storage but neither code nor a nonce in the state before the
    /// block, each with a slot that is not zero (EIP-7610). No block makes new ones.
    pub storage_only: Arc<AddressMap<U256>>,
    /// `SSTORE` costs what EIP-1283 says; everything else follows Petersburg.
    pub net_gas_metering: bool,
    /// The contracts that system calls go to are not those of the public networks.
    pub foreign_system_contracts: bool,
}

impl UnreachedRules {
    /// None: the block is one for alloy-evm's own factory.
    pub fn is_empty(&self) -> bool {
        self.storage_only.is_empty() && !self.net_gas_metering && !self.foreign_system_contracts
    }
}

/// Makes [`UnreachedEvm`]s.
#[derive(Clone, Debug, Default)]
pub struct UnreachedEvmFactory(pub UnreachedRules);

/// EIP-1283 in the terms of revm's table: a store that changes nothing or is not the first of
/// its slot costs 200, and what the first one paid beyond that is given back when undone.
const NET_GAS: [(GasId, u64); 5] = [
    (GasId::sstore_static(), 200),
    (GasId::sstore_set_without_load_cost(), 20_000 - 200),
    (GasId::sstore_reset_without_cold_load_cost(), 5_000 - 200),
    (GasId::sstore_set_refund(), 20_000 - 200),
    (GasId::sstore_reset_refund(), 5_000 - 200),
];

/// What a system call may use before Amsterdam.
const SYSTEM_CALL_GAS: u64 = 30_000_000;

impl UnreachedEvmFactory {
    fn evm<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        mut env: EvmEnv,
        inspector: I,
        inspect: bool,
    ) -> UnreachedEvm<DB, I> {
        let net_gas_metering = self.0.net_gas_metering;
        if net_gas_metering {
            env.cfg_env.gas_params.override_gas(NET_GAS);
        }
        let evm = EthEvmFactory::default().create_evm_with_inspector(db, env, inspector);
        let mut inner = evm.into_inner();
        if net_gas_metering {
            let sstore = Instruction::new(sstore_with_net_gas);
            inner.instruction.instruction_table_mut()[opcode::SSTORE as usize] = sstore;
        }
        UnreachedEvm { inner, inspect, storage_only: Arc::clone(&self.0.storage_only) }
    }
}

/// `SSTORE` with the rules of Istanbul, which are those of EIP-1283 but for the prices and for a
/// check that revm makes by the fork.
fn sstore_with_net_gas<DB: Database>(
    at: InstructionContext<'_, EthEvmContext<DB>, EthInterpreter>,
) -> InstructionExecResult {
    host::sstore_with_gas_accounting(at, |at, _, store| {
        let prices = at.host.gas_params();
        let cost = prices.sstore_dynamic_gas(true, &store.data, store.is_cold);
        let refund = prices.sstore_refund(true, &store.data);
        if !at.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        at.interpreter.gas.record_refund(refund);
        Ok(())
    })
}

impl EvmFactory for UnreachedEvmFactory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = UnreachedEvm<DB, I>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        self.evm(db, env, NoOpInspector {}, false)
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        self.evm(db, env, inspector, true)
    }
}

/// revm's mainnet EVM.
type Mainnet<DB, I> = RevmEvm<
    EthEvmContext<DB>,
    I,
    EthInstructions<EthInterpreter, EthEvmContext<DB>>,
    PrecompilesMap,
    EthFrame,
>;

/// revm's mainnet EVM, with the rules that it leaves out.
pub struct UnreachedEvm<DB: Database, I> {
    inner: Mainnet<DB, I>,
    inspect: bool,
    storage_only: Arc<AddressMap<U256>>,
}

impl<DB: Database, I> fmt::Debug for UnreachedEvm<DB, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnreachedEvm").field("inspect", &self.inspect).finish_non_exhaustive()
    }
}

impl<DB: Database, I> UnreachedEvm<DB, I> {
    /// Whether a creation meets storage. If so, everything that revm does before it looks for a
    /// collision has been done: the caller's nonce is raised, the address is warm.
    fn meets_storage(
        &mut self,
        depth: usize,
        inputs: &CreateInputs,
    ) -> Result<bool, ContextDbError<EthEvmContext<DB>>> {
        if self.storage_only.is_empty() || depth > CALL_STACK_LIMIT as usize {
            return Ok(false);
        }
        let journal = self.inner.ctx.journal_mut();
        let caller = &journal.load_account(inputs.caller())?.data.info;
        let (nonce, pays) = (caller.nonce, caller.balance >= inputs.value());
        if !pays || nonce == u64::MAX {
            return Ok(false);
        }
        let address = inputs.created_address(nonce);
        let Some(slot) = self.storage_only.get(&address) else { return Ok(false) };
        // An empty account loses its storage when it is touched (EIP-161).
        if journal.db_mut().storage(address, *slot)?.is_zero() {
            return Ok(false);
        }
        journal.load_account(address)?;
        journal.load_account_mut(inputs.caller())?.bump_nonce();
        Ok(true)
    }
}

impl<DB: Database, I> EvmTr for UnreachedEvm<DB, I> {
    type Context = EthEvmContext<DB>;
    type Instructions = EthInstructions<EthInterpreter, EthEvmContext<DB>>;
    type Precompiles = PrecompilesMap;
    type Frame = EthFrame;

    fn all(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        init: FrameInit,
    ) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<Self::Context>> {
        if let FrameInput::Create(inputs) = &init.frame_input
            && self.meets_storage(init.depth, inputs)?
        {
            let result = InterpreterResult {
                result: InstructionResult::CreateCollision,
                gas: Gas::new_with_regular_gas_and_reservoir(
                    inputs.gas_limit(),
                    inputs.reservoir(),
                ),
                output: Bytes::new(),
            };
            return Ok(ItemOrResult::Result(FrameResult::Create(CreateOutcome {
                result,
                address: None,
                charged_create_state_gas: inputs.charged_create_state_gas(),
            })));
        }
        self.inner.frame_init(init)
    }

    fn frame_run(
        &mut self,
    ) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<Self::Context>> {
        self.inner.frame_run()
    }

    fn frame_return_result(
        &mut self,
        result: <Self::Frame as FrameTr>::FrameResult,
    ) -> Result<Option<<Self::Frame as FrameTr>::FrameResult>, ContextDbError<Self::Context>> {
        self.inner.frame_return_result(result)
    }
}

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> InspectorEvmTr for UnreachedEvm<DB, I> {
    type Inspector = I;

    fn all_inspector(
        &self,
    ) -> (
        &Self::Context,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<Self::Frame>,
        &Self::Inspector,
    ) {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
        &mut Self::Inspector,
    ) {
        self.inner.all_mut_inspector()
    }
}

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> Evm for UnreachedEvm<DB, I> {
    type DB = DB;
    type Tx = TxEnv;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        self.inner.ctx.block()
    }

    fn cfg_env(&self) -> &CfgEnv {
        self.inner.ctx.cfg()
    }

    fn chain_id(&self) -> u64 {
        self.cfg_env().chain_id
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState, Self::Error> {
        self.inner.ctx.set_tx(tx);
        let mut handler = MainnetHandler::<_, Self::Error, EthFrame>::default();
        let result = if self.inspect { handler.inspect_run(self) } else { handler.run(self) };
        // Also after an error: it clears the journal.
        let state = self.inner.finalize();
        Ok(ExecResultAndState::new(result?, state))
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        let mut tx = TxEnv::new_system_tx_with_caller(caller, contract, data);
        if self.inner.ctx.cfg().spec < SpecId::AMSTERDAM {
            tx.gas_limit = SYSTEM_CALL_GAS;
        }
        self.inner.ctx.set_tx(tx);
        let result = MainnetHandler::<_, Self::Error, EthFrame>::default().run_system_call(self);
        let state = self.inner.finalize();
        Ok(ExecResultAndState::new(result?, state))
    }

    fn finish(self) -> (DB, EvmEnv) {
        let context = self.inner.ctx;
        let env = EvmEnv { block_env: context.block, cfg_env: context.cfg };
        (context.journaled_state.database, env)
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspect = enabled;
    }

    fn components(&self) -> (&DB, &I, &PrecompilesMap) {
        let evm = &self.inner;
        (&evm.ctx.journaled_state.database, &evm.inspector, &evm.precompiles)
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut PrecompilesMap) {
        let evm = &mut self.inner;
        (&mut evm.ctx.journaled_state.database, &mut evm.inspector, &mut evm.precompiles)
    }
}
