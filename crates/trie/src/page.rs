//! A small subtrie as an array of leaves in key order.
//!
//! The branches between the leaves are not objects: they follow from the keys. Only their hashes
//! are kept, in the order in which a walk meets them, so that a changed value costs hashing its
//! own path and nothing else.

use crate::{
    encode::{self, NodeRef},
    error::TrieError,
    pass::{Pass, Scratch},
    path::{common_nibbles, nibble},
    source::TrieSource,
    tree::{Keep, Kind, Outcome},
};
use alloy_primitives::B256;

/// Above this many insertions and deletions the array is built anew.
const FEW_EDITS: usize = 4;

/// One key and its value.
pub(crate) struct Leaf<V> {
    pub(crate) key: B256,
    pub(crate) value: V,
    /// The leaf's node where it hangs at `depth`; empty after a change.
    node: NodeRef,
    depth: u8,
}

impl<V> Leaf<V> {
    pub(crate) const fn new(key: B256, value: V) -> Self {
        Self { key, value, node: NodeRef::EMPTY, depth: 0 }
    }

    pub(crate) const fn mark_stale(&mut self) {
        self.node = NodeRef::EMPTY;
    }
}

/// The topmost branch of a subtrie with at least two leaves.
#[derive(Clone, Copy)]
pub(crate) struct Top {
    /// Nibbles that all keys share.
    pub(crate) depth: usize,
    /// The branch.
    pub(crate) node: NodeRef,
    /// A key that begins with the shared nibbles.
    pub(crate) key: B256,
}

/// A subtrie with fewer leaves than the page limit.
pub(crate) struct Page<K: Kind> {
    pub(crate) leaves: Vec<Leaf<K::Value>>,
    /// Branches, and extensions below branches, in the order of a depth-first walk that ends with
    /// the topmost branch.
    nodes: Vec<NodeRef>,
    /// The keys are others than those that `nodes` is about.
    reshaped: bool,
    /// Some leaves cannot be hashed before the final pass.
    pub(crate) open: bool,
    /// The last pass that came through.
    pub(crate) used: u64,
    /// The last pass that changed something.
    pub(crate) changed: u64,
}

impl<K: Kind> Page<K> {
    /// Leaves in ascending order of their keys.
    pub(crate) const fn new(leaves: Vec<Leaf<K::Value>>) -> Self {
        Self { leaves, nodes: Vec::new(), reshaped: true, open: false, used: 0, changed: 0 }
    }

    /// Reads something of every part.
    pub(crate) fn glance(&self) -> u8 {
        let keys = self.leaves.iter().step_by(2).fold(0, |seen, leaf| seen ^ leaf.key[0]);
        keys ^ self.nodes.first().map_or(0, |node| node.as_slice().len() as u8)
    }

    /// Applies changes in ascending order of their keys. After an error, applying them again
    /// completes what was begun.
    pub(crate) fn apply<S: TrieSource>(
        &mut self,
        pass: &Pass<'_, S>,
        changes: &[K::Change],
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        let mut edits: Vec<(usize, Option<Leaf<K::Value>>)> = Vec::new();
        let mut from = 0;
        for change in changes {
            let key = K::key(change);
            let found = self.leaves[from..].binary_search_by(|leaf| leaf.key.cmp(key));
            let (at, old) = match found {
                Ok(at) => (from + at, Some(&mut self.leaves[from + at].value)),
                Err(at) => (from + at, None),
            };
            from = at;
            match K::apply(pass, old, change, scratch)? {
                Outcome::Unchanged => {}
                Outcome::Changed { open } => {
                    self.leaves[at].mark_stale();
                    self.open |= open;
                }
                Outcome::Insert { value, open } => {
                    edits.push((at, Some(Leaf::new(*key, value))));
                    self.open |= open;
                }
                Outcome::Remove => edits.push((at, None)),
            }
        }
        if !edits.is_empty() {
            self.reshape(edits, pass);
        }
        Ok(())
    }

    /// Inserts before, or removes at, positions in ascending order.
    fn reshape<S: TrieSource>(
        &mut self,
        edits: Vec<(usize, Option<Leaf<K::Value>>)>,
        pass: &Pass<'_, S>,
    ) {
        self.reshaped = true;
        if edits.len() <= FEW_EDITS {
            for (at, leaf) in edits.into_iter().rev() {
                match leaf {
                    Some(leaf) => {
                        pass.grew(size_of::<Leaf<K::Value>>());
                        self.leaves.insert(at, leaf);
                    }
                    None => drop(self.leaves.remove(at)),
                }
            }
            return;
        }
        pass.grew(size_of::<Leaf<K::Value>>() * edits.len());
        let mut leaves = Vec::with_capacity(self.leaves.len() + edits.len());
        let mut edits = edits.into_iter().peekable();
        for (at, old) in std::mem::take(&mut self.leaves).into_iter().enumerate() {
            let mut removed = false;
            while let Some((_, edit)) = edits.next_if(|(position, _)| *position == at) {
                removed |= edit.is_none();
                leaves.extend(edit);
            }
            if !removed {
                leaves.push(old);
            }
        }
        leaves.extend(edits.filter_map(|(_, leaf)| leaf));
        self.leaves = leaves;
    }

    /// Finishes leaves that earlier passes left open.
    pub(crate) fn settle<S: TrieSource>(
        &mut self,
        pass: &Pass<'_, S>,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        for leaf in &mut self.leaves {
            if K::settle(pass, &leaf.key, &mut leaf.value, scratch)? {
                leaf.mark_stale();
            }
        }
        self.open = false;
        Ok(())
    }

    /// The subtrie's node, seen from `depth`. Hashes what changed.
    pub(crate) fn node(&mut self, depth: usize, scratch: &mut Scratch) -> NodeRef {
        if let Some(top) = self.top(scratch) {
            return encode::skip_to(&top.key, depth, top.depth, top.node, &mut scratch.rlp);
        }
        match self.leaves.first_mut() {
            Some(leaf) => leaf_node::<K>(leaf, depth, scratch).0,
            None => NodeRef::EMPTY,
        }
    }

    /// The topmost branch; `None` if there are fewer than two leaves.
    pub(crate) fn top(&mut self, scratch: &mut Scratch) -> Option<Top> {
        let (first, last) = (self.leaves.first()?.key, self.leaves.last()?.key);
        if self.leaves.len() < 2 {
            self.nodes.clear();
            self.reshaped = false;
            return None;
        }
        if self.reshaped {
            self.nodes.clear();
        }
        let depth = common_nibbles(&first, &last);
        let mut walk = Walk { nodes: &mut self.nodes, next: 0, reshaped: self.reshaped, scratch };
        let (node, _) = walk.branch::<K>(&mut self.leaves, depth);
        self.reshaped = false;
        Some(Top { depth, node, key: first })
    }

    /// See [`Slot::shrink`](crate::tree::Slot::shrink): the bytes of what is left.
    pub(crate) fn shrink_leaves(&mut self, keep: Option<Keep>) -> usize {
        let values: usize =
            self.leaves.iter_mut().map(|leaf| K::shrink(&mut leaf.value, keep)).sum();
        values
            + self.leaves.capacity() * size_of::<Leaf<K::Value>>()
            + self.nodes.capacity() * size_of::<NodeRef>()
    }
}

/// The node of a leaf at `depth`, and whether it had to be hashed.
fn leaf_node<K: Kind>(
    leaf: &mut Leaf<K::Value>,
    depth: usize,
    scratch: &mut Scratch,
) -> (NodeRef, bool) {
    if !leaf.node.is_empty() && usize::from(leaf.depth) == depth {
        return (leaf.node, false);
    }
    encode_leaf::<K>(leaf, depth, scratch);
    leaf.node = NodeRef::to(&scratch.rlp);
    leaf.depth = depth as u8;
    (leaf.node, true)
}

/// Leaves the RLP of a leaf at `depth` in `scratch.rlp`.
pub(crate) fn encode_leaf<K: Kind>(leaf: &Leaf<K::Value>, depth: usize, scratch: &mut Scratch) {
    scratch.value.clear();
    K::encode(&leaf.value, &mut scratch.value);
    encode::leaf(&leaf.key, depth, &scratch.value, &mut scratch.rlp);
}

/// Where the run of leaves with the same nibble at `depth` as the first one ends.
pub(crate) fn run<V>(leaves: &[Leaf<V>], depth: usize) -> (usize, usize) {
    let Some(first) = leaves.first() else { return (0, 0) };
    let own = nibble(&first.key, depth);
    let differs = leaves.iter().position(|leaf| nibble(&leaf.key, depth) != own);
    (own, differs.unwrap_or(leaves.len()))
}

/// A depth-first walk over the branches of a page.
struct Walk<'a> {
    nodes: &'a mut Vec<NodeRef>,
    next: usize,
    reshaped: bool,
    scratch: &'a mut Scratch,
}

impl Walk<'_> {
    /// The branch at `depth` over at least two leaves, and whether it changed.
    fn branch<K: Kind>(&mut self, leaves: &mut [Leaf<K::Value>], depth: usize) -> (NodeRef, bool) {
        let mut children = [NodeRef::EMPTY; 16];
        let mut changed = self.reshaped;
        let mut rest = leaves;
        while !rest.is_empty() {
            let (nibble, end) = run(rest, depth);
            let (group, after) = rest.split_at_mut(end);
            let child = self.child::<K>(group, depth + 1);
            children[nibble] = child.0;
            changed |= child.1;
            rest = after;
        }
        let node = self.keep(changed, |out| {
            encode::branch(children.iter(), out);
            NodeRef::to(out)
        });
        (node, changed)
    }

    /// The node of a group of leaves below a branch.
    fn child<K: Kind>(&mut self, leaves: &mut [Leaf<K::Value>], depth: usize) -> (NodeRef, bool) {
        let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
            return (NodeRef::EMPTY, false);
        };
        let (key, shared) = (first.key, common_nibbles(&first.key, &last.key));
        if let [leaf] = leaves {
            return leaf_node::<K>(leaf, depth, self.scratch);
        }
        let (branch, changed) = self.branch::<K>(leaves, shared);
        if shared == depth {
            return (branch, changed);
        }
        let node = self.keep(changed, |out| encode::skip_to(&key, depth, shared, branch, out));
        (node, changed)
    }

    /// The next kept node, hashed again if it changed.
    fn keep(&mut self, changed: bool, hash: impl FnOnce(&mut Vec<u8>) -> NodeRef) -> NodeRef {
        let known = self.nodes.get_mut(self.next);
        self.next += 1;
        match known {
            Some(node) if !changed => *node,
            Some(node) => {
                *node = hash(&mut self.scratch.rlp);
                *node
            }
            None => {
                let node = hash(&mut self.scratch.rlp);
                self.nodes.push(node);
                node
            }
        }
    }
}
