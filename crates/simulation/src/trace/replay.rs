//! A block, executed again.

use crate::{
    Limits, Overlay, SimulationError,
    precompiles::PrecompileSet,
    run::{self, block_error, from_evm_error},
};
use alloy_consensus::Header;
use alloy_evm::{
    Database, EthEvmFactory, Evm, EvmEnv, EvmFactory, FromRecoveredTx,
    block::BlockExecutor,
    eth::{EthBlockExecutor, EthEvmContext},
};
use alloy_primitives::{Address, B256};
use revm::{
    DatabaseCommit, Inspector,
    context::TxEnv,
    context_interface::result::{HaltReason, ResultAndState},
    inspector::NoOpInspector,
};
use warpline_chainspec::ChainSpec;
use warpline_executor::{EthReceiptBuilder, EthTransaction, UnreachedEvmFactory, UnreachedRules};

/// A block of the chain to look into.
#[derive(Debug, Clone)]
pub struct TracedBlock<'a> {
    /// The rules of the chain.
    pub chain: &'a ChainSpec,
    /// The header.
    pub header: &'a Header,
    /// The hash of the header.
    pub hash: B256,
    /// The transactions.
    pub transactions: &'a [EthTransaction],
    /// The sender of each.
    pub senders: &'a [Address],
    /// Rules that revm leaves out.
    pub unreached: UnreachedRules,
}

impl TracedBlock<'_> {
    /// One of its transactions, as the EVM takes it.
    pub fn transaction(&self, index: usize) -> Option<TxEnv> {
        let of = self.transactions.get(index).zip(self.senders.get(index));
        of.map(|(tx, sender)| TxEnv::from_recovered_tx(tx, *sender))
    }
}

/// A block up to some transaction.
pub(super) struct Replay<'a, DB: Database> {
    pub(super) block: &'a TracedBlock<'a>,
    pub(super) state: Overlay<DB>,
    pub(super) env: EvmEnv,
    /// How many transactions are committed.
    pub(super) next: usize,
    precompiles: PrecompileSet,
}

impl<'a, DB: Database> Replay<'a, DB> {
    /// Does what a block does before its transactions.
    pub(super) fn begin(
        parent: DB,
        block: &'a TracedBlock<'a>,
        limits: &Limits,
    ) -> Result<Self, SimulationError<DB::Error>> {
        let mut state = Overlay::new(parent);
        state.deadline = limits.deadline();
        let env = block.chain.evm_env(block.header);
        let ctx = block.chain.block_ctx(block.header, &[], None, 0);
        let evm = EthEvmFactory::default().create_evm(&mut state, env.clone());
        let mut executor = EthBlockExecutor::new(evm, ctx, block.chain, EthReceiptBuilder);
        if let Err(error) = executor.apply_pre_execution_changes() {
            return Err(block_error(&mut state, &error));
        }
        let precompiles = PrecompileSet::new(env.cfg_env.spec);
        Ok(Self { block, state, env, next: 0, precompiles })
    }

    /// Executes and commits transactions up to the one with an index.
    pub(super) fn skip(&mut self, index: usize) -> Result<(), SimulationError<DB::Error>> {
        while self.next < index.min(self.block.transactions.len()) {
            let (_, result) = self.execute_with(&mut NoOpInspector {}, false)?;
            self.commit(result);
        }
        Ok(())
    }

    /// Executes the next transaction in front of an inspector, without committing it.
    pub(super) fn execute<'s, I>(
        &'s mut self,
        inspector: &mut I,
    ) -> Result<(TxEnv, ResultAndState<HaltReason>), SimulationError<DB::Error>>
    where
        I: Inspector<EthEvmContext<&'s mut Overlay<DB>>>,
    {
        self.execute_with(inspector, true)
    }

    /// Commits what came of the next transaction.
    pub(super) fn commit(&mut self, result: ResultAndState<HaltReason>) {
        self.state.commit(result.state);
        self.next += 1;
    }

    /// The next transaction, as the EVM takes it.
    pub(super) fn next_tx(&self) -> Result<TxEnv, SimulationError<DB::Error>> {
        let missing = || SimulationError::request("transaction index out of range");
        self.block.transaction(self.next).ok_or_else(missing)
    }

    fn execute_with<'s, I>(
        &'s mut self,
        inspector: &mut I,
        inspect: bool,
    ) -> Result<(TxEnv, ResultAndState<HaltReason>), SimulationError<DB::Error>>
    where
        I: Inspector<EthEvmContext<&'s mut Overlay<DB>>>,
    {
        let (block, tx) = (self.block, self.next_tx()?);
        let env = self.env.clone();
        let result = if block.unreached.is_empty() {
            let precompiles = &self.precompiles;
            run::evm(&mut self.state, env, precompiles, inspector, inspect).transact_raw(tx.clone())
        } else {
            let factory = UnreachedEvmFactory(block.unreached.clone());
            let mut evm = factory.create_evm_with_inspector(&mut self.state, env, inspector);
            evm.set_inspector_enabled(inspect);
            evm.transact_raw(tx.clone())
        };
        let gas_limit = tx.gas_limit;
        Ok((tx, result.map_err(|error| from_evm_error(error, gas_limit))?))
    }
}
