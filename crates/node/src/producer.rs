//! Making blocks: what goes into the next one, and what follows from it.

use crate::{
    BlockReport, NewHead, NodeConfig, NodeError,
    clock::Clock,
    dev::Dev,
    early::{Early, Upcoming},
    events::Events,
    metrics::BlockMetrics,
    predictor::Predictor,
    state::HeadState,
};
use alloy_consensus::{BlockHeader, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use std::{collections::VecDeque, sync::Arc, time::Instant};
use warpline_chain::{
    BlockAttributes, Candidate, ChainView, Dropped, Engine, Proposal, Reason, StoredChain,
};
use warpline_executor::EthTransaction;
use warpline_storage::BlockRef;
use warpline_txpool::{Head, HeadChange, Mined, Pool, PoolTransaction};

/// What somebody who asks for a block wants of it.
#[derive(Debug, Clone, Default)]
pub struct MineOptions {
    /// Its time, in seconds since 1970; otherwise the clock's.
    pub timestamp: Option<u64>,
}

/// What a block that is only proposed is to be like. What is not given is as for the next block.
#[derive(Debug, Clone, Default)]
pub struct ProposeOptions {
    /// Its time, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// Who gets the fees.
    pub beneficiary: Option<Address>,
    /// The randomness of the beacon chain.
    pub prev_randao: Option<B256>,
    /// Withdrawals.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// Root of the parent beacon block.
    pub parent_beacon_block_root: Option<B256>,
    /// At most 32 bytes.
    pub extra_data: Option<Bytes>,
    /// Gas limit that the block approaches.
    pub gas_limit: Option<u64>,
    /// Exactly these transactions, all of which have to be valid; otherwise the pool's best.
    pub transactions: Option<Vec<Recovered<EthTransaction>>>,
}

/// The chain and whatever decides on its next block. One at a time uses it.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) chain: StoredChain,
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Clock,
    pub(crate) dev: Dev,
    pub(crate) coinbase: Address,
    gas_limit: Option<u64>,
    extra_data: Bytes,
    pub(crate) min_tip: u128,
    pub(crate) pool: Arc<Pool>,
    pub(crate) events: Arc<Events>,
    view: ChainView,
    /// How the latest blocks were made, the oldest first.
    pub(crate) reports: VecDeque<BlockReport>,
    metrics: BlockMetrics,
    predictor: Option<Arc<Predictor>>,
    early: Option<Arc<Early>>,
}

/// How many of them are kept.
const REPORTS: usize = 1024;

/// How much the gas limit may move from one block to the next.
const GAS_LIMIT_BOUND: u64 = 1024;

impl Producer {
    pub(crate) fn new(
        chain: StoredChain,
        engine: Arc<Engine>,
        config: &NodeConfig,
        pool: Arc<Pool>,
        events: Arc<Events>,
    ) -> Self {
        let view = chain.view();
        Self {
            chain,
            engine,
            clock: Clock::default(),
            dev: Dev::new(config.dev),
            coinbase: config.coinbase,
            gas_limit: config.gas_limit,
            extra_data: config.extra_data.clone(),
            min_tip: config.min_tip,
            pool,
            events,
            view,
            reports: VecDeque::new(),
            metrics: BlockMetrics::new(),
            predictor: None,
            early: None,
        }
    }

    /// Tells a predictor of every new head.
    pub(crate) fn taught(self, predictor: Option<Arc<Predictor>>) -> Self {
        Self { predictor, ..self }
    }

    /// Takes what transactions have come to before their block.
    pub(crate) fn taking(self, early: Option<Arc<Early>>) -> Self {
        Self { early, ..self }
    }

    /// The next block, as far as it is known.
    pub(crate) fn upcoming(&self) -> Upcoming {
        let attributes = self.attributes(&ProposeOptions::default());
        Upcoming {
            engine: Arc::clone(&self.engine),
            next: self.chain.next_block(&attributes),
            min_tip: self.min_tip,
            blobs: self.blobs(&attributes),
        }
    }

    /// Makes the next block of the best transactions in the pool.
    pub(crate) fn mine(&mut self, options: &MineOptions) -> Result<BlockRef, NodeError> {
        let last = self.chain.head_header().timestamp;
        if let Some(timestamp) = options.timestamp {
            self.clock.set_next(timestamp, last)?;
        }
        let start = Instant::now();
        let attributes = self.attributes(&ProposeOptions::default());
        let best = self.best(&attributes);
        let candidates = self.candidates(&best, &attributes);
        let mut proposal = self.chain.propose_next(&self.engine, &attributes, candidates)?;
        let (execution, stats) = (start.elapsed(), proposal.stats);
        let dropped = core::mem::take(&mut proposal.dropped);
        let mined: Vec<_> = proposal
            .block
            .body
            .transactions
            .iter()
            .zip(&proposal.senders)
            .map(|(tx, sender)| Mined { hash: *tx.tx_hash(), sender: *sender })
            .collect();
        let changed: Vec<_> =
            proposal.diff.accounts.iter().map(|account| account.address).collect();
        let block = self.chain.adopt(proposal)?;
        self.clock.made(block.header.timestamp);
        self.dev.used();
        self.forget(&best, &dropped);
        let moved = Moved { mined: &mined, dropped: Vec::new(), changed: Some(&changed) };
        let head = self.chain.head();
        let (dropped, total) = (dropped.len(), start.elapsed());
        let report = BlockReport { block: head, stats, execution, total, dropped };
        self.reports.push_back(report);
        if self.reports.len() > REPORTS {
            self.reports.pop_front();
        }
        self.head_moved(moved, Arc::default(), Some(report))?;
        Ok(head)
    }

    /// Executes a block without making it the head.
    pub(crate) fn propose(&self, options: ProposeOptions) -> Result<Proposal, NodeError> {
        let attributes = self.attributes(&options);
        let given = options.transactions.is_some();
        let candidates = match options.transactions {
            Some(transactions) => transactions.into_iter().map(Candidate::from).collect(),
            None => {
                let best = self.best(&attributes);
                best.iter().map(|tx| tx.recovered().clone().into()).collect()
            }
        };
        let mut proposal = self.chain.propose(&self.engine, &attributes, candidates)?;
        if given && let Some(Dropped { index, error }) = proposal.dropped.first().cloned() {
            let error = warpline_chain::InvalidBlock { transaction: Some(index), ..error };
            return Err(warpline_chain::ImportError::Invalid(error).into());
        }
        self.chain.seal(&mut proposal)?;
        Ok(proposal)
    }

    /// What the header of the next block says before anything is executed.
    fn attributes(&self, options: &ProposeOptions) -> BlockAttributes {
        let parent = self.chain.head_header();
        let target = options.gas_limit.or(self.gas_limit).unwrap_or(parent.gas_limit);
        let hash = self.chain.head().hash;
        let random = || self.dev.prev_randao.unwrap_or_else(|| keccak256(hash));
        BlockAttributes {
            timestamp: options.timestamp.unwrap_or_else(|| self.clock.peek(parent.timestamp)),
            beneficiary: options.beneficiary.unwrap_or(self.coinbase),
            prev_randao: options.prev_randao.unwrap_or_else(random),
            extra_data: options.extra_data.clone().unwrap_or_else(|| self.extra_data.clone()),
            gas_limit: self.dev.gas_limit.unwrap_or_else(|| towards(parent.gas_limit, target)),
            base_fee_per_gas: self.dev.base_fee,
            dev: self.dev.enabled,
            withdrawals: options.withdrawals.clone().unwrap_or_default(),
            parent_beacon_block_root: options.parent_beacon_block_root.unwrap_or_default(),
        }
    }

    /// The pool's best that fit into the block.
    fn best(&self, attributes: &BlockAttributes) -> Vec<Arc<PoolTransaction>> {
        self.pool.select(self.min_tip, attributes.gas_limit, self.blobs(attributes))
    }

    /// Most blobs in the block.
    fn blobs(&self, attributes: &BlockAttributes) -> u64 {
        let chain = &self.chain.rules().after_merge;
        chain.blob_params(attributes.timestamp).map_or(0, |params| params.max_blob_count)
    }

    /// These transactions with what is known of them.
    fn candidates(
        &self,
        best: &[Arc<PoolTransaction>],
        attributes: &BlockAttributes,
    ) -> Vec<Candidate> {
        let early = self.early.as_ref().map(|early| early.take(best)).unwrap_or_default();
        let expect = |predictor: &Arc<Predictor>| {
            let next = self.chain.next_block(attributes);
            predictor.expect_block(best, &early, &self.engine, next.header(), &self.view)
        };
        // The block goes on without: whoever reads the state next says what is wrong with it.
        let expected = self.predictor.as_ref().and_then(|predictor| expect(predictor).ok());
        let mut expected = expected.unwrap_or_default().into_iter();
        let mut early = early.into_iter();
        let candidate = |tx: &Arc<PoolTransaction>| Candidate {
            transaction: tx.recovered().clone(),
            expected: expected.next().flatten(),
            early: early.next().flatten(),
        };
        best.iter().map(candidate).collect()
    }

    /// Takes transactions out of the pool that no later block could have either.
    fn forget(&self, candidates: &[Arc<PoolTransaction>], dropped: &[Dropped]) {
        for Dropped { index, error } in dropped {
            let may_do_later = matches!(
                error.reason,
                Reason::GasAllowance | Reason::NonceTooHigh | Reason::FeeCap | Reason::BlobFeeCap
            );
            if let Some(tx) = candidates.get(*index).filter(|_| !may_do_later) {
                let hash = tx.hash();
                tracing::debug!(%hash, %error, "transaction left out");
                self.pool.remove(&hash);
            }
        }
    }

    /// Tells the pool and everybody else of the chain's new head.
    pub(crate) fn head_moved(
        &self,
        moved: Moved<'_>,
        dropped: Arc<[BlockRef]>,
        report: Option<BlockReport>,
    ) -> Result<(), NodeError> {
        let (block, header) = (self.chain.head(), self.chain.head_header().clone());
        self.metrics.head(&header, dropped.len(), report.as_ref());
        self.pool.on_head(HeadChange {
            head: self.next_rules(),
            accounts: Arc::new(HeadState::new(self.view.clone())?),
            mined: moved.mined,
            dropped: moved.dropped,
            changed: moved.changed,
        })?;
        if let Some(predictor) = &self.predictor {
            predictor.head(block, moved.mined.len(), header.gas_used);
        }
        let _nobody_listens =
            self.events.heads.send(NewHead { block, header: Arc::new(header), dropped, report });
        self.events.moves.send_modify(|moves| *moves += 1);
        Ok(())
    }

    /// The rules and fees of the next block.
    fn next_rules(&self) -> Head {
        let mut head = rules_after(&self.chain, &self.clock);
        head.base_fee = self.dev.base_fee.unwrap_or(head.base_fee);
        head.gas_limit = self.dev.gas_limit.unwrap_or(head.gas_limit);
        head
    }

    /// The state of the head, or what callers decide on the next block, has changed.
    pub(crate) fn state_changed(&self) -> Result<(), NodeError> {
        self.pool.on_head(HeadChange {
            head: self.next_rules(),
            accounts: Arc::new(HeadState::new(self.view.clone())?),
            mined: &[],
            dropped: Vec::new(),
            changed: None,
        })?;
        Ok(())
    }
}

/// What a new head did to transactions and accounts.
#[derive(Debug, Default)]
pub(crate) struct Moved<'a> {
    pub(crate) mined: &'a [Mined],
    pub(crate) dropped: Vec<Recovered<EthTransaction>>,
    /// None if it is not known.
    pub(crate) changed: Option<&'a [Address]>,
}

/// The rules and fees of a block after the head.
pub(crate) fn rules_after(chain: &StoredChain, clock: &Clock) -> Head {
    let header = chain.head_header();
    let timestamp = clock.peek(header.timestamp());
    Head::new(&chain.rules().after_merge, header, chain.head().hash, timestamp)
}

/// The gas limit closest to `target` that may follow `parent`'s.
fn towards(parent: u64, target: u64) -> u64 {
    let step = (parent / GAS_LIMIT_BOUND).saturating_sub(1);
    target.clamp(parent.saturating_sub(step), parent.saturating_add(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gas_limit_approaches_its_target() {
        assert_eq!(towards(30_000_000, 30_000_000), 30_000_000);
        assert_eq!(towards(30_000_000, 60_000_000), 30_000_000 + 30_000_000 / 1024 - 1);
        assert_eq!(towards(30_000_000, 29_999_999), 29_999_999);
        assert_eq!(towards(30_000_000, 0), 30_000_000 - 30_000_000 / 1024 + 1);
    }
}
