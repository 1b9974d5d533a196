//! `warp_*`: what only a parallel client knows. Numbers are quantities as everywhere; ratios are
//! JSON numbers.
//!
//! One function per method; a new one is registered beside them. `predict` is about the predictor.

mod predict;

use crate::{
    Context, RpcError,
    args::Args,
    debug::Subject,
    eth::limits,
    registry::Registry,
    wire::{BlockId, Quantity},
};
use alloy_primitives::{Address, B256, U256};
use serde::Serialize;
use warpline_executor::ParentState;
use warpline_node::BlockReport;
use warpline_simulation::{Contended, HotLocation, dependencies};
use warpline_storage::BlockRef;
use warpline_txpool::PoolStats;

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("warp_blockParallelism", 1, block_parallelism);
    registry.quick("warp_poolStatistics", 0, |context, _| {
        Ok(PoolStatistics::from(context.node.pool().stats()))
    });
    predict::register(registry);
}

/// How many hot locations an answer names.
const HOT: usize = 32;

/// How parallel a block can be, and was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parallelism {
    number: Quantity,
    hash: B256,
    transactions: Quantity,
    /// Of all transactions.
    gas_used: Quantity,
    /// Transactions that need what earlier ones wrote.
    dependent_transactions: Quantity,
    critical_path: CriticalPath,
    /// Gas of all transactions by that of the critical path: what no number of threads can exceed
    /// by much, were every transaction to start after those that it depends on.
    attainable_speedup: f64,
    /// The most contended first.
    hot_locations: Vec<Hot>,
    /// How this node executed it; null for a block that it did not make, or not lately.
    execution: Option<Execution>,
}

/// The chain of dependent transactions that uses the most gas.
#[derive(Debug, Serialize)]
struct CriticalPath {
    gas: Quantity,
    /// By their index.
    transactions: Vec<Quantity>,
}

#[derive(Debug, Serialize)]
struct Hot {
    kind: &'static str,
    address: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<B256>,
    writers: Quantity,
    dependents: Quantity,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    threads: Quantity,
    executions: Quantity,
    speculations: Quantity,
    committed_ahead: Quantity,
    committed_early: Quantity,
    outdated_early: Quantity,
    conflicts: Quantity,
    /// Estimated.
    speedup: f64,
    /// Seconds of the execution.
    seconds: f64,
    /// Seconds until it was the head.
    total_seconds: f64,
}

fn block_parallelism(context: &Context, args: &mut Args<'_>) -> Result<Parallelism, RpcError> {
    let id: Option<BlockId> = args.optional("block")?;
    let subject = Subject::read(context, id.unwrap_or_default())?;
    let block = subject.block(context);
    let found = dependencies(subject.parent.state.open(), &block, &limits(context))?;
    let at = BlockRef { number: block.header.number, hash: block.hash };
    let (gas, path) = found.critical_path();
    let total = found.total_gas();
    let count = |number: usize| Quantity(number as u64);
    Ok(Parallelism {
        number: Quantity(at.number),
        hash: at.hash,
        transactions: count(found.gas.len()),
        gas_used: Quantity(total),
        dependent_transactions: count(found.dependent()),
        critical_path: CriticalPath {
            gas: Quantity(gas),
            transactions: path.into_iter().map(count).collect(),
        },
        attainable_speedup: if gas == 0 { 1.0 } else { total as f64 / gas as f64 },
        hot_locations: found.hot.iter().take(HOT).map(Hot::from).collect(),
        execution: context.node.report(&at)?.as_ref().map(Execution::from),
    })
}

impl From<&HotLocation> for Hot {
    fn from(hot: &HotLocation) -> Self {
        let slot = |slot: U256| Some(B256::from(slot));
        let (kind, address, slot) = match hot.location {
            Contended::Nonce(address) => ("nonce", address, None),
            Contended::Code(address) => ("code", address, None),
            Contended::Slot(address, index) => ("storage", address, slot(index)),
        };
        let count = |number: usize| Quantity(number as u64);
        Self { kind, address, slot, writers: count(hot.writers), dependents: count(hot.dependents) }
    }
}

impl From<&BlockReport> for Execution {
    fn from(report: &BlockReport) -> Self {
        let stats = &report.stats;
        Self {
            threads: Quantity(stats.threads),
            executions: Quantity(stats.executions),
            speculations: Quantity(stats.speculations),
            committed_ahead: Quantity(stats.committed_ahead),
            committed_early: Quantity(stats.committed_early),
            outdated_early: Quantity(stats.outdated_early),
            conflicts: Quantity(stats.re_executions),
            speedup: report.speedup(),
            seconds: report.execution.as_secs_f64(),
            total_seconds: report.total.as_secs_f64(),
        }
    }
}

/// What the pool holds, and what has happened in it since the node was started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolStatistics {
    pending: Quantity,
    queued: Quantity,
    senders: Quantity,
    slots: Quantity,
    bytes: Quantity,
    added: Quantity,
    replaced: Quantity,
    refused: Quantity,
    mined: Quantity,
    returned: Quantity,
    dropped: Quantity,
    expired: Quantity,
    journal_failures: Quantity,
}

impl From<PoolStats> for PoolStatistics {
    fn from(stats: PoolStats) -> Self {
        Self {
            pending: Quantity(stats.pending as u64),
            queued: Quantity(stats.queued as u64),
            senders: Quantity(stats.senders as u64),
            slots: Quantity(stats.slots as u64),
            bytes: Quantity(stats.bytes as u64),
            added: Quantity(stats.added),
            replaced: Quantity(stats.replaced),
            refused: Quantity(stats.refused),
            mined: Quantity(stats.mined),
            returned: Quantity(stats.returned),
            dropped: Quantity(stats.dropped),
            expired: Quantity(stats.expired),
            journal_failures: Quantity(stats.journal_failures),
        }
    }
}
