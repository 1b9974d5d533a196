//! Accounts and slots.
//!
//! Account: `version:4 nonce_length:4 | has_code:1 has_storage:1 balance_length:6 | nonce |
//! balance | code hash | storage root`, the last two only where the account has such. A new field
//! gets a new version.
//!
//! Slot: `hash(s) ‖ value` with the value without leading zeros; zero is no bytes at all.

use super::{DecodeError, Input, trimmed};
use crate::StoredAccount;
use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use warpline_types::AccountState;

const VERSION: u8 = 1;
const HAS_CODE: u8 = 0x80;
const HAS_STORAGE: u8 = 0x40;

/// Appends an account.
pub(crate) fn encode_account(out: &mut Vec<u8>, account: &StoredAccount) {
    let StoredAccount { state: account, storage_root } = account;
    let nonce = account.nonce.to_be_bytes();
    let balance = account.balance.to_be_bytes::<32>();
    let (nonce, balance) = (trimmed(&nonce), trimmed(&balance));
    let has_code = account.code_hash != KECCAK256_EMPTY;
    out.push(VERSION << 4 | nonce.len() as u8);
    let has_storage = *storage_root != EMPTY_ROOT_HASH;
    let flags = if has_code { HAS_CODE } else { 0 } | if has_storage { HAS_STORAGE } else { 0 };
    out.push(flags | balance.len() as u8);
    out.extend_from_slice(nonce);
    out.extend_from_slice(balance);
    if has_code {
        out.extend_from_slice(account.code_hash.as_slice());
    }
    if has_storage {
        out.extend_from_slice(storage_root.as_slice());
    }
}

/// An account back.
pub(crate) fn decode_account(bytes: &[u8]) -> Result<StoredAccount, DecodeError> {
    let mut input = Input(bytes);
    let [first, second] = input.array()?;
    if first >> 4 != VERSION {
        return Err(DecodeError::Version(first >> 4));
    }
    let (nonce_length, balance_length) = (usize::from(first & 15), usize::from(second & 0x3f));
    if nonce_length > 8 || balance_length > 32 {
        return Err(DecodeError::Field("a nonce or balance is too long"));
    }
    let nonce = input.trimmed(nonce_length)?.to::<u64>();
    let balance = input.trimmed(balance_length)?;
    let code_hash = if second & HAS_CODE == 0 { KECCAK256_EMPTY } else { input.hash()? };
    if second & HAS_CODE != 0 && code_hash == KECCAK256_EMPTY {
        return Err(DecodeError::Field("the hash of no code is spelt out"));
    }
    let has_storage = second & HAS_STORAGE != 0;
    let storage_root = if has_storage { input.hash()? } else { EMPTY_ROOT_HASH };
    if has_storage && storage_root == EMPTY_ROOT_HASH {
        return Err(DecodeError::Field("the root of no storage is spelt out"));
    }
    let state = AccountState { balance, nonce, code_hash };
    input.end().map(|()| StoredAccount { state, storage_root })
}

/// An account as it was before a block: its key, then the account without its storage root, or
/// nothing where there was none.
pub(crate) fn encode_account_change(out: &mut Vec<u8>, key: &B256, before: Option<&AccountState>) {
    out.extend_from_slice(key.as_slice());
    if let Some(before) = before {
        encode_account(out, &(*before).into());
    }
}

/// Key and account back.
pub(crate) fn decode_account_change(
    bytes: &[u8],
) -> Result<(B256, Option<AccountState>), DecodeError> {
    let mut input = Input(bytes);
    let key = input.hash()?;
    if input.0.is_empty() {
        return Ok((key, None));
    }
    let StoredAccount { state, storage_root } = decode_account(input.0)?;
    if storage_root != EMPTY_ROOT_HASH {
        return Err(DecodeError::Field("the past has no storage roots"));
    }
    Ok((key, Some(state)))
}

/// A slot with its value.
pub(crate) fn encode_slot(out: &mut Vec<u8>, key: &B256, value: U256) {
    out.extend_from_slice(key.as_slice());
    out.extend_from_slice(trimmed(&value.to_be_bytes::<32>()));
}

/// Key and value back.
pub(crate) fn decode_slot(bytes: &[u8]) -> Result<(B256, U256), DecodeError> {
    let mut input = Input(bytes);
    let key = input.hash()?;
    let length = input.0.len();
    let value = input.trimmed(length)?;
    Ok((key, value))
}
