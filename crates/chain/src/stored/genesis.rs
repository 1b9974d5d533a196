//! The genesis block: what a `genesis.json` in geth's format makes of an empty database.

use super::{options::ChainOptions, source};
use crate::{ChainError, Rules};
use alloy_consensus::{
    BlockBody, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS,
};
use alloy_eips::{
    eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH,
    eip7928::compute_block_access_list_hash,
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{
    Address, B64, B256, KECCAK256_EMPTY, Sealable, U256, keccak256, map::AddressMap,
};
use warpline_storage::{BlockCommit, HashedDiff, TrieUpdates};
use warpline_trie::{MemoryState, StateTrie, TrieConfig};
use warpline_types::{AccountDiff, AccountState, SlotDiff, StateDiff};

/// What a chain begins with.
#[derive(Debug, Clone)]
pub struct GenesisBlock {
    /// The header, with the root of `state`.
    pub header: Header,
    /// The state that it allocates, as changes of an empty one.
    pub state: StateDiff,
}

impl GenesisBlock {
    /// From a genesis file in geth's format.
    ///
    /// # Errors
    /// The root cannot be computed, or there is no such header.
    pub fn new(genesis: &Genesis, rules: &Rules) -> Result<Self, ChainError> {
        let state = allocation(genesis.alloc.iter());
        let mut header = genesis_header(genesis, rules)?;
        header.state_root = commit_state(&state, &TrieConfig::default())?.0;
        Ok(Self { header, state })
    }

    /// The accounts that have storage but neither code nor a nonce, each with a slot that is not
    /// zero (EIP-7610).
    pub fn storage_only(&self) -> AddressMap<U256> {
        let bare = |account: &&AccountDiff| {
            account
                .after
                .is_some_and(|after| after.nonce == 0 && after.code_hash == KECCAK256_EMPTY)
        };
        let slot = |account: &AccountDiff| Some((account.address, account.storage.first()?.slot));
        self.state.accounts.iter().filter(bare).filter_map(slot).collect()
    }

    /// What goes into the database.
    pub(super) fn commit(&self, options: &ChainOptions) -> Result<BlockCommit, ChainError> {
        let (computed, trie) = commit_state(&self.state, &options.trie)?;
        let stated = self.header.state_root;
        if computed != stated {
            return Err(ChainError::GenesisRoot { computed, stated });
        }
        let withdrawals = self.header.withdrawals_root.map(|_| Default::default());
        Ok(BlockCommit {
            total_difficulty: self.header.difficulty,
            header: self.header.clone().seal_slow(),
            body: BlockBody { withdrawals, ..Default::default() },
            senders: Vec::new(),
            receipts: Vec::new(),
            access_list: None,
            diff: hashed(&self.state, options.preimages),
            trie,
        })
    }
}

/// What goes into the database of a diff.
pub(super) fn hashed(diff: &StateDiff, preimages: bool) -> HashedDiff {
    if preimages { HashedDiff::with_preimages(diff) } else { HashedDiff::new(diff) }
}

/// Root and trie nodes of a state.
fn commit_state(state: &StateDiff, config: &TrieConfig) -> Result<(B256, TrieUpdates), ChainError> {
    let diff = HashedDiff::new(state);
    let mut trie = StateTrie::open(config.clone(), EMPTY_ROOT_HASH)?;
    trie.stage(source::changes(&diff));
    let update = trie.root(&MemoryState::default())?;
    Ok((update.root, source::to_store(&update.updates)))
}

fn allocation<'a>(accounts: impl Iterator<Item = (&'a Address, &'a GenesisAccount)>) -> StateDiff {
    let mut state = StateDiff::default();
    for (address, account) in accounts {
        let code = account.code.clone().unwrap_or_default();
        let code_hash = keccak256(&code);
        if !code.is_empty() {
            state.codes.push((code_hash, code));
        }
        let storage = account.storage.iter().flatten().filter(|(_, value)| !value.is_zero());
        let storage = storage.map(|(slot, value)| SlotDiff {
            slot: (*slot).into(),
            before: U256::ZERO,
            after: (*value).into(),
        });
        let nonce = account.nonce.unwrap_or_default();
        state.accounts.push(AccountDiff {
            address: *address,
            before: None,
            after: Some(AccountState { balance: account.balance, nonce, code_hash }),
            storage_cleared: false,
            storage: storage.collect(),
        });
    }
    state
}

/// The gas limit that geth gives a genesis block whose file says zero.
const GAS_LIMIT: u64 = 4_712_388;

/// The header of a genesis block, but for its state root. Fields that a fork brings are there if
/// it is active: forks by time, as in geth, also where the chain has not merged.
///
/// # Errors
/// The forks that are active make no header, or a field is too large for one.
pub fn genesis_header(genesis: &Genesis, rules: &Rules) -> Result<Header, ChainError> {
    let (number, timestamp) = (genesis.number.unwrap_or_default(), genesis.timestamp);
    let chain = rules.for_child(genesis.difficulty).chain;
    let london = chain.is_london_active_at_block(number);
    if !london && chain.is_shanghai_active_at_timestamp(timestamp) {
        return Err(ChainError::GenesisForks { timestamp, number });
    }
    let by_time = &rules.after_merge;
    let cancun = london && by_time.is_cancun_active_at_timestamp(timestamp);
    let amsterdam = london && by_time.is_amsterdam_active_at_timestamp(timestamp);
    let base_fee = genesis.base_fee_per_gas.map(|fee| {
        u64::try_from(fee).map_err(|_| ChainError::GenesisBaseFee { base_fee_per_gas: fee })
    });
    let base_fee = base_fee.transpose()?;
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        number,
        gas_limit: if genesis.gas_limit == 0 { GAS_LIMIT } else { genesis.gas_limit },
        timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: london.then(|| base_fee.unwrap_or(INITIAL_BASE_FEE)),
        withdrawals_root: (london && by_time.is_shanghai_active_at_timestamp(timestamp))
            .then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: (london && by_time.is_prague_active_at_timestamp(timestamp))
            .then_some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: amsterdam.then(|| compute_block_access_list_hash(&[])),
        ..Header::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn header(extra: serde_json::Value) -> Result<Header, ChainError> {
        let mut file = json!({
            "config": {
                "chainId": 7, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
                "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0,
                "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
                "terminalTotalDifficulty": 5, "shanghaiTime": 0, "cancunTime": 0,
            },
            "gasLimit": "0x1c9c380", "difficulty": "0x1", "alloc": {},
        });
        for (key, value) in extra.as_object().unwrap() {
            match file["config"].get(key) {
                Some(_) => file["config"][key] = value.clone(),
                None => file[key] = value.clone(),
            }
        }
        let genesis: Genesis = serde_json::from_value(file).unwrap();
        let rules = Rules::from_config(&genesis.config).unwrap();
        GenesisBlock::new(&genesis, &rules).map(|block| block.header)
    }

    #[test]
    fn forks_by_time_bring_their_fields_before_the_merge_too_once_london_is_there() {
        let mined = header(json!({})).unwrap();
        assert_eq!(mined.withdrawals_root, Some(EMPTY_WITHDRAWALS));
        assert_eq!((mined.blob_gas_used, mined.excess_blob_gas), (Some(0), Some(0)));
        assert_eq!(mined.parent_beacon_block_root, Some(B256::ZERO));
        assert_eq!((mined.requests_hash, mined.difficulty), (None, U256::from(1)));
        let later = header(json!({ "shanghaiTime": 9, "cancunTime": 9 })).unwrap();
        assert_eq!((later.withdrawals_root, later.blob_gas_used), (None, None));
        let before_london = header(json!({ "londonBlock": 3 })).unwrap();
        assert_eq!((before_london.withdrawals_root, before_london.blob_gas_used), (None, None));
        assert_eq!(before_london.base_fee_per_gas, None);
        let merged = header(json!({ "londonBlock": 3, "terminalTotalDifficulty": 0 }));
        assert!(matches!(merged, Err(ChainError::GenesisForks { timestamp: 0, number: 0 })));
    }

    #[test]
    fn a_gas_limit_of_zero_is_the_one_that_geth_gives() {
        assert_eq!(header(json!({ "gasLimit": 0 })).unwrap().gas_limit, 4_712_388);
        assert_eq!(header(json!({ "gasLimit": 5_000 })).unwrap().gas_limit, 5_000);
    }

    #[test]
    fn a_base_fee_that_no_header_holds_is_refused() {
        let most = json!({ "baseFeePerGas": "0xffffffffffffffff" });
        assert_eq!(header(most).unwrap().base_fee_per_gas, Some(u64::MAX));
        let error = header(json!({ "baseFeePerGas": "0x10000000000000000" })).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("baseFeePerGas is 18446744073709551616"), "{said}");
    }
}
