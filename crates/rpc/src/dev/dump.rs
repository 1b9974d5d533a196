//! The whole state as one text, and back, in anvil's format: JSON, compressed by gzip.
//!
//! A dump has the accounts and nothing of the blocks. Of anvil's dumps the accounts are taken; its
//! blocks cannot become part of a chain whose blocks all are valid.

use super::{Flexible, Wide, all};
use crate::{Context, RpcError, registry::Registry};
use alloy_primitives::{Address, B256, Bytes, U256};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use revm::Database;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};
use warpline_executor::ParentState;
use warpline_node::DevAccountEdit;

/// Longest text of a state, in bytes. A compressed one may be a thousand times shorter.
const MOST_BYTES: u64 = 256 << 20;

/// The first two bytes of everything that gzip has compressed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) fn register(registry: &mut Registry) {
    // Whether to dump the states of earlier blocks too, which only anvil has, is not looked at.
    all(registry, &["anvil_dumpState", "hardhat_dumpState"], 1, |context, _| dump(context));
    all(registry, &["anvil_loadState", "hardhat_loadState"], 1, |context, args| {
        let state: Bytes = args.required("state")?;
        load(context, &state)
    });
}

/// What is written. Without a block, anvil takes the accounts and leaves its chain as it is.
#[derive(Debug, Serialize)]
struct Dump {
    block: Option<()>,
    accounts: BTreeMap<Address, DumpedAccount>,
    best_block_number: Option<u64>,
    blocks: [(); 0],
    transactions: [(); 0],
}

#[derive(Debug, Serialize)]
struct DumpedAccount {
    nonce: u64,
    balance: U256,
    code: Bytes,
    storage: BTreeMap<B256, B256>,
}

fn dump(context: &Context) -> Result<Bytes, RpcError> {
    let accounts = context.node.accounts_of_state()?;
    let accounts = accounts.into_iter().map(|(address, account)| {
        let storage = account.storage.into_iter();
        let dumped = DumpedAccount {
            nonce: account.state.nonce,
            balance: account.state.balance,
            code: account.code,
            storage: storage.map(|(slot, value)| (slot.into(), value.into())).collect(),
        };
        (address, dumped)
    });
    let dump = Dump {
        block: None,
        accounts: accounts.collect(),
        best_block_number: None,
        blocks: [],
        transactions: [],
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, &dump).map_err(RpcError::internal)?;
    encoder.finish().map(Bytes::from).map_err(RpcError::internal)
}

/// What is read; everything else in it is left out.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `accounts`")]
struct State {
    accounts: BTreeMap<Address, Account>,
}

#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `nonce`, `balance` and `code`")]
struct Account {
    nonce: Flexible,
    balance: Wide,
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<U256, Wide>,
}

/// Puts accounts over those that are there: slots that are not named stay, and no nonce falls, as
/// in anvil.
fn load(context: &Context, state: &[u8]) -> Result<bool, RpcError> {
    let State { accounts } = read(state)?;
    let latest = context.view().latest()?;
    let mut db = latest.open();
    let mut edits = Vec::with_capacity(accounts.len());
    for (address, account) in accounts {
        let present = db.basic(address).map_err(RpcError::internal)?;
        let nonce = present.map_or(0, |account| account.nonce).max(account.nonce.0);
        let slots = account.storage.into_iter().map(|(slot, Wide(value))| (slot, value));
        let edit = DevAccountEdit {
            balance: Some(account.balance.0),
            nonce: Some(nonce),
            code: Some(account.code),
            slots: slots.collect(),
        };
        edits.push((address, edit));
    }
    drop(db);
    context.node.edit_accounts(edits)?;
    Ok(true)
}

fn read(state: &[u8]) -> Result<State, RpcError> {
    let wrong =
        |error: &dyn core::fmt::Display| RpcError::invalid_params(format!("state: {error}"));
    let text = match state.starts_with(&GZIP) {
        true => unpacked(state).map_err(|error| wrong(&error))?,
        false => state.to_vec(),
    };
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn unpacked(state: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let length = GzDecoder::new(state).take(MOST_BYTES + 1).read_to_end(&mut text)?;
    match length as u64 > MOST_BYTES {
        true => Err(io::Error::other(format!("it is longer than {MOST_BYTES} bytes"))),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn states_are_read_packed_or_not_and_whatever_else_they_have() {
        let text = br#"{"block":{"number":"0x2"},"accounts":{"0x00000000000000000000000000000000000000c0":
            {"nonce":3,"balance":"0x10","code":"0x6001","storage":{"0x0":"0x1",
             "0x00000000000000000000000000000000000000000000000000000000000000ff":
             "0x0000000000000000000000000000000000000000000000000000000000000002"}}},"blocks":[{}]}"#;
        for state in [text.to_vec(), packed(text)] {
            let State { accounts } = read(&state).unwrap();
            let account = &accounts[&Address::with_last_byte(0xc0)];
            assert_eq!((account.nonce.0, account.balance.0), (3, U256::from(16)));
            assert_eq!(account.code, Bytes::from_static(&[0x60, 1]));
            assert_eq!(account.storage[&U256::ZERO].0, U256::ONE);
            assert_eq!(account.storage[&U256::from(255)].0, U256::from(2));
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let cut = packed(b"{\"accounts\":{}}");
        let bomb = packed(&vec![b' '; MOST_BYTES as usize + 1]);
        let states: [(&[u8], &str); 6] = [
            (b"", "EOF"),
            (b"{}", "missing field `accounts`"),
            (b"[]", "an object with `accounts`"),
            (b"{\"accounts\":{\"0xc0\":{}}}", "invalid"),
            (&cut[..cut.len() - 4], ""),
            (&bomb, "longer than"),
        ];
        for (state, words) in states {
            let error = read(state).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
