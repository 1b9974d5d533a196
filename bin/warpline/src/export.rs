//! `warpline export`: blocks from the database into a file.

use crate::{
    datadir::DatadirArgs,
    output::{plural, sayln},
    stop::Stop,
    whole_file::{WholeFile, behind_links, is_open_or_no_file},
};
use alloy_consensus::{Block, BlockBody, Header};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use clap::Args;
use eyre::{Result, WrapErr, bail, eyre};
use flate2::{Compression, write::GzEncoder};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use warpline_chain::body_differs;
use warpline_storage::{Storage, Transaction};

/// Write blocks of the chain to a file.
///
/// The file is the RLP of the blocks one after the other, as `geth export` writes it, gzipped if
/// its name ends in .gz. It appears, in place of one of that name, when it is complete. Another
/// process may use the database at the same time.
///
/// Exit code 0: written. 1: the database or the file cannot be used. 2: wrong usage. 130, 143:
/// ended by SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// The file to write.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Number of the first block [default: 0].
    #[arg(value_name = "FIRST")]
    first: Option<u64>,

    /// Number of the last block [default: that of the head].
    #[arg(value_name = "LAST")]
    last: Option<u64>,
}

/// Blocks that are read in one view of the database, so that none is kept for long.
const CHUNK: u64 = 1000;

/// Runs the command.
pub(crate) fn run(args: &ExportArgs) -> Result<ExitCode> {
    let storage = args.datadir.open_read_only()?;
    let head = storage.head();
    let (first, last) = (args.first.unwrap_or(0), args.last.unwrap_or(head.number));
    if let Some(beyond) = [first, last].into_iter().find(|number| *number > head.number) {
        bail!("block {beyond} is not in the database, which ends with block {head}");
    }
    if first > last {
        bail!("the first block, {first}, comes after the last, {last}");
    }
    check_place(&args.file, storage.path())?;
    let stop = Stop::on_signals()?;
    let file = || args.file.display();
    // A pipe keeps one waiting for who reads it.
    let path = args.file.clone();
    let output = stop.or(move || Output::create(&path)).and_then(Option::transpose);
    let output = output.wrap_err_with(|| format!("creating {}", file()))?;
    let written = output.map(|mut output| {
        write_blocks(&storage, first, last, &mut output, &stop).map(|bytes| (output, bytes))
    });
    let written = written.transpose()?;
    let (Some((output, bytes)), None) = (written, stop.exit_code()) else {
        sayln!("ended by a signal: {} was not written", file());
        return Ok(stop.exit_code().unwrap_or(ExitCode::FAILURE));
    };
    output.finish().wrap_err_with(|| format!("writing {}", file()))?;
    let blocks = plural(last - first + 1, "block");
    sayln!("wrote {blocks}, {first} to {last}, {bytes} bytes of RLP, to {}", file());
    Ok(ExitCode::SUCCESS)
}

/// The file must not be one of the database, nor come to lie beside those.
fn check_place(file: &Path, database: &Path) -> Result<()> {
    let creating = || format!("creating {}", file.display());
    if is_open_or_no_file(file).wrap_err_with(creating)? {
        return Ok(());
    }
    let target = behind_links(file).wrap_err_with(creating)?;
    if fs::canonicalize(database).is_ok_and(|database| target.starts_with(database)) {
        bail!("{} belongs to the database", file.display());
    }
    Ok(())
}

/// Writes blocks until the last, or until the user wants it to end.
fn write_blocks(
    storage: &Storage,
    first: u64,
    last: u64,
    output: &mut Output,
    stop: &Stop,
) -> Result<u64> {
    let progress = ProgressBar::new(last - first + 1);
    progress.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} blocks, {eta} left")?);
    let (mut bytes, mut parent, mut rlp) = (0, None, Vec::new());
    for start in (first..=last).step_by(CHUNK as usize) {
        let snapshot = storage.snapshot(1)?;
        let reader = snapshot.reader()?;
        for number in start..=last.min(start.saturating_add(CHUNK - 1)) {
            if stop.requested() {
                return Ok(bytes);
            }
            let (header, body) = (reader.header(number)?, reader.body(number)?);
            let (Some((header, _)), Some(body)) = (header, body) else {
                return Err(gone(number));
            };
            let hash: B256 = reader.block_hash(number)?.ok_or_else(|| gone(number))?;
            check(&header, &body, hash)?;
            if parent.is_some_and(|parent| parent != header.parent_hash) {
                bail!("the chain was reorganised at block {number} meanwhile: export it again");
            }
            parent = Some(hash);
            rlp.clear();
            Block { header, body }.encode(&mut rlp);
            bytes += rlp.len() as u64;
            output.write_all(&rlp).wrap_err("writing the file")?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(bytes)
}

/// What others would refuse is not passed on.
fn check(header: &Header, body: &BlockBody<Transaction>, hash: B256) -> Result<()> {
    let number = header.number;
    if header.hash_slow() != hash {
        bail!("damaged database: the header of block {number} does not have its hash, {hash}");
    }
    match body_differs(header, body).first() {
        Some(what) => bail!("damaged database: the {what} of block {number} are not its header's"),
        None => Ok(()),
    }
}

fn gone(number: u64) -> eyre::Report {
    eyre!("block {number} is not in the database any more: the chain was unwound meanwhile")
}

/// Where the blocks go.
enum Output {
    Plain(WholeFile),
    Gzip(GzEncoder<WholeFile>),
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        let gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let file = WholeFile::create(path)?;
        Ok(match gzip {
            true => Self::Gzip(GzEncoder::new(file, Compression::default())),
            false => Self::Plain(file),
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.finish(),
            Self::Gzip(encoder) => encoder.finish()?.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}
