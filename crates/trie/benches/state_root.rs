//! The root of a block against rebuilding, on one thread and on two, over states of several sizes.
//!
//! ```text
//! cargo bench --locked -p warpline-trie -- [ACCOUNTS…]
//! ```
//!
//! Accounts default to 1000000. A block of 10,000 transfers changes 20,000 accounts, picked at
//! random. Variants take turns; times are the median, with the best in parentheses. Nothing is
//! committed and nothing evicted: what changed stays in memory.

#![allow(clippy::print_stdout, reason = "its purpose")]

use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::{error::Error, time::Instant};
use warpline_trie::{
    AccountChange, AccountUpdate, Finding, FlatAccount, MemoryState, StateTrie, TrieConfig, rebuild,
};
use warpline_types::AccountState;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Blocks that are measured of each variant.
const ROUNDS: u64 = 15;

/// States up to this size are wholly in memory when measuring begins; of larger ones a block finds
/// little more than the stored nodes there, and reads its pages.
const IN_MEMORY: u64 = 2_000_000;

fn main() -> Result<()> {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and measures nothing.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let sizes = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let sizes = sizes.map(|size| size.parse()).collect::<std::result::Result<Vec<u64>, _>>()?;
    for accounts in if sizes.is_empty() { vec![1_000_000] } else { sizes } {
        println!("{accounts} accounts");
        if accounts <= IN_MEMORY {
            compare_limits(accounts)?;
        }
        measure(accounts)?;
    }
    Ok(())
}

fn account(n: u64, nonce: u64) -> AccountState {
    // About as long as real ones: ether and odd wei.
    let balance = U256::from(10u128.pow(18)) * U256::from(n % 100 + 1) + U256::from(n ^ nonce);
    AccountState { nonce, balance, code_hash: keccak256([]) }
}

fn address(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

/// `count` of `accounts`, picked by block.
fn block(accounts: u64, number: u64, count: u64) -> Vec<AccountChange> {
    let pick = |n: u64| {
        let hash = keccak256((number << 32 | n).to_le_bytes());
        let n = hash[..8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) % accounts;
        let update = AccountUpdate::Set(account(n, number));
        AccountChange { address: address(n), update, ..Default::default() }
    };
    (0..count).map(pick).collect()
}

fn state(accounts: u64, page_limit: usize) -> Result<(MemoryState, B256)> {
    let mut flat: Vec<_> =
        (0..accounts).map(|n| (address(n), FlatAccount::new(account(n, 0)))).collect();
    flat.sort_unstable_by_key(|(key, _)| *key);
    let mut state = MemoryState { accounts: flat.into_iter().collect(), ..MemoryState::default() };
    let mut nodes = Vec::new();
    let rebuilt = rebuild(&state, page_limit, 2, |finding| {
        if let Finding::Node { path, node, .. } = finding {
            nodes.push((path, node.to_vec()));
        }
        Ok(())
    })?;
    state.account_nodes.extend(nodes);
    Ok((state, rebuilt.root))
}

fn milliseconds<T>(times: &mut Vec<f64>, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = run()?;
    times.push(start.elapsed().as_secs_f64() * 1e3);
    Ok(result)
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}

/// One way to compute roots, with its own trie over the common source.
struct Variant {
    name: String,
    trie: StateTrie,
    changed: u64,
    /// Batches staged and worked on before the root is asked for.
    ahead: u64,
    /// Time from the last change to the root.
    times: Vec<f64>,
}

impl Variant {
    fn new(name: &str, root: B256, threads: usize, changed: u64, ahead: u64) -> Result<Self> {
        let config = TrieConfig { threads, ..TrieConfig::default() };
        let trie = StateTrie::open(config, root)?;
        Ok(Self { name: name.into(), trie, changed, ahead, times: Vec::new() })
    }

    fn run(&mut self, state: &MemoryState, accounts: u64, number: u64) -> Result<[usize; 3]> {
        let mut changes = block(accounts, number, self.changed);
        let batch = self.changed / (self.ahead + 1);
        for _ in 0..self.ahead {
            self.trie.stage(changes.drain(..batch as usize));
            self.trie.advance(state)?;
        }
        let trie = &mut self.trie;
        let update = milliseconds(&mut self.times, || {
            trie.stage(changes);
            Ok(trie.root(state)?)
        })?;
        let updates = update.updates;
        Ok([updates.node_count(), updates.node_bytes(), updates.accounts().len()])
    }
}

/// What a block has to store for several page limits. With 2, every branch is a stored node.
fn compare_limits(accounts: u64) -> Result<()> {
    for page_limit in [2, 16, 64, 256] {
        let (state, root) = state(accounts, page_limit)?;
        let config = TrieConfig { page_limit, ..TrieConfig::default() };
        let mut trie = StateTrie::open(config, root)?;
        trie.stage(block(accounts, 1, 20_000));
        let mut times = Vec::new();
        let update = milliseconds(&mut times, || Ok(trie.root(&state)?))?.updates;
        println!(
            "  page limit {page_limit}: {} nodes in all, {} nodes and {} bytes to store; {:.0} ms with nothing in memory",
            state.account_nodes.len(),
            update.node_count(),
            update.node_bytes(),
            times[0],
        );
    }
    Ok(())
}

fn measure(accounts: u64) -> Result<()> {
    let (state, root) = state(accounts, TrieConfig::PAGE_LIMIT)?;
    let mut variants = [
        Variant::new("20000 changed, 1 thread", root, 1, 20_000, 0)?,
        Variant::new("20000 changed, 2 threads", root, 2, 20_000, 0)?,
        Variant::new("20000 changed, 1 thread, three quarters ahead", root, 1, 20_000, 3)?,
        Variant::new("10000 changed, 1 thread", root, 1, 10_000, 0)?,
        Variant::new("10000 changed, 2 threads", root, 2, 10_000, 0)?,
    ];
    // First from nothing in memory, then with everything there.
    let mut cold = Vec::new();
    for variant in &mut variants {
        let mut times = Vec::new();
        let update = milliseconds(&mut times, || variant.run(&state, accounts, 1))?;
        cold.push((times[0], update));
        variant.times.clear();
        let keys = |chunk: u64| (chunk * 65_536..accounts.min((chunk + 1) * 65_536)).map(address);
        for chunk in 0..if accounts > IN_MEMORY { 0 } else { accounts.div_ceil(65_536) } {
            let keep = |address| AccountChange { address, ..Default::default() };
            variant.trie.stage(keys(chunk).map(keep));
            variant.trie.prefetch(&state)?;
            variant.trie.root(&state)?;
        }
    }
    let mut again = [Vec::new(), Vec::new()];
    for number in 0..ROUNDS {
        for variant in &mut variants {
            variant.run(&state, accounts, number + 2)?;
        }
        if number.is_multiple_of(5) {
            for (threads, times) in again.iter_mut().enumerate() {
                let found = milliseconds(times, || {
                    Ok(rebuild(&state, TrieConfig::PAGE_LIMIT, threads + 1, |_| Ok(()))?)
                })?;
                assert!(found.root == root && root != EMPTY_ROOT_HASH);
            }
        }
    }
    let rebuilds = again.map(|mut times| median(&mut times));
    for (threads, time) in rebuilds.iter().enumerate() {
        println!("  rebuild, {} thread(s): {time:.0} ms", threads + 1);
    }
    for (variant, (cold, [nodes, bytes, changed])) in variants.iter_mut().zip(cold) {
        let (time, best) = (median(&mut variant.times), best(&variant.times));
        let ratio = rebuilds[0] / time;
        println!(
            "  {}: {time:.1} ms ({best:.1}), {ratio:.0} times as fast as a rebuild",
            variant.name
        );
        println!(
            "      with nothing in memory {cold:.1} ms; {nodes} nodes ({bytes} bytes) and {changed} accounts to store; {} MB in memory",
            variant.trie.resident_bytes() >> 20
        );
    }
    for (what, one, two) in [("20000", 0, 1), ("10000", 3, 4)] {
        let medians = [one, two].map(|at| median(&mut variants[at].times.clone()));
        let bests = [one, two].map(|at| best(&variants[at].times));
        println!(
            "  {what} changed, 2 threads against 1: {:.2} ({:.2})",
            medians[0] / medians[1],
            bests[0] / bests[1]
        );
    }
    Ok(())
}
