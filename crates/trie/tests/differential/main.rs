//! The trie against alloy-trie's root from scratch, over random histories.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod foreseen;
mod model;
mod proofs;
mod stateless;

use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use model::{Model, Op, key, op};
use proptest::{collection::vec, prelude::*};
use std::collections::{BTreeMap, VecDeque};
use warpline_trie::{
    AccountChange, AccountUpdate, Finding, FlatAccount, MemoryState, RootUpdate, StateTrie,
    TrieConfig, rebuild,
};

/// What the surroundings do at the end of a batch.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    Prefetch,
    Advance,
}

/// One block, and what happens around it.
#[derive(Clone, Debug)]
struct Block {
    /// What is foreseen and does not come true, but by chance.
    wrong: Vec<Vec<Op>>,
    /// How many of the batches are foreseen as well.
    right: usize,
    batches: Vec<(Vec<Op>, Meanwhile)>,
    /// How many blocks may be left uncommitted afterwards.
    lag: usize,
    /// Commit everything and open the trie anew.
    reopen: bool,
}

#[derive(Clone, Debug)]
struct History {
    config: TrieConfig,
    blocks: Vec<Block>,
}

fn config() -> impl Strategy<Value = TrieConfig> {
    let threads = prop_oneof![Just(1usize), Just(2), Just(8)];
    let limits = prop_oneof![Just(0usize), Just(20_000), Just(1 << 30)];
    let pages = prop_oneof![Just(2usize), Just(3), Just(8), Just(TrieConfig::PAGE_LIMIT)];
    (threads, limits, pages).prop_map(|(threads, memory_limit, page_limit)| TrieConfig {
        threads,
        memory_limit,
        page_limit,
    })
}

fn history(most_blocks: usize, most_ops: usize) -> impl Strategy<Value = History> {
    let meanwhile =
        prop_oneof![Just(Meanwhile::Nothing), Just(Meanwhile::Prefetch), Just(Meanwhile::Advance)];
    let batch = (vec(op(300, 200), 0..most_ops), meanwhile);
    let wrong = prop_oneof![
        2 => Just(Vec::new()),
        1 => vec(vec(op(300, 200), 0..most_ops / 2), 1..3),
    ];
    let surroundings = (0usize..4, prop::bool::weighted(0.15));
    let block = (wrong, 0usize..4, vec(batch, 1..4), surroundings).prop_map(
        |(wrong, right, batches, (lag, reopen))| Block { wrong, right, batches, lag, reopen },
    );
    (config(), vec(block, 1..most_blocks)).prop_map(|(config, blocks)| History { config, blocks })
}

/// A trie with a source that lags behind, and the model of the state.
struct Bench {
    model: Model,
    trie: StateTrie,
    state: MemoryState,
    uncommitted: VecDeque<(Vec<AccountChange>, RootUpdate)>,
    config: TrieConfig,
}

impl Bench {
    fn new(config: &TrieConfig) -> Self {
        Self {
            model: Model::default(),
            trie: StateTrie::open(config.clone(), EMPTY_ROOT_HASH).unwrap(),
            state: MemoryState::default(),
            uncommitted: VecDeque::new(),
            config: config.clone(),
        }
    }

    fn execute(&mut self, block: &Block) {
        if !block.wrong.is_empty() {
            self.foresee(&block.wrong);
            self.commit(block.right);
        }
        let right = block.batches.iter().take(block.right);
        self.foresee(&right.map(|(ops, _)| ops.clone()).collect::<Vec<_>>());
        let mut all = Vec::new();
        for (ops, meanwhile) in &block.batches {
            let changes: Vec<_> = ops.iter().map(|op| self.model.apply(op)).collect();
            all.extend(changes.iter().cloned());
            self.trie.stage(changes);
            match meanwhile {
                Meanwhile::Nothing => {}
                Meanwhile::Prefetch => self.trie.prefetch(&self.state).unwrap(),
                Meanwhile::Advance => self.trie.advance(&self.state).unwrap(),
            }
        }
        self.finish(all);
        self.commit(block.lag);
        if block.reopen {
            self.commit(0);
            let root = self.trie.current_root();
            self.trie = StateTrie::open(self.config.clone(), root).unwrap();
        }
    }

    /// Foresees what may or may not be done next.
    fn foresee(&mut self, batches: &[Vec<Op>]) {
        let mut model = self.model.clone();
        for ops in batches {
            let changes = ops.iter().map(|op| model.apply(op)).collect();
            self.trie.foresee(&self.state, changes).unwrap();
        }
    }

    fn finish(&mut self, changes: Vec<AccountChange>) {
        let update = self.trie.root(&self.state).unwrap();
        assert_eq!(update.root, self.model.root());
        assert_eq!(update.root, self.trie.current_root());
        self.uncommitted.push_back((changes, update));
    }

    fn commit(&mut self, lag: usize) {
        while self.uncommitted.len() > lag {
            let (changes, update) = self.uncommitted.pop_front().unwrap();
            self.state.commit(&changes, &update.updates);
            self.trie.persisted(update.number);
        }
    }

    /// What is stored is exactly what a rebuild would store.
    fn check_stored(&mut self) {
        self.commit(0);
        let flat: BTreeMap<B256, FlatAccount> = self.state.accounts.clone();
        assert!(flat.keys().eq(self.model.accounts.keys()));
        for (address, (state, storage)) in &self.model.accounts {
            assert_eq!(flat[address].state, *state);
            let slots = self.state.storage.get(address);
            assert_eq!(slots.is_some(), !storage.is_empty());
            assert!(slots.is_none_or(|slots| slots == storage));
        }
        for threads in [1, 4] {
            let mut rebuilt = MemoryState {
                accounts: self.state.accounts.clone(),
                storage: self.state.storage.clone(),
                ..MemoryState::default()
            };
            let sum = rebuild(&self.state, self.config.page_limit, threads, |finding| {
                match finding {
                    Finding::StorageRoot { .. } => panic!("{finding:?}"),
                    Finding::Node { storage_of: None, path, node } => {
                        assert_eq!(rebuilt.account_nodes.insert(path, node.to_vec()), None);
                    }
                    Finding::Node { storage_of: Some(account), path, node } => {
                        let key = (account, path);
                        assert_eq!(rebuilt.storage_nodes.insert(key, node.to_vec()), None);
                    }
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(sum.root, self.trie.current_root());
            assert_eq!(sum.accounts as usize, self.state.accounts.len());
            assert_eq!(sum.slots as usize, self.state.storage.values().map(BTreeMap::len).sum());
            let nodes = self.state.account_nodes.len() + self.state.storage_nodes.len();
            assert_eq!(sum.nodes as usize, nodes);
            assert!(rebuilt == self.state, "stored nodes differ from rebuilt ones");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn roots_and_stored_nodes_are_those_of_the_state(history in history(8, 60)) {
        let mut bench = Bench::new(&history.config);
        for block in &history.blocks {
            bench.execute(block);
        }
        bench.check_stored();
    }

    #[test]
    fn reverse_changes_lead_back(history in history(6, 40)) {
        let mut bench = Bench::new(&history.config);
        let mut past = vec![bench.model.clone()];
        for block in &history.blocks {
            bench.execute(block);
            past.push(bench.model.clone());
        }
        for target in past.into_iter().rev() {
            let changes = bench.model.changes_to(&target);
            bench.foresee(&history.blocks[0].wrong);
            bench.model = target;
            bench.trie.stage(changes.clone());
            bench.finish(changes);
            bench.commit(2);
        }
        assert_eq!(bench.trie.current_root(), EMPTY_ROOT_HASH);
        bench.check_stored();
        assert_eq!(bench.state, MemoryState::default());
    }
}

#[test]
fn a_large_trie_with_real_limits_matches() {
    for threads in [1, 2] {
        let config = TrieConfig { threads, memory_limit: 3 << 20, ..TrieConfig::default() };
        let mut bench = Bench::new(&config);
        for round in 0u16..6 {
            let ops = |n: u16| Op {
                account: n.wrapping_mul(17) ^ round,
                kind: match n % 11 {
                    0 => model::OpKind::Delete,
                    _ => model::OpKind::Set {
                        nonce: n as u8,
                        balance: n.into(),
                        code: n.is_multiple_of(5),
                    },
                },
                wipe: false,
                slots: if n % 400 == 7 {
                    (0..3000).map(|s| (s, (s ^ n) as u8 & 3)).collect()
                } else {
                    vec![]
                },
            };
            let ops: Vec<_> = (0..if round == 0 { 20_000 } else { 2_000 }).map(ops).collect();
            let batches = ops.chunks(700).map(|ops| (ops.to_vec(), Meanwhile::Advance)).collect();
            let (wrong, right) = (vec![ops[..300].to_vec()], usize::from(round % 2));
            bench.execute(&Block { wrong, right, batches, lag: 1, reopen: round == 3 });
        }
        bench.check_stored();
        assert!(bench.state.storage_nodes.len() > 50 && bench.state.account_nodes.len() > 100);
    }
}

#[test]
fn memory_returns_to_its_limit_once_blocks_are_stored() {
    let config = TrieConfig { memory_limit: 200_000, ..TrieConfig::default() };
    let mut bench = Bench::new(&config);
    let op = |account| Op {
        account,
        kind: model::OpKind::Set { nonce: 1, balance: 5, code: false },
        wipe: false,
        slots: vec![(account, 1)],
    };
    let block = |accounts: std::ops::Range<u16>, lag| Block {
        wrong: vec![],
        right: 0,
        batches: vec![(accounts.map(op).collect(), Meanwhile::Nothing)],
        lag,
        reopen: false,
    };
    bench.execute(&block(0..20_000, 1));
    let all = bench.trie.resident_bytes();
    bench.execute(&block(0..20, 2));
    assert!(all > 4_000_000 && bench.trie.resident_bytes() >= all, "unstored blocks must stay");
    for round in 0..40 {
        bench.execute(&block(round * 20..(round + 1) * 20, 0));
        let left = bench.trie.resident_bytes();
        assert!(left < 400_000, "round {round}: {left} bytes");
    }
    bench.check_stored();
}

#[test]
fn slots_of_an_absent_account_are_refused_and_the_trie_recovers() {
    let mut trie = StateTrie::open(TrieConfig::default(), EMPTY_ROOT_HASH).unwrap();
    let state = MemoryState::default();
    let slot = warpline_trie::SlotChange { slot: key(3), value: U256::from(1) };
    let change = AccountChange { address: key(8), slots: vec![slot], ..Default::default() };
    trie.stage([change.clone()]);
    let error = trie.root(&state).unwrap_err();
    assert_eq!(error.to_string(), format!("storage without an account: {}", key(8)));
    let update = AccountUpdate::Set(Default::default());
    trie.stage([AccountChange { update, slots: vec![], ..change }]);
    assert!(trie.root(&state).is_ok());
}
