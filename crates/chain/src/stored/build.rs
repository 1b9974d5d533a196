//! New blocks: from transactions to a sealed block that is the head.

use super::{
    chain::{StoredChain, readers, senders},
    finish::Finished,
    known::Node,
    source::SnapshotSource,
    state::{StoredState, Tries},
};
use crate::{
    Engine, Executed, ImportError, InvalidBlock, Reason,
    body::Tx,
    execution::{Ready, receipts_root},
};
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header,
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
    transaction::Recovered,
};
use alloy_eips::{
    eip1559::BaseFeeParams,
    eip4895::{Withdrawal, Withdrawals},
    eip7928::compute_block_access_list_hash,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes};
use warpline_executor::EthTransaction;

/// What the producer of a block decides.
#[derive(Debug, Clone, Default)]
pub struct BlockAttributes {
    /// Seconds since 1970; later than the parent's.
    pub timestamp: u64,
    /// Who gets the fees.
    pub beneficiary: Address,
    /// The beacon chain's randomness.
    pub prev_randao: B256,
    /// At most 32 bytes of anything.
    pub extra_data: Bytes,
    /// Gas limit; within a 1024th of the parent's.
    pub gas_limit: u64,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Vec<Withdrawal>,
    /// Root of the parent beacon block, from Cancun on.
    pub parent_beacon_block_root: B256,
}

impl StoredChain {
    /// Builds a block of transactions on top of the head, after the merge, and makes it the head.
    ///
    /// # Errors
    /// The first transaction that is not valid, at its index, or attributes that no header may
    /// have; a failure to read or write. The head is as it was then.
    pub fn build(
        &mut self,
        engine: &Engine,
        attributes: BlockAttributes,
        transactions: Vec<Recovered<EthTransaction>>,
    ) -> Result<Block<EthTransaction>, ImportError> {
        let parent = self.head.header.clone();
        let rules = self.rules.clone();
        let rules = rules.for_child(self.head.total_difficulty);
        if !rules.merged {
            return Err(InvalidBlock::new(Reason::Merge, "mined blocks are not built here").into());
        }
        let mut block = self.draft(&attributes, &parent, &transactions)?;
        let txs: Vec<Tx> = transactions.into_iter().map(Tx::new).collect();
        crate::header::check(rules, &block.header, &parent)?;

        let snapshot = self.storage.snapshot(readers(engine, &self.trie_config))?;
        let before = StoredState {
            values: &snapshot,
            layers: Vec::new(),
            codes: &self.codes,
            storage_only: &self.storage_only,
            tries: Tries { head: &snapshot, undo: &[], config: &self.trie_config },
        };
        let ready = Ready { rules, block: &block, txs: &txs };
        let Executed { result, diff } = ready.execute(engine, &before)?;
        let lists = rules.access_lists(block.header.timestamp);
        let list = lists.then(|| ready.access_list(&before)).transpose()?;
        let header = &mut block.header;
        (header.receipts_root, header.logs_bloom) = receipts_root(&result.receipts, &[]);
        header.gas_used = result.gas_used;
        let prague = rules.chain.is_prague_active_at_timestamp(header.timestamp);
        header.requests_hash = prague.then(|| result.requests.requests_hash());
        header.block_access_list_hash = list.map(|list| compute_block_access_list_hash(&list));

        let body = block.body.clone();
        let finished = Finished::of_new_block(result.receipts, &diff, senders(&txs), body);
        self.trie.at(parent.state_root)?;
        let update = self.trie.advance(SnapshotSource(&snapshot), finished.diff())?;
        block.header.state_root = update.root;
        let node = Node::new(block.header.hash_slow(), self.head.total_difficulty, &block);
        self.trie.store(&self.storage, &node, finished, &update)?;
        self.leave_fork();
        self.head = self.known.push_canonical(node);
        Ok(block)
    }

    /// The block without what its execution decides.
    fn draft(
        &self,
        attributes: &BlockAttributes,
        parent: &Header,
        transactions: &[Recovered<EthTransaction>],
    ) -> Result<Block<EthTransaction>, ImportError> {
        let chain = &self.rules.after_merge;
        let timestamp = attributes.timestamp;
        let transactions: Vec<_> = transactions.iter().map(|tx| tx.inner().clone()).collect();
        let shanghai = chain.is_shanghai_active_at_timestamp(timestamp);
        let withdrawals = shanghai.then(|| attributes.withdrawals.clone());
        let blobs = chain.blob_params(timestamp);
        let blob_gas = transactions.iter().filter_map(alloy_consensus::Transaction::blob_gas_used);
        let number = parent.number.saturating_add(1);
        let prague = chain.is_prague_active_at_timestamp(timestamp);
        let lists = self.rules.for_child(self.head.total_difficulty).access_lists(timestamp);
        let header = Header {
            parent_hash: self.head.hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.beneficiary,
            transactions_root: calculate_transaction_root(&transactions),
            number,
            gas_limit: attributes.gas_limit,
            timestamp,
            extra_data: attributes.extra_data.clone(),
            mix_hash: attributes.prev_randao,
            base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
            withdrawals_root: withdrawals.as_ref().map(|list| calculate_withdrawals_root(list)),
            blob_gas_used: blobs.map(|_| blob_gas.sum()),
            excess_blob_gas: blobs.map(|params| {
                params.next_block_excess_blob_gas_osaka(
                    parent.excess_blob_gas.unwrap_or_default(),
                    parent.blob_gas_used.unwrap_or_default(),
                    parent.base_fee_per_gas.unwrap_or_default(),
                )
            }),
            parent_beacon_block_root: blobs.map(|_| attributes.parent_beacon_block_root),
            requests_hash: prague.then_some(B256::ZERO),
            block_access_list_hash: lists.then_some(B256::ZERO),
            ..Header::default()
        };
        let withdrawals = withdrawals.map(Withdrawals::new);
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        Ok(Block { header, body })
    }
}
