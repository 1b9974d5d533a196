//! The executor over any `DatabaseRef`: revm's in-memory database here.
//!
//! ```text
//! cargo run --release -p warpline-executor --example database_ref
//! ```

use alloy_consensus::{
    SignableTransaction, TxEip1559, crypto::secp256k1::sign_message, transaction::SignerRecoverable,
};
use alloy_evm::{
    EthEvmFactory, EvmEnv,
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, spec::EthSpec},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use revm::{
    context::{BlockEnv, CfgEnv},
    database::InMemoryDB,
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode},
};
use std::error::Error;
use warpline_executor::{
    BlockInput, EthReceiptBuilder, EthTransaction, ParallelConfig, ParallelExecutor,
};

/// Adds the first calldata word to slot 0, and logs the sum.
const COUNTER: [u8; 15] = hex!("5f545f3501805f555f5260205fa000");
const COUNTER_AT: Address = Address::repeat_byte(0xc0);
const GWEI: u128 = 1_000_000_000;

fn secret(user: u8) -> B256 {
    B256::repeat_byte(user)
}

fn signed(
    user: u8,
    nonce: u64,
    to: Address,
    wei: u64,
    input: Bytes,
) -> Result<EthTransaction, Box<dyn Error>> {
    let tx = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: if input.is_empty() { 21_000 } else { 100_000 },
        max_fee_per_gas: 30 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(to),
        value: U256::from(wei),
        input,
        ..TxEip1559::default()
    };
    let signature = sign_message(secret(user), tx.signature_hash())?;
    Ok(EthTransaction::Eip1559(tx.into_signed(signature)))
}

fn main() -> Result<(), Box<dyn Error>> {
    // The state before the block.
    let mut parent = InMemoryDB::default();
    parent.insert_account_info(
        COUNTER_AT,
        AccountInfo::from_bytecode(Bytecode::new_legacy(Bytes::from_static(&COUNTER))),
    );

    // Four users pay each other and count.
    let mut txs = Vec::new();
    for user in 1..=4 {
        let amount = Bytes::copy_from_slice(&U256::from(7 * user).to_be_bytes::<32>());
        for tx in [
            signed(user, 0, Address::repeat_byte(0xee), 1_000, Bytes::new()),
            signed(user, 1, COUNTER_AT, 0, amount),
        ] {
            let tx = tx?.try_into_recovered()?;
            let rich = AccountInfo::from_balance(U256::from(10).pow(U256::from(18)));
            parent.insert_account_info(tx.signer(), rich);
            txs.push(tx);
        }
    }

    // The block's own data.
    let cfg = CfgEnv::new().with_chain_id(1).with_spec_and_mainnet_gas_params(SpecId::SHANGHAI);
    let block_env = BlockEnv {
        number: U256::from(17_034_870),
        timestamp: U256::from(1_681_338_455_u64),
        basefee: 20 * GWEI as u64,
        gas_limit: 30_000_000,
        beneficiary: Address::repeat_byte(0xbe),
        prevrandao: Some(B256::ZERO),
        ..BlockEnv::default()
    };
    let ctx = EthBlockExecutionCtx {
        parent_hash: B256::ZERO,
        parent_beacon_block_root: None,
        ommers: &[],
        withdrawals: None,
        extra_data: Bytes::new(),
        tx_count_hint: Some(txs.len()),
        slot_number: None,
    };
    let input = BlockInput { env: EvmEnv::new(cfg, block_env), ctx, txs: &txs };

    // One executor serves all blocks: it owns the threads.
    let factory = EthBlockExecutorFactory::new(
        EthReceiptBuilder,
        EthSpec::mainnet(),
        EthEvmFactory::default(),
    );
    let executor = ParallelExecutor::ethereum(ParallelConfig::default())?;
    let output = executor.execute_block(&factory, input, &parent)?;

    for (receipt, tx) in output.result.receipts.iter().zip(&txs) {
        println!(
            "{}: success {}, {} logs, {} gas so far",
            tx.signer(),
            receipt.success,
            receipt.logs.len(),
            receipt.cumulative_gas_used,
        );
    }
    println!("{} accounts changed, {} gas", output.diff.accounts.len(), output.result.gas_used);
    println!("{:#?}", output.stats);
    Ok(())
}
