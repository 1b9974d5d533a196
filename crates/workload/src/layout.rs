//! Solidity's storage layout: slots of variables, mappings and arrays, and packing.

use alloy_primitives::{Address, B256, U256, keccak256};

/// A variable's place: a slot, the first byte counted from the right, and the length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) key: U256,
    pub(crate) offset: u8,
    pub(crate) length: u8,
}

impl Slot {
    /// A whole word.
    const fn word(key: U256) -> Self {
        Self { key, offset: 0, length: 32 }
    }

    /// The entry of this mapping.
    pub(crate) fn entry(self, key: impl MappingKey) -> Self {
        let mut preimage = [0; 64];
        preimage[..32].copy_from_slice(key.word().as_slice());
        preimage[32..].copy_from_slice(&self.key.to_be_bytes::<32>());
        Self::word(keccak256(preimage).into())
    }

    /// The `n`-th word of this dynamic array's elements.
    pub(crate) fn element_word(self, n: u64) -> Self {
        let first: U256 = keccak256(self.key.to_be_bytes::<32>()).into();
        Self::word(first.wrapping_add(U256::from(n)))
    }

    /// A member of the struct that starts here.
    pub(crate) const fn member(self, member: Self) -> Self {
        Self { key: self.key.wrapping_add(member.key), ..member }
    }

    /// `word` with this variable set to `value`, which loses the bits that do not fit.
    pub(crate) fn store(self, word: U256, value: U256) -> U256 {
        let shift = usize::from(self.offset) * 8;
        let mask = U256::MAX >> (256 - usize::from(self.length) * 8);
        (word & !(mask << shift)) | ((value & mask) << shift)
    }
}

/// What a mapping can be indexed with: left-padded to a word.
pub(crate) trait MappingKey {
    fn word(self) -> B256;
}

impl MappingKey for u64 {
    fn word(self) -> B256 {
        U256::from(self).into()
    }
}

impl MappingKey for Address {
    fn word(self) -> B256 {
        self.into_word()
    }
}

/// Signed integers are sign-extended.
impl MappingKey for i32 {
    fn word(self) -> B256 {
        signed(self.into()).into()
    }
}

/// Two's complement in 256 bits.
pub(crate) const fn signed(value: i128) -> U256 {
    let low = value as u128;
    let sign = if value < 0 { u64::MAX } else { 0 };
    U256::from_limbs([low as u64, (low >> 64) as u64, sign, sign])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    #[test]
    fn packing_leaves_the_neighbours_alone() {
        let slot = Slot { key: U256::ZERO, offset: 2, length: 3 };
        let word = slot.store(U256::MAX, U256::from(0x01_02_03_04));
        assert_eq!(word, U256::MAX - (U256::from(0xff_ff_ff - 0x02_03_04) << 16));
        assert_eq!(Slot::word(U256::ZERO).store(U256::MAX, U256::from(5)), U256::from(5));
    }

    #[test]
    fn mapping_entries_hash_key_and_slot() {
        let holder = address!("d8dA6BF26964aF9D7eEd9e03E53415D37aA96045");
        let entry = Slot::word(U256::from(9)).entry(holder);
        let mut preimage = [0; 64];
        preimage[12..32].copy_from_slice(holder.as_slice());
        preimage[63] = 9;
        assert_eq!(B256::from(entry.key), keccak256(preimage));
    }

    #[test]
    fn arrays_start_at_the_hash_of_their_slot() {
        let element = Slot::word(U256::ZERO).element_word(2);
        let first = b256!("290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563");
        assert_eq!(element.key, U256::from_be_bytes(first.0) + U256::from(2));
    }

    #[test]
    fn negative_numbers_are_sign_extended() {
        assert_eq!(signed(-1), U256::MAX);
        assert_eq!(signed(i128::from(i64::MIN)), U256::MAX - U256::from(i64::MAX));
        assert_eq!((-2i32).word(), B256::from(U256::MAX - U256::from(1)));
    }
}
