//! Transaction tests: the bytes of one transaction, and what each fork says of it by itself.

use crate::{exceptions, json::Dropped, network};
use alloy_consensus::{Header, transaction::TxHashRef};
use alloy_primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;
use std::collections::BTreeMap;
use warpline_chain::check_transaction;

/// One fixture.
#[derive(Debug)]
pub(crate) struct TxTest {
    pub(crate) bytes: Bytes,
    pub(crate) result: BTreeMap<String, TxResult>,
}

/// What a fork says of the transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TxResult {
    hash: Option<B256>,
    sender: Option<Address>,
    intrinsic_gas: Option<U64>,
    exception: Option<String>,
    #[serde(default, rename = "chainid")]
    _chain_id: Dropped,
}

impl TxTest {
    /// Runs the test under one fork.
    pub(crate) fn run(&self, fork: &str, expected: &TxResult) -> Result<(), String> {
        let rules = network::rules(fork, &Default::default()).map_err(|error| error.to_string())?;
        let chain = if rules.merge_at.is_some() { rules.after_merge } else { rules.before_merge };
        // A block that any transaction fits into and can pay for.
        let header = Header {
            number: 1,
            gas_limit: u64::MAX,
            base_fee_per_gas: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        let result = check_transaction(&chain, &header, &self.bytes);
        let valid = match (&expected.exception, result) {
            (None, Ok(valid)) => valid,
            (None, Err(error)) => {
                return Err(format!("expected success, got {:?}: {error}", error.reason));
            }
            (Some(name), Ok(_)) => {
                return Err(format!("expected {name}, but the transaction is valid"));
            }
            (Some(name), Err(error)) => {
                return match exceptions::allows(name, error.reason)? {
                    true => Ok(()),
                    false => Err(format!("expected {name}, got {:?}: {error}", error.reason)),
                };
            }
        };
        compare("hash", expected.hash, *valid.tx.tx_hash())?;
        compare("sender", expected.sender, valid.tx.signer())?;
        compare("intrinsic gas", expected.intrinsic_gas, U64::from(valid.gas.initial))
    }
}

fn compare<T: PartialEq + std::fmt::Display>(
    what: &str,
    expected: Option<T>,
    actual: T,
) -> Result<(), String> {
    match expected {
        Some(expected) if expected != actual => {
            Err(format!("{what}: expected {expected}, got {actual}"))
        }
        _ => Ok(()),
    }
}
