//! The flat state, codes, and the keys of trie nodes.

use super::{Check, Stop};
use crate::{
    MAX_PATH, Table,
    codec::decode_slot,
    engine::{Read, Walk},
    tables,
};
use alloy_primitives::{B256, KECCAK256_EMPTY, keccak256};

/// How many accounts are looked at between two looks at the table.
const CHUNK: usize = 4096;

/// Accounts with code that is there, and codes under their hashes.
pub(super) fn accounts(check: &mut Check<'_>) -> Result<(), Stop> {
    let mut start = B256::ZERO;
    loop {
        let chunk = tables::accounts_from(check.tx, &start, CHUNK)?;
        for (account, state) in &chunk {
            let code = state.state.code_hash;
            let known = code == KECCAK256_EMPTY
                || check.tx.get(Table::Bytecodes, code.as_slice())?.is_some();
            let problem = "the code of the account is missing";
            check.expect(known, Table::HashedAccounts, account.as_slice(), problem)?;
        }
        let last = chunk.last().filter(|_| chunk.len() == CHUNK).map(|(account, _)| *account);
        let Some(next) = last.and_then(tables::successor) else { break };
        start = next;
    }
    let mut cursor = check.tx.cursor(Table::Bytecodes)?;
    while let Some((key, code)) = cursor.next()? {
        let same = *keccak256(&code) == *key;
        check.expect(same, Table::Bytecodes, &key, "the code has another hash")?;
    }
    Ok(())
}

/// Slots of accounts that exist, each once and not zero.
pub(super) fn storages(check: &mut Check<'_>) -> Result<(), Stop> {
    let table = Table::HashedStorages;
    let mut cursor = check.tx.cursor(table)?;
    let (mut account, mut last) = (None, B256::ZERO);
    while let Some((key, value)) = cursor.next()? {
        let (slot, value) = decode_slot(&value).map_err(|error| error.at(table, &key))?;
        if account.as_deref() != Some(&*key) {
            let hash = tables::hash(&key).map_err(|error| error.at(table, &key))?;
            let exists = tables::account(check.tx, &hash)?.is_some();
            check.expect(exists, table, &key, "there is no such account")?;
            account = Some(key.to_vec());
        } else {
            check.expect(slot != last, table, &key, format_args!("slot {slot} has two values"))?;
        }
        check.expect(!value.is_zero(), table, &key, format_args!("slot {slot} is zero"))?;
        last = slot;
    }
    Ok(())
}

/// Paths that are no longer than a path can be, and storage tries of accounts that exist.
pub(super) fn nodes(check: &mut Check<'_>) -> Result<(), Stop> {
    let mut cursor = check.tx.cursor(Table::AccountsTrie)?;
    while let Some((key, node)) = cursor.next()? {
        let fits = key.len() <= 1 + MAX_PATH && key.first() == Some(&0) && !node.is_empty();
        check.expect(fits, Table::AccountsTrie, &key, "not the path of a node")?;
    }
    let table = Table::StoragesTrie;
    let mut cursor = check.tx.cursor(table)?;
    let mut account = None;
    while let Some((key, node)) = cursor.next()? {
        let fits = (32..=32 + MAX_PATH).contains(&key.len()) && !node.is_empty();
        check.expect(fits, table, &key, "not the path of a node")?;
        let Some(hash) = key.first_chunk::<32>().map(|hash| B256::new(*hash)) else { continue };
        if account != Some(hash) {
            let exists = tables::account(check.tx, &hash)?.is_some();
            check.expect(exists, table, &key, "there is no such account")?;
            account = Some(hash);
        }
    }
    Ok(())
}
