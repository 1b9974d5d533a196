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
    plan::{Place, Plan, Planned, Promise, Target},
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
        let (mut node, mut dirty) = (NodeRef::EMPTY, true);
        let mut plan = Plan::new(std::mem::take(&mut scratch.planned));
        plan.page(self, Place { node: &mut node, dirty: &mut dirty }, depth);
        scratch.planned = plan.finish();
        node
    }

    /// Plans the hashing of what changed, as the page number `page` of a plan.
    pub(crate) fn plan(&mut self, page: u32, depth: usize, nodes: &mut Planned) -> PlannedTop {
        let shared = match (self.leaves.first(), self.leaves.last()) {
            (Some(first), Some(last)) => common_nibbles(&first.key, &last.key),
            _ => return PlannedTop { node: Promise::NOTHING, extension: None },
        };
        if let [leaf] = &mut self.leaves[..] {
            self.nodes.clear();
            let (node, _) = plan_leaf::<K>(leaf, depth, nodes, Target::Leaf { page, leaf: 0 });
            return PlannedTop { node, extension: None };
        }
        if self.reshaped {
            self.nodes.clear();
        }
        let key = self.leaves[0].key;
        let kept = &mut self.nodes;
        let mut walk = Walk { kept, next: 0, reshaped: self.reshaped, page, nodes };
        let (node, _) = walk.branch::<K>(&mut self.leaves, 0, shared);
        PlannedTop { node, extension: (shared != depth).then_some((key, shared)) }
    }

    pub(crate) fn set_leaf(&mut self, leaf: u32, node: NodeRef) {
        self.leaves[leaf as usize].node = node;
    }

    pub(crate) fn set_node(&mut self, at: u32, node: NodeRef) {
        self.nodes[at as usize] = node;
    }

    /// Everything that was planned is hashed.
    pub(crate) const fn planned_is_done(&mut self) {
        self.reshaped = false;
    }

    /// The topmost branch, or the only leaf, of a page that is up to date.
    pub(crate) fn topmost(&self) -> NodeRef {
        match (&self.leaves[..], self.nodes.last()) {
            ([], _) => NodeRef::EMPTY,
            ([leaf], _) => leaf.node,
            (_, top) => top.copied().unwrap_or(NodeRef::EMPTY),
        }
    }

    /// The topmost branch of a page that is up to date; `None` if there are fewer than two leaves.
    pub(crate) fn top(&self) -> Option<Top> {
        let (first, last) = (self.leaves.first()?.key, self.leaves.last()?.key);
        let depth = common_nibbles(&first, &last);
        (self.leaves.len() > 1).then(|| Top { depth, node: self.topmost(), key: first })
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

/// The top of a page in a plan.
pub(crate) struct PlannedTop {
    /// The topmost branch, or the only leaf as it hangs in the parent.
    pub(crate) node: Promise,
    /// A key below the branch and its depth, where an extension leads there.
    pub(crate) extension: Option<(B256, usize)>,
}

/// The node of a leaf at `depth`, and whether it has to be hashed.
fn plan_leaf<K: Kind>(
    leaf: &mut Leaf<K::Value>,
    depth: usize,
    nodes: &mut Planned,
    target: Target,
) -> (Promise, bool) {
    if !leaf.node.is_empty() && usize::from(leaf.depth) == depth {
        return (Promise::Known(leaf.node), false);
    }
    // Stale until it is hashed.
    leaf.node = NodeRef::EMPTY;
    leaf.depth = depth as u8;
    let node = nodes.leaf::<K>(&leaf.key, depth, &leaf.value, target);
    if let Promise::Known(known) = node {
        leaf.node = known;
    }
    (node, true)
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
    kept: &'a mut Vec<NodeRef>,
    next: usize,
    reshaped: bool,
    page: u32,
    nodes: &'a mut Planned,
}

impl Walk<'_> {
    /// The branch at `depth` over at least two leaves, the first of which has this index, and
    /// whether it changes.
    fn branch<K: Kind>(
        &mut self,
        leaves: &mut [Leaf<K::Value>],
        first: usize,
        depth: usize,
    ) -> (Promise, bool) {
        let mut children = [Promise::NOTHING; 16];
        let mut changed = self.reshaped;
        let (mut rest, mut at) = (leaves, first);
        while !rest.is_empty() {
            let (nibble, end) = run(rest, depth);
            let (group, after) = rest.split_at_mut(end);
            let child = self.child::<K>(group, at, depth + 1);
            children[nibble] = child.0;
            changed |= child.1;
            (rest, at) = (after, at + end);
        }
        (self.keep(changed, |nodes, target| nodes.branch(&children, target)), changed)
    }

    /// The node of a group of leaves below a branch.
    fn child<K: Kind>(
        &mut self,
        leaves: &mut [Leaf<K::Value>],
        first: usize,
        depth: usize,
    ) -> (Promise, bool) {
        let (key, shared) = match leaves {
            [] => return (Promise::NOTHING, false),
            [leaf] => {
                let target = Target::Leaf { page: self.page, leaf: first as u32 };
                return plan_leaf::<K>(leaf, depth, self.nodes, target);
            }
            [start, .., end] => (start.key, common_nibbles(&start.key, &end.key)),
        };
        let (branch, changed) = self.branch::<K>(leaves, first, shared);
        if shared == depth {
            return (branch, changed);
        }
        let extension =
            |nodes: &mut Planned, target| nodes.extension(&key, (depth, shared), branch, target);
        (self.keep(changed, extension), changed)
    }

    /// The next kept node, planned anew if it changes.
    fn keep(
        &mut self,
        changed: bool,
        plan: impl FnOnce(&mut Planned, Target) -> Promise,
    ) -> Promise {
        let at = self.next;
        self.next += 1;
        if !changed && let Some(node) = self.kept.get(at) {
            return Promise::Known(*node);
        }
        if self.kept.len() <= at {
            self.kept.push(NodeRef::EMPTY);
        }
        let promise = plan(self.nodes, Target::Node { page: self.page, node: at as u32 });
        if let Promise::Known(node) = promise {
            self.kept[at] = node;
        }
        promise
    }
}
