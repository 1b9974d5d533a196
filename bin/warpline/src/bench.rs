//! `warpline bench`: synthetic blocks from real contracts, through both executions.

mod cold;
mod pipeline;
mod scratch;
mod seal;

use crate::{
    json,
    limits::{THREADS, TRANSACTIONS, up_to},
    output::{self, sayln},
    replay::{HintArgs, HintsArg, ModeArg},
};
use eyre::WrapErr;
use indicatif::{ProgressBar, ProgressStyle};
use seal::seal;
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};
use warpline_executor::ParallelConfig;
use warpline_fixture::BlockFixture;
use warpline_predictor::AccessPredictor;
use warpline_replay::{Mode, PreparedBlock, Report, RunConfig, Runner, learn_block, render_table};
use warpline_workload::{BlockSpec, Rules, Workload, generate};

/// Execute synthetic blocks, sequentially and in parallel
///
/// The blocks are made of transactions to real contracts. Both executions are checked against
/// each other and against the header, and timed in turns.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("database").args(["pipeline", "cold"])))]
pub(crate) struct BenchArgs {
    /// What the transactions do (`--list` explains), or `all`
    #[arg(value_name = "WORKLOAD", required_unless_present = "list", value_parser = workloads)]
    workloads: Vec<Choice>,

    /// List the workloads
    #[arg(long)]
    list: bool,

    /// Transactions per block
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = up_to::<TRANSACTIONS, usize>)]
    txs: usize,

    /// Share of transactions that meet in one place, 0 to 1; several make several blocks
    #[arg(long, value_name = "R", value_delimiter = ',', default_value = "0", value_parser = share)]
    hot_ratio: Vec<f64>,

    /// What the blocks are derived from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// The rules the blocks follow; few workloads run under the old ones
    #[arg(long, value_name = "FORK", value_enum, default_value_t = Fork::Osaka)]
    rules: Fork,

    /// Threads of the parallel execution, the calling one included [default: all cores]
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, NonZeroUsize>)]
    threads: Option<NonZeroUsize>,

    /// Timed runs of each execution; the report shows medians
    #[arg(long, value_name = "N", default_value = "15")]
    runs: NonZeroUsize,

    #[command(flatten)]
    hints: HintArgs,

    /// Write the report as JSON (`-` for standard output)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure whole blocks instead: senders, execution, state root and commit to a database
    #[arg(long, conflicts_with = "emit")]
    pipeline: bool,

    /// Measure instead how long a block takes on a state that is on the disk and not in memory,
    /// with and without reading ahead what `--hints` expects
    #[arg(long, conflicts_with_all =
        ["emit", "pipeline", "ablate", "blocks", "streaming", "mode", "senders", "keep"])]
    cold: bool,

    /// With --cold: threads that read ahead
    #[arg(long, value_name = "N", default_value = "16", requires = "cold")]
    prefetchers: NonZeroUsize,

    /// With --pipeline: blocks of the chain that is imported
    #[arg(long, value_name = "N", default_value = "16", requires = "pipeline")]
    blocks: NonZeroUsize,

    /// With --pipeline and --cold: accounts in the state before the first block, at least
    #[arg(long, value_name = "N", default_value_t = 0, requires = "database")]
    state_size: usize,

    /// With --pipeline and --cold: where the database is made for the time being [default: a
    /// temporary folder]
    #[arg(long, value_name = "DIR", requires = "database")]
    datadir: Option<PathBuf>,

    /// With --pipeline, and senders that are known: also with the state root of every block begun
    /// while the block executes, and blocks that are made one after the other, as with
    /// --root.stream never, auto and always
    #[arg(long, requires = "pipeline")]
    streaming: bool,

    /// With --pipeline: how blocks are imported
    #[arg(long, value_name = "MODE", value_enum, default_value = "both", requires = "pipeline")]
    mode: ModeArg,

    /// With --pipeline: whether senders are known or recovered from the signatures
    #[arg(long, value_name = "WHICH", value_enum, default_value = "both", requires = "pipeline")]
    senders: pipeline::Senders,

    /// With --pipeline: leave the databases, for `export`, `import` and `db`
    #[arg(long, requires = "pipeline")]
    keep: bool,

    /// Write the blocks as fixtures instead of running them: a file for one, a folder for several
    #[arg(long, value_name = "PATH", conflicts_with_all = ["json"])]
    emit: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fork {
    Osaka,
    Homestead,
}

/// One workload or all of them.
#[derive(Debug, Clone, Copy)]
enum Choice {
    One(Workload),
    All,
}

/// Transactions of a kind that are learned from before its block is predicted.
const LESSONS: usize = 100;

/// A block to be made.
#[derive(Debug, Clone, Copy)]
struct Job {
    workload: Workload,
    spec: BlockSpec,
}

fn workloads(name: &str) -> Result<Choice, warpline_workload::WorkloadError> {
    Ok(if name == "all" { Choice::All } else { Choice::One(name.parse()?) })
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("not from 0 to 1".to_owned()) }
}

/// Runs the command.
pub(crate) fn run(args: BenchArgs) -> eyre::Result<ExitCode> {
    if args.list {
        list()?;
        return Ok(ExitCode::SUCCESS);
    }
    let jobs = args.jobs();
    if let Some(job) = jobs.iter().find(|job| !job.runs()) {
        output::conflict(&format!("workload `{}` does not run under the old rules", job.workload));
    }
    if args.streams_in_vain() {
        output::conflict(
            "--streaming measures in parallel, with known senders: --mode or --senders leave that out",
        );
    }
    args.hints.check();
    let expects = args.hints.hints != HintsArg::Off;
    if args.pipeline && expects {
        output::conflict("--pipeline measures imports, which take no --hints");
    }
    if args.cold && !expects {
        output::conflict("--cold measures what hints are worth: say which, with --hints");
    }
    if args.pipeline || args.cold {
        return scratch::measure(args, jobs);
    }
    match &args.emit {
        Some(path) => emit(&jobs, path),
        None => measure(&args, &jobs),
    }
}

fn list() -> eyre::Result<()> {
    let line = |name, transactions, hot| format!("{name:<14} {transactions:<38} {hot}\n");
    let first = line("workload", "transactions", "hot transactions share");
    let others = Workload::ALL.iter().map(|it| line(it.name(), it.summary(), it.hot_spot()));
    output::print(first + &others.collect::<String>())
}

impl BenchArgs {
    fn jobs(&self) -> Vec<Job> {
        let rules = match self.rules {
            Fork::Osaka => Rules::Osaka,
            Fork::Homestead => Rules::Homestead,
        };
        let chosen = self.workloads.iter().flat_map(|choice| match choice {
            Choice::One(workload) => vec![*workload],
            Choice::All => Workload::ALL
                .into_iter()
                .filter(|workload| rules == Rules::Osaka || workload.runs_under_homestead())
                .collect(),
        });
        let job = |workload, hot_ratio| Job {
            workload,
            spec: BlockSpec { transactions: self.txs, hot_ratio, seed: self.seed, rules },
        };
        chosen
            .flat_map(|workload| self.hot_ratio.iter().map(move |ratio| job(workload, *ratio)))
            .collect()
    }
}

impl Job {
    fn runs(&self) -> bool {
        self.spec.rules == Rules::Osaka || self.workload.runs_under_homestead()
    }

    /// The hot ratio in percent, as many digits as there are: no two blocks share a name.
    fn percent(&self) -> f64 {
        (self.spec.hot_ratio * 1e12).round() / 1e10
    }

    /// What the report calls the block.
    fn label(&self) -> String {
        format!("{} {}% hot", self.workload, self.percent())
    }

    fn file_name(&self) -> String {
        format!("{}-{}-hot.json.zst", self.workload, self.percent())
    }

    /// The command that makes the block.
    fn source(&self) -> String {
        let BlockSpec { transactions, hot_ratio, seed, rules } = self.spec;
        let rules = if rules == Rules::Homestead { " --rules homestead" } else { "" };
        let Self { workload, .. } = self;
        format!(
            "warpline bench {workload} --txs {transactions} --hot-ratio {hot_ratio} --seed {seed}{rules}"
        )
    }

    /// A predictor that has seen so many transactions of the kind, with other accounts.
    fn taught(&self, transactions: usize) -> eyre::Result<AccessPredictor> {
        let mut predictor = AccessPredictor::default();
        let seed = self.spec.seed.wrapping_add(1);
        let spec = BlockSpec { transactions, seed, ..self.spec };
        let earlier = Self { spec, ..*self };
        let block = PreparedBlock::new("earlier", earlier.fixture()?, None)?;
        learn_block(&block, &mut predictor)?;
        Ok(predictor)
    }

    fn fixture(&self) -> eyre::Result<BlockFixture> {
        let block = generate(self.workload, &self.spec)?;
        seal(block, self.source()).wrap_err_with(|| format!("workload `{}`", self.workload))
    }
}

fn emit(jobs: &[Job], path: &Path) -> eyre::Result<ExitCode> {
    if jobs.len() > 1 {
        fs::create_dir_all(path).wrap_err_with(|| format!("folder {}", path.display()))?;
    }
    for job in jobs {
        let file = if jobs.len() > 1 { path.join(job.file_name()) } else { path.to_owned() };
        job.fixture()?.save(&file)?;
        sayln!("wrote {}: {}", file.display(), job.source());
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &BenchArgs, jobs: &[Job]) -> eyre::Result<ExitCode> {
    // A report that cannot be written is better noticed before the work than after it.
    json::check_writable(args.json.as_deref())?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map_or_else(cores, NonZeroUsize::get);
    let runs = args.runs.get();
    let parallel = ParallelConfig { threads, ..ParallelConfig::default() };
    let (mode, hints, ablate) = (Mode::Both, args.hints.source(), args.hints.ablate);
    let config = RunConfig { parallel, runs, mode, hints, ablate };
    let runner = Runner::new(config).wrap_err("starting the threads")?;

    let progress = ProgressBar::new((jobs.len() * runs) as u64);
    progress
        .set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left: {msg}")?);
    let mut reports = Vec::with_capacity(jobs.len());
    for job in jobs {
        progress.set_message(job.label());
        let block = PreparedBlock::new(job.label(), job.fixture()?, None)?;
        let mut taught = job.taught(LESSONS)?;
        let expected = args.hints.expect(&block, &taught);
        let mut report = runner.run(&block, expected.as_ref(), || progress.inc(1));
        report.predict(&block, &mut taught);
        reports.push(report);
    }
    progress.finish_and_clear();

    let report = Report::new(&config, reports, Vec::new());
    json::write_with(args.json.as_deref(), &report, render_table(&report))?;
    Ok(if report.verified() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use warpline_replay::{
        BlockReport, Check, PredictionConfig, Unseen, find_fixtures, predict_block,
    };

    fn job(workload: Workload, rules: Rules) -> Job {
        let spec = BlockSpec { transactions: 12, hot_ratio: 0.5, seed: 3, rules };
        Job { workload, spec }
    }

    fn report(block: &PreparedBlock) -> BlockReport {
        let parallel = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
        let config = RunConfig { parallel, runs: 1, ..RunConfig::default() };
        Runner::new(config).unwrap().run(block, None, || ())
    }

    #[test]
    fn every_generated_block_passes_every_check() {
        for workload in Workload::ALL {
            let fixture = job(workload, Rules::Osaka).fixture().unwrap();
            let block = PreparedBlock::new("test", fixture, None).unwrap();
            let report = report(&block);
            assert!(report.verified(), "{workload}: {report:?}");
            assert_eq!(report.count("passed"), report.checks.len(), "{workload}: {report:?}");
        }
    }

    #[test]
    fn accesses_are_predicted_after_a_hundred_transactions_of_the_kind() {
        for workload in Workload::ALL {
            let spec = BlockSpec { transactions: 300, hot_ratio: 0.3, ..BlockSpec::default() };
            let job = Job { workload, spec };
            let block = PreparedBlock::new("test", job.fixture().unwrap(), None).unwrap();
            // How many ticks a swap crosses is news again and again. The rarest kinds are two of a
            // hundred in the mix.
            let left = match workload {
                Workload::DexTicks => &[(LESSONS, 0.95), (10 * LESSONS, 0.95)][..],
                Workload::Mixed => &[(50 * LESSONS, 0.99)],
                _ => &[(LESSONS, 0.99)],
            };
            let left = left.iter().map(|(lessons, least)| (*lessons, Unseen::Left, *least));
            let rest = [(0, Unseen::Analysed, 0.99), (LESSONS, Unseen::TriedOut, 0.99)];
            for (lessons, unseen, least) in left.chain(rest) {
                let mut taught = match lessons {
                    0 => AccessPredictor::default(),
                    _ => job.taught(lessons).unwrap(),
                };
                let config = PredictionConfig { learn: true, unseen };
                let score = predict_block(&block, &mut taught, config).unwrap();
                for tally in [score.accounts, score.slots, score.slots_written] {
                    for share in [tally.recall(), tally.precision()].into_iter().flatten() {
                        let when = format!("{workload} after {lessons}, {unseen:?}");
                        assert!(share >= least, "{when}: {score:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn receipts_before_byzantium_hold_state_roots_that_are_checked() {
        for workload in [Workload::Erc20, Workload::Relay] {
            let fixture = job(workload, Rules::Homestead).fixture().unwrap();
            let block = PreparedBlock::new("test", fixture, None).unwrap();
            let report = report(&block);
            assert!(report.verified(), "{workload}: {report:?}");
            assert_eq!(report.checks.get(&Check::ReceiptsRoot), Some(&"passed"));
            assert_eq!(report.checks.get(&Check::StateRoot), Some(&"passed"));
        }
    }

    #[test]
    fn testdata_is_what_the_generator_makes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
        let (files, failures) = find_fixtures(&[folder]);
        assert!(failures.is_empty(), "{failures:?}");
        let mut ours = 0;
        for file in files {
            let committed = BlockFixture::load(&file).unwrap();
            if !committed.manifest.source.starts_with("warpline bench ") {
                continue;
            }
            ours += 1;
            let command = crate::Cli::try_parse_from(committed.manifest.source.split(' ')).unwrap();
            let crate::Command::Bench(args) = command.command else { panic!("{file:?}") };
            let made = args.jobs()[0].fixture().unwrap();
            assert_eq!(committed.hash, made.hash, "{file:?}: run scripts/make-testdata.sh");
            let (before, after) = (committed.pre_state.state_root(), made.pre_state.state_root());
            assert_eq!(before, after, "{file:?}: run scripts/make-testdata.sh");
        }
        assert_eq!(ours, 7);
    }

    #[test]
    fn close_hot_ratios_are_told_apart() {
        let name = |hot_ratio| {
            let job = job(Workload::Dex, Rules::Osaka);
            Job { spec: BlockSpec { hot_ratio, ..job.spec }, ..job }.file_name()
        };
        assert_eq!([0.0, 0.07, 0.3, 1.0].map(name), ["0", "7", "30", "100"].map(file));
        assert_eq!([0.301, 0.304].map(name), ["30.1", "30.4"].map(file));
        fn file(percent: &str) -> String {
            format!("dex-{percent}-hot.json.zst")
        }
    }

    #[test]
    fn an_emitted_block_is_read_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("block.json.zst");
        let job = job(Workload::Mixed, Rules::Osaka);
        emit(&[job], &file).unwrap();
        let (made, read) = (job.fixture().unwrap(), BlockFixture::load(&file).unwrap());
        assert_eq!(read.hash, made.hash);
        assert_eq!(read.transactions, made.transactions);
        assert_eq!(read.pre_state.state_root(), made.pre_state.state_root());
        assert_eq!(read.manifest.source, job.source());
    }
}
