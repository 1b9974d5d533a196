//! Transactions that wait are executed before their block is made.
//!
//! A thread of its own executes those that the next block would have on the state of the head, for
//! as long as no block is made. The block takes what has come of them by then; the executor
//! compares all that they read and commits what still holds. What is left after a block is looked
//! at again, and executed again where something that it read has changed.

use crate::{Mining, Node, NodeError, producer::Producer};
use alloy_consensus::{Header, Transaction};
use alloy_primitives::{B256, TxHash, map::HashMap};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use warpline_chain::{EarlyExecution, EarlyExecutor, Engine, NextBlock};
use warpline_txpool::PoolTransaction;

/// Most outcomes that are kept.
const OUTCOMES: usize = 4096;

/// Most bytes of them, about.
const BYTES: usize = 64 << 20;

/// The shortest time between two looks at the pool. They rest at least as long as they took.
const PAUSE: Duration = Duration::from_millis(2);

/// What has come of transactions that wait.
#[derive(Debug, Default)]
pub(crate) struct Early {
    state: Mutex<State>,
    changed: Condvar,
    executions: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<TxHash, Kept>,
    bytes: usize,
    /// The pool or the chain has changed since it was looked at.
    work: bool,
    /// So many make a block or change the chain otherwise.
    busy: usize,
    /// How often somebody has begun with that.
    turn: u64,
    stopping: bool,
}

#[derive(Debug)]
struct Kept {
    /// `None` where it could not be executed.
    execution: Option<EarlyExecution>,
    /// The block that it was last looked at for.
    block: B256,
    size: usize,
}

/// What is executed early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EarlyStats {
    /// Transactions whose outcome is at hand.
    pub kept: usize,
    /// About how many bytes these take.
    pub bytes: usize,
    /// Executions since the start.
    pub executions: u64,
}

/// Nothing is executed early while it lives.
pub(crate) struct Busy<'a>(&'a Early);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state.lock().busy -= 1;
    }
}

impl State {
    fn remove(&mut self, hash: &TxHash) -> Option<EarlyExecution> {
        let kept = self.kept.remove(hash)?;
        self.bytes -= kept.size;
        kept.execution
    }
}

impl Early {
    /// There are new transactions, or a new head.
    pub(crate) fn wake(&self) {
        let mut state = self.state.lock();
        if !state.work {
            state.work = true;
            self.changed.notify_all();
        }
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Somebody is about to make a block.
    pub(crate) fn interrupt(&self) -> Busy<'_> {
        let mut state = self.state.lock();
        state.busy += 1;
        state.turn += 1;
        Busy(self)
    }

    /// What these transactions have come to, for their block.
    pub(crate) fn take(&self, txs: &[Arc<PoolTransaction>]) -> Vec<Option<EarlyExecution>> {
        let mut state = self.state.lock();
        if state.kept.is_empty() {
            return Vec::new();
        }
        txs.iter().map(|tx| state.remove(&tx.hash())).collect()
    }

    pub(crate) fn stats(&self) -> EarlyStats {
        let state = self.state.lock();
        let kept = state.kept.values().filter(|kept| kept.execution.is_some()).count();
        let executions = self.executions.load(Ordering::Relaxed);
        EarlyStats { kept, bytes: state.bytes, executions }
    }

    /// Waits until there is something to look at. False if it is time to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.work && !state.stopping {
            self.changed.wait(&mut state);
        }
        state.work = false;
        !state.stopping
    }

    fn turn(&self) -> u64 {
        self.state.lock().turn
    }

    /// Whether nobody has begun with a block since that turn.
    fn is_undisturbed(&self, turn: u64) -> bool {
        let state = self.state.lock();
        state.busy == 0 && state.turn == turn && !state.stopping
    }

    /// Forgets all transactions but these.
    fn retain(&self, wanted: impl Fn(&TxHash) -> bool) {
        let mut state = self.state.lock();
        state.kept.retain(|hash, _| wanted(hash));
        state.bytes = state.kept.values().map(|kept| kept.size).sum();
    }

    fn is_done(&self, hash: &TxHash, block: B256) -> bool {
        self.state.lock().kept.get(hash).is_some_and(|kept| kept.block == block)
    }

    fn has_room(&self, size: usize) -> bool {
        let state = self.state.lock();
        state.kept.len() < OUTCOMES && state.bytes + size <= BYTES
    }

    /// Keeps what a transaction came to. Where there is no room it has precedence over those that
    /// are not `wanted`. False where there is none even so.
    fn keep(
        &self,
        hash: TxHash,
        execution: Option<EarlyExecution>,
        block: B256,
        wanted: impl Fn(&TxHash) -> bool,
    ) -> bool {
        let size = size_of::<Kept>() + execution.as_ref().map_or(0, EarlyExecution::size);
        if !self.has_room(size) {
            self.retain(wanted);
            if !self.has_room(size) {
                return false;
            }
        }
        let mut state = self.state.lock();
        state.bytes += size;
        state.kept.insert(hash, Kept { execution, block, size });
        true
    }

    /// Executes transactions as far as that is not done, in their order.
    fn execute(
        &self,
        executor: &EarlyExecutor<'_>,
        txs: &[Arc<PoolTransaction>],
        block: B256,
        turn: u64,
    ) {
        let wanted: HashSet<TxHash> = txs.iter().map(|tx| tx.hash()).collect();
        // Plain transfers cost less to execute than to compare.
        let runs_code = |tx: &&Arc<PoolTransaction>| !tx.transaction().input().is_empty();
        for tx in txs.iter().filter(runs_code) {
            if !self.is_undisturbed(turn) {
                return;
            }
            let hash = tx.hash();
            if self.is_done(&hash, block) {
                continue;
            }
            let old = self.state.lock().remove(&hash);
            let old = old.filter(|old| executor.holds(tx.recovered().clone(), old));
            let execution = old.or_else(|| {
                self.executions.fetch_add(1, Ordering::Relaxed);
                executor.execute(tx.recovered().clone())
            });
            if !self.keep(hash, execution, block, |kept| wanted.contains(kept)) {
                return;
            }
        }
    }
}

/// The next block, as far as it is known before its transactions are, and what may go into it.
#[derive(Debug)]
pub(crate) struct Upcoming {
    pub(crate) engine: Arc<Engine>,
    pub(crate) next: NextBlock,
    pub(crate) min_tip: u128,
    pub(crate) blobs: u64,
}

impl Upcoming {
    /// The same for two blocks that differ in nothing but their time, which goes on.
    fn identity(&self) -> B256 {
        Header { timestamp: 0, ..self.next.header().clone() }.hash_slow()
    }
}

/// Executes what waits until the node stops.
pub(crate) fn run(node: &Weak<Node>, early: &Early) {
    while early.wait() {
        let Some(node) = node.upgrade() else { return };
        // Where nothing waits, whatever is begun is too late.
        if node.mining() == Mining::Instant {
            continue;
        }
        let start = Instant::now();
        let looked = execute_next(&node, early).unwrap_or_else(|error| {
            tracing::debug!(%error, "nothing could be executed early");
            start.elapsed()
        });
        drop(node);
        thread::sleep(looked.max(PAUSE));
    }
}

/// Executes what the next block would have; returns how long it took to find that out.
fn execute_next(node: &Node, early: &Early) -> Result<Duration, NodeError> {
    let start = Instant::now();
    let turn = early.turn();
    let upcoming = node.read(|producer| Ok(Producer::upcoming(producer)))?;
    let gas = upcoming.next.header().gas_limit;
    let txs = node.pool().select(upcoming.min_tip, gas, upcoming.blobs);
    early.retain(|hash| node.pool().contains(hash));
    let state = node.view().latest()?;
    let executor = EarlyExecutor::new(&upcoming.engine, &state, &upcoming.next)?;
    let looked = start.elapsed();
    if let Some(executor) = executor {
        early.execute(&executor, &txs, upcoming.identity(), turn);
    }
    Ok(looked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_the_next_block_would_have_comes_first() {
        let early = Early::default();
        let hash = |number: usize| B256::left_padding_from(&number.to_be_bytes());
        let wanted = |kept: &TxHash| kept[31].is_multiple_of(2);
        for number in 0..OUTCOMES {
            assert!(early.keep(hash(number), None, B256::ZERO, wanted));
        }
        assert!(early.keep(hash(OUTCOMES), None, B256::ZERO, wanted));
        let state = early.state.lock();
        assert_eq!(state.kept.len(), OUTCOMES / 2 + 1);
        assert_eq!(state.bytes, size_of::<Kept>() * (OUTCOMES / 2 + 1));
        drop(state);
        let all = |_: &TxHash| true;
        let more =
            (OUTCOMES + 1..2 * OUTCOMES).filter(|n| early.keep(hash(*n), None, B256::ZERO, all));
        assert_eq!(more.count(), OUTCOMES / 2 - 1);
        early.state.lock().bytes = BYTES;
        early.state.lock().remove(&hash(0));
        assert!(!early.has_room(2 * size_of::<Kept>()), "memory is bounded too");
    }

    #[test]
    fn nothing_goes_on_once_a_block_has_begun() {
        let early = Early::default();
        let turn = early.turn();
        assert!(early.is_undisturbed(turn));
        let busy = early.interrupt();
        assert!(!early.is_undisturbed(turn) && !early.is_undisturbed(early.turn()));
        drop(busy);
        assert!(!early.is_undisturbed(turn), "the head has moved");
        assert!(early.is_undisturbed(early.turn()));
        early.stop();
        assert!(!early.is_undisturbed(early.turn()) && !early.wait());
    }
}
