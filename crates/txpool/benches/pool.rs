//! What the pool costs per transaction: recovering a sender, admitting, choosing, and following
//! the chain, by number of senders, for local and for other transactions.
//!
//! `cargo bench -p warpline-txpool --bench pool -- [--transactions N]`
//!
//! Every figure is the median of five rounds on a fresh pool, the cases taking turns, in
//! transactions per second on one thread unless it says otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark")]

use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use revm::primitives::hardfork::SpecId;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::{
    collections::HashMap,
    env, hint,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};
use warpline_txpool::{
    Accounts, AccountsError, Head, HeadChange, Intake, IntakeLimits, Mined, Origin, Pool,
    PoolAccount, PoolConfig, PooledEnvelope, Prepared,
};

const ROUNDS: usize = 5;
const BLOCK: usize = 5000;

fn main() {
    let count = argument("--transactions").unwrap_or(100_000);
    println!("{count} transfers; transactions per second, median of {ROUNDS}\n");
    recovery();
    let cases = [(1, Origin::Local), (40, Origin::Local), (count, Origin::Local)];
    let cases = [&cases[..], &[(40, Origin::External), (count, Origin::External)]].concat();
    let mut figures: HashMap<_, Vec<_>> = HashMap::new();
    for _ in 0..ROUNDS {
        for (case, (senders, origin)) in cases.iter().enumerate() {
            for (what, rate) in run(count, *senders, *origin) {
                figures.entry((case, what)).or_default().push(rate);
            }
        }
    }
    for (case, (senders, origin)) in cases.iter().enumerate() {
        println!("{senders} senders, {origin:?}");
        for what in ["admit one by one", "admit in batches", "admit on 2 threads", "choose", "mine"]
        {
            let mut rates = figures.remove(&(case, what)).unwrap();
            println!("  {what:20} {:>12.0}", median(&mut rates));
        }
    }
}

fn argument(name: &str) -> Option<usize> {
    let value = env::args().skip_while(|argument| argument != name).nth(1);
    value.map(|value| value.parse().expect("a number"))
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// The state: everybody is rich and has sent as much as is said.
struct Rich(HashMap<Address, u64>);

impl Accounts for Rich {
    fn account(&self, address: &Address) -> Result<PoolAccount, AccountsError> {
        let nonce = self.0.get(address).copied().unwrap_or_default();
        Ok(PoolAccount { nonce, balance: U256::MAX >> 1, ..PoolAccount::default() })
    }
}

fn head(number: u64) -> Head {
    Head {
        number,
        hash: B256::from(U256::from(number)),
        chain_id: 1,
        spec: SpecId::OSAKA,
        // A base fee that moves, so that the order has to.
        base_fee: 1000 + number % 7 * 100,
        blobs: None,
        gas_limit: u64::MAX,
        max_tx_gas: None,
        max_init_code: None,
    }
}

fn pool() -> Pool {
    let accounts = Arc::new(Rich(HashMap::new()));
    Pool::new(PoolConfig { price_limit: 0, ..PoolConfig::dev() }, head(0), accounts)
}

fn transfer(nonce: u64, index: usize) -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2000 + (index * 7919 % 3000) as u128,
        max_priority_fee_per_gas: 1 + (index * 104_729 % 1500) as u128,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(1),
        ..Default::default()
    }
}

/// Transactions of senders that take turns, prepared: with senders but not admitted.
fn prepared(pool: &Pool, count: usize, senders: usize, origin: Origin) -> Vec<Prepared> {
    let prepare = |index: usize| {
        let sender = (index % senders) as u64 + 1;
        let signature = Signature::new(U256::from(sender), U256::from(1), false);
        let tx = transfer((index / senders) as u64, index).into_signed(signature);
        let sender = Address::left_padding_from(&sender.to_be_bytes());
        let tx = Recovered::new_unchecked(PooledEnvelope::Eip1559(tx), sender);
        pool.prepare_recovered(tx, origin).expect("valid")
    };
    (0..count).map(prepare).collect()
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn run(count: usize, senders: usize, origin: Origin) -> Vec<(&'static str, f64)> {
    let single = pool();
    let txs = prepared(&single, count, senders, origin);
    let start = Instant::now();
    for tx in txs.clone() {
        assert!(single.admit(vec![tx])[0].is_ok());
    }
    let one_by_one = rate(count, start.elapsed());

    let shared = pool();
    let start = Instant::now();
    thread::scope(|scope| {
        // By sender, so that nonces are in order.
        for half in 0..2 {
            let (shared, txs) = (&shared, &txs);
            scope.spawn(move || {
                let mine = txs.iter().enumerate();
                let mine = mine.filter(|(index, _)| (index % senders) % 2 == half);
                for (_, tx) in mine {
                    assert!(shared.admit(vec![tx.clone()])[0].is_ok());
                }
            });
        }
    });
    let two_threads = rate(count, start.elapsed());
    drop(shared);

    let pool = pool();
    let start = Instant::now();
    for batch in txs.chunks(512) {
        assert!(pool.admit(batch.to_vec()).iter().all(Result::is_ok));
    }
    let batches = rate(count, start.elapsed());
    drop(txs);

    let start = Instant::now();
    assert_eq!(hint::black_box(pool.best(0)).count(), count);
    let choose = rate(count, start.elapsed());
    let (mut nonces, mut number, mut time) = (HashMap::new(), 0, Duration::ZERO);
    loop {
        let block: Vec<_> = pool.best(0).take(BLOCK).collect();
        if block.is_empty() {
            break;
        }
        nonces.extend(block.iter().map(|tx| (tx.sender(), tx.nonce() + 1)));
        let mined: Vec<_> =
            block.iter().map(|tx| Mined { hash: tx.hash(), sender: tx.sender() }).collect();
        number += 1;
        let (head, accounts) = (head(number), Arc::new(Rich(nonces.clone())));
        let start = Instant::now();
        let dropped = Vec::new();
        let change = HeadChange { head, accounts, mined: &mined, dropped, changed: Some(&[]) };
        pool.on_head(change).expect("accounts are readable");
        time += start.elapsed();
    }
    assert_eq!(pool.status(), (0, 0));
    vec![
        ("admit one by one", one_by_one),
        ("admit in batches", batches),
        ("admit on 2 threads", two_threads),
        ("choose", choose),
        ("mine", rate(count, time)),
    ]
}

/// Decoding and recovering real signatures, alone and on all threads.
fn recovery() {
    let sign = |index: usize| -> Bytes {
        let key = SecretKey::from_byte_array(&[1 + (index % 200) as u8; 32]).expect("a valid key");
        let tx = transfer((index / 200) as u64, index);
        let message = Message::from_digest(tx.signature_hash().0);
        let signature = SECP256K1.sign_ecdsa_recoverable(&message, &key);
        let (id, bytes) = signature.serialize_compact();
        let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
        PooledEnvelope::Eip1559(tx.into_signed(signature)).encoded_2718().into()
    };
    let raw: Vec<Bytes> = (0..4000).map(sign).collect();
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    let (mut taken_in, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let single = pool();
        let start = Instant::now();
        assert!(raw.iter().all(|raw| single.add(raw, Origin::Local).is_ok()));
        alone.push(rate(raw.len(), start.elapsed()));
        let batched = pool();
        let start = Instant::now();
        assert!(batched.add_batch(&raw, Origin::Local).iter().all(Result::is_ok));
        together.push(rate(raw.len(), start.elapsed()));
        taken_in.push(through_intake(&raw));
        direct.push(on_threads_of_their_own(&raw));
    }
    println!("from raw bytes");
    println!("  {:20} {:>12.0}", "one by one", median(&mut alone));
    println!("  {:20} {:>12.0}", "on all threads", median(&mut together));
    println!("  {:20} {:>12.0}", "40 clients, intake", median(&mut taken_in));
    println!("  {:20} {:>12.0}", "40 clients, threads", median(&mut direct));
}

/// Clients that each send one transaction after the other and wait for every reply.
const CLIENTS: usize = 40;

/// Every client's transactions are added on a thread of its own.
fn on_threads_of_their_own(raw: &[Bytes]) -> f64 {
    let pool = pool();
    let start = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let pool = &pool;
            scope.spawn(move || {
                for raw in raw.iter().skip(client).step_by(CLIENTS) {
                    assert!(pool.add(raw, Origin::Local).is_ok());
                }
            });
        }
    });
    rate(raw.len(), start.elapsed())
}

/// The intake adds the clients' transactions.
fn through_intake(raw: &[Bytes]) -> f64 {
    let pool = Arc::new(pool());
    let intake = Intake::start(&pool, IntakeLimits::default()).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let intake = &intake;
            scope.spawn(move || {
                for raw in raw.iter().skip(client).step_by(CLIENTS) {
                    let (send, reply) = mpsc::channel();
                    let send = Box::new(move |result| send.send(result).unwrap());
                    intake.submit(raw.clone(), Origin::Local, send).unwrap();
                    assert!(reply.recv().unwrap().is_ok());
                }
            });
        }
    });
    rate(raw.len(), start.elapsed())
}
