//! The shape of a trie in memory: inner nodes above pages of leaves.
//!
//! A prefix with at least as many leaves as the page limit is an [`Inner`] node with sixteen
//! [`Slot`]s, and is stored as a [record](crate::record). Anything smaller is a
//! [`Page`](crate::page::Page): its leaves in key order, which are read from the flat state. Which
//! prefixes are inner nodes follows from the keys alone, so equal states have equal records,
//! whatever led to them.
//!
//! This is not yet the Merkle-Patricia shape, which knows extensions and leaves at any depth: it
//! is derived when hashing. An inner node with one child only, for instance, has no node of its
//! own; it lengthens the extension above its child.

use crate::{
    encode::NodeRef,
    error::{Location, SourceError, TrieError},
    page::Page,
    pass::{Pass, Scratch},
    path::{KEY_NIBBLES, Path, nibble},
    source::{TrieReader, TrieSource},
};
use alloy_primitives::B256;
use std::fmt;

/// What distinguishes the account trie from storage tries: where the data is, and what a leaf is.
pub(crate) trait Kind: Sized + Send + Sync + 'static {
    /// Which trie of its kind.
    type Scope: Copy + Send + Sync;
    /// What a leaf holds, not encoded.
    type Value: Send + Sync;
    /// What is to become of one key.
    type Change: Send + Sync;

    /// The account whose storage trie this is.
    fn storage_of(scope: Self::Scope) -> Option<B256>;

    /// The key concerned.
    fn key(change: &Self::Change) -> &B256;

    /// Reads the record at `path`.
    fn read_node(
        reader: &mut impl TrieReader,
        scope: Self::Scope,
        path: Path,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError>;

    /// Visits leaves from `from` on.
    fn read_leaves(
        reader: &mut impl TrieReader,
        scope: Self::Scope,
        from: B256,
        visit: &mut dyn FnMut(B256, Self::Value) -> bool,
    ) -> Result<(), SourceError>;

    /// Appends the value as it stands in the leaf.
    fn encode(value: &Self::Value, out: &mut Vec<u8>);

    /// Applies a change to a leaf, if there is one.
    fn apply<S: TrieSource>(
        pass: &Pass<'_, S>,
        old: Option<&mut Self::Value>,
        change: &Self::Change,
        scratch: &mut Scratch,
    ) -> Result<Outcome<Self::Value>, TrieError>;

    /// Finishes what [`Self::apply`] left open in earlier passes. True if the leaf changed.
    fn settle<S: TrieSource>(
        pass: &Pass<'_, S>,
        key: &B256,
        value: &mut Self::Value,
        scratch: &mut Scratch,
    ) -> Result<bool, TrieError>;

    /// Loads what applying the change will need beyond the leaf.
    fn prefetch<S: TrieSource>(
        pass: &Pass<'_, S>,
        old: Option<&mut Self::Value>,
        change: &Self::Change,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError>;

    /// Bytes that the value holds on the heap; with `keep`, after dropping what was not used
    /// since.
    fn shrink(value: &mut Self::Value, keep: Option<Keep>) -> usize;
}

/// What came of a change.
pub(crate) enum Outcome<V> {
    /// Nothing: the leaf is as it was, or still absent.
    Unchanged,
    /// The leaf was changed in place; `open` if it cannot be hashed before the final pass.
    Changed { open: bool },
    /// There is to be a leaf.
    Insert { value: V, open: bool },
    /// There is to be none.
    Remove,
}

/// What eviction leaves in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// Whatever was used in this pass or later.
    pub(crate) used_since: u64,
    /// Whatever changed after this pass: it is not stored yet.
    pub(crate) changed_after: u64,
}

impl Keep {
    pub(crate) const fn keeps(&self, used: u64, changed: u64) -> bool {
        used >= self.used_since || changed > self.changed_after
    }
}

/// A subtrie as its parent sees it.
pub(crate) struct Slot<K: Kind> {
    /// Number of leaves; [`UNKNOWN`] in a root that was not read yet.
    pub(crate) count: u64,
    /// Its node, unless `dirty`. Known even while the subtrie is not in memory.
    pub(crate) node: NodeRef,
    /// `node` is of before the changes.
    pub(crate) dirty: bool,
    /// What is in memory of it.
    pub(crate) child: Child<K>,
}

/// The count of a subtrie that has not been looked at.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// What is in memory of a subtrie.
pub(crate) enum Child<K: Kind> {
    /// Nothing; or there is nothing.
    Unloaded,
    /// All of it.
    Page(Box<Page<K>>),
    /// Its top.
    Inner(Box<Inner<K>>),
}

/// A prefix with many leaves.
pub(crate) struct Inner<K: Kind> {
    /// The subtries, by the next nibble.
    pub(crate) slots: [Slot<K>; 16],
    /// The last pass that came through.
    pub(crate) used: u64,
    /// The last pass that changed something below.
    pub(crate) changed: u64,
    /// The record has to be stored anew.
    pub(crate) unstored: bool,
}

impl<K: Kind> Default for Inner<K> {
    fn default() -> Self {
        let slots = std::array::from_fn(|_| Slot::empty());
        Self { slots, used: 0, changed: 0, unstored: false }
    }
}

impl<K: Kind> Inner<K> {
    /// Number of leaves.
    pub(crate) fn count(&self) -> u64 {
        self.slots.iter().fold(0, |sum, slot| sum.saturating_add(slot.count))
    }

    /// The only nibble that keys go on with, if there is just one.
    pub(crate) fn only_child(&self) -> Option<usize> {
        let mut present = (0..16).filter(|&nibble| self.slots[nibble].count > 0);
        let first = present.next();
        if present.next().is_none() { first } else { None }
    }
}

impl<K: Kind> Slot<K> {
    /// No leaves.
    pub(crate) const fn empty() -> Self {
        Self { count: 0, node: NodeRef::EMPTY, dirty: false, child: Child::Unloaded }
    }

    /// The root of a trie of which nothing but the root hash is known.
    pub(crate) fn root(root: B256) -> Self {
        let node = NodeRef::of_root(root);
        let count = if node.is_empty() { 0 } else { UNKNOWN };
        Self { count, node, dirty: false, child: Child::Unloaded }
    }

    /// The value of a key, if it is in memory.
    pub(crate) fn find(&mut self, key: &B256) -> Option<&mut K::Value> {
        let mut slot = self;
        for depth in 0..=KEY_NIBBLES {
            match &mut slot.child {
                Child::Unloaded => return None,
                Child::Inner(inner) => slot = inner.slots.get_mut(nibble(key, depth))?,
                Child::Page(page) => {
                    let at = page.leaves.binary_search_by(|leaf| leaf.key.cmp(key)).ok()?;
                    return page.leaves.get_mut(at).map(|leaf| &mut leaf.value);
                }
            }
        }
        None
    }

    /// Drops from memory what `keep` does not keep, and returns the bytes that are left on the
    /// heap.
    pub(crate) fn shrink(&mut self, keep: Option<Keep>) -> usize {
        let bytes = match &mut self.child {
            Child::Unloaded => return 0,
            Child::Page(page) => {
                let dispensable =
                    keep.is_some_and(|keep| !self.dirty && !keep.keeps(page.used, page.changed));
                if dispensable { 0 } else { size_of::<Page<K>>() + page.shrink_leaves(keep) }
            }
            Child::Inner(inner) => {
                let below: usize = inner.slots.iter_mut().map(|slot| slot.shrink(keep)).sum();
                let dispensable =
                    keep.is_some_and(|keep| !self.dirty && !keep.keeps(inner.used, inner.changed));
                if dispensable && below == 0 { 0 } else { size_of::<Inner<K>>() + below }
            }
        };
        if bytes == 0 {
            self.child = Child::Unloaded;
        }
        bytes
    }
}

impl<K: Kind> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirty = if self.dirty { " (stale)" } else { "" };
        write!(f, "{:?}{dirty}, {} leaves", self.node, self.count)
    }
}

impl<K: Kind> fmt::Debug for Inner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().filter(|slot| slot.count > 0)).finish()
    }
}

/// The place of a subtrie, for errors.
pub(crate) fn location<K: Kind>(scope: K::Scope, at: Path) -> Location {
    Location { storage_of: K::storage_of(scope), path: at.nibbles() }
}
