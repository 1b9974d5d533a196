//! The stage of reading: the access list that a block had before, and the accounts that it is
//! certain to need, in the order of their hashes, in which neighbours share pages, while an earlier
//! block is executed. It also computes the root of the transactions, since it has the time.

use super::{layer::Layer, lists::remembered, senders::Ahead};
use crate::body::{Tx, transactions_root};
use alloy_consensus::Transaction;
use alloy_eips::eip7928::AccountChanges;
use alloy_primitives::{
    Address, B256,
    map::{AddressMap, AddressSet},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, Instant},
};
use warpline_keccak::keccak256_each;
use warpline_storage::{BlockRef, Snapshot, Snapshots, StorageError};
use warpline_types::AccountState;

/// Fewer transactions than this are not worth reading for.
const WORTH_READING: usize = 8;

/// Accounts as they were after a block before the one that needs them.
#[derive(Debug)]
pub(super) struct Prefetched {
    at: BlockRef,
    accounts: AddressMap<Option<AccountState>>,
}

/// Accounts read ahead, with what has changed since.
#[derive(Debug, Clone)]
pub(crate) struct ReadAhead {
    accounts: Arc<Prefetched>,
    /// The blocks since then, the newest first.
    since: Vec<Arc<Layer>>,
}

impl ReadAhead {
    /// The account before the block, where it was read.
    pub(crate) fn account(&self, address: &Address) -> Option<Option<AccountState>> {
        let read = self.accounts.accounts.get(address)?;
        let changed = self.since.iter().find_map(|layer| layer.account(address));
        Some(changed.unwrap_or(*read))
    }
}

impl Prefetched {
    /// Brings it up to the parent, where all blocks since are among `layers`, the newest first,
    /// and `is_canonical` that which it was read at.
    pub(super) fn at_parent(
        self: &Arc<Self>,
        parent: BlockRef,
        layers: &VecDeque<Arc<Layer>>,
        is_canonical: impl FnOnce(BlockRef) -> bool,
    ) -> Option<ReadAhead> {
        let count = usize::try_from(parent.number.checked_sub(self.at.number)?).ok()?;
        let since: Vec<_> = layers.iter().take(count).cloned().collect();
        let blocks = since.iter().map(|layer| layer.block.number);
        let complete = blocks.eq((self.at.number + 1..=parent.number).rev());
        (complete && is_canonical(self.at)).then(|| ReadAhead { accounts: Arc::clone(self), since })
    }
}

/// The stage: until there are no more blocks, or nobody takes them.
pub(super) fn read_all(
    snapshots: &Snapshots,
    recovered: &Receiver<Ahead>,
    ahead: &SyncSender<Ahead>,
) -> Duration {
    let mut busy = Duration::ZERO;
    for mut block in recovered {
        let start = Instant::now();
        block.transactions_root = Some(transactions_root(&block.block.body.transactions));
        // What cannot be read now the execution reads, or says why not.
        if let (Ok(txs), Ok(snapshot)) = (&block.txs, snapshots.snapshot(1)) {
            block.remembered = remembered(&snapshot, block.hash, &block.block.header);
            let list = block.remembered.as_deref().unwrap_or_default();
            block.prefetched = read(&snapshot, txs, list).ok().flatten().map(Arc::new);
        }
        busy += start.elapsed();
        if ahead.send(block).is_err() {
            break;
        }
    }
    busy
}

/// Senders and recipients, and all others that are known to be needed, as of a head.
fn read(
    snapshot: &Snapshot,
    txs: &[Tx],
    list: &[AccountChanges],
) -> Result<Option<Prefetched>, StorageError> {
    if txs.len() < WORTH_READING {
        return Ok(None);
    }
    let needed = txs.iter().flat_map(|tx| [Some(tx.tx.signer()), tx.tx.inner().to()]).flatten();
    let needed = needed.chain(list.iter().map(|account| account.address));
    let mut seen = AddressSet::default();
    let addresses: Vec<_> = needed.filter(|address| seen.insert(*address)).collect();
    let mut wanted: Vec<(B256, Address)> =
        keccak256_each(&addresses).into_iter().zip(addresses.iter().copied()).collect();
    wanted.sort_unstable();
    let hashes: Vec<_> = wanted.iter().map(|(hash, _)| *hash).collect();
    let read = snapshot.reader()?.accounts_in_order(&hashes)?;
    let accounts = wanted.iter().map(|(_, address)| *address).zip(read).collect();
    Ok(Some(Prefetched { at: snapshot.block(), accounts }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use warpline_types::{AccountDiff, StateDiff};

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::with_last_byte(number as u8) }
    }

    fn account(balance: u64) -> Option<AccountState> {
        Some(AccountState { balance: U256::from(balance), ..AccountState::default() })
    }

    fn layer(number: u64, changed: Address, after: Option<AccountState>) -> Arc<Layer> {
        let account = AccountDiff {
            address: changed,
            before: None,
            after,
            storage_cleared: false,
            storage: Vec::new(),
        };
        let diff = StateDiff { accounts: vec![account], codes: Vec::new() };
        Arc::new(Layer::new(block(number), Arc::new(diff)))
    }

    #[test]
    fn what_was_read_is_brought_up_to_the_parent_or_not_used() {
        let [a, b, c] = [1, 2, 3].map(Address::repeat_byte);
        let accounts = [(a, account(10)), (b, account(20))].into_iter().collect();
        let read = Arc::new(Prefetched { at: block(5), accounts });
        let layers: VecDeque<_> =
            [layer(7, a, account(11)), layer(6, a, account(12)), layer(5, b, account(99))].into();

        let ahead = read.at_parent(block(7), &layers, |block| block == read.at).unwrap();
        assert_eq!(ahead.account(&a), Some(account(11)));
        assert_eq!(ahead.account(&b), Some(account(20)));
        assert_eq!(ahead.account(&c), None);
        let gone = VecDeque::from([layer(6, a, None)]);
        assert_eq!(read.at_parent(block(6), &gone, |_| true).unwrap().account(&a), Some(None));
        assert!(read.at_parent(block(5), &VecDeque::new(), |_| true).is_some());

        // Another chain, a block that is missing, a parent before what was read.
        assert!(read.at_parent(block(7), &layers, |_| false).is_none());
        assert!(read.at_parent(block(8), &layers, |_| true).is_none());
        assert!(read.at_parent(block(7), &gone, |_| true).is_none());
        assert!(read.at_parent(block(4), &layers, |_| true).is_none());
    }
}
