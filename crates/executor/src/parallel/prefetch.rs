//! Reading what transactions are expected to touch before they need it.
//!
//! Worth it only where the parent state is slow to read, on a disk above all: there many reads at
//! once take hardly longer than one. Where it turns out to be in memory nothing is gained, and the
//! threads stop.

use crate::{Guidance, ParentState};
use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use revm::Database;
use std::{panic::catch_unwind, time::Instant};
use warpline_block_stm::Scheduler;

/// Reads after which a thread decides whether it is worth going on.
const TRIAL: u32 = 32;

/// A read that takes less than this on average comes from memory.
const FROM_MEMORY: Duration = Duration::from_micros(4);

/// Transactions that a thread takes at a time.
const CHUNK: usize = 4;

/// The accesses of one block, handed out in its order.
pub(crate) struct Prefetch<'a, P> {
    guidance: Guidance<'a>,
    parent: &'a P,
    scheduler: &'a Scheduler,
    next: AtomicUsize,
}

impl<'a, P: ParentState> Prefetch<'a, P> {
    pub(crate) const fn new(
        guidance: Guidance<'a>,
        parent: &'a P,
        scheduler: &'a Scheduler,
    ) -> Self {
        Self { guidance, parent, scheduler, next: AtomicUsize::new(0) }
    }

    /// Whether there is anything to read ahead.
    pub(crate) fn is_wanted(&self) -> bool {
        self.guidance.uses.prefetch && self.guidance.expected.is_some()
    }

    /// One thread's part. What cannot be read is left to whoever needs it, who will say so.
    pub(crate) fn run(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.read_ahead()));
    }

    /// `None` when there is no use in going on.
    fn read_ahead(&self) -> Option<()> {
        let all = self.guidance.expected?.accesses();
        let mut db = self.parent.open();
        let (start, mut reads) = (Instant::now(), 0_u32);
        loop {
            let chunk = self.next.fetch_add(CHUNK, Ordering::Relaxed);
            let expected = all.get(chunk..)?;
            for (tx, expected) in (chunk..).zip(&expected[..expected.len().min(CHUNK)]) {
                // The front is past it.
                if tx < self.scheduler.committed() {
                    continue;
                }
                for address in &expected.accounts {
                    let account = db.basic(*address).ok()?;
                    if let Some(account) = account.filter(|account| !account.is_empty_code_hash()) {
                        db.code_by_hash(account.code_hash).ok()?;
                    }
                }
                for slot in &expected.slots {
                    db.storage(slot.address, slot.slot).ok()?;
                }
                reads += (expected.accounts.len() + expected.slots.len()) as u32;
                if reads >= TRIAL && start.elapsed() < FROM_MEMORY * reads {
                    return None;
                }
            }
        }
    }
}
