//! What the executor may assume of a factory beyond alloy-evm's traits.
//!
//! [`AnyFactory`] assumes no more than
//! [`ParallelExecutor::execute_block`](crate::ParallelExecutor::execute_block) demands. [`Ethereum`] knows revm's mainnet EVM: it watches balances
//! from inside the few instructions that matter instead of through an inspector, and executes
//! plain transfers without an EVM.

use crate::{
    Env,
    parallel::{
        transfer,
        view::{Speculation, View},
        watch::BalanceWatch,
    },
};
use alloy_consensus::{Transaction, TransactionEnvelope};
use alloy_eips::Encodable2718;
use alloy_evm::{
    Database, EthEvm, EthEvmFactory, Evm, EvmFactory, RecoveredTx,
    block::{BlockExecutor, BlockExecutorFactory, GasOutput, TxResult},
    eth::{
        EthBlockExecutorFactory, EthEvmContext, receipt_builder::ReceiptBuilder,
        spec::EthExecutorSpec,
    },
};
use alloy_primitives::Address;
use revm::{
    bytecode::opcode,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult,
        instructions::{block_info, contract, host},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr,
    },
    state::AccountInfo,
};
use warpline_merger::{Accesses, CanonicalState, Changes, CommitSink};

/// The EVM of a factory over a database, with an inspector.
type EvmOf<F, DB, I> = <<F as BlockExecutorFactory>::EvmFactory as EvmFactory>::Evm<DB, I>;

/// See the module documentation. Implemented here only.
pub trait Dialect<F: BlockExecutorFactory>: sealed::Sealed + Sync {
    /// A sender pays for value, gas and blobs, and for nothing else, so that a balance which
    /// covers these is as good as any other.
    #[doc(hidden)]
    const STANDARD_CHARGES: bool;

    /// An EVM for speculation that notes which balances are observed.
    #[doc(hidden)]
    fn watched_evm<'v, Db: Database>(
        factory: &F,
        view: View<'v, Db>,
        env: Env<F>,
    ) -> EvmOf<F, View<'v, Db>, BalanceWatch>;

    /// Prepares that EVM for the next transaction.
    #[doc(hidden)]
    fn begin<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
        speculation: Speculation,
    );

    /// What was observed since.
    #[doc(hidden)]
    fn take_watch<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
    ) -> BalanceWatch;

    /// What the result of a speculation changes, and what it accesses where that is wanted. The
    /// result may lose its own account of both.
    #[doc(hidden)]
    fn boil_down(
        result: &mut F::TxExecutionResult,
        found: impl Fn(&Address) -> Option<AccountInfo>,
        wants_accesses: bool,
    ) -> Changes;

    /// Commits a boiled-down result.
    #[doc(hidden)]
    fn commit<Db: Database, S: CommitSink, E>(
        executor: &mut E,
        result: F::TxExecutionResult,
        changes: Changes,
    ) -> GasOutput
    where
        E: BlockExecutor<Evm: Evm<DB = CanonicalState<Db, S>>, Result = F::TxExecutionResult>;

    /// Executes and commits a plain transfer without the EVM, where that is certain to give the
    /// same. `None` leaves the transaction, and any error in it, to the EVM.
    #[doc(hidden)]
    fn transfer<Db: Database, S: CommitSink, E, T>(
        executor: &mut E,
        tx: &T,
        gas_left: u64,
    ) -> Option<GasOutput>
    where
        E: BlockExecutor<
                Evm: Evm<
                    DB = CanonicalState<Db, S>,
                    Spec = <F::EvmFactory as EvmFactory>::Spec,
                    BlockEnv = <F::EvmFactory as EvmFactory>::BlockEnv,
                    Precompiles = <F::EvmFactory as EvmFactory>::Precompiles,
                >,
                Result = F::TxExecutionResult,
            >,
        T: RecoveredTx<F::Transaction>;
}

mod sealed {
    /// Keeps the trait closed: its methods follow the executor's internals.
    pub trait Sealed {}
    impl Sealed for super::AnyFactory {}
    impl Sealed for super::Ethereum {}
}

/// Any factory of alloy-evm's traits: balances are watched through an inspector.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyFactory;

impl<F: BlockExecutorFactory> Dialect<F> for AnyFactory {
    const STANDARD_CHARGES: bool = false;

    fn watched_evm<'v, Db: Database>(
        factory: &F,
        view: View<'v, Db>,
        env: Env<F>,
    ) -> EvmOf<F, View<'v, Db>, BalanceWatch> {
        factory.evm_factory().create_evm_with_inspector(view, env, BalanceWatch::default())
    }

    fn begin<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
        speculation: Speculation,
    ) {
        *evm.inspector_mut() = BalanceWatch::new(speculation.creates);
        evm.db_mut().begin(speculation);
    }

    fn take_watch<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
    ) -> BalanceWatch {
        core::mem::take(evm.inspector_mut())
    }

    fn boil_down(
        result: &mut F::TxExecutionResult,
        found: impl Fn(&Address) -> Option<AccountInfo>,
        _: bool,
    ) -> Changes {
        // The accesses are still in the result when it is committed.
        Changes::collect(&result.result().state, found)
    }

    fn commit<Db: Database, S: CommitSink, E>(
        executor: &mut E,
        result: F::TxExecutionResult,
        _: Changes,
    ) -> GasOutput
    where
        E: BlockExecutor<Evm: Evm<DB = CanonicalState<Db, S>>, Result = F::TxExecutionResult>,
    {
        executor.commit_transaction(result)
    }

    fn transfer<Db: Database, S: CommitSink, E, T>(_: &mut E, _: &T, _: u64) -> Option<GasOutput> {
        None
    }
}

/// Ethereum's rules on revm's mainnet EVM.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ethereum;

impl<R, Spec> Dialect<EthBlockExecutorFactory<R, Spec, EthEvmFactory>> for Ethereum
where
    R: ReceiptBuilder<Transaction: Transaction + Encodable2718>,
    EthBlockExecutorFactory<R, Spec, EthEvmFactory>: BlockExecutorFactory<
            EvmFactory = EthEvmFactory,
            Transaction = R::Transaction,
            TxExecutionResult = transfer::EthResult<R>,
        >,
    Spec: EthExecutorSpec,
{
    const STANDARD_CHARGES: bool = true;

    fn watched_evm<'v, Db: Database>(
        factory: &EthBlockExecutorFactory<R, Spec, EthEvmFactory>,
        view: View<'v, Db>,
        env: Env<EthBlockExecutorFactory<R, Spec, EthEvmFactory>>,
    ) -> EvmOf<EthBlockExecutorFactory<R, Spec, EthEvmFactory>, View<'v, Db>, BalanceWatch> {
        let watch = BalanceWatch::default();
        let evm = factory.evm_factory().create_evm_with_inspector(view, env, watch);
        let mut evm = evm.into_inner();
        let table = evm.instruction.instruction_table_mut();
        for (code, instruction) in watching_instructions() {
            table[code as usize] = instruction;
        }
        EthEvm::new(evm, false)
    }

    fn begin<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
        speculation: Speculation,
    ) {
        evm.db_mut().begin(speculation);
    }

    fn take_watch<'v, Db: Database + 'v>(
        evm: &mut impl Evm<DB = View<'v, Db>, Inspector = BalanceWatch>,
    ) -> BalanceWatch {
        core::mem::take(&mut evm.db_mut().watch)
    }

    fn boil_down(
        result: &mut transfer::EthResult<R>,
        found: impl Fn(&Address) -> Option<AccountInfo>,
        wants_accesses: bool,
    ) -> Changes {
        // The maps are dropped here, on the thread that made them.
        let state = core::mem::take(&mut result.result.state);
        let changes = Changes::collect(&state, found);
        if wants_accesses { changes.with_accesses(Accesses::of(&state)) } else { changes }
    }

    fn commit<Db: Database, S: CommitSink, E>(
        executor: &mut E,
        result: transfer::EthResult<R>,
        changes: Changes,
    ) -> GasOutput
    where
        E: BlockExecutor<Evm: Evm<DB = CanonicalState<Db, S>>, Result = transfer::EthResult<R>>,
    {
        executor.evm_mut().db_mut().commit_changes(changes);
        executor.commit_transaction(result)
    }

    fn transfer<Db: Database, S: CommitSink, E, T>(
        executor: &mut E,
        tx: &T,
        gas_left: u64,
    ) -> Option<GasOutput>
    where
        E: BlockExecutor<
                Evm: Evm<
                    DB = CanonicalState<Db, S>,
                    Spec = <EthEvmFactory as EvmFactory>::Spec,
                    BlockEnv = <EthEvmFactory as EvmFactory>::BlockEnv,
                    Precompiles = <EthEvmFactory as EvmFactory>::Precompiles,
                >,
                Result = transfer::EthResult<R>,
            >,
        T: RecoveredTx<R::Transaction>,
    {
        let (sender, tx) = (*tx.signer(), tx.tx());
        let effect = transfer::check(executor.evm_mut(), sender, tx, gas_left)?;
        let gas = executor.commit_transaction(transfer::result::<R>(tx.tx_type()));
        effect.apply(executor.evm_mut().db_mut());
        Some(gas)
    }
}

/// The context of the watched EVM.
type Ctx<'v, Db> = EthEvmContext<View<'v, Db>>;
type At<'i, 'v, Db> = InstructionContext<'i, Ctx<'v, Db>, EthInterpreter>;

/// The instructions that observe or move balances, or look at what changes with every block, each
/// noting what it does before it does it.
fn watching_instructions<'v, Db: Database>() -> [(u8, Instruction<EthInterpreter, Ctx<'v, Db>>); 12]
{
    [
        (opcode::BALANCE, Instruction::new(balance)),
        (opcode::SELFBALANCE, Instruction::new(self_balance)),
        (opcode::SELFDESTRUCT, Instruction::new(self_destruct)),
        (opcode::CALL, Instruction::new(call::<{ opcode::CALL }, Db>)),
        (opcode::CALLCODE, Instruction::new(call::<{ opcode::CALLCODE }, Db>)),
        (opcode::CREATE, Instruction::new(create::<false, Db>)),
        (opcode::CREATE2, Instruction::new(create::<true, Db>)),
        (opcode::NUMBER, Instruction::new(number)),
        (opcode::TIMESTAMP, Instruction::new(timestamp)),
        (opcode::DIFFICULTY, Instruction::new(difficulty)),
        (opcode::BLOCKHASH, Instruction::new(blockhash)),
        (opcode::SLOTNUM, Instruction::new(slot_num)),
    ]
}

fn balance<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    if let Some(word) = at.interpreter.stack.data().last() {
        let address = Address::from_word((*word).into());
        at.host.journaled_state.database.watch.observe(address);
    }
    host::balance(at)
}

fn self_balance<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.observe(at.interpreter.input.target_address());
    host::selfbalance(at)
}

fn self_destruct<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.observe(at.interpreter.input.target_address());
    host::selfdestruct(at)
}

fn call<const KIND: u8, Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    // From the top: gas, callee, value.
    if let [.., value, _, _] = at.interpreter.stack.data().as_slice() {
        let from = at.interpreter.input.target_address();
        at.host.journaled_state.database.watch.note_debit(from, *value);
    }
    contract::call::<KIND, _, _>(at)
}

fn create<const IS_CREATE2: bool, Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    if let Some(value) = at.interpreter.stack.data().last() {
        let from = at.interpreter.input.target_address();
        at.host.journaled_state.database.watch.note_creation(from, *value);
    }
    contract::create::<IS_CREATE2, _, _>(at)
}

fn number<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.see_block();
    block_info::block_number(at)
}

fn timestamp<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.see_block();
    block_info::timestamp(at)
}

fn difficulty<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.see_block();
    block_info::difficulty(at)
}

fn blockhash<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.see_block();
    host::blockhash(at)
}

fn slot_num<Db: Database>(at: At<'_, '_, Db>) -> InstructionExecResult {
    at.host.journaled_state.database.watch.see_block();
    block_info::slot_num(at)
}
