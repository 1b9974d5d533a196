//! Hashing many nodes together.
//!
//! A walk over what changed encodes its nodes and leaves room in each for the hashes of those
//! below it; then all nodes of one height are hashed at once, from the leaves upwards, and every
//! hash goes to its place in the parent and to where it is kept. Until then everything stays
//! marked as stale, so that a walk that fails on the way leaves nothing behind.

use crate::{
    encode::{self, NodeRef},
    page::Page,
    tree::Kind,
};
use alloy_primitives::B256;
use warpline_keccak::{Levels, MessageId};

/// A node of the new trie.
#[derive(Clone, Copy)]
pub(crate) enum Promise {
    /// It is known.
    Known(NodeRef),
    /// Its hash will be.
    Hash(MessageId),
}

impl Promise {
    pub(crate) const NOTHING: Self = Self::Known(NodeRef::EMPTY);

    /// The node, or one of the same length.
    const fn placeholder(&self) -> NodeRef {
        match self {
            Self::Known(node) => *node,
            Self::Hash(_) => NodeRef::hash(B256::ZERO),
        }
    }

    /// Its height among the nodes to be hashed.
    fn above(&self) -> usize {
        match self {
            Self::Known(_) => 0,
            Self::Hash(id) => id.level() + 1,
        }
    }
}

/// Where a hash is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A leaf of a page.
    Leaf { page: u32, leaf: u32 },
    /// A branch or extension within a page.
    Node { page: u32, node: u32 },
    /// The whole of a page, as its parent sees it.
    Page(u32),
    /// An inner node, as its parent sees it.
    Inner(u32),
    /// Only in its parent.
    Nowhere,
}

/// The nodes to be hashed, and what their parts are encoded in.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    levels: Levels<Target>,
    rlp: Vec<u8>,
    value: Vec<u8>,
}

impl Planned {
    /// A leaf at `depth`.
    pub(crate) fn leaf<K: Kind>(
        &mut self,
        key: &B256,
        depth: usize,
        value: &K::Value,
        target: Target,
    ) -> Promise {
        self.value.clear();
        K::encode(value, &mut self.value);
        encode::leaf(key, depth, &self.value, &mut self.rlp);
        self.add(0, target)
    }

    /// A leaf with what is left of a short key, from a nibble up to the last.
    pub(crate) fn short_leaf(
        &mut self,
        key: &B256,
        (from, to): (usize, usize),
        value: &[u8],
    ) -> Promise {
        encode::short_leaf(key, from, to, value, &mut self.rlp);
        self.add(0, Target::Nowhere)
    }

    /// Hashes everything, for the node on top of it all.
    pub(crate) fn resolve(&mut self, top: Promise) -> NodeRef {
        let mut last = NodeRef::EMPTY;
        self.levels.hash(|_, hash| last = NodeRef::hash(hash));
        match top {
            Promise::Known(node) => node,
            Promise::Hash(_) => last,
        }
    }

    /// A branch.
    pub(crate) fn branch(&mut self, children: &[Promise; 16], target: Target) -> Promise {
        let nodes: [NodeRef; 16] = children.each_ref().map(Promise::placeholder);
        encode::branch(nodes.iter(), &mut self.rlp);
        let level = children.iter().map(Promise::above).max().unwrap_or_default();
        let promise = self.add(level, target);
        if let Promise::Hash(branch) = promise {
            let items: usize = nodes.iter().map(NodeRef::rlp_len).sum();
            // Behind the header come the children and one byte for the value.
            let mut at = self.rlp.len() - items - 1;
            for (child, node) in children.iter().zip(&nodes) {
                if let Promise::Hash(child) = child {
                    self.levels.embed(*child, branch, at + 1);
                }
                at += node.rlp_len();
            }
        }
        promise
    }

    /// The extension above a branch at depth `to`, seen from depth `from`, where these differ.
    pub(crate) fn extension(
        &mut self,
        key: &B256,
        (from, to): (usize, usize),
        branch: Promise,
        target: Target,
    ) -> Promise {
        encode::extension(key, from, to, &branch.placeholder(), &mut self.rlp);
        let promise = self.add(branch.above(), target);
        if let (Promise::Hash(branch), Promise::Hash(extension)) = (branch, promise) {
            self.levels.embed(branch, extension, self.rlp.len() - 32);
        }
        promise
    }

    fn add(&mut self, level: usize, target: Target) -> Promise {
        // What contains a hash is longer than one, so the short ones are known by now.
        if self.rlp.len() < 32 {
            return Promise::Known(NodeRef::inline(&self.rlp));
        }
        Promise::Hash(self.levels.push(level, &self.rlp, target))
    }
}

/// Nodes to be hashed, with the places where their hashes go.
pub(crate) struct Plan<'a, K: Kind> {
    pub(crate) nodes: Planned,
    pages: Vec<PageInPlan<'a, K>>,
    inner: Vec<Place<'a>>,
}

/// What the parent has of a subtrie.
pub(crate) struct Place<'a> {
    pub(crate) node: &'a mut NodeRef,
    pub(crate) dirty: &'a mut bool,
}

struct PageInPlan<'a, K: Kind> {
    page: &'a mut Page<K>,
    place: Place<'a>,
    /// What goes there is the topmost node of the page itself.
    topmost: bool,
}

impl<'a, K: Kind> Plan<'a, K> {
    pub(crate) const fn new(nodes: Planned) -> Self {
        Self { nodes, pages: Vec::new(), inner: Vec::new() }
    }

    /// Plans a page that hangs at `depth`.
    pub(crate) fn page(
        &mut self,
        page: &'a mut Page<K>,
        place: Place<'a>,
        depth: usize,
    ) -> Promise {
        let index = self.pages.len() as u32;
        let top = page.plan(index, depth, &mut self.nodes);
        let promise = match top.extension {
            None => top.node,
            Some((key, to)) => {
                self.nodes.extension(&key, (depth, to), top.node, Target::Page(index))
            }
        };
        let topmost = match promise {
            Promise::Known(node) => {
                *place.node = node;
                false
            }
            Promise::Hash(_) => top.extension.is_none(),
        };
        self.pages.push(PageInPlan { page, place, topmost });
        promise
    }

    /// Plans the branch above subtries that are planned or known.
    pub(crate) fn inner(&mut self, children: &[Promise; 16], place: Place<'a>) -> Promise {
        let index = self.inner.len() as u32;
        let promise = self.nodes.branch(children, Target::Inner(index));
        if let Promise::Known(node) = promise {
            *place.node = node;
        }
        self.inner.push(place);
        promise
    }

    /// Hashes all of it. What was planned is up to date then.
    pub(crate) fn finish(self) -> Planned {
        let Self { mut nodes, mut pages, mut inner } = self;
        nodes.levels.hash(|target, hash| {
            let hash = NodeRef::hash(hash);
            match target {
                Target::Leaf { page, leaf } => pages[page as usize].page.set_leaf(leaf, hash),
                Target::Node { page, node } => pages[page as usize].page.set_node(node, hash),
                Target::Page(page) => *pages[page as usize].place.node = hash,
                Target::Inner(at) => *inner[at as usize].node = hash,
                Target::Nowhere => {}
            }
        });
        for PageInPlan { page, place, topmost } in pages {
            page.planned_is_done();
            if topmost {
                *place.node = page.topmost();
            }
            *place.dirty = false;
        }
        for place in inner {
            *place.dirty = false;
        }
        nodes
    }
}
