//! The tables: what each is keyed by and what it holds. All numbers in keys are big-endian, so
//! that the order of bytes is the order of numbers.

use core::fmt;

/// A table of the database. The names are those of reth-db where they mean the same.
///
/// `hash(a)` is the Keccak-256 of an address, `hash(s)` that of a storage key as 32 bytes.
/// Encodings of values are in `codec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Name → value: see `Meta`.
    Metadata,
    /// `hash(a)` → nonce, balance, code hash, storage root, after the head block.
    HashedAccounts,
    /// `hash(a)` → many of `hash(s) ‖ value`, after the head block. No zeros.
    HashedStorages,
    /// Code hash → code. On chains that keep them, also `hash(a)` → address and `hash(s)` → storage
    /// key as 32 bytes: whatever lies here lies under its Keccak-256.
    Bytecodes,
    /// Block number → total difficulty and header.
    Headers,
    /// Block number → block hash.
    CanonicalHeaders,
    /// Block hash → block number.
    HeaderNumbers,
    /// Block number → transactions, ommers, withdrawals.
    BlockBodies,
    /// Block number → the sender of every transaction.
    TransactionSenders,
    /// Block number → the receipt of every transaction.
    Receipts,
    /// Transaction hash → block number and index.
    TransactionHashNumbers,
    /// Block number → many of `hash(a) ‖ account before the block`.
    AccountChangeSets,
    /// Block number `‖ hash(a)` → many of `hash(s) ‖ value before the block`.
    StorageChangeSets,
    /// `hash(a) ‖ last block of the shard` → blocks that changed the account.
    AccountsHistory,
    /// `hash(a) ‖ hash(s) ‖ last block of the shard` → blocks that changed the slot.
    StoragesHistory,
    /// Path → node of the account trie.
    AccountsTrie,
    /// `hash(a) ‖ path` → node of the storage trie of the account.
    StoragesTrie,
    /// Block number `‖ block hash` → access list of the block, which need not be in the chain.
    BlockAccessLists,
}

impl Table {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 18] = [
        Self::Metadata,
        Self::HashedAccounts,
        Self::HashedStorages,
        Self::Bytecodes,
        Self::Headers,
        Self::CanonicalHeaders,
        Self::HeaderNumbers,
        Self::BlockBodies,
        Self::TransactionSenders,
        Self::Receipts,
        Self::TransactionHashNumbers,
        Self::AccountChangeSets,
        Self::StorageChangeSets,
        Self::AccountsHistory,
        Self::StoragesHistory,
        Self::AccountsTrie,
        Self::StoragesTrie,
        Self::BlockAccessLists,
    ];

    /// The name under which the table is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "Metadata",
            Self::HashedAccounts => "HashedAccounts",
            Self::HashedStorages => "HashedStorages",
            Self::Bytecodes => "Bytecodes",
            Self::Headers => "Headers",
            Self::CanonicalHeaders => "CanonicalHeaders",
            Self::HeaderNumbers => "HeaderNumbers",
            Self::BlockBodies => "BlockBodies",
            Self::TransactionSenders => "TransactionSenders",
            Self::Receipts => "Receipts",
            Self::TransactionHashNumbers => "TransactionHashNumbers",
            Self::AccountChangeSets => "AccountChangeSets",
            Self::StorageChangeSets => "StorageChangeSets",
            Self::AccountsHistory => "AccountsHistory",
            Self::StoragesHistory => "StoragesHistory",
            Self::AccountsTrie => "AccountsTrie",
            Self::StoragesTrie => "StoragesTrie",
            Self::BlockAccessLists => "BlockAccessLists",
        }
    }

    /// Whether there are databases of the same version without it. One that is opened for writing
    /// gets it; where it cannot, there is nothing in it.
    pub(crate) const fn came_later(self) -> bool {
        matches!(self, Self::BlockAccessLists)
    }

    /// Whether a key has many values, in ascending order.
    pub(crate) const fn is_dup_sorted(self) -> bool {
        matches!(self, Self::HashedStorages | Self::AccountChangeSets | Self::StorageChangeSets)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_discriminants() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, index, "{table}");
        }
    }
}
