//! `warpline bench --pipeline`: workload blocks from bytes to the disk.
//!
//! A chain of blocks is built into a database once. Every timed run opens the database, goes back
//! to the genesis block, which brings the part of the trie that the chain touches into memory,
//! and imports the chain until all of it is written.

use super::{BenchArgs, Job, scratch};
use crate::{json, output::sayln, replay::ModeArg, root_stream::When};
use alloy_consensus::{Header, transaction::Recovered};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, U256, keccak256};
use cpu_time::ProcessTime;
use eyre::WrapErr;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{
    convert::Infallible,
    num::NonZeroUsize,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use warpline_chain::{
    BlockAttributes, Candidate, ChainOptions, Engine, HashedGenesis, Incoming, Rules, StoredChain,
    genesis_header,
};
use warpline_executor::{EthTransaction, ParallelConfig};
use warpline_trie::TrieConfig;
use warpline_types::AccountState;
use warpline_workload::{BlockSpec, WorkloadBlock, generate};

/// One way to get a chain into a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Variant {
    mode: Mode,
    known_senders: bool,
    /// Which roots are begun while blocks execute.
    stream: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Imported, one stage at a time.
    InOrder,
    /// Imported, with overlapping stages.
    Parallel,
    /// Made of transactions, in parallel, each block when the one before is written: as on a node
    /// whose blocks come at intervals. The writing is not in the time that passes.
    Made,
}

const VARIANTS: [Variant; 4] = [
    Variant { mode: Mode::InOrder, known_senders: true, stream: When::Never },
    Variant { mode: Mode::Parallel, known_senders: true, stream: When::Never },
    Variant { mode: Mode::InOrder, known_senders: false, stream: When::Never },
    Variant { mode: Mode::Parallel, known_senders: false, stream: When::Never },
];

/// What `--streaming` adds.
const STREAMING: [Variant; 4] = [
    Variant { mode: Mode::Parallel, known_senders: true, stream: When::Always },
    Variant { mode: Mode::Made, known_senders: true, stream: When::Never },
    Variant { mode: Mode::Made, known_senders: true, stream: When::Auto },
    Variant { mode: Mode::Made, known_senders: true, stream: When::Always },
];

/// With which senders a pipeline is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Senders {
    /// One after the other.
    Both,
    /// Given with the blocks.
    Known,
    /// Recovered from the signatures.
    Recovered,
}

impl BenchArgs {
    /// Whether `--streaming` asks for variants that `--mode` or `--senders` leave out.
    pub(super) fn streams_in_vain(&self) -> bool {
        self.streaming && !STREAMING.iter().any(|variant| self.measures(variant))
    }

    fn measures(&self, variant: &Variant) -> bool {
        let mode = match self.mode {
            ModeArg::Both => true,
            ModeArg::Parallel => variant.mode != Mode::InOrder,
            ModeArg::Sequential => variant.mode == Mode::InOrder,
        };
        let senders = match self.senders {
            Senders::Both => true,
            Senders::Known => variant.known_senders,
            Senders::Recovered => !variant.known_senders,
        };
        mode && senders
    }
}

impl Variant {
    const fn name(&self) -> &'static str {
        match (self.mode, self.stream) {
            (Mode::InOrder, _) => "in order",
            (Mode::Parallel, When::Never) => "parallel",
            (Mode::Parallel, When::Auto) => "parallel, auto",
            (Mode::Parallel, When::Always) => "parallel, always",
            (Mode::Made, When::Never) => "made",
            (Mode::Made, When::Auto) => "made, auto",
            (Mode::Made, When::Always) => "made, always",
        }
    }
}

/// The figures of one variant: medians over the runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    workload: String,
    mode: &'static str,
    senders: &'static str,
    blocks: usize,
    transactions: usize,
    gas_used: u64,
    state_accounts: usize,
    wall_ms: f64,
    /// Of all cores, the writing always included.
    cpu_ms: f64,
    transactions_per_second: f64,
    gas_per_second: f64,
    /// Over the same chain in order, if that was measured too.
    speedup: Option<f64>,
    stages_ms: StagesMs,
}

/// How long each stage was busy. In parallel mode they overlap. Of blocks that are made the root
/// has the time from the execution to the next block.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StagesMs {
    senders: f64,
    reading: f64,
    execution: f64,
    root: f64,
    commit: f64,
    write: f64,
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Timed {
    wall: Duration,
    cpu: Duration,
    stages: StagesMs,
}

/// A chain to import.
struct Prepared {
    rules: Rules,
    blocks: Vec<Incoming>,
    accounts: usize,
}

pub(super) fn measure(args: &BenchArgs, jobs: &[Job], folder: &Path) -> eyre::Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or_else(cores, NonZeroUsize::get);
    let parallel = ParallelConfig { threads, ..ParallelConfig::default() };
    let engines =
        [Engine::Sequential, Engine::parallel(parallel).wrap_err("starting the threads")?];
    let runs = args.runs.get();
    let added: &[Variant] = if args.streaming { &STREAMING } else { &[] };
    let mut variants = [&VARIANTS, added].concat();
    variants.retain(|variant| args.measures(variant));
    let progress = ProgressBar::new((jobs.len() * runs * variants.len()) as u64);
    progress
        .set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left: {msg}")?);

    let (mut rows, mut kept) = (Vec::new(), Vec::new());
    for job in jobs {
        let own = scratch::folder(folder)?;
        progress.set_message(format!("{}, building", job.label()));
        let path = &own.path().join("db");
        let chain = prepare(path, job, args, &engines[1], threads)
            .wrap_err_with(|| format!("workload `{}`", job.workload))?;
        progress.set_message(job.label());
        let mut timed = vec![Vec::new(); variants.len()];
        for _ in 0..runs {
            for (variant, timed) in variants.iter().zip(&mut timed) {
                let engine = &engines[usize::from(variant.mode != Mode::InOrder)];
                timed.push(run(path, *variant, &chain, engine, threads)?);
                progress.inc(1);
            }
        }
        rows.extend(summarize(job, &chain, &variants, &timed));
        if args.keep {
            let kept_in = scratch::keep(own, folder)?;
            kept.push(format!("{}: --datadir {}", job.label(), kept_in.display()));
        }
    }
    progress.finish_and_clear();
    kept.iter().for_each(|database| sayln!("{database}"));
    let report = serde_json::json!({ "threads": threads, "runs": runs, "pipeline": rows });
    json::write_with(args.json.as_deref(), &report, table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn options(threads: usize) -> ChainOptions {
    let trie = TrieConfig { threads, ..TrieConfig::default() };
    ChainOptions { trie, ..ChainOptions::default() }
}

/// Makes the database and the chain.
fn prepare(
    path: &Path,
    job: &Job,
    args: &BenchArgs,
    engine: &Engine,
    threads: usize,
) -> eyre::Result<Prepared> {
    let transactions = job.spec.transactions.saturating_mul(args.blocks.get());
    let block = generate(job.workload, &BlockSpec { transactions, ..job.spec })?;
    let (mut chain, rules, accounts) = create(path, &block, job.spec.transactions, args, threads)?;
    let gas_limit = chain.head_header().gas_limit;
    let size = job.spec.transactions.max(1);
    let WorkloadBlock { transactions, senders, header, .. } = block;
    let mut timestamp = header.timestamp;
    let signed: Vec<_> = transactions
        .into_iter()
        .zip(&senders)
        .map(|(tx, sender)| Recovered::new_unchecked(tx, *sender))
        .collect();
    let mut blocks = Vec::with_capacity(args.blocks.get());
    for txs in signed.chunks(size) {
        let attributes = attributes(&Header { timestamp, gas_limit, ..header.clone() });
        let senders = txs.iter().map(Recovered::signer).collect();
        let block = chain.build(engine, attributes, txs.to_vec())?;
        blocks.push(Incoming { block, senders: Some(senders) });
        timestamp += 12;
    }
    chain.shutdown()?;
    Ok(Prepared { rules, blocks, accounts })
}

/// Makes a database whose genesis block comes before the transactions of `block`, `size` of which
/// are to fit into each block of the chain. Also tells its rules and the number of accounts.
pub(super) fn create(
    path: &Path,
    block: &WorkloadBlock,
    size: usize,
    args: &BenchArgs,
    threads: usize,
) -> eyre::Result<(StoredChain, Rules, usize)> {
    let rules = Rules::from_config(&block.chain)?;
    let limits = |txs: &[_]| txs.iter().map(alloy_consensus::Transaction::gas_limit).sum::<u64>();
    let fullest = block.transactions.chunks(size.max(1)).map(limits).max().unwrap_or_default();
    // Twice what a block may use, so that the base fee does not rise.
    let gas_limit = fullest.saturating_mul(2).max(30_000_000);
    let genesis = Genesis {
        config: block.chain.clone(),
        timestamp: block.header.timestamp - 1,
        gas_limit,
        base_fee_per_gas: block.header.base_fee_per_gas.map(u128::from),
        ..Genesis::default()
    };
    let header = genesis_header(&genesis, &rules)?;
    let state = state(block, args.state_size);
    let accounts = state.accounts.len();
    let options = ChainOptions { config: Some(block.chain.clone()), ..options(threads) };
    let chain = StoredChain::create_large(path, options, rules.clone(), header, state)?;
    Ok((chain, rules, accounts))
}

/// The state of the workload, and accounts that nobody touches up to a size.
fn state(block: &WorkloadBlock, size: usize) -> HashedGenesis {
    let mut state = HashedGenesis::default();
    for (address, account) in &block.pre_state {
        let (hash, code_hash) = (keccak256(address), keccak256(&account.code));
        let (balance, nonce) = (account.balance, account.nonce);
        state.accounts.push((hash, AccountState { balance, nonce, code_hash }));
        if !account.code.is_empty() {
            state.codes.push((code_hash, account.code.clone()));
        }
        let slot = |(slot, value): (&U256, &U256)| (hash, keccak256(B256::from(*slot)), *value);
        state.slots.extend(account.storage.iter().map(slot));
    }
    let filler = (state.accounts.len()..size).map(|index| {
        let hash = keccak256([b"filler".as_slice(), &index.to_be_bytes()].concat());
        let balance = U256::from(1_000_000_000_000_000_000_u64 + index as u64);
        (hash, AccountState { balance, nonce: index as u64 % 100, code_hash: keccak256([]) })
    });
    state.accounts.extend(filler);
    state
}

fn run(
    path: &Path,
    variant: Variant,
    prepared: &Prepared,
    engine: &Engine,
    threads: usize,
) -> eyre::Result<Timed> {
    let threads = if variant.mode == Mode::InOrder { 1 } else { threads };
    let options = ChainOptions { streaming: variant.stream.streaming(), ..options(threads) };
    let mut chain = StoredChain::open(path, options, prepared.rules.clone(), None)?;
    chain.unwind(0)?;
    if variant.mode == Mode::Made {
        return make(chain, prepared, engine);
    }
    let blocks = prepared.blocks.iter().map(|incoming| Incoming {
        block: incoming.block.clone(),
        senders: incoming.senders.clone().filter(|_| variant.known_senders),
    });
    let blocks: Vec<_> = blocks.map(Ok::<_, Infallible>).collect();
    let written = chain.storage().time_writing();
    let (start, began) = (Instant::now(), ProcessTime::now());
    let stages = chain.import_all(engine, blocks.into_iter(), &|_| {})?;
    chain.flush()?;
    let (wall, cpu) = (start.elapsed(), began.elapsed());
    let stages = StagesMs {
        senders: ms(stages.senders),
        reading: ms(stages.reading),
        execution: ms(stages.execution),
        root: ms(stages.root),
        commit: ms(stages.commit),
        write: ms(chain.storage().time_writing() - written),
    };
    chain.shutdown()?;
    Ok(Timed { wall, cpu, stages })
}

/// Makes the blocks of the chain again, one after the other.
fn make(mut chain: StoredChain, prepared: &Prepared, engine: &Engine) -> eyre::Result<Timed> {
    let made = prepared.blocks.iter().map(|Incoming { block, senders }| {
        let txs = block.body.transactions.iter().zip(senders.iter().flatten());
        let candidate = |(tx, sender): (&EthTransaction, &Address)| {
            Candidate::from(Recovered::new_unchecked(tx.clone(), *sender))
        };
        (attributes(&block.header), txs.map(candidate).collect::<Vec<_>>())
    });
    let blocks: Vec<_> = made.collect();
    let written = chain.storage().time_writing();
    let (mut executing, mut adopting) = (Duration::ZERO, Duration::ZERO);
    let began = ProcessTime::now();
    for (attributes, candidates) in blocks {
        let start = Instant::now();
        let proposal = chain.propose_next(engine, &attributes, candidates)?;
        executing += start.elapsed();
        let start = Instant::now();
        chain.adopt(proposal)?;
        adopting += start.elapsed();
        chain.flush()?;
    }
    let mut stages =
        StagesMs { execution: ms(executing), root: ms(adopting), ..StagesMs::default() };
    stages.write = ms(chain.storage().time_writing() - written);
    let cpu = began.elapsed();
    let same = prepared
        .blocks
        .last()
        .is_none_or(|last| last.block.header.hash_slow() == chain.head().hash);
    eyre::ensure!(same, "the blocks made are others");
    chain.shutdown()?;
    Ok(Timed { wall: executing + adopting, cpu, stages })
}

/// What the producer of a block of the chain decides.
fn attributes(header: &Header) -> BlockAttributes {
    BlockAttributes {
        timestamp: header.timestamp,
        beneficiary: header.beneficiary,
        prev_randao: header.mix_hash,
        extra_data: header.extra_data.clone(),
        gas_limit: header.gas_limit,
        base_fee_per_gas: None,
        dev: false,
        withdrawals: Vec::new(),
        parent_beacon_block_root: header.parent_beacon_block_root.unwrap_or_default(),
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get((values.len().max(1) - 1) / 2), values.get(values.len() / 2));
    low.zip(high).map_or(0.0, |(low, high)| f64::midpoint(*low, *high))
}

fn summarize(job: &Job, chain: &Prepared, variants: &[Variant], timed: &[Vec<Timed>]) -> Vec<Row> {
    let transactions = chain.blocks.iter().map(|b| b.block.body.transactions.len()).sum();
    let gas_used = chain.blocks.iter().map(|b| b.block.header.gas_used).sum();
    let wall = |timed: &[Timed]| median(timed.iter().map(|timed| ms(timed.wall)));
    let row = |at: usize| {
        let (variant, runs) = (variants[at], &timed[at]);
        let in_order = Variant { mode: Mode::InOrder, stream: When::Never, ..variant };
        let base = variants.iter().position(|other| *other == in_order);
        let stage = |of: fn(&StagesMs) -> f64| median(runs.iter().map(|timed| of(&timed.stages)));
        let wall_ms = wall(runs);
        Row {
            workload: job.label(),
            mode: variant.name(),
            senders: if variant.known_senders { "known" } else { "recovered" },
            blocks: chain.blocks.len(),
            transactions,
            gas_used,
            state_accounts: chain.accounts,
            wall_ms,
            cpu_ms: median(runs.iter().map(|timed| ms(timed.cpu))),
            transactions_per_second: transactions as f64 / wall_ms * 1e3,
            gas_per_second: gas_used as f64 / wall_ms * 1e3,
            speedup: base.map(|base| wall(&timed[base]) / wall_ms),
            stages_ms: StagesMs {
                senders: stage(|s| s.senders),
                reading: stage(|s| s.reading),
                execution: stage(|s| s.execution),
                root: stage(|s| s.root),
                commit: stage(|s| s.commit),
                write: stage(|s| s.write),
            },
        }
    };
    (0..variants.len()).map(row).collect()
}

/// For people. Stages are in percent of the wall time.
fn table(rows: &[Row]) -> String {
    use core::fmt::Write as _;
    let mut text = format!(
        "{:<22} {:<18} {:<9} {:>9} {:>9} {:>10} {:>8} {:>8} {:>9} {:>8} {:>7} {:>7} {:>7} {:>7} \
         {:>7}\n",
        "workload",
        "mode",
        "senders",
        "accounts",
        "txs",
        "tx/s",
        "Mgas/s",
        "speedup",
        "cpu us/tx",
        "senders",
        "read",
        "execute",
        "root",
        "commit",
        "write",
    );
    for row in rows {
        let share = |stage: f64| format!("{:.0}%", stage / row.wall_ms * 100.0);
        let stages = &row.stages_ms;
        let _infallible = writeln!(
            text,
            "{:<22} {:<18} {:<9} {:>9} {:>9} {:>10.0} {:>8.0} {:>8} {:>9.1} {:>8} {:>7} {:>7} {:>7} \
             {:>7} {:>7}",
            row.workload,
            row.mode,
            row.senders,
            row.state_accounts,
            row.transactions,
            row.transactions_per_second,
            row.gas_per_second / 1e6,
            row.speedup.map_or_else(|| "-".to_owned(), |speedup| format!("{speedup:.2}")),
            row.cpu_ms * 1e3 / row.transactions.max(1) as f64,
            share(stages.senders),
            share(stages.reading),
            share(stages.execution),
            share(stages.root),
            share(stages.commit),
            share(stages.write),
        );
    }
    text
}
