//! The genesis block of the development chain.

use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, U256, address, bytes};

/// The deterministic deployment proxy, which tools expect to find.
const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// Base fee of the genesis block: one gwei.
const BASE_FEE: u128 = 1_000_000_000;

/// A genesis block at `timestamp` under the latest rules, in which `accounts` have `balance` wei
/// each. The system contracts and the CREATE2 deployer are there.
pub fn dev_genesis(
    chain_id: u64,
    accounts: impl IntoIterator<Item = Address>,
    balance: U256,
    gas_limit: u64,
    timestamp: u64,
) -> Genesis {
    let contract = |code: &Bytes| GenesisAccount {
        nonce: Some(1),
        code: Some(code.clone()),
        ..GenesisAccount::default()
    };
    let contracts = [
        (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
        (HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
        (CREATE2_DEPLOYER, &CREATE2_DEPLOYER_CODE),
    ];
    let contracts = contracts.map(|(address, code)| (address, contract(code)));
    let rich = GenesisAccount { balance, ..GenesisAccount::default() };
    let rich = accounts.into_iter().map(|address| (address, rich.clone()));
    Genesis {
        config: latest_rules(chain_id),
        timestamp,
        gas_limit,
        base_fee_per_gas: Some(BASE_FEE),
        excess_blob_gas: Some(0),
        blob_gas_used: Some(0),
        alloc: rich.chain(contracts).collect(),
        ..Genesis::default()
    }
}

/// Every fork up to Osaka with its blob parameter forks, from the first block on.
fn latest_rules(chain_id: u64) -> ChainConfig {
    ChainConfig {
        chain_id,
        homestead_block: Some(0),
        eip150_block: Some(0),
        eip155_block: Some(0),
        eip158_block: Some(0),
        byzantium_block: Some(0),
        constantinople_block: Some(0),
        petersburg_block: Some(0),
        istanbul_block: Some(0),
        muir_glacier_block: Some(0),
        berlin_block: Some(0),
        london_block: Some(0),
        arrow_glacier_block: Some(0),
        gray_glacier_block: Some(0),
        merge_netsplit_block: Some(0),
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(0),
        osaka_time: Some(0),
        bpo1_time: Some(0),
        bpo2_time: Some(0),
        terminal_total_difficulty: Some(U256::ZERO),
        terminal_total_difficulty_passed: true,
        ..ChainConfig::default()
    }
}
