//! The thread that writes. It takes what has been accepted since it last looked, as one commit:
//! when blocks come faster than commits finish, commits grow, and the cost per block falls.

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
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// Writes until the storage is shut down.
pub(crate) fn run(shared: &Shared) {
    loop {
        let mut live = shared.live.lock();
        let nothing = |live: &Live| live.is_written() || live.failure.is_some();
        while nothing(&live) && !live.stopping {
            shared.work.wait(&mut live);
        }
        if nothing(&live) && live.stopping {
            return;
        }
        drop(live);

        // What there is to write is looked up and reported within one turn: who goes back below
        // it finds all of it done, or none.
        let turn = shared.write_turn.lock();
        let live = shared.live.lock();
        if nothing(&live) {
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
