//! One running node: the chain, and later its pool and the production of blocks.
//!
//! The chain belongs to one thread, which makes and imports blocks; everybody else reads through
//! a [`ChainView`] and is told of new heads. What is absent: wire formats.

use alloy_consensus::Header;
use std::sync::Arc;
use tokio::sync::broadcast;
use warpline_chain::{ChainView, StoredChain};
use warpline_storage::{BlockRef, StorageError};

/// A new head.
#[derive(Debug, Clone)]
pub struct NewHead {
    /// Which block it is.
    pub block: BlockRef,
    /// Its header.
    pub header: Arc<Header>,
    /// Blocks that left the chain for it, the newest first.
    pub dropped: Arc<[BlockRef]>,
}

/// How many heads a slow listener may be behind before it misses some.
const HEADS: usize = 1024;

/// A running node, shared by whoever serves it.
#[derive(Debug)]
pub struct Node {
    view: ChainView,
    heads: broadcast::Sender<NewHead>,
    chain: parking_lot::Mutex<Option<StoredChain>>,
}

impl Node {
    /// Starts a node on a chain.
    pub fn start(chain: StoredChain) -> Arc<Self> {
        let view = chain.view();
        let (heads, _) = broadcast::channel(HEADS);
        Arc::new(Self { view, heads, chain: parking_lot::Mutex::new(Some(chain)) })
    }

    /// The chain, to be read.
    pub const fn view(&self) -> &ChainView {
        &self.view
    }

    /// Heads from now on.
    pub fn new_heads(&self) -> broadcast::Receiver<NewHead> {
        self.heads.subscribe()
    }

    /// Writes everything and closes the database.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn shutdown(&self) -> Result<(), StorageError> {
        let chain = self.chain.lock().take();
        chain.map_or(Ok(()), StoredChain::shutdown)
    }
}
