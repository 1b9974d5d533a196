//! The blocks that are known: the canonical ones of late and those beside the chain.

use crate::ommers::Ancestor;
use alloy_consensus::{Block, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, U256, map::B256Map};
use core::iter;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, VecDeque},
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
    /// The order in which those were put aside last.
    turns: Turns,
}

/// Hashes in the order in which each of them came last.
#[derive(Debug, Default)]
struct Turns {
    next: u64,
    by_turn: BTreeMap<u64, B256>,
    of: B256Map<u64>,
}

impl Turns {
    /// A hash comes, maybe again.
    fn push(&mut self, hash: B256) {
        self.remove(&hash);
        self.by_turn.insert(self.next, hash);
        self.of.insert(hash, self.next);
        self.next += 1;
    }

    fn remove(&mut self, hash: &B256) {
        if let Some(turn) = self.of.remove(hash) {
            self.by_turn.remove(&turn);
        }
    }

    /// The hash that has not come for the longest time, if there are more than `most`.
    fn pop_beyond(&mut self, most: usize) -> Option<B256> {
        if self.of.len() <= most {
            return None;
        }
        let (_, first) = self.by_turn.pop_first()?;
        self.of.remove(&first);
        Some(first)
    }
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
        self.turns.remove(&node.hash);
        while self.canonical.len() as u64 > KEPT {
            if let Some(oldest) = self.canonical.pop_front() {
                self.nodes.remove(&oldest);
            }
        }
        if number.is_multiple_of(KEPT / 4) {
            self.forget_far_below(number);
        }
        node
    }

    /// Forgets blocks beside the chain that are too far behind a head.
    fn forget_far_below(&mut self, head: u64) {
        let turns = &mut self.turns;
        self.beside.write().retain(|hash, node| {
            let near = node.header.number.saturating_add(KEPT) > head;
            if !near {
                turns.remove(hash);
            }
            near
        });
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
        self.turns.push(node.hash);
        beside.insert(node.hash, Arc::new(node));
        while let Some(first) = self.turns.pop_beyond(MOST_ASIDE) {
            beside.remove(&first);
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

    fn node(number: u64) -> (Node, Block<EthTransaction>) {
        let header = Header { number, ..Header::default() };
        let block = Block { header, body: Default::default() };
        (Node::new(block.header.hash_slow(), U256::ZERO, &block), block)
    }

    fn put_aside(known: &mut Known, number: u64) -> B256 {
        let (node, block) = node(number);
        let hash = node.hash;
        known.put_aside(node.aside(block, None));
        hash
    }

    fn assert_counted(known: &Known) {
        let (aside, turns) = (known.beside.read().len(), &known.turns);
        assert_eq!((turns.of.len(), turns.by_turn.len()), (aside, aside));
    }

    #[test]
    fn of_blocks_beside_a_chain_that_goes_nowhere_the_oldest_are_forgotten() {
        let mut known = Known::default();
        let first = put_aside(&mut known, 0);
        let second = put_aside(&mut known, 1);
        for number in 2..MOST_ASIDE as u64 {
            put_aside(&mut known, number);
        }
        put_aside(&mut known, 0);
        put_aside(&mut known, MOST_ASIDE as u64);
        let beside = known.beside();
        assert!(beside.read().contains_key(&first) && !beside.read().contains_key(&second));
        assert_eq!(beside.read().len(), MOST_ASIDE);
        assert_counted(&known);
    }

    #[test]
    fn blocks_that_come_and_go_again_and_again_are_not_forgotten() {
        let mut known = Known::default();
        let lasting = put_aside(&mut known, 1_000);
        for _ in 0..=MOST_ASIDE / 64 {
            let branch: Vec<_> = (0..64).map(|number| put_aside(&mut known, number)).collect();
            let beside = known.beside();
            assert!(branch.iter().all(|hash| beside.read().contains_key(hash)));
            for number in 0..64 {
                known.push_canonical(node(number).0);
            }
            assert_counted(&known);
        }
        assert!(known.beside().read().contains_key(&lasting));
        known.push_canonical(node(1_024 + KEPT).0);
        assert!(known.beside().read().is_empty());
        assert_counted(&known);
    }
}
