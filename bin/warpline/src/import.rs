//! `warpline import`: blocks from files into the database.

mod meter;
mod source;

use crate::{
    block_file::{BlockFile, RawBlock},
    datadir::{self, DatadirArgs},
    json,
    limits::{THREADS, up_to},
    network::{ChainArg, Network},
    output::{self, say, sayln},
    prune::PruneArgs,
    root_stream::RootStreamArgs,
    stop::Stop,
};
use clap::{Args, ValueEnum};
use eyre::{Result, WrapErr, eyre};
use meter::{Meter, Summary};
use source::{Source, Trail};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use warpline_chain::{ChainOptions, Engine, ImportError, Reason, Stopped, StoredChain};
use warpline_executor::ParallelConfig;
use warpline_storage::{BlockRef, CacheSizes, Durability, StorageError, StorageOptions};
use warpline_trie::TrieConfig;

/// Import blocks from files, with full validation.
///
/// A file is the RLP of blocks one after the other, as `geth export` and `warpline export` write
/// it, plain or gzipped. Blocks that the chain has already are passed over, so an import that was
/// interrupted, however it was, goes on where it was when it is started again.
///
/// Blocks beside the chain are remembered only while the import runs: a branch has to come whole,
/// from the chain on, in the files of one import.
///
/// SIGINT and SIGTERM end an import in order after the blocks that are being executed; a second
/// one ends it at once, which the database survives as well.
///
/// Exit code 0: all blocks are in the database. 1: a block is invalid, or a file or the database
/// cannot be used; all blocks before are in the database. 2: wrong usage. 130, 143: ended by
/// SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files of blocks, in the order of the chain.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    datadir: DatadirArgs,

    /// The chain: mainnet, sepolia, holesky, hoodi, or the path of a genesis file in geth's
    /// format. Makes the database where there is none; otherwise the database must be of this
    /// chain.
    #[arg(long, value_name = "NAME|FILE", value_parser = ChainArg::parse)]
    chain: Option<ChainArg>,

    /// Threads of the parallel execution, the calling one included; 0 to execute in order
    /// [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, usize>)]
    threads: Option<usize>,

    #[command(flatten)]
    prune: PruneArgs,

    /// Make the access list of every block (EIP-7928) and keep it: with it the block has no
    /// conflicts if it comes again. Lists that headers commit to are kept anyway, and lists that
    /// are there are used anyway.
    #[arg(long)]
    access_lists: bool,

    /// When commits are on the disk. With both a killed process loses none that was made, and the
    /// database opens after a power cut.
    #[arg(long = "db.sync-mode", value_name = "MODE", value_enum, default_value = "durable")]
    sync_mode: SyncMode,

    /// Memory for caches, in megabytes [default: 1440].
    #[arg(long, value_name = "MB")]
    cache: Option<u64>,

    #[command(flatten)]
    root_stream: RootStreamArgs,

    /// Seconds between lines of progress where standard error is no terminal; 0 for a line per
    /// block.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    log_interval: u64,

    /// Also write the summary as JSON (`-` for standard output).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SyncMode {
    /// Every commit waits for the disk.
    Durable,
    /// The disk is waited for now and then; a power cut takes the blocks since.
    SafeNoSync,
}

impl ImportArgs {
    fn options(&self, threads: usize) -> ChainOptions {
        let durability = match self.sync_mode {
            SyncMode::Durable => Durability::EveryCommit,
            SyncMode::SafeNoSync => {
                Durability::Periodic { bytes: 256 << 20, period: Duration::from_secs(30) }
            }
        };
        let storage = StorageOptions { durability, prune: self.prune.prune, ..Default::default() };
        let trie = TrieConfig { threads: threads.max(1), ..TrieConfig::default() };
        let (access_lists, streaming) = (self.access_lists, self.root_stream.streaming());
        let options =
            ChainOptions { storage, trie, access_lists, streaming, ..ChainOptions::default() };
        match self.cache {
            Some(megabytes) => with_cache(options, megabytes.saturating_mul(1 << 20)),
            None => options,
        }
    }
}

/// Shares memory out as the defaults do, for which see [`CacheSizes`], [`ChainOptions`] and
/// [`TrieConfig`]: two thirds for the trie, a sixth for values, the rest for code.
fn with_cache(mut options: ChainOptions, bytes: u64) -> ChainOptions {
    let share = |part: u64, of: u64, each: u64| (bytes / of * part / each) as usize;
    options.storage.cache = CacheSizes {
        accounts: share(1, 18, 150),
        slots: share(2, 18, 130),
        code_bytes: bytes / 18,
    };
    options.code_cache = bytes / 9;
    options.trie.memory_limit = share(2, 3, 1);
    options
}

/// Runs the command.
pub(crate) fn run(args: &ImportArgs) -> Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let bytes = args.files.iter().map(|file| readable(file)).sum::<Result<u64>>()?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.unwrap_or_else(cores);
    let engine = match threads {
        0 => Engine::Sequential,
        threads => Engine::parallel(ParallelConfig { threads, ..ParallelConfig::default() })
            .wrap_err("starting the threads")?,
    };
    let stop = Stop::on_signals()?;
    let mut chain = open_or_create(args, args.options(threads))?;

    let meter = Meter::new(bytes, Duration::from_secs(args.log_interval))?;
    let mut session = Session { chain: &mut chain, engine: &engine, stop: &stop, meter };
    let imported = args.files.iter().try_for_each(|file| session.import(file));
    let meter = session.meter;
    meter.finish();
    let flushed = chain.flush().wrap_err("writing the last blocks");
    let mut summary = Summary::new(&meter, threads, &chain, stop.requested())?;
    let closed = chain.shutdown().wrap_err("closing the database");
    let done = imported.and(flushed).and(closed);
    summary.error = done.as_ref().err().map(output::explained);
    say!("{summary}");
    let written = json::write(args.json.as_deref(), &summary);
    done.and(written)?;
    Ok(stop.exit_code().unwrap_or(ExitCode::SUCCESS))
}

/// The size of a file that can be opened, in bytes. Who opens a pipe and closes it again ends
/// whoever writes to it.
fn readable(file: &Path) -> Result<u64> {
    let opened = fs::metadata(file).and_then(|found| match found.is_file() {
        true => fs::File::open(file).and_then(|file| file.metadata()),
        false => Ok(found),
    });
    opened.map(|found| found.len()).map_err(|error| eyre!("{}: {error}", file.display()))
}

fn open_or_create(args: &ImportArgs, options: ChainOptions) -> Result<StoredChain> {
    let path = args.datadir.database()?;
    let network = args.chain.as_ref().map(ChainArg::network).transpose()?;
    if let Some(warning) = network.as_ref().and_then(Network::warning) {
        sayln!("warning: {warning}");
    }
    let there = datadir::open(&path, network.as_ref(), options.clone())?;
    match (there, &network) {
        (Some(chain), _) => Ok(chain),
        (None, Some(network)) => datadir::create(&path, network, options),
        (None, None) => Err(datadir::missing(&path)),
    }
}

/// An import that is going on.
struct Session<'a> {
    chain: &'a mut StoredChain,
    engine: &'a Engine,
    stop: &'a Stop,
    meter: Meter,
}

impl Session<'_> {
    /// Imports a file, from the first block on that is not in the chain.
    fn import(&mut self, path: &Path) -> Result<()> {
        let mut file = BlockFile::open(path, self.meter.bar(), self.stop)?;
        let Some(first) = self.pass_over(&mut file)? else {
            if file.is_at_start() && !self.stop.requested() {
                self.meter.bar().suspend(|| sayln!("{} holds no blocks", path.display()));
            }
            return Ok(());
        };
        let genesis = self.chain.storage().identity().genesis;
        let trail = Trail::default();
        let blocks = Source::new(file, first, genesis, self.stop, &self.meter, &trail);
        let committed = |progress| self.meter.committed(progress);
        match self.chain.import_all(self.engine, blocks, &committed) {
            Ok(stages) => {
                self.meter.file_done(&stages);
                Ok(())
            }
            Err(Stopped::Source(error)) => Err(error.into()),
            Err(Stopped::Block { block, error }) => match *error {
                ImportError::Storage(StorageError::WriterFailed(error)) => {
                    Err(self.unwritten(path, &error))
                }
                error => Err(self.explain(path, block, trail.offset(&block.hash), &error)),
            },
        }
    }

    /// Says which blocks could not be written: the one that was met with the news is a later one.
    fn unwritten(&self, path: &Path, error: &StorageError) -> eyre::Report {
        let (written, path) = (self.chain.storage().written(), path.display());
        eyre!("{path}: the blocks after block {written} could not be written: {error}")
    }

    /// Reads as far as the blocks are those of the chain, and returns the first that is not.
    fn pass_over(&self, file: &mut BlockFile) -> Result<Option<RawBlock>> {
        let snapshot = self.chain.storage().snapshot(1)?;
        let reader = snapshot.reader()?;
        loop {
            let next = file.next_block();
            if self.stop.requested() {
                return Ok(None);
            }
            let Some(block) = next? else { return Ok(None) };
            let known = block.hash().map(|hash| reader.block_number(&hash)).transpose()?.flatten();
            let Some(number) = known else { return Ok(Some(block)) };
            file.passed(number);
            self.meter.passed_over();
        }
    }

    /// Says of which file and place a block was, and what may have gone wrong.
    fn explain(
        &self,
        path: &Path,
        block: BlockRef,
        offset: Option<u64>,
        error: &ImportError,
    ) -> eyre::Report {
        let place = offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
        let hint = match error {
            ImportError::Invalid(invalid) if invalid.reason == Reason::UnknownParent => {
                format!(
                    "; the chain ends with block {}; blocks beside the chain are remembered only \
                     while the process that imported them runs",
                    self.chain.head()
                )
            }
            _ => String::new(),
        };
        eyre!("{}: block {block}{place}: {error}{hint}", path.display())
    }
}
