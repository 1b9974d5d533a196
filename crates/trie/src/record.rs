//! What is stored of the trie: one record for each prefix with many leaves.
//!
//! A record lists the sixteen subtries below its prefix. Layout, integers big-endian:
//!
//! ```text
//! 2 bytes   bit n set: there are keys that go on with nibble n
//! 2 bytes   bit n set: the subtrie's node is shorter than 32 bytes and stands here itself
//! for each bit of the first mask, lowest nibble first:
//!     1 to 9 bytes   number of leaves, seven bits a byte, lowest first, high bit: more follow
//!     32 bytes       hash of the subtrie's node; or, by the second mask,
//!     1 + n bytes    its length and its RLP
//! ```

use crate::{
    encode::NodeRef,
    tree::{Child, Inner, Kind, Slot},
};
use alloy_primitives::B256;

/// Appends the record of a node.
pub(crate) fn encode<K: Kind>(inner: &Inner<K>, out: &mut Vec<u8>) {
    let mask = |test: &dyn Fn(&Slot<K>) -> bool| {
        let set = inner.slots.iter().enumerate().filter(|(_, slot)| slot.count > 0 && test(slot));
        set.fold(0u16, |mask, (nibble, _)| mask | 1 << nibble)
    };
    out.extend_from_slice(&mask(&|_| true).to_be_bytes());
    out.extend_from_slice(&mask(&|slot| !slot.node.is_hash()).to_be_bytes());
    for slot in inner.slots.iter().filter(|slot| slot.count > 0) {
        let mut count = slot.count;
        while count >= 0x80 {
            out.push(count as u8 | 0x80);
            count >>= 7;
        }
        out.push(count as u8);
        if !slot.node.is_hash() {
            out.push(slot.node.as_slice().len() as u8);
        }
        out.extend_from_slice(slot.node.as_slice());
    }
}

/// Reads a record back. Its subtries are not loaded.
pub(crate) fn decode<K: Kind>(bytes: &[u8]) -> Result<Inner<K>, &'static str> {
    let mut input = bytes;
    let children = u16::from_be_bytes(take(&mut input)?);
    let inline = u16::from_be_bytes(take(&mut input)?);
    if children == 0 || inline & !children != 0 {
        return Err("the masks contradict each other");
    }
    let mut inner = Inner::default();
    for (nibble, slot) in inner.slots.iter_mut().enumerate() {
        if children >> nibble & 1 == 0 {
            continue;
        }
        slot.count = count(&mut input)?;
        slot.node = match inline >> nibble & 1 {
            0 => NodeRef::hash(B256::from(take::<32>(&mut input)?)),
            _ => {
                let [len] = take(&mut input)?;
                let node = input.split_at_checked(usize::from(len));
                let (node, rest) = node.ok_or("it ends early")?;
                if !(1..32).contains(&len) {
                    return Err("a node in place has a wrong length");
                }
                input = rest;
                NodeRef::inline(node)
            }
        };
        slot.child = Child::Unloaded;
    }
    if input.is_empty() { Ok(inner) } else { Err("it goes on after its end") }
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (head, rest) = input.split_first_chunk().ok_or("it ends early")?;
    *input = rest;
    Ok(*head)
}

fn count(input: &mut &[u8]) -> Result<u64, &'static str> {
    let mut count = 0;
    // Nine groups of seven bits: more leaves than 2⁶³ there cannot be.
    for group in 0..9 {
        let [byte] = take(input)?;
        count |= u64::from(byte & 0x7f) << (7 * group);
        if byte < 0x80 {
            let canonical = byte > 0 || group == 0;
            return if count > 0 && canonical {
                Ok(count)
            } else {
                Err("a count is not canonical")
            };
        }
    }
    Err("a count is too large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Storage;
    use proptest::{collection::vec, option, prelude::*};

    fn inner() -> impl Strategy<Value = Inner<Storage>> {
        let node = prop_oneof![
            any::<[u8; 32]>().prop_map(|hash| NodeRef::hash(B256::from(hash))),
            vec(any::<u8>(), 1..32).prop_map(|rlp| NodeRef::inline(&rlp)),
        ];
        let children = vec(option::of((1u64..=u64::MAX >> 1, node)), 16);
        children.prop_filter_map("it has children", |children| {
            let mut inner = Inner::default();
            for (slot, child) in inner.slots.iter_mut().zip(&children) {
                if let Some((count, node)) = child {
                    (slot.count, slot.node) = (*count, *node);
                }
            }
            children.iter().any(Option::is_some).then_some(inner)
        })
    }

    proptest! {
        #[test]
        fn records_come_back(inner in inner()) {
            let mut bytes = Vec::new();
            encode(&inner, &mut bytes);
            let back = decode::<Storage>(&bytes).unwrap();
            for (left, right) in inner.slots.iter().zip(&back.slots) {
                prop_assert_eq!((left.count, left.node), (right.count, right.node));
            }
            for cut in 0..bytes.len() {
                prop_assert!(decode::<Storage>(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in vec(any::<u8>(), 0..80)) {
            if let Ok(inner) = decode::<Storage>(&bytes) {
                let mut again = Vec::new();
                encode(&inner, &mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let mut inner = Inner::<Storage>::default();
        (inner.slots[1].count, inner.slots[1].node) = (300, NodeRef::hash(B256::repeat_byte(7)));
        (inner.slots[15].count, inner.slots[15].node) = (1, NodeRef::inline(&[0xc1, 0x05]));
        let mut bytes = Vec::new();
        encode(&inner, &mut bytes);
        let expected = [&[0x80, 0x02, 0x80, 0x00, 0xac, 0x02][..], &[7; 32], &[1, 2, 0xc1, 0x05]];
        assert_eq!(bytes, expected.concat());
    }
}
