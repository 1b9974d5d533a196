//! Ethereum's own instance of the factory.

use alloy_consensus::{EthereumReceipt, EthereumTxEnvelope, TxEip4844, TxType};
use alloy_evm::{
    EthEvmFactory, Evm,
    eth::{
        EthBlockExecutorFactory,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};

/// A transaction as a block body holds it: blob transactions without their sidecar.
pub type EthTransaction = EthereumTxEnvelope<TxEip4844>;

/// Ethereum block execution for a chain specification `S`
/// ([`alloy_evm::eth::spec::EthExecutorSpec`]).
pub type EthFactory<S> = EthBlockExecutorFactory<EthReceiptBuilder, S, EthEvmFactory>;

/// Builds receipts without their bloom filter, which is derived from the logs where needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct EthReceiptBuilder;

impl ReceiptBuilder for EthReceiptBuilder {
    type Transaction = EthTransaction;
    type Receipt = EthereumReceipt;

    fn build_receipt<E: Evm>(&self, ctx: ReceiptBuilderCtx<'_, TxType, E>) -> Self::Receipt {
        EthereumReceipt {
            tx_type: ctx.tx_type,
            success: ctx.result.is_success(),
            cumulative_gas_used: ctx.cumulative_gas_used,
            logs: ctx.result.into_logs(),
        }
    }
}
