//! Sources that fail, or hold something else than what the trie left there.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use proptest::prelude::*;
use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use warpline_trie::{
    AccountChange, AccountUpdate, FlatAccount, MemoryState, SlotChange, SourceError, StateTrie,
    TrieConfig, TrieError, TrieReader, TrieSource, rebuild,
};
use warpline_types::AccountState;

/// A state whose n-th read fails.
struct Failing<'a> {
    state: &'a MemoryState,
    reads_left: AtomicUsize,
}

impl<'a> Failing<'a> {
    const fn after(state: &'a MemoryState, reads: usize) -> Self {
        Self { state, reads_left: AtomicUsize::new(reads) }
    }

    fn read(&self) -> Result<&'a MemoryState, SourceError> {
        let enough = self.reads_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        enough.map(|_| self.state).map_err(|_| "the disk is gone".into())
    }
}

impl TrieSource for Failing<'_> {
    type Reader<'a>
        = &'a Self
    where
        Self: 'a;

    fn open(&self) -> Result<&Self, SourceError> {
        self.read().map(|_| self)
    }
}

impl TrieReader for &Failing<'_> {
    fn account_node(&mut self, path: &Nibbles, out: &mut Vec<u8>) -> Result<bool, SourceError> {
        self.read()?.account_node(path, out)
    }

    fn storage_node(
        &mut self,
        account: B256,
        path: &Nibbles,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError> {
        self.read()?.storage_node(account, path, out)
    }

    fn accounts(
        &mut self,
        from: B256,
        visit: &mut dyn FnMut(B256, FlatAccount) -> bool,
    ) -> Result<(), SourceError> {
        self.read()?.accounts(from, visit)
    }

    fn storage(
        &mut self,
        account: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError> {
        self.read()?.storage(account, from, visit)
    }

    fn account_with_storage(&mut self, from: B256) -> Result<Option<B256>, SourceError> {
        self.read()?.account_with_storage(from)
    }
}

fn account(n: u64, slots: u64) -> AccountChange {
    let state = AccountState { nonce: n, balance: U256::from(n), code_hash: B256::repeat_byte(1) };
    let slot =
        |n: u64| SlotChange { slot: keccak256((n << 8).to_be_bytes()), value: U256::from(n + 1) };
    AccountChange {
        address: keccak256(n.to_be_bytes()),
        update: AccountUpdate::Set(state),
        wipe_storage: false,
        slots: (0..slots).map(slot).collect(),
    }
}

/// Some hundred accounts, a few of them with storage tries of several levels.
fn committed(config: &TrieConfig) -> (MemoryState, B256) {
    let changes: Vec<_> =
        (0..400).map(|n| account(n, if n % 50 == 0 { 300 } else { n % 3 })).collect();
    let mut trie = StateTrie::open(config.clone(), EMPTY_ROOT_HASH).unwrap();
    let mut state = MemoryState::default();
    trie.stage(changes.clone());
    let update = trie.root(&state).unwrap();
    state.commit(&changes, &update.updates);
    (state, update.root)
}

static COMMITTED: LazyLock<(MemoryState, B256)> = LazyLock::new(|| committed(&config(1)));

fn config(threads: usize) -> TrieConfig {
    TrieConfig { threads, page_limit: 16, memory_limit: usize::MAX }
}

/// A block that changes, creates and removes accounts and slots, so that subtries merge too.
fn block() -> Vec<AccountChange> {
    let mut changes: Vec<_> = (0..40).map(|n| account(n * 10, 20)).collect();
    changes.extend(
        (0..200)
            .filter(|n| n % 10 > 3)
            .map(|n| AccountChange { update: AccountUpdate::Delete, ..account(n, 0) }),
    );
    let mut emptied = account(350, 300);
    emptied.slots.iter_mut().skip(3).for_each(|slot| slot.value = U256::ZERO);
    changes.push(emptied);
    changes
}

#[test]
fn a_trie_whose_reads_fail_continues_where_it_was() {
    for threads in [1, 2] {
        let (state, root) = committed(&config(threads));
        let mut plain = StateTrie::open(config(threads), root).unwrap();
        plain.stage(block());
        let expected = plain.root(&state).unwrap();
        // The same reads one by one: every attempt gets one further than the one before.
        let mut trie = StateTrie::open(config(threads), root).unwrap();
        let mut failures = 0;
        let (first, second) = (block()[..60].to_vec(), block()[60..].to_vec());
        trie.stage(first);
        while let Err(error) = trie.advance(&Failing::after(&state, 3)) {
            let expected = matches!(error, TrieError::Read { .. } | TrieError::Open(_));
            assert!(expected && error.to_string().contains("the disk is gone"), "{error}");
            failures += 1;
        }
        trie.stage(second);
        let update = loop {
            match trie.root(&Failing::after(&state, 3 + failures % 5)) {
                Ok(update) => break update,
                Err(_) => failures += 1,
            }
            assert!(failures < 2_000, "it makes no progress");
        };
        assert!(failures > 50);
        assert_eq!(update.root, expected.root);
        assert_eq!(update.updates, expected.updates);
    }
}

#[test]
fn what_was_foreseen_in_part_makes_no_difference() {
    let (state, root) = COMMITTED.clone();
    let certain: Vec<_> = (0..120).map(|n| account(n * 3, n % 5)).collect();
    let mut plain = StateTrie::open(config(1), root).unwrap();
    plain.stage(certain.clone());
    let expected = plain.root(&state).unwrap();
    let mut failures = 0;
    for reads in 0..70 {
        let mut trie = StateTrie::open(config(1 + reads % 2), root).unwrap();
        let foreseen = trie.foresee(&Failing::after(&state, reads), block());
        failures += usize::from(foreseen.is_err());
        let mut foreseen = certain[60..].to_vec();
        foreseen.extend(block());
        let _in_part = trie.foresee(&Failing::after(&state, reads / 2), foreseen);
        trie.stage(certain.clone());
        if reads % 3 == 0 {
            let _in_part = trie.root(&Failing::after(&state, reads / 4));
        }
        let update = trie.root(&state).unwrap();
        assert_eq!(update.root, expected.root, "{reads} reads");
    }
    assert!(failures > 20, "{failures} failures");
}

#[test]
fn what_was_foreseen_is_set_again_where_a_failed_attempt_replaced_it() {
    let (state, root) = COMMITTED.clone();
    let foreseen: Vec<_> = (0..40).map(|n| account(n * 5, n % 4)).collect();
    let foreseen = foreseen.into_iter().map(|change| raised(change, 1)).collect::<Vec<_>>();
    let others: Vec<_> = (200..400).map(|n| raised(account(n, 2), 1)).collect();
    let mut plain = StateTrie::open(config(1), root).unwrap();
    plain.stage(foreseen.iter().chain(&others).cloned());
    let expected = plain.root(&state).unwrap();
    let mut failures = 0;
    for reads in 0..60 {
        let mut trie = StateTrie::open(config(1), root).unwrap();
        trie.foresee(&state, foreseen.clone()).unwrap();
        let replaced = foreseen.iter().cloned().map(|change| raised(change, 1));
        trie.stage(replaced.chain(others.iter().cloned()));
        failures += usize::from(trie.root(&Failing::after(&state, reads)).is_err());
        trie.stage(foreseen.iter().chain(&others).cloned());
        assert_eq!(trie.root(&state).unwrap().root, expected.root, "{reads} reads");
    }
    assert!(failures > 30, "{failures} failures");
}

/// The same with greater numbers.
fn raised(mut change: AccountChange, by: u64) -> AccountChange {
    if let AccountUpdate::Set(state) = &mut change.update {
        state.nonce += by;
    }
    for slot in &mut change.slots {
        slot.value += U256::from(by);
    }
    change
}

#[test]
fn failing_proofs_and_rebuilds_say_so() {
    let (state, root) = committed(&config(1));
    for reads in 0..60 {
        let failing = Failing::after(&state, reads);
        let mut trie = StateTrie::open(config(1), root).unwrap();
        let targets = (0..50).map(|n| (account(n * 5, 0).address, vec![B256::ZERO]));
        assert!(trie.prove(&failing, targets).is_err());
        let failing = Failing::after(&state, reads % 12);
        for threads in [1, 2] {
            let error = rebuild(&failing, 16, threads, |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains("the disk is gone"), "{error}");
        }
    }
    let error = rebuild(&state, 16, 1, |_| Err("the disk is full".into())).unwrap_err();
    assert!(error.to_string().contains("the disk is full"));
}

/// One thing that is not as it was left.
#[derive(Clone, Debug)]
enum Damage {
    FlipAccountNode { node: usize, bit: usize },
    FlipStorageNode { node: usize, bit: usize },
    CutNode { node: usize, len: usize },
    LoseAccountNode(usize),
    LoseStorageNode(usize),
    LoseAccount(usize),
    ChangeAccount(usize),
    AddAccount(usize),
    LoseSlot(usize),
    ChangeSlot(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    prop_oneof![
        (at, any::<usize>()).prop_map(|(node, bit)| Damage::FlipAccountNode { node, bit }),
        (at, any::<usize>()).prop_map(|(node, bit)| Damage::FlipStorageNode { node, bit }),
        (at, any::<usize>()).prop_map(|(node, len)| Damage::CutNode { node, len }),
        at.prop_map(Damage::LoseAccountNode),
        at.prop_map(Damage::LoseStorageNode),
        at.prop_map(Damage::LoseAccount),
        at.prop_map(Damage::ChangeAccount),
        at.prop_map(Damage::AddAccount),
        at.prop_map(Damage::LoseSlot),
        at.prop_map(Damage::ChangeSlot),
    ]
}

fn inflict(state: &mut MemoryState, damage: &Damage) {
    let pick = |len: usize, at: usize| at % len;
    let accounts = state.accounts.len();
    let slots = |state: &MemoryState, at: usize| {
        let account = *state.storage.keys().nth(pick(state.storage.len(), at)).unwrap();
        let slots = &state.storage[&account];
        (account, *slots.keys().nth(pick(slots.len(), at / 7)).unwrap())
    };
    let flip = |node: &mut Vec<u8>, bit: usize| {
        let bit = pick(node.len() * 8, bit);
        node[bit / 8] ^= 1 << (bit % 8);
    };
    match *damage {
        Damage::FlipAccountNode { node, bit } => {
            let at = pick(state.account_nodes.len(), node);
            flip(state.account_nodes.values_mut().nth(at).unwrap(), bit);
        }
        Damage::FlipStorageNode { node, bit } => {
            let at = pick(state.storage_nodes.len(), node);
            flip(state.storage_nodes.values_mut().nth(at).unwrap(), bit);
        }
        Damage::CutNode { node, len } => {
            let at = pick(state.account_nodes.len(), node);
            let node = state.account_nodes.values_mut().nth(at).unwrap();
            node.truncate(pick(node.len(), len));
        }
        Damage::LoseAccountNode(at) => {
            let key = *state.account_nodes.keys().nth(pick(state.account_nodes.len(), at)).unwrap();
            state.account_nodes.remove(&key);
        }
        Damage::LoseStorageNode(at) => {
            let key = *state.storage_nodes.keys().nth(pick(state.storage_nodes.len(), at)).unwrap();
            state.storage_nodes.remove(&key);
        }
        Damage::LoseAccount(at) => {
            let key = *state.accounts.keys().nth(pick(accounts, at)).unwrap();
            state.accounts.remove(&key);
        }
        Damage::ChangeAccount(at) => {
            let account = state.accounts.values_mut().nth(pick(accounts, at)).unwrap();
            match at % 3 {
                0 => account.state.nonce ^= 1,
                1 => account.storage_root = keccak256([0]),
                _ => account.state.code_hash = keccak256([0]),
            }
        }
        Damage::AddAccount(at) => {
            // Beside another one: where the trie knows of no account it does not look for one.
            let mut key = *state.accounts.keys().nth(pick(accounts, at)).unwrap();
            key[31] ^= 1;
            state.accounts.insert(key, FlatAccount::new(AccountState::default()));
        }
        Damage::LoseSlot(at) => {
            let (account, slot) = slots(state, at);
            state.storage.get_mut(&account).unwrap().remove(&slot);
        }
        Damage::ChangeSlot(at) => {
            let (account, slot) = slots(state, at);
            *state.storage.get_mut(&account).unwrap().get_mut(&slot).unwrap() += U256::from(1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 50, ..ProptestConfig::default() })]

    /// Whatever is damaged, a trie that gets to see it reports an error with a place in it, and
    /// one that does not computes the right root.
    #[test]
    fn damage_is_reported_and_never_a_wrong_root(damage in damage(), all: bool) {
        let (mut state, root) = COMMITTED.clone();
        let mut trie = StateTrie::open(config(1), root).unwrap();
        let changes = if all {
            state.accounts.keys().map(|&address| AccountChange {
                address,
                slots: vec![],
                update: AccountUpdate::Delete,
                wipe_storage: false,
            }).collect()
        } else {
            block()
        };
        trie.stage(changes.clone());
        let expected = trie.root(&state).unwrap().root;
        inflict(&mut state, &damage);

        let mut trie = StateTrie::open(config(1), root).unwrap();
        trie.stage(changes);
        match trie.root(&state) {
            Ok(update) => prop_assert_eq!(update.root, expected),
            Err(TrieError::Missing { .. } | TrieError::Malformed { .. }) => {}
            Err(TrieError::Count { .. } | TrieError::Hash { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        // Everything is read here, so everything must be found.
        let mut trie = StateTrie::open(config(1), root).unwrap();
        let slots: Vec<_> = account(0, 300).slots.iter().map(|slot| slot.slot).collect();
        let slots = |n: u64| slots[..if n.is_multiple_of(50) { 300 } else { 3 }].to_vec();
        let proof = trie.prove(&state, (0..400).map(|n| (account(n, 0).address, slots(n))));
        prop_assert!(proof.is_err(), "it went unnoticed");
        let text = proof.unwrap_err().to_string();
        prop_assert!(text.contains("trie"), "{}", text);
    }
}

#[test]
fn errors_name_the_trie_and_the_path() {
    let (state, root) = committed(&config(1));
    let prove = |state: &MemoryState, n: u64| {
        let mut trie = StateTrie::open(config(1), root).unwrap();
        trie.prove(state, [(account(n, 0).address, vec![B256::ZERO])]).unwrap_err().to_string()
    };
    let mut lost = state.clone();
    let address = account(50, 0).address;
    lost.storage_nodes.remove(&(address, Nibbles::new()));
    assert_eq!(prove(&lost, 50), format!("storage trie of {address}, root: the node is missing"));
    let mut lost = state.clone();
    let first = address[0] >> 4;
    lost.account_nodes.remove(&Nibbles::from_nibbles([first]));
    assert_eq!(prove(&lost, 50), format!("account trie, path {first:x}: the node is missing"));
    let mut lost = state;
    lost.accounts.remove(&address);
    let path = &address.to_string()[2..4];
    let text = prove(&lost, 50);
    assert!(text.starts_with(&format!("account trie, path {path}: ")), "{text}");
}
