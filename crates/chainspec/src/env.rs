//! From a header to what the EVM and the block executor need.

use crate::ChainSpec;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{EvmEnv, eth::EthBlockExecutionCtx};
use std::borrow::Cow;

impl ChainSpec {
    /// Configures revm for a block: chain id, rules, blob limits and prices, transaction gas cap.
    pub fn evm_env(&self, header: &Header) -> EvmEnv {
        let blob_params = self.blob_params(header.timestamp);
        let mut env = EvmEnv::for_eth_block(header, self, self.chain_id(), blob_params);
        env.cfg_env.blob_base_fee_update_fraction =
            blob_params.map(|params| u64::try_from(params.update_fraction).unwrap_or(u64::MAX));
        env
    }

    /// What the block executor must know of a block beside its environment and transactions.
    pub fn block_ctx<'a>(
        &self,
        header: &Header,
        ommers: &'a [Header],
        withdrawals: Option<&'a [Withdrawal]>,
        transactions: usize,
    ) -> EthBlockExecutionCtx<'a> {
        EthBlockExecutionCtx {
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
            ommers,
            withdrawals: withdrawals.map(Cow::Borrowed),
            extra_data: header.extra_data.clone(),
            tx_count_hint: Some(transactions),
            slot_number: header.slot_number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_hardforks::ethereum::*;
    use alloy_primitives::{B256, U256};
    use revm::context_interface::Cfg;

    fn header(number: u64, timestamp: u64) -> Header {
        Header {
            number,
            timestamp,
            difficulty: U256::from(7),
            mix_hash: B256::repeat_byte(3),
            excess_blob_gas: Some(50_000_000),
            ..Default::default()
        }
    }

    #[test]
    fn difficulty_before_the_merge_and_randomness_after() {
        let chain = ChainSpec::mainnet();
        let before = chain.evm_env(&header(15_537_393, 0)).block_env;
        assert_eq!((before.difficulty, before.prevrandao), (U256::from(7), None));
        let after = chain.evm_env(&header(15_537_394, 0)).block_env;
        assert_eq!((after.difficulty, after.prevrandao), (U256::ZERO, Some(B256::repeat_byte(3))));
    }

    #[test]
    fn the_fork_decides_on_the_blob_price() {
        let chain = ChainSpec::mainnet();
        let price = |timestamp| {
            let env = chain.evm_env(&header(20_000_000, timestamp));
            env.block_env.blob_excess_gas_and_price.map(|blob| blob.blob_gasprice)
        };
        assert_eq!(price(MAINNET_CANCUN_TIMESTAMP - 1), None);
        // e^(50_000_000 / fraction), rounded down.
        assert_eq!(price(MAINNET_CANCUN_TIMESTAMP), Some(3_194_333));
        assert_eq!(price(MAINNET_PRAGUE_TIMESTAMP), Some(21_689));
        assert_eq!(price(MAINNET_BPO1_TIMESTAMP), Some(399));
        assert_eq!(price(MAINNET_BPO2_TIMESTAMP), Some(72));
    }

    #[test]
    fn osaka_caps_the_gas_of_a_transaction() {
        let chain = ChainSpec::mainnet();
        let cap =
            |timestamp| chain.evm_env(&header(23_000_000, timestamp)).cfg_env.tx_gas_limit_cap();
        assert_eq!(cap(MAINNET_PRAGUE_TIMESTAMP), u64::MAX);
        assert_eq!(cap(MAINNET_OSAKA_TIMESTAMP), 1 << 24);
    }

    #[test]
    fn context_carries_the_header_and_the_body() {
        let header = Header { parent_hash: B256::repeat_byte(9), ..header(1, 1) };
        let withdrawals = [Withdrawal::default()];
        let ctx = ChainSpec::mainnet().block_ctx(&header, &[], Some(&withdrawals), 4);
        assert_eq!(ctx.parent_hash, header.parent_hash);
        assert_eq!(ctx.withdrawals.as_deref().map(<[_]>::len), Some(1));
        assert_eq!(ctx.tx_count_hint, Some(4));
    }
}
