//! New blocks: from transactions to a sealed block that is the head.
//!
//! A block is proposed first: its transactions are executed on the state of the head, with the
//! engine of the caller's choice, and what cannot be in it drops out. A proposal can be looked
//! at, sealed without consequences, or adopted as the head.

use super::{
    attempt::{Attempt, Candidate},
    chain::{StoredChain, readers, senders},
    changes::combined,
    finish::{Finished, HeadTrie},
    genesis::hashed,
    known::Node,
    layer::Layer,
    source::SnapshotSource,
    state::{StoredRoots, StoredState, Tries},
    stream::streamed,
};
use crate::{
    Engine, Executed, ImportError, InvalidBlock, Reason,
    before::Roots,
    body::{Tx, transactions_root},
    receipts::receipts_root,
};
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, EthereumReceipt, Header, Transaction,
    proofs::calculate_withdrawals_root, transaction::Recovered,
};
use alloy_eips::{
    eip1559::BaseFeeParams,
    eip4895::{Withdrawal, Withdrawals},
    eip7685::Requests,
    eip7928::{BlockAccessList, compute_block_access_list_hash},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes};
use std::sync::Arc;
use warpline_executor::{CommitStream, EthTransaction, ExecStats};
use warpline_storage::{BlockRef, Snapshot};
use warpline_types::StateDiff;

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
    /// Gas limit; within a 1024th of the parent's unless [`Self::dev`].
    pub gas_limit: u64,
    /// Base fee, where it is not to follow from the parent, which only [`Self::dev`] allows.
    pub base_fee_per_gas: Option<u64>,
    /// Whether gas limit and base fee may be anything and contracts may send (EIP-3607), as on a
    /// development chain. Other nodes refuse a block that makes use of it.
    pub dev: bool,
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Vec<Withdrawal>,
    /// Root of the parent beacon block, from Cancun on.
    pub parent_beacon_block_root: B256,
}

/// A transaction that is not in a proposal.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Where it was among the candidates.
    pub index: usize,
    /// Why it cannot follow the ones before it.
    pub error: InvalidBlock,
}

/// A block on top of the head, executed.
#[derive(Debug)]
pub struct Proposal {
    /// The block. Its header has no state root until it is sealed or adopted.
    pub block: Block<EthTransaction>,
    /// Who sent each transaction.
    pub senders: Vec<Address>,
    /// One receipt per transaction.
    pub receipts: Vec<EthereumReceipt>,
    /// Requests to the consensus layer (EIP-7685).
    pub requests: Requests,
    /// What it changes, the changes that it begins with included.
    pub diff: StateDiff,
    /// What it accesses (EIP-7928), where its header commits to that or it is to be kept.
    pub access_list: Option<BlockAccessList>,
    /// Candidates that are not in it.
    pub dropped: Vec<Dropped>,
    /// How the execution went.
    pub stats: ExecStats,
    /// The changes that it begins with.
    pub(super) changes: Option<Arc<Layer>>,
    pub(super) parent: BlockRef,
    snapshot: Snapshot,
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
        let candidates = transactions.into_iter().map(Candidate::from).collect();
        let proposal = self.propose_next(engine, &attributes, candidates)?;
        match proposal.dropped.into_iter().next() {
            Some(Dropped { index, error }) => {
                Err(InvalidBlock { transaction: Some(index), ..error }.into())
            }
            None => self.adopt(Proposal { dropped: Vec::new(), ..proposal }),
        }
    }

    /// Executes a block of candidates, in this order, on top of the head. Those that are not
    /// valid there are left out.
    ///
    /// # Errors
    /// Attributes that no header may have; a failure to read.
    pub fn propose(
        &self,
        engine: &Engine,
        attributes: &BlockAttributes,
        candidates: Vec<Candidate>,
    ) -> Result<Proposal, ImportError> {
        self.propose_streaming(engine, attributes, candidates, None)
    }

    /// The same for a proposal that is going to be adopted, whose root is begun while it executes
    /// where [`RootStreaming`](crate::RootStreaming) says so.
    ///
    /// # Errors
    /// As [`StoredChain::propose`].
    pub fn propose_next(
        &mut self,
        engine: &Engine,
        attributes: &BlockAttributes,
        candidates: Vec<Candidate>,
    ) -> Result<Proposal, ImportError> {
        let limits = candidates.iter().map(|candidate| candidate.transaction.gas_limit());
        let gas = limits.fold(0, u64::saturating_add).min(attributes.gas_limit);
        let Some(stream) = self.streaming.alone(engine, gas) else {
            return self.propose(engine, attributes, candidates);
        };
        self.trie.at(self.head.header.state_root)?;
        let snapshot = self.storage.snapshot(self.trie_config.threads.max(1))?;
        let mut trie = core::mem::replace(&mut self.trie, HeadTrie::new(self.trie_config.clone()));
        let source = SnapshotSource(&snapshot);
        let (proposal, begun) = streamed(&mut trie, source, Some(stream), |stream| {
            self.propose_streaming(engine, attributes, candidates, stream)
        });
        self.tally.add_begun(begun);
        self.trie = trie;
        proposal
    }

    fn propose_streaming(
        &self,
        engine: &Engine,
        attributes: &BlockAttributes,
        candidates: Vec<Candidate>,
        stream: Option<&CommitStream>,
    ) -> Result<Proposal, ImportError> {
        let parent = &self.head.header;
        let rules = self.rules.for_child(self.head.total_difficulty);
        if !rules.merged {
            return Err(InvalidBlock::new(Reason::Merge, "mined blocks are not built here").into());
        }
        let rules = rules.with_contracts_sending(attributes.dev);
        let snapshot = self.storage.snapshot(readers(engine, &self.trie_config))?;
        let changes = self.changes();
        let before = StoredState {
            values: &snapshot,
            layers: changes.iter().cloned().collect(),
            ahead: None,
            codes: &self.codes,
            storage_only: &self.storage_only,
            tries: Tries { head: &snapshot, undo: &[], config: &self.trie_config },
        };
        let block = self.draft(attributes);
        let attempt = Attempt::new(rules, &before, block, candidates);
        let mut attempt = attempt.streaming(stream).listing(self.access_lists);
        match attributes.dev {
            true => crate::header::check_dev(rules, &attempt.block.header, parent)?,
            false => crate::header::check(rules, &attempt.block.header, parent)?,
        }
        let executed = attempt.execute(engine)?;
        let Attempt { block, txs, dropped, .. } = attempt;
        let Executed { result, diff, access_list, stats } = executed;
        let mut block = with_body(block, &txs);

        let header = &mut block.header;
        (header.receipts_root, header.logs_bloom) = receipts_root(&result.receipts, &[]);
        header.gas_used = result.gas_used;
        let prague = rules.chain.is_prague_active_at_timestamp(header.timestamp);
        header.requests_hash = prague.then(|| result.requests.requests_hash());
        let lists = rules.access_lists(header.timestamp);
        let list = access_list.as_deref().filter(|_| lists);
        header.block_access_list_hash = list.map(compute_block_access_list_hash);
        let diff = match &changes {
            Some(changes) => combined(&changes.diff, diff),
            None => diff,
        };
        drop(before);
        Ok(Proposal {
            block,
            senders: senders(&txs),
            receipts: result.receipts,
            requests: result.requests,
            diff,
            access_list,
            dropped,
            stats,
            changes,
            parent: self.head.block(),
            snapshot,
        })
    }

    /// Completes the header of a proposal without making it the head.
    ///
    /// # Errors
    /// A failure to read.
    pub fn seal(&self, proposal: &mut Proposal) -> Result<(), ImportError> {
        let tries = Tries { head: &proposal.snapshot, undo: &[], config: &self.trie_config };
        let mut roots = StoredRoots::new(&tries, &[])?;
        proposal.block.header.state_root = roots.root_after(&proposal.diff)?;
        Ok(())
    }

    /// Makes a proposal the head.
    ///
    /// # Errors
    /// The head is not the one that it was made on, or a failure to read or write. The head is
    /// as it was then.
    pub fn adopt(&mut self, proposal: Proposal) -> Result<Block<EthTransaction>, ImportError> {
        let Proposal { mut block, senders, receipts, diff, access_list, .. } = proposal;
        let (snapshot, parent, changes) = (proposal.snapshot, proposal.parent, proposal.changes);
        let present = self.changes();
        if parent != self.head.block() || !same(present.as_ref(), changes.as_ref()) {
            let hash = block.header.hash_slow();
            let problem = "it was made on another state";
            return Err(ImportError::Head { hash, problem });
        }
        let body = block.body.clone();
        let diff = hashed(&diff, self.preimages);
        let finished = Finished::of_new_block(receipts, diff, senders, body);
        let finished = finished.with_list(access_list);
        self.trie.at(self.head.header.state_root)?;
        let update = self.trie.advance(SnapshotSource(&snapshot), finished.diff())?;
        block.header.state_root = update.root;
        let node = Node::new(block.header.hash_slow(), self.head.total_difficulty, &block);
        self.trie.store(&self.storage, &node, finished, &update)?;
        self.leave_fork();
        self.changes_made(node.hash);
        self.head = self.known.push_canonical(node);
        Ok(block)
    }

    /// The block without transactions, and without what its execution decides.
    pub(super) fn draft(&self, attributes: &BlockAttributes) -> Block<EthTransaction> {
        let parent = &self.head.header;
        let chain = &self.rules.after_merge;
        let timestamp = attributes.timestamp;
        let shanghai = chain.is_shanghai_active_at_timestamp(timestamp);
        let withdrawals = shanghai.then(|| attributes.withdrawals.clone());
        let blobs = chain.blob_params(timestamp);
        let number = parent.number.saturating_add(1);
        let prague = chain.is_prague_active_at_timestamp(timestamp);
        let lists = self.rules.for_child(self.head.total_difficulty).access_lists(timestamp);
        let header = Header {
            parent_hash: self.head.hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: attributes.beneficiary,
            number,
            gas_limit: attributes.gas_limit,
            timestamp,
            extra_data: attributes.extra_data.clone(),
            mix_hash: attributes.prev_randao,
            base_fee_per_gas: attributes
                .base_fee_per_gas
                .or_else(|| parent.next_block_base_fee(BaseFeeParams::ethereum())),
            withdrawals_root: withdrawals.as_ref().map(|list| calculate_withdrawals_root(list)),
            blob_gas_used: blobs.map(|_| 0),
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
        let body = BlockBody { transactions: Vec::new(), ommers: Vec::new(), withdrawals };
        Block { header, body }
    }
}

fn same(a: Option<&Arc<Layer>>, b: Option<&Arc<Layer>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// Adds the transactions and what the header says of them.
fn with_body(mut block: Block<EthTransaction>, txs: &[Tx]) -> Block<EthTransaction> {
    let transactions: Vec<_> = txs.iter().map(|tx| tx.tx.inner().clone()).collect();
    let header = &mut block.header;
    header.transactions_root = transactions_root(&transactions);
    if let Some(used) = &mut header.blob_gas_used {
        *used = transactions.iter().filter_map(Transaction::blob_gas_used).sum();
    }
    block.body.transactions = transactions;
    block
}
