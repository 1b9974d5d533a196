//! Positions inside a block.

use core::fmt;

/// Position of a transaction in its block, counted from zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxIndex(pub u32);

impl TxIndex {
    /// The index as an array position.
    #[inline]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// The point in the block at which this transaction's writes take effect.
    #[inline]
    pub const fn block_index(self) -> BlockIndex {
        BlockIndex(self.0 + 1)
    }
}

impl From<usize> for TxIndex {
    /// Blocks hold far fewer than 2³² transactions; a larger position saturates.
    fn from(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for TxIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point in the execution of a block, numbered as in EIP-7928: 0 is before the first
/// transaction (system calls), `i + 1` is transaction `i`, the last one is after all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockIndex(pub u32);

impl BlockIndex {
    /// System calls and other changes before the first transaction.
    pub const PRE_EXECUTION: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_follow_the_pre_execution_changes() {
        assert!(BlockIndex::PRE_EXECUTION < TxIndex(0).block_index());
        assert_eq!(TxIndex(6).block_index(), BlockIndex(7));
    }
}
