//! One walk over the tries: loading, applying changes, hashing.

use crate::{
    encode::{self, NodeRef},
    error::TrieError,
    page::{Leaf, Page, Top},
    path::{Path, nibble},
    plan::{Place, Plan, Planned, Promise},
    source::{FlatAccount, TrieSource},
    tree::{Child, Inner, Kind, Slot, location},
};
use alloy_primitives::B256;
use rayon::prelude::*;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// As many changes below a node are worth handing its subtries to several threads.
const WORTH_SPLITTING: usize = 128;

/// From this many changes below a node on, what is stale there is hashed at once: enough to fill
/// the lanes of a vector unit, and few enough that all of it is still in the cache.
const HASHED_TOGETHER: usize = 32;

/// The same in leaves, where it is not known any more what changed.
const LEAVES_HASHED_TOGETHER: u64 = 512;

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Load what the changes concern.
    Load,
    /// Apply them and hash the pages.
    Pages,
    /// Hash everything.
    Root,
}

/// What a pass needs to know, shared by its threads.
pub(crate) struct Pass<'a, S: TrieSource> {
    source: &'a S,
    readers: Mutex<Vec<S::Reader<'a>>>,
    pub(crate) extent: Extent,
    pub(crate) page_limit: u64,
    /// Passes of the same block have the same number.
    pub(crate) tick: u64,
    parallel: bool,
    log: Mutex<Log>,
    grown: AtomicUsize,
    /// Buffers that nobody uses just now.
    planned: Mutex<Vec<Planned>>,
}

/// What is to be written as a result, in the order of events. Later entries for the same account
/// overrule earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Flat accounts; `None` where one was removed.
    pub(crate) accounts: Vec<(B256, Option<FlatAccount>)>,
    /// Records to be deleted, unless stored again.
    pub(crate) removed: Vec<(Option<B256>, Path)>,
    /// Accounts all of whose storage records are to be deleted first.
    pub(crate) wiped: Vec<B256>,
    /// Accounts with storage records that may have to be stored.
    pub(crate) storages: Vec<B256>,
}

impl Log {
    pub(crate) fn append(&mut self, later: &mut Self) {
        if self.accounts.is_empty() {
            // Usually there is one list only, and a long one.
            std::mem::swap(&mut self.accounts, &mut later.accounts);
        }
        self.accounts.append(&mut later.accounts);
        self.removed.append(&mut later.removed);
        self.wiped.append(&mut later.wiped);
        self.storages.append(&mut later.storages);
    }

    /// Forgets accounts, in ascending order of their keys, that are as they were before. Nodes of
    /// their storage may be others in memory, so these stay.
    pub(crate) fn forget(&mut self, accounts: &[B256]) {
        if !accounts.is_empty() {
            self.accounts.retain(|(account, _)| accounts.binary_search(account).is_err());
            self.wiped.retain(|account| accounts.binary_search(account).is_err());
        }
    }
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The node being encoded.
    pub(crate) rlp: Vec<u8>,
    /// The value being encoded.
    pub(crate) value: Vec<u8>,
    /// What the nodes of a single page are planned in.
    pub(crate) planned: Planned,
    /// What this thread found has to be written.
    pub(crate) log: Log,
}

impl<'a, S: TrieSource> Pass<'a, S> {
    pub(crate) const fn new(
        source: &'a S,
        extent: Extent,
        page_limit: u64,
        tick: u64,
        parallel: bool,
        planned: Vec<Planned>,
    ) -> Self {
        Self {
            source,
            readers: Mutex::new(Vec::new()),
            extent,
            page_limit,
            tick,
            parallel,
            log: Mutex::new(Log {
                accounts: Vec::new(),
                removed: Vec::new(),
                wiped: Vec::new(),
                storages: Vec::new(),
            }),
            grown: AtomicUsize::new(0),
            planned: Mutex::new(planned),
        }
    }

    /// What was logged, by how many bytes the memory grew, and buffers for the next pass.
    pub(crate) fn finish(self, scratch: &mut Scratch) -> (Log, usize, Vec<Planned>) {
        let mut log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        log.append(&mut scratch.log);
        let planned = self.planned.into_inner().unwrap_or_else(PoisonError::into_inner);
        (log, self.grown.into_inner(), planned)
    }

    pub(crate) fn grew(&self, bytes: usize) {
        self.grown.fetch_add(bytes, Relaxed);
    }

    /// Runs `read` on a reader that no other thread uses meanwhile.
    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&mut S::Reader<'a>) -> Result<T, TrieError>,
    ) -> Result<T, TrieError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.source.open().map_err(TrieError::Open)?,
        };
        let result = read(&mut reader);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        result
    }

    /// Brings a subtrie up to date with `changes`, which are in ascending order of their keys and
    /// all below `at`. After an error, calling again with the same or later changes completes
    /// what was begun: every slot on the way is marked stale first.
    pub(crate) fn update<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        changes: &[K::Change],
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let final_pass = self.extent == Extent::Root;
        if changes.is_empty() && !(slot.dirty && final_pass) {
            return Ok(());
        }
        self.load(scope, slot, at, scratch)?;
        if self.extent == Extent::Load {
            return self.prefetch(scope, slot, at, changes, scratch);
        }
        slot.dirty = true;
        self.apply(scope, slot, at, changes, scratch)?;
        let many = changes.len() >= HASHED_TOGETHER
            || (changes.is_empty() && slot.count >= LEAVES_HASHED_TOGETHER);
        if many || at == Path::ROOT { self.hash(scope, slot, at, scratch) } else { Ok(()) }
    }

    /// Applies changes, and leaves stale what they concern.
    fn apply<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        changes: &[K::Change],
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let mut split_here = false;
        if let Child::Page(page) = &mut slot.child {
            page.changed = self.tick;
            page.apply(self, changes, scratch)?;
            slot.count = page.leaves.len() as u64;
            if slot.count < self.page_limit {
                return Ok(());
            }
            let leaves = std::mem::take(&mut page.leaves);
            let open = page.open;
            self.split(slot, at, leaves, open);
            split_here = true;
        }
        let changes = if split_here { &[] } else { changes };
        let Child::Inner(inner) = &mut slot.child else { return Ok(()) };
        (inner.changed, inner.unstored) = (self.tick, true);
        self.update_children(scope, inner, at, changes, split_here, scratch)?;
        slot.count = inner.count();
        if slot.count < self.page_limit {
            self.merge(scope, slot, at, scratch)?;
            scratch.log.removed.push((K::storage_of(scope), at));
        }
        Ok(())
    }

    /// Hashes what is stale in a subtrie, unless it has to wait for the final pass.
    fn hash<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let spare = || self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers = spare().pop().unwrap_or_default();
        let mut plan = Plan::new(buffers);
        self.plan(scope, slot, at, &mut plan, scratch)?;
        let buffers = plan.finish();
        spare().push(buffers);
        Ok(())
    }

    /// Plans that.
    fn plan<'n, K: Kind>(
        &self,
        scope: K::Scope,
        slot: &'n mut Slot<K>,
        at: Path,
        plan: &mut Plan<'n, K>,
        scratch: &mut Scratch,
    ) -> Result<Promise, TrieError> {
        let Slot { node, dirty, child, .. } = slot;
        if !*dirty {
            return Ok(Promise::Known(*node));
        }
        let final_pass = self.extent == Extent::Root;
        match child {
            Child::Unloaded => Ok(Promise::Known(*node)),
            Child::Page(page) => {
                if page.open && !final_pass {
                    return Ok(Promise::Known(*node));
                }
                if page.open {
                    page.settle(self, scratch)?;
                }
                Ok(plan.page(page, Place { node, dirty }, at.depth()))
            }
            Child::Inner(inner) => {
                if let (true, Some(only)) = (final_pass, inner.only_child()) {
                    // Whose topmost branch has to be known first.
                    self.hash(scope, &mut inner.slots[only], at.child(only), scratch)?;
                    *node = self.inner_node(scope, inner, at, scratch)?;
                    *dirty = false;
                    return Ok(Promise::Known(*node));
                }
                let mut children = [Promise::NOTHING; 16];
                for (nibble, child) in inner.slots.iter_mut().enumerate() {
                    children[nibble] = self.plan(scope, child, at.child(nibble), plan, scratch)?;
                }
                match final_pass {
                    true => Ok(plan.inner(&children, Place { node, dirty })),
                    false => Ok(Promise::Known(*node)),
                }
            }
        }
    }

    fn update_children<K: Kind>(
        &self,
        scope: K::Scope,
        inner: &mut Inner<K>,
        at: Path,
        changes: &[K::Change],
        fresh: bool,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let bounds = bounds::<K>(changes, at.depth());
        let of = |nibble: usize| &changes[bounds[nibble]..bounds[nibble + 1]];
        if self.parallel && (fresh || changes.len() >= WORTH_SPLITTING) {
            let children = inner.slots.par_iter_mut().enumerate().with_max_len(1);
            return children.try_for_each(|(nibble, child)| {
                let mut scratch = Scratch::default();
                let result = self.update(scope, child, at.child(nibble), of(nibble), &mut scratch);
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                log.append(&mut scratch.log);
                result
            });
        }
        fetch_ahead(inner, &bounds);
        for (nibble, child) in inner.slots.iter_mut().enumerate() {
            self.update(scope, child, at.child(nibble), of(nibble), scratch)?;
        }
        Ok(())
    }

    /// Makes the leaves of a page that is too large the pages below a new inner node.
    fn split<K: Kind>(
        &self,
        slot: &mut Slot<K>,
        at: Path,
        leaves: Vec<Leaf<K::Value>>,
        open: bool,
    ) {
        slot.count = leaves.len() as u64;
        slot.dirty = true;
        if slot.count < self.page_limit {
            let mut page = Page::new(leaves);
            (page.used, page.changed, page.open) = (self.tick, self.tick, open);
            slot.child = Child::Page(Box::new(page));
            return;
        }
        let mut inner = Box::new(Inner::default());
        (inner.used, inner.changed, inner.unstored) = (self.tick, self.tick, true);
        self.grew(size_of::<Inner<K>>());
        let mut leaves = leaves.into_iter().peekable();
        while let Some(first) = leaves.peek() {
            let own = nibble(&first.key, at.depth());
            let mut group = Vec::new();
            while let Some(leaf) = leaves.next_if(|leaf| nibble(&leaf.key, at.depth()) == own) {
                group.push(leaf);
            }
            self.split(&mut inner.slots[own], at.child(own), group, open);
        }
        slot.child = Child::Inner(inner);
    }

    /// Makes the pages below an inner node that is too small one page.
    fn merge<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let Child::Inner(inner) = &mut slot.child else { return Ok(()) };
        // Loading may fail, so nothing is moved before all of it is here.
        for (nibble, child) in inner.slots.iter_mut().enumerate() {
            self.load(scope, child, at.child(nibble), scratch)?;
        }
        let mut merged = Page::new(Vec::with_capacity(slot.count as usize));
        for child in &mut inner.slots {
            if let Child::Page(page) = std::mem::replace(&mut child.child, Child::Unloaded) {
                merged.open |= page.open;
                merged.leaves.extend(page.leaves);
            }
        }
        (merged.used, merged.changed) = (self.tick, self.tick);
        slot.child = Child::Page(Box::new(merged));
        Ok(())
    }

    /// The node of an inner node whose subtries are up to date.
    pub(crate) fn inner_node<K: Kind>(
        &self,
        scope: K::Scope,
        inner: &mut Inner<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<NodeRef, TrieError> {
        if let Some(only) = inner.only_child() {
            let top = self.top(scope, &mut inner.slots[only], at.child(only), scratch)?;
            let Some(Top { depth, node, key }) = top else { return Ok(NodeRef::EMPTY) };
            return Ok(encode::skip_to(&key, at.depth(), depth, node, &mut scratch.rlp));
        }
        encode::branch(inner.slots.iter().map(|slot| &slot.node), &mut scratch.rlp);
        Ok(NodeRef::to(&scratch.rlp))
    }

    /// The topmost branch of a subtrie that is up to date; `None` if it has fewer than two leaves.
    pub(crate) fn top<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<Option<Top>, TrieError> {
        self.load(scope, slot, at, scratch)?;
        match &mut slot.child {
            Child::Unloaded => Ok(None),
            Child::Page(page) => Ok(page.top()),
            Child::Inner(inner) => match inner.only_child() {
                Some(only) => self.top(scope, &mut inner.slots[only], at.child(only), scratch),
                None => {
                    let key = at.first_key();
                    Ok(Some(Top { depth: at.depth(), node: slot.node, key }))
                }
            },
        }
    }

    /// Loads what the changes will need.
    fn prefetch<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        changes: &[K::Change],
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        match &mut slot.child {
            Child::Unloaded => Ok(()),
            Child::Inner(inner) => self.update_children(scope, inner, at, changes, false, scratch),
            Child::Page(page) => changes.iter().try_for_each(|change| {
                let key = K::key(change);
                let found = page.leaves.binary_search_by(|leaf| leaf.key.cmp(key));
                let old = found.ok().map(|at| &mut page.leaves[at].value);
                K::prefetch(self, old, change, scratch)
            }),
        }
    }

    /// Fails unless `found` is what the parent has.
    pub(crate) fn check<K: Kind>(
        scope: K::Scope,
        at: Path,
        expected: NodeRef,
        found: NodeRef,
    ) -> Result<(), TrieError> {
        if expected == found {
            return Ok(());
        }
        Err(TrieError::Hash {
            at: location::<K>(scope, at),
            expected: expected.as_slice().into(),
            found: found.as_slice().into(),
        })
    }
}

/// Looks into the pages that are about to change. They lie anywhere in memory; looked at one after
/// another, with nothing depending on what is seen, the waiting times overlap.
fn fetch_ahead<K: Kind>(inner: &Inner<K>, bounds: &[usize; 17]) {
    let mut seen = 0;
    for (nibble, slot) in inner.slots.iter().enumerate() {
        if let Child::Page(page) = &slot.child
            && bounds[nibble] < bounds[nibble + 1]
        {
            seen ^= page.glance();
        }
    }
    std::hint::black_box(seen);
}

/// Where the changes for each nibble at `depth` begin, and the end of the last.
fn bounds<K: Kind>(changes: &[K::Change], depth: usize) -> [usize; 17] {
    let mut bounds = [changes.len(); 17];
    bounds[0] = 0;
    let mut from = 0;
    for own in 0..16 {
        let rest = &changes[from..];
        let below = |change: &K::Change| nibble(K::key(change), depth) <= own;
        from += match rest.len() {
            0..=16 => rest.iter().take_while(|change| below(change)).count(),
            _ => rest.partition_point(below),
        };
        bounds[own + 1] = from;
    }
    bounds
}
