//! Which rules a block follows, on either side of the merge.

use crate::{
    ImportError,
    before::{self, StateBefore},
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, Bytes, U256};
use core::ops::Range;
use warpline_chainspec::{ChainSpec, ChainSpecError};
use warpline_executor::UnreachedRules;

/// The rules of a chain whose merge may depend on the total difficulty.
#[derive(Debug, Clone)]
pub struct Rules {
    /// While blocks are mined.
    pub before_merge: ChainSpec,
    /// After the merge.
    pub after_merge: ChainSpec,
    /// The total difficulty that ends mining; `None` where it never ends.
    pub merge_at: Option<U256>,
    /// The time from which headers commit to a block access list (EIP-7928) while the EVM keeps
    /// the rules of the fork before.
    pub access_lists_from: Option<u64>,
    /// The numbers of the blocks that follow Constantinople as it was before its fix: with the
    /// gas of EIP-1283. For all else such a block follows Petersburg.
    pub net_gas_metering: Range<u64>,
}

impl Rules {
    /// The rules of a built-in network.
    pub fn network(chain: ChainSpec) -> Self {
        let merge_at = chain.ethereum_fork_activation(EthereumHardfork::Paris).ttd();
        Self {
            before_merge: chain.clone(),
            after_merge: chain,
            merge_at,
            access_lists_from: None,
            net_gas_metering: 0..0,
        }
        .with_access_lists()
    }

    /// The rules of a chain from the `config` of its genesis, in geth's format.
    ///
    /// # Errors
    /// Forks that are out of order or missing.
    pub fn from_config(config: &ChainConfig) -> Result<Self, ChainSpecError> {
        let mut config = config.clone();
        let mut net_gas_metering = 0..0;
        if let (Some(from), Some(to)) = (config.constantinople_block, config.petersburg_block)
            && from < to
        {
            // Its fix changes nothing but the gas that it takes back.
            (net_gas_metering, config.petersburg_block) = (from..to, Some(from));
        }
        let stake = ChainConfig {
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            ..config.clone()
        };
        // Forks by time come after the merge.
        let work = ChainConfig {
            terminal_total_difficulty: None,
            shanghai_time: None,
            cancun_time: None,
            prague_time: None,
            osaka_time: None,
            amsterdam_time: None,
            bpo1_time: None,
            bpo2_time: None,
            bpo3_time: None,
            bpo4_time: None,
            bpo5_time: None,
            ..config.clone()
        };
        let merge_at =
            config.terminal_total_difficulty.or_else(|| config.shanghai_time.map(|_| U256::ZERO));
        let after_merge = ChainSpec::from_config(&stake)?;
        let before_merge = match merge_at {
            Some(U256::ZERO) => after_merge.clone(),
            _ => ChainSpec::from_config(&work)?,
        };
        let rules =
            Self { before_merge, after_merge, merge_at, access_lists_from: None, net_gas_metering };
        Ok(rules.with_access_lists())
    }

    fn with_access_lists(self) -> Self {
        let amsterdam = self.after_merge.ethereum_fork_activation(EthereumHardfork::Amsterdam);
        Self { access_lists_from: amsterdam.as_timestamp(), ..self }
    }

    /// The chain id of EIP-155.
    pub fn chain_id(&self) -> u64 {
        self.after_merge.chain_id()
    }

    /// Whether `SSTORE` costs what EIP-1283 says.
    pub fn net_gas_metering(&self, number: u64) -> bool {
        self.net_gas_metering.contains(&number)
    }

    /// The rules on one side of the merge.
    pub(crate) const fn of_side(&self, merged: bool) -> &ChainSpec {
        if merged { &self.after_merge } else { &self.before_merge }
    }

    /// The rules for a block whose parent has this total difficulty.
    pub(crate) fn for_child(&self, total_difficulty: U256) -> BlockRules<'_> {
        let merged = self.merge_at.is_some_and(|end| total_difficulty >= end);
        let chain = if merged { &self.after_merge } else { &self.before_merge };
        BlockRules { chain, merged, contracts_send: false, all: self }
    }
}

/// The rules of one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockRules<'a> {
    pub(crate) chain: &'a ChainSpec,
    pub(crate) merged: bool,
    /// Whether accounts with code may send transactions, against EIP-3607.
    pub(crate) contracts_send: bool,
    all: &'a Rules,
}

impl BlockRules<'_> {
    /// The same, and whether contracts may send.
    pub(crate) const fn with_contracts_sending(self, allowed: bool) -> Self {
        Self { contracts_send: allowed, ..self }
    }

    /// Whether the chain merges at some time.
    pub(crate) const fn merges(&self) -> bool {
        self.all.merge_at.is_some()
    }

    /// Whether the header commits to a block access list.
    pub(crate) fn access_lists(&self, timestamp: u64) -> bool {
        self.all.access_lists_from.is_some_and(|start| start <= timestamp)
    }

    /// What a block on a state needs that alloy-evm's own factory does not know.
    pub(crate) fn unreached(
        &self,
        header: &Header,
        parent: &impl StateBefore,
    ) -> Result<UnreachedRules, ImportError> {
        let cancun = self.chain.is_cancun_active_at_timestamp(header.timestamp);
        Ok(UnreachedRules {
            storage_only: parent.storage_only(),
            net_gas_metering: self.all.net_gas_metering(header.number),
            foreign_system_contracts: cancun && !knows_system_contracts(parent)?,
        })
    }
}

/// Whether the contracts that system calls go to, as far as they exist, are those of the EIPs.
fn knows_system_contracts(state: &impl StateBefore) -> Result<bool, ImportError> {
    let contracts: [(Address, &Bytes); 4] = [
        (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
        (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ];
    for (address, code) in contracts {
        let Some(account) = before::account(state, address)? else { continue };
        let there = before::code(state, &account)?.original_bytes();
        if !there.is_empty() && without_stops(&there) != without_stops(code) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Code stops where it ends, so zeros at the end are as good as none.
fn without_stops(code: &[u8]) -> &[u8] {
    let stops = code.iter().rev().take_while(|byte| **byte == 0).count();
    &code[..code.len() - stops]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryState, Parent, Storage};
    use alloy_primitives::{B256, map::HashMap};

    const A: Address = Address::repeat_byte(0xaa);

    fn unreached(state: &MemoryState, metering: Range<u64>, number: u64) -> UnreachedRules {
        let chain = ChainSpec::mainnet();
        let prague = chain.ethereum_fork_activation(EthereumHardfork::Prague);
        let timestamp = prague.as_timestamp().unwrap();
        let rules = Rules {
            before_merge: chain.clone(),
            after_merge: chain,
            merge_at: Some(U256::ZERO),
            access_lists_from: None,
            net_gas_metering: metering,
        };
        let header = Header { number, timestamp, ..Header::default() };
        let parent = Parent { state, hashes: &HashMap::<u64, B256>::default() };
        rules.for_child(U256::ZERO).unreached(&header, &parent).unwrap()
    }

    fn insert(state: &mut MemoryState, address: Address, nonce: u64, code: &[u8], slot: u64) {
        let storage = Storage::from_iter([(U256::ZERO, U256::from(slot))]);
        state.insert(address, U256::from(1), nonce, Bytes::copy_from_slice(code), storage);
    }

    #[test]
    fn a_usual_state_needs_nothing_unusual() {
        let mut state = MemoryState::default();
        insert(&mut state, HISTORY_STORAGE_ADDRESS, 1, &HISTORY_STORAGE_CODE, 1);
        let consolidations = without_stops(&CONSOLIDATION_REQUEST_PREDEPLOY_CODE);
        insert(&mut state, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 1, consolidations, 1);
        insert(&mut state, WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 0, &[], 0);
        insert(&mut state, A, 1, &[], 1);
        assert!(unreached(&state, 0..0, 5).is_empty());
    }

    #[test]
    fn each_unusual_rule_has_its_cause() {
        let mut state = MemoryState::default();
        assert!(unreached(&state, 5..6, 5).net_gas_metering);
        assert!(!unreached(&state, 5..6, 6).net_gas_metering);
        insert(&mut state, A, 0, &[], 1);
        assert!(unreached(&state, 0..0, 5).storage_only.contains_key(&A));
        insert(&mut state, A, 0, &[0xfe], 1);
        assert!(unreached(&state, 0..0, 5).is_empty());
        insert(&mut state, BEACON_ROOTS_ADDRESS, 1, &[0xfe], 0);
        assert!(unreached(&state, 0..0, 5).foreign_system_contracts);
    }
}
