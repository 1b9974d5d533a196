//! What the node says while it runs.

use crate::output::sayln;
use clap::{Args, ValueEnum};
use eyre::{Result, eyre};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};
use warpline_node::NewHead;

/// Logs, on standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogArgs {
    /// How lines are written.
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value = "terminal")]
    format: Format,

    /// What is logged: a level (error, warn, info, debug, trace), or several filters such as
    /// `info,warpline_node=debug`.
    #[arg(
        long = "log.filter",
        visible_alias = "log.level",
        value_name = "FILTER",
        default_value = "info"
    )]
    filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Terminal,
    /// One JSON object per line.
    Json,
}

impl LogArgs {
    /// Whether every line has to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Begins to log.
    pub(crate) fn start(&self) -> Result<()> {
        let filter = EnvFilter::try_new(&self.filter)
            .map_err(|error| eyre!("--log.filter {}: {error}", self.filter))?;
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match self.format {
            Format::Terminal => lines.with_ansi(colours).with_target(false).boxed(),
            Format::Json => lines.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        Ok(())
    }

    /// Says where something is to be found, in words that scripts can wait for.
    pub(crate) fn say(&self, what: &str, at: &str) {
        match self.format {
            Format::Terminal => sayln!("{what} {at}"),
            Format::Json => tracing::info!(address = at, "{what}"),
        }
    }
}

/// Says that there is a new head, and up to which block the chain is in the file.
pub(crate) fn head(head: &NewHead, written: u64) {
    let header = &head.header;
    let report = head.report.unwrap_or_default();
    let seconds = report.execution.as_secs_f64();
    let mgas = header.gas_used as f64 / 1e6;
    tracing::info!(
        number = head.block.number,
        hash = %head.block.hash,
        txs = report.stats.transactions,
        mgas = rounded(mgas),
        mgas_per_s = rounded(if seconds > 0.0 { mgas / seconds } else { 0.0 }),
        speedup = rounded(report.speedup()),
        executed_ms = rounded(seconds * 1e3),
        total_ms = rounded(report.total.as_secs_f64() * 1e3),
        ahead = report.stats.committed_ahead,
        early = report.stats.committed_early,
        conflicts = report.stats.re_executions,
        dropped = report.dropped,
        written,
        "new head"
    );
}

/// To two places, as a number in JSON too.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
