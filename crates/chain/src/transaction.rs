//! What can be said of a transaction by itself.

use crate::{InvalidBlock, Reason, body};
use alloy_consensus::{Header, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use revm::context_interface::result::EVMError;
use warpline_chainspec::ChainSpec;
use warpline_executor::{EthTransaction, IntrinsicGas, check_stateless};

/// A transaction that is valid as far as no state decides.
#[derive(Debug, Clone)]
pub struct StatelessTransaction {
    /// The transaction with its sender.
    pub tx: Recovered<EthTransaction>,
    /// The gas that it needs at least.
    pub gas: IntrinsicGas,
}

/// Decodes a transaction (EIP-2718, not wrapped into a string) and checks all that the rules of
/// a block say of it before its state is known.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_transaction(
    chain: &ChainSpec,
    header: &Header,
    bytes: &[u8],
) -> Result<StatelessTransaction, InvalidBlock> {
    let tx = EthTransaction::decode_2718_exact(bytes)
        .map_err(|error| InvalidBlock::new(Reason::Encoding, error))?;
    let tx = body::recover_one(chain, header, &tx)?;
    let gas = check_stateless(chain.evm_env(header), tx.env).map_err(|error| match &error {
        EVMError::Transaction(rule) => InvalidBlock::new(Reason::from(rule), rule),
        _ => InvalidBlock::new(Reason::Unexecuted, &error),
    })?;
    Ok(StatelessTransaction { tx: tx.tx, gas })
}
