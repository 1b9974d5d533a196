//! What callers of a development chain may do: change accounts, move the clock, go back.

use crate::{
    Node, NodeError,
    clock::{Clock, within},
    producer::{Moved, Producer},
};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, B256, map::AddressSet};
use std::{collections::BTreeMap, sync::Arc};
use warpline_chain::{Changes, DumpedAccount};
use warpline_storage::BlockRef;
use warpline_txpool::PoolTransaction;

pub use warpline_chain::AccountEdit as DevAccountEdit;

/// The least and the most gas that the limit of a header may be, to any client.
const GAS_LIMITS: (u64, u64) = (5_000, i64::MAX as u64);

/// What callers have decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dev {
    pub(crate) enabled: bool,
    /// Base fee of the next block.
    pub(crate) base_fee: Option<u64>,
    /// Gas limit from the next block on.
    pub(crate) gas_limit: Option<u64>,
    /// Randomness of the next block.
    pub(crate) prev_randao: Option<B256>,
    impersonated: AddressSet,
    impersonate_all: bool,
    snapshots: Vec<Arc<Snapshot>>,
    next_snapshot: u64,
}

/// A moment to go back to.
#[derive(Debug)]
struct Snapshot {
    id: u64,
    head: BlockRef,
    changes: Changes,
    clock: Clock,
    base_fee: Option<u64>,
    gas_limit: Option<u64>,
    prev_randao: Option<B256>,
    pooled: Vec<Arc<PoolTransaction>>,
}

impl Dev {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled, ..Self::default() }
    }

    /// A block has been made of what was decided for it.
    pub(crate) fn used(&mut self) {
        self.base_fee = None;
        self.prev_randao = None;
    }
}

impl Producer {
    fn snapshot(&mut self) -> u64 {
        let content = self.pool.content().into_values();
        let pooled = content.flat_map(|of| of.pending.into_iter().chain(of.queued)).collect();
        let id = self.dev.next_snapshot;
        self.dev.next_snapshot += 1;
        self.dev.snapshots.push(Arc::new(Snapshot {
            id,
            head: self.chain.head(),
            changes: self.chain.saved_changes(),
            clock: self.clock.clone(),
            base_fee: self.dev.base_fee,
            gas_limit: self.dev.gas_limit,
            prev_randao: self.dev.prev_randao,
            pooled,
        }));
        id
    }

    fn revert(&mut self, id: u64) -> Result<bool, NodeError> {
        let Some(at) = self.dev.snapshots.iter().position(|snapshot| snapshot.id == id) else {
            return Ok(false);
        };
        let snapshot = Arc::clone(&self.dev.snapshots[at]);
        self.go_back(snapshot.head.number)?;
        self.dev.snapshots.truncate(at);
        self.chain.restore_changes(snapshot.changes.clone());
        self.clock = snapshot.clock.clone();
        self.dev.base_fee = snapshot.base_fee;
        self.dev.gas_limit = snapshot.gas_limit;
        self.dev.prev_randao = snapshot.prev_randao;
        self.pool.clear();
        self.state_changed()?;
        for tx in &snapshot.pooled {
            // What cannot come back was replaced or has expired: it is gone.
            let pooled = Recovered::new_unchecked(tx.to_pooled(), tx.sender());
            let _gone = self.pool.add_recovered(pooled, tx.origin());
        }
        Ok(true)
    }

    /// Makes an earlier block the head. What was mined since does not come back into the pool.
    fn go_back(&mut self, number: u64) -> Result<(), NodeError> {
        let head = self.chain.head();
        if number > head.number {
            return Err(NodeError::UnknownBlock(number));
        }
        if number == head.number {
            return Ok(());
        }
        let dropped = self.blocks_above(number)?;
        self.chain.unwind(number)?;
        self.head_moved(Moved::default(), dropped, None)
    }

    /// The blocks of the chain above a height, the newest first, at most as many as anybody can
    /// be told of.
    fn blocks_above(&self, number: u64) -> Result<Arc<[BlockRef]>, NodeError> {
        let snapshot = self.chain.storage().snapshot(1)?;
        let reader = snapshot.reader()?;
        let mut blocks = Vec::new();
        for number in (number + 1..=snapshot.block().number).rev().take(1024) {
            let hash = reader.block_hash(number)?;
            blocks.extend(hash.map(|hash| BlockRef { number, hash }));
        }
        Ok(blocks.into())
    }
}

/// What only development chains allow. The caller sees to it that this is one.
impl Node {
    /// Changes accounts on top of the head. The next block contains the changes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn edit_accounts(
        &self,
        edits: impl IntoIterator<Item = (Address, DevAccountEdit)>,
    ) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.chain.edit(edits)?;
            producer.state_changed()
        })
    }

    /// Every account of the latest state, the changes included that the next block begins with.
    ///
    /// # Errors
    /// The database cannot be read, or does not have the addresses and slots, because blocks
    /// have come from elsewhere.
    pub fn accounts_of_state(&self) -> Result<BTreeMap<Address, DumpedAccount>, NodeError> {
        // Nothing moves meanwhile, so that the snapshot stays that of the head.
        self.read(|producer| Ok(producer.chain.view().latest()?.accounts()?))
    }

    /// Remembers the present state; returns what to call it.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn snapshot(&self) -> Result<u64, NodeError> {
        self.with(|producer| Ok(producer.snapshot()))
    }

    /// Goes back to a remembered state, which is forgotten then with all that came later. False
    /// if there is none of that name.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn revert(&self, id: u64) -> Result<bool, NodeError> {
        self.with(|producer| producer.revert(id))
    }

    /// Goes back to a block of the chain, with an empty pool, and forgets what callers decided.
    ///
    /// # Errors
    /// There is no such block, or the database cannot be read or written.
    pub fn reset(&self, number: u64) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.go_back(number)?;
            producer.chain.restore_changes(Changes::default());
            let enabled = producer.dev.enabled;
            let next_snapshot = producer.dev.next_snapshot;
            producer.dev = Dev { enabled, next_snapshot, ..Dev::default() };
            producer.clock = Clock::default();
            producer.pool.clear();
            producer.state_changed()
        })
    }

    /// Moves the clock on by a number of seconds; returns how far it is ahead of the time of day.
    ///
    /// # Errors
    /// It would come too far.
    pub fn increase_time(&self, seconds: u64) -> Result<i64, NodeError> {
        self.with(|producer| producer.clock.increase(seconds))
    }

    /// Sets the clock, in seconds since 1970; returns how far it is ahead of the time of day.
    ///
    /// # Errors
    /// It is too far in the future.
    pub fn set_time(&self, time: u64) -> Result<i64, NodeError> {
        self.with(|producer| producer.clock.choose(time))
    }

    /// Chooses the time of the next block, in seconds since 1970.
    ///
    /// # Errors
    /// It is not after the head's, or too far in the future.
    pub fn set_next_timestamp(&self, time: u64) -> Result<(), NodeError> {
        self.with(|producer| {
            let last = producer.chain.head_header().timestamp;
            producer.clock.set_next(time, last)
        })
    }

    /// Whether so many blocks can follow each other by `interval` seconds, the first at the time
    /// that it would have now.
    ///
    /// # Errors
    /// The last would come too far in the future.
    pub fn check_times(&self, blocks: u64, interval: u64) -> Result<(), NodeError> {
        self.read(|producer| {
            let first = producer.clock.peek(producer.chain.head_header().timestamp);
            let last = interval.saturating_mul(blocks.saturating_sub(1)).saturating_add(first);
            within(last).map(drop)
        })
    }

    /// Chooses how many seconds lie between two blocks.
    ///
    /// # Errors
    /// It is too long.
    pub fn set_timestamp_interval(&self, seconds: u64) -> Result<(), NodeError> {
        self.with(|producer| producer.clock.set_interval(seconds))
    }

    /// Lets blocks follow the clock again. False if they did.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn remove_timestamp_interval(&self) -> Result<bool, NodeError> {
        self.with(|producer| Ok(producer.clock.remove_interval()))
    }

    /// Chooses the base fee of the next block, in wei per gas.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn set_next_base_fee(&self, fee: u64) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.dev.base_fee = Some(fee);
            producer.state_changed()
        })
    }

    /// Chooses the gas limit of blocks from the next one on.
    ///
    /// # Errors
    /// No header may have it.
    pub fn set_gas_limit(&self, limit: u64) -> Result<(), NodeError> {
        let (least, most) = GAS_LIMITS;
        if !(least..=most).contains(&limit) {
            return Err(NodeError::GasLimit { wanted: limit, least, most });
        }
        self.with(|producer| {
            producer.dev.gas_limit = Some(limit);
            producer.state_changed()
        })
    }

    /// Chooses the randomness of the next block.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn set_prev_randao(&self, value: B256) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.dev.prev_randao = Some(value);
            Ok(())
        })
    }

    /// Lets anybody send in the name of an address, or stops that.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn impersonate(&self, address: Address, allowed: bool) -> Result<(), NodeError> {
        self.with(|producer| {
            match allowed {
                true => producer.dev.impersonated.insert(address),
                false => producer.dev.impersonated.remove(&address),
            };
            Ok(())
        })
    }

    /// Lets anybody send in the name of every address, or stops that.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn impersonate_all(&self, allowed: bool) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.dev.impersonate_all = allowed;
            Ok(())
        })
    }

    /// Whether anybody may send in the name of an address.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn is_impersonated(&self, address: &Address) -> Result<bool, NodeError> {
        self.read(|producer| {
            let dev = &producer.dev;
            Ok(dev.impersonate_all || dev.impersonated.contains(address))
        })
    }
}
