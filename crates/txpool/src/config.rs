//! How much the pool keeps and what it refuses. Names and defaults are geth's `--txpool.*` and
//! `--rpc.*` flags where geth has them.

use alloy_primitives::{Address, U256};
use std::{path::PathBuf, time::Duration};

/// The limits and switches of a [`Pool`](crate::Pool).
///
/// A transaction takes one *slot* for every 32 KiB of its network form, sidecar included, as in
/// geth. [`Origin`](crate::Origin) says which limits a transaction answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Pending transactions that every sender may have while the pool is over
    /// [`global_slots`](Self::global_slots) (`--txpool.accountslots`, 16).
    pub account_slots: usize,
    /// Pending transactions of all senders; beyond it the senders with the most lose their last
    /// ones down to [`account_slots`](Self::account_slots) (`--txpool.globalslots`, 5120).
    pub global_slots: usize,
    /// Queued transactions of one sender (`--txpool.accountqueue`, 64).
    pub account_queue: usize,
    /// Queued transactions of all senders; beyond it the sender that has been silent for longest
    /// loses its last one (`--txpool.globalqueue`, 1024).
    pub global_queue: usize,
    /// Bytes of memory that all transactions may take (512 MiB). This and
    /// `global_slots + global_queue` slots are hard limits: no transaction is exempt.
    pub global_bytes: usize,
    /// Blob transactions of one sender (16).
    pub account_blobs: usize,
    /// The smallest tip that is accepted from others, in wei (`--txpool.pricelimit`, 1).
    pub price_limit: u128,
    /// By how many percent a replacement must raise the fee cap and the tip
    /// (`--txpool.pricebump`, 10).
    pub price_bump: u64,
    /// The same where a blob transaction is replaced or replaces, and for the blob fee
    /// (`--blobpool.pricebump`, 100).
    pub blob_price_bump: u64,
    /// How long a sender's queued transactions stay without a sign of it (`--txpool.lifetime`,
    /// three hours).
    pub lifetime: Duration,
    /// Treat local transactions like all others (`--txpool.nolocals`).
    pub no_locals: bool,
    /// Senders whose transactions are local wherever they come from (`--txpool.locals`).
    pub locals: Vec<Address>,
    /// The file that keeps local transactions over a restart (`--txpool.journal`); none by
    /// default.
    pub journal: Option<PathBuf>,
    /// How often the journal is written anew without what has left the pool
    /// (`--txpool.rejournal`, one hour).
    pub rejournal: Duration,
    /// The highest fee a local transaction may offer, in wei; none for no limit
    /// (`--rpc.txfeecap`, one ether).
    pub tx_fee_cap: Option<U256>,
    /// Accept local transactions that name no chain (`--rpc.allow-unprotected-txs`).
    pub allow_unprotected: bool,
    /// Refuse a transaction whose fee caps exclude it from the next block. Otherwise it waits for
    /// fees to fall, as in geth.
    pub refuse_unpayable: bool,
    /// Allow one transaction at a time to senders with delegated code (EIP-7702), whose balance
    /// others can move, and none to authorities with more than one transaction waiting, as geth
    /// does (`true`).
    pub restrict_delegated: bool,
    /// Compute the cell proofs of a local transaction that comes with blob proofs after Osaka,
    /// which takes a quarter of a second for each blob (`true`).
    pub convert_blob_proofs: bool,
    /// For how many blocks the sidecars of included blob transactions are kept, should their
    /// block leave the chain (64).
    pub limbo_blocks: u64,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            account_slots: 16,
            global_slots: 5120,
            account_queue: 64,
            global_queue: 1024,
            global_bytes: 512 << 20,
            account_blobs: 16,
            price_limit: 1,
            price_bump: 10,
            blob_price_bump: 100,
            lifetime: Duration::from_secs(3 * 60 * 60),
            no_locals: false,
            locals: Vec::new(),
            journal: None,
            rejournal: Duration::from_secs(60 * 60),
            tx_fee_cap: Some(U256::from(1_000_000_000_000_000_000u64)),
            allow_unprotected: false,
            refuse_unpayable: false,
            restrict_delegated: true,
            convert_blob_proofs: true,
            limbo_blocks: 64,
        }
    }
}

impl PoolConfig {
    /// For a development chain: a million transactions from few senders, no minimum tip, no
    /// fee cap, nothing that waits for a fee which may never come, and no limits for delegated
    /// senders.
    pub fn dev() -> Self {
        Self {
            account_slots: 1 << 20,
            global_slots: 1 << 20,
            account_queue: 1 << 18,
            global_queue: 1 << 18,
            global_bytes: 2 << 30,
            price_limit: 0,
            tx_fee_cap: None,
            allow_unprotected: true,
            refuse_unpayable: true,
            restrict_delegated: false,
            ..Self::default()
        }
    }

    /// Slots of all transactions together.
    pub(crate) fn total_slots(&self) -> usize {
        self.global_slots.saturating_add(self.global_queue)
    }
}
