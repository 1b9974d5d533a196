//! The chain for those who only read: its head, its blocks, and the state after any of them.
//!
//! A view stays good while the chain goes on, and nobody who uses it waits for a block.

use super::{
    chain::StoredChain,
    changes::Begun,
    known::Beside,
    layer::Layer,
    source::{self, SnapshotSource},
    state::{CodeCache, StoredDb, StoredRoots, Tries},
};
use crate::{ImportError, Rules, before::Roots};
use alloy_consensus::Block;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::AddressMap};
use parking_lot::RwLock;
use std::{collections::BTreeMap, sync::Arc};
use warpline_executor::{EthTransaction, ParentState};
use warpline_storage::{BlockRef, Snapshot, Snapshots, StateReader, StorageError, StoredReceipt};
use warpline_trie::{AccountChange, MultiProof, TrieConfig};
use warpline_types::StateDiff;

/// What changes without a block.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// Changes on top of the head that the next block will make.
    pub(super) changes: Option<Arc<Layer>>,
    /// Such changes that blocks have made.
    pub(super) begun: Begun,
}

/// A valid block that is not in the chain, or not any more.
#[derive(Debug, Clone)]
pub struct SideBlock {
    /// The block.
    pub block: Block<EthTransaction>,
    /// Its receipts; none for a block that was in the chain once.
    pub receipts: Option<Vec<StoredReceipt>>,
}

/// Reads a chain that somebody else moves on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChainView {
    snapshots: Snapshots,
    beside: Beside,
    rules: Arc<Rules>,
    codes: Arc<CodeCache>,
    trie: TrieConfig,
    storage_only: Arc<AddressMap<U256>>,
    published: Arc<RwLock<Published>>,
}

impl StoredChain {
    /// A view of the chain for readers.
    pub fn view(&self) -> ChainView {
        ChainView {
            snapshots: self.storage.snapshots(),
            beside: self.known.beside(),
            rules: Arc::new(self.rules.clone()),
            codes: Arc::clone(&self.codes),
            trie: TrieConfig { threads: 1, ..self.trie_config.clone() },
            storage_only: Arc::clone(&self.storage_only),
            published: Arc::clone(&self.published),
        }
    }
}

impl ChainView {
    /// The head.
    pub fn head(&self) -> BlockRef {
        self.snapshots.head()
    }

    /// The last block that is in the file, which nothing takes any more but a power cut, and that
    /// only where commits do not wait for the disk.
    pub fn written(&self) -> BlockRef {
        self.snapshots.written_head()
    }

    /// The block that was called safe.
    pub fn safe(&self) -> Option<BlockRef> {
        self.snapshots.finality().safe
    }

    /// The block that was called finalized.
    pub fn finalized(&self) -> Option<BlockRef> {
        self.snapshots.finality().finalized
    }

    /// The rules of the chain.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The blocks of the chain as they are now, for those who need no state.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn blocks(&self) -> Result<Snapshot, StorageError> {
        self.snapshots.snapshot(1)
    }

    /// Whether a valid block is known that is not in the chain: one that came beside it or has
    /// left it in this process, and lies not far behind the head.
    pub fn is_beside(&self, hash: &B256) -> bool {
        self.beside.read().contains_key(hash)
    }

    /// Such a block. Its state is not kept.
    pub fn beside(&self, hash: &B256) -> Option<SideBlock> {
        let node = self.beside.read().get(hash).cloned()?;
        let aside = node.aside.as_ref()?;
        let receipts = aside.outcome.get().map(|outcome| outcome.receipts.clone());
        Some(SideBlock { block: aside.block.clone(), receipts })
    }

    /// The state after the head, with the changes that the next block begins with.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn latest(&self) -> Result<BlockState, StorageError> {
        self.latest_for(READERS)
    }

    /// The same for so many threads that read it at once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn latest_for(&self, threads: usize) -> Result<BlockState, StorageError> {
        Ok(self.state_of(self.snapshots.snapshot(threads)?))
    }

    /// The state after a block of the chain. That of the head as [`ChainView::latest`] has it.
    ///
    /// # Errors
    /// There is no such block, its state has been pruned, or the database cannot be read.
    pub fn at(&self, number: u64) -> Result<BlockState, StorageError> {
        Ok(self.state_of(self.snapshots.snapshot_at(number, READERS)?))
    }

    /// The state that a block of the chain was executed on: that after its parent, with the
    /// changes that it began with on a development chain, as long as they are remembered.
    ///
    /// # Errors
    /// As [`ChainView::at`] for the parent; the genesis block has none.
    pub fn before(&self, block: BlockRef) -> Result<BlockState, StorageError> {
        let unknown = StorageError::UnknownBlock { number: block.number, head: self.head() };
        let mut state = self.at(block.number.checked_sub(1).ok_or(unknown)?)?;
        let begun = self.published.read().begun.find(&block.hash);
        if let Some(changes) = begun.filter(|changes| changes.block == state.block()) {
            state.set_layers(vec![changes]);
        }
        Ok(state)
    }

    /// Whether a block began with changes that no transaction made, as far as it is remembered.
    pub fn began_with_changes(&self, block: &B256) -> bool {
        self.published.read().begun.find(block).is_some()
    }

    fn state_of(&self, snapshot: Snapshot) -> BlockState {
        let changes = self.published.read().changes.clone();
        let changes = changes.filter(|changes| changes.block == snapshot.block());
        BlockState { snapshot, layers: changes.into_iter().collect(), view: self.clone() }
    }
}

/// For the state itself, and for a walk through its tries.
const READERS: usize = 2;

/// The state after one block and the blocks up to it, for as long as it is kept. It keeps the
/// file from reusing what it sees: not to be kept for hours.
#[derive(Debug)]
pub struct BlockState {
    snapshot: Snapshot,
    layers: Vec<Arc<Layer>>,
    view: ChainView,
}

impl BlockState {
    /// The block of the chain whose state this is, or on top of which it lies.
    pub fn block(&self) -> BlockRef {
        self.snapshot.block()
    }

    /// Reads blocks up to this one, and hashed state without the changes of the next block.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn reader(&self) -> Result<StateReader<'_>, StorageError> {
        self.snapshot.reader()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.view.rules
    }

    pub(super) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    pub(super) fn set_layers(&mut self, layers: Vec<Arc<Layer>>) {
        self.layers = layers;
    }

    pub(super) fn storage_only_accounts(&self) -> Arc<AddressMap<U256>> {
        Arc::clone(&self.view.storage_only)
    }

    /// Computes roots of this state with changes on top.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn roots(&self) -> Result<BlockRoots, ImportError> {
        BlockRoots::new(self)
    }

    /// Proofs of accounts and slots (EIP-1186), by hashed address and hashed slots.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn prove(&self, targets: &[(Address, Vec<U256>)]) -> Result<MultiProof, ImportError> {
        let tries = BaseTries::new(self)?;
        let mut trie = tries.begin(self)?;
        let source = SnapshotSource(&tries.head);
        trie.root(&source)?;
        Ok(trie.prove(&source, hashed(targets))?)
    }

    /// The trie nodes by hash that an execution on this state needs which reads `reads` and
    /// makes `changes`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn witness(
        &self,
        reads: &[(Address, Vec<U256>)],
        changes: &StateDiff,
    ) -> Result<BTreeMap<B256, Bytes>, ImportError> {
        let tries = BaseTries::new(self)?;
        let mut trie = tries.begin(self)?;
        let source = SnapshotSource(&tries.head);
        trie.root(&source)?;
        let changes: Vec<_> = changes.accounts.iter().map(AccountChange::from_diff).collect();
        Ok(trie.witness(&source, hashed(reads), &changes)?)
    }
}

fn hashed(targets: &[(Address, Vec<U256>)]) -> Vec<(B256, Vec<B256>)> {
    let slot = |slot: &U256| keccak256(slot.to_be_bytes::<32>());
    let target = |(address, slots): &(Address, Vec<U256>)| {
        (keccak256(address), slots.iter().map(slot).collect())
    };
    targets.iter().map(target).collect()
}

impl ParentState for BlockState {
    type Db<'a>
        = StoredDb<'a>
    where
        Self: 'a;

    fn open(&self) -> StoredDb<'_> {
        StoredDb::new(&self.snapshot, &self.layers, &self.view.codes)
    }
}

/// A state that has trie nodes, and what leads from there.
#[derive(Debug)]
struct BaseTries {
    head: Snapshot,
    undo: Vec<AccountChange>,
}

impl BaseTries {
    fn new(state: &BlockState) -> Result<Self, ImportError> {
        let number = state.block().number;
        let snapshots = &state.view.snapshots;
        if !state.snapshot.is_past() {
            let head = snapshots.snapshot_at(number, READERS)?;
            if head.block() != state.block() {
                return Err(StorageError::SnapshotMovedOn {
                    block: state.block(),
                    readers: READERS,
                }
                .into());
            }
            if !head.is_past() {
                return Ok(Self { head, undo: Vec::new() });
            }
        }
        let head = snapshots.written(READERS)?;
        let undo = source::undone(&head.reader()?.unwound(number)?);
        Ok(Self { head, undo })
    }

    fn begin(&self, state: &BlockState) -> Result<warpline_trie::StateTrie, ImportError> {
        let tries = Tries { head: &self.head, undo: &self.undo, config: &state.view.trie };
        Ok(StoredRoots::new(&tries, &state.layers)?.into_trie())
    }
}

/// Roots of a state that changes are made to.
#[derive(Debug)]
pub struct BlockRoots {
    tries: BaseTries,
    trie: warpline_trie::StateTrie,
}

impl BlockRoots {
    fn new(state: &BlockState) -> Result<Self, ImportError> {
        let tries = BaseTries::new(state)?;
        let trie = tries.begin(state)?;
        Ok(Self { tries, trie })
    }

    /// The root after some more changes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        Roots::root_after(self, changes)
    }
}

impl Roots for BlockRoots {
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        self.trie.stage(changes.accounts.iter().map(AccountChange::from_diff));
        Ok(self.trie.root(&SnapshotSource(&self.tries.head))?.root)
    }
}
