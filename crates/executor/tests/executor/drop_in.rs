//! The drop-in check passes for Ethereum's factory and finds what is wrong with others.

use crate::support::{prepared, within};
use alloy_evm::{
    Database, EthEvm, EthEvmFactory, Evm, EvmEnv, EvmFactory,
    eth::{EthBlockExecutorFactory, EthEvmContext},
    precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap},
};
use alloy_primitives::{Address, Bytes, U256};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use revm::{
    Inspector,
    context::{BlockEnv, TxEnv},
    context_interface::result::{EVMError, HaltReason},
    database_interface::DBErrorMarker,
    inspector::NoOpInspector,
    precompile::{PrecompileId, PrecompileOutput},
    primitives::hardfork::SpecId,
};
use warpline_executor::{
    BlockInput, DropInError, DropInReport, ParentState, assert_drop_in, check_drop_in,
};
use warpline_testing::{
    evm::{
        GeneratedBlock, Receipts, asm::words, builder::BlockBuilder, contracts::Contract, plan,
        tx::Request, user,
    },
    faults::{Fault, FaultyParent},
};

const LIMIT: Duration = Duration::from_secs(200);
/// Where [`Custom`] keeps its precompile.
const PRECOMPILE: Address = Address::with_last_byte(0xaa);

/// What a precompile answers: depends on its call, on nothing, or on what it should not know.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// How much gas it was given.
    Honest,
    /// How often it was called.
    CallCount,
    /// Whether somebody watches.
    Inspected,
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Ethereum's EVM with one more precompile.
#[derive(Clone, Copy, Debug)]
struct Custom(Answer);

impl Custom {
    fn extend<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        self,
        mut evm: EthEvm<DB, I, PrecompilesMap>,
        inspected: bool,
    ) -> EthEvm<DB, I, PrecompilesMap> {
        let run = move |input: PrecompileInput<'_>| {
            let answer = match self.0 {
                Answer::Honest => input.gas,
                Answer::CallCount => CALLS.fetch_add(1, Ordering::SeqCst),
                Answer::Inspected => u64::from(inspected),
            };
            let answer = Bytes::copy_from_slice(&U256::from(answer).to_be_bytes::<32>());
            Ok(PrecompileOutput::new(10, answer, input.reservoir))
        };
        let precompile = DynPrecompile::new(PrecompileId::Custom("custom".into()), run);
        evm.precompiles_mut().apply_precompile(&PRECOMPILE, |_| Some(precompile));
        evm
    }
}

impl EvmFactory for Custom {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = EthEvm<DB, I, PrecompilesMap>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        self.extend(EthEvmFactory::default().create_evm(db, env), false)
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<Self::Context<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        self.extend(EthEvmFactory::default().create_evm_with_inspector(db, env, inspector), true)
    }
}

/// Contracts of several instances ask the precompile and store its answer.
fn asking_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for instance in 1..=16 {
        block.deploy(Contract::StaticCaller, instance, 0);
    }
    for round in 0..3_u64 {
        for instance in 1..=16_u8 {
            let caller = Contract::StaticCaller.at(instance);
            let call = Request::call(user(u16::from(instance) - 1), caller);
            block.ok(call.data(words(&[&PRECOMPILE, &round])));
        }
    }
    block.finish()
}

fn check(answer: Answer, parent: &impl ParentState) -> Result<DropInReport, DropInError> {
    let block = asking_block();
    let factory = EthBlockExecutorFactory::new(Receipts, block.rules, Custom(answer));
    let txs = prepared(&block);
    let input = BlockInput { env: block.env.clone(), ctx: block.ctx.as_eth(), txs: &txs };
    check_drop_in(&factory, [(input, parent)])
}

/// Slow reads make the front wait, so that helpers certainly take part.
fn slow_parent() -> impl ParentState {
    let slow = Fault::DelayAll(Duration::from_micros(50));
    FaultyParent::new(asking_block().parent, slow, 0)
}

#[test]
fn ethereums_factory_passes_on_generated_blocks() {
    within(LIMIT, || {
        // A factory has one set of rules, so blocks of one fork go together.
        for spec in [SpecId::SHANGHAI, SpecId::PRAGUE] {
            let blocks: Vec<_> = (0..30)
                .map(|seed| plan::Plan { spec, ..plan::Plan::from_seed(seed, 60) }.build())
                .map(|block| (prepared(&block), block))
                .collect();
            let factory = blocks[0].1.rules.factory();
            let inputs = blocks.iter().map(|(txs, block)| {
                let ctx = block.ctx.as_eth();
                (BlockInput { env: block.env.clone(), ctx, txs }, &block.parent)
            });
            let report = assert_drop_in(&factory, inputs);
            let transactions: usize = blocks.iter().map(|(txs, _)| txs.len()).sum();
            assert_eq!((report.blocks, report.transactions), (30, transactions));
            assert_eq!(report.executions, 30 * 4 * 3);
            let invalid = |block: &GeneratedBlock| {
                block.expected.rejected.is_some() || block.expected.fails_at_end
            };
            let rejected = blocks.iter().filter(|(_, block)| invalid(block)).count();
            assert_eq!(report.rejected, rejected);
            assert!(report.speculations > 0, "{report}");
        }
    });
}

#[test]
fn a_factory_with_a_custom_precompile_passes() {
    within(LIMIT, || {
        let report = check(Answer::Honest, &slow_parent()).expect("it is a sound factory");
        assert_eq!((report.blocks, report.rejected, report.transactions), (1, 0, 48));
        assert!(report.committed_ahead > 0, "{report}");
        assert!(report.to_string().contains("48 transactions"), "{report}");
    });
}

#[test]
fn a_precompile_that_counts_its_calls_is_not_repeatable() {
    within(LIMIT, || {
        let error = check(Answer::CallCount, &slow_parent()).expect_err("it counts");
        let DropInError::NotRepeatable { block: 0, location, first, second } = error else {
            panic!("{error}")
        };
        let stored = format!("{}", Contract::StaticCaller.at(1));
        assert!(location.starts_with(&stored), "{location}");
        assert_ne!(first, second);
    });
}

#[test]
fn an_evm_that_behaves_differently_under_an_inspector_is_found() {
    within(LIMIT, || {
        let error = check(Answer::Inspected, &slow_parent()).expect_err("it looks who watches");
        let DropInError::Differs { block: 0, threads, location, sequential, parallel } = error
        else {
            panic!("{error}")
        };
        assert!(threads > 1, "one thread does without an inspector");
        assert!(!location.is_empty());
        assert_ne!(sequential, parallel);
    });
}

#[test]
#[should_panic(expected = "two sequential executions differ")]
fn the_assertion_fails_with_the_difference() {
    let block = asking_block();
    let factory = EthBlockExecutorFactory::new(Receipts, block.rules, Custom(Answer::CallCount));
    let txs = prepared(&block);
    let input = BlockInput { env: block.env.clone(), ctx: block.ctx.as_eth(), txs: &txs };
    assert_drop_in(&factory, [(input, &block.parent)]);
}
