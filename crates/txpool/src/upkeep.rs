//! What happens to the pool besides arrivals and new heads: time passes, the journal is read and
//! written, and transactions are taken out by name.

use crate::{
    Added, JournalReport, Pool, PoolError,
    journal::Journal,
    state::Changes,
    stats::count,
    transaction::{Origin, PoolTransaction, Prepared},
};
use alloy_primitives::{Address, TxHash};
use std::{io, sync::Arc, time::Instant};

impl Pool {
    /// Reads the journal, if there is one, and keeps it from now on. Its transactions enter the
    /// pool as local ones; those that are not valid any more are dropped, and so is whatever a
    /// crash has left of a last one. To be called once, before the pool is used.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open_journal(&self) -> io::Result<JournalReport> {
        let mut report = JournalReport::default();
        let (Some(path), Some(journal)) = (&self.config.journal, &self.journal) else {
            return Ok(report);
        };
        report.cut = Journal::new(path.clone()).read(|transactions| {
            report.found += transactions.len();
            let results = self.add_batch(&transactions, Origin::Local);
            report.added += results.iter().filter(|result| result.is_ok()).count();
        })?;
        self.rewrite_journal(&mut journal.lock())?;
        Ok(report)
    }

    /// Drops what has waited in a queue for too long, and writes the journal anew when it is time
    /// for that. To be called every few seconds. Returns how many transactions expired.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn maintain(&self, now: Instant) -> io::Result<usize> {
        let expired = self.expire(now);
        if let Some(journal) = &self.journal {
            let mut journal = journal.lock();
            let age = now.saturating_duration_since(journal.written());
            if journal.is_open() && age >= self.config.rejournal {
                self.rewrite_journal(&mut journal)?;
            }
        }
        Ok(expired)
    }

    /// Writes the journal anew, without what has left the pool.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn rotate_journal(&self) -> io::Result<()> {
        match &self.journal {
            Some(journal) => self.rewrite_journal(&mut journal.lock()),
            None => Ok(()),
        }
    }

    /// Takes a transaction out. Those of its sender behind it are queued then.
    pub fn remove(&self, hash: &TxHash) -> Option<Arc<PoolTransaction>> {
        let mut changes = Changes::default();
        let mut state = self.state.write();
        let removed = state.remove(hash);
        state.trim_queues(&self.config, &mut changes);
        drop(state);
        count(&self.counters.dropped, removed.iter().len() + changes.removed.len());
        removed
    }

    /// Takes all transactions of a sender out.
    pub fn remove_sender(&self, sender: Address) -> Vec<Arc<PoolTransaction>> {
        let removed = self.state.write().take(sender, |queue| queue.remove_if(|_| true));
        count(&self.counters.dropped, removed.len());
        removed
    }

    /// Takes everything out. Returns how many transactions that were.
    pub fn clear(&self) -> usize {
        let removed = self.state.write().clear();
        count(&self.counters.dropped, removed.len());
        removed.len()
    }

    fn expire(&self, now: Instant) -> usize {
        let mut expired = Vec::new();
        let mut state = self.state.write();
        loop {
            let Some((beat, sender)) = state.idle().next().copied() else { break };
            if now.saturating_duration_since(beat) <= self.config.lifetime {
                break;
            }
            let taken = state.take(sender, |queue| {
                let next = queue.next_nonce();
                queue.remove_if(|tx| tx.nonce() > next)
            });
            if taken.is_empty() {
                break;
            }
            expired.extend(taken);
        }
        drop(state);
        count(&self.counters.expired, expired.len());
        expired.len()
    }

    /// With the journal's lock held before the pool's is taken: what is added in between is
    /// written behind what is in the pool now, perhaps twice, but never lost.
    fn rewrite_journal(&self, journal: &mut Journal) -> io::Result<()> {
        let local: Vec<_> = {
            let state = self.state.read();
            let entries = state.senders().flat_map(|(_, queue)| queue.entries());
            entries.map(|entry| entry.tx.clone()).filter(|tx| self.is_journaled(tx)).collect()
        };
        journal.rewrite(local.iter().map(|tx| tx.as_ref()))
    }

    fn is_journaled(&self, tx: &PoolTransaction) -> bool {
        tx.origin() == Origin::Local && !self.config.no_locals
    }

    /// The transactions that the journal keeps, by their place in `txs`.
    pub(crate) fn journaled(&self, txs: &[Prepared]) -> Vec<(usize, Arc<PoolTransaction>)> {
        if self.journal.is_none() {
            return Vec::new();
        }
        let journaled = txs.iter().enumerate().filter(|(_, tx)| self.is_journaled(&tx.tx));
        journaled.map(|(index, tx)| (index, tx.tx.clone())).collect()
    }

    /// Writes those of them to the journal that were admitted. A failure leaves the pool working
    /// and is counted.
    pub(crate) fn keep(
        &self,
        journaled: Vec<(usize, Arc<PoolTransaction>)>,
        results: &[Result<Added, PoolError>],
    ) {
        let Some(journal) = self.journal.as_ref().filter(|_| !journaled.is_empty()) else { return };
        let admitted = journaled.iter().filter(|(index, _)| results[*index].is_ok());
        let written = journal.lock().append(admitted.map(|(_, tx)| tx.as_ref()));
        count(&self.counters.journal_failures, written.is_err().into());
    }
}
