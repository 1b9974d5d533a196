//! A block that is proposed and not adopted, to be read like one of the chain: the pending block.

use super::{
    build::Proposal,
    layer::Layer,
    view::{BlockState, ChainView},
};
use alloy_consensus::{BlockBody, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256};
use std::sync::Arc;
use warpline_executor::EthTransaction;
use warpline_storage::{BlockRef, StorageError, StoredReceipt};

/// An executed block on top of a head, which holds no view of the database open.
#[derive(Debug)]
pub struct ProposedBlock {
    /// Its hash, were it to be adopted as it is.
    pub hash: B256,
    /// Its header, roots included.
    pub header: Header,
    /// Its transactions and withdrawals.
    pub body: BlockBody<EthTransaction>,
    /// Who sent each transaction.
    pub senders: Vec<Address>,
    /// One receipt per transaction.
    pub receipts: Vec<StoredReceipt>,
    /// What it accesses, where that was asked for.
    pub(super) access_list: Option<BlockAccessList>,
    parent: BlockRef,
    /// What lay on top of the parent.
    changes: Option<Arc<Layer>>,
    /// What it changes, the changes on top of the parent included.
    layer: Arc<Layer>,
}

impl From<Proposal> for ProposedBlock {
    /// Takes a proposal, which has to be sealed, for a block that is only read.
    fn from(proposal: Proposal) -> Self {
        let Proposal { block, senders, receipts, diff, access_list, changes, parent, .. } =
            proposal;
        let (header, body) = (block.header, block.body);
        let hash = header.hash_slow();
        let at = BlockRef { number: header.number, hash };
        let layer = Arc::new(Layer::new(at, Arc::new(diff)));
        let receipts = receipts.into_iter().map(StoredReceipt::from).collect();
        Self { hash, header, body, senders, receipts, access_list, parent, changes, layer }
    }
}

impl ProposedBlock {
    /// The head that it was made on.
    pub const fn parent(&self) -> BlockRef {
        self.parent
    }
}

impl ChainView {
    /// The state after a proposed block. None if the head is not the one that it was made on any
    /// more, or has other changes on top.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn after(&self, block: &ProposedBlock) -> Result<Option<BlockState>, StorageError> {
        let mut state = self.latest()?;
        let unchanged = match (state.layers(), &block.changes) {
            ([], None) => true,
            ([present], Some(then)) => Arc::ptr_eq(present, then),
            _ => false,
        };
        if state.block() != block.parent || !unchanged {
            return Ok(None);
        }
        state.set_layers(vec![Arc::clone(&block.layer)]);
        Ok(Some(state))
    }
}
