//! A factory that charges senders what Ethereum does not: a thousandth of all they have.

use crate::support::{prepared, within};
use alloy_evm::{
    Database, EthEvm, EthEvmFactory, Evm, EvmEnv, EvmFactory,
    eth::{EthBlockExecutorFactory, EthEvmContext},
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes, U256};
use core::time::Duration;
use revm::{
    Inspector,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::result::{EVMError, HaltReason, ResultAndState},
    database_interface::DBErrorMarker,
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};
use warpline_executor::{BlockInput, check_drop_in};
use warpline_testing::{
    evm::{Receipts, asm::words, builder::BlockBuilder, contracts::Contract, tx::Request, user},
    faults::{Fault, FaultyParent},
};

/// Ethereum's EVM, whose transactions cost their sender a thousandth of the balance.
struct TaxedEvm<DB: Database, I>(EthEvm<DB, I, PrecompilesMap>);

impl<DB: Database, I: Inspector<EthEvmContext<DB>>> Evm for TaxedEvm<DB, I> {
    type DB = DB;
    type Tx = TxEnv;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        self.0.block()
    }

    fn cfg_env(&self) -> &CfgEnv {
        self.0.cfg_env()
    }

    fn chain_id(&self) -> u64 {
        self.0.chain_id()
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState, Self::Error> {
        let sender = tx.caller;
        let mut done = self.0.transact_raw(tx)?;
        if let Some(account) = done.state.get_mut(&sender) {
            account.info.balance -= account.info.balance / U256::from(1_000);
        }
        Ok(done)
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        self.0.transact_system_call(caller, contract, data)
    }

    fn finish(self) -> (DB, EvmEnv) {
        self.0.finish()
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.0.set_inspector_enabled(enabled);
    }

    fn components(&self) -> (&DB, &I, &PrecompilesMap) {
        self.0.components()
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut PrecompilesMap) {
        self.0.components_mut()
    }
}

#[derive(Clone, Copy, Debug)]
struct Taxed;

impl EvmFactory for Taxed {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = TaxedEvm<DB, I>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> TaxedEvm<DB, NoOpInspector> {
        TaxedEvm(EthEvmFactory::default().create_evm(db, env))
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> TaxedEvm<DB, I> {
        TaxedEvm(EthEvmFactory::default().create_evm_with_inspector(db, env, inspector))
    }
}

#[test]
fn a_charge_that_depends_on_the_balance_is_the_same_in_parallel() {
    within(Duration::from_secs(100), || {
        // Half of the users are busy, then they pay the other half, who call contracts of their
        // own in the end: whoever runs these calls ahead of the payments sees balances that do
        // not hold.
        let mut block = BlockBuilder::new(SpecId::PRAGUE);
        let contracts: Vec<_> =
            (1..=16).map(|instance| block.deploy(Contract::StaticCaller, instance, 0)).collect();
        let identity = Address::with_last_byte(4);
        let call = |index: u16| {
            let call = Request::call(user(index), contracts[usize::from(index)]);
            call.data(words(&[&identity, &u64::from(index)]))
        };
        for index in (0..3).flat_map(|_| 0..8) {
            block.ok(call(index));
        }
        for index in 0..8 {
            block.ok(Request::transfer(user(index), user(index + 8), 1_000_000_000));
        }
        for index in 8..16 {
            block.ok(call(index));
        }
        let block = block.finish();
        let factory = EthBlockExecutorFactory::new(Receipts, block.rules, Taxed);
        let txs = prepared(&block);
        let input = BlockInput { env: block.env.clone(), ctx: block.ctx.as_eth(), txs: &txs };
        // Slow reads make the front wait, so that helpers certainly take part.
        let slow = Fault::DelayAll(Duration::from_micros(50));
        let parent = FaultyParent::new(block.parent.clone(), slow, 0);
        let report = check_drop_in(&factory, [(input, &parent)]).expect("it is a sound factory");
        assert_eq!((report.blocks, report.rejected, report.transactions), (1, 0, 40));
        assert!(report.speculations > 0, "{report}");
    });
}
