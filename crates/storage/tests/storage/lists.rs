//! Access lists: of blocks in the chain and beside it, wrong ones, old ones.

use crate::{
    chain::{Chain, trie_changes},
    model::{options, unwind},
};
use alloy_consensus::{Header, Sealable, Sealed};
use alloy_eips::eip7928::compute_block_access_list_hash;
use alloy_primitives::B256;
use warpline_storage::{BlockCommit, BlockRef, Storage, StorageError, Table};

/// The access lists of blocks that are in the chain, or were, when block `highest` was the highest.
pub(crate) fn check_lists(
    storage: &Storage,
    keep: Option<u64>,
    blocks: &[BlockCommit],
    highest: u64,
) {
    let snapshot = storage.snapshot(1).unwrap();
    let reader = snapshot.reader().unwrap();
    for block in blocks {
        let found = reader.access_list(block.block()).unwrap().map(Sealed::into_inner);
        let pruned = keep.is_some_and(|keep| block.header.number + keep <= highest);
        assert!(found == block.access_list || pruned && found.is_none(), "{}", block.block());
        let other = BlockRef { hash: B256::repeat_byte(1), ..block.block() };
        assert_eq!(reader.access_list(other).unwrap(), None);
    }
}

#[test]
fn access_lists_of_blocks_beside_the_chain_go_once_they_lie_far_below() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(8);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    let grow = |chain: &mut Chain, to| {
        while chain.head().number < to {
            storage.commit(chain.grow()).unwrap();
        }
        storage.flush().unwrap();
    };
    grow(&mut chain, 8);
    let aside = chain.blocks[5..].to_vec();
    unwind(&storage, None, &mut chain, 4);
    grow(&mut chain, 516);
    check_lists(&storage, None, &aside, 8);
    grow(&mut chain, 517);
    let snapshot = storage.snapshot(1).unwrap();
    let list = |block: &BlockCommit| snapshot.reader().unwrap().access_list(block.block()).unwrap();
    assert!(aside[0].access_list.is_some());
    assert_eq!(list(&aside[0]), None);
    check_lists(&storage, None, &aside[1..], 8);
    check_lists(&storage, None, &chain.blocks, 517);
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
}

#[test]
fn an_access_list_is_replaced_by_that_of_the_block_when_it_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(9);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    storage.commit(chain.grow()).unwrap();
    let block = chain.grow();
    let wrong = BlockCommit { access_list: Some(Vec::new()), ..block.clone() };
    assert_ne!(wrong.access_list, block.access_list);
    storage.commit(wrong.clone()).unwrap();
    check_lists(&storage, None, core::slice::from_ref(&wrong), 2);
    let after = chain.states.last().unwrap().clone();
    storage
        .unwind(1, |_, _| Ok::<_, StorageError>(trie_changes(&after, &chain.states[1])))
        .unwrap();
    check_lists(&storage, None, &[wrong], 2);
    storage.commit(block).unwrap();
    storage.flush().unwrap();
    check_lists(&storage, None, &chain.blocks, 2);
}

#[test]
fn a_list_that_the_header_does_not_commit_to_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::new(10);
    let storage = Storage::create(folder.path(), options(), 1, chain.genesis()).unwrap();
    let mut parent = chain.head();
    let mut commit = |stated: B256| {
        let header = Header {
            number: parent.number + 1,
            parent_hash: parent.hash,
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(B256::ZERO),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::ZERO),
            block_access_list_hash: Some(stated),
            ..Header::default()
        };
        let (body, senders, receipts) = Default::default();
        let (header, diff, trie) = (header.seal_slow(), Default::default(), Default::default());
        let (total_difficulty, access_list) = (chain.blocks[0].total_difficulty, Some(Vec::new()));
        let block = BlockCommit {
            header,
            total_difficulty,
            body,
            senders,
            receipts,
            access_list,
            diff,
            trie,
        };
        parent = block.block();
        storage.commit(block).unwrap();
    };
    commit(compute_block_access_list_hash(&[]));
    commit(B256::repeat_byte(1));
    storage.flush().unwrap();
    let findings = storage.verify(10, |_| {}).unwrap();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.table, Some(Table::BlockAccessLists));
    assert_eq!(finding.key[..8], 2u64.to_be_bytes());
    assert_eq!(finding.problem, "not the hash that the header commits to");
}
