//! `warpline predict`: which accounts and slots transactions are expected to touch, and how often
//! that is right.

mod knowledge;
mod show;
mod stored;
mod wanted;

use crate::{
    json,
    limits::up_to,
    output::{self, sayln},
};
use alloy_primitives::B256;
use clap::Args;
use eyre::{Result, ensure, eyre};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{collections::HashSet, path::PathBuf, process::ExitCode};
use wanted::Wanted;
use warpline_chainspec::ChainSpec;
use warpline_predictor::AccessPredictor;
use warpline_replay::{
    FileFailure, PredictionConfig, PredictionScore, PreparedBlock, Unseen, find_fixtures, forecast,
    learn_block, load_block, predict_block, predict_each,
};

/// Predict the accesses of the transactions of block fixtures, and score the predictions.
///
/// Each row of the table is a kind of knowledge: `cold` knows nothing; `block` knows the earlier
/// transactions of the same block; `corpus` knows these and all other blocks given; `analysis`
/// also reads the bytecode of functions that were never seen; `trials` instead executes a
/// transaction, on the state that those before it are expected to leave, where its prediction has
/// gaps.
///
/// Exit code 0: predicted. 1: a file cannot be used, a block cannot be executed, or there is no
/// such transaction. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Fixtures (*.json, *.json.zst), or folders of them.
    #[arg(required_unless_present = "datadir", value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Print what is expected of this transaction, where each entry comes from, and what it
    /// really touched. With --datadir it may also be one that is not in the chain, as it is sent:
    /// then it is predicted on the latest state.
    #[arg(long, value_name = "RAW|HASH", value_parser = Wanted::parse)]
    tx: Option<Wanted>,

    /// With --tx, of a fixture: try transactions out where their predictions have gaps, as `trials`
    /// does, instead of reading bytecode.
    #[arg(long, requires = "tx", conflicts_with = "datadir")]
    trials: bool,

    /// Instead of fixtures, the chain in the data folder of a node, with what the node has learned.
    #[arg(long, value_name = "DIR", requires = "tx",
          conflicts_with_all = ["paths", "export", "from", "chain", "json"])]
    datadir: Option<PathBuf>,

    /// Begin with knowledge from an earlier run, but for `cold`; with --datadir, with this instead
    /// of what the node has learned.
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,

    /// Write down what is known in the end: what was imported, and what all blocks teach.
    #[arg(long, value_name = "FILE", conflicts_with = "tx")]
    export: Option<PathBuf>,

    /// Most megabytes of knowledge that are kept.
    #[arg(long = "predictor.memory", value_name = "MB", default_value = "256",
        value_parser = up_to::<{ 1 << 20 }, usize>)]
    memory: usize,

    /// Leave out blocks with lower numbers.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    from: u64,

    /// Rules for fixtures that do not name their chain: mainnet, sepolia, holesky, hoodi, or the
    /// path of a genesis file [default: mainnet].
    #[arg(long, value_name = "NAME|FILE", value_parser = crate::replay::parse_chain)]
    chain: Option<ChainSpec>,

    /// Also write the scores as JSON (`-` for standard output).
    #[arg(long, value_name = "FILE", conflicts_with = "tx")]
    json: Option<PathBuf>,
}

/// The report. Its fields are stable.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PredictionReport {
    blocks: Vec<BlockScores>,
    total: Scores,
    errors: Vec<FileFailure>,
}

/// The scores of one block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockScores {
    name: String,
    number: u64,
    #[serde(flatten)]
    scores: Scores,
}

/// Scores by knowledge.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Scores {
    cold: PredictionScore,
    block: PredictionScore,
    corpus: PredictionScore,
    analysis: PredictionScore,
    trials: PredictionScore,
}

impl Scores {
    fn add(&mut self, other: &Self) {
        self.cold.add(&other.cold);
        self.block.add(&other.block);
        self.corpus.add(&other.corpus);
        self.analysis.add(&other.analysis);
        self.trials.add(&other.trials);
    }
}

/// Runs the command.
pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode> {
    if let (Some(datadir), Some(wanted)) = (&args.datadir, &args.tx) {
        return stored::show(args, datadir, wanted);
    }
    json::check_writable(args.json.as_deref())?;
    let (files, mut errors) = find_fixtures(&args.paths);
    let (mut blocks, mut known) = (Vec::with_capacity(files.len()), HashSet::new());
    for file in &files {
        match load_block(file, args.chain.as_ref()) {
            Ok(block) if block.header.number < args.from => {}
            // A second copy of a block would tell everything about the first.
            Ok(block) if !known.insert(identity(&block)) => {
                sayln!("{} is left out: the same block was given before", file.display());
            }
            Ok(block) => blocks.push(block),
            Err(error) => errors.push(error),
        }
    }
    if let Some(wanted) = &args.tx {
        errors.iter().for_each(|error| sayln!("Error: {}", error.error));
        let shown = show_one(&blocks, knowledge::start(args)?, wanted.hash(), args.trials)?;
        return Ok(if errors.is_empty() { shown } else { ExitCode::FAILURE });
    }
    ensure!(!blocks.is_empty() || !errors.is_empty(), "there are no blocks to predict");
    let known = knowledge::start(args)?;
    let report = score(&blocks, &known, errors)?;
    if let Some(path) = &args.export {
        knowledge::export(known, &blocks, path)?;
    }
    json::write_with(args.json.as_deref(), &report, show::table(&report))?;
    report.errors.iter().for_each(|error| sayln!("Error: {}", error.error));
    Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn score(
    blocks: &[PreparedBlock],
    known: &AccessPredictor,
    errors: Vec<FileFailure>,
) -> Result<PredictionReport> {
    let progress = ProgressBar::new(blocks.len() as u64 * 4);
    progress.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} blocks: {msg}")?);
    let new = |block: &PreparedBlock| BlockScores {
        name: block.label.clone(),
        number: block.header.number,
        scores: Scores::default(),
    };
    let mut scored: Vec<_> = blocks.iter().map(new).collect();
    for (block, scored) in blocks.iter().zip(&mut scored) {
        progress.set_message(block.label.clone());
        let alone = |learn, mut known| {
            let config = PredictionConfig { learn, unseen: Unseen::Left };
            predict_block(block, &mut known, config)
        };
        scored.scores.cold = alone(false, AccessPredictor::default())?;
        scored.scores.block = alone(true, known.clone())?;
        progress.inc(1);
    }
    for unseen in [Unseen::Left, Unseen::Analysed, Unseen::TriedOut] {
        let config = PredictionConfig { learn: true, unseen };
        predict_each(blocks, known.clone(), config, &mut |index, score| {
            let scores = &mut scored[index].scores;
            *match unseen {
                Unseen::Left => &mut scores.corpus,
                Unseen::Analysed => &mut scores.analysis,
                Unseen::TriedOut => &mut scores.trials,
            } = score;
            progress.set_message(blocks[index].label.clone());
            progress.inc(1);
        })?;
    }
    progress.finish_and_clear();
    let mut total = Scores::default();
    scored.iter().for_each(|block| total.add(&block.scores));
    Ok(PredictionReport { blocks: scored, total, errors })
}

/// Prints the hint of one transaction, made from what all other blocks taught and the earlier
/// transactions of its own.
fn show_one(
    blocks: &[PreparedBlock],
    mut predictor: AccessPredictor,
    hash: B256,
    trials: bool,
) -> Result<ExitCode> {
    let holds = |block: &PreparedBlock| block.txs.iter().any(|tx| tx_hash(tx) == hash);
    let Some(at) = blocks.iter().position(holds) else {
        sayln!("no block given has transaction {hash}; one that is in no block needs --datadir");
        return Ok(ExitCode::FAILURE);
    };
    let others = blocks.iter().enumerate().filter(|(index, _)| *index != at);
    for (_, block) in others {
        learn_block(block, &mut predictor)?;
    }
    let unseen = if trials { Unseen::TriedOut } else { Unseen::Analysed };
    let config = PredictionConfig { learn: true, unseen };
    let found = forecast(&blocks[at], &mut predictor, config, hash)?;
    let found = found.ok_or_else(|| eyre!("transaction {hash} was not executed"))?;
    let others = format!("{} other blocks", blocks.len() - 1);
    output::print(show::hint(&found, &others))?;
    Ok(ExitCode::SUCCESS)
}

/// What no two blocks share: synthetic ones may have equal headers.
fn identity(block: &PreparedBlock) -> (B256, Vec<B256>) {
    (block.header.hash_slow(), block.txs.iter().map(tx_hash).collect())
}

fn tx_hash(tx: &warpline_replay::Tx) -> B256 {
    *tx.tx.inner().tx_hash()
}
