//! Who runs which transaction when.
//!
//! ```text
//!            claim                 finish
//!   Ready ───────────► Running ─────────────► Done
//!     │  ▲                │ abandon      │      │
//!     │  └── recall, give back ◄─────────┘      │ front reaches it
//!     │ (group not        ▼                     │
//!     └─ worth it) ───► Front ──────────┐       │
//!     │                                 ▼       ▼
//!     └──── front reaches it ────────► Retired (the front executes, or validates and commits)
//! ```

use crate::{
    gate::Gate,
    needs::Needs,
    score::Score,
    sync::{AtomicU8, AtomicU64, AtomicUsize, Mutex, Ordering},
};
use core::cmp::Reverse;
use std::{collections::BinaryHeap, sync::Arc};

mod ready;

pub use ready::Progress;
use ready::Readiness;

/// Nobody has taken the transaction yet.
const READY: u8 = 0;
/// A speculation is under way.
const RUNNING: u8 = 1;
/// A speculative outcome waits for the front.
const DONE: u8 = 2;
/// Only the front may run it.
const FRONT: u8 = 3;
/// The front has it, or has committed it.
const RETIRED: u8 = 4;

/// About how many of the latest speculations decide whether a group is still worth running ahead.
const GROUP_MEMORY: u32 = 24;

/// The same for families, which outlast more conflicts.
const FAMILY_MEMORY: u32 = 32;

/// The same for starting early, of which it soon shows whether it is worth it.
const EARLY_MEMORY: u32 = 12;

/// So many useful speculations in a row make the lead the longest; a wasted one halves it.
const CALM: u64 = 64;

/// How a transaction may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxPlan {
    /// Only the front runs it: it is too cheap to be worth handing over.
    Front,
    /// Helpers may run it ahead. Transactions of one group are likely to conflict.
    Ahead {
        /// Dense group number.
        group: u32,
    },
}

/// How a block is to be scheduled.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// One entry per transaction, in block order.
    pub txs: Vec<TxPlan>,
    /// Number of groups; every group number is below it.
    pub groups: usize,
    /// The family of each group: groups of one family sometimes conflict. Empty where there are
    /// no families. Every family number is below the number of groups.
    pub families: Vec<u32>,
    /// Helpers start up to this many transactions of average size ahead of the front, so that it
    /// runs those itself instead of racing them for the very next. The calmer the block, the
    /// more: a transaction that runs far ahead misses the writes of those it passes over.
    pub lead: u64,
    /// How much work each transaction is thought to be, in any unit. Taken as equal where empty.
    pub work: Vec<u64>,
    /// Transactions to run ahead before all others, the longest first: one that starts late may
    /// end when everybody else has long finished.
    pub first: Vec<usize>,
    /// What transactions are expected to need of earlier ones. They are handed out when that is
    /// there; empty where nothing is known.
    pub needs: Arc<Needs>,
    /// Transactions may be started while what they need is being made.
    pub early: bool,
}

impl Plan {
    /// The mean work of the transactions that may be run ahead.
    fn mean_work(&self) -> u64 {
        let ahead = |tx: &usize| matches!(self.txs[*tx], TxPlan::Ahead { .. });
        let work = |tx| self.work.get(tx).copied().unwrap_or(1);
        let count = (0..self.txs.len()).filter(ahead).count() as u64;
        let sum = (0..self.txs.len()).filter(ahead).map(work).fold(0, u64::saturating_add);
        sum / count.max(1)
    }
}

/// What the front does with the next transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontStep {
    /// Execute it on the canonical state.
    Execute,
    /// There is an outcome: validate and commit it.
    Validate,
    /// A helper is still at it: help with something else, or wait.
    Busy,
}

/// What a speculating reader does about transactions before it that may yet write what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Nobody in sight: go on.
    Clear,
    /// This one is running and may write it: wait, then read again.
    WaitFor(usize),
    /// Nobody has even started one that may write it: going on would be wasted.
    Hopeless,
}

/// Keeps a value on cache lines of its own, so that who writes it does not slow down who reads its
/// neighbours.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

/// Hands out the transactions of one block.
///
/// One thread, the front, calls [`front_step`](Self::front_step) and
/// [`advance`](Self::advance) for each transaction in order. Any number of helpers (and the
/// front, while it would have to wait) claim transactions ahead of it. A transaction that someone
/// waits for is always running on another thread and always earlier in the block than the one
/// that waits, so waiting cannot go round in a circle.
#[derive(Debug)]
pub struct Scheduler {
    status: Box<[AtomicU8]>,
    group: Box<[u32]>,
    scores: Box<[Score]>,
    families: Box<[u32]>,
    family_scores: Box<[Score]>,
    front: Apart<AtomicUsize>,
    cursor: Apart<AtomicUsize>,
    first: Box<[usize]>,
    first_cursor: AtomicUsize,
    /// Transactions to hand out before new ones, and how many they are: outcomes that were
    /// recalled, and those that were passed over before what they need was there.
    again: Mutex<BinaryHeap<Reverse<usize>>>,
    again_len: AtomicUsize,
    needs: Arc<Needs>,
    early: bool,
    /// Whether starting a family's transactions pays while what they need is still running.
    early_scores: Box<[Score]>,
    /// The longest lead, in units of work.
    lead: u64,
    /// How free of conflicts the block has been lately, up to [`CALM`].
    calm: AtomicU64,
    /// Work before each transaction.
    work_before: Box<[u64]>,
    gate: Gate,
    /// Where helpers wait for something to do.
    work: Gate,
}

impl Scheduler {
    /// A block about to start.
    pub fn new(plan: &Plan) -> Self {
        let status = |tx: &TxPlan| match tx {
            TxPlan::Front => AtomicU8::new(FRONT),
            TxPlan::Ahead { .. } => AtomicU8::new(READY),
        };
        let group = |tx: &TxPlan| match tx {
            TxPlan::Front => u32::MAX,
            TxPlan::Ahead { group } => *group,
        };
        let mut sum = 0_u64;
        let mut before = |tx| {
            let work = plan.work.get(tx).copied().unwrap_or(1);
            let before = sum;
            sum = sum.saturating_add(work);
            before
        };
        Self {
            work_before: (0..plan.txs.len()).map(&mut before).collect(),
            status: plan.txs.iter().map(status).collect(),
            group: plan.txs.iter().map(group).collect(),
            scores: (0..plan.groups).map(|_| Score::new(GROUP_MEMORY)).collect(),
            families: plan.families.clone().into(),
            family_scores: plan.families.iter().map(|_| Score::new(FAMILY_MEMORY)).collect(),
            front: Apart(AtomicUsize::new(0)),
            cursor: Apart(AtomicUsize::new(0)),
            first: plan.first.iter().copied().filter(|tx| *tx < plan.txs.len()).collect(),
            first_cursor: AtomicUsize::new(0),
            again: Mutex::new(BinaryHeap::new()),
            again_len: AtomicUsize::new(0),
            needs: plan.needs.clone(),
            early: plan.early,
            early_scores: plan.families.iter().map(|_| Score::new(EARLY_MEMORY)).collect(),
            lead: plan.lead.saturating_mul(plan.mean_work()),
            calm: AtomicU64::new(0),
            gate: Gate::default(),
            work: Gate::default(),
        }
    }

    /// Number of transactions.
    pub const fn len(&self) -> usize {
        self.status.len()
    }

    /// Whether the block has no transactions.
    pub const fn is_empty(&self) -> bool {
        self.status.is_empty()
    }

    /// The group of a transaction, [`u32::MAX`] for one that only the front runs.
    #[inline]
    pub fn group(&self, tx: usize) -> u32 {
        self.group[tx]
    }

    /// Takes the next transaction to run ahead, `None` when there is none left.
    pub fn claim(&self) -> Option<usize> {
        if self.front.0.load(Ordering::Acquire) > self.len() {
            return None;
        }
        if let Some(tx) = self.claim_again() {
            return Some(tx);
        }
        while self.first_cursor.load(Ordering::Relaxed) < self.first.len() {
            let next = self.first_cursor.fetch_add(1, Ordering::Relaxed);
            let free = |tx: &usize| self.readiness(*tx) != Readiness::NotYet && self.try_claim(*tx);
            if let Some(tx) = self.first.get(next).filter(|tx| free(tx)) {
                return Some(*tx);
            }
        }
        let from = self.cursor.0.load(Ordering::Relaxed).max(self.past_lead());
        let tx = (from..self.len()).find(|tx| self.has_all(*tx) && self.try_claim(*tx));
        self.cursor.0.fetch_max(tx.map_or(self.len(), |tx| tx + 1), Ordering::Relaxed);
        tx
    }

    /// Takes the first of the transactions whose outcome was recalled.
    fn claim_again(&self) -> Option<usize> {
        if self.again_len.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut again = self.again.lock();
        let mut taken = None;
        while taken.is_none() {
            let Some(Reverse(tx)) = again.pop() else { break };
            taken = Some(tx).filter(|tx| self.try_claim(*tx));
        }
        self.again_len.store(again.len(), Ordering::Release);
        taken
    }

    /// The first transaction that is far enough ahead of the front.
    fn past_lead(&self) -> usize {
        let next = self.front.0.load(Ordering::Acquire) + 1;
        let Some(ahead) = self.work_before.get(next..) else { return self.len() };
        let calm = self.calm.load(Ordering::Relaxed);
        let lead = (u128::from(self.lead) * u128::from(calm) / u128::from(CALM)) as u64;
        let enough = ahead.first().map_or(0, |work| work.saturating_add(lead));
        next + ahead.partition_point(|work| *work < enough)
    }

    /// Takes a transaction for the front to run ahead while it would have to wait: the nearest
    /// one within `window` of it.
    pub fn claim_near(&self, window: usize) -> Option<usize> {
        let front = self.front.0.load(Ordering::Relaxed);
        let mut near = front + 1..self.len().min(front + 1 + window);
        near.find(|tx| self.has_all(*tx) && self.try_claim(*tx)).or_else(|| self.claim_early())
    }

    /// Takes transaction `tx` to run ahead, if it is to be had.
    pub fn claim_at(&self, tx: usize) -> Option<usize> {
        (tx > self.committed() && tx < self.len() && self.try_claim(tx)).then_some(tx)
    }

    fn try_claim(&self, tx: usize) -> bool {
        let status = &self.status[tx];
        if status.load(Ordering::Relaxed) != READY {
            return false;
        }
        let worth_it = self.worth_running_ahead(self.group[tx]);
        let next = if worth_it { RUNNING } else { FRONT };
        let taken =
            status.compare_exchange(READY, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        taken && worth_it
    }

    /// The claimed transaction has an outcome for the front to validate.
    pub fn finish(&self, tx: usize) {
        self.status[tx].store(DONE, Ordering::SeqCst);
        self.gate.notify();
        self.release(tx);
    }

    /// Takes back a finished transaction because its outcome turned out wrong. On `true` the
    /// caller owns it as if claimed, and after clearing up calls [`give_back`](Self::give_back).
    pub fn recall(&self, tx: usize) -> bool {
        let status = &self.status[tx];
        status.load(Ordering::Relaxed) == DONE
            && status.compare_exchange(DONE, RUNNING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The claimed transaction is to be run again, by whoever comes first.
    pub fn give_back(&self, tx: usize) {
        self.status[tx].store(READY, Ordering::SeqCst);
        self.hand_out_again([tx]);
        self.unsettle();
        self.gate.notify();
    }

    /// Hands these out before new ones.
    fn hand_out_again(&self, txs: impl IntoIterator<Item = usize>) {
        let mut again = self.again.lock();
        again.extend(txs.into_iter().map(Reverse));
        self.again_len.store(again.len(), Ordering::SeqCst);
        drop(again);
        self.work.notify();
    }

    /// The claimed transaction has no outcome; the front will execute it.
    pub fn abandon(&self, tx: usize) {
        self.status[tx].store(FRONT, Ordering::SeqCst);
        self.gate.notify();
    }

    /// What the front does with transaction `tx`, the next to commit. Unless this is
    /// [`FrontStep::Busy`] nobody else touches the transaction from here on.
    #[inline]
    pub fn front_step(&self, tx: usize) -> FrontStep {
        let status = &self.status[tx];
        let mut seen = status.load(Ordering::Acquire);
        loop {
            let step = match seen {
                RUNNING => return FrontStep::Busy,
                DONE => FrontStep::Validate,
                _ => FrontStep::Execute,
            };
            match status.compare_exchange(seen, RETIRED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return step,
                Err(now) => seen = now,
            }
        }
    }

    /// The front committed transaction `tx`.
    #[inline]
    pub fn advance(&self, tx: usize) {
        self.front.0.store(tx + 1, Ordering::SeqCst);
        self.gate.notify();
        self.release(tx);
    }

    /// The front gives up: nothing more is handed out and nobody waits any longer.
    pub fn stop(&self) {
        self.first_cursor.store(self.first.len(), Ordering::Relaxed);
        self.cursor.0.store(self.len(), Ordering::Relaxed);
        self.front.0.store(usize::MAX / 2, Ordering::SeqCst);
        self.gate.notify();
        self.work.notify();
    }

    /// Number of transactions the front has committed; the whole block once it has given up.
    #[inline]
    pub fn committed(&self) -> usize {
        self.front.0.load(Ordering::Acquire).min(self.len())
    }

    /// Whether transactions between `version` and `reader` may yet write a key whose newest
    /// writer so far has that version and belongs to `group`.
    ///
    /// Members of the writer's group may. If the reader itself is of another group of the same
    /// family, groups evidently share the key, and whoever of the family is running may.
    pub fn ahead_of(&self, reader: usize, version: u32, group: u32) -> Ahead {
        let family = |group: u32| self.families.get(group as usize);
        let own = self.group[reader];
        let shared = own != group && family(own).is_some() && family(own) == family(group);
        let front = self.front.0.load(Ordering::Acquire);
        let mut verdict = Ahead::Clear;
        for tx in front.max(version as usize)..reader {
            let alike = self.group[tx] == group;
            let related = shared && family(self.group[tx]) == family(group);
            if !alike && !related {
                continue;
            }
            match self.status[tx].load(Ordering::Acquire) {
                RUNNING => verdict = Ahead::WaitFor(tx),
                RETIRED if self.front.0.load(Ordering::Acquire) <= tx => {
                    verdict = Ahead::WaitFor(tx);
                }
                READY | FRONT if alike => return Ahead::Hopeless,
                _ => {}
            }
        }
        verdict
    }

    /// Waits until transaction `tx` is no longer running anywhere.
    pub fn wait_for(&self, tx: usize) {
        self.gate.wait_until(|| match self.status[tx].load(Ordering::SeqCst) {
            RUNNING => self.front.0.load(Ordering::SeqCst) > self.len(),
            RETIRED => self.front.0.load(Ordering::SeqCst) > tx,
            _ => true,
        });
    }

    /// Waits until the front can do something with `tx`, which was [`FrontStep::Busy`].
    pub fn wait_for_outcome(&self, tx: usize) {
        self.gate.wait_until(|| self.status[tx].load(Ordering::SeqCst) != RUNNING);
    }

    /// The scores a group's transactions count towards.
    fn scores_of(&self, group: u32) -> impl Iterator<Item = &Score> {
        let family = self.families.get(group as usize);
        let family = family.and_then(|family| self.family_scores.get(*family as usize));
        self.scores.get(group as usize).into_iter().chain(family)
    }

    /// Running a transaction of this group ahead saved time.
    pub fn report_useful(&self, group: u32) {
        self.scores_of(group).for_each(Score::useful);
        let calm = self.calm.load(Ordering::Relaxed);
        self.calm.store((calm + 1).min(CALM), Ordering::Relaxed);
    }

    /// Running a transaction of this group ahead was wasted.
    pub fn report_wasted(&self, group: u32) {
        self.scores_of(group).for_each(Score::wasted);
        self.unsettle();
    }

    /// There was a conflict: stay closer to the front.
    fn unsettle(&self) {
        self.calm.store(self.calm.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
    }

    fn worth_running_ahead(&self, group: u32) -> bool {
        self.scores_of(group).all(Score::worth_it)
    }
}

#[cfg(all(test, not(loom)))]
#[path = "scheduler_tests.rs"]
mod tests;
