//! The RLP of trie nodes, and references to them (Yellow Paper, appendix D).
//!
//! Written for the hot path: every function fills a buffer of the caller's, and a key is never
//! unpacked into nibbles. alloy-trie encodes the same; the tests compare.

use crate::{
    path::{KEY_NIBBLES, nibble},
    source::FlatAccount,
};
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use std::fmt;

/// How a node stands in its parent: by hash, or itself where its RLP is shorter than a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeRef {
    bytes: [u8; 32],
    len: u8,
}

impl NodeRef {
    /// No node.
    pub(crate) const EMPTY: Self = Self { bytes: [0; 32], len: 0 };

    /// The reference to the node with this RLP.
    #[inline]
    pub(crate) fn to(rlp: &[u8]) -> Self {
        if rlp.len() < 32 { Self::inline(rlp) } else { Self::hash(keccak256(rlp)) }
    }

    pub(crate) const fn hash(hash: B256) -> Self {
        Self { bytes: hash.0, len: 32 }
    }

    /// A node shorter than 32 bytes; what is longer is cut.
    pub(crate) fn inline(rlp: &[u8]) -> Self {
        let mut node = Self::EMPTY;
        let len = rlp.len().min(31);
        node.bytes[..len].copy_from_slice(&rlp[..len]);
        node.len = len as u8;
        node
    }

    /// The reference to the root of a trie with this root hash.
    pub(crate) fn of_root(root: B256) -> Self {
        if root == EMPTY_ROOT_HASH { Self::EMPTY } else { Self::hash(root) }
    }

    /// The root hash of a trie whose root this refers to.
    pub(crate) fn root(&self) -> B256 {
        match self.len {
            0 => EMPTY_ROOT_HASH,
            32 => B256::from(self.bytes),
            _ => keccak256(self.as_slice()),
        }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) const fn is_hash(&self) -> bool {
        self.len == 32
    }

    /// The hash, or the node itself.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Length of what [`Self::write`] appends.
    #[inline]
    pub(crate) fn rlp_len(&self) -> usize {
        match self.len {
            0 => 1,
            32 => 33,
            inline => usize::from(inline),
        }
    }

    /// Appends the reference as an item of its parent.
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        match self.len {
            0 => out.push(0x80),
            32 => {
                out.push(0xa0);
                out.extend_from_slice(&self.bytes);
            }
            _ => out.extend_from_slice(self.as_slice()),
        }
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode_prefixed(self.as_slice()))
    }
}

/// A leaf that hangs at `depth` of the trie: the rest of its key, and its value.
#[inline]
pub(crate) fn leaf(key: &B256, depth: usize, value: &[u8], out: &mut Vec<u8>) {
    let path_len = (KEY_NIBBLES - depth) / 2 + 1;
    let path_item = if path_len == 1 { 1 } else { path_len + 1 };
    out.clear();
    list_header(path_item + string_len(value), out);
    if path_len > 1 {
        out.push(0x80 + path_len as u8);
    }
    if depth.is_multiple_of(2) {
        out.push(0x20);
        out.extend_from_slice(&key[depth / 2..]);
    } else {
        out.push(0x30 | (key[depth / 2] & 0x0f));
        out.extend_from_slice(&key[depth / 2 + 1..]);
    }
    string(value, out);
}

/// An extension over the nibbles `from..to` of `key`, which leads to a branch.
pub(crate) fn extension(key: &B256, from: usize, to: usize, branch: &NodeRef, out: &mut Vec<u8>) {
    out.clear();
    list_header(path_item(from, to) + branch.rlp_len(), out);
    path(key, from, to, 0x00, out);
    branch.write(out);
}

/// A leaf whose key has less than 64 nibbles, of which `from..to` are left.
pub(crate) fn short_leaf(key: &B256, from: usize, to: usize, value: &[u8], out: &mut Vec<u8>) {
    out.clear();
    list_header(path_item(from, to) + string_len(value), out);
    path(key, from, to, 0x20, out);
    string(value, out);
}

/// Length of what [`path`] appends.
const fn path_item(from: usize, to: usize) -> usize {
    match (to - from) / 2 + 1 {
        1 => 1,
        len => len + 1,
    }
}

/// Appends nibbles as a string in the hex-prefix encoding, with the flag of their kind of node.
fn path(key: &B256, from: usize, to: usize, flag: u8, out: &mut Vec<u8>) {
    let len = (to - from) / 2 + 1;
    if len > 1 {
        out.push(0x80 + len as u8);
    }
    let mut at = from;
    if (to - from).is_multiple_of(2) {
        out.push(flag);
    } else {
        out.push(flag | 0x10 | nibble(key, at) as u8);
        at += 1;
    }
    while at < to {
        out.push((nibble(key, at) << 4 | nibble(key, at + 1)) as u8);
        at += 2;
    }
}

/// A branch without a value: keys of one length never end in a branch.
#[inline]
pub(crate) fn branch<'a>(children: impl Iterator<Item = &'a NodeRef> + Clone, out: &mut Vec<u8>) {
    let payload = 1 + children.clone().map(NodeRef::rlp_len).sum::<usize>();
    out.clear();
    list_header(payload, out);
    for child in children {
        child.write(out);
    }
    out.push(0x80);
}

/// The extension above a branch at depth `to`, seen from depth `from`; the branch itself where
/// there is nothing to skip.
pub(crate) fn skip_to(
    key: &B256,
    from: usize,
    to: usize,
    branch: NodeRef,
    out: &mut Vec<u8>,
) -> NodeRef {
    if from == to {
        return branch;
    }
    extension(key, from, to, &branch, out);
    NodeRef::to(out)
}

/// Appends the header of a list with a payload of this many bytes.
#[inline]
pub(crate) fn list_header(payload: usize, out: &mut Vec<u8>) {
    match payload {
        0..=55 => out.push(0xc0 + payload as u8),
        56..=0xff => out.extend_from_slice(&[0xf8, payload as u8]),
        0x100..=0xffff => out.extend_from_slice(&[0xf9, (payload >> 8) as u8, payload as u8]),
        _ => {
            let bytes = (payload as u64).to_be_bytes();
            let skip = payload.leading_zeros() as usize / 8;
            out.push(0xf7 + (8 - skip) as u8);
            out.extend_from_slice(&bytes[skip..]);
        }
    }
}

fn string_len(value: &[u8]) -> usize {
    match value {
        [0..=0x7f] => 1,
        _ => match value.len() {
            0..=55 => 1 + value.len(),
            56..=0xff => 2 + value.len(),
            len => 1 + (8 - len.leading_zeros() as usize / 8) + len,
        },
    }
}

/// Appends a byte string.
#[inline]
pub(crate) fn string(value: &[u8], out: &mut Vec<u8>) {
    match value {
        [0..=0x7f] => {}
        _ => match value.len() {
            len @ 0..=55 => out.push(0x80 + len as u8),
            len @ 56..=0xff => out.extend_from_slice(&[0xb8, len as u8]),
            len => {
                let bytes = (len as u64).to_be_bytes();
                let skip = len.leading_zeros() as usize / 8;
                out.push(0xb7 + (8 - skip) as u8);
                out.extend_from_slice(&bytes[skip..]);
            }
        },
    }
    out.extend_from_slice(value);
}

/// Appends an integer: its bytes without leading zeros, as a string.
#[inline]
pub(crate) fn integer(value: &U256, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes::<32>();
    string(&bytes[value.leading_zeros() / 8..], out);
}

/// Appends an account as it stands in its leaf: nonce, balance, storage root, code hash.
#[inline]
pub(crate) fn account(account: &FlatAccount, out: &mut Vec<u8>) {
    let FlatAccount { state, storage_root } = account;
    // A list of 68 to 108 bytes: a header of two, whose second byte is known at the end.
    let header = out.len();
    out.extend_from_slice(&[0xf8, 0]);
    let nonce = state.nonce.to_be_bytes();
    string(&nonce[state.nonce.leading_zeros() as usize / 8..], out);
    integer(&state.balance, out);
    string(storage_root.as_slice(), out);
    string(state.code_hash.as_slice(), out);
    out[header + 1] = (out.len() - header - 2) as u8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Encodable;
    use alloy_trie::{
        Nibbles, TrieMask,
        nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode},
    };
    use proptest::{collection::vec, option, prelude::*};

    fn node_ref() -> impl Strategy<Value = NodeRef> {
        // An inline node is a list: alloy's branch decodes nothing, it only copies.
        prop_oneof![
            any::<[u8; 32]>().prop_map(|hash| NodeRef::hash(B256::from(hash))),
            vec(0u8..0x80, 1..30).prop_map(|items| {
                let mut rlp = vec![0xc0 + items.len() as u8];
                rlp.extend(items);
                NodeRef::inline(&rlp)
            }),
        ]
    }

    fn alloy_ref(node: &NodeRef) -> RlpNode {
        match node.is_hash() {
            true => RlpNode::word_rlp(&B256::from_slice(node.as_slice())),
            false => RlpNode::from_raw_rlp(node.as_slice()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn accounts_encode_as_in_alloy(nonce: u64, shift in 0usize..=256, balance: [u8; 32], root: [u8; 32], code: [u8; 32]) {
            let balance = U256::from_be_bytes(balance) >> shift;
            let nonce = nonce >> (shift % 65).min(63);
            let (storage_root, code_hash) = (B256::from(root), B256::from(code));
            let state = warpline_types::AccountState { nonce, balance, code_hash };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            account(&FlatAccount { state, storage_root }, &mut ours);
            alloy_trie::TrieAccount { nonce, balance, storage_root, code_hash }.encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            integer(&balance, &mut ours);
            balance.encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn leaves_encode_as_in_alloy(key: [u8; 32], depth in 0usize..=64, value in vec(any::<u8>(), 0..400)) {
            let key = B256::from(key);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            leaf(&key, depth, &value, &mut ours);
            LeafNode::new(Nibbles::unpack(key).slice(depth..), value).encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn extensions_encode_as_in_alloy(key: [u8; 32], from in 0usize..63, len in 1usize..64, child in node_ref()) {
            let key = B256::from(key);
            let to = (from + len).min(64);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            extension(&key, from, to, &child, &mut ours);
            ExtensionNode::new(Nibbles::unpack(key).slice(from..to), alloy_ref(&child)).encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn short_leaves_encode_as_in_alloy(key: [u8; 32], from in 0usize..64, len in 0usize..64, value in vec(any::<u8>(), 0..400)) {
            let key = B256::from(key);
            let to = (from + len).min(64);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            short_leaf(&key, from, to, &value, &mut ours);
            LeafNode::new(Nibbles::unpack(key).slice(from..to), value).encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn branches_encode_as_in_alloy(children in vec(option::of(node_ref()), 16)) {
            let mut mask = TrieMask::default();
            let mut stack = Vec::new();
            for (nibble, child) in children.iter().enumerate() {
                if let Some(child) = child {
                    mask.set_bit(nibble as u8);
                    stack.push(alloy_ref(child));
                }
            }
            let refs: Vec<_> = children.iter().map(|child| child.unwrap_or(NodeRef::EMPTY)).collect();
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            branch(refs.iter(), &mut ours);
            BranchNode::new(stack, mask).encode(&mut theirs);
            prop_assert_eq!(ours, theirs);
        }
    }
}
