//! The identity of a storage slot.

use alloy_primitives::{Address, U256};
use core::hash::{Hash, Hasher};

/// A slot of an account, as a key of maps. It is compared whole, and hashed as the seven words that
/// it is, without the lengths that its parts would put before their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotKey {
    /// The contract.
    pub address: Address,
    /// The slot's key.
    pub slot: U256,
}

impl SlotKey {
    /// A slot of an account.
    #[inline]
    pub const fn new(address: Address, slot: U256) -> Self {
        Self { address, slot }
    }
}

impl Hash for SlotKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (words, rest) = self.address.0.as_chunks::<8>();
        words.iter().for_each(|word| state.write_u64(u64::from_ne_bytes(*word)));
        if let Some(last) = rest.first_chunk() {
            state.write_u32(u32::from_ne_bytes(*last));
        }
        self.slot.as_limbs().iter().for_each(|limb| state.write_u64(*limb));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::map::DefaultHashBuilder;
    use core::hash::BuildHasher;

    #[test]
    fn every_byte_counts_for_the_hash() {
        let builder = DefaultHashBuilder::default();
        let key = SlotKey::new(Address::repeat_byte(7), U256::MAX);
        let hash = builder.hash_one(key);
        assert_eq!(hash, builder.hash_one(key));
        for at in 0..Address::len_bytes() {
            let mut other = key;
            other.address.0[at] ^= 1;
            assert_ne!(hash, builder.hash_one(other), "byte {at} of the address");
        }
        for at in 0..256 {
            let slot = key.slot ^ (U256::ONE << at);
            assert_ne!(hash, builder.hash_one(SlotKey { slot, ..key }), "bit {at} of the slot");
        }
    }
}
