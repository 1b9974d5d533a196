//! How parallel a block is: the longest chain of real dependencies, in time.
//!
//! The block runs once more in order, on a database that notes when each transaction first reads
//! a location and what it changes. From that follows the shortest possible execution with any
//! number of threads, in the *read-wait* model: every transaction starts at once, and waits at a
//! read of a location that an earlier transaction changed until that transaction has ended.
//!
//! What counts as a dependency:
//!
//! - a storage slot whose value an earlier transaction changed,
//! - an account whose code an earlier transaction changed (creation, self-destruction,
//!   delegation),
//! - the nonce of the sender, or of an account whose nonce the transaction changes itself.
//!
//! Balances do not count: credits commute, and whether a transaction looks at a balance cannot be
//! seen from the database. Neither do fees to the beneficiary, for the same reason. So the share
//! is a lower bound on what dependencies cost, and the speed-up that follows from it is an upper
//! bound. System calls before and after the transactions are left out on both sides.

use crate::PreparedBlock;
use alloy_evm::{
    Evm, EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory},
};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, HashMap},
};
use revm::{
    Database, DatabaseCommit,
    database::State,
    database_interface::WrapDatabaseRef,
    state::{Account, AccountInfo, Bytecode},
};
use std::time::{Duration, Instant};

/// What an instrumented run found out.
#[derive(Debug, Clone, Default)]
pub struct CriticalPath {
    /// The longest chain of dependencies.
    pub longest: Duration,
    /// All transactions one after the other.
    pub total: Duration,
    /// The transaction that last changed each slot.
    slots: HashMap<(Address, U256), usize>,
    /// The transaction that last changed each account.
    accounts: AddressMap<usize>,
    /// Accounts that were read although the fixture does not have them, with the first reader.
    unlisted: AddressMap<usize>,
}

impl CriticalPath {
    /// Runs the block once, as far as it can be executed.
    pub fn measure(block: &PreparedBlock) -> Self {
        let factory = block.factory();
        let input = block.input();
        let parent = WrapDatabaseRef(&block.pre_state);
        let state = State::builder().with_database(parent).with_bundle_update().build();
        let evm = factory.evm_factory().create_evm(Recorder::new(state), input.env);
        let mut executor = factory.create_executor(evm, input.ctx);
        if executor.apply_pre_execution_changes().is_ok() {
            for (index, tx) in block.txs.iter().enumerate() {
                executor.evm_mut().db_mut().begin(index, tx.tx.signer());
                if executor.execute_transaction(tx).is_err() {
                    break;
                }
                executor.evm_mut().db_mut().end();
            }
        }
        std::mem::take(&mut executor.evm_mut().db_mut().path)
    }

    /// The longest chain over the total, between 0 and 1. A block without transactions is 1.
    pub fn share(&self) -> f64 {
        match self.total.is_zero() {
            true => 1.0,
            false => self.longest.as_secs_f64() / self.total.as_secs_f64(),
        }
    }

    /// The transaction that last changed an account or one of its slots.
    pub fn last_writer(&self, address: Address, slot: Option<U256>) -> Option<usize> {
        match slot {
            Some(slot) => self.slots.get(&(address, slot)).copied(),
            None => self.accounts.get(&address).copied(),
        }
    }

    /// Accounts that were read although the fixture does not have them, with the transaction that
    /// read each first, in that order. Either they do not exist, or the fixture lacks them.
    pub fn unlisted(&self) -> Vec<(Address, usize)> {
        let mut unlisted: Vec<_> = self.unlisted.iter().map(|(a, index)| (*a, *index)).collect();
        unlisted.sort_unstable_by_key(|(address, index)| (*index, *address));
        unlisted
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Location {
    Slot(Address, U256),
    Nonce(Address),
    Code(Address),
}

#[derive(Debug, Clone, Copy)]
enum Read {
    Account(Address),
    Slot(Address, U256),
}

/// Notes what each transaction reads and changes, and when.
#[derive(Debug)]
struct Recorder<DB> {
    db: DB,
    path: CriticalPath,
    /// When the last writer of each location ends, in the read-wait model.
    written: HashMap<Location, Duration>,
    sender: Address,
    index: usize,
    started: Option<Instant>,
    reads: Vec<(Duration, Read)>,
    writes: Vec<Location>,
    /// The part of the current transaction that went into recording its changes.
    recording: Duration,
}

impl<DB> Recorder<DB> {
    fn new(db: DB) -> Self {
        Self {
            db,
            path: CriticalPath::default(),
            written: HashMap::default(),
            sender: Address::ZERO,
            index: 0,
            started: None,
            reads: Vec::new(),
            writes: Vec::new(),
            recording: Duration::ZERO,
        }
    }

    fn begin(&mut self, index: usize, sender: Address) {
        (self.index, self.sender) = (index, sender);
        self.recording = Duration::ZERO;
        self.reads.clear();
        self.writes.clear();
        self.started = Some(Instant::now());
    }

    fn read(&mut self, read: Read) {
        if let Some(started) = self.started {
            self.reads.push((started.elapsed(), read));
        }
    }

    /// Places the transaction that just ended into the model.
    fn end(&mut self) {
        let Some(started) = self.started.take() else { return };
        let duration = started.elapsed().saturating_sub(self.recording);
        let (mut now, mut at) = (Duration::ZERO, Duration::ZERO);
        for (offset, read) in &self.reads {
            now += offset.saturating_sub(at);
            at = *offset;
            now = now.max(self.available(*read));
        }
        now += duration.saturating_sub(at);
        for location in self.writes.drain(..) {
            self.written.insert(location, now);
        }
        self.path.longest = self.path.longest.max(now);
        self.path.total += duration;
    }

    /// When the value that a read needs is there.
    fn available(&self, read: Read) -> Duration {
        let end = |location| self.written.get(&location).copied().unwrap_or_default();
        match read {
            Read::Slot(address, slot) => end(Location::Slot(address, slot)),
            Read::Account(address) => {
                let nonce = Location::Nonce(address);
                let code = end(Location::Code(address));
                match address == self.sender || self.writes.contains(&nonce) {
                    true => code.max(end(nonce)),
                    false => code,
                }
            }
        }
    }

    fn note_changes<'a>(&mut self, changes: impl Iterator<Item = (&'a Address, &'a Account)>) {
        for (address, account) in changes.filter(|(_, account)| account.is_touched()) {
            let before = account.original_info();
            if before != account.info || account.is_selfdestructed() {
                self.path.accounts.insert(*address, self.index);
            }
            if before.nonce != account.info.nonce {
                self.writes.push(Location::Nonce(*address));
            }
            let replaced = account.is_selfdestructed()
                || (account.is_created() && account.is_created_locally());
            if replaced || before.code_hash != account.info.code_hash {
                self.writes.push(Location::Code(*address));
            }
            for (slot, _) in account.changed_storage_slots() {
                self.writes.push(Location::Slot(*address, *slot));
                self.path.slots.insert((*address, *slot), self.index);
            }
        }
    }
}

impl<DB: Database> Database for Recorder<DB> {
    type Error = DB::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.read(Read::Account(address));
        let info = self.db.basic(address)?;
        if info.is_none() {
            self.path.unlisted.entry(address).or_insert(self.index);
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.db.code_by_hash(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        self.read(Read::Slot(address, index));
        self.db.storage(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.db.block_hash(number)
    }
}

impl<DB: DatabaseCommit> DatabaseCommit for Recorder<DB> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        if self.started.is_some() {
            let recording = Instant::now();
            self.note_changes(changes.iter());
            self.recording += recording.elapsed();
        }
        self.db.commit(changes);
    }
}
