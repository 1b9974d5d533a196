//! The root of a block, begun while the block executes: what the execution has committed so far is
//! applied to the trie of the parent, as far as there is time for it.
//!
//! The trie does not care whether it comes true: the root is that of the block's changes as they
//! are at its end. What a block has left that turns out invalid goes with the next root.

use super::{finish::HeadTrie, source::SnapshotSource};
use crate::Engine;
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, AddressSet},
};
use std::{
    sync::mpsc::{Receiver, TryRecvError},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};
use warpline_executor::{CommitStream, CommittedValue};
use warpline_keccak::keccak256_each;
use warpline_trie::{AccountChange, AccountUpdate, SlotChange};
use warpline_types::AccountState;

/// Which blocks have their root begun while they execute, of those that execute in parallel on
/// top of the head. It decides how much time and work a block takes, never what comes of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RootStreaming {
    /// None.
    #[default]
    Never,
    /// Those that come alone and leave at least one of this many cores to it.
    Spare {
        /// Cores that there are.
        cores: usize,
    },
    /// All, those of an import of many in a row included.
    Always,
}

/// What the execution leaves.
pub(super) type Commits = Receiver<Vec<CommittedValue>>;

/// Gas below which a block is not worth a thread.
const WORTHWHILE: u64 = 2_000_000;

/// Gas that a transaction uses for each value that it changes, more or less.
const PER_VALUE: u64 = 10_000;

/// Batches that a block is divided into, more or less.
const BATCHES: u64 = 32;

/// Batches that wait for the trie.
const WAITING: usize = 16;

impl RootStreaming {
    /// The stream of a block that comes alone, if there is to be one. `gas` is what the block
    /// may use.
    pub(super) fn alone(self, engine: &Engine, gas: u64) -> Option<(CommitStream, Commits)> {
        match self {
            Self::Spare { cores } if gas >= WORTHWHILE && !is_in_order(engine) => {
                let (stream, commits) = stream(gas);
                Some((stream.spare_of(cores), commits))
            }
            _ => self.in_a_row(engine, gas),
        }
    }

    /// The stream of a block that others follow.
    pub(super) fn in_a_row(self, engine: &Engine, gas: u64) -> Option<(CommitStream, Commits)> {
        (self == Self::Always && !is_in_order(engine)).then(|| stream(gas))
    }
}

const fn is_in_order(engine: &Engine) -> bool {
    matches!(engine, Engine::Sequential)
}

fn stream(gas: u64) -> (CommitStream, Commits) {
    let batch = gas / PER_VALUE / BATCHES;
    CommitStream::new(batch.clamp(4, 512) as usize, WAITING)
}

/// What was done for a root while its block executed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    /// How long that took.
    pub(super) busy: Duration,
    /// Committed values that were worked on.
    pub(super) values: u64,
}

/// Runs `execute` while a thread of its own works for the root, if there is a stream.
pub(super) fn streamed<T>(
    trie: &mut HeadTrie,
    source: SnapshotSource<'_>,
    stream: Option<(CommitStream, Commits)>,
    execute: impl FnOnce(Option<&CommitStream>) -> T,
) -> (T, Begun) {
    let Some((stream, commits)) = stream else { return (execute(None), Begun::default()) };
    let followed = &mut *trie;
    let (done, begun) = thread::scope(|scope| {
        let own = thread::Builder::new().name("root".to_owned());
        let follower = own.spawn_scoped(scope, move || follow(followed, source, &commits));
        let done = execute(follower.is_ok().then_some(&stream));
        drop(stream);
        (done, follower.map_or(Ok(Begun::default()), ScopedJoinHandle::join))
    });
    if begun.is_err() {
        trie.forget();
    }
    (done, begun.unwrap_or_default())
}

/// Works for the root as long as the block executes. What waits at its end comes with its changes.
pub(super) fn follow(trie: &mut HeadTrie, source: SnapshotSource<'_>, commits: &Commits) -> Begun {
    let mut begun = Begun::default();
    let mut ended = AddressSet::default();
    while let Ok(first) = commits.recv() {
        let mut batches = vec![first];
        loop {
            match commits.try_recv() {
                Ok(batch) => batches.push(batch),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return begun,
            }
        }
        // A failure to read is that of the root, which comes next.
        let start = Instant::now();
        let foreseen = trie.foresee(source, changes(&batches, &mut ended));
        begun.busy += start.elapsed();
        if foreseen.is_err() {
            break;
        }
        begun.values += batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
    }
    begun
}

/// What happened to an account so far.
#[derive(Default)]
struct Latest {
    state: Option<AccountState>,
    slots: Vec<(U256, U256)>,
}

/// Committed values as changes for the trie. Accounts that ceased to exist once are left out from
/// then on.
fn changes(batches: &[Vec<CommittedValue>], ended: &mut AddressSet) -> Vec<AccountChange> {
    let mut accounts = AddressMap::<Latest>::default();
    for value in batches.iter().flatten() {
        let address = value.address();
        match *value {
            CommittedValue::Account { state: None, .. } => {
                accounts.remove(&address);
                ended.insert(address);
            }
            _ if ended.contains(&address) => {}
            CommittedValue::Account { state, .. } => {
                accounts.entry(address).or_default().state = state;
            }
            CommittedValue::Slot { slot, value, .. } => {
                accounts.entry(address).or_default().slots.push((slot, value));
            }
        }
    }
    let accounts: Vec<(Address, Latest)> = accounts.into_iter().collect();
    let slots = accounts.iter().flat_map(|(_, latest)| &latest.slots);
    let slots = keccak256_each(slots.map(|(slot, _)| B256::from(*slot)));
    let addresses = keccak256_each(accounts.iter().map(|(address, _)| address));
    let mut slots = slots.into_iter();
    let change = |((_, latest), address): ((Address, Latest), B256)| AccountChange {
        address,
        update: latest.state.map_or(AccountUpdate::Keep, AccountUpdate::Set),
        wipe_storage: false,
        slots: latest
            .slots
            .into_iter()
            .zip(slots.by_ref())
            .map(|((_, value), slot)| SlotChange { slot, value })
            .collect(),
    };
    accounts.into_iter().zip(addresses).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn the_last_values_are_told_of_accounts_that_have_not_ceased_to_exist() {
        let [one, two] = [1, 2].map(Address::repeat_byte);
        let state = |nonce| AccountState { nonce, ..AccountState::default() };
        let account = |address, state| CommittedValue::Account { address, state };
        let slot = |address, slot, value| {
            let (slot, value) = (U256::from(slot), U256::from(value));
            CommittedValue::Slot { address, slot, value }
        };
        let mut ended = AddressSet::default();
        let batches = [
            vec![slot(one, 7, 1), account(two, Some(state(1))), slot(two, 8, 1)],
            vec![account(one, Some(state(3))), slot(one, 9, 0), account(one, Some(state(4)))],
            vec![account(two, None), account(two, Some(state(2))), slot(two, 8, 3)],
        ];
        let key = |slot| keccak256(B256::from(U256::from(slot)));
        let change = |slot, value| SlotChange { slot: key(slot), value: U256::from(value) };
        let expected = AccountChange {
            address: keccak256(one),
            update: AccountUpdate::Set(state(4)),
            wipe_storage: false,
            slots: vec![change(7, 1), change(9, 0)],
        };
        assert_eq!(changes(&batches, &mut ended), [expected]);
        assert_eq!(changes(&[vec![slot(two, 5, 5)]], &mut ended), []);
    }
}
