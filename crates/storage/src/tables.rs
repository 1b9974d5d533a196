//! Reading one record of one table, whatever the transaction.

use crate::{
    BlockRef, StorageError, StoredAccount, StoredReceipt, Table, Transaction,
    codec::{self, DecodeError, Input},
    engine::{Read, Walk},
};
use alloy_consensus::{BlockBody, Header, Sealed};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{Address, B256, Bytes, U256};

/// Looks a key up and decodes its value.
pub(crate) fn record<T>(
    tx: &impl Read,
    table: Table,
    key: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<Option<T>, StorageError> {
    let Some(value) = tx.get(table, key)? else { return Ok(None) };
    decode(&value).map(Some).map_err(|error| error.at(table, key))
}

/// An account after the head block.
pub(crate) fn account(tx: &impl Read, key: &B256) -> Result<Option<StoredAccount>, StorageError> {
    record(tx, Table::HashedAccounts, key.as_slice(), codec::decode_account)
}

/// Accounts after the head block, asked for in ascending order.
pub(crate) struct AccountsInOrder<C>(C);

impl<'a, C: Walk<'a>> AccountsInOrder<C> {
    pub(crate) fn new<T: Read<Cursor<'a> = C>>(tx: &'a T) -> Result<Self, StorageError> {
        Ok(Self(tx.cursor(Table::HashedAccounts)?))
    }

    pub(crate) fn find(&mut self, key: &B256) -> Result<Option<StoredAccount>, StorageError> {
        match self.0.seek(key.as_slice())? {
            Some((found, value)) if *found == *key.as_slice() => {
                let decoded = codec::decode_account(&value);
                decoded.map(Some).map_err(|e| e.at(Table::HashedAccounts, key.as_slice()))
            }
            _ => Ok(None),
        }
    }
}

/// A slot after the head block.
pub(crate) fn slot(tx: &impl Read, account: &B256, key: &B256) -> Result<U256, StorageError> {
    let found = value_with_prefix(tx, Table::HashedStorages, account.as_slice(), key)?;
    Ok(found.unwrap_or_default())
}

/// In a table of many `hash ‖ number` per key, the number behind a hash.
pub(crate) fn value_with_prefix(
    tx: &impl Read,
    table: Table,
    key: &[u8],
    prefix: &B256,
) -> Result<Option<U256>, StorageError> {
    let mut cursor = tx.cursor(table)?;
    let Some(found) = cursor.seek_value(key, prefix.as_slice())? else { return Ok(None) };
    let (hash, value) = codec::decode_slot(&found).map_err(|error| error.at(table, key))?;
    Ok((hash == *prefix).then_some(value))
}

/// Accounts in ascending order from a key on, at most `limit`.
pub(crate) fn accounts_from(
    tx: &impl Read,
    start: &B256,
    limit: usize,
) -> Result<Vec<(B256, StoredAccount)>, StorageError> {
    let mut cursor = tx.cursor(Table::HashedAccounts)?;
    let mut entry = cursor.seek(start.as_slice())?;
    let mut found = Vec::new();
    while let Some((key, value)) = entry.take_if(|_| found.len() < limit) {
        let decode = || Ok((hash(&key)?, codec::decode_account(&value)?));
        found.push(decode().map_err(|e: DecodeError| e.at(Table::HashedAccounts, &key))?);
        entry = cursor.next()?;
    }
    Ok(found)
}

/// The first account from a key on that has slots.
pub(crate) fn account_with_storage(
    tx: &impl Read,
    start: &B256,
) -> Result<Option<B256>, StorageError> {
    let table = Table::HashedStorages;
    let found = tx.cursor(table)?.seek(start.as_slice())?;
    found.map(|(key, _)| hash(&key).map_err(|error| error.at(table, &key))).transpose()
}

/// Slots of an account in ascending order from a key on, at most `limit`.
pub(crate) fn slots_from(
    tx: &impl Read,
    account: &B256,
    start: &B256,
    limit: usize,
) -> Result<Vec<(B256, U256)>, StorageError> {
    let mut cursor = tx.cursor(Table::HashedStorages)?;
    let mut value = cursor.seek_value(account.as_slice(), start.as_slice())?;
    let mut found = Vec::new();
    while let Some(slot) = value.take_if(|_| found.len() < limit) {
        let decoded = codec::decode_slot(&slot);
        found.push(decoded.map_err(|e| e.at(Table::HashedStorages, account.as_slice()))?);
        value = cursor.next_value()?;
    }
    Ok(found)
}

/// A code.
pub(crate) fn code(tx: &impl Read, hash: &B256) -> Result<Option<Bytes>, StorageError> {
    record(tx, Table::Bytecodes, hash.as_slice(), |code| Ok(Bytes::copy_from_slice(code)))
}

/// A node of the account trie.
pub(crate) fn account_node(tx: &impl Read, path: &[u8]) -> Result<Option<Bytes>, StorageError> {
    let key = account_node_key(path);
    record(tx, Table::AccountsTrie, &key, |node| Ok(Bytes::copy_from_slice(node)))
}

/// A node of the storage trie of an account.
pub(crate) fn storage_node(
    tx: &impl Read,
    account: &B256,
    path: &[u8],
) -> Result<Option<Bytes>, StorageError> {
    let key = storage_node_key(account, path);
    record(tx, Table::StoragesTrie, &key, |node| Ok(Bytes::copy_from_slice(node)))
}

/// The key of a node of the account trie. A key must not be empty and a root's path is, so there
/// is one byte more in front.
pub(crate) fn account_node_key(path: &[u8]) -> Vec<u8> {
    [&[0], path].concat()
}

/// The key of a node of a storage trie.
pub(crate) fn storage_node_key(account: &B256, path: &[u8]) -> Vec<u8> {
    [account.as_slice(), path].concat()
}

/// A hash that is a whole key.
pub(crate) fn hash(bytes: &[u8]) -> Result<B256, DecodeError> {
    let mut input = Input(bytes);
    let hash = input.hash()?;
    input.end().map(|()| hash)
}

/// The hash of the block at a height.
pub(crate) fn block_hash(tx: &impl Read, number: u64) -> Result<Option<B256>, StorageError> {
    record(tx, Table::CanonicalHeaders, &codec::block_key(number), hash)
}

/// The height of the block with a hash.
pub(crate) fn block_number(tx: &impl Read, hash: &B256) -> Result<Option<u64>, StorageError> {
    record(tx, Table::HeaderNumbers, hash.as_slice(), codec::decode_block_key)
}

/// Header and total difficulty.
pub(crate) fn header(tx: &impl Read, number: u64) -> Result<Option<(Header, U256)>, StorageError> {
    record(tx, Table::Headers, &codec::block_key(number), codec::decode_header)
}

/// A body.
pub(crate) fn body(
    tx: &impl Read,
    number: u64,
) -> Result<Option<BlockBody<Transaction>>, StorageError> {
    record(tx, Table::BlockBodies, &codec::block_key(number), codec::decode_body)
}

/// One transaction.
pub(crate) fn transaction(
    tx: &impl Read,
    number: u64,
    index: usize,
) -> Result<Option<Transaction>, StorageError> {
    let decode = |body: &[u8]| codec::body_transaction(body, index);
    record(tx, Table::BlockBodies, &codec::block_key(number), decode).map(Option::flatten)
}

/// Senders.
pub(crate) fn senders(tx: &impl Read, number: u64) -> Result<Option<Vec<Address>>, StorageError> {
    record(tx, Table::TransactionSenders, &codec::block_key(number), codec::decode_senders)
}

/// Receipts.
pub(crate) fn receipts(
    tx: &impl Read,
    number: u64,
) -> Result<Option<Vec<StoredReceipt>>, StorageError> {
    record(tx, Table::Receipts, &codec::block_key(number), codec::decode_receipts)
}

/// The access list of a block, with its hash.
pub(crate) fn access_list(
    tx: &impl Read,
    block: BlockRef,
) -> Result<Option<Sealed<BlockAccessList>>, StorageError> {
    let key = codec::numbered_key(block.number, &block.hash);
    record(tx, Table::BlockAccessLists, &key, codec::decode_access_list)
}

/// Block number and index of a transaction.
pub(crate) fn position(tx: &impl Read, hash: &B256) -> Result<Option<(u64, u64)>, StorageError> {
    record(tx, Table::TransactionHashNumbers, hash.as_slice(), codec::decode_position)
}

/// The block at a height that is known to be stored.
pub(crate) fn stored_block(tx: &impl Read, number: u64) -> Result<BlockRef, StorageError> {
    let problem = "the entry is missing";
    let key = codec::block_key(number);
    let missing = || StorageError::Inconsistent {
        table: Table::CanonicalHeaders,
        key: Bytes::copy_from_slice(&key),
        problem,
    };
    Ok(BlockRef { number, hash: block_hash(tx, number)?.ok_or_else(missing)? })
}

/// The hash after a hash.
pub(crate) fn successor(hash: B256) -> Option<B256> {
    U256::from_be_bytes(hash.0).checked_add(U256::ONE).map(B256::from)
}
