//! The block access list of a block of the chain (EIP-7928), whether its header commits to one
//! or not: the one that is kept, or else the block is executed once more, in order.

use super::{
    proposed::ProposedBlock,
    view::{BlockRoots, BlockState, ChainView},
};
use crate::{ImportError, before::StateBefore, body::Tx, execution::Ready};
use alloy_consensus::{Block, transaction::Recovered};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, U256, map::AddressMap};
use std::sync::Arc;
use warpline_executor::EthTransaction;
use warpline_storage::{BlockRef, StorageError};

impl StateBefore for BlockState {
    type Roots<'a> = BlockRoots;

    fn storage_only(&self) -> Arc<AddressMap<U256>> {
        self.storage_only_accounts()
    }

    fn roots(&self) -> Result<BlockRoots, ImportError> {
        Self::roots(self)
    }
}

impl ChainView {
    /// The block access list of the block at a height, which is empty for the genesis block.
    /// None where there is no such block.
    ///
    /// # Errors
    /// The database cannot be read, or the list is not kept and the state before the block or its
    /// senders have been pruned.
    pub fn access_list(&self, number: u64) -> Result<Option<BlockAccessList>, ImportError> {
        let Some(before) = number.checked_sub(1) else {
            return Ok(Some(BlockAccessList::default()));
        };
        let blocks = self.blocks()?;
        let reader = blocks.reader()?;
        let Some(hash) = reader.block_hash(number)? else { return Ok(None) };
        match reader.access_list(BlockRef { number, hash }) {
            Ok(Some(list)) => return Ok(Some(list.into_inner())),
            // It can be made again.
            Ok(None) | Err(StorageError::Decode { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let state = match self.before(BlockRef { number, hash }) {
            Ok(state) => state,
            Err(StorageError::UnknownBlock { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (Some((header, _)), Some(body), Some(senders), Some((_, total_difficulty))) = (
            reader.header(number)?,
            reader.body(number)?,
            reader.senders(number)?,
            reader.header(before)?,
        ) else {
            return Ok(None);
        };
        // The chain may have moved in between.
        if header.parent_hash != state.block().hash {
            return Ok(None);
        }
        let block = Block { header, body };
        self.access_list_of(&state, total_difficulty, &block, &senders).map(Some)
    }

    /// The block access list of a proposed block. None if the chain has moved on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn access_list_of_proposed(
        &self,
        proposed: &ProposedBlock,
    ) -> Result<Option<BlockAccessList>, ImportError> {
        let state = self.latest()?;
        let ProposedBlock { header, body, senders, .. } = proposed;
        let parent = state.reader()?.header(state.block().number)?;
        let Some((_, total_difficulty)) = parent.filter(|_| state.block() == proposed.parent())
        else {
            return Ok(None);
        };
        if let Some(list) = &proposed.access_list {
            return Ok(Some(list.clone()));
        }
        let block = Block { header: header.clone(), body: body.clone() };
        self.access_list_of(&state, total_difficulty, &block, senders).map(Some)
    }

    fn access_list_of(
        &self,
        before: &BlockState,
        total_difficulty: U256,
        block: &Block<EthTransaction>,
        senders: &[Address],
    ) -> Result<BlockAccessList, ImportError> {
        let sent = block.body.transactions.iter().cloned().zip(senders.iter().copied());
        let txs: Vec<_> =
            sent.map(|(tx, sender)| Tx::new(Recovered::new_unchecked(tx, sender))).collect();
        // On a development chain contracts may have sent.
        let rules = self.rules().for_child(total_difficulty).with_contracts_sending(true);
        Ready::new(rules, block, &txs).access_list(before)
    }
}
