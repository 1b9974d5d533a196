//! Mock transactions: what drives the scheduler and the memory in tests, without an EVM.
//!
//! The [`actors`] run them the way the executor does. They are step machines, so that the same
//! code runs on threads of its own ([`threads`]), under the model checker ([`interleavings`]), and
//! in a [`simulator`] that decides who takes the next step.

mod actors;
#[cfg(loom)]
mod interleavings;
#[cfg(not(loom))]
mod simulator;
#[cfg(not(loom))]
mod threads;

use crate::{Plan, TxPlan};
use core::hash::{Hash, Hasher};
use std::{collections::BTreeMap, sync::Arc};

/// Keys there are. Few, so that transactions meet.
pub(crate) const KEYS: u8 = 6;
/// Values there are. Few, so that a key often gets the value back that somebody saw earlier.
const VALUES: u64 = 5;

/// One step of a mock transaction, which carries a digest of all it has read so far.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(loom, allow(dead_code, reason = "explored blocks are the simplest"))]
pub(crate) enum Op {
    /// Mixes a key's value into the digest.
    Read(u8),
    /// The same for a key that the digest picks.
    ReadPicked,
    /// Writes a value made from the digest.
    Write(u8),
    /// The same to a key that the digest picks.
    WritePicked,
}

/// A transaction without an EVM.
#[derive(Clone, Debug)]
pub(crate) struct MockTx {
    pub(crate) plan: TxPlan,
    pub(crate) ops: Vec<Op>,
    /// Running it ahead ends in an error; the front meets none.
    pub(crate) fails_ahead: bool,
}

/// A block of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MockBlock {
    pub(crate) txs: Vec<MockTx>,
    pub(crate) families: Vec<u32>,
    pub(crate) lead: u64,
    pub(crate) work: Vec<u64>,
    pub(crate) first: Vec<usize>,
    /// What transactions are expected to need, rightly or not.
    pub(crate) needs: Vec<Vec<u32>>,
    /// The front fails at this transaction and gives the block up.
    pub(crate) stops_at: Option<usize>,
}

/// Groups that mock transactions belong to.
pub(crate) const GROUPS: u32 = 3;

/// The state after, or before, transactions.
pub(crate) type State = BTreeMap<u8, u64>;

fn value(state: &State, key: u8) -> u64 {
    state.get(&key).copied().unwrap_or_else(|| parent(key))
}

/// What a key holds before the block.
fn parent(key: u8) -> u64 {
    u64::from(key) % VALUES
}

/// A key of the multi-version memory. Under the model checker all hashes are equal, because the
/// map's hasher is seeded at random and an exploration has to be repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u8);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(if cfg!(loom) { 0 } else { self.0 });
    }
}

/// What a transaction comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Depends on every value that was read, in order.
    pub(crate) digest: u64,
    pub(crate) writes: State,
}

/// An execution under way: asks for one key after the other.
struct Machine<'b> {
    ops: &'b [Op],
    effect: Effect,
}

impl<'b> Machine<'b> {
    fn new(tx: &'b MockTx) -> Self {
        Self { ops: &tx.ops, effect: Effect::default() }
    }

    const fn picked(&self) -> u8 {
        ((self.effect.digest >> 7) % KEYS as u64) as u8
    }

    /// The key it needs next; `None` at its end.
    fn next_read(&mut self) -> Option<u8> {
        while let Some(op) = self.ops.first() {
            let (key, writes) = match op {
                Op::Read(key) => (*key, false),
                Op::ReadPicked => (self.picked(), false),
                Op::Write(key) => (*key, true),
                Op::WritePicked => (self.picked(), true),
            };
            if writes {
                self.effect.writes.insert(key, self.effect.digest % VALUES);
                self.ops = &self.ops[1..];
            } else if let Some(own) = self.effect.writes.get(&key).copied() {
                self.feed(own);
            } else {
                return Some(key);
            }
        }
        None
    }

    fn feed(&mut self, value: u64) {
        let mixed = (self.effect.digest ^ (value + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.effect.digest = mixed ^ (mixed >> 29);
        self.ops = &self.ops[1..];
    }

    fn run_on(mut self, state: &State) -> Effect {
        while let Some(key) = self.next_read() {
            self.feed(value(state, key));
        }
        self.effect
    }
}

impl MockBlock {
    /// How many transactions are committed: all, or those before the one the front fails at.
    pub(crate) fn committed(&self) -> usize {
        self.stops_at.map_or(self.txs.len(), |at| at.min(self.txs.len()))
    }

    /// The effects of the committed transactions, and the state after them: one after the other.
    pub(crate) fn serial_fold(&self) -> (Vec<Effect>, State) {
        let mut state = State::new();
        let run = |tx: &MockTx| {
            let effect = Machine::new(tx).run_on(&state);
            state.extend(&effect.writes);
            effect
        };
        let effects = self.txs[..self.committed()].iter().map(run).collect();
        (effects, state)
    }

    fn plan(&self) -> Plan {
        Plan {
            txs: self.txs.iter().map(|tx| tx.plan).collect(),
            groups: GROUPS as usize,
            families: self.families.clone(),
            lead: self.lead,
            work: self.work.clone(),
            first: self.first.clone(),
            needs: Arc::new(self.needs.iter().map(|needs| needs.iter().copied()).collect()),
            early: true,
        }
    }
}

/// Fails instead of hanging: runs `test` on a thread of its own and gives it so much time. `at`
/// is where the test notes what it is doing.
#[cfg(not(loom))]
fn within(
    time: core::time::Duration,
    at: &'static core::sync::atomic::AtomicU64,
    test: impl FnOnce() + Send + 'static,
) {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    let (done, ended) = channel::<()>();
    let thread = std::thread::spawn(move || {
        test();
        drop(done);
    });
    let ended = ended.recv_timeout(time);
    let at = at.load(core::sync::atomic::Ordering::Relaxed);
    assert_ne!(ended, Err(RecvTimeoutError::Timeout), "still running after {time:?}, at {at}");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
