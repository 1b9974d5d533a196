//! What can go wrong: the source fails, or what it holds is not what the trie left there.

use alloy_primitives::{B256, hex};
use alloy_trie::Nibbles;
use std::{error::Error, fmt};

/// A failure of the store behind a [`TrieReader`](crate::TrieReader).
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Where in the tries something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The (hashed) account whose storage trie is meant; `None` for the account trie.
    pub storage_of: Option<B256>,
    /// The prefix of the keys concerned.
    pub path: Nibbles,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.storage_of {
            None => f.write_str("account trie")?,
            Some(account) => write!(f, "storage trie of {account}")?,
        }
        if self.path.is_empty() {
            return f.write_str(", root");
        }
        f.write_str(", path ")?;
        self.path.iter().try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

/// Why a root, a proof or a witness could not be computed.
///
/// The trie stays usable: staged changes are kept, and asking again continues where the failure
/// was. If the fault lies in the source for good, the trie has to be opened on a sound one.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// The source could not be opened.
    #[error("the state cannot be opened for reading: {0}")]
    Open(#[source] SourceError),
    /// The source failed.
    #[error("{at}: the state cannot be read: {source}")]
    Read {
        /// What was being read.
        at: Location,
        /// The source's own error.
        source: SourceError,
    },
    /// A node that must be there is not.
    #[error("{at}: the node is missing")]
    Missing {
        /// Its place.
        at: Location,
    },
    /// The bytes of a node mean nothing.
    #[error("{at}: the stored node is malformed: {reason}")]
    Malformed {
        /// Its place.
        at: Location,
        /// What is wrong with the bytes.
        reason: &'static str,
    },
    /// The keys under a prefix are not in ascending order, or not under the prefix.
    #[error("{at}: the flat state is out of order at {key}")]
    Disorder {
        /// The subtrie being read.
        at: Location,
        /// The offending key.
        key: B256,
    },
    /// The subtrie does not have as many leaves as its parent says.
    #[error("{at}: {found} leaves instead of {expected}")]
    Count {
        /// The subtrie.
        at: Location,
        /// According to the parent.
        expected: u64,
        /// According to the subtrie itself; where it is a page, counting stops soon after
        /// `expected`.
        found: u64,
    },
    /// The subtrie does not hash to what its parent (or the header) says.
    #[error("{at}: the hash is {} instead of {}", hex::encode_prefixed(.found), hex::encode_prefixed(.expected))]
    Hash {
        /// The subtrie.
        at: Location,
        /// The reference in the parent: a hash, or a node shorter than one.
        expected: Box<[u8]>,
        /// What the stored data amounts to.
        found: Box<[u8]>,
    },
    /// Slots were set for an account that does not exist.
    #[error("storage without an account: {account}")]
    StorageWithoutAccount {
        /// The hashed address.
        account: B256,
    },
    /// Proofs are of the state that the last root stands for.
    #[error("changes are staged: compute the root before asking for proofs")]
    Unsettled,
    /// Whoever was to take what a rebuild found failed.
    #[error("what was rebuilt cannot be stored: {0}")]
    Sink(#[source] SourceError),
    /// Threads could not be started.
    #[error("the trie's threads cannot be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}
