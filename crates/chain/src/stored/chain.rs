//! The chain and its head.

use super::{
    arrival::Arrival,
    finish::{Finished, HeadTrie},
    fork::{Fork, Tools},
    genesis::GenesisBlock,
    known::{self, Aside, Branch, Known, Node},
    lists::remembered,
    options::ChainOptions,
    record::ChainRecord,
    source::{self, SnapshotSource},
    state::CodeCache,
    stream::RootStreaming,
    tally::Tally,
    view::Published,
};
use crate::{
    ChainError, Engine, ImportError, InvalidBlock, Reason, Rules,
    body::{self, Tx},
    execution::Ready,
    header,
    ommers::{self, GENERATIONS},
};
use alloy_consensus::{Block, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Bytes, U256, map::AddressMap};
use alloy_rlp::Encodable;
use parking_lot::RwLock;
use std::{path::Path, sync::Arc};
use warpline_executor::EthTransaction;
use warpline_storage::{BlockRef, Finality, GenesisLoader, Identity, Storage, StorageError, Table};
use warpline_trie::TrieConfig;

/// What became of a valid block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It was known before.
    Known,
    /// It is the head now.
    Head,
    /// It lies beside the chain.
    Aside,
}

/// A chain of blocks in a database, with the blocks beside it in memory.
///
/// While blocks are mined the head is the block with the highest total difficulty, of equals the
/// one that came first; after the merge the block that was imported last, or what
/// [`StoredChain::set_forkchoice`] says.
#[derive(Debug)]
pub struct StoredChain {
    pub(super) storage: Storage,
    pub(super) rules: Rules,
    pub(super) trie_config: TrieConfig,
    pub(super) trie: HeadTrie,
    pub(super) codes: Arc<CodeCache>,
    pub(super) storage_only: Arc<AddressMap<U256>>,
    pub(super) known: Known,
    pub(super) head: Arc<Node>,
    fork: Option<Fork>,
    pub(super) preimages: bool,
    pub(super) streaming: RootStreaming,
    pub(super) access_lists: bool,
    pub(super) tally: Tally,
    pub(super) published: Arc<RwLock<Published>>,
}

impl StoredChain {
    /// Makes a database with a genesis block.
    ///
    /// # Errors
    /// There is one already, or it cannot be written; the genesis state contradicts its header.
    pub fn create(
        path: &Path,
        options: ChainOptions,
        rules: Rules,
        genesis: &GenesisBlock,
    ) -> Result<Self, ChainError> {
        let commit = genesis.commit(&options)?;
        let options = ChainOptions { storage_only: genesis.storage_only(), ..options };
        let loader = GenesisLoader::new(path, options.storage.clone())?;
        if let Some(config) = &options.config {
            let record = ChainRecord::new(config.clone(), &options.storage_only);
            loader.description(&record.to_bytes()?)?;
        }
        let storage = loader.finish(rules.chain_id(), commit)?;
        Self::new(storage, options, rules)
    }

    /// Opens the database of a chain. `genesis` is the hash of its genesis block, where the
    /// caller knows it.
    ///
    /// # Errors
    /// There is none, it is damaged or in use, or it holds another chain.
    pub fn open(
        path: &Path,
        options: ChainOptions,
        rules: Rules,
        genesis: Option<B256>,
    ) -> Result<Self, ChainError> {
        let chain_id = rules.chain_id();
        let expected = genesis.map(|genesis| Identity { chain_id, genesis });
        let storage = Storage::open(path, options.storage.clone(), expected.as_ref())?;
        Self::new(storage, options, rules)
    }

    /// A chain on an open database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn new(storage: Storage, options: ChainOptions, rules: Rules) -> Result<Self, ChainError> {
        let known = Known::default();
        let head = stored_head(&storage, &known)?;
        Ok(Self {
            storage,
            rules,
            trie: HeadTrie::new(options.trie.clone()),
            trie_config: options.trie,
            codes: Arc::new(CodeCache::new(options.code_cache)),
            storage_only: Arc::new(options.storage_only),
            known,
            head,
            fork: None,
            preimages: options.preimages,
            streaming: options.streaming,
            access_lists: options.access_lists,
            tally: Tally::default(),
            published: Arc::default(),
        })
    }

    /// The database.
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The rules of the chain.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The head.
    pub fn head(&self) -> BlockRef {
        self.head.block()
    }

    /// The header of the head.
    pub fn head_header(&self) -> &Header {
        &self.head.header
    }

    /// The block that [`StoredChain::set_forkchoice`] called safe last, in this process or an
    /// earlier one; none where the chain has gone back below it.
    pub fn safe(&self) -> Option<BlockRef> {
        self.storage.finality().safe
    }

    /// The same for the finalized block.
    pub fn finalized(&self) -> Option<BlockRef> {
        self.storage.finality().finalized
    }

    /// Decodes and imports a block.
    ///
    /// # Errors
    /// As [`StoredChain::import`].
    pub fn import_rlp(&mut self, engine: &Engine, rlp: &[u8]) -> Result<Imported, ImportError> {
        let block = alloy_rlp::decode_exact::<Block<EthTransaction>>(rlp)
            .map_err(|error| InvalidBlock::new(Reason::Encoding, error))?;
        self.import(engine, block)
    }

    /// Validates a block and adds it, at the head or beside the chain as the fork choice says.
    ///
    /// # Errors
    /// The first rule that the block breaks, or a failure to read or write. The chain is as it
    /// was before, but for a failed reorganisation, which may leave it at an earlier block.
    pub fn import(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
    ) -> Result<Imported, ImportError> {
        self.import_listed(engine, block, None)
    }

    /// Imports a block that may come with its access list, a hint that is checked (EIP-7928).
    ///
    /// # Errors
    /// As [`StoredChain::import`].
    pub fn import_listed(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
        list: Option<BlockAccessList>,
    ) -> Result<Imported, ImportError> {
        let Some(arrival) = self.arrival(block, list)? else { return Ok(Imported::Known) };
        if arrival.parent.hash == self.head.hash {
            self.extend(engine, arrival)?;
            return Ok(Imported::Head);
        }
        let merged = self.rules.for_child(arrival.parent.total_difficulty).merged;
        let heavier = arrival.total_difficulty() > self.head.total_difficulty;
        let hash = self.add_aside(engine, arrival)?;
        if !merged && !heavier {
            return Ok(Imported::Aside);
        }
        self.make_head(engine, hash)?;
        Ok(Imported::Head)
    }

    /// Validates a block and keeps it beside the chain, even where it follows the head.
    ///
    /// # Errors
    /// The first rule that the block breaks, or a failure to read.
    pub fn insert(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
    ) -> Result<Imported, ImportError> {
        let Some(arrival) = self.arrival(block, None)? else { return Ok(Imported::Known) };
        self.add_aside(engine, arrival)?;
        Ok(Imported::Aside)
    }

    /// Makes a known block the head, and takes note which blocks are safe and finalized: in
    /// memory at once, in the database as soon as these blocks are. A head that lies below the
    /// present one changes nothing.
    ///
    /// # Errors
    /// The head is not known, or does not descend from the finalized block; a failure to read or
    /// write, which may leave the chain at an earlier block.
    pub fn set_forkchoice(
        &mut self,
        engine: &Engine,
        head: B256,
        safe: Option<B256>,
        finalized: Option<B256>,
    ) -> Result<(), ImportError> {
        if head != self.head.hash {
            self.make_head(engine, head)?;
        }
        let canonical = |chain: &Self, hash: Option<B256>| -> Result<_, ImportError> {
            let Some(hash) = hash else { return Ok(None) };
            match chain.known.find(&chain.storage, &hash)? {
                Some(node) if node.aside.is_none() => Ok(Some(node.block())),
                _ => Err(ImportError::Head { hash, problem: "it is not in the chain of the head" }),
            }
        };
        let (safe, finalized) = (canonical(self, safe)?, canonical(self, finalized)?);
        Ok(self.storage.set_finality(Finality { safe, finalized })?)
    }

    /// Goes back to an earlier block of the chain. The blocks after it lie beside it then.
    ///
    /// # Errors
    /// There is no such block, the state after it has been pruned, or a failure to read or write.
    pub fn unwind(&mut self, to: u64) -> Result<BlockRef, ImportError> {
        let above = known::stored_above(&self.storage, to)?;
        self.unwind_storage(to)?;
        above.into_iter().for_each(|node| self.known.put_aside(node));
        Ok(self.head.block())
    }

    /// Waits until every block is in the file.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.storage.flush()
    }

    /// Writes all blocks and marks the database as shut down in order.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn shutdown(self) -> Result<(), StorageError> {
        self.storage.shutdown()
    }

    /// A block that is not known, checked as far as its header and body go.
    fn arrival(
        &self,
        block: Block<EthTransaction>,
        list: Option<BlockAccessList>,
    ) -> Result<Option<Arrival>, ImportError> {
        let hash = block.header.hash_slow();
        if self.known.find(&self.storage, &hash)?.is_some() {
            return Ok(None);
        }
        let parent_hash = block.header.parent_hash;
        let parent = self.known.find(&self.storage, &parent_hash)?;
        let parent = parent.ok_or_else(|| InvalidBlock::new(Reason::UnknownParent, parent_hash))?;
        let lineage = self.known.lineage(&self.storage, Arc::clone(&parent), GENERATIONS)?;
        let txs = check_block(&self.rules, &block, &lineage)?;
        let remembered = remembered(&self.storage.snapshot(1)?, hash, &block.header);
        Ok(Some(Arrival { hash, parent, block, txs, list, remembered, listed: self.access_lists }))
    }

    /// Computes the root of a block on top of the head, compares it, and commits.
    pub(super) fn commit(&mut self, node: Node, finished: Finished) -> Result<(), ImportError> {
        let snapshot = self.storage.snapshot(self.trie_config.threads.max(1))?;
        let trie = &mut self.trie;
        trie.at(self.head.header.state_root)?;
        trie.commit(SnapshotSource(&snapshot), &self.storage, &node, finished)?;
        self.fork = None;
        self.head = self.known.push_canonical(node);
        Ok(())
    }

    /// Executes a block where its parent is, and keeps it beside the chain.
    fn add_aside(&mut self, engine: &Engine, arrival: Arrival) -> Result<B256, ImportError> {
        let mut fork = self.fork_at(engine, Arc::clone(&arrival.parent))?;
        let rules = self.rules.for_child(arrival.parent.total_difficulty);
        let ready = arrival.ready(rules);
        let outcome = fork.verify(&self.tools(engine), &ready, arrival.hash)?;
        self.fork = Some(fork);
        let hash = arrival.hash;
        let total_difficulty = arrival.total_difficulty();
        let node = Node::new(hash, total_difficulty, &arrival.block);
        self.known.put_aside(node.aside(arrival.block, Some(outcome)));
        Ok(hash)
    }

    /// What it takes to execute on top of a known block.
    fn fork_at(&mut self, engine: &Engine, parent: Arc<Node>) -> Result<Fork, ImportError> {
        if let Some(fork) = self.fork.take_if(|fork| fork.is_at(&self.head, &parent)) {
            return Ok(fork);
        }
        self.fork = None;
        let unknown = parent.hash;
        let branch = self.known.branch(&self.storage, parent)?;
        let Some(Branch { base, blocks }) = branch else {
            return Err(InvalidBlock::new(Reason::UnknownParent, unknown).into());
        };
        let mut fork = Fork::open(&self.tools(engine), &self.head, &base)?;
        for node in blocks {
            let Some(aside) = &node.aside else { continue };
            match aside.outcome.get() {
                Some(outcome) => fork.apply(node.block(), &node.header, outcome)?,
                None => {
                    let lineage =
                        self.known.lineage(&self.storage, self.parent_of(&node)?, GENERATIONS)?;
                    let txs = check_block(&self.rules, &aside.block, &lineage)?;
                    let total =
                        lineage.first().map_or(U256::ZERO, |parent| parent.total_difficulty);
                    let rules = self.rules.for_child(total);
                    let list = remembered(&self.storage.snapshot(1)?, node.hash, &node.header);
                    let ready = Ready::new(rules, &aside.block, &txs).remembering(list.as_ref());
                    let ready = ready.listing(self.access_lists);
                    let outcome = fork.verify(&self.tools(engine), &ready, node.hash)?;
                    let _already = aside.outcome.set(outcome);
                }
            }
        }
        Ok(fork)
    }

    fn parent_of(&self, node: &Node) -> Result<Arc<Node>, ImportError> {
        let hash = node.header.parent_hash;
        let parent = self.known.find(&self.storage, &hash)?;
        parent.ok_or_else(|| InvalidBlock::new(Reason::UnknownParent, hash).into())
    }

    /// Makes a block that lies beside the chain its head.
    fn make_head(&mut self, engine: &Engine, hash: B256) -> Result<(), ImportError> {
        let node = self.known.find(&self.storage, &hash)?;
        let Some(node) = node else {
            return Err(ImportError::Head { hash, problem: "it is not known" });
        };
        if node.aside.is_none() {
            return Ok(());
        }
        let Some(Branch { base, blocks }) = self.known.branch(&self.storage, Arc::clone(&node))?
        else {
            return Err(ImportError::Head { hash, problem: "its branch is not known" });
        };
        if self.finalized().is_some_and(|finalized| base.header.number < finalized.number) {
            let problem = "it does not descend from the finalized block";
            return Err(ImportError::Head { hash, problem });
        }
        // Every block of the branch is executed, and so known to be valid, before anything else
        // is given up for it.
        let fork = self.fork_at(engine, node)?;
        drop(fork);
        if base.hash != self.head.hash {
            let above = known::stored_above(&self.storage, base.header.number)?;
            self.unwind_storage(base.header.number)?;
            above.into_iter().for_each(|node| self.known.put_aside(node));
        }
        for node in blocks {
            let Some(Aside { block, outcome }) = &node.aside else { continue };
            let Some(outcome) = outcome.get() else { continue };
            let finished = Finished::again(outcome, block.body.clone());
            self.commit(Node::new(node.hash, node.total_difficulty, block), finished)?;
        }
        Ok(())
    }

    /// Goes back in the database and in the trie.
    fn unwind_storage(&mut self, to: u64) -> Result<(), ImportError> {
        self.fork = None;
        self.storage.flush()?;
        let snapshot = self.storage.snapshot(self.trie_config.threads.max(1))?;
        self.trie.at(self.head.header.state_root)?;
        let head_trie = &mut self.trie;
        let unwound = self.storage.unwind(to, |unwound, view| -> Result<_, ImportError> {
            let header = view.header(to)?.unwrap_or_default();
            let source = SnapshotSource(&snapshot);
            head_trie.go_back(source, source::undone(unwound), header.state_root)
        });
        // What lies in memory of a trie that was not written has nothing under it.
        if unwound.is_err() {
            self.trie.forget();
        }
        self.known.truncate(to);
        self.head = stored_head(&self.storage, &self.known)?;
        unwound.map(drop)
    }

    /// Lets go of what was kept for blocks beside the chain.
    pub(super) fn leave_fork(&mut self) {
        self.fork = None;
    }

    fn tools<'a>(&'a self, engine: &'a Engine) -> Tools<'a> {
        Tools {
            engine,
            storage: &self.storage,
            codes: &self.codes,
            storage_only: &self.storage_only,
            trie: &self.trie_config,
            tally: &self.tally,
        }
    }
}

pub(super) fn senders(txs: &[Tx]) -> Vec<Address> {
    txs.iter().map(|tx| tx.tx.signer()).collect()
}

/// Checks header, ommers and body against the nearest ancestors, the parent first.
fn check_block(
    rules: &Rules,
    block: &Block<EthTransaction>,
    lineage: &[Arc<Node>],
) -> Result<Vec<Tx>, InvalidBlock> {
    check_without_senders(rules, block, lineage)?;
    let total = lineage.first().map_or(U256::ZERO, |parent| parent.total_difficulty);
    body::recover(rules.for_child(total), block)
}

pub(super) fn check_without_senders(
    rules: &Rules,
    block: &Block<EthTransaction>,
    lineage: &[Arc<Node>],
) -> Result<(), InvalidBlock> {
    let Some(parent) = lineage.first() else {
        return Err(InvalidBlock::new(Reason::UnknownParent, block.header.parent_hash));
    };
    let of_block = rules.for_child(parent.total_difficulty);
    header::check(of_block, &block.header, &parent.header)?;
    ommers::check(rules, of_block.merged, &block.body.ommers, &known::ancestors(lineage))?;
    body::check(of_block, block, block.length())
}

/// Readers for an execution with the engine and a root besides.
pub(super) fn readers(engine: &Engine, trie: &TrieConfig) -> usize {
    engine.threads() + trie.threads.max(1) + 1
}

fn stored_head(storage: &Storage, known: &Known) -> Result<Arc<Node>, StorageError> {
    let head = storage.head();
    known.find(storage, &head.hash)?.ok_or_else(|| StorageError::Inconsistent {
        table: Table::Headers,
        key: Bytes::copy_from_slice(&head.number.to_be_bytes()),
        problem: "the head is missing",
    })
}
