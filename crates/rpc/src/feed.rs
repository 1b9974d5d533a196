//! What happens to the chain, block by block, for subscriptions and filters.
//!
//! The feed remembers which blocks it has announced. When it is told that there is a new head it
//! walks back to the last of them that is still in the chain: those after it have been removed,
//! and every block from there to the head is new. The logs of blocks are read only while somebody
//! listens to logs, and kept for a while, since they are gone from the database with their block.

use crate::{
    RpcError,
    eth::{FoundLog, logs_of_block},
    wire::RpcHeader,
};
use alloy_consensus::Header;
use parking_lot::Mutex;
use serde_json::value::{RawValue, to_raw_value};
use std::{
    collections::VecDeque,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::broadcast;
use warpline_chain::ChainView;
use warpline_storage::{BlockRef, Snapshot, StateReader, StorageError};

/// How many blocks are remembered, of those in the chain and of those that have left it.
const REMEMBERED: usize = 256;
/// How many steps a listener may be behind before it is given up.
const BEHIND: usize = 1024;

/// A block that has been announced.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) block: BlockRef,
    pub(crate) header: Header,
    /// None where nobody listened to logs when it came.
    pub(crate) logs: Option<Vec<FoundLog>>,
    printed: OnceLock<Box<RawValue>>,
}

impl Announced {
    fn read(
        reader: &StateReader<'_>,
        number: u64,
        logs: bool,
    ) -> Result<Option<Self>, StorageError> {
        let (Some(hash), Some((header, _))) = (reader.block_hash(number)?, reader.header(number)?)
        else {
            return Ok(None);
        };
        let mut found = Vec::new();
        if logs && header.gas_used > 0 && !header.logs_bloom.is_zero() {
            logs_of_block(reader, (number, hash, header.timestamp), &mut found)?;
        }
        let (block, logs) = (BlockRef { number, hash }, logs.then_some(found));
        Ok(Some(Self { block, header, logs, printed: OnceLock::new() }))
    }

    /// The header as callers see it, printed once for all.
    pub(crate) fn printed(&self) -> Result<Box<RawValue>, RpcError> {
        if let Some(printed) = self.printed.get() {
            return Ok(printed.clone());
        }
        let header = RpcHeader { hash: self.block.hash, header: &self.header };
        let printed = to_raw_value(&header).map_err(RpcError::internal)?;
        Ok(self.printed.get_or_init(|| printed).clone())
    }
}

/// A change of the head.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Blocks that are not in the chain any more, the newest first.
    pub(crate) removed: Vec<Arc<Announced>>,
    /// Blocks that are in the chain now, the oldest first.
    pub(crate) added: Vec<Arc<Announced>>,
}

/// Announces blocks.
#[derive(Debug)]
pub(crate) struct Feed {
    memory: Mutex<Memory>,
    steps: broadcast::Sender<Arc<Step>>,
    log_listeners: Arc<AtomicUsize>,
}

/// The blocks that have been announced of late.
#[derive(Debug, Default)]
struct Memory {
    /// Those in the chain, the oldest first; the last is the head.
    chain: VecDeque<Arc<Announced>>,
    /// Those that have left it, the latest last.
    removed: VecDeque<Arc<Announced>>,
}

/// Somebody who listens to logs, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct LogListener(Arc<AtomicUsize>);

impl Drop for LogListener {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Feed {
    fn default() -> Self {
        let (steps, _) = broadcast::channel(BEHIND);
        Self { memory: Mutex::default(), steps, log_listeners: Arc::default() }
    }
}

impl Feed {
    /// Has the logs of blocks read from now on.
    pub(crate) fn log_listener(&self) -> LogListener {
        self.log_listeners.fetch_add(1, Ordering::Relaxed);
        LogListener(Arc::clone(&self.log_listeners))
    }

    /// Every step from now on.
    pub(crate) fn steps(&self) -> broadcast::Receiver<Arc<Step>> {
        self.steps.subscribe()
    }

    /// Announces what has happened since the last time. The head then.
    pub(crate) fn advance(&self, view: &ChainView) -> Result<BlockRef, StorageError> {
        let mut memory = self.memory.lock();
        let blocks = view.blocks()?;
        self.catch_up(&mut memory, &blocks, &blocks.reader()?)?;
        Ok(blocks.block())
    }

    fn catch_up(
        &self,
        memory: &mut Memory,
        blocks: &Snapshot,
        reader: &StateReader<'_>,
    ) -> Result<(), StorageError> {
        let logs = self.log_listeners.load(Ordering::Relaxed) > 0;
        let head = blocks.block();
        let mut step = Step::default();
        while let Some(last) = memory.chain.back() {
            if reader.block_hash(last.block.number)? == Some(last.block.hash) {
                break;
            }
            step.removed.extend(memory.chain.pop_back());
        }
        let first = match (memory.chain.back(), step.removed.last()) {
            (Some(last), _) => last.block.number + 1,
            (None, Some(oldest)) => oldest.block.number,
            // The feed begins here.
            (None, None) => {
                memory.chain.extend(Announced::read(reader, head.number, false)?.map(Arc::new));
                return Ok(());
            }
        };
        for number in first..=head.number {
            step.added.extend(Announced::read(reader, number, logs)?.map(Arc::new));
        }
        if step.removed.is_empty() && step.added.is_empty() {
            return Ok(());
        }
        memory.removed.extend(step.removed.iter().cloned());
        memory.chain.extend(step.added.iter().cloned());
        for blocks in [&mut memory.removed, &mut memory.chain] {
            blocks.drain(..blocks.len().saturating_sub(REMEMBERED));
        }
        let _nobody_listens = self.steps.send(Arc::new(step));
        Ok(())
    }

    /// What has happened to the chain since `seen` was its head: calls `with` with the blocks
    /// that have left it since, the newest first, the first new height, and the chain as it is.
    pub(crate) fn since<T>(
        &self,
        view: &ChainView,
        seen: BlockRef,
        with: impl FnOnce(&[Arc<Announced>], u64, &Snapshot, &StateReader<'_>) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let mut memory = self.memory.lock();
        let blocks = view.blocks()?;
        let reader = blocks.reader()?;
        self.catch_up(&mut memory, &blocks, &reader)?;
        let (mut removed, mut seen) = (Vec::new(), seen);
        let first = loop {
            if reader.block_hash(seen.number)? == Some(seen.hash) {
                break seen.number + 1;
            }
            let known = memory.removed.iter().rev().find(|removed| removed.block == seen);
            let Some(known) = known else { break seen.number };
            removed.push(Arc::clone(known));
            let Some(number) = seen.number.checked_sub(1) else { break 0 };
            seen = BlockRef { number, hash: known.header.parent_hash };
        };
        drop(memory);
        with(&removed, first, &blocks, &reader)
    }
}
