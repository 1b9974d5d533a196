//! The executor over a factory of one's own: Ethereum with one more precompile.
//!
//! `ParallelExecutor::new` takes any factory of alloy-evm's traits that keeps to what
//! `ParallelExecutor::execute_block` asks of it.
//!
//! ```text
//! cargo run --release -p warpline-executor --example custom_precompile
//! ```

use alloy_consensus::{SignableTransaction, TxLegacy, transaction::Recovered};
use alloy_evm::{
    Database, EthEvm, EthEvmFactory, Evm, EvmEnv, EvmFactory,
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, EthEvmContext, spec::EthSpec},
    precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap},
};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use revm::{
    Inspector,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::result::{EVMError, HaltReason},
    database::InMemoryDB,
    database_interface::DBErrorMarker,
    inspector::NoOpInspector,
    precompile::{PrecompileHalt, PrecompileId, PrecompileOutput, PrecompileResult},
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode},
};
use std::error::Error;
use warpline_executor::{
    BlockInput, EthReceiptBuilder, EthTransaction, ParallelConfig, ParallelExecutor, check_drop_in,
};

/// Where the precompile lives.
const AVERAGE: Address = Address::with_last_byte(0xaa);

/// The sum of the input's 32-byte words, modulo 2²⁵⁶, by their number; for 10 gas a word.
fn average(input: PrecompileInput<'_>) -> PrecompileResult {
    let words = input.data.as_chunks::<32>().0;
    let cost = 10 * words.len() as u64;
    if words.is_empty() || cost > input.gas {
        return Ok(PrecompileOutput::halt(PrecompileHalt::OutOfGas, input.reservoir));
    }
    let values = words.iter().map(|word| U256::from_be_bytes(*word));
    let average = values.fold(U256::ZERO, U256::wrapping_add) / U256::from(words.len());
    let output = Bytes::copy_from_slice(&average.to_be_bytes::<32>());
    Ok(PrecompileOutput::new(cost, output, input.reservoir))
}

/// Makes Ethereum's EVM with that precompile.
#[derive(Clone, Copy, Debug, Default)]
struct WithAverage;

impl WithAverage {
    fn extend<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        mut evm: EthEvm<DB, I, PrecompilesMap>,
    ) -> EthEvm<DB, I, PrecompilesMap> {
        let precompile = DynPrecompile::new(PrecompileId::Custom("average".into()), average);
        evm.precompiles_mut().apply_precompile(&AVERAGE, |_| Some(precompile));
        evm
    }
}

impl EvmFactory for WithAverage {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = EthEvm<DB, I, PrecompilesMap>;
    type Context<DB: Database> = EthEvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        Self::extend(EthEvmFactory::default().create_evm(db, env))
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<Self::Context<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        Self::extend(EthEvmFactory::default().create_evm_with_inspector(db, env, inspector))
    }
}

/// Asks the precompile for the average of its calldata and stores it in slot 0.
const ASKS: [u8; 19] = hex!("365f5f3760205f365f60aa5afa505f515f5500");

fn account(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Sixteen users, each with a contract of its own.
    let mut parent = InMemoryDB::default();
    let code = Bytecode::new_legacy(Bytes::from_static(&ASKS));
    let mut txs = Vec::new();
    for user in 1..=16 {
        let rich = AccountInfo::from_balance(U256::from(10).pow(U256::from(18)));
        let contract = AccountInfo::from_bytecode(code.clone());
        parent.insert_account_info(account(user), rich);
        parent.insert_account_info(account(0x80 | user), contract);
        let words = [user, 2 * user, 6 * user].map(|word| U256::from(word).to_be_bytes::<32>());
        let call = TxLegacy {
            gas_limit: 100_000,
            to: TxKind::Call(account(0x80 | user)),
            input: words.concat().into(),
            ..TxLegacy::default()
        };
        // Senders are taken as recovered, so the signature does not matter here.
        let call = EthTransaction::Legacy(call.into_signed(Signature::test_signature()));
        txs.push(Recovered::new_unchecked(call, account(user)));
    }

    let factory = EthBlockExecutorFactory::new(EthReceiptBuilder, EthSpec::mainnet(), WithAverage);
    let ctx = EthBlockExecutionCtx {
        parent_hash: Default::default(),
        parent_beacon_block_root: None,
        ommers: &[],
        withdrawals: None,
        extra_data: Default::default(),
        tx_count_hint: None,
        slot_number: None,
    };
    let cfg = CfgEnv::new().with_chain_id(1).with_spec_and_mainnet_gas_params(SpecId::SHANGHAI);
    let mut block_env =
        BlockEnv { number: U256::from(17_034_870), gas_limit: 30_000_000, ..BlockEnv::default() };
    block_env.timestamp = U256::from(1_681_338_455_u64);
    let input = BlockInput { env: EvmEnv::new(cfg, block_env), ctx, txs: &txs };

    let executor = ParallelExecutor::new(ParallelConfig::default())?;
    let output = executor.execute_block(&factory, input.clone(), &parent)?;
    for account in &output.diff.accounts {
        for slot in &account.storage {
            println!("{} slot {}: {}", account.address, slot.slot, slot.after);
        }
    }
    println!("{}", check_drop_in(&factory, [(input, &parent)])?);
    Ok(())
}
