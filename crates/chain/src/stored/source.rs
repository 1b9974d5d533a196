//! Between the trie and the database: nodes and flat state to read, changes to write.

use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::Nibbles;
use warpline_storage::{
    HashedAccountDiff, HashedDiff, HashedState, Snapshot, StateReader, StorageError,
    StorageTrieUpdates, Table, TrieUpdates as StoredUpdates, Unwound,
};
use warpline_trie::{
    AccountChange, AccountUpdate, FlatAccount, SlotChange, SourceError, TrieReader, TrieSource,
    TrieUpdates,
};

/// How many entries are read at a time. Pages of the trie are of this order.
const CHUNK: usize = 64;

/// A snapshot of the head, as the trie reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotSource<'a>(pub(crate) &'a Snapshot);

impl TrieSource for SnapshotSource<'_> {
    type Reader<'a>
        = SnapshotReader<'a>
    where
        Self: 'a;

    fn open(&self) -> Result<SnapshotReader<'_>, SourceError> {
        Ok(SnapshotReader(self.0.reader()?))
    }
}

/// One thread's view of a [`SnapshotSource`].
pub(crate) struct SnapshotReader<'a>(StateReader<'a>);

impl TrieReader for SnapshotReader<'_> {
    fn account_node(&mut self, path: &Nibbles, out: &mut Vec<u8>) -> Result<bool, SourceError> {
        let node = self.0.account_node(&path.to_vec())?;
        Ok(node.map(|node| out.extend_from_slice(&node)).is_some())
    }

    fn storage_node(
        &mut self,
        account: B256,
        path: &Nibbles,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError> {
        let node = self.0.storage_node(&account, &path.to_vec())?;
        Ok(node.map(|node| out.extend_from_slice(&node)).is_some())
    }

    fn accounts(
        &mut self,
        from: B256,
        visit: &mut dyn FnMut(B256, FlatAccount) -> bool,
    ) -> Result<(), SourceError> {
        let read = |from: &B256| self.0.accounts_from(from, CHUNK);
        walk(from, read, |key, account| {
            let (state, storage_root) = (account.state, account.storage_root);
            visit(key, FlatAccount { state, storage_root })
        })
    }

    fn storage(
        &mut self,
        account: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError> {
        walk(from, |from| self.0.slots_from(&account, from, CHUNK), visit)
    }

    fn account_with_storage(&mut self, from: B256) -> Result<Option<B256>, SourceError> {
        Ok(self.0.account_with_storage(&from)?)
    }
}

/// Visits what `read` gives in chunks, until `visit` has enough.
fn walk<T>(
    from: B256,
    read: impl Fn(&B256) -> Result<Vec<(B256, T)>, StorageError>,
    mut visit: impl FnMut(B256, T) -> bool,
) -> Result<(), SourceError> {
    let mut next = Some(from);
    while let Some(from) = next {
        let chunk = read(&from)?;
        next = match chunk.last() {
            Some((last, _)) if chunk.len() == CHUNK => successor(*last),
            _ => None,
        };
        if !chunk.into_iter().all(|(key, value)| visit(key, value)) {
            return Ok(());
        }
    }
    Ok(())
}

/// The next key, where there is one.
fn successor(key: B256) -> Option<B256> {
    U256::from_be_bytes(key.0).checked_add(U256::ONE).map(B256::from)
}

/// The state root that the header of a snapshot's block states.
pub(crate) fn state_root(snapshot: &Snapshot) -> Result<B256, StorageError> {
    let number = snapshot.block().number;
    let header = snapshot.reader()?.header(number)?;
    header.map(|(header, _)| header.state_root).ok_or_else(|| StorageError::Inconsistent {
        table: Table::Headers,
        key: Bytes::copy_from_slice(&number.to_be_bytes()),
        problem: "the header is missing",
    })
}

/// What a block did, for the trie.
pub(crate) fn changes(diff: &HashedDiff) -> impl Iterator<Item = AccountChange> + '_ {
    diff.accounts().iter().map(|account| AccountChange {
        address: account.hash,
        update: match account.after {
            None => AccountUpdate::Delete,
            Some(after) if account.before == Some(after) && !account.storage_cleared => {
                AccountUpdate::Keep
            }
            Some(after) => AccountUpdate::Set(after),
        },
        wipe_storage: account.storage_cleared,
        slots: match account.after {
            None => Vec::new(),
            Some(_) => account
                .storage
                .iter()
                .map(|slot| SlotChange { slot: slot.hash, value: slot.after })
                .collect(),
        },
    })
}

/// The opposite of [`changes`], where the block left enough to tell: it did not clear storage.
pub(crate) fn opposite(diff: &HashedDiff) -> Option<Vec<AccountChange>> {
    let undo = |account: &HashedAccountDiff| {
        let created = account.before.is_none();
        (!account.storage_cleared || created).then(|| AccountChange {
            address: account.hash,
            update: account.before.map_or(AccountUpdate::Delete, AccountUpdate::Set),
            wipe_storage: created,
            slots: match created {
                true => Vec::new(),
                false => account
                    .storage
                    .iter()
                    .map(|slot| SlotChange { slot: slot.hash, value: slot.before })
                    .collect(),
            },
        })
    };
    diff.accounts().iter().map(undo).collect()
}

/// What going back did, for the trie.
pub(crate) fn undone(unwound: &Unwound) -> Vec<AccountChange> {
    let account = |(address, state): &(B256, Option<_>)| AccountChange {
        address: *address,
        update: state.map_or(AccountUpdate::Delete, AccountUpdate::Set),
        ..AccountChange::default()
    };
    let mut changes: Vec<_> = unwound.accounts.iter().map(account).collect();
    let gone = |address: &B256| {
        let at = unwound.accounts.binary_search_by_key(address, |(account, _)| *account);
        at.is_ok_and(|at| unwound.accounts[at].1.is_none())
    };
    for group in unwound.slots.chunk_by(|a, b| a.0 == b.0) {
        let address = group[0].0;
        // The storage of an account that did not exist goes with it.
        if !gone(&address) {
            let slot =
                |(_, slot, value): &(B256, B256, U256)| SlotChange { slot: *slot, value: *value };
            let slots = group.iter().map(slot).collect();
            changes.push(AccountChange { address, slots, ..AccountChange::default() });
        }
    }
    changes
}

/// What the trie wants written, for the database. Every account comes with its storage root, so
/// that the database need not look up what it has.
pub(crate) fn to_store(updates: &TrieUpdates) -> StoredUpdates {
    let path = |path: &Nibbles| Bytes::from(path.to_vec());
    let wiped = updates.wiped_storages().iter();
    let wiped =
        wiped.map(|account| (*account, StorageTrieUpdates { cleared: true, nodes: Vec::new() }));
    let roots = updates.accounts().iter();
    let roots = roots.filter_map(|(account, flat)| Some((*account, flat.as_ref()?.storage_root)));
    let mut stored = StoredUpdates {
        accounts: updates.account_nodes().map(|(at, node)| (path(at), node)).collect(),
        storages: wiped.collect(),
        storage_roots: Vec::with_capacity(updates.accounts().len()),
    };
    stored.storage_roots.extend(roots);
    let wiped = stored.storages.len();
    for (account, at, node) in updates.storage_nodes() {
        let node = (path(at), node);
        let cleared = stored.storages[..wiped].binary_search_by_key(&account, |(of, _)| *of);
        match (cleared, stored.storages[wiped..].last().map(|(of, _)| *of)) {
            (Ok(at), _) => stored.storages[at].1.nodes.push(node),
            (Err(_), Some(last)) if last == account => {
                if let Some((_, updates)) = stored.storages.last_mut() {
                    updates.nodes.push(node);
                }
            }
            _ => {
                let updates = StorageTrieUpdates { cleared: false, nodes: vec![node] };
                stored.storages.push((account, updates));
            }
        }
    }
    stored
}
