//! What a block has changed so far, told to others while it executes.

use alloy_primitives::{Address, U256};
use revm::state::AccountInfo;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use warpline_types::AccountState;

/// A value that a transaction or a rule of the block has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommittedValue {
    /// An account's fields.
    Account {
        /// The account.
        address: Address,
        /// Its fields; `None` where it ceased to exist, with its storage.
        state: Option<AccountState>,
    },
    /// A slot.
    Slot {
        /// The account.
        address: Address,
        /// The slot's key.
        slot: U256,
        /// Its value; zero where there is none.
        value: U256,
    },
}

impl CommittedValue {
    /// The account concerned.
    pub const fn address(&self) -> Address {
        match self {
            Self::Account { address, .. } | Self::Slot { address, .. } => *address,
        }
    }
}

/// Where an execution in parallel leaves what it has committed, in the order of the block and in
/// batches, as a hint.
///
/// The execution never waits: what nobody takes in time is left out, and so are the beneficiary's
/// account, which every transaction changes, and what is less than a batch at the end of the
/// block. A later value of a location overrules earlier ones. Nothing is told of a block until it
/// is known to be valid, so an execution that fails may have left some. An execution in order
/// ([`execute_sequential`](crate::execute_sequential)) leaves nothing.
#[derive(Debug)]
pub struct CommitStream {
    to: SyncSender<Vec<CommittedValue>>,
    batch: usize,
    spare_of: Option<usize>,
}

impl CommitStream {
    /// A stream of batches of `batch` values, at most `waiting` of which wait for being taken.
    /// Its end is that of the block.
    pub fn new(batch: usize, waiting: usize) -> (Self, Receiver<Vec<CommittedValue>>) {
        let (to, from) = sync_channel(waiting);
        (Self { to, batch: batch.max(1), spare_of: None }, from)
    }

    /// The same for executions only that work on fewer threads than this many cores, so that one
    /// is left for whoever takes the batches.
    #[must_use]
    pub fn spare_of(self, cores: usize) -> Self {
        Self { spare_of: Some(cores), ..self }
    }

    /// Whether an execution on so many threads is to leave anything.
    pub(crate) fn wants(&self, threads: usize) -> bool {
        self.spare_of.is_none_or(|cores| threads < cores)
    }
}

/// The execution's end of a stream.
#[derive(Debug)]
pub(crate) struct StreamWriter<'a> {
    stream: &'a CommitStream,
    batch: Vec<CommittedValue>,
    /// Nobody is there to take anything.
    ended: bool,
}

impl<'a> StreamWriter<'a> {
    pub(crate) fn new(stream: &'a CommitStream) -> Self {
        Self { stream, batch: Vec::with_capacity(stream.batch), ended: false }
    }

    pub(crate) fn account(&mut self, address: Address, info: Option<&AccountInfo>) {
        let state = info.map(|info| AccountState {
            balance: info.balance,
            nonce: info.nonce,
            code_hash: info.code_hash,
        });
        self.push(CommittedValue::Account { address, state });
    }

    pub(crate) fn slot(&mut self, address: Address, slot: U256, value: U256) {
        self.push(CommittedValue::Slot { address, slot, value });
    }

    fn push(&mut self, value: CommittedValue) {
        if self.ended {
            return;
        }
        self.batch.push(value);
        if self.batch.len() < self.stream.batch {
            return;
        }
        let next = Vec::with_capacity(self.stream.batch);
        match self.stream.to.try_send(core::mem::replace(&mut self.batch, next)) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => self.ended = true,
        }
    }
}
