//! What every handler has at hand.

use crate::{
    RpcError,
    eth::{Filters, LogCache, Tips},
    feed::Feed,
    wire::{BlockId, Tag},
};
use alloy_primitives::{Address, B256};
use core::time::Duration;
use std::sync::Arc;
use warpline_chain::{BlockState, ChainView, ProposedBlock};
use warpline_node::Node;
use warpline_storage::{BlockRef, Snapshot, StateReader, StorageError};

/// Limits of what callers may ask for. The defaults are geth's, where it has any.
#[derive(Debug, Clone)]
pub struct RpcConfig {
    /// Most gas that a call or an estimate may use (`--rpc.gascap`); 0 for no limit.
    pub gas_cap: u64,
    /// How long a call, an estimate or a trace may take (`--rpc.evmtimeout`); zero for no limit.
    pub evm_timeout: Duration,
    /// How long a request may take; zero for no limit.
    pub request_timeout: Duration,
    /// Most blocks that logs may be looked for in (`--rpc.rangelimit`); 0 for no limit.
    pub log_blocks: u64,
    /// Most logs in one answer (`--rpc.max-logs-per-response`); 0 for no limit.
    pub logs: usize,
    /// What is suggested as priority fee while no block shows what others pay, in wei.
    pub default_tip: u128,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            gas_cap: 50_000_000,
            evm_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            log_blocks: 0,
            logs: 20_000,
            default_tip: 1_000_000,
        }
    }
}

/// What every handler has at hand.
#[derive(Debug)]
pub struct Context {
    /// The node that answers.
    pub node: Arc<Node>,
    /// Limits.
    pub config: RpcConfig,
    pub(crate) tips: Tips,
    pub(crate) feed: Feed,
    pub(crate) filters: Filters,
    pub(crate) logs: LogCache,
}

impl Context {
    /// For the requests to a node.
    pub fn new(node: Arc<Node>, config: RpcConfig) -> Self {
        Self {
            node,
            config,
            tips: Tips::default(),
            feed: Feed::default(),
            filters: Filters::default(),
            logs: LogCache::default(),
        }
    }

    /// The chain, to be read.
    pub(crate) fn view(&self) -> &ChainView {
        self.node.view()
    }

    /// The block that would be made now; none where none can be made, or where the chain goes on
    /// faster than one is. It may have to be made first, which takes as long as a block.
    pub(crate) fn pending(&self) -> Result<Option<(Arc<ProposedBlock>, BlockState)>, RpcError> {
        // The chain may move on between block and state.
        for _ in 0..PENDING_TRIES {
            let Some(block) = self.node.pending()? else { break };
            if let Some(state) = self.view().after(&block)? {
                return Ok(Some((block, state)));
            }
        }
        Ok(None)
    }

    /// The state after a block, the latest where none is named. Where no pending block can be
    /// had, the latest state is the pending one.
    pub(crate) fn state(&self, block: Option<BlockId>) -> Result<BlockState, RpcError> {
        let view = self.view();
        let at = |number| view.at(number).map_err(unknown_header);
        match block.unwrap_or_default() {
            BlockId::Tag(Tag::Latest) => Ok(view.latest()?),
            BlockId::Tag(Tag::Pending) => match self.pending()? {
                Some((_, state)) => Ok(state),
                None => Ok(view.latest()?),
            },
            BlockId::Tag(Tag::Earliest) => at(0),
            BlockId::Tag(Tag::Safe) => at(self.marked(view.safe())?.number),
            BlockId::Tag(Tag::Finalized) => at(self.marked(view.finalized())?.number),
            BlockId::Number(number) => at(number),
            BlockId::Hash(hash) | BlockId::Canonical(hash) => {
                let number = view.blocks()?.reader()?.block_number(&hash)?;
                let state = number.map(at).transpose()?;
                // The chain may have moved in between.
                let state = state.filter(|state| state.block().hash == hash);
                state.ok_or_else(|| self.no_state(block.unwrap_or_default(), hash))
            }
        }
    }

    /// Why there is no state after a block that is not in the chain.
    fn no_state(&self, id: BlockId, hash: B256) -> RpcError {
        if !self.view().is_beside(&hash) {
            return RpcError::refused("header for hash not found");
        }
        match id {
            BlockId::Canonical(_) => not_canonical(),
            _ => not_kept("the state is", hash),
        }
    }

    /// The state that a block of the chain was executed on.
    pub(crate) fn state_before(&self, block: BlockRef) -> Result<BlockState, RpcError> {
        self.view().before(block).map_err(unknown_header)
    }

    /// The number of a block in a snapshot of the chain; none where there is no such block. The
    /// pending one is not in the chain: whoever knows of it has looked for it before. One beside
    /// the chain is an error where it has to be canonical, and none otherwise.
    pub(crate) fn number_of(
        &self,
        blocks: &Snapshot,
        reader: &StateReader<'_>,
        block: BlockId,
    ) -> Result<Option<u64>, RpcError> {
        let head = blocks.block().number;
        let kept = |marked: Option<BlockRef>| match marked {
            Some(block) if reader.block_hash(block.number)? == Some(block.hash) => {
                Ok::<_, RpcError>(block.number)
            }
            _ => Ok(head),
        };
        match block {
            BlockId::Tag(Tag::Latest | Tag::Pending) => Ok(Some(head)),
            BlockId::Tag(Tag::Earliest) => Ok(Some(0)),
            BlockId::Tag(Tag::Safe) => kept(self.view().safe()).map(Some),
            BlockId::Tag(Tag::Finalized) => kept(self.view().finalized()).map(Some),
            BlockId::Number(number) => Ok((number <= head).then_some(number)),
            BlockId::Hash(hash) => Ok(reader.block_number(&hash)?),
            BlockId::Canonical(hash) => match reader.block_number(&hash)? {
                None if self.view().is_beside(&hash) => Err(not_canonical()),
                number => Ok(number),
            },
        }
    }

    /// A block that a consensus client has marked. Where there is none, every block is as safe as
    /// the latest.
    fn marked(&self, block: Option<BlockRef>) -> Result<BlockRef, StorageError> {
        let blocks = self.view().blocks()?;
        Ok(match block {
            Some(block) if blocks.reader()?.block_hash(block.number)? == Some(block.hash) => block,
            _ => blocks.block(),
        })
    }

    /// The next nonce of an account after a block; the pending one counts what waits in the pool.
    pub(crate) fn nonce(&self, address: Address, block: Option<BlockId>) -> Result<u64, RpcError> {
        let pending = block == Some(BlockId::Tag(Tag::Pending));
        let state = self.state(block.filter(|_| !pending))?;
        let mined = crate::eth::account(&state, address)?.map_or(0, |account| account.nonce);
        if !pending {
            return Ok(mined);
        }
        // What waits in the pool without a gap counts, whether it fits into the next block or not.
        Ok(self.node.pool().pending_nonce(&address).unwrap_or_default().max(mined))
    }
}

/// How often a pending block is asked for while the chain goes on under it.
const PENDING_TRIES: usize = 8;

/// A block beside the chain was asked for by somebody who wants none (EIP-1898).
fn not_canonical() -> RpcError {
    RpcError::refused("hash is not currently canonical")
}

/// Something of a block beside the chain that this node does not have.
pub(crate) fn not_kept(what: &str, hash: B256) -> RpcError {
    RpcError::refused(format!("{what} not kept of block {hash}, which is not in the chain"))
}

/// A block that is not there, as far as its state is concerned.
fn unknown_header(error: StorageError) -> RpcError {
    match error {
        StorageError::UnknownBlock { .. } => RpcError::refused("header not found"),
        error => error.into(),
    }
}

/// The hash of the genesis block.
pub(crate) fn genesis_hash(reader: &StateReader<'_>) -> Result<B256, StorageError> {
    Ok(reader.block_hash(0)?.unwrap_or_default())
}
