//! What `warpline statetest`, `blocktest` and `txtest` have in common.

use crate::{
    json,
    limits::{THREADS, up_to},
    output::{self, say, sayln},
};
use clap::Args;
use eyre::{Result, WrapErr, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use regex::Regex;
use std::{
    fs,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    process::ExitCode,
};
use warpline_conformance::{Failure, Kind, Observer, RunConfig, SourceError};

/// More threads than any machine has use for; with many more the system runs out of them.
const MAX_THREADS: usize = 4096;

/// Which fixtures to run and how.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// Fixtures (*.json), archives of them (*.tar.zst), or folders of either.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Threads of the parallel execution; 0 for the sequential oracle [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, usize>)]
    threads: Option<usize>,

    /// In parallel mode, assume no more of Ethereum's own factory than of any other.
    #[arg(long)]
    any_factory: bool,

    /// Cases that run at the same time [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, NonZeroUsize>)]
    workers: Option<NonZeroUsize>,

    /// Run only this fork or network, e.g. Cancun or ShanghaiToCancunAtTime15k.
    #[arg(long, value_name = "NAME")]
    fork: Option<String>,

    /// Run only tests whose file or name this regular expression matches.
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,

    /// Run only one of N files, always the same ones.
    #[arg(long, value_name = "N")]
    sample: Option<NonZeroU32>,

    /// Also write the report as JSON (`-` for standard output, before the last line).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the tests of a kind, prints failures and, last, the totals.
pub(crate) fn run(kind: Kind, args: ConformanceArgs, datadir: Option<PathBuf>) -> Result<ExitCode> {
    // A report that cannot be written is better noticed before the work than after it.
    json::check_writable(args.json.as_deref())?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.unwrap_or(cores);
    let workers = args.workers.map_or(cores, NonZeroUsize::get);
    let together = workers.saturating_mul(threads.max(1));
    ensure!(
        together <= MAX_THREADS,
        "{workers} workers with {threads} threads each are {together}, more than {MAX_THREADS}"
    );
    if let Some(folder) = &datadir {
        fs::create_dir_all(folder).wrap_err_with(|| format!("folder {}", folder.display()))?;
    }
    let config = RunConfig {
        kind,
        paths: args.paths,
        threads,
        any_factory: args.any_factory,
        workers,
        datadir,
        fork: args.fork,
        filter: args.filter,
        sample: args.sample.map_or(1, NonZeroU32::get),
    };
    // A panic in a case is reported as its failure.
    std::panic::set_hook(Box::new(|_| {}));
    let terminal = Terminal::new()?;
    let report = warpline_conformance::run(&config, &terminal);
    terminal.0.finish_and_clear();
    let report = report.wrap_err("running the fixtures")?;

    say!("{}", report.table());
    let shown = output::print(report.totals() + "\n");
    shown.and(json::write(args.json.as_deref(), &report))?;
    Ok(if report.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows failures as they come, below a bar where there is a terminal.
struct Terminal(ProgressBar);

impl Terminal {
    fn new() -> Result<Self> {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")?);
        Ok(Self(bar))
    }
}

impl Observer for Terminal {
    fn total(&self, bytes: u64) {
        self.0.set_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn failed(&self, failure: &Failure) {
        self.0.suspend(|| {
            // The totals at the end meet the same.
            let _nobody_reads_it = output::print(format_args!("{failure}\n"));
        });
    }

    fn error(&self, error: &SourceError) {
        self.0.suspend(|| sayln!("error: {error}"));
    }
}
