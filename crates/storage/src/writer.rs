//! The thread that writes. It takes what has been accepted since it last looked, as one commit:
//! when blocks come faster than commits finish, commits grow, and the cost per block falls. Whoever
//! brings many blocks and does not wait for each ([`Gathering`]) has it wait for more to take.

use crate::{
    BlockRef, Finality, StorageError, StorageOptions,
    engine::Engine,
    history, meta,
    pending::PendingBlock,
    prune,
    store::{Live, Shared},
    write,
};
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

/// How long blocks may wait for others to be written with, at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// What share of the bounds on pending blocks is worth a commit while blocks are gathered.
const WORTH_A_COMMIT: usize = 4;

/// As long as there is one, blocks are written several at once: when many have been gathered, when
/// the first of them has waited for a second, or when somebody waits for them to be written.
///
/// A commit rewrites whole pages, and of random changes hardly any two fall on the same one within
/// a block, but most do within several.
///
/// It does not keep the database open.
#[derive(Debug)]
pub struct Gathering(Weak<Shared>);

impl Gathering {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.live.lock().gathering += 1;
        Self(Arc::downgrade(shared))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.live.lock().gathering -= 1;
            shared.work.notify_all();
        }
    }
}

/// When the next commit is to be made.
enum Due {
    Now,
    /// When there is more to write, or at this time.
    At(Instant),
    /// When there is something to write.
    Never,
}

fn due(live: &Live, options: &StorageOptions) -> Due {
    if live.is_written() || live.failure.is_some() {
        return Due::Never;
    }
    let enough = live.pending.len() >= (options.max_pending_blocks / WORTH_A_COMMIT).max(1)
        || live.pending_bytes >= options.max_pending_bytes / WORTH_A_COMMIT;
    let awaited = live.awaited > live.written.number || live.stopping;
    match live.pending.front() {
        Some(first) if live.gathering > 0 && !enough && !awaited => {
            Due::At(first.accepted + PATIENCE)
        }
        // A note of what is final waits for no block.
        _ => Due::Now,
    }
}

/// Writes until the storage is shut down.
pub(crate) fn run(shared: &Shared) {
    loop {
        let mut live = shared.live.lock();
        loop {
            match due(&live, &shared.options) {
                Due::Now => break,
                Due::Never if live.stopping => return,
                Due::Never => shared.work.wait(&mut live),
                Due::At(time) if shared.work.wait_until(&mut live, time).timed_out() => break,
                Due::At(_) => {}
            }
        }
        drop(live);

        // What there is to write is looked up and reported within one turn: who goes back below
        // it finds all of it done, or none.
        let turn = shared.write_turn.lock();
        let live = shared.live.lock();
        if matches!(due(&live, &shared.options), Due::Never) {
            continue;
        }
        let limit = shared.options.max_batch_blocks.max(1);
        let batch: Vec<_> = live.pending.iter().take(limit).cloned().collect();
        let head = batch.last().map_or(live.written, |last| last.block);
        let finality = live.finality.to_write(live.finality_written, head.number);
        drop(live);

        let start = Instant::now();
        let written = commit(&shared.engine, &shared.options, &batch, &finality);
        let busy = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        shared.writing.fetch_add(busy, Ordering::Relaxed);
        let mut live = shared.live.lock();
        match written {
            Ok(head) => {
                finished(&mut live, head);
                live.finality_written = finality;
            }
            Err(error) => live.failure = Some(Arc::new(error)),
        }
        drop(live);
        drop(turn);
        shared.progress.notify_all();
    }
}

fn finished(live: &mut Live, head: BlockRef) {
    while let Some(oldest) = live.pending.front().filter(|b| b.block.number <= head.number) {
        live.pending_bytes = live.pending_bytes.saturating_sub(oldest.bytes);
        live.pending.pop_front();
    }
    live.written = head;
}

/// One atomic commit of consecutive blocks, and of which of them are safe and finalized.
fn commit(
    engine: &Engine,
    options: &StorageOptions,
    batch: &[Arc<PendingBlock>],
    finality: &Finality,
) -> Result<BlockRef, StorageError> {
    let tx = engine.write()?;
    if meta::finality(&tx)? != *finality {
        meta::set_finality(&tx, finality)?;
    }
    let before = meta::known_head(&tx)?;
    let blocks: Vec<_> = batch.iter().map(|pending| &pending.commit).collect();
    let (Some(first), Some(last)) = (blocks.first(), batch.last()) else {
        tx.commit()?;
        return Ok(before);
    };
    if first.header.parent_hash != before.hash {
        let (block, parent) = (first.block(), first.header.parent_hash);
        return Err(StorageError::NotNext { block, parent, head: before });
    }
    write::blocks(&tx, &blocks)?;

    let head = last.block;
    let mut progress = meta::progress(&tx)?;
    let stride = options.index_stride.max(1);
    if head.number >= progress.indexed_to.saturating_add(stride) {
        history::index(&tx, progress.indexed_to + 1, head.number)?;
        progress.indexed_to = head.number;
    }
    // Twice as many as come in, so that a backlog of pruning shrinks.
    let limit = (2 * blocks.len() as u64).max(2 * stride);
    prune::prune(&tx, &options.prune, &mut progress, head.number, (stride, limit))?;
    let heads = (before.number, head.number);
    prune::access_lists(&tx, options.prune.access_lists, heads, limit)?;
    meta::set_progress(&tx, &progress)?;
    meta::set_head(&tx, head)?;
    tx.commit()?;
    Ok(head)
}
