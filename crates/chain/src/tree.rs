//! The tree of valid blocks, each with the state it leads to, and the choice of its head.

use crate::{
    Engine, InvalidBlock, MemoryState, Parent, Reason, body,
    execution::Ready,
    header,
    ommers::{self, Ancestor, GENERATIONS},
    rules::Rules,
    state::BlockHashes,
};
use alloy_consensus::{Block, Header};
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_rlp::Encodable;
use core::iter;
use warpline_executor::EthTransaction;

/// All valid blocks since a genesis, in memory.
#[derive(Debug)]
pub struct BlockTree {
    rules: Rules,
    nodes: B256Map<Node>,
    head: B256,
}

/// A valid block and what follows from it.
#[derive(Debug)]
struct Node {
    header: Header,
    total_difficulty: U256,
    ommers: Vec<B256>,
    state: MemoryState,
}

/// The head of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: &'a Header,
    /// The state after it.
    pub state: &'a MemoryState,
}

impl BlockTree {
    /// A tree of nothing but its root. That `state` belongs to `genesis` is the caller's word.
    pub fn new(rules: Rules, genesis: Header, state: MemoryState) -> Self {
        let head = genesis.hash_slow();
        let total_difficulty = genesis.difficulty;
        let node = Node { header: genesis, total_difficulty, ommers: Vec::new(), state };
        Self { rules, nodes: B256Map::from_iter([(head, node)]), head }
    }

    /// The rules of the chain.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The head: while blocks are mined the block with the highest total difficulty, of equals
    /// the one that came first; after the merge the block that came last.
    pub fn head(&self) -> Head<'_> {
        let node = &self.nodes[&self.head];
        Head { hash: self.head, header: &node.header, state: &node.state }
    }

    /// Decodes, validates and adds a block.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn import_rlp(&mut self, engine: &Engine, rlp: &[u8]) -> Result<B256, InvalidBlock> {
        let block = alloy_rlp::decode_exact::<Block<EthTransaction>>(rlp)
            .map_err(|error| InvalidBlock::new(Reason::Encoding, error))?;
        self.import(engine, block)
    }

    /// Validates and adds a block.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn import(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
    ) -> Result<B256, InvalidBlock> {
        let hash = block.header.hash_slow();
        if self.nodes.contains_key(&hash) {
            return Ok(hash);
        }
        let parent_hash = block.header.parent_hash;
        let parent = self
            .nodes
            .get(&parent_hash)
            .ok_or_else(|| InvalidBlock::new(Reason::UnknownParent, parent_hash))?;
        let rules = self.rules.for_child(parent.total_difficulty);
        header::check(rules, &block.header, &parent.header)?;
        let ancestors: Vec<_> = self.ancestors(parent_hash).take(GENERATIONS).collect();
        ommers::check(&self.rules, rules.merged, &block.body.ommers, &ancestors)?;
        body::check(rules, &block, block.length())?;
        let txs = body::recover(rules, &block)?;
        let hashes = Hashes { tree: self, parent: parent_hash };
        let state = Parent { state: &parent.state, hashes: &hashes };
        let state = Ready { rules, block: &block, txs: &txs }.run(engine, state)?;

        let total_difficulty = parent.total_difficulty.saturating_add(block.header.difficulty);
        let heavier = total_difficulty > self.nodes[&self.head].total_difficulty;
        if rules.merged || heavier {
            self.head = hash;
        }
        let ommers = block.body.ommers.iter().map(Header::hash_slow).collect();
        let node = Node { header: block.header, total_difficulty, ommers, state };
        self.nodes.insert(hash, node);
        Ok(hash)
    }

    /// A block and its ancestors.
    fn ancestors(&self, from: B256) -> impl Iterator<Item = Ancestor<'_>> {
        let at = move |hash: B256| self.nodes.get(&hash).map(|node| (hash, node));
        iter::successors(at(from), move |(_, node)| at(node.header.parent_hash)).map(
            |(hash, node)| Ancestor {
                hash,
                header: &node.header,
                total_difficulty: node.total_difficulty,
                ommers: &node.ommers,
            },
        )
    }
}

/// The hashes of the ancestors of a block to come.
#[derive(Debug)]
struct Hashes<'a> {
    tree: &'a BlockTree,
    parent: B256,
}

impl BlockHashes for Hashes<'_> {
    fn block_hash(&self, number: u64) -> B256 {
        let mut ancestors = self.tree.ancestors(self.parent);
        ancestors.find(|ancestor| ancestor.header.number <= number).map_or(B256::ZERO, |found| {
            if found.header.number == number { found.hash } else { B256::ZERO }
        })
    }
}
