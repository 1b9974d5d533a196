//! What waits to be learned from, and when there is time for it.

use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use warpline_storage::BlockRef;
use warpline_txpool::PoolTransaction;

/// Blocks that may wait. Then the oldest goes: the latest say most about the next.
const BLOCKS: usize = 4;

/// Transactions that may wait. Then no more are taken in.
const TRANSACTIONS: usize = 1024;

/// Transactions that are looked at on one state.
const BATCH: usize = 64;

/// Something to learn from.
#[derive(Debug)]
pub(super) enum Work {
    /// A block that became the head.
    Block(BlockRef),
    /// Transactions of the pool.
    Transactions(Vec<Arc<PoolTransaction>>),
    /// Nothing for a while.
    Nothing,
}

/// What there was no time for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) blocks: u64,
    pub(super) transactions: u64,
}

/// What waits for the thread that learns. Whoever puts something in never waits.
#[derive(Debug)]
pub(super) struct Queue {
    rest: u32,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    blocks: VecDeque<BlockRef>,
    transactions: VecDeque<Arc<PoolTransaction>>,
    missed: Missed,
    stopping: bool,
}

impl Queue {
    /// One whose taker rests `rest` times as long as it works.
    pub(super) fn new(rest: u32) -> Self {
        Self { rest, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn block(&self, block: BlockRef) {
        let mut state = self.state.lock();
        if state.blocks.len() == BLOCKS {
            state.blocks.pop_front();
            state.missed.blocks += 1;
        }
        state.blocks.push_back(block);
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the calls among these.
    pub(super) fn transactions(&self, all: &[Arc<PoolTransaction>]) {
        let mut calls = all.iter().filter(|tx| is_call(tx)).peekable();
        if calls.peek().is_none() {
            return;
        }
        let mut state = self.state.lock();
        let room = TRANSACTIONS - state.transactions.len();
        state.transactions.extend(calls.by_ref().take(room).cloned());
        state.missed.transactions += calls.count() as u64;
        drop(state);
        self.changed.notify_one();
    }

    /// There was no time for so many transactions that were taken out.
    pub(super) fn miss(&self, transactions: usize) {
        self.state.lock().missed.transactions += transactions as u64;
    }

    pub(super) fn dropped(&self) -> Missed {
        self.state.lock().missed
    }

    pub(super) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    /// The next thing to learn from, the latest blocks first; `Nothing` at the latest after `idle`.
    /// `None` if it is time to stop.
    pub(super) fn take(&self, idle: Duration) -> Option<Work> {
        let until = Instant::now() + idle;
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(block) = state.blocks.pop_back() {
                return Some(Work::Block(block));
            }
            if !state.transactions.is_empty() {
                let count = state.transactions.len().min(BATCH);
                return Some(Work::Transactions(state.transactions.drain(..count).collect()));
            }
            if self.changed.wait_until(&mut state, until).timed_out() {
                return Some(Work::Nothing);
            }
        }
    }

    /// Rests after so much work, unless it is time to stop.
    pub(super) fn rest(&self, worked: Duration) {
        let until = Instant::now() + worked.saturating_mul(self.rest);
        let mut state = self.state.lock();
        while !state.stopping && !self.changed.wait_until(&mut state, until).timed_out() {}
    }
}

/// Whether it calls something with data: all others run next to no code.
pub(super) fn is_call(tx: &PoolTransaction) -> bool {
    use alloy_consensus::Transaction;
    let tx = tx.transaction();
    tx.to().is_some() && !tx.input().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::ZERO }
    }

    #[test]
    fn the_latest_blocks_are_kept_and_come_first() {
        let queue = Queue::new(0);
        (0..6).for_each(|number| queue.block(block(number)));
        assert_eq!(queue.dropped(), Missed { blocks: 2, transactions: 0 });
        for expected in [5, 4, 3, 2] {
            let work = queue.take(Duration::ZERO);
            assert!(matches!(work, Some(Work::Block(b)) if b.number == expected), "{work:?}");
        }
        assert!(matches!(queue.take(Duration::ZERO), Some(Work::Nothing)));
        queue.block(block(7));
        queue.stop();
        assert!(queue.take(Duration::from_secs(3600)).is_none(), "nothing is begun any more");
    }

    #[test]
    fn rest_is_as_many_times_as_long_as_work_and_ends_with_the_node() {
        let queue = Queue::new(10);
        let start = Instant::now();
        queue.rest(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(20));
        queue.stop();
        queue.rest(Duration::from_secs(3600));
        assert!(start.elapsed() < Duration::from_secs(3600));
    }
}
