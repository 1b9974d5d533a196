//! Random histories against a model that keeps lists and recomputes everything, and random
//! histories under tight limits against the invariants alone.

use super::{Bench, Tx, World, address, head, tx};
use crate::{Head, HeadChange, Mined, Origin, PoolConfig, PoolError};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, U256};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

const SENDERS: u8 = 5;

#[derive(Debug, Clone)]
enum Step {
    Add(Tx),
    /// Mine the first few of the best, with this base fee after it.
    Mine {
        count: usize,
        base_fee: u64,
    },
    /// Take the last block back.
    Reorg {
        remine: usize,
    },
    /// Change a balance.
    Balance {
        sender: u8,
        millions: u64,
    },
    Remove {
        sender: u8,
        nonce: u64,
    },
    BaseFee(u64),
    Expire,
}

fn transactions() -> impl Strategy<Value = Tx> {
    let origin = prop_oneof![3 => Just(Origin::External), 1 => Just(Origin::Local)];
    let fees = (80u128..400, 1u128..80);
    (0..SENDERS, 0u64..8, fees, 0u64..3, prop_oneof![9 => Just(0), 1 => Just(40_000usize)], origin)
        .prop_map(|(sender, nonce, (max_fee, tip), value, input, origin)| {
            let value = value * 1_000_000;
            Tx { value, input, origin, ..tx(sender, nonce).fees(max_fee, tip.min(max_fee)) }
        })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => transactions().prop_map(Step::Add),
        2 => (0usize..6, 50u64..300).prop_map(|(count, base_fee)| Step::Mine { count, base_fee }),
        1 => (0usize..4).prop_map(|remine| Step::Reorg { remine }),
        1 => (0..SENDERS, 0u64..60).prop_map(|(sender, millions)| Step::Balance { sender, millions }),
        1 => (0..SENDERS, 0u64..8).prop_map(|(sender, nonce)| Step::Remove { sender, nonce }),
        1 => (50u64..300).prop_map(Step::BaseFee),
        1 => Just(Step::Expire),
    ];
    prop::collection::vec(step, 1..80)
}

/// The pool by its definition.
#[derive(Debug, Default)]
struct Model {
    /// By sender and nonce, with arrival.
    txs: BTreeMap<(Address, u64), (Tx, u64)>,
    arrivals: u64,
}

impl Model {
    fn of(&self, sender: Address) -> impl DoubleEndedIterator<Item = &(Tx, u64)> {
        self.txs.range((sender, 0)..=(sender, u64::MAX)).map(|(_, tx)| tx)
    }

    fn next_nonce(&self, world: &World, sender: Address) -> u64 {
        let mut nonce = world.read(&sender).nonce;
        while self.txs.contains_key(&(sender, nonce)) {
            nonce += 1;
        }
        nonce
    }

    fn cost(tx: &Tx) -> U256 {
        let gas = tx.gas + 10 * tx.input as u64;
        U256::from(gas) * U256::from(tx.max_fee) + U256::from(tx.value)
    }

    /// Whether the pool should take it.
    fn add(&mut self, world: &World, tx: Tx) -> bool {
        let sender = address(tx.sender);
        let account = world.read(&sender);
        let old = self.txs.get(&(sender, tx.nonce)).map(|(old, _)| *old);
        let spent: U256 = self.of(sender).map(|(tx, _)| Self::cost(tx)).sum();
        let others = spent - old.map_or(U256::ZERO, |old| Self::cost(&old));
        let cheaper = old.is_some_and(|old| Self::cost(&old) >= Self::cost(&tx));
        let paid = Self::cost(&tx) <= account.balance
            && (cheaper || others + Self::cost(&tx) <= account.balance);
        let better = old.is_none_or(|old| {
            let raised = |new: u128, old: u128| new > old && new >= old + old * 10 / 100;
            raised(tx.max_fee, old.max_fee) && raised(tx.tip, old.tip)
        });
        let good = tx.nonce >= account.nonce && paid && better;
        if good {
            // What replaces a local transaction is local.
            let origin =
                old.filter(|old| old.origin.is_local()).map_or(tx.origin, |old| old.origin);
            let tx = Tx { origin, ..tx };
            self.txs.insert((sender, tx.nonce), (tx, self.arrivals));
            self.arrivals += 1;
        }
        good
    }

    /// What a new state removes.
    fn head(&mut self, world: &World) {
        self.txs.retain(|(sender, nonce), (tx, _)| {
            let account = world.read(sender);
            *nonce >= account.nonce && Self::cost(tx) <= account.balance
        });
    }

    fn expire(&mut self, world: &World) {
        for sender in (0..SENDERS).map(address) {
            let next = self.next_nonce(world, sender);
            if self.of(sender).all(|(tx, _)| tx.origin == Origin::External) {
                self.txs.retain(|(from, nonce), _| *from != sender || *nonce < next);
            }
        }
    }

    /// All that a block with this base fee could include, in order.
    fn best(&self, world: &World, base_fee: u64) -> Vec<(Address, u64)> {
        let mut next: BTreeMap<_, _> =
            (0..SENDERS).map(|s| (address(s), world.read(&address(s)).nonce)).collect();
        let mut chosen = Vec::new();
        loop {
            let candidates = next.iter().filter_map(|(sender, nonce)| {
                let (tx, arrival) = self.txs.get(&(*sender, *nonce))?;
                let left = tx.max_fee.checked_sub(base_fee.into())?;
                Some((left.min(tx.tip), u64::MAX - arrival, *sender, *nonce))
            });
            let Some((_, _, sender, nonce)) = candidates.max() else { return chosen };
            chosen.push((sender, nonce));
            next.insert(sender, nonce + 1);
        }
    }
}

/// The state before it, and its transactions in both forms.
type Block = (Arc<World>, Vec<Recovered<warpline_executor::EthTransaction>>, Vec<Tx>);

/// A pool, what it should hold, and the states and blocks so far.
struct Run {
    bench: Bench,
    model: Model,
    blocks: Vec<Block>,
}

impl Run {
    fn new(config: PoolConfig) -> Self {
        Self { bench: Bench::new(config), model: Model::default(), blocks: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        let (bench, model) = (&mut self.bench, &mut self.model);
        match step {
            Step::Add(tx) => {
                let known = model.txs.get(&(address(tx.sender), tx.nonce));
                let known = known.is_some_and(|(known, _)| known.hash() == tx.hash());
                let expected = !known && model.add(&bench.world, *tx);
                let result = bench.add(tx);
                assert_eq!(result.is_ok(), expected, "{tx:?}: {result:?}");
                if let Ok(added) = result {
                    let next = model.next_nonce(&bench.world, address(tx.sender));
                    assert_eq!(added.pending, tx.nonce < next);
                }
            }
            Step::Mine { count, base_fee } => {
                let txs: Vec<_> = bench.pool.best(0).take(*count).collect();
                let world = bench.world.copy();
                for tx in &txs {
                    world.change(tx.sender(), |account| account.nonce = tx.nonce() + 1);
                }
                let mined: Vec<_> =
                    txs.iter().map(|tx| Mined { hash: tx.hash(), sender: tx.sender() }).collect();
                let specs = txs.iter().map(|tx| model.txs[&(tx.sender(), tx.nonce())].0).collect();
                let block = txs.iter().map(|tx| tx.recovered().clone()).collect();
                self.blocks.push((bench.world.clone(), block, specs));
                model.head(&world);
                let head = Head { base_fee: *base_fee, ..head(bench.head.number + 1) };
                bench.move_to(head, world, &mined, Vec::new(), Some(&[]));
            }
            Step::Reorg { remine } => {
                let Some((world, block, specs)) = self.blocks.pop() else { return };
                // The other block has the first few of the same transactions.
                let world = world.copy();
                let mut mined = Vec::new();
                for tx in block.iter().take(*remine) {
                    let nonce = alloy_consensus::Transaction::nonce(tx.inner());
                    world.change(tx.signer(), |account| account.nonce = nonce + 1);
                    mined.push(Mined { hash: *tx.inner().tx_hash(), sender: tx.signer() });
                }
                model.head(&world);
                for spec in specs {
                    // What returns is nobody's own.
                    model.add(&world, Tx { origin: Origin::External, ..spec });
                }
                let head = Head { base_fee: bench.head.base_fee, ..head(bench.head.number) };
                bench.move_to(head, world, &mined, block, None);
                self.blocks.clear();
            }
            Step::Balance { sender, millions } => {
                let world = bench.world.copy();
                world.change(address(*sender), |account| {
                    account.balance = U256::from(millions * 1_000_000);
                });
                model.head(&world);
                let (head, changed) = (bench.head, [address(*sender)]);
                bench.move_to(head, world, &[], Vec::new(), Some(&changed));
                self.blocks.clear();
            }
            Step::Remove { sender, nonce } => {
                let removed = model.txs.remove(&(address(*sender), *nonce));
                let hash = removed.map_or_else(Default::default, |(tx, _)| tx.hash());
                assert_eq!(bench.pool.remove(&hash).is_some(), removed.is_some());
            }
            Step::BaseFee(base_fee) => {
                bench.head.base_fee = *base_fee;
                bench.pool.set_next_fees(*base_fee, 1);
            }
            Step::Expire => {
                model.expire(&bench.world);
                let later = Instant::now() + Duration::from_secs(24 * 60 * 60);
                bench.pool.maintain(later).expect("there is no journal");
            }
        }
    }

    fn compare(&self) {
        let Self { bench, model, .. } = self;
        bench.verify();
        let pooled: BTreeMap<_, _> = (bench.pool.content().into_iter())
            .flat_map(|(sender, content)| {
                let next = model.next_nonce(&bench.world, sender);
                assert!(content.pending.iter().all(|tx| tx.nonce() < next));
                assert!(content.queued.iter().all(|tx| tx.nonce() > next));
                assert_eq!(bench.pool.pending_nonce(&sender), Some(next));
                let all = content.pending.into_iter().chain(content.queued);
                all.map(move |tx| ((sender, tx.nonce()), tx.hash()))
            })
            .collect();
        let expected: BTreeMap<_, _> =
            model.txs.iter().map(|(key, (tx, _))| (*key, tx.hash())).collect();
        assert_eq!(pooled, expected);
        let best: Vec<_> = bench.pool.best(0).map(|tx| (tx.sender(), tx.nonce())).collect();
        assert_eq!(best, model.best(&bench.world, bench.head.base_fee));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_without_limits_is_what_the_model_says(steps in steps()) {
        let mut run = Run::new(PoolConfig { price_limit: 0, ..PoolConfig::dev() });
        run.bench.pool.config.refuse_unpayable = false;
        for step in &steps {
            run.step(step);
            run.compare();
        }
    }

    #[test]
    fn limits_hold_and_refusals_change_nothing(steps in steps()) {
        let bench = Bench::new(PoolConfig {
            account_slots: 2,
            global_slots: 7,
            account_queue: 3,
            global_queue: 4,
            global_bytes: 100_000,
            ..PoolConfig::default()
        });
        let mut number = 0;
        for step in &steps {
            match step {
                Step::Add(tx) => {
                    let before = bench.pool.stats();
                    let hashes = bench.pool.pending_hashes();
                    match bench.add(tx) {
                        Ok(added) => assert!(bench.pool.contains(&added.hash)),
                        Err(error) => {
                            let after = bench.pool.stats();
                            let refused = before.refused + 1;
                            assert_eq!(after, crate::PoolStats { refused, ..before }, "{error}");
                            assert_eq!(bench.pool.pending_hashes(), hashes);
                            let full = matches!(error, PoolError::Full | PoolError::Underpriced);
                            assert!(!full || after.pending + after.queued >= 2, "not full");
                        }
                    }
                }
                Step::Mine { count, base_fee } => {
                    number += 1;
                    let world = bench.pool.state.read().accounts.clone();
                    let fresh = World::default();
                    for sender in (0..SENDERS).map(address) {
                        fresh.set(sender, world.account(&sender).expect("readable"));
                    }
                    let txs: Vec<_> = bench.pool.best(0).take(*count).collect();
                    for tx in &txs {
                        fresh.change(tx.sender(), |account| account.nonce = tx.nonce() + 1);
                    }
                    let head = Head { base_fee: *base_fee, ..head(number) };
                    let (mined, dropped) = (&[][..], Vec::new());
                    let accounts = Arc::new(fresh);
                    let change = HeadChange { head, accounts, mined, dropped, changed: None };
                    bench.pool.on_head(change).expect("readable");
                }
                Step::Remove { sender, nonce } => {
                    let tx = bench.pool.get_by_nonce(&address(*sender), *nonce);
                    tx.map(|tx| bench.pool.remove(&tx.hash()));
                }
                Step::BaseFee(base_fee) => bench.pool.set_next_fees(*base_fee, 1),
                Step::Expire => {
                    let later = Instant::now() + Duration::from_secs(24 * 60 * 60);
                    bench.pool.maintain(later).expect("there is no journal");
                }
                Step::Reorg { .. } | Step::Balance { .. } => {}
            }
            bench.verify();
        }
    }
}
