//! A trie that knows nothing but the nodes of a witness, and changes one key at a time.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieAccount, TrieMask,
    nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode, TrieNode},
};
use std::collections::BTreeMap;
use warpline_trie::{AccountChange, AccountUpdate};

#[derive(Clone)]
enum Node {
    Unknown(B256),
    Leaf(Nibbles, Vec<u8>),
    Extension(Nibbles, Box<Self>),
    Branch(Box<[Option<Self>; 16]>),
}

/// Nodes by hash.
pub(crate) struct Stateless<'a>(pub(crate) &'a BTreeMap<B256, Bytes>);

impl Stateless<'_> {
    /// The root after the changes, applied one after another as they come.
    pub(crate) fn root_after(&self, root: B256, changes: &[AccountChange]) -> B256 {
        let mut trie = open(root);
        for change in changes {
            let path = Nibbles::unpack(change.address);
            let old = trie.as_ref().and_then(|trie| self.get(trie, path));
            let old = old.map(|account| TrieAccount::decode(&mut &account[..]).unwrap());
            let mut account = old.unwrap_or_default();
            match change.update {
                AccountUpdate::Keep => {}
                AccountUpdate::Set(state) => {
                    (account.nonce, account.balance) = (state.nonce, state.balance);
                    account.code_hash = state.code_hash;
                }
                AccountUpdate::Delete => {
                    trie = self.set(trie, path, None);
                    continue;
                }
            }
            if old.is_none() && change.update == AccountUpdate::Keep {
                continue;
            }
            let storage = if change.wipe_storage { EMPTY_ROOT_HASH } else { account.storage_root };
            let mut storage = open(storage);
            for slot in &change.slots {
                let value =
                    Some(alloy_rlp::encode(slot.value)).filter(|_| slot.value != U256::ZERO);
                storage = self.set(storage, Nibbles::unpack(slot.slot), value);
            }
            account.storage_root = close(storage);
            trie = self.set(trie, path, Some(alloy_rlp::encode(account)));
        }
        close(trie)
    }

    /// The value of an account, or of a slot of it.
    pub(crate) fn lookup(&self, root: B256, key: B256) -> Option<Vec<u8>> {
        open(root).and_then(|trie| self.get(&trie, Nibbles::unpack(key)))
    }

    fn resolve(&self, hash: B256) -> Node {
        let rlp = self.0.get(&hash).unwrap_or_else(|| panic!("node {hash} is not in the witness"));
        decode(rlp)
    }

    fn get(&self, node: &Node, path: Nibbles) -> Option<Vec<u8>> {
        match node {
            Node::Unknown(hash) => self.get(&self.resolve(*hash), path),
            Node::Leaf(rest, value) => (*rest == path).then(|| value.clone()),
            Node::Extension(skip, child) => {
                path.starts_with(skip).then(|| self.get(child, path.slice(skip.len()..)))?
            }
            Node::Branch(children) => {
                let child = children[usize::from(path.first()?)].as_ref()?;
                self.get(child, path.slice(1..))
            }
        }
    }

    fn set(&self, node: Option<Node>, path: Nibbles, value: Option<Vec<u8>>) -> Option<Node> {
        let Some(node) = node else { return value.map(|value| Node::Leaf(path, value)) };
        let (own, inside) = match node {
            Node::Unknown(hash) => return self.set(Some(self.resolve(hash)), path, value),
            Node::Branch(mut children) => {
                let nibble = usize::from(path.first().unwrap());
                children[nibble] = self.set(children[nibble].take(), path.slice(1..), value);
                return self.collapse(children);
            }
            Node::Leaf(own, old) => match own == path {
                true => return value.map(|value| Node::Leaf(own, value)),
                false => (own, Node::Leaf(Nibbles::new(), old)),
            },
            Node::Extension(own, child) if path.starts_with(&own) => {
                let child = self.set(Some(*child), path.slice(own.len()..), value)?;
                return Some(self.prepend(own, child));
            }
            Node::Extension(own, child) => (own, *child),
        };
        // What is inside is a leaf without a rest of its own, or a branch, seen or not.
        let below = |path: Nibbles| match &inside {
            Node::Leaf(_, value) => Node::Leaf(path, value.clone()),
            branch if path.is_empty() => branch.clone(),
            branch => Node::Extension(path, Box::new(branch.clone())),
        };
        let Some(value) = value else { return Some(below(own)) };
        let shared = own.common_prefix_length(&path);
        let mut children: Box<[Option<Node>; 16]> = Default::default();
        children[usize::from(own.get(shared).unwrap())] = Some(below(own.slice(shared + 1..)));
        let new = Node::Leaf(path.slice(shared + 1..), value);
        children[usize::from(path.get(shared).unwrap())] = Some(new);
        Some(self.prepend(own.slice(..shared), Node::Branch(children)))
    }

    fn collapse(&self, mut children: Box<[Option<Node>; 16]>) -> Option<Node> {
        let present: Vec<_> = (0..16).filter(|&nibble| children[nibble].is_some()).collect();
        match present[..] {
            [] => None,
            [only] => {
                let child = children[only].take().unwrap();
                Some(self.prepend(Nibbles::from_nibbles([only as u8]), child))
            }
            _ => Some(Node::Branch(children)),
        }
    }

    fn prepend(&self, path: Nibbles, node: Node) -> Node {
        match node {
            node if path.is_empty() => node,
            Node::Unknown(hash) => self.prepend(path, self.resolve(hash)),
            Node::Leaf(rest, value) => Node::Leaf(path.join(&rest), value),
            Node::Extension(rest, child) => Node::Extension(path.join(&rest), child),
            branch @ Node::Branch(_) => Node::Extension(path, Box::new(branch)),
        }
    }
}

fn open(root: B256) -> Option<Node> {
    (root != EMPTY_ROOT_HASH).then_some(Node::Unknown(root))
}

fn close(node: Option<Node>) -> B256 {
    match node {
        None => EMPTY_ROOT_HASH,
        Some(Node::Unknown(hash)) => hash,
        Some(node) => keccak256(encode(&node)),
    }
}

fn decode(rlp: &[u8]) -> Node {
    let child = |child: &RlpNode| match child.as_hash() {
        Some(hash) => Node::Unknown(hash),
        None => decode(child),
    };
    match TrieNode::decode(&mut &rlp[..]).unwrap() {
        TrieNode::EmptyRoot => panic!("an empty trie has no nodes"),
        TrieNode::Leaf(leaf) => Node::Leaf(leaf.key, leaf.value),
        TrieNode::Extension(extension) => {
            Node::Extension(extension.key, Box::new(child(&extension.child)))
        }
        TrieNode::Branch(branch) => {
            let mut children: Box<[Option<Node>; 16]> = Default::default();
            for (nibble, own) in branch.as_ref().children() {
                children[usize::from(nibble)] = own.map(child);
            }
            Node::Branch(children)
        }
    }
}

fn encode(node: &Node) -> Vec<u8> {
    let reference = |node: &Node| match node {
        Node::Unknown(hash) => RlpNode::word_rlp(hash),
        node => RlpNode::from_rlp(&encode(node)),
    };
    let mut out = Vec::new();
    match node {
        Node::Unknown(_) => panic!("only its hash is known"),
        Node::Leaf(path, value) => LeafNode::new(*path, value.clone()).encode(&mut out),
        Node::Extension(path, child) => {
            ExtensionNode::new(*path, reference(child)).encode(&mut out);
        }
        Node::Branch(children) => {
            let (mut stack, mut mask) = (Vec::new(), TrieMask::default());
            for (nibble, child) in children.iter().enumerate() {
                if let Some(child) = child {
                    stack.push(reference(child));
                    mask.set_bit(nibble as u8);
                }
            }
            BranchNode::new(stack, mask).encode(&mut out);
        }
    }
    out
}
