//! Keys and prefixes of keys, nibble by nibble.

use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The nibble of `key` at this position, counted from the most significant one; 0 after its end.
#[inline]
pub(crate) fn nibble(key: &B256, at: usize) -> usize {
    let byte = key.get(at / 2).copied().unwrap_or_default();
    usize::from(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// How many nibbles two keys have in common before they differ.
#[inline]
pub(crate) fn common_nibbles(a: &B256, b: &B256) -> usize {
    let differs = a.iter().zip(b.iter()).position(|(a, b)| a != b);
    differs.map_or(KEY_NIBBLES, |byte| 2 * byte + usize::from((a[byte] ^ b[byte]) < 0x10))
}

/// A prefix of a key: where in its trie a subtrie hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    /// The prefix, followed by zeros: the smallest key under it.
    key: B256,
    len: u8,
}

impl Path {
    /// The whole trie.
    pub(crate) const ROOT: Self = Self { key: B256::ZERO, len: 0 };

    /// Number of nibbles.
    #[inline]
    pub(crate) const fn depth(&self) -> usize {
        self.len as usize
    }

    /// The smallest key under the prefix.
    #[inline]
    pub(crate) const fn first_key(&self) -> B256 {
        self.key
    }

    /// The prefix with one nibble more. A whole key has no children: the nibble is ignored there.
    #[inline]
    pub(crate) fn child(mut self, nibble: usize) -> Self {
        let at = self.depth();
        if at < KEY_NIBBLES {
            let shifted = if at.is_multiple_of(2) { nibble << 4 } else { nibble & 0x0f };
            self.key[at / 2] |= shifted as u8;
            self.len += 1;
        }
        self
    }

    /// The key is under the prefix.
    #[inline]
    pub(crate) fn contains(&self, key: &B256) -> bool {
        common_nibbles(&self.key, key) >= self.depth()
    }

    /// As the nibbles that the tables are keyed by.
    pub(crate) fn nibbles(&self) -> Nibbles {
        Nibbles::unpack(self.key).slice(..self.depth())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nibbles_and_prefixes_agree_with_alloy(a: [u8; 32], b: [u8; 32], shared in 0usize..32, at in 0usize..64) {
            let mut b = b;
            b[..shared].copy_from_slice(&a[..shared]);
            let (a, b) = (B256::from(a), B256::from(b));
            let (left, right) = (Nibbles::unpack(a), Nibbles::unpack(b));
            prop_assert_eq!(nibble(&a, at), usize::from(left.get(at).unwrap()));
            prop_assert_eq!(common_nibbles(&a, &b), left.common_prefix_length(&right));
            let path = (0..at).fold(Path::ROOT, |path, at| path.child(nibble(&a, at)));
            prop_assert_eq!(path.nibbles(), left.slice(..at));
            prop_assert_eq!(path.contains(&b), right.starts_with(&left.slice(..at)));
        }
    }
}
