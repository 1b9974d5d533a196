//! Accounts and slots.
//!
//! Account: `version:4 nonce_length:4 | has_code:1 0 balance_length:6 | nonce | balance | code
//! hash`, the last only where the account has code. A new field gets a new version.
//!
//! Slot: `hash(s) ‖ value` with the value without leading zeros; zero is no bytes at all.

use super::{DecodeError, Input, trimmed};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use warpline_types::AccountState;

const VERSION: u8 = 1;
const HAS_CODE: u8 = 0x80;

/// Appends an account.
pub(crate) fn encode_account(out: &mut Vec<u8>, account: &AccountState) {
    let nonce = account.nonce.to_be_bytes();
    let balance = account.balance.to_be_bytes::<32>();
    let (nonce, balance) = (trimmed(&nonce), trimmed(&balance));
    let has_code = account.code_hash != KECCAK256_EMPTY;
    out.push(VERSION << 4 | nonce.len() as u8);
    out.push(if has_code { HAS_CODE } else { 0 } | balance.len() as u8);
    out.extend_from_slice(nonce);
    out.extend_from_slice(balance);
    if has_code {
        out.extend_from_slice(account.code_hash.as_slice());
    }
}

/// An account back.
pub(crate) fn decode_account(bytes: &[u8]) -> Result<AccountState, DecodeError> {
    let mut input = Input(bytes);
    let [first, second] = input.array()?;
    if first >> 4 != VERSION {
        return Err(DecodeError::Version(first >> 4));
    }
    let (nonce_length, balance_length) = (usize::from(first & 15), usize::from(second & 0x7f));
    if nonce_length > 8 || balance_length > 32 {
        return Err(DecodeError::Field("a nonce or balance is too long"));
    }
    let nonce = input.trimmed(nonce_length)?.to::<u64>();
    let balance = input.trimmed(balance_length)?;
    let code_hash = if second & HAS_CODE == 0 { KECCAK256_EMPTY } else { input.hash()? };
    if second & HAS_CODE != 0 && code_hash == KECCAK256_EMPTY {
        return Err(DecodeError::Field("the hash of no code is spelt out"));
    }
    input.end().map(|()| AccountState { balance, nonce, code_hash })
}

/// An account as it was before a block: its key, then the account, or nothing where there was none.
pub(crate) fn encode_account_change(out: &mut Vec<u8>, key: &B256, before: Option<&AccountState>) {
    out.extend_from_slice(key.as_slice());
    if let Some(before) = before {
        encode_account(out, before);
    }
}

/// Key and account back.
pub(crate) fn decode_account_change(
    bytes: &[u8],
) -> Result<(B256, Option<AccountState>), DecodeError> {
    let mut input = Input(bytes);
    let key = input.hash()?;
    let before = if input.0.is_empty() { None } else { Some(decode_account(input.0)?) };
    Ok((key, before))
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
