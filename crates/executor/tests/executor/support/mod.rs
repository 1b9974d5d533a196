//! What the tests of the parallel executor share.

use alloy_eips::eip7928::BlockAccessList;
use alloy_evm::block::BlockExecutionResult;
use alloy_primitives::U256;
use core::time::Duration;
use revm::{context::TxEnv, primitives::hardfork::SpecId};
use std::sync::mpsc::{RecvTimeoutError, channel};
use warpline_executor::{
    AnyFactory, BlockInput, BlockOutput, Dialect, Ethereum, ExecStats, ExecuteError, Guidance,
    ParallelConfig, ParallelExecutor, ParentState, PreparedTx, execute_sequential,
    execute_sequential_listed,
};
use warpline_merger::diff_from_bundle;
use warpline_testing::evm::{
    Factory, GeneratedBlock, Transaction, asm::words, builder::BlockBuilder, contracts::Contract,
    tx::Request, user,
};
use warpline_types::StateDiff;

/// Receipts, requests, gas and the sorted changes of a block.
pub(crate) type Done =
    (BlockExecutionResult<<Factory as alloy_evm::block::BlockExecutorFactory>::Receipt>, StateDiff);

/// What an execution with guidance came to.
pub(crate) struct Guided {
    pub(crate) done: Done,
    pub(crate) access_list: Option<BlockAccessList>,
    pub(crate) stats: ExecStats,
}

/// A block ready to be executed many times.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) block: GeneratedBlock,
    pub(crate) factory: Factory,
    txs: Vec<PreparedTx<TxEnv, Transaction>>,
}

impl Case {
    pub(crate) fn new(name: &'static str, block: GeneratedBlock) -> Self {
        Self { name, factory: block.rules.factory(), txs: prepared(&block), block }
    }

    pub(crate) fn input(&self) -> BlockInput<'_, Factory, PreparedTx<TxEnv, Transaction>> {
        BlockInput { env: self.block.env.clone(), ctx: self.block.ctx.as_eth(), txs: &self.txs }
    }

    /// What the oracle makes of it.
    pub(crate) fn sequential(&self, parent: &impl ParentState) -> Result<Done, ExecuteError> {
        let output = execute_sequential(&self.factory, self.input(), parent)?;
        let mut diff = diff_from_bundle(&output.bundle);
        diff.sort();
        Ok((output.result, diff))
    }

    /// The oracle's outcome and revm's access list; `None` for an invalid block.
    pub(crate) fn listed(&self) -> Option<(Done, BlockAccessList)> {
        let output = execute_sequential_listed(&self.factory, self.input(), &self.block.parent);
        let output = output.ok()?;
        let mut diff = diff_from_bundle(&output.bundle);
        diff.sort();
        Some(((output.result, diff), output.access_list.expect("it was asked for")))
    }

    /// The outcome of an execution with guidance, on the block's own parent.
    pub(crate) fn guided<D: Dialect<Factory>>(
        &self,
        executor: &ParallelExecutor<D>,
        guidance: Guidance<'_>,
    ) -> Result<Guided, ExecuteError> {
        let parent = &self.block.parent;
        let mut output = executor.execute_guided(&self.factory, self.input(), guidance, parent)?;
        output.diff.sort();
        let BlockOutput { result, diff, access_list, stats } = output;
        Ok(Guided { done: (result, diff), access_list, stats })
    }

    /// The oracle on the block's own parent, which never fails.
    pub(crate) fn expected(&self) -> Done {
        self.sequential(&self.block.parent).expect("the block is valid")
    }

    pub(crate) fn parallel<D: Dialect<Factory>>(
        &self,
        executor: &ParallelExecutor<D>,
        parent: &impl ParentState,
    ) -> Result<(Done, ExecStats), ExecuteError> {
        self.guided_on(executor, Guidance::default(), parent)
    }

    pub(crate) fn guided_on<D: Dialect<Factory>>(
        &self,
        executor: &ParallelExecutor<D>,
        guidance: Guidance<'_>,
        parent: &impl ParentState,
    ) -> Result<(Done, ExecStats), ExecuteError> {
        let mut output = executor.execute_guided(&self.factory, self.input(), guidance, parent)?;
        output.diff.sort();
        Ok(((output.result, output.diff), output.stats))
    }
}

/// The transactions of a block as executors take them.
pub(crate) fn prepared(block: &GeneratedBlock) -> Vec<PreparedTx<TxEnv, Transaction>> {
    let txs = block.txs.iter();
    txs.map(|(env, tx)| PreparedTx { env: env.clone(), tx: tx.clone() }).collect()
}

/// Helpers are called for every block, however small.
pub(crate) fn eager(threads: usize) -> ParallelConfig {
    ParallelConfig {
        threads,
        lead: 0,
        min_gas: 0,
        min_remaining: Duration::ZERO,
        ..ParallelConfig::default()
    }
}

pub(crate) fn ethereum(threads: usize) -> ParallelExecutor<Ethereum> {
    ParallelExecutor::ethereum(eager(threads)).expect("threads start")
}

pub(crate) fn any(threads: usize) -> ParallelExecutor<AnyFactory> {
    ParallelExecutor::new(eager(threads)).expect("threads start")
}

/// Calls of contracts, one after the other on the same few slots, with transfers in between.
pub(crate) fn conflicts() -> Case {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for round in 0..12_u64 {
        let sender = |offset: u64| user(((round + offset) % 16) as u16);
        let call = |offset, contract: Contract, words| {
            Request::call(sender(offset), contract.at(0)).data(words)
        };
        block.ok(call(0, Contract::Counter, words(&[&0_u64])));
        block.ok(call(1, Contract::Pool, words(&[&(round + 1)])));
        block.ok(call(2, Contract::Worker, words(&[&40_u64, &(round % 2)])));
        block.ok(call(3, Contract::CoinbaseReader, words(&[&round])));
        block.ok(Request::transfer(sender(4), sender(5), 7));
        block.ok(call(6, Contract::BalanceReader, words(&[&sender(5), &round])));
        block.ok(call(7, Contract::Token, words(&[&sender(8), &5_u64])));
    }
    Case::new("conflicts", block.finish())
}

/// Calls that have nothing to do with each other.
pub(crate) fn independent() -> Case {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for index in 0..16_u8 {
        let worker = block.deploy(Contract::Worker, index + 1, 0);
        for slot in 0..2_u64 {
            block.world().set_slot(worker, U256::from(slot), U256::from(3));
        }
    }
    for round in 0..3_u64 {
        for index in 0..16_u8 {
            let worker = Contract::Worker.at(index + 1);
            let call = Request::call(user(u16::from(index)), worker);
            block.ok(call.data(words(&[&200_u64, &round])));
        }
    }
    Case::new("independent", block.finish())
}

/// Fails instead of hanging: runs `test` on a thread of its own and gives it so much time.
pub(crate) fn within(time: Duration, test: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        test();
        drop(done);
    });
    assert_ne!(ended.recv_timeout(time), Err(RecvTimeoutError::Timeout), "hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
