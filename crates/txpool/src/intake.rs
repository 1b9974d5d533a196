//! Where transactions wait for a signature to be recovered, off the threads of a server.
//!
//! Whatever has arrived while one batch was at work is the next batch: its senders are recovered
//! on all of rayon's threads, and it is admitted under few locks in the order of arrival, so that
//! the nonces of a sender stay in order. At light load a batch is a single transaction and costs
//! one hand-over between threads. Blob transactions, whose proofs take a thousand times as long
//! as a signature, have a queue of their own and hold up nobody else.

use crate::{Pool, PoolError, pool::Added, transaction::Origin};
use alloy_primitives::Bytes;
use core::fmt;
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

/// Transactions in a batch.
const BATCH: usize = 512;

/// The type byte of EIP-4844.
const BLOB_TYPE: u8 = 3;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Transactions in each of the two queues (16,384).
    pub transactions: usize,
    /// Their bytes in each of the two queues (64 MiB).
    pub bytes: usize,
}

impl Default for IntakeLimits {
    fn default() -> Self {
        Self { transactions: 16_384, bytes: 64 << 20 }
    }
}

/// Why a transaction was not even taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// More arrives than can be recovered: try again later.
    #[error("too many transactions are waiting to be checked")]
    Busy,
    /// The intake has ended.
    #[error("no more transactions are taken")]
    Closed,
}

/// What is called with the result, on the intake's thread: it should only pass it on.
pub type Reply = Box<dyn FnOnce(Result<Added, PoolError>) + Send>;

/// Adds transactions to a pool from threads of its own. Dropping it finishes what was taken in.
pub struct Intake {
    lanes: [(Arc<Lane>, Option<JoinHandle<()>>); 2],
}

struct Lane {
    limits: IntakeLimits,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

struct Job {
    raw: Bytes,
    origin: Origin,
    reply: Reply,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("waiting", &self.waiting()).finish()
    }
}

impl Intake {
    /// Starts two threads, `intake` and `intake-blobs`.
    ///
    /// # Errors
    /// If the operating system has no threads left.
    pub fn start(pool: &Arc<Pool>, limits: IntakeLimits) -> io::Result<Self> {
        let lane = |name: &str| {
            let lane = Arc::new(Lane {
                limits,
                waiting: Mutex::new(Waiting::default()),
                changed: Condvar::new(),
            });
            let (pool, jobs) = (Arc::clone(pool), Arc::clone(&lane));
            let thread = thread::Builder::new().name(name.into());
            Ok::<_, io::Error>((lane, Some(thread.spawn(move || jobs.work(&pool))?)))
        };
        // A thread that runs already ends with `lanes` if the second cannot be started.
        let mut intake = Self { lanes: [lane("intake")?, (Lane::closed(), None)] };
        intake.lanes[1] = lane("intake-blobs")?;
        Ok(intake)
    }

    /// Hands in a transaction in the network form (EIP-2718). `reply` is called with what the
    /// pool says, unless the transaction is not taken in; it is dropped without a call only if
    /// the intake's thread has died.
    ///
    /// # Errors
    /// If too much is waiting already, or the intake has ended.
    pub fn submit(&self, raw: Bytes, origin: Origin, reply: Reply) -> Result<(), IntakeError> {
        let which = usize::from(raw.first() == Some(&BLOB_TYPE));
        self.lanes[which].0.push(Job { raw, origin, reply })
    }

    /// Transactions that wait.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|(lane, _)| lane.waiting.lock().jobs.len()).sum()
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        for (lane, _) in &self.lanes {
            lane.close();
        }
        for (_, thread) in &mut self.lanes {
            // A panic has been reported where it happened.
            let _ended = thread.take().map(JoinHandle::join);
        }
    }
}

impl Lane {
    fn closed() -> Arc<Self> {
        let waiting = Mutex::new(Waiting { closed: true, ..Waiting::default() });
        Arc::new(Self { limits: IntakeLimits::default(), waiting, changed: Condvar::new() })
    }

    fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_all();
    }

    fn push(&self, job: Job) -> Result<(), IntakeError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(IntakeError::Closed);
        }
        let bytes = waiting.bytes + job.raw.len();
        if waiting.jobs.len() >= self.limits.transactions || bytes > self.limits.bytes {
            return Err(IntakeError::Busy);
        }
        waiting.bytes = bytes;
        waiting.jobs.push_back(job);
        let first = waiting.jobs.len() == 1;
        drop(waiting);
        if first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The next batch; none once the lane is closed and empty.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            self.changed.wait(&mut waiting);
        }
        let count = waiting.jobs.len().min(BATCH);
        let jobs: Vec<_> = waiting.jobs.drain(..count).collect();
        waiting.bytes -= jobs.iter().map(|job| job.raw.len()).sum::<usize>();
        Some(jobs)
    }

    fn work(&self, pool: &Pool) {
        let _closes_if_it_dies = CloseOnDrop(self);
        while let Some(jobs) = self.next() {
            let inputs: Vec<_> = jobs.iter().map(|job| (&job.raw, job.origin)).collect();
            let prepared = pool.prepare_each(&inputs);
            let (mut good, mut replies) = (Vec::new(), Vec::new());
            for (job, prepared) in jobs.into_iter().zip(prepared) {
                match prepared {
                    Err(error) => (job.reply)(Err(error)),
                    Ok(tx) => {
                        good.push(tx);
                        replies.push(job.reply);
                    }
                }
            }
            for (reply, result) in replies.into_iter().zip(pool.admit(good)) {
                reply(result);
            }
        }
    }
}

struct CloseOnDrop<'a>(&'a Lane);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
        // Whoever waits for a reply learns that there will be none.
        self.0.waiting.lock().jobs.clear();
    }
}
