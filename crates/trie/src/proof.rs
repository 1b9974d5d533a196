//! Proofs of accounts and slots, and the nodes that a stateless execution of a block needs.

use crate::{
    accounts::{Account, Accounts},
    changes::{AccountChange, AccountUpdate, normalize},
    error::TrieError,
    pass::{Extent, Pass, Scratch},
    prove::{Nodes, Target},
    source::{FlatAccount, TrieSource},
    state_trie::StateTrie,
    storage::Storage,
    tree::Slot,
};
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::collections::BTreeMap;

/// Nodes that prove accounts and slots, or their absence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiProof {
    /// Nodes of the account trie by path.
    pub account_nodes: BTreeMap<Nibbles, Bytes>,
    /// The accounts asked for, by hashed address.
    pub accounts: BTreeMap<B256, ProvenAccount>,
}

/// One account of a [`MultiProof`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenAccount {
    /// The account; `None` if it does not exist.
    pub account: Option<FlatAccount>,
    /// Nodes of its storage trie by path.
    pub storage_nodes: BTreeMap<Nibbles, Bytes>,
    /// The slots asked for, by hashed slot; zero where there is none.
    pub slots: BTreeMap<B256, U256>,
}

impl MultiProof {
    /// The nodes from the state root down to an account, or to where it would be, as in
    /// `eth_getProof` (EIP-1186).
    pub fn account_proof(&self, address: B256) -> Vec<Bytes> {
        on_the_way(&self.account_nodes, address)
    }
}

impl ProvenAccount {
    /// The nodes from the storage root down to a slot, or to where it would be.
    pub fn storage_proof(&self, slot: B256) -> Vec<Bytes> {
        on_the_way(&self.storage_nodes, slot)
    }

    /// Root of the storage trie.
    pub fn storage_root(&self) -> B256 {
        self.account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root)
    }
}

fn on_the_way(nodes: &Nodes, key: B256) -> Vec<Bytes> {
    let key = Nibbles::unpack(key);
    let nodes = nodes.iter().filter(|(path, _)| key.starts_with(path));
    nodes.map(|(_, node)| node.clone()).collect()
}

/// Slots by account, each with whether it is going to be removed.
type Wanted = BTreeMap<B256, (bool, BTreeMap<B256, bool>)>;

impl StateTrie {
    /// Proofs of accounts and their slots, by hashed address and hashed slots, in the state of
    /// the last root. Changes must not be staged.
    ///
    /// For a state other than the newest, or beside block production, open a trie of its own: it
    /// reads nothing but what it proves.
    pub fn prove<S: TrieSource>(
        &mut self,
        source: &S,
        targets: impl IntoIterator<Item = (B256, Vec<B256>)>,
    ) -> Result<MultiProof, TrieError> {
        let mut wanted = Wanted::new();
        for (address, slots) in targets {
            let (_, own) = wanted.entry(address).or_default();
            own.extend(slots.into_iter().map(|slot| (slot, false)));
        }
        self.prove_wanted(source, &wanted)
    }

    /// All nodes, by hash, that are needed to execute a block on the state of the last root with
    /// nothing else known of it, and to compute the root after it. `reads` are the accounts and
    /// slots that the block reads; `changes` what it changes, none of it staged yet. Changes may
    /// be applied to the nodes in any order.
    pub fn witness<S: TrieSource>(
        &mut self,
        source: &S,
        reads: impl IntoIterator<Item = (B256, Vec<B256>)>,
        changes: &[AccountChange],
    ) -> Result<BTreeMap<B256, Bytes>, TrieError> {
        let mut wanted = Wanted::new();
        for (address, slots) in reads {
            let (_, own) = wanted.entry(address).or_default();
            own.extend(slots.into_iter().map(|slot| (slot, false)));
        }
        for change in normalize(changes.to_vec()) {
            let (removed, slots) = wanted.entry(change.address).or_default();
            *removed = change.update == AccountUpdate::Delete;
            // What is set after a wipe is set in an empty trie.
            if !*removed && !change.wipe_storage {
                let changed = change.slots.iter();
                slots.extend(changed.map(|slot| (slot.slot, slot.value.is_zero())));
            }
        }
        let proof = self.prove_wanted(source, &wanted)?;
        let storage = proof.accounts.into_values().flat_map(|account| account.storage_nodes);
        let nodes = proof.account_nodes.into_iter().chain(storage);
        Ok(nodes.map(|(_, node)| (keccak256(&node), node)).collect())
    }

    fn prove_wanted<S: TrieSource>(
        &mut self,
        source: &S,
        wanted: &Wanted,
    ) -> Result<MultiProof, TrieError> {
        if !self.is_settled() {
            return Err(TrieError::Unsettled);
        }
        let proof = self.walk(source, Extent::Load, |top, pass, scratch| {
            let targets: Vec<_> =
                wanted.iter().map(|(&key, &(removed, _))| Target { key, removed }).collect();
            let mut proof = MultiProof {
                account_nodes: pass.prove::<Accounts>((), top, &targets, scratch)?,
                ..MultiProof::default()
            };
            for (&address, (_, slots)) in wanted {
                let proven = prove_account(pass, top, address, slots, scratch)?;
                proof.accounts.insert(address, proven);
            }
            Ok(proof)
        });
        self.evict();
        proof
    }
}

/// Proves slots of an account whose own way is in memory already.
fn prove_account<S: TrieSource>(
    pass: &Pass<'_, S>,
    top: &mut Slot<Accounts>,
    address: B256,
    slots: &BTreeMap<B256, bool>,
    scratch: &mut Scratch,
) -> Result<ProvenAccount, TrieError> {
    let mut proven = ProvenAccount::default();
    proven.slots.extend(slots.keys().map(|&slot| (slot, U256::ZERO)));
    let Some(account) = top.find(&address) else { return Ok(proven) };
    proven.account = Some(account.flat());
    let Some(storage) = Account::storage(account) else { return Ok(proven) };
    let targets: Vec<_> = slots.iter().map(|(&key, &removed)| Target { key, removed }).collect();
    proven.storage_nodes = pass.prove::<Storage>(address, storage, &targets, scratch)?;
    for (slot, value) in &mut proven.slots {
        *value = storage.find(slot).map_or(U256::ZERO, |value| *value);
    }
    Ok(proven)
}
