//! What is kept of the past, and removing the rest a little with every commit, or all at once.

use crate::{
    Storage, StorageError, Table,
    codec::{block_key, decode_block_key, decode_numbered_key},
    engine::{Change, Walk, WriteTx},
    history::{self, Changes, drop_until},
    meta::{self, Progress},
    tables::block_hash,
};

/// Of how many blocks, the head included, each kind of record is kept; `None` keeps all.
///
/// Headers, bodies, transaction lookup and the present state are never pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Change sets and their indices: the state after each of these blocks can be read, and that
    /// before the first of them, which going back all of them leads to.
    pub history: Option<u64>,
    /// Receipts.
    pub receipts: Option<u64>,
    /// Senders. They can be recovered from the signatures again.
    pub senders: Option<u64>,
    /// Access lists.
    pub access_lists: Option<u64>,
}

impl PrunePolicy {
    /// Keeps everything.
    pub const ARCHIVE: Self =
        Self { history: None, receipts: None, senders: None, access_lists: None };

    /// Keeps state, receipts, senders and access lists of the last `blocks` blocks.
    pub const fn full(blocks: u64) -> Self {
        let kept = Some(blocks);
        Self { history: kept, receipts: kept, senders: kept, access_lists: kept }
    }
}

impl Storage {
    /// Prunes everything that the policy this was opened with does not keep of what is written, and
    /// says what is kept then. A commit takes as many blocks as one may bring, and stays if a later
    /// one fails; between them `step` is told how far they have come, and others may write. The
    /// file does not shrink: the pages are used again.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn prune(&self, mut step: impl FnMut(&Progress)) -> Result<Progress, StorageError> {
        self.writable()?;
        self.flush()?;
        loop {
            let (progress, more) = self.prune_some()?;
            if !more {
                return Ok(progress);
            }
            step(&progress);
        }
    }

    /// One commit, if there is anything to prune.
    fn prune_some(&self) -> Result<(Progress, bool), StorageError> {
        let policy = &self.shared.options.prune;
        let limit = self.shared.options.max_batch_blocks.max(1) as u64;
        let _turn = self.shared.write_turn.lock();
        let tx = self.shared.engine.write()?;
        let (head, before) = (meta::known_head(&tx)?.number, meta::progress(&tx)?);
        let mut progress = before;
        let indexed = head.min(before.indexed_to.saturating_add(limit));
        if policy.history.is_some() && indexed > before.indexed_to {
            history::index(&tx, before.indexed_to + 1, indexed)?;
            progress.indexed_to = indexed;
        }
        prune(&tx, policy, &mut progress, head, (1, limit))?;
        let lists = access_lists(&tx, policy.access_lists, (head, head), limit)?;
        let more = progress != before || lists;
        if more {
            meta::set_progress(&tx, &progress)?;
            tx.commit()?;
        }
        Ok((progress, more))
    }
}

/// Prunes at most `limit` blocks of every kind, `stride` at a time at least where an index has to
/// be changed, since many blocks at once cost little more there than one.
pub(crate) fn prune(
    tx: &WriteTx,
    policy: &PrunePolicy,
    progress: &mut Progress,
    head: u64,
    (stride, limit): (u64, u64),
) -> Result<(), StorageError> {
    let due = |from: u64, keep| first_kept(head, keep).min(from.saturating_add(limit));
    let before = head.saturating_sub(policy.history.unwrap_or(head));
    let goal = before.min(progress.history_from.saturating_add(limit)).min(progress.indexed_to);
    if goal >= progress.history_from + stride.min(limit) {
        history(tx, progress.history_from + 1, goal)?;
        progress.history_from = goal;
    }
    let goal = due(progress.receipts_from, policy.receipts);
    if goal > progress.receipts_from {
        delete_blocks(tx, Table::Receipts, 0, goal - 1)?;
        progress.receipts_from = goal;
    }
    let goal = due(progress.senders_from, policy.senders);
    if goal > progress.senders_from {
        delete_blocks(tx, Table::TransactionSenders, 0, goal - 1)?;
        progress.senders_from = goal;
    }
    Ok(())
}

/// The first block whose records are kept, of as many as `keep` says up to the head.
fn first_kept(head: u64, keep: Option<u64>) -> u64 {
    keep.map_or(0, |keep| head.saturating_add(1).saturating_sub(keep))
}

/// How far below the head the access lists of blocks that are not in the chain are kept.
pub(crate) const LISTS_ASIDE: u64 = 512;

/// Prunes access lists of at most `limit` blocks, and says whether there were any. Those of blocks
/// beside the chain go too, which the head has left behind on its way from `before` to `head`.
pub(crate) fn access_lists(
    tx: &WriteTx,
    keep: Option<u64>,
    (before, head): (u64, u64),
    limit: u64,
) -> Result<bool, StorageError> {
    let table = Table::BlockAccessLists;
    let mut cursor = tx.writer(table)?;
    let Some((first, _)) = cursor.seek(&block_key(0))? else { return Ok(false) };
    let (first, _) = decode_numbered_key(&first).map_err(|error| error.at(table, &first))?;
    let goal = first_kept(head, keep).min(first.saturating_add(limit));
    if goal > first {
        delete_blocks(tx, table, first, goal - 1)?;
    }
    let last = head.checked_sub(LISTS_ASIDE).filter(|_| before < head);
    let Some(last) = last else { return Ok(goal > first) };
    let mut entry = cursor.seek(&block_key(before.saturating_sub(LISTS_ASIDE)))?;
    while let Some((key, _)) = entry {
        let (number, hash) = decode_numbered_key(&key).map_err(|error| error.at(table, &key))?;
        if number > last {
            break;
        }
        entry = if block_hash(tx, number)? == Some(hash) {
            cursor.next()?
        } else {
            cursor.delete()?;
            cursor.seek(&key)?
        };
    }
    Ok(goal > first)
}

/// Removes change sets of a range of blocks, and the blocks from the indices.
fn history(tx: &WriteTx, first: u64, last: u64) -> Result<(), StorageError> {
    let changes = Changes::read(tx, first, last)?;
    drop_until(tx, Table::AccountsHistory, &changes.accounts, last)?;
    drop_until(tx, Table::StoragesHistory, &changes.slots, last)?;
    delete_blocks(tx, Table::AccountChangeSets, first, last)?;
    delete_blocks(tx, Table::StorageChangeSets, first, last)
}

/// Removes the entries of a range of blocks from a table whose keys begin with the block.
pub(crate) fn delete_blocks(
    tx: &WriteTx,
    table: Table,
    first: u64,
    last: u64,
) -> Result<(), StorageError> {
    let mut cursor = tx.writer(table)?;
    while let Some((key, _)) = cursor.seek(&block_key(first))? {
        let block = match table {
            Table::StorageChangeSets | Table::BlockAccessLists => {
                decode_numbered_key(&key).map(|(block, _)| block)
            }
            _ => decode_block_key(&key),
        };
        if block.map_err(|error| error.at(table, &key))? > last {
            break;
        }
        if table.is_dup_sorted() { cursor.delete_values()? } else { cursor.delete()? }
    }
    Ok(())
}
