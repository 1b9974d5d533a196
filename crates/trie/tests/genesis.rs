//! The genesis of the shared test chain: its root is right if the block hash is.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

use alloy_consensus::Header;
use alloy_genesis::Genesis;
use alloy_primitives::{B256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::EMPTY_ROOT_HASH;
use std::path::Path;
use warpline_trie::{
    AccountChange, AccountUpdate, MemoryState, SlotChange, StateTrie, TrieConfig, rebuild,
};
use warpline_types::AccountState;

#[test]
fn the_genesis_of_the_shared_chain_has_the_hash_that_block_one_names() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var("WARPLINE_SHARED").unwrap_or_else(|_| default.to_owned());
    let folder = Path::new(&shared).join("rpc-compat");
    let Ok(genesis) = std::fs::read_to_string(folder.join("genesis.json")) else {
        eprintln!("SKIPPED: no shared chain in {}", folder.display());
        return;
    };
    let genesis: Genesis = serde_json::from_str(&genesis).unwrap();
    let changes = genesis.alloc.iter().map(|(address, account)| {
        let (nonce, balance) = (account.nonce.unwrap_or_default(), account.balance);
        let code_hash = keccak256(account.code.clone().unwrap_or_default());
        let slots = account.storage.iter().flatten();
        let slots =
            slots.map(|(slot, value)| SlotChange { slot: keccak256(slot), value: (*value).into() });
        AccountChange {
            address: keccak256(address),
            update: AccountUpdate::Set(AccountState { nonce, balance, code_hash }),
            wipe_storage: false,
            slots: slots.collect(),
        }
    });
    let changes = changes.collect::<Vec<_>>();
    let mut trie = StateTrie::open(TrieConfig::default(), EMPTY_ROOT_HASH).unwrap();
    let mut state = MemoryState::default();
    trie.stage(changes.clone());
    let update = trie.root(&state).unwrap();
    state.commit(&changes, &update.updates);
    let rebuilt = rebuild(&state, TrieConfig::PAGE_LIMIT, 2, |_| Ok(())).unwrap();
    assert_eq!(rebuilt.root, update.root);

    let header = Header {
        state_root: update.root,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data,
        mix_hash: genesis.mix_hash,
        beneficiary: genesis.coinbase,
        nonce: genesis.nonce.into(),
        ..Header::default()
    };
    assert_eq!(header.hash_slow(), parent_of_block_one(&folder));
}

fn parent_of_block_one(folder: &Path) -> B256 {
    let blocks = std::fs::read(folder.join("chain.rlp")).unwrap();
    let mut rest = &blocks[..];
    alloy_rlp::Header::decode(&mut rest).unwrap();
    Header::decode(&mut rest).unwrap().parent_hash
}
