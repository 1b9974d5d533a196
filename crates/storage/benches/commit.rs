//! What persisting costs: blocks of 20,000 changed accounts (10,000 transfers between distinct
//! accounts) over a state of a million accounts, by batch size and by what is written; random
//! reads with and without the cache.
//!
//! `cargo bench -p warpline-storage --bench commit -- [--accounts N] [--blocks N] [--folder PATH]`
//!
//! Variants take turns, three rounds, medians; times are per block from handing a batch in until
//! it is written, the disk's included, with the part in which the caller is kept (`accepting`).
//! The first variant is what the others are compared with. `--rounds 1 --variants 1` does less.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark")]

use alloy_consensus::{
    BlockBody, Header, Receipt, Sealable, SignableTransaction, TxLegacy, TxType,
    constants::EMPTY_ROOT_HASH,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Signature, U256, keccak256};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use warpline_storage::{
    BlockCommit, BlockRef, CacheSizes, Durability, GenesisLoader, HashedDiff, Storage,
    StorageOptions, StoredReceipt, Transaction, TrieUpdates,
};
use warpline_types::{AccountDiff, AccountState, StateDiff};

const TRANSFERS: usize = 10_000;

fn main() {
    let accounts = argument("--accounts").unwrap_or(1_000_000) as usize;
    let blocks = argument("--blocks").unwrap_or(64) as usize;
    let folder = text("--folder").map_or_else(env::temp_dir, PathBuf::from);
    println!("{accounts} accounts, {blocks} blocks of {TRANSFERS} transfers, {}", folder.display());
    commits(&folder, accounts, blocks);
    reads(&folder, accounts);
}

fn text(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}

fn argument(name: &str) -> Option<u64> {
    text(name).map(|value| value.parse().expect("a number"))
}

fn address(index: usize) -> Address {
    Address::left_padding_from(&(index as u64 + 1).to_be_bytes())
}

fn account(index: usize, nonce: u64) -> AccountState {
    let balance = U256::from(1_000_000_000_000_000_000u64) + U256::from(index);
    AccountState { balance, nonce, code_hash: KECCAK256_EMPTY }
}

/// A database of `accounts` accounts with what an account trie would store for them.
fn database(path: &Path, accounts: usize, options: StorageOptions) -> Storage {
    let loader = GenesisLoader::new(path, options).expect("an empty folder");
    let mut sorted: Vec<_> =
        (0..accounts).map(|i| (keccak256(address(i)), account(i, 0).into())).collect();
    sorted.sort_unstable_by_key(|(hash, _)| *hash);
    loader.nodes(nodes(sorted.iter().map(|(hash, _)| hash), accounts)).expect("room");
    loader.accounts(sorted).expect("room");
    loader.finish(1, empty_block(BlockRef::default())).expect("room")
}

/// Branch nodes above changed leaves: at each depth with more accounts than paths, one node of
/// 16 hashes and two masks, as tries that keep no leaves store them.
fn nodes<'a>(changed: impl Iterator<Item = &'a B256>, accounts: usize) -> TrieUpdates {
    let depth = (0..16).take_while(|depth| 16usize.pow(*depth) < accounts).count();
    let node = Bytes::from(vec![7u8; 16 * 32 + 6]);
    let mut updates = TrieUpdates::default();
    let mut last: Vec<u8> = vec![0xff];
    for hash in changed {
        let path: Vec<u8> =
            hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(depth).collect();
        let shared = path.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let fresh = shared + 1..depth;
        let fresh = fresh.chain((last == [0xff]).then_some(0));
        updates.accounts.extend(
            fresh.map(|length| (Bytes::copy_from_slice(&path[..length]), Some(node.clone()))),
        );
        last = path;
    }
    updates.sort();
    updates
}

fn empty_block(parent: BlockRef) -> BlockCommit {
    let number = if parent.hash.is_zero() { 0 } else { parent.number + 1 };
    BlockCommit {
        header: Header { number, parent_hash: parent.hash, ..Default::default() }.seal_slow(),
        total_difficulty: U256::ZERO,
        body: BlockBody::default(),
        senders: vec![],
        receipts: vec![],
        access_list: None,
        diff: HashedDiff::default(),
        trie: TrieUpdates::default(),
    }
}

/// A block of transfers between random, distinct accounts.
fn transfers(parent: BlockRef, accounts: usize, rng: &mut StdRng) -> BlockCommit {
    let picked = rand::seq::index::sample(rng, accounts, 2 * TRANSFERS).into_vec();
    let nonce = parent.number;
    let diff = |&index: &usize| AccountDiff {
        address: address(index),
        before: Some(account(index, nonce)),
        after: Some(account(index, nonce + 1)),
        storage_cleared: false,
        storage: vec![],
    };
    let diff = StateDiff { accounts: picked.iter().map(diff).collect(), codes: vec![] };
    let diff = HashedDiff::new(&diff);
    let transaction = |pair: &[usize]| {
        let tx = TxLegacy {
            nonce,
            gas_price: 1_000_000_000,
            gas_limit: 21_000,
            to: address(pair[1]).into(),
            value: U256::from(pair[0]),
            ..Default::default()
        };
        let transaction = Transaction::Legacy(tx.into_signed(Signature::test_signature()));
        // Known to whoever executes the block.
        transaction.tx_hash();
        transaction
    };
    let receipt = |index: u64| StoredReceipt {
        tx_type: TxType::Legacy,
        receipt: Receipt {
            status: true.into(),
            cumulative_gas_used: (index + 1) * 21_000,
            logs: vec![],
        },
    };
    BlockCommit {
        senders: picked.chunks(2).map(|pair| address(pair[0])).collect(),
        receipts: (0..TRANSFERS as u64).map(receipt).collect(),
        access_list: None,
        body: BlockBody {
            transactions: picked.chunks(2).map(transaction).collect(),
            ..Default::default()
        },
        trie: TrieUpdates {
            storage_roots: diff.accounts().iter().map(|a| (a.hash, EMPTY_ROOT_HASH)).collect(),
            ..nodes(diff.accounts().iter().map(|account| &account.hash), accounts)
        },
        diff,
        ..empty_block(parent)
    }
}

/// One way of committing.
struct Variant {
    name: &'static str,
    batch: usize,
    durability: Durability,
    /// Leaves parts of the blocks out.
    strip: fn(&mut BlockCommit),
    index_stride: u64,
    check_pages: bool,
    cache: CacheSizes,
}

fn variants() -> Vec<Variant> {
    let periodic = Durability::Periodic { bytes: 1 << 30, period: Duration::from_secs(5) };
    let whole = |name, batch, durability| Variant {
        name,
        batch,
        durability,
        strip: |_| {},
        index_stride: 32,
        check_pages: false,
        cache: CacheSizes::default(),
    };
    let every = Durability::EveryCommit;
    let none = CacheSizes { accounts: 0, slots: 0, code_bytes: 0 };
    vec![
        whole("16 blocks per commit", 16, every),
        Variant { check_pages: true, ..whole("16, pages checked", 16, every) },
        Variant { cache: none, ..whole("16, no cache", 16, every) },
        whole("1 block per commit", 1, every),
        whole("4 blocks per commit", 4, every),
        whole("32 blocks per commit", 32, every),
        whole("16, flushed now and then", 16, periodic),
        Variant { index_stride: 1 << 40, ..whole("16, no history index", 16, every) },
        Variant { strip: |b| b.trie.accounts.clear(), ..whole("16, no trie nodes", 16, every) },
        Variant { strip: no_transactions, ..whole("16, no transactions", 16, every) },
    ]
}

fn no_transactions(block: &mut BlockCommit) {
    block.body = BlockBody::default();
    block.senders.clear();
    block.receipts.clear();
}

fn commits(folder: &Path, accounts: usize, blocks: usize) {
    let mut variants = variants();
    variants.truncate(argument("--variants").unwrap_or(u64::MAX) as usize);
    let mut times = vec![Vec::new(); variants.len()];
    let mut accepting = vec![Vec::new(); variants.len()];
    let mut sizes = vec![0; variants.len()];
    for round in 0..argument("--rounds").unwrap_or(3) {
        for (index, variant) in variants.iter().enumerate() {
            eprintln!("round {round}: {}", variant.name);
            let folder = tempfile::tempdir_in(folder).expect("a folder");
            let options = StorageOptions {
                durability: variant.durability,
                max_batch_blocks: variant.batch,
                index_stride: variant.index_stride,
                check_pages: variant.check_pages,
                cache: variant.cache,
                ..Default::default()
            };
            let storage = database(folder.path(), accounts, options);
            let mut rng = StdRng::seed_from_u64(round);
            let (mut spent, mut accepted) = (Duration::ZERO, Duration::ZERO);
            let mut done = 0;
            while done < blocks {
                let mut batch = Vec::new();
                let mut parent = storage.head();
                for _ in 0..variant.batch {
                    let mut block = transfers(parent, accounts, &mut rng);
                    (variant.strip)(&mut block);
                    parent = block.block();
                    batch.push(block);
                }
                done += batch.len();
                let start = Instant::now();
                for block in batch {
                    storage.commit(block).expect("it follows");
                }
                accepted += start.elapsed();
                storage.flush().expect("room");
                spent += start.elapsed();
            }
            times[index].push(spent / done as u32);
            accepting[index].push(accepted / done as u32);
            let stats = storage.stats().expect("readable");
            sizes[index] = (stats.pages * stats.page_size) >> 20;
        }
    }
    let columns = ["ms/block", "ratio", "accepting", "file MiB"];
    println!(
        "{:26} {:>10} {:>7} {:>9} {:>9}",
        "commit", columns[0], columns[1], columns[2], columns[3]
    );
    let base = median(&mut times[0]);
    let rows = variants.iter().zip(&mut times).zip(&mut accepting).zip(sizes);
    for (((variant, times), accepting), size) in rows {
        let time = median(times);
        let accepting = median(accepting).as_secs_f64() * 1e3;
        let (ms, ratio) = (time.as_secs_f64() * 1e3, time.as_secs_f64() / base.as_secs_f64());
        println!("{:26} {ms:10.2} {ratio:7.2} {accepting:9.2} {size:9}", variant.name);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Reads of random accounts: from the file, from the cache, and absent ones.
fn reads(folder: &Path, accounts: usize) {
    let none = CacheSizes { accounts: 0, slots: 0, code_bytes: 0 };
    let measure = |cache: CacheSizes, hot: usize| {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let options = StorageOptions { cache, ..Default::default() };
        let storage = database(folder.path(), accounts, options);
        let snapshot = storage.snapshot(1).expect("readable");
        let reader = snapshot.reader().expect("readable");
        let mut rng = StdRng::seed_from_u64(1);
        let mut round = || {
            let start = Instant::now();
            for _ in 0..200_000 {
                let known = reader.account(&address(rng.random_range(0..hot))).expect("readable");
                assert!(known.is_some());
            }
            start.elapsed() / 200_000
        };
        round();
        let mut times: Vec<_> = (0..5).map(|_| round()).collect();
        median(&mut times)
    };
    println!("{:26} {:>10} {:>7}", "read of an account", "ns", "ratio");
    let hot = accounts.min(100_000);
    let file = measure(none, hot);
    for (name, time) in [
        ("100,000 hot, no cache", file),
        ("100,000 hot, cache", measure(CacheSizes::default(), hot)),
        ("all, no cache", measure(none, accounts)),
        ("all, cache", measure(CacheSizes::default(), accounts)),
    ] {
        let ratio = time.as_secs_f64() / file.as_secs_f64();
        println!("{name:26} {:10} {ratio:7.2}", time.as_nanos());
    }
}
