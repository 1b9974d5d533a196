//! The root of a list: the trie from index to item that headers commit to for transactions and
//! receipts (Yellow Paper, 4.3.2).

use crate::{
    path::{common_nibbles, nibble},
    plan::{Planned, Promise, Target},
};
use alloy_primitives::B256;

/// Items that are hashed together: as many as there are below one node over two bytes of index.
const TOGETHER: usize = 256;

/// The root of the trie that has the items at the RLP of their indices. `encode` appends an item
/// to an empty buffer.
pub fn ordered_root<T>(items: &[T], encode: impl Fn(&T, &mut Vec<u8>)) -> B256 {
    let mut list = List { items, encode, value: Vec::new(), planned: Planned::default() };
    // In the order of their keys: that of index 0 is the byte 0x80.
    let zero = 0..items.len().min(1);
    let small = 1..items.len().clamp(1, 0x80);
    let large = 0x80..items.len().max(0x80);
    let keys: Vec<_> = small.chain(zero).chain(large).map(Key::new).collect();
    let root = list.node(&keys, 0);
    list.planned.resolve(root).root()
}

/// The key of an item.
#[derive(Clone, Copy)]
struct Key {
    index: usize,
    /// The RLP of the index, followed by zeros.
    bytes: B256,
    nibbles: usize,
}

impl Key {
    fn new(index: usize) -> Self {
        let mut bytes = B256::ZERO;
        let digits = index.to_be_bytes();
        let digits = &digits[index.leading_zeros() as usize / 8..];
        let len = match digits {
            [digit @ 1..0x80] => {
                bytes[0] = *digit;
                1
            }
            _ => {
                bytes[0] = 0x80 + digits.len() as u8;
                bytes[1..=digits.len()].copy_from_slice(digits);
                1 + digits.len()
            }
        };
        Self { index, bytes, nibbles: 2 * len }
    }
}

struct List<'a, T, E> {
    items: &'a [T],
    encode: E,
    value: Vec<u8>,
    planned: Planned,
}

impl<T, E: Fn(&T, &mut Vec<u8>)> List<'_, T, E> {
    /// The node over keys that have the nibbles before `depth` in common. No key is the beginning
    /// of another.
    fn node(&mut self, keys: &[Key], depth: usize) -> Promise {
        let (first, shared) = match keys {
            [] => return Promise::NOTHING,
            [key] => {
                self.value.clear();
                (self.encode)(&self.items[key.index], &mut self.value);
                return self.planned.short_leaf(&key.bytes, (depth, key.nibbles), &self.value);
            }
            [first, .., last] => (first.bytes, common_nibbles(&first.bytes, &last.bytes)),
        };
        let mut children = [Promise::NOTHING; 16];
        for group in keys.chunk_by(|a, b| nibble(&a.bytes, shared) == nibble(&b.bytes, shared)) {
            let child = self.node(group, shared + 1);
            let child = match keys.len() > TOGETHER {
                true => Promise::Known(self.planned.resolve(child)),
                false => child,
            };
            children[nibble(&group[0].bytes, shared)] = child;
        }
        let branch = self.planned.branch(&children, Target::Nowhere);
        match shared == depth {
            true => branch,
            false => self.planned.extension(&first, (depth, shared), branch, Target::Nowhere),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::root::ordered_trie_root_encoded;
    use proptest::{collection::vec, prelude::*};

    fn check(items: &[Vec<u8>]) {
        let root = ordered_root(items, |item, out| out.extend_from_slice(item));
        assert_eq!(root, ordered_trie_root_encoded(items), "{} items", items.len());
    }

    #[test]
    fn lists_of_every_length_have_the_root_that_alloy_gives_them() {
        // Short items lie in their parents, and a few lengths change the number of index bytes.
        for len in (0..300).chain([511, 512, 513, 4096, 65_535, 65_536, 65_537, 70_000]) {
            check(&(0..len).map(|at: usize| vec![at as u8; 1 + at % 3]).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn items_of_any_size_have_the_root_that_alloy_gives_them(items in vec(vec(any::<u8>(), 0..400), 0..700)) {
            check(&items);
        }
    }
}
