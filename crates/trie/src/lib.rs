//! State root, storage roots, proofs and witnesses.
//!
//! [`StateTrie`] holds the Merkle-Patricia trie of a state (Yellow Paper, appendix D) across
//! blocks: stage what a block changes, ask for the root, write the [`TrieUpdates`] in the same
//! commit as the flat state; what a block is going to change can be told as it executes
//! ([`StateTrie::foresee`]). It reads through [`TrieSource`] and knows nothing of where nodes are
//! stored; [`MemoryState`] is the one that needs no disk. [`rebuild`] does without stored nodes,
//! [`StateTrie::prove`] and [`StateTrie::witness`] collect nodes for others. [`ordered_root`] is the
//! root of a list, as headers have it.
//!
//! The state itself is the leaves. A node is stored only for a prefix with many leaves (`tree`);
//! below, a page of leaves is read and hashed (`page`), and held against what its parent says of
//! it (`load`). One walk does it all (`pass`) but hashing, which is planned first (`plan`), so that
//! all nodes of one height are hashed together.
//!
//! ```
//! use alloy_primitives::{B256, U256, keccak256};
//! use warpline_trie::{AccountChange, AccountUpdate, MemoryState, StateTrie, TrieConfig};
//! use warpline_types::AccountState;
//!
//! let mut state = MemoryState::default();
//! let mut trie = StateTrie::open(TrieConfig::default(), alloy_trie::EMPTY_ROOT_HASH)?;
//! let rich = AccountState { balance: U256::MAX, code_hash: keccak256([]), nonce: 0 };
//! let changes: Vec<_> = (0..100u64)
//!     .map(|n| AccountChange {
//!         address: keccak256(n.to_be_bytes()),
//!         update: AccountUpdate::Set(rich),
//!         ..Default::default()
//!     })
//!     .collect();
//! trie.stage(changes.clone());
//! let block = trie.root(&state)?;
//!
//! state.commit(&changes, &block.updates);
//! trie.persisted(block.number);
//! let proof = trie.prove(&state, [(changes[7].address, vec![])])?;
//! assert_eq!(keccak256(&proof.account_proof(changes[7].address)[0]), block.root);
//! # Ok::<(), warpline_trie::TrieError>(())
//! ```

mod accounts;
mod changes;
mod encode;
mod error;
mod foreseen;
mod load;
mod memory;
mod ordered;
mod page;
mod pass;
mod path;
mod plan;
mod proof;
mod prove;
mod rebuild;
mod record;
mod source;
mod state_trie;
mod storage;
mod tree;
mod updates;

pub use changes::{AccountChange, AccountUpdate, SlotChange};
pub use error::{Location, SourceError, TrieError};
pub use memory::MemoryState;
pub use ordered::ordered_root;
pub use proof::{MultiProof, ProvenAccount};
pub use rebuild::{Finding, Rebuilt, rebuild};
pub use source::{FlatAccount, TrieReader, TrieSource};
pub use state_trie::{RootNumber, RootUpdate, StateTrie, TrieConfig};
pub use updates::TrieUpdates;
