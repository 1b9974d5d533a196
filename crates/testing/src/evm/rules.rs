//! Chain rules for generated blocks: one fork, active since genesis.

use super::Transaction;
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxType};
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_evm::{
    Evm,
    eth::{
        EthBlockExecutorFactory, EthEvmFactory,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
        spec::EthExecutorSpec,
    },
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;
use revm::primitives::hardfork::SpecId;

/// The block executor factory that generated blocks are meant for.
pub type Factory = EthBlockExecutorFactory<Receipts, ForkRules, EthEvmFactory>;

/// Every fork up to and including `spec` is active from block 0, later ones never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkRules {
    /// The newest active fork.
    pub spec: SpecId,
    /// The block that carries the DAO's irregular state change, if any does.
    pub dao_block: Option<u64>,
}

impl ForkRules {
    /// Rules with `spec` as the newest fork and no DAO block.
    pub const fn new(spec: SpecId) -> Self {
        Self { spec, dao_block: None }
    }

    /// A factory of executors that follow these rules.
    pub fn factory(self) -> Factory {
        EthBlockExecutorFactory::new(Receipts, self, EthEvmFactory::default())
    }
}

impl EthereumHardforks for ForkRules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        let first_spec = match fork {
            EthereumHardfork::Dao => {
                return self.dao_block.map_or(ForkCondition::Never, ForkCondition::Block);
            }
            EthereumHardfork::Frontier => SpecId::FRONTIER,
            EthereumHardfork::Homestead => SpecId::HOMESTEAD,
            EthereumHardfork::Tangerine => SpecId::TANGERINE,
            EthereumHardfork::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
            EthereumHardfork::Byzantium => SpecId::BYZANTIUM,
            EthereumHardfork::Constantinople | EthereumHardfork::Petersburg => SpecId::PETERSBURG,
            EthereumHardfork::Istanbul | EthereumHardfork::MuirGlacier => SpecId::ISTANBUL,
            EthereumHardfork::Berlin => SpecId::BERLIN,
            EthereumHardfork::London
            | EthereumHardfork::ArrowGlacier
            | EthereumHardfork::GrayGlacier => SpecId::LONDON,
            EthereumHardfork::Paris => SpecId::MERGE,
            EthereumHardfork::Shanghai => SpecId::SHANGHAI,
            EthereumHardfork::Cancun => SpecId::CANCUN,
            EthereumHardfork::Prague => SpecId::PRAGUE,
            EthereumHardfork::Osaka => SpecId::OSAKA,
            EthereumHardfork::Amsterdam => SpecId::AMSTERDAM,
            _ => return ForkCondition::Never,
        };
        if !self.spec.is_enabled_in(first_spec) {
            ForkCondition::Never
        } else if first_spec.is_enabled_in(SpecId::SHANGHAI) {
            ForkCondition::ZERO_TIMESTAMP
        } else {
            ForkCondition::ZERO_BLOCK
        }
    }
}

impl EthExecutorSpec for ForkRules {
    fn deposit_contract_address(&self) -> Option<Address> {
        Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS)
    }
}

/// Receipts with status, cumulative gas, logs and bloom.
#[derive(Debug, Clone, Copy, Default)]
pub struct Receipts;

impl ReceiptBuilder for Receipts {
    type Transaction = Transaction;
    type Receipt = ReceiptEnvelope;

    fn build_receipt<E: Evm>(&self, ctx: ReceiptBuilderCtx<'_, TxType, E>) -> ReceiptEnvelope {
        let receipt = Receipt {
            status: Eip658Value::Eip658(ctx.result.is_success()),
            cumulative_gas_used: ctx.cumulative_gas_used,
            logs: ctx.result.into_logs(),
        };
        ReceiptEnvelope::from_typed(ctx.tx_type, receipt.with_bloom())
    }
}
