//! `warpline replay`: real blocks, sequentially and in parallel, verified and timed.

use crate::{
    json,
    limits::{THREADS, up_to},
    output,
};
use clap::{Args, ValueEnum};
use eyre::{Result, WrapErr};
use indicatif::{ProgressBar, ProgressStyle};
use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode};
use warpline_chainspec::ChainSpec;
use warpline_executor::ParallelConfig;
use warpline_predictor::AccessPredictor;
use warpline_replay::{
    BlockExpectations, HintSource, Mode, PreparedBlock, Report, RunConfig, Runner, Unseen,
    expect_block, find_fixtures, load_block, render_table, touched_by_block,
};

/// Replay block fixtures sequentially and in parallel, check both against the block's header and
/// against each other, and report the speed.
///
/// Exit code 0: everything verified. 1: a check failed, both executions differ, or a file cannot
/// be used. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Fixtures (*.json, *.json.zst), or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Threads of the parallel execution, the calling one included [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, NonZeroUsize>)]
    threads: Option<NonZeroUsize>,

    /// Timed runs of each execution; the report shows medians.
    #[arg(long, value_name = "N", default_value = "15")]
    runs: NonZeroUsize,

    /// Which executions to run.
    #[arg(long, value_enum, default_value = "both")]
    mode: ModeArg,

    /// Rules for fixtures that do not name their chain: mainnet, sepolia, holesky, hoodi, or the
    /// path of a genesis file [default: mainnet].
    #[arg(long, value_name = "NAME|FILE", value_parser = parse_chain)]
    chain: Option<ChainSpec>,

    #[command(flatten)]
    hints: HintArgs,

    /// Also make the access list of every block (EIP-7928), check it against revm's, and time the
    /// block with its list as the hint.
    #[arg(long)]
    access_lists: bool,

    /// Also write the report as JSON (`-` for standard output).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What the parallel executions are told beforehand.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct HintArgs {
    /// Expect accesses: as the blocks before taught, also from the bytecode or from trials of
    /// what is not known well enough, or exactly what happens.
    #[arg(long, value_enum, value_name = "SOURCE", default_value = "off")]
    pub(crate) hints: HintsArg,

    /// Also time what each use of the hints is worth, by leaving it out.
    #[arg(long)]
    pub(crate) ablate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HintsArg {
    /// Nothing is expected.
    Off,
    /// Templates learned from the blocks before.
    Learned,
    /// These, and what the bytecode of functions says that were never seen.
    Analysed,
    /// Templates, and trials on the state that is expected.
    Trials,
    /// What the transactions really touch.
    Perfect,
}

impl HintArgs {
    pub(crate) const fn source(self) -> HintSource {
        match self.hints {
            HintsArg::Off => HintSource::Off,
            HintsArg::Learned => HintSource::Learned,
            HintsArg::Analysed => HintSource::Analysed,
            HintsArg::Trials => HintSource::Trials,
            HintsArg::Perfect => HintSource::Perfect,
        }
    }

    /// Ends the process where there is nothing to leave out.
    pub(crate) fn check(self) {
        if self.ablate && self.hints == HintsArg::Off {
            output::conflict("--ablate leaves out uses of hints: say which, with --hints");
        }
    }

    /// What is expected of a block by somebody who knows what `predictor` does. A block that
    /// cannot be executed is not worth expectations: running it says why.
    pub(crate) fn expect(
        self,
        block: &PreparedBlock,
        predictor: &AccessPredictor,
    ) -> Option<BlockExpectations> {
        let expected = |unseen| Some(expect_block(block, &mut predictor.clone(), unseen));
        match self.hints {
            HintsArg::Off => None,
            HintsArg::Learned => expected(Unseen::Left),
            HintsArg::Analysed => expected(Unseen::Analysed),
            HintsArg::Trials => expected(Unseen::TriedOut),
            HintsArg::Perfect => touched_by_block(block).ok(),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModeArg {
    /// Sequentially and in parallel, and compare.
    Both,
    /// In parallel only.
    Parallel,
    /// Sequentially only.
    Sequential,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Both => Self::Both,
            ModeArg::Parallel => Self::Parallel,
            ModeArg::Sequential => Self::Sequential,
        }
    }
}

/// The rules that a name or a file stands for.
pub(crate) fn parse_chain(name: &str) -> Result<ChainSpec, String> {
    ChainSpec::by_name_or_path(name).map_err(|error| error.to_string())
}

/// Runs the command.
pub(crate) fn run(args: ReplayArgs) -> Result<ExitCode> {
    // A report that cannot be written is better noticed before the work than after it.
    json::check_writable(args.json.as_deref())?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or_else(cores, NonZeroUsize::get);
    let parallel = ParallelConfig { threads, ..ParallelConfig::default() };
    let runs = args.runs.get();
    let (mode, hints, ablate) = (args.mode.into(), args.hints.source(), args.hints.ablate);
    args.hints.check();
    if mode == Mode::Sequential && hints != HintSource::Off {
        output::conflict("--hints and --ablate are for blocks that run in parallel as well");
    }
    let runner = Runner::new(RunConfig { parallel, runs, mode, hints, ablate })
        .wrap_err("starting the threads")?;

    let (files, mut failures) = find_fixtures(&args.paths);
    let progress = ProgressBar::new((files.len() * runs) as u64);
    progress
        .set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left: {msg}")?);
    let mut blocks = Vec::with_capacity(files.len());
    let mut predictor = AccessPredictor::default();
    for (index, file) in files.iter().enumerate() {
        match load_block(file, args.chain.as_ref()) {
            Ok(block) => {
                progress.set_message(block.label.clone());
                let expected = args.hints.expect(&block, &predictor);
                let mut report = runner.run(&block, expected.as_ref(), || progress.inc(1));
                report.predict(&block, &mut predictor);
                if args.access_lists && report.verified() {
                    report.access_list = Some(runner.access_list(&block));
                }
                blocks.push(report);
            }
            Err(failure) => failures.push(failure),
        }
        progress.set_position(((index + 1) * runs) as u64);
    }
    progress.finish_and_clear();

    let report = Report::new(runner.config(), blocks, failures);
    json::write_with(args.json.as_deref(), &report, render_table(&report))?;
    Ok(if report.verified() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
