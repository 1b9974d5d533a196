//! Collecting the nodes on the way to keys.

use crate::{
    encode::{self, NodeRef},
    error::TrieError,
    page::{Leaf, encode_leaf, run},
    pass::{Pass, Scratch},
    path::{Path, common_nibbles, nibble},
    source::TrieSource,
    tree::{Child, Kind, Slot},
};
use alloy_primitives::{B256, Bytes};
use alloy_trie::Nibbles;
use std::collections::BTreeMap;

/// A key whose nodes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) key: B256,
    /// It is going to be removed. A branch that is then left with one child merges with it, so
    /// that child is wanted too.
    pub(crate) removed: bool,
}

/// Encoded nodes by path. A node shorter than a hash stands in its parent and is not listed.
pub(crate) type Nodes = BTreeMap<Nibbles, Bytes>;

/// What is wanted of a subtrie.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// The depth at which its node begins: above its own prefix where that has no node.
    from: usize,
    /// In ascending order; not all need be below its prefix.
    targets: &'a [Target],
    /// Its node, even without a target.
    node: bool,
}

impl<'a> Wanted<'a> {
    /// What is wanted of the child with this nibble of a branch at `depth`.
    fn below(targets: &'a [Target], depth: usize, own: usize) -> Self {
        let start = targets.partition_point(|target| nibble(&target.key, depth) < own);
        let end = targets.partition_point(|target| nibble(&target.key, depth) <= own);
        Self { from: depth + 1, targets: &targets[start..end], node: false }
    }

    /// The targets that share the first `depth` nibbles with `key`.
    fn through(&self, key: &B256, depth: usize) -> &'a [Target] {
        let mut targets = self.targets;
        while let [first, rest @ ..] = targets
            && common_nibbles(&first.key, key) < depth
        {
            targets = rest;
        }
        while let [rest @ .., last] = targets
            && common_nibbles(&last.key, key) < depth
        {
            targets = rest;
        }
        targets
    }

    const fn any(&self) -> bool {
        self.node || !self.targets.is_empty()
    }
}

impl<S: TrieSource> Pass<'_, S> {
    /// Collects the nodes on the way to `targets`, which are in ascending order, in a trie that is
    /// up to date.
    pub(crate) fn prove<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        targets: &[Target],
        scratch: &mut Scratch,
    ) -> Result<Nodes, TrieError> {
        let mut nodes = Nodes::new();
        let wanted = Wanted { from: 0, targets, node: false };
        self.collect(scope, slot, Path::ROOT, wanted, &mut nodes, scratch)?;
        Ok(nodes)
    }

    /// Collects what is wanted of a subtrie. False if nothing is left of it after the removals.
    fn collect<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        wanted: Wanted<'_>,
        nodes: &mut Nodes,
        scratch: &mut Scratch,
    ) -> Result<bool, TrieError> {
        if !wanted.any() {
            return Ok(slot.count > 0);
        }
        self.load(scope, slot, at, scratch)?;
        let inner = match &mut slot.child {
            Child::Unloaded => return Ok(false),
            Child::Page(page) => {
                return Ok(collect_leaves::<K>(&page.leaves, wanted, nodes, scratch).1);
            }
            Child::Inner(inner) => inner,
        };
        if let Some(only) = inner.only_child() {
            // No node here: the way goes on.
            let child = &mut inner.slots[only];
            return self.collect(scope, child, at.child(only), wanted, nodes, scratch);
        }
        let (key, depth) = (at.first_key(), at.depth());
        let through = wanted.through(&key, depth);
        if depth > wanted.from {
            encode::extension(&key, wanted.from, depth, &slot.node, &mut scratch.rlp);
            add(&key, wanted.from, nodes, scratch);
        }
        if !through.is_empty() || depth == wanted.from {
            encode::branch(inner.slots.iter().map(|slot| &slot.node), &mut scratch.rlp);
            add(&key, depth, nodes, scratch);
        }
        let mut left = Vec::new();
        for (nibble, child) in inner.slots.iter_mut().enumerate() {
            let wanted = Wanted::below(through, depth, nibble);
            if self.collect(scope, child, at.child(nibble), wanted, nodes, scratch)? {
                left.push(nibble);
            }
        }
        if let ([only], false) = (&left[..], through.is_empty()) {
            let wanted = Wanted { node: true, ..Wanted::below(through, depth, *only) };
            let child = &mut inner.slots[*only];
            self.collect(scope, child, at.child(*only), wanted, nodes, scratch)?;
        }
        Ok(!left.is_empty())
    }
}

/// Collects what is wanted of the leaves of a page or a part of it. Returns their node, and false
/// if nothing is left of them after the removals.
fn collect_leaves<K: Kind>(
    leaves: &[Leaf<K::Value>],
    wanted: Wanted<'_>,
    nodes: &mut Nodes,
    scratch: &mut Scratch,
) -> (NodeRef, bool) {
    let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
        return (NodeRef::EMPTY, false);
    };
    let key = first.key;
    if let [leaf] = leaves {
        encode_leaf::<K>(leaf, wanted.from, scratch);
        let node = NodeRef::to(&scratch.rlp);
        if wanted.any() {
            add(&key, wanted.from, nodes, scratch);
        }
        let removed = wanted.targets.iter().any(|target| target.removed && target.key == key);
        return (node, !removed);
    }
    let depth = common_nibbles(&key, &last.key);
    let through = wanted.through(&key, depth);
    let mut children = [NodeRef::EMPTY; 16];
    let mut left = Vec::new();
    let mut rest = leaves;
    while !rest.is_empty() {
        let (nibble, end) = run(rest, depth);
        let (group, after) = rest.split_at(end);
        let below = Wanted::below(through, depth, nibble);
        let (node, is_left) = collect_leaves::<K>(group, below, nodes, scratch);
        children[nibble] = node;
        if is_left {
            left.push((nibble, group));
        }
        rest = after;
    }
    if let ([(nibble, group)], false) = (&left[..], through.is_empty()) {
        let below = Wanted { node: true, ..Wanted::below(through, depth, *nibble) };
        collect_leaves::<K>(group, below, nodes, scratch);
    }
    encode::branch(children.iter(), &mut scratch.rlp);
    let branch = NodeRef::to(&scratch.rlp);
    if !through.is_empty() || (wanted.node && depth == wanted.from) {
        add(&key, depth, nodes, scratch);
    }
    if depth == wanted.from {
        return (branch, !left.is_empty());
    }
    encode::extension(&key, wanted.from, depth, &branch, &mut scratch.rlp);
    if wanted.any() {
        add(&key, wanted.from, nodes, scratch);
    }
    (NodeRef::to(&scratch.rlp), !left.is_empty())
}

/// Adds the node in `scratch.rlp`, which begins at `depth` on the way to `key`.
fn add(key: &B256, depth: usize, nodes: &mut Nodes, scratch: &Scratch) {
    if scratch.rlp.len() >= 32 || depth == 0 {
        let path = Nibbles::unpack(key).slice(..depth);
        nodes.entry(path).or_insert_with(|| Bytes::copy_from_slice(&scratch.rlp));
    }
}
