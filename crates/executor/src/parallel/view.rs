//! The database a speculating transaction reads through: parent state overlaid with the writes of
//! the transactions before it. Every read is logged for validation.

use crate::parallel::{
    expectations::{Expectations, Meeting},
    foretold::Foretold,
    memory::{Memory, Written},
    watch::BalanceWatch,
};
use alloy_evm::Database;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use core::fmt;
use revm::{
    DatabaseCommit,
    database_interface::DBErrorMarker,
    state::{Account, AccountId, AccountInfo, Bytecode},
};
use std::time::{Duration, Instant};
use warpline_block_stm::{Ahead, Progress, Scheduler};

/// The account fields a transaction found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code_hash: B256,
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        let no_code = self.code_hash == revm::primitives::KECCAK_EMPTY || self.code_hash.is_zero();
        self.balance.is_zero() && self.nonce == 0 && no_code
    }
}

/// One account read.
#[derive(Clone, Debug)]
pub(crate) struct AccountRead {
    pub(crate) address: Address,
    pub(crate) seen: Option<Seen>,
    /// The value came from the parent state as it is, not from another transaction or a guess.
    pub(crate) from_parent: bool,
}

/// One slot read.
#[derive(Clone, Debug)]
pub(crate) struct SlotRead {
    /// Position of the account in the log, if it was read before.
    pub(crate) account: Option<u32>,
    pub(crate) address: Address,
    pub(crate) key: U256,
    pub(crate) seen: U256,
    /// Who wrote it; `None` for the parent state.
    pub(crate) version: Option<u32>,
}

/// How a speculation waited for earlier transactions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    /// How long it ran before it first waited; `None` where it did not wait.
    pub(crate) before: Option<Duration>,
    /// How long it waited in all.
    pub(crate) sum: Duration,
}

/// Everything one speculative execution read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadLog {
    pub(crate) accounts: Vec<AccountRead>,
    pub(crate) slots: Vec<SlotRead>,
}

impl ReadLog {
    /// An account as the transaction found it.
    pub(crate) fn found(&self, address: &Address) -> Option<AccountInfo> {
        let read = self.accounts.iter().find(|read| read.address == *address)?;
        read.seen.map(|seen| AccountInfo {
            balance: seen.balance,
            nonce: seen.nonce,
            code_hash: seen.code_hash,
            account_id: None,
            code: None,
        })
    }

    /// Whether an account was found in two ways, because it was written between two reads. revm
    /// reads each account of a transaction once; a block executor may look at one beside it.
    pub(crate) fn is_torn(&self) -> bool {
        let mut reads: Vec<_> = self.accounts.iter().collect();
        reads.sort_unstable_by_key(|read| read.address);
        reads.windows(2).any(|two| two[0].address == two[1].address && two[0].seen != two[1].seen)
    }
}

/// Why a speculative read gave up.
#[derive(Debug)]
pub enum ViewError<E> {
    /// The parent state could not be read.
    Parent(E),
    /// What would be read is about to change: the speculation is not worth finishing.
    Interrupt,
}

impl<E: fmt::Display> fmt::Display for ViewError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent(error) => error.fmt(f),
            Self::Interrupt => f.write_str("speculation interrupted"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ViewError<E> {}
impl<E: core::error::Error + Send + Sync + 'static> DBErrorMarker for ViewError<E> {}

/// Which transaction is speculating, and what is expected of its sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speculation {
    pub(crate) tx: usize,
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
    /// The transaction creates a contract.
    pub(crate) creates: bool,
}

/// The database of a speculating thread.
pub struct View<'a, Db> {
    parent: Db,
    memory: &'a Memory,
    scheduler: &'a Scheduler,
    expected: Option<&'a Expectations>,
    /// Where the current transaction is expected to meet earlier ones.
    meetings: &'a [Meeting],
    /// Stands in for the memory, where there is one.
    foretold: Option<&'a Foretold<'a>>,
    current: Speculation,
    log: ReadLog,
    /// Filled by whoever watches the execution.
    pub(crate) watch: BalanceWatch,
    begun: Instant,
    waits: Waits,
    /// Something was committed here, which a speculation must not do: its outcome is not used.
    spoiled: bool,
    /// It was given up because nobody has begun with a transaction that it needs.
    too_early: bool,
}

impl<Db> fmt::Debug for View<'_, Db> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("current", &self.current).finish_non_exhaustive()
    }
}

impl<'a, Db> View<'a, Db> {
    pub(crate) fn new(
        parent: Db,
        memory: &'a Memory,
        scheduler: &'a Scheduler,
        expected: Option<&'a Expectations>,
        foretold: Option<&'a Foretold<'a>>,
    ) -> Self {
        Self {
            parent,
            memory,
            scheduler,
            expected,
            meetings: &[],
            foretold,
            current: Speculation::default(),
            log: ReadLog::default(),
            watch: BalanceWatch::default(),
            begun: Instant::now(),
            waits: Waits::default(),
            spoiled: false,
            too_early: false,
        }
    }

    /// Starts the next speculation.
    pub(crate) fn begin(&mut self, current: Speculation) {
        self.current = current;
        self.meetings = self.expected.map_or(&[], |known| known.of(current.tx));
        self.log.accounts.clear();
        self.log.slots.clear();
        self.watch = BalanceWatch::new(current.creates);
        self.begun = Instant::now();
        self.waits = Waits::default();
        self.spoiled = false;
        self.too_early = false;
    }

    /// Whether the speculation ended because it needs what nobody has begun to write.
    pub(crate) const fn is_too_early(&self) -> bool {
        self.too_early
    }

    /// Whether every slot that was read still has the writer it was read from.
    pub(crate) fn is_current(&self) -> bool {
        // What a list foretells does not change.
        self.foretold.is_some()
            || self.log.slots.iter().all(|read| {
                let now = self.memory.slot(read.address, read.key, self.version());
                now.map(|written| written.version) == read.version
            })
    }

    /// The reads of the speculation that just ended, and how long it waited for others. `None`
    /// if its outcome cannot be used.
    pub(crate) fn take_log(&self) -> Option<(ReadLog, Waits)> {
        // A copy of the right size: the log itself keeps its room for the next transaction.
        (!self.spoiled).then(|| (self.log.clone(), self.waits))
    }

    /// The version below which this transaction reads.
    #[inline]
    const fn version(&self) -> u32 {
        self.current.tx as u32 + 1
    }

    /// The value of a slot and who wrote it, once nobody is about to write it any more; `None`
    /// where nobody has.
    fn settled_slot(
        &mut self,
        address: Address,
        key: U256,
    ) -> Result<Option<(U256, u32)>, Interrupted> {
        let writer = self.meets(&address, &key);
        loop {
            // Before the slot: if it has finished by now, its writes are there.
            let writer = writer.map(|writer| (writer, self.scheduler.progress(writer)));
            let written = self.memory.slot(address, key, self.version());
            let version = written.as_ref().map(|written| written.version);
            let again = match (writer, &written) {
                (Some((writer, progress)), _) => self.settle_meeting(writer, progress, version)?,
                (None, Some(written)) => self.settle(written)?,
                (None, None) => false,
            };
            if !again {
                return Ok(written.map(|written| (written.value, written.version)));
            }
        }
    }

    /// Decides about a value that others may be about to overwrite. `true`: read it again.
    fn settle(&mut self, written: &Written<U256>) -> Result<bool, Interrupted> {
        match self.scheduler.ahead_of(self.current.tx, written.version, written.group) {
            Ahead::Clear => Ok(false),
            Ahead::Hopeless => Err(Interrupted),
            Ahead::WaitFor(tx) => {
                self.wait_for(tx);
                Ok(true)
            }
        }
    }

    /// The same where the last writer is expected to be a certain one, which had come so far before
    /// the value was read.
    fn settle_meeting(
        &mut self,
        writer: usize,
        progress: Progress,
        version: Option<u32>,
    ) -> Result<bool, Interrupted> {
        match progress {
            _ if version.is_some_and(|version| version > writer as u32) => Ok(false),
            // It turns out not to have written the slot.
            Progress::Finished => Ok(false),
            Progress::Running => {
                self.wait_for(writer);
                Ok(true)
            }
            Progress::NotStarted => {
                self.too_early = true;
                Err(Interrupted)
            }
        }
    }

    fn wait_for(&mut self, tx: usize) {
        let start = Instant::now();
        self.scheduler.wait_for(tx);
        self.waits.before.get_or_insert(start - self.begun);
        self.waits.sum += start.elapsed();
    }

    /// The transaction that is expected to write this slot last before the current one.
    #[inline]
    fn meets(&self, address: &Address, key: &U256) -> Option<usize> {
        let meeting = self.meetings.iter().find(|m| m.key == *key && m.address == *address)?;
        Some(meeting.writer as usize)
    }
}

struct Interrupted;

impl<E> From<Interrupted> for ViewError<E> {
    fn from(_: Interrupted) -> Self {
        Self::Interrupt
    }
}

impl<Db: Database> View<'_, Db> {
    fn read_slot(
        &mut self,
        account: Option<u32>,
        address: Address,
        key: U256,
    ) -> Result<U256, ViewError<Db::Error>> {
        let written = match self.foretold {
            Some(list) => list.slot(address, key, self.version()),
            None => self.settled_slot(address, key)?,
        };
        let (seen, version) = match written {
            Some((value, version)) => (value, Some(version)),
            None => {
                // As revm's `State`: what does not exist has no storage.
                let known = account.and_then(|at| self.log.accounts.get(at as usize));
                let value = match known {
                    Some(AccountRead { seen: None, .. }) => U256::ZERO,
                    _ => self.parent.storage(address, key).map_err(ViewError::Parent)?,
                };
                (value, None)
            }
        };
        self.log.slots.push(SlotRead { account, address, key, seen, version });
        Ok(seen)
    }
}

impl<Db: Database> revm::Database for View<'_, Db> {
    type Error = ViewError<Db::Error>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let reader = self.version();
        let written = match self.foretold {
            Some(_) => None,
            None => self.memory.accounts.read(&address, reader),
        };
        let (mut info, mut from_parent) = match written {
            Some(found) => (found.value, false),
            None => {
                let info = self.parent.basic(address).map_err(ViewError::Parent)?;
                let foretold =
                    self.foretold.map(|list| list.account(address, reader, info.clone()));
                foretold.map_or((info, true), |(info, changed)| (info, !changed))
            }
        };
        if let Some(info) = &mut info {
            // Earlier transactions of the same sender raise its nonce: assume they will have.
            if address == self.current.sender && info.nonce < self.current.nonce {
                info.nonce = self.current.nonce;
                from_parent = false;
            }
            info.account_id = AccountId::new(self.log.accounts.len());
        }
        let seen = info.as_ref().map(|info| Seen {
            balance: info.balance,
            nonce: info.nonce,
            code_hash: info.code_hash,
        });
        self.log.accounts.push(AccountRead { address, seen, from_parent });
        Ok(info)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.parent.code_by_hash(code_hash).map_err(ViewError::Parent)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Self::Error> {
        let account = self.log.accounts.iter().rposition(|read| read.address == address);
        self.read_slot(account.map(|at| at as u32), address, key)
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        id: AccountId,
        key: U256,
    ) -> Result<U256, Self::Error> {
        match self.log.accounts.get(id.get()) {
            Some(read) if read.address == address => {
                self.read_slot(Some(id.get() as u32), address, key)
            }
            _ => self.storage(address, key),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.parent.block_hash(number).map_err(ViewError::Parent)
    }
}

impl<Db> DatabaseCommit for View<'_, Db> {
    fn commit(&mut self, _: AddressMap<Account>) {
        self.spoiled = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reads_of_an_account_that_differ_tear_the_log() {
        let seen = |wei| Seen { balance: U256::from(wei), nonce: 0, code_hash: B256::ZERO };
        let read = |byte, seen| AccountRead {
            address: Address::repeat_byte(byte),
            seen,
            from_parent: false,
        };
        let log = |accounts| ReadLog { accounts, slots: Vec::new() };
        let [five, six] = [5, 6].map(|wei| Some(seen(wei)));
        assert!(!log(vec![read(1, five), read(2, six), read(1, five)]).is_torn());
        assert!(log(vec![read(1, five), read(2, six), read(1, six)]).is_torn());
        assert!(log(vec![read(1, None), read(1, six)]).is_torn());
    }
}
