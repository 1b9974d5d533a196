//! Runs a blockchain or engine test: imports its blocks one after the other.

use crate::{
    block_test::{BlockTest, End, Expected},
    engine_test::{EngineTest, PayloadError},
    exceptions,
    home::{Home, compare_stored},
    json::{Accounts, ConfigJson},
    network,
};
use alloy_consensus::Header;
use alloy_primitives::Address;
use std::{collections::BTreeSet, path::Path};
use warpline_chain::{Engine, InvalidBlock, MemoryAccount, MemoryState};

/// Imports the blocks of a blockchain test and compares what is left.
pub(crate) fn run_blocks(
    engine: &Engine,
    test: &BlockTest,
    datadir: Option<&Path>,
) -> Result<(), String> {
    let mut chain = start(&test.network, &test.config, &test.pre, &test.genesis, datadir)?;
    for (index, block) in test.blocks.iter().enumerate() {
        let result = import(engine, |engine| chain.import_rlp(engine, &block.rlp))
            .map_err(|problem| format!("block {index}: {problem}"))?;
        judge(index, block.expected(&test.network), result)?;
    }
    end(&mut chain, &test.end)
}

/// Imports the payloads of an engine test and compares what is left.
pub(crate) fn run_payloads(
    engine: &Engine,
    test: &EngineTest,
    datadir: Option<&Path>,
) -> Result<(), String> {
    let mut chain = start(&test.network, &test.config, &test.pre, &test.genesis, datadir)?;
    for (index, payload) in test.payloads.iter().enumerate() {
        let result = match (payload.block(chain.rules()), payload.error_code()) {
            (Err(PayloadError::Call(code, _)), Some(expected)) if code == expected => continue,
            (Err(PayloadError::Call(code, problem)), expected) => {
                let expected = expected.map_or("none".to_owned(), |code| code.to_string());
                return Err(format!(
                    "payload {index}: expected call error {expected}, got {code}: {problem}"
                ));
            }
            (_, Some(expected)) => {
                return Err(format!("payload {index}: expected call error {expected}, got none"));
            }
            (Ok((block, list)), None) => {
                import(engine, |engine| chain.import(engine, block.clone(), list.clone()))
                    .map_err(|problem| format!("payload {index}: {problem}"))?
            }
            (Err(PayloadError::Invalid(error)), None) => Err(error),
        };
        judge(index, payload.expected(), result)?;
    }
    end(&mut chain, &test.end)
}

/// Imports a block. One that the parallel engine refuses is also offered to the sequential one,
/// which must refuse it for the same reason at the same place: the outer error says otherwise.
fn import(
    engine: &Engine,
    mut import: impl FnMut(&Engine) -> Result<Result<(), InvalidBlock>, String>,
) -> Result<Result<(), InvalidBlock>, String> {
    match import(engine)? {
        Err(error) if engine.threads() > 1 => match import(&Engine::Sequential)? {
            Err(same) if same == error => Ok(Err(error)),
            other => Err(format!("in parallel: {error}; in order: {other:?}")),
        },
        other => Ok(other),
    }
}

fn start(
    network: &str,
    config: &ConfigJson,
    pre: &Accounts,
    genesis: &Header,
    datadir: Option<&Path>,
) -> Result<Home, String> {
    let rules = network::rules(network, config).map_err(|error| error.to_string())?;
    let state = pre.to_state();
    let root = state.root();
    if root != genesis.state_root {
        return Err(format!("genesis state root: expected {}, got {root}", genesis.state_root));
    }
    Home::new(rules, genesis, state, datadir)
}

fn judge(
    index: usize,
    expected: Expected<'_>,
    result: Result<(), InvalidBlock>,
) -> Result<(), String> {
    match (expected, result) {
        (Expected::Accepted, Ok(())) | (Expected::Rejected(None), Err(_)) => Ok(()),
        (Expected::Accepted, Err(error)) => {
            Err(format!("block {index}: expected success, got {:?}: {error}", error.reason))
        }
        (Expected::Rejected(name), Ok(())) => {
            let name = name.unwrap_or("any rejection");
            Err(format!("block {index}: expected {name}, but the block is accepted"))
        }
        (Expected::Rejected(Some(name)), Err(error)) => {
            match exceptions::allows(name, error.reason)? {
                true => Ok(()),
                false => {
                    Err(format!("block {index}: expected {name}, got {:?}: {error}", error.reason))
                }
            }
        }
    }
}

fn end(chain: &mut Home, expected: &End) -> Result<(), String> {
    let (hash, root) = chain.head();
    if hash != expected.last_block_hash {
        let wanted = expected.last_block_hash;
        return Err(format!("last block hash: expected {wanted}, got {hash}"));
    }
    if let Some(accounts) = &expected.post_state {
        match &*chain {
            Home::Memory(tree) => compare_states(accounts, tree.head().state)?,
            Home::Database { chain, .. } => compare_stored(&accounts.to_state(), chain)?,
        }
    }
    if let Some(wanted) = expected.post_state_hash.filter(|wanted| *wanted != root) {
        return Err(format!("state root: expected {wanted}, got {root}"));
    }
    chain.verify()
}

fn compare_states(expected: &Accounts, actual: &MemoryState) -> Result<(), String> {
    let wanted = expected.to_state();
    let addresses: BTreeSet<Address> =
        wanted.accounts().chain(actual.accounts()).map(|(address, _)| *address).collect();
    for address in addresses {
        compare_accounts(wanted.account(&address), actual.account(&address))
            .map_err(|problem| format!("account {address}: {problem}"))?;
    }
    Ok(())
}

fn compare_accounts(
    expected: Option<&MemoryAccount>,
    actual: Option<&MemoryAccount>,
) -> Result<(), String> {
    let (expected, actual) = match (expected, actual) {
        (Some(expected), Some(actual)) => (expected, actual),
        (Some(_), None) => return Err("expected to exist, does not".into()),
        (None, Some(_)) => return Err("expected not to exist, does".into()),
        (None, None) => return Ok(()),
    };
    let (left, right) = (expected.info(), actual.info());
    if left.balance != right.balance {
        return Err(format!("balance: expected {}, got {}", left.balance, right.balance));
    }
    if left.nonce != right.nonce {
        return Err(format!("nonce: expected {}, got {}", left.nonce, right.nonce));
    }
    if left.code_hash != right.code_hash {
        return Err(format!("code hash: expected {}, got {}", left.code_hash, right.code_hash));
    }
    let slots: BTreeSet<_> =
        expected.storage().keys().chain(actual.storage().keys()).copied().collect();
    for slot in slots {
        let value =
            |account: &MemoryAccount| account.storage().get(&slot).copied().unwrap_or_default();
        let (left, right) = (value(expected), value(actual));
        if left != right {
            return Err(format!("slot {slot:#x}: expected {left:#x}, got {right:#x}"));
        }
    }
    Ok(())
}
