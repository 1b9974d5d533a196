//! The blocks of a file as the import takes them.

use super::meter::Meter;
use crate::{
    block_file::{BlockFile, FileError, Problem, RawBlock},
    stop::Stop,
};
use alloy_primitives::B256;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use warpline_chain::Incoming;

/// Where the blocks that were handed out last began.
#[derive(Debug, Default)]
pub(super) struct Trail(Mutex<VecDeque<(B256, u64)>>);

/// More blocks than are on their way through the stages of an import.
const TRAIL: usize = 256;

impl Trail {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(B256, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, hash: B256, offset: u64) {
        let mut trail = self.lock();
        trail.push_back((hash, offset));
        if trail.len() > TRAIL {
            trail.pop_front();
        }
    }

    /// Where a block began.
    pub(super) fn offset(&self, hash: &B256) -> Option<u64> {
        self.lock().iter().find(|(of, _)| of == hash).map(|(_, offset)| *offset)
    }
}

/// Decodes the blocks of a file until it ends, or the user wants to.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: BlockFile,
    first: Option<RawBlock>,
    genesis: B256,
    stop: &'a Stop,
    meter: &'a Meter,
    trail: &'a Trail,
}

impl<'a> Source<'a> {
    /// Goes on behind `first`.
    pub(super) fn new(
        file: BlockFile,
        first: RawBlock,
        genesis: B256,
        stop: &'a Stop,
        meter: &'a Meter,
        trail: &'a Trail,
    ) -> Self {
        Self { file, first: Some(first), genesis, stop, meter, trail }
    }

    fn decode(&mut self, raw: &RawBlock) -> Result<Incoming, FileError> {
        let block = raw.decode().map_err(|problem| self.file.error(raw.offset, problem))?;
        let hash = raw.hash().unwrap_or_default();
        if block.header.number == 0 && hash != self.genesis {
            let problem = Problem::OtherGenesis { there: hash, ours: self.genesis };
            return Err(self.file.error(raw.offset, problem));
        }
        self.file.passed(block.header.number);
        self.trail.push(hash, raw.offset);
        self.meter.handed();
        Ok(Incoming { block, senders: None })
    }
}

impl Iterator for Source<'_> {
    type Item = Result<Incoming, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stop.requested() {
            return None;
        }
        let raw = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.file.next_block(),
        };
        match raw {
            Ok(None) => None,
            // It came to its end in the middle because the user wants one.
            Err(_) if self.stop.requested() => None,
            Ok(Some(raw)) => Some(self.decode(&raw)),
            Err(error) => Some(Err(error)),
        }
    }
}
