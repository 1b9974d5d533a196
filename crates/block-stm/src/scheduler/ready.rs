//! Handing transactions out when what they are expected to need is there.

use super::{DONE, READY, RETIRED, RUNNING, Scheduler};
use crate::{
    score::Score,
    sync::{AtomicU8, Ordering, spin_loop, yield_now},
};

/// How far past the front transactions are started early.
const EARLY_WINDOW: usize = 64;

/// One transaction in so many is started early even where that was in vain, in case it no longer is.
const RETRY: usize = 32;

/// How often a helper without work looks again before it goes to sleep: some ten microseconds,
/// about what a sleep and a wake-up cost.
#[cfg(not(loom))]
const LOOKS: usize = 64;
#[cfg(loom)]
const LOOKS: usize = 1;

/// Whether a transaction has what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// All of it is there.
    Ready,
    /// The rest is being made.
    Soon,
    /// Nobody has begun with some of it.
    NotYet,
}

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What it writes can be seen.
    Finished,
    /// Somebody runs or commits it.
    Running,
    /// Nobody does.
    NotStarted,
}

impl Scheduler {
    /// How far transaction `tx` has come.
    #[inline]
    pub fn progress(&self, tx: usize) -> Progress {
        if tx < self.front.0.load(Ordering::Acquire) {
            return Progress::Finished;
        }
        match self.status[tx].load(Ordering::Acquire) {
            DONE => Progress::Finished,
            RUNNING => Progress::Running,
            // The front is at it, unless it has moved on since.
            RETIRED if tx < self.front.0.load(Ordering::Acquire) => Progress::Finished,
            RETIRED => Progress::Running,
            _ => Progress::NotStarted,
        }
    }

    #[inline]
    pub(super) fn readiness(&self, tx: usize) -> Readiness {
        let mut readiness = Readiness::Ready;
        for need in self.needs.of(tx) {
            match self.progress(*need as usize) {
                Progress::Finished => {}
                Progress::Running => readiness = Readiness::Soon,
                Progress::NotStarted => return Readiness::NotYet,
            }
        }
        readiness
    }

    #[inline]
    pub(super) fn has_all(&self, tx: usize) -> bool {
        self.readiness(tx) == Readiness::Ready
    }

    /// Takes the next transaction to run ahead, waiting for one as long as there may be one.
    /// `None` when the block is over, or when there can be nothing more.
    pub fn claim_or_wait(&self) -> Option<usize> {
        loop {
            let mut seen = None;
            for look in 0..LOOKS {
                // Searching takes cache lines away from who works: only when there is news.
                let news = (self.front.0.load(Ordering::Acquire), self.again_len());
                if seen.replace(news) != Some(news) {
                    if let Some(tx) = self.claim_now() {
                        return Some(tx);
                    }
                    if !self.may_have_more() {
                        return None;
                    }
                }
                if look % 16 == 15 { yield_now() } else { (0..16).for_each(|_| spin_loop()) }
            }
            self.wait_for_work();
        }
    }

    /// Takes the next transaction to run ahead, or one that may be started early.
    pub(crate) fn claim_now(&self) -> Option<usize> {
        self.claim().or_else(|| self.claim_early())
    }

    /// Whether there may be something to claim later where there is nothing now: somebody was
    /// passed over. Who runs a transaction at the moment and gives it back claims it again.
    pub(crate) fn may_have_more(&self) -> bool {
        let front = self.front.0.load(Ordering::SeqCst);
        let ready = |status: &AtomicU8| status.load(Ordering::Relaxed) == READY;
        !self.needs.is_empty()
            && self.status.get(front..).is_some_and(|rest| rest.iter().any(ready))
    }

    /// Waits until something is handed out again, or the block is over.
    pub(crate) fn wait_for_work(&self) {
        let over = || self.front.0.load(Ordering::SeqCst) >= self.len();
        self.work.wait_until(|| self.again_len() > 0 || over());
    }

    fn again_len(&self) -> usize {
        self.again_len.load(Ordering::SeqCst)
    }

    fn may_start_early(&self, tx: usize) -> bool {
        self.early_score(self.group[tx]).is_none_or(Score::worth_it)
    }

    fn early_score(&self, group: u32) -> Option<&Score> {
        let family = self.families.get(group as usize)?;
        self.early_scores.get(*family as usize)
    }

    /// Takes a transaction near the front whose needs are all running: it starts now and waits
    /// where it reads what they write.
    pub(super) fn claim_early(&self) -> Option<usize> {
        if self.needs.is_empty() || !self.early {
            return None;
        }
        let front = self.front.0.load(Ordering::Relaxed);
        let mut near = front + 1..self.len().min(front + 1 + EARLY_WINDOW);
        near.find(|tx| {
            self.status[*tx].load(Ordering::Relaxed) == READY
                && (tx.is_multiple_of(RETRY) || self.may_start_early(*tx))
                && self.readiness(*tx) == Readiness::Soon
                && self.try_claim(*tx)
        })
    }

    /// What `tx` writes can be seen: hands out who was passed over for the want of it.
    pub(super) fn release(&self, tx: usize) {
        let waiting = self.needs.needing(tx);
        if waiting.is_empty() {
            return;
        }
        let front = self.front.0.load(Ordering::Acquire);
        let passed = self.cursor.0.load(Ordering::Acquire);
        let free = |tx: &usize| {
            // The front takes the next one itself.
            *tx > front
                && *tx < passed
                && self.status[*tx].load(Ordering::Relaxed) == READY
                && self.has_all(*tx)
        };
        let mut free = waiting.iter().map(|tx| *tx as usize).filter(free).peekable();
        if free.peek().is_some() {
            self.hand_out_again(free);
        }
    }

    /// The claimed transaction would have to wait for one that nobody has begun: it is handed out
    /// again when that is there.
    pub fn put_off(&self, tx: usize) {
        self.status[tx].store(READY, Ordering::SeqCst);
        if self.has_all(tx) {
            self.hand_out_again([tx]);
        }
        self.gate.notify();
    }

    /// Transaction `tx` was useful but waited for others, and it was worth it, or spent most of its
    /// time waiting.
    pub fn report_early(&self, tx: usize, worth_it: bool) {
        let group = self.group[tx];
        match self.early_score(group) {
            // It was known that it might.
            Some(score) if !self.needs.of(tx).is_empty() && !worth_it => score.wasted(),
            _ if !worth_it => self.report_wasted(group),
            Some(score) => {
                score.useful();
                self.report_useful(group);
            }
            None => self.report_useful(group),
        }
    }
}
