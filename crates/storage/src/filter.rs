//! Which keys a block may have changed, so that a read need not look into blocks that have nothing
//! to say about its key.

use alloy_primitives::B256;

/// Least number of bits per key. With 32 of them, one look in 32 at a block finds a reason for a
/// second one.
const BITS: usize = 32;

/// A set of keys that never denies one that it holds. A key is a word of a Keccak hash, so one bit
/// for each is as good as the hash is; whoever makes hashes that share bits makes reads slower,
/// and no more.
pub(crate) struct Filter {
    words: Box<[u64]>,
}

impl Filter {
    /// An empty one.
    pub(crate) fn with_room_for(keys: usize) -> Self {
        let words = (keys.max(1) * BITS / 64 + 1).next_power_of_two();
        Self { words: vec![0; words].into() }
    }

    pub(crate) fn add(&mut self, key: u64) {
        let (word, bit) = self.place(key);
        self.words[word] |= bit;
    }

    pub(crate) fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.words[word] & bit != 0
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// The number of words is a power of two.
    fn place(&self, key: u64) -> (usize, u64) {
        ((key >> 6) as usize & (self.words.len() - 1), 1 << (key & 63))
    }
}

/// The key of an account, by the hash of its address.
pub(crate) fn account_key(account: &B256) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = account.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The key of a slot, by the hashes of its account's address and of its own.
pub(crate) fn slot_key(account: &B256, slot: &B256) -> u64 {
    // Turned, so that a slot with the hash of its account is not a key of all such slots.
    account_key(account).rotate_left(17) ^ account_key(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn what_was_added_is_there_and_hardly_anything_else() {
        for count in [0u64, 1, 2, 3, 100, 10_000] {
            let hash = |n: u64| keccak256(n.to_be_bytes());
            let mut filter = Filter::with_room_for(2 * count as usize);
            for n in 0..count {
                filter.add(account_key(&hash(n)));
                filter.add(slot_key(&hash(n), &hash(n + 1)));
            }
            for n in 0..count {
                assert!(filter.may_have(account_key(&hash(n))));
                assert!(filter.may_have(slot_key(&hash(n), &hash(n + 1))));
            }
            let others = (count..count + 10_000).map(hash);
            let found = others.filter(|other| filter.may_have(account_key(other))).count();
            assert!(found < 600, "{found} of 10000 others in a filter of {count}");
        }
    }
}
