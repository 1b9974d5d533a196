//! `warpline db stats`: what the database holds and what it takes.

use crate::{datadir::DatadirArgs, json};
use alloy_primitives::B256;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};
use core::fmt;
use eyre::Result;
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};
use warpline_chainspec::ChainSpec;
use warpline_storage::{BlockRef, Identity, Stats, Storage};

/// Show the chain, the head and the size of every table.
///
/// Another process may use the database at the same time. Exit code 1: the database cannot be
/// read. 2: wrong usage.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// Also write the figures as JSON (`-` for standard output).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The figures; `--json` has the same.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    path: PathBuf,
    chain_id: u64,
    /// The name of a built-in network.
    network: Option<String>,
    genesis: B256,
    head: Block,
    /// What the consensus called so last.
    safe: Option<Block>,
    finalized: Option<Block>,
    /// Whether the process that wrote last has ended in order.
    clean_shutdown: bool,
    /// The first block whose state can be read, and those whose receipts and senders are kept.
    history_from: u64,
    receipts_from: u64,
    senders_from: u64,
    /// The last block in the history indices.
    indexed_to: u64,
    /// Bytes in use, and bytes among them that can be used again.
    bytes: u64,
    free_bytes: u64,
    tables: Vec<TableReport>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: u64,
    hash: B256,
}

impl From<BlockRef> for Block {
    fn from(BlockRef { number, hash }: BlockRef) -> Self {
        Self { number, hash }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TableReport {
    name: String,
    entries: u64,
    bytes: u64,
}

/// Runs the command.
pub(crate) fn run(args: &StatsArgs) -> Result<ExitCode> {
    json::check_writable(args.json.as_deref())?;
    let storage = args.datadir.open_read_only()?;
    let report = report(&storage)?;
    json::write_with(args.json.as_deref(), &report, report.text())?;
    Ok(ExitCode::SUCCESS)
}

fn report(storage: &Storage) -> Result<Report> {
    let stats: Stats = storage.stats()?;
    let (Identity { chain_id, genesis }, finality) = (storage.identity(), storage.finality());
    let network = ChainSpec::by_genesis(chain_id, genesis).map(|chain| chain.name().to_owned());
    let table = |table: &warpline_storage::TableStats| TableReport {
        name: table.table.to_string(),
        entries: table.entries,
        bytes: table.bytes,
    };
    Ok(Report {
        path: storage.path().to_owned(),
        chain_id,
        network,
        genesis,
        head: stats.written.into(),
        safe: finality.safe.map(Block::from),
        finalized: finality.finalized.map(Block::from),
        clean_shutdown: storage.was_clean(),
        history_from: stats.progress.history_from,
        receipts_from: stats.progress.receipts_from,
        senders_from: stats.progress.senders_from,
        indexed_to: stats.progress.indexed_to,
        bytes: stats.pages * stats.page_size,
        free_bytes: stats.free_pages * stats.page_size,
        tables: stats.tables.iter().map(table).collect(),
    })
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} ({})", self.number, self.hash)
    }
}

fn or_none(block: Option<&Block>) -> String {
    block.map_or_else(|| "none".to_owned(), Block::to_string)
}

impl Report {
    fn text(&self) -> String {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["table", "entries", "size"]);
        for TableReport { name, entries, bytes } in &self.tables {
            let (entries, bytes) = (HumanCount(*entries), BinaryBytes(*bytes));
            table.add_row([Cell::new(name), right(entries.to_string()), right(bytes.to_string())]);
        }
        let network = self.network.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let shutdown = if self.clean_shutdown { "in order" } else { "interrupted, or not yet" };
        let kept = [
            ("state", self.history_from),
            ("receipts", self.receipts_from),
            ("senders", self.senders_from),
        ]
        .map(|(what, from)| format!("{what} from block {from}"));
        let lines = [
            format!("database       {}", self.path.display()),
            format!("chain          {}{network}, genesis block {}", self.chain_id, self.genesis),
            format!("head           {}", self.head),
            format!("safe           {}", or_none(self.safe.as_ref())),
            format!("finalized      {}", or_none(self.finalized.as_ref())),
            format!("kept           {}", kept.join(", ")),
            format!("last shutdown  {shutdown}"),
            format!(
                "file           {} in use, {} of it free",
                BinaryBytes(self.bytes),
                BinaryBytes(self.free_bytes)
            ),
        ];
        format!("{}\n\n{table}\n", lines.join("\n"))
    }
}
