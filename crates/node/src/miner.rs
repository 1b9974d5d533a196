//! The thread that makes blocks when it is time.

use crate::{Mining, Node, producer::MineOptions};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::Weak,
    time::{Duration, Instant},
};

/// What the miner waits for.
#[derive(Debug)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    mining: Mining,
    /// Transactions have become pending since the last block.
    work: bool,
    stopping: bool,
    /// Goes up with every change of the mode.
    mode: u64,
}

/// How long after a failure the next block is tried.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Signal {
    pub(crate) fn new(mining: Mining) -> Self {
        let state = State { mining, work: true, stopping: false, mode: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn mining(&self) -> Mining {
        self.state.lock().mining
    }

    pub(crate) fn set_mining(&self, mining: Mining) {
        let mut state = self.state.lock();
        state.mining = mining;
        state.mode += 1;
        state.work = true;
        self.changed.notify_all();
    }

    /// There are new transactions.
    pub(crate) fn work(&self) {
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

    /// Waits until it is time for a block. False if it is time to stop.
    fn wait(&self, last: &mut Instant) -> bool {
        let mut state = self.state.lock();
        let mut mode = state.mode;
        loop {
            if state.stopping {
                return false;
            }
            if state.mode != mode {
                (mode, *last) = (state.mode, Instant::now());
            }
            match state.mining {
                Mining::Instant if state.work => {
                    state.work = false;
                    return true;
                }
                Mining::Instant | Mining::Manual => self.changed.wait(&mut state),
                Mining::Interval(interval) => {
                    let Some(next) = last.checked_add(interval) else {
                        // Nobody lives to see that block.
                        self.changed.wait(&mut state);
                        continue;
                    };
                    if Instant::now() >= next {
                        // No block is made up for where one took longer than the interval.
                        *last = next.max(Instant::now() - interval);
                        return true;
                    }
                    self.changed.wait_until(&mut state, next);
                }
            }
        }
    }
}

/// Makes blocks until the node goes.
pub(crate) fn run(node: &Weak<Node>, signal: &Signal) {
    let mut last = Instant::now();
    while signal.wait(&mut last) {
        let Some(node) = node.upgrade() else { return };
        let instant = signal.mining() == Mining::Instant;
        if instant && node.pool().status().0 == 0 {
            continue;
        }
        match node.mine(&MineOptions::default()) {
            // What did not fit into the block goes into the next, as long as there is progress.
            Ok(_) if instant && node.has_ready() => signal.work(),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "no block could be made");
                std::thread::sleep(AFTER_FAILURE);
            }
        }
    }
}
