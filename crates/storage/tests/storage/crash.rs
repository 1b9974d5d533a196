//! `kill -9` at random moments: a child commits and prunes until it is killed, and says
//! what was written; then the database is opened, verified and held against the same chain.

use crate::{
    chain::{ADDRESSES, Chain, address},
    model::options,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use warpline_storage::{Durability, Finality, PrunePolicy, Storage, StorageOptions};

const SEED: u64 = 41;

/// Blocks after which a chain is begun anew: every child has to make them again.
const LONG: usize = 1000;

fn crash_options(lazy: bool) -> StorageOptions {
    let periodic = Durability::Periodic { bytes: 1 << 20, period: Duration::from_secs(1) };
    let durability = if lazy { periodic } else { Durability::EveryCommit };
    // Lazy ones gather six blocks or more.
    let StorageOptions { max_pending_blocks, max_batch_blocks, .. } = options();
    let (max_pending_blocks, max_batch_blocks) =
        if lazy { (24, 24) } else { (max_pending_blocks, max_batch_blocks) };
    StorageOptions {
        durability,
        max_pending_blocks,
        max_batch_blocks,
        prune: PrunePolicy::full(20),
        max_size: 1 << 30,
        ..options()
    }
}

/// How many times to kill: `STORAGE_KILLS`, which `make torture` sets.
fn kills() -> usize {
    env::var("STORAGE_KILLS").map_or(10, |kills| kills.parse().expect("a number"))
}

#[test]
fn a_killed_process_loses_no_block_that_it_reported_as_written() {
    let seed = env::var("STORAGE_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("STORAGE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let begin = || {
        let (folder, chain) = (tempfile::tempdir().unwrap(), Chain::new(SEED));
        drop(Storage::create(folder.path(), crash_options(false), 1, chain.genesis()).unwrap());
        (folder, chain)
    };
    let (mut folder, mut chain) = begin();
    let mut blocks = 0;
    for _ in 0..kills() {
        if chain.blocks.len() > LONG {
            blocks += chain.blocks.len();
            (folder, chain) = begin();
        }
        let lazy = rng.random_ratio(1, 3);
        let delay = Duration::from_micros(rng.random_range(0..250_000));
        let reported = run_and_kill(folder.path(), lazy, delay);
        check(folder.path(), &mut chain, reported);
    }
    blocks += chain.blocks.len();
    assert!(blocks > 10, "the children got {blocks} blocks done");
}

/// Starts a child, waits until it works, kills it after a delay; returns the last block that it
/// reported as written.
fn run_and_kill(folder: &Path, lazy: bool, delay: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child_main", "--nocapture", "--quiet"])
        .env("STORAGE_TEST_FOLDER", folder)
        .env("STORAGE_TEST_LAZY", if lazy { "1" } else { "0" })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let opened = lines.by_ref().map_while(Result::ok).find_map(|line| written(&line)).unwrap();
    let reader = thread::spawn(move || {
        lines.map_while(Result::ok).filter_map(|line| written(&line)).fold(opened, u64::max)
    });
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// The number in a whole line: the last one may have been cut off.
fn written(line: &str) -> Option<u64> {
    line.strip_prefix("written ")?.strip_suffix('.')?.parse().ok()
}

/// The database holds the chain of the child up to at least the reported block, at most the
/// backlog further.
fn check(folder: &Path, chain: &mut Chain, reported: u64) {
    let storage = Storage::open(folder, crash_options(false), None).unwrap();
    let head = storage.head();
    assert!(head.number >= reported, "{head} is before the reported {reported}");
    assert!(head.number <= reported + 64, "{head} is far after the reported {reported}");
    while chain.head().number < head.number {
        chain.grow();
    }
    assert_eq!(head, chain.blocks[head.number as usize].block());
    // `verify` finds blocks that are not there; none is ever taken back.
    let finalized = storage.finality().finalized.map_or(0, |block| block.number);
    assert!(finalized + 64 >= head.number || head.number < 3, "{finalized} at {head}");
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
    let earliest = storage.stats().unwrap().progress.history_from;
    for number in (earliest..=head.number).step_by(7).chain([head.number]) {
        let snapshot = storage.snapshot_at(number, 1).unwrap();
        let reader = snapshot.reader().unwrap();
        for account in (0..ADDRESSES).map(address) {
            let (state, slots) =
                chain.states[number as usize].accounts.get(&account).cloned().unzip();
            assert_eq!(reader.account(&account).unwrap(), state);
            for (slot, value) in slots.unwrap_or_default() {
                assert_eq!(reader.storage(&account, slot).unwrap(), value);
            }
        }
    }
    drop(storage);
}

#[test]
#[ignore = "run by another test as a child process"]
fn child_main() {
    let Some(folder) = env::var_os("STORAGE_TEST_FOLDER") else { return };
    let lazy = env::var("STORAGE_TEST_LAZY").is_ok_and(|lazy| lazy == "1");
    let storage = Storage::open(Path::new(&folder), crash_options(lazy), None).unwrap();
    let mut chain = Chain::new(SEED);
    let head = storage.head();
    while chain.head().number < head.number {
        chain.grow();
    }
    assert_eq!(head, chain.head());
    let report = |number: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "written {number}.").and_then(|()| out.flush()).unwrap();
    };
    report(head.number);
    let _gathering = lazy.then(|| storage.gather());
    let mut reported = head.number;
    // The same blocks in every child: only the moment of death differs. Which commits carry how
    // many blocks depends on the timing.
    loop {
        storage.commit(chain.grow()).unwrap();
        // What is final is more blocks back than can be on their way.
        let (safe, finalized) = (chain.below_head(0), chain.below_head(30));
        storage.set_finality(Finality { safe, finalized }).unwrap();
        let written = storage.written().number;
        if written > reported {
            report(written);
            reported = written;
        }
    }
}
