//! The blocks that are known: the canonical ones of late and those beside the chain.

use crate::ommers::Ancestor;
use alloy_consensus::{Block, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, U256, map::B256Map};
use core::iter;
use parking_lot::RwLock;
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};
use warpline_executor::EthTransaction;
use warpline_storage::{BlockRef, HashedDiff, Storage, StorageError, StoredReceipt};
use warpline_types::StateDiff;

/// How many canonical blocks are kept to be asked about, and how far behind the head a block
/// beside the chain may be.
pub(crate) const KEPT: u64 = 512;

/// How many blocks beside the chain are kept: a development chain may go back again and again
/// without ever coming further.
const MOST_ASIDE: usize = 8 * KEPT as usize;

/// One block.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) total_difficulty: U256,
    /// Hashes of the ommers that it includes.
    pub(crate) ommers: Vec<B256>,
    /// What is not in the database, of a block beside the chain.
    pub(crate) aside: Option<Aside>,
}

/// A block beside the chain, which may come into it.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    pub(crate) block: Block<EthTransaction>,
    /// What came of it; not there for a block that was in the chain once, until it is asked for.
    pub(crate) outcome: OnceLock<Outcome>,
}

/// What came of a block, all of which was verified.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) senders: Vec<Address>,
    pub(crate) receipts: Vec<StoredReceipt>,
    pub(crate) diff: Arc<StateDiff>,
    pub(crate) hashed: HashedDiff,
    /// Where it is to be kept.
    pub(crate) access_list: Option<BlockAccessList>,
}

impl Node {
    /// A block of the chain.
    pub(crate) fn new(hash: B256, total_difficulty: U256, block: &Block<EthTransaction>) -> Self {
        let header = block.header.clone();
        let ommers = ommer_hashes(&block.body.ommers);
        Self { hash, header, total_difficulty, ommers, aside: None }
    }

    /// The same beside the chain.
    pub(crate) fn aside(self, block: Block<EthTransaction>, outcome: Option<Outcome>) -> Self {
        let outcome = outcome.map_or_else(OnceLock::new, OnceLock::from);
        Self { aside: Some(Aside { block, outcome }), ..self }
    }

    pub(crate) const fn block(&self) -> BlockRef {
        BlockRef { number: self.header.number, hash: self.hash }
    }

    fn ancestor(&self) -> Ancestor<'_> {
        Ancestor {
            hash: self.hash,
            header: &self.header,
            total_difficulty: self.total_difficulty,
            ommers: &self.ommers,
        }
    }
}

pub(crate) fn ommer_hashes(ommers: &[Header]) -> Vec<B256> {
    ommers.iter().map(Header::hash_slow).collect()
}

/// Blocks beside the chain, each following the one before.
pub(crate) struct Branch {
    /// The canonical block that the first of them follows.
    pub(crate) base: Arc<Node>,
    /// The blocks, the oldest first.
    pub(crate) blocks: Vec<Arc<Node>>,
}

/// Blocks beside the chain by hash, shared with those who only read.
pub(super) type Beside = Arc<RwLock<B256Map<Arc<Node>>>>;

/// Known blocks by hash.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The canonical ones.
    nodes: B256Map<Arc<Node>>,
    /// Their hashes, the oldest first.
    canonical: VecDeque<B256>,
    beside: Beside,
    /// Hashes of those in the order in which they came, some of which may have gone.
    came: VecDeque<B256>,
}

impl Known {
    /// A block that is at hand or in the database.
    pub(crate) fn find(
        &self,
        storage: &Storage,
        hash: &B256,
    ) -> Result<Option<Arc<Node>>, StorageError> {
        let beside = || self.beside.read().get(hash).cloned();
        match self.nodes.get(hash).cloned().or_else(beside) {
            Some(node) => Ok(Some(node)),
            None => stored(storage, hash),
        }
    }

    /// The blocks beside the chain.
    pub(super) fn beside(&self) -> Beside {
        Arc::clone(&self.beside)
    }

    /// A block and its nearest ancestors, the block first.
    pub(crate) fn lineage(
        &self,
        storage: &Storage,
        from: Arc<Node>,
        count: usize,
    ) -> Result<Vec<Arc<Node>>, StorageError> {
        let mut lineage = vec![from];
        while lineage.len() < count {
            let last = lineage.last().filter(|last| last.header.number > 0);
            let Some(parent) = last.map(|last| last.header.parent_hash) else { break };
            match self.find(storage, &parent)? {
                Some(node) => lineage.push(node),
                None => break,
            }
        }
        Ok(lineage)
    }

    /// A new head.
    pub(crate) fn push_canonical(&mut self, node: Node) -> Arc<Node> {
        let number = node.header.number;
        let node = Arc::new(node);
        self.canonical.push_back(node.hash);
        self.nodes.insert(node.hash, Arc::clone(&node));
        self.beside.write().remove(&node.hash);
        while self.canonical.len() as u64 > KEPT {
            if let Some(oldest) = self.canonical.pop_front() {
                self.nodes.remove(&oldest);
            }
        }
        if number.is_multiple_of(KEPT / 4) {
            let near = |node: &Node| node.header.number.saturating_add(KEPT) > number;
            self.beside.write().retain(|_, node| near(node));
        }
        node
    }

    /// Takes the canonical blocks above a height out, as blocks that are not known any more.
    pub(crate) fn truncate(&mut self, to: u64) {
        while let Some(last) = self.canonical.back() {
            if self.nodes.get(last).is_some_and(|node| node.header.number <= to) {
                return;
            }
            self.nodes.remove(last);
            self.canonical.pop_back();
        }
    }

    /// A block beside the chain.
    pub(crate) fn put_aside(&mut self, node: Node) {
        let mut beside = self.beside.write();
        self.came.push_back(node.hash);
        beside.insert(node.hash, Arc::new(node));
        while self.came.len() > MOST_ASIDE {
            if let Some(first) = self.came.pop_front() {
                beside.remove(&first);
            }
        }
    }

    /// The blocks down from `to` to where they leave the chain; none where one is not known.
    pub(crate) fn branch(
        &self,
        storage: &Storage,
        to: Arc<Node>,
    ) -> Result<Option<Branch>, StorageError> {
        let mut blocks = Vec::new();
        let mut node = to;
        while node.aside.is_some() {
            let parent = node.header.parent_hash;
            blocks.push(node);
            match self.find(storage, &parent)? {
                Some(parent) => node = parent,
                None => return Ok(None),
            }
        }
        blocks.reverse();
        Ok(Some(Branch { base: node, blocks }))
    }
}

/// The parts of a lineage that rules ask for.
pub(crate) fn ancestors(lineage: &[Arc<Node>]) -> Vec<Ancestor<'_>> {
    lineage.iter().map(|node| node.ancestor()).collect()
}

/// A canonical block in the database.
fn stored(storage: &Storage, hash: &B256) -> Result<Option<Arc<Node>>, StorageError> {
    let snapshot = storage.snapshot(1)?;
    let reader = snapshot.reader()?;
    let Some(number) = reader.block_number(hash)? else { return Ok(None) };
    let (Some((header, total_difficulty)), Some(body)) =
        (reader.header(number)?, reader.body(number)?)
    else {
        return Ok(None);
    };
    let ommers = ommer_hashes(&body.ommers);
    Ok(Some(Arc::new(Node { hash: *hash, header, total_difficulty, ommers, aside: None })))
}

/// The canonical blocks above a height, the oldest first, at most as many as may lie beside a
/// chain.
pub(crate) fn stored_above(storage: &Storage, height: u64) -> Result<Vec<Node>, StorageError> {
    let snapshot = storage.snapshot(1)?;
    let (reader, head) = (snapshot.reader()?, snapshot.block().number);
    let mut nodes = Vec::new();
    let last = head.min(height.saturating_add(KEPT));
    for number in iter::successors(height.checked_add(1), |number| number.checked_add(1)) {
        if number > last {
            break;
        }
        let (Some(hash), Some((header, total_difficulty)), Some(body)) =
            (reader.block_hash(number)?, reader.header(number)?, reader.body(number)?)
        else {
            break;
        };
        let block = Block { header, body };
        nodes.push(Node::new(hash, total_difficulty, &block).aside(block, None));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_aside(known: &mut Known, number: u64) -> B256 {
        let header = Header { number, ..Header::default() };
        let block = Block { header, body: Default::default() };
        let hash = block.header.hash_slow();
        known.put_aside(Node::new(hash, U256::ZERO, &block).aside(block, None));
        hash
    }

    #[test]
    fn of_blocks_beside_a_chain_that_goes_nowhere_the_oldest_are_forgotten() {
        let mut known = Known::default();
        let first = put_aside(&mut known, 0);
        let second = put_aside(&mut known, 1);
        for number in 2..=MOST_ASIDE as u64 {
            put_aside(&mut known, number);
        }
        let beside = known.beside();
        let beside = beside.read();
        assert!(!beside.contains_key(&first) && beside.contains_key(&second));
        assert_eq!((beside.len(), known.came.len()), (MOST_ASIDE, MOST_ASIDE));
    }
}
