//! What the EVM says of a transaction before it looks at any state.

use alloy_evm::{EthEvmFactory, EvmEnv, EvmFactory};
use core::convert::Infallible;
use revm::{
    context::{ContextSetters, TxEnv},
    context_interface::result::{EVMError, InvalidTransaction},
    database::EmptyDB,
    handler::{EthFrame, Handler, MainnetHandler},
};

/// The gas that a transaction must bring along at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// What is charged before the first instruction.
    pub initial: u64,
    /// What is charged at least, from Prague on (EIP-7623); zero before.
    pub floor: u64,
}

/// Checks a transaction as the EVM does at the start of its execution, as far as that takes no
/// state: type, chain, fees, blobs, nonce, init code and gas.
///
/// # Errors
/// The first rule that it breaks, or [`EVMError::Header`] for an incomplete environment.
pub fn check_stateless(env: EvmEnv, tx: TxEnv) -> Result<IntrinsicGas, EVMError<Infallible>> {
    let mut evm = EthEvmFactory::default().create_evm(EmptyDB::default(), env).into_inner();
    evm.ctx.set_tx(tx);
    let handler =
        MainnetHandler::<_, EVMError<Infallible, InvalidTransaction>, EthFrame>::default();
    handler.validate_env(&mut evm)?;
    let gas = handler.validate_initial_tx_gas(&mut evm)?;
    Ok(IntrinsicGas { initial: gas.initial_regular_gas, floor: gas.floor_gas })
}
