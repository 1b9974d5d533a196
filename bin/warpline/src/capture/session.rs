//! From blocks to files: which are there already, several at a time, and following new ones.

use super::progress::Progress;
use alloy_primitives::B256;
use eyre::{Result, ensure};
use std::{
    collections::BTreeMap,
    fmt::Display,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use warpline_capture::{CaptureError, Captured, Endpoint, Fault, RpcFailure, verify};
use warpline_fixture::{BlockFixture, FixtureError};

/// How often the node is asked for a new block.
const POLL: Duration = Duration::from_millis(500);

/// How often a new block is tried again that cannot be captured: the chain may have moved.
const ATTEMPTS: u32 = 2;

/// How far back a change of the chain is followed.
const REMEMBERED: usize = 256;

/// One run of the command.
#[derive(Debug)]
pub(super) struct Session<'a> {
    endpoint: &'a Endpoint,
    folder: &'a Path,
    concurrency: usize,
    progress: Progress,
    /// The node does not answer any more: there is no point in going on.
    lost: AtomicBool,
}

/// Why a block has no fixture.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    File(#[from] FixtureError),
}

impl Failure {
    /// What is wrong with the block or the node, unless it is the file.
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::File(_) => None,
            Self::Capture(CaptureError { fault, .. }) => Some(fault),
        }
    }

    fn is_stop(&self) -> bool {
        matches!(self.fault(), Some(Fault::Rpc(RpcFailure::Stopped)))
    }

    fn is_silence(&self) -> bool {
        matches!(self.fault(), Some(Fault::Rpc(RpcFailure::Unreachable { .. })))
    }

    /// Whether other blocks will fail for the same reason.
    fn concerns_all(&self) -> bool {
        matches!(self, Self::File(_)) || self.is_stop() || self.is_silence()
    }

    /// Whether the same block may succeed a moment later: the node is away, or was about to move
    /// to another branch.
    fn is_passing(&self) -> bool {
        self.is_stop() || self.is_silence() || matches!(self.fault(), Some(Fault::NoSuchBlock))
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, folder: &'a Path, concurrency: usize) -> Self {
        let (progress, lost) = (Progress::new(), AtomicBool::new(false));
        Self { endpoint, folder, concurrency, progress, lost }
    }

    /// Captures from `first` to `last`, where none is the latest block, and follows new ones if
    /// asked to. Whether every block is there.
    pub(super) fn run(&self, first: Option<u64>, last: Option<u64>, follow: bool) -> Result<bool> {
        let latest = self.endpoint.latest()?;
        let (first, last) = (first.unwrap_or(latest), last.unwrap_or(latest));
        ensure!(last <= latest, "there is no block {last} yet, the latest is {latest}");
        ensure!(first <= last, "there is no block {first} yet, the latest is {latest}");
        let hash = self.range(first, last)?;
        if follow && !self.stopped() {
            self.follow(last, hash)?;
        }
        self.progress.finish();
        Ok(self.progress.all_good() && !self.lost.load(Ordering::Relaxed))
    }

    /// What was done.
    pub(super) fn summary(&self) -> String {
        self.progress.summary(self.endpoint.client().requests())
    }

    fn stopped(&self) -> bool {
        self.endpoint.client().stopped() || self.lost.load(Ordering::Relaxed)
    }

    /// Captures a range, several blocks at a time. The hash of the last one, if it is there.
    fn range(&self, first: u64, last: u64) -> Result<Option<B256>> {
        self.progress.start(last - first + 1)?;
        let (next, end) = (AtomicU64::new(first), Mutex::new(None));
        let work = || {
            while !self.stopped() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > last {
                    return;
                }
                let Ok(block) = self.present_or_captured(number).map_err(|f| self.failed(&f))
                else {
                    continue;
                };
                if number == last {
                    *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(block.hash);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.concurrency {
                scope.spawn(work);
            }
        });
        Ok(end.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Captures every block after `last` as it comes. Blocks that leave the chain are captured
    /// again as they are in it then.
    fn follow(&self, last: u64, hash: Option<B256>) -> Result<()> {
        self.progress.wait()?;
        let mut known: BTreeMap<u64, B256> = hash.map(|hash| (last, hash)).into_iter().collect();
        let (mut next, mut attempts) = (last + 1, 0);
        while !self.stopped() {
            match self.endpoint.latest() {
                Ok(latest) if latest >= next => {}
                Ok(_) | Err(Fault::Rpc(RpcFailure::Unreachable { .. } | RpcFailure::Stopped)) => {
                    self.endpoint.client().pause(POLL);
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            }
            match self.captured(next) {
                Ok(block) => {
                    let before = next.saturating_sub(1);
                    let moved = known.get(&before).is_some_and(|hash| *hash != block.parent);
                    known.insert(next, block.hash);
                    while known.len() > REMEMBERED {
                        known.pop_first();
                    }
                    if moved {
                        self.progress.say(&format!("block {before} has left the chain"));
                        known.remove(&before);
                    }
                    (next, attempts) = (if moved { before } else { next + 1 }, 0);
                }
                // The node may be back, or the block may be another one, at the next attempt.
                Err(failure) if failure.is_passing() || attempts < ATTEMPTS => {
                    attempts += 1;
                    self.endpoint.client().pause(POLL);
                }
                Err(failure) => {
                    self.failed(&failure);
                    (next, attempts) = (next + 1, 0);
                }
            }
        }
        Ok(())
    }

    /// A block that has a good fixture already, or gets one.
    fn present_or_captured(&self, number: u64) -> Result<Block, Failure> {
        match self.present(number) {
            Some(block) => {
                self.progress.passed_over();
                Ok(block)
            }
            None => self.captured(number),
        }
    }

    /// The block of a fixture that is there and good.
    fn present(&self, number: u64) -> Option<Block> {
        let path = self.path(number);
        if !path.exists() {
            return None;
        }
        let again = |why: &dyn Display| {
            let name = path.display();
            self.progress.say(&format!("{name} is captured again: {why}"));
        };
        let fixture = BlockFixture::load(&path).map_err(|error| again(&error.problem)).ok()?;
        let header = &fixture.header;
        if header.number != number || fixture.chain != self.endpoint.rules().of_block(header).chain
        {
            again(&"it holds another block");
            return None;
        }
        let block = Block::of(&fixture);
        verify(fixture).map_err(|fault| again(&fault)).ok()?;
        Some(block)
    }

    fn captured(&self, number: u64) -> Result<Block, Failure> {
        let Captured { fixture, method, proven } = self.endpoint.capture(number)?;
        fixture.save(&self.path(number))?;
        self.progress.captured(number, method, proven);
        Ok(Block::of(&fixture))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.json.zst"))
    }

    /// Reports a failure, and whether others will follow.
    fn failed(&self, failure: &Failure) {
        if failure.is_stop() || (failure.concerns_all() && self.lost.swap(true, Ordering::Relaxed))
        {
            return;
        }
        self.progress.failed(failure);
    }
}

/// A block by its place in the chain.
#[derive(Debug, Clone, Copy)]
struct Block {
    hash: B256,
    parent: B256,
}

impl Block {
    fn of(fixture: &BlockFixture) -> Self {
        let hash = fixture.hash.unwrap_or_else(|| fixture.header.hash_slow());
        Self { hash, parent: fixture.header.parent_hash }
    }
}
