//! Proofs against alloy-trie's verifier, witnesses against a stateless trie.

use crate::{
    Bench, config,
    model::{Model, Op, key, op},
    stateless::Stateless,
};
use alloy_primitives::{B256, U256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;
use warpline_trie::{AccountChange, StateTrie, TrieConfig, TrieError};

/// A trie of its own over the committed state, as an RPC request would open it.
fn reopened(bench: &mut Bench) -> StateTrie {
    bench.commit(0);
    let config = TrieConfig { threads: 1, memory_limit: 0, ..bench.config.clone() };
    StateTrie::open(config, bench.trie.current_root()).unwrap()
}

fn bench(config: &TrieConfig, ops: &[Op]) -> Bench {
    let mut bench = Bench::new(config);
    let changes: Vec<_> = ops.iter().map(|op| bench.model.apply(op)).collect();
    bench.trie.stage(changes.iter().cloned());
    bench.finish(changes);
    bench
}

fn trie_account(model: &Model, address: B256) -> Option<TrieAccount> {
    let (state, storage) = model.accounts.get(&address)?;
    let storage_root =
        alloy_trie::root::storage_root(storage.iter().map(|(slot, value)| (*slot, *value)));
    let (nonce, balance, code_hash) = (state.nonce, state.balance, state.code_hash);
    Some(TrieAccount { nonce, balance, storage_root, code_hash })
}

/// Keys that exist, that never do, and that differ from another one in their last nibble.
fn keys(most: u16, count: usize) -> impl Strategy<Value = Vec<B256>> {
    let near = |mut key: B256| {
        key[31] ^= 1;
        key
    };
    vec((0..most, prop::bool::weighted(0.2)), 1..count).prop_map(move |keys| {
        keys.into_iter().map(|(n, off)| if off { near(key(n)) } else { key(n) }).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn proofs_verify_for_what_is_there_and_for_what_is_not(
        config in config(),
        ops in vec(op(200, 150), 0..120),
        addresses in keys(250, 12),
        slots in keys(200, 8),
    ) {
        let mut bench = bench(&config, &ops);
        let mut trie = reopened(&mut bench);
        let targets = addresses.iter().map(|address| (*address, slots.clone()));
        let proof = trie.prove(&bench.state, targets.clone()).unwrap();
        prop_assert_eq!(&proof, &bench.trie.prove(&bench.state, targets).unwrap());
        let root = bench.trie.current_root();
        for address in addresses {
            let expected = trie_account(&bench.model, address);
            let value = expected.map(alloy_rlp::encode);
            let nodes = proof.account_proof(address);
            verify_proof(root, Nibbles::unpack(address), value, &nodes).unwrap();
            let proven = &proof.accounts[&address];
            let storage_root = expected.map(|account| account.storage_root);
            prop_assert_eq!(proven.account.map(|account| account.storage_root), storage_root);
            for slot in &slots {
                let storage = bench.model.accounts.get(&address).map(|(_, storage)| storage);
                let value = storage.and_then(|storage| storage.get(slot)).copied();
                prop_assert_eq!(proven.slots[slot], value.unwrap_or_default());
                let nodes = proven.storage_proof(*slot);
                let value = value.map(alloy_rlp::encode::<U256>);
                verify_proof(proven.storage_root(), Nibbles::unpack(slot), value, &nodes).unwrap();
            }
        }
    }

    #[test]
    fn a_witness_is_enough_for_the_reads_and_the_root(
        config in config(),
        before in vec(op(200, 60), 0..150),
        block in vec(op(200, 60), 1..60),
        reads in keys(250, 12),
        order in any::<u64>(),
    ) {
        let mut bench = bench(&config, &before);
        let root = bench.trie.current_root();
        let old = bench.model.clone();
        let mut changes: Vec<AccountChange> = block.iter().map(|op| bench.model.apply(op)).collect();
        // One change per account, as a block's difference has them, in any order.
        changes.sort_by_key(|change| change.address);
        changes.dedup_by_key(|change| change.address);
        for change in &mut changes {
            let last: BTreeMap<_, _> = change.slots.iter().map(|slot| (slot.slot, *slot)).collect();
            change.slots = last.into_values().collect();
        }
        for at in 1..changes.len() {
            changes.swap(at, (order.rotate_left(at as u32) % (at as u64 + 1)) as usize);
        }
        let targets = reads.iter().map(|address| (*address, reads.clone()));
        let witness = reopened(&mut bench).witness(&bench.state, targets, &changes).unwrap();

        let stateless = Stateless(&witness);
        for address in &reads {
            let account = trie_account(&old, *address);
            prop_assert_eq!(stateless.lookup(root, *address), account.map(alloy_rlp::encode));
            for slot in &reads {
                let Some(account) = account else { continue };
                let value = old.accounts[address].1.get(slot).map(alloy_rlp::encode);
                prop_assert_eq!(stateless.lookup(account.storage_root, *slot), value);
            }
        }
        bench.trie.stage(changes.clone());
        let after = bench.trie.root(&bench.state).unwrap().root;
        prop_assert_eq!(stateless.root_after(root, &changes), after);
    }
}

#[test]
fn proofs_wait_for_the_root() {
    let mut bench = bench(&TrieConfig::default(), &[]);
    bench.trie.stage([AccountChange::default()]);
    let error = bench.trie.prove(&bench.state, []).unwrap_err();
    assert!(matches!(error, TrieError::Unsettled));
    bench.trie.root(&bench.state).unwrap();
    assert!(bench.trie.prove(&bench.state, [(key(1), vec![])]).is_ok());
}
