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
    map::{AddressMap, HashMap, HashSet},
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
    /// When the last writer of each location ends, in the read-wait model.
    written: HashMap<Location, Duration>,
    /// The transaction that last changed each slot.
    slots: HashMap<(Address, U256), usize>,
    /// The transaction that last changed each account.
    accounts: AddressMap<usize>,
    /// Accounts that were read although the fixture does not have them, with the first reader.
    unlisted: AddressMap<usize>,
}

/// What a transaction did, and when.
#[derive(Debug, Default)]
struct Trace {
    sender: Address,
    duration: Duration,
    /// Reads of the database with their time after the start.
    reads: Vec<(Duration, Read)>,
    writes: HashSet<Location>,
}

#[derive(Debug, Clone, Copy)]
enum Read {
    Account(Address),
    Slot(Address, U256),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Location {
    Slot(Address, U256),
    Nonce(Address),
    Code(Address),
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

    /// Places the next transaction of the block into the model.
    fn place(&mut self, trace: &Trace) {
        let (mut now, mut at) = (Duration::ZERO, Duration::ZERO);
        for (offset, read) in &trace.reads {
            now += offset.saturating_sub(at);
            at = *offset;
            now = now.max(self.available(*read, trace));
        }
        now += trace.duration.saturating_sub(at);
        self.written.extend(trace.writes.iter().map(|location| (*location, now)));
        self.longest = self.longest.max(now);
        self.total += trace.duration;
    }

    /// When the value that a read needs is there.
    fn available(&self, read: Read, trace: &Trace) -> Duration {
        let end = |location| self.written.get(&location).copied().unwrap_or_default();
        match read {
            Read::Slot(address, slot) => end(Location::Slot(address, slot)),
            Read::Account(address) => {
                let nonce = Location::Nonce(address);
                let code = end(Location::Code(address));
                match address == trace.sender || trace.writes.contains(&nonce) {
                    true => code.max(end(nonce)),
                    false => code,
                }
            }
        }
    }
}

/// Notes what each transaction reads and changes, and when.
#[derive(Debug)]
struct Recorder<DB> {
    db: DB,
    path: CriticalPath,
    index: usize,
    started: Option<Instant>,
    trace: Trace,
    /// The part of the current transaction that went into recording its changes.
    recording: Duration,
}

impl<DB> Recorder<DB> {
    fn new(db: DB) -> Self {
        Self {
            db,
            path: CriticalPath::default(),
            index: 0,
            started: None,
            trace: Trace::default(),
            recording: Duration::ZERO,
        }
    }

    fn begin(&mut self, index: usize, sender: Address) {
        self.index = index;
        self.recording = Duration::ZERO;
        self.trace.sender = sender;
        self.trace.reads.clear();
        self.trace.writes.clear();
        self.started = Some(Instant::now());
    }

    fn end(&mut self) {
        let Some(started) = self.started.take() else { return };
        self.trace.duration = started.elapsed().saturating_sub(self.recording);
        self.path.place(&self.trace);
    }

    fn read(&mut self, read: Read) {
        if let Some(started) = self.started {
            self.trace.reads.push((started.elapsed(), read));
        }
    }

    fn note_changes<'a>(&mut self, changes: impl Iterator<Item = (&'a Address, &'a Account)>) {
        let (path, writes) = (&mut self.path, &mut self.trace.writes);
        for (address, account) in changes.filter(|(_, account)| account.is_touched()) {
            let before = account.original_info();
            if before != account.info || account.is_selfdestructed() {
                path.accounts.insert(*address, self.index);
            }
            if before.nonce != account.info.nonce {
                writes.insert(Location::Nonce(*address));
            }
            let replaced = account.is_selfdestructed() || account.is_created_locally();
            if replaced || before.code_hash != account.info.code_hash {
                writes.insert(Location::Code(*address));
            }
            for (slot, _) in account.changed_storage_slots() {
                writes.insert(Location::Slot(*address, *slot));
                path.slots.insert((*address, *slot), self.index);
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: Address = Address::repeat_byte(0xcc);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A transaction of 10 ms that reads a slot of the contract at `at` and changes others.
    fn trace(sender: u8, at: u64, reads: u64, writes: &[u64]) -> Trace {
        let sender = Address::repeat_byte(sender);
        let slot = |slot: &u64| Location::Slot(CONTRACT, U256::from(*slot));
        Trace {
            sender,
            duration: ms(10),
            reads: vec![
                (ms(0), Read::Account(sender)),
                (ms(0), Read::Account(CONTRACT)),
                (ms(at), Read::Slot(CONTRACT, U256::from(reads))),
            ],
            writes: writes.iter().map(slot).chain([Location::Nonce(sender)]).collect(),
        }
    }

    fn share(traces: &[Trace]) -> f64 {
        let mut path = CriticalPath::default();
        traces.iter().for_each(|trace| path.place(trace));
        path.share()
    }

    #[test]
    fn independent_transactions_run_side_by_side() {
        assert_eq!(share(&[trace(1, 5, 1, &[1]), trace(2, 5, 2, &[2])]), 0.5);
    }

    #[test]
    fn a_read_of_a_changed_slot_waits_for_the_end_of_the_writer() {
        // The second starts at once, stops at 4 ms, and goes on from 10 ms to 16 ms.
        assert_eq!(share(&[trace(1, 4, 1, &[1]), trace(2, 4, 1, &[1])]), 0.8);
        // Reading what nobody changed does not wait, writing what somebody read does not either.
        assert_eq!(share(&[trace(1, 4, 1, &[2]), trace(2, 4, 1, &[1])]), 0.5);
    }

    #[test]
    fn transactions_of_one_sender_are_a_chain() {
        assert_eq!(share(&[trace(1, 5, 1, &[]), trace(1, 5, 2, &[])]), 1.0);
    }

    #[test]
    fn a_changed_nonce_matters_to_who_changes_it_too() {
        let creator = |sender: u8| {
            let mut trace = trace(sender, 5, 1, &[]);
            trace.writes.insert(Location::Nonce(CONTRACT));
            trace
        };
        assert_eq!(share(&[creator(1), creator(2)]), 1.0);
        assert_eq!(share(&[creator(1), trace(2, 5, 1, &[])]), 0.5);
    }

    #[test]
    fn changed_code_matters_to_every_reader() {
        let mut deploys = trace(1, 5, 1, &[]);
        deploys.writes.insert(Location::Code(CONTRACT));
        assert_eq!(share(&[deploys, trace(2, 5, 1, &[])]), 1.0);
    }

    #[test]
    fn a_block_without_transactions_has_no_room() {
        assert_eq!(share(&[]), 1.0);
    }
}
