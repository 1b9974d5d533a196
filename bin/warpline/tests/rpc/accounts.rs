//! Methods that no published case has: accounts at once, ommers, and witnesses.

use crate::{
    client::Client,
    node::{self, Node, published, small},
};
use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::{Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::Decodable;
use serde_json::{Value, json};
use warpline_chainspec::ChainSpec;
use warpline_executor::execute_sequential;
use warpline_fixture::BlockFixture;
use warpline_merger::diff_from_bundle;
use warpline_replay::{Check, Outcome, PreparedBlock, check_execution};

/// The root of a trie without entries.
const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/// Deploys a contract that counts its calls in slot 0.
const COUNTER: &str = "0x60098060095f395ff35f54600101805f5550";

fn send(client: &mut Client, transaction: Value) -> Value {
    let sent = client.call("eth_sendTransaction", json!([transaction]));
    assert!(sent["result"].is_string(), "{sent}");
    sent["result"].clone()
}

/// A development chain whose second block calls a contract of its first, twice.
fn counted() -> (tempfile::TempDir, Node, Value, Value) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let accounts = client.call("eth_accounts", json!([]))["result"].clone();
    let gas = "0x186a0";
    let made = send(&mut client, json!({ "from": accounts[0], "data": COUNTER, "gas": gas }));
    client.call("evm_mine", json!([]));
    let receipt = client.call("eth_getTransactionReceipt", json!([made]))["result"].clone();
    let contract = receipt["contractAddress"].clone();
    for from in [0, 1] {
        send(&mut client, json!({ "from": accounts[from], "to": contract, "gas": gas }));
    }
    client.call("evm_mine", json!([]));
    (dir, node, accounts, contract)
}

#[test]
fn an_account_is_what_the_other_methods_say_of_it() {
    let (_dir, node, accounts, contract) = counted();
    let mut client = node.client();
    let mut result = |method: &str, params: Value| client.call(method, params)["result"].clone();
    for block in ["0x0", "0x1", "0x2", "latest"] {
        for address in [&accounts[0], &accounts[9], &contract] {
            let at = json!([address, block]);
            let account = result("eth_getAccount", at.clone());
            let info = result("eth_getAccountInfo", at.clone());
            let (balance, nonce, code) = (
                result("eth_getBalance", at.clone()),
                result("eth_getTransactionCount", at.clone()),
                result("eth_getCode", at.clone()),
            );
            assert_eq!(info, json!({ "balance": balance, "nonce": nonce, "code": code }));
            if *address == contract && block == "0x0" {
                assert_eq!(account, Value::Null, "it is not there yet");
                continue;
            }
            let proof = result("eth_getProof", json!([address, [], block]));
            let code: Bytes = serde_json::from_value(code).unwrap();
            let expected = json!({
                "balance": balance,
                "nonce": nonce,
                "codeHash": keccak256(&code),
                "storageRoot": proof["storageHash"],
            });
            assert_eq!(account, expected, "{address} {block}");
        }
    }
    let of = |client: &mut dyn FnMut(&str, Value) -> Value, block: &str| {
        client("eth_getAccount", json!([contract, block]))
    };
    let (made, called) = (of(&mut result, "0x1"), of(&mut result, "0x2"));
    assert_eq!((&made["nonce"], &made["storageRoot"]), (&json!("0x1"), &json!(EMPTY_ROOT)));
    assert_ne!(called["storageRoot"], made["storageRoot"]);
    assert_eq!(called["codeHash"], made["codeHash"]);
    let plain = result("eth_getAccount", json!([accounts[9], "latest"]));
    assert_eq!(plain["codeHash"], json!(KECCAK256_EMPTY));
    let nobody = json!(["0x00000000000000000000000000000000deadbeef", "latest"]);
    assert_eq!(result("eth_getAccount", nobody.clone()), Value::Null);
    let nothing = json!({ "balance": "0x0", "nonce": "0x0", "code": "0x" });
    assert_eq!(result("eth_getAccountInfo", nobody), nothing);
    for method in ["eth_getAccount", "eth_getAccountInfo"] {
        let wrong = client.call(method, json!(["0x12", "latest"]));
        assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
        let later = client.call(method, json!([contract, "0x9"]));
        assert_eq!(later["error"]["message"], "header not found");
    }
}

#[test]
fn a_witness_is_enough_to_execute_its_block_and_nothing_in_it_is_too_much() {
    let (_dir, node, _, contract) = counted();
    let mut client = node.client();
    let block = client.call("eth_getBlockByNumber", json!(["0x2", true]))["result"].clone();
    let witness = client.call("debug_executionWitness", json!(["0x2"]))["result"].clone();
    let by_hash = client.call("debug_executionWitnessByBlockHash", json!([block["hash"]]));
    assert!(by_hash["result"] == witness, "two answers to one question");
    let code = client.call("eth_getCode", json!([contract, "0x1"]))["result"].clone();
    assert!(witness["codes"].as_array().unwrap().contains(&code), "{witness}");
    assert!(witness["keys"].as_array().unwrap().contains(&contract), "{witness}");

    let genesis = warpline_node::dev_genesis(31_337, [], U256::ZERO, 0, 0);
    let chain = ChainSpec::from_config(&genesis.config).unwrap();
    let outcome = |witness: &Value| state_root(&block, witness, &chain);
    assert_eq!(outcome(&witness), Ok(Outcome::Passed));
    let mut parts = 0;
    for list in ["state", "codes", "headers"] {
        for index in 0..witness[list].as_array().unwrap().len() {
            let mut less = witness.clone();
            less[list].as_array_mut().unwrap().remove(index);
            assert_ne!(outcome(&less), Ok(Outcome::Passed), "{list} {index}");
            parts += 1;
        }
    }
    assert!(parts > 5, "{witness}");
    let missing = client.call("debug_executionWitness", json!(["0x9"]));
    assert_eq!(missing["error"]["message"], "block #9 not found");
}

/// The state root after a block, executed on nothing but a witness, against the header's.
fn state_root(block: &Value, witness: &Value, chain: &ChainSpec) -> Result<Outcome, String> {
    let file = json!({ "block": block, "witness": witness }).to_string();
    let words = |error: &dyn core::fmt::Display| error.to_string();
    let fixture = BlockFixture::from_json(file.as_bytes(), "").map_err(|error| words(&error))?;
    let block = PreparedBlock::new("", fixture, Some(chain)).map_err(|error| words(&error))?;
    let output = execute_sequential(block.factory(), block.input(), &block.pre_state);
    let output = output.map_err(|error| words(&error))?;
    let diff = diff_from_bundle(&output.bundle);
    Ok(check_execution(&block, &output.result, &diff).remove(&Check::StateRoot).unwrap())
}

#[test]
fn ommers_are_told_by_number_and_by_hash() {
    let Some(shared) = published() else { return eprintln!("SKIPPED: no published chain") };
    let dir = tempfile::tempdir().unwrap();
    node::import(&shared, dir.path());
    let node = Node::start(dir.path(), &[]);
    let mut client = node.client();
    let chain = std::fs::read(shared.join("chain.rlp")).unwrap();
    let mut rest = &chain[..];
    let mut ommers = 0;
    let mut result = |method: &str, params: Value| client.call(method, params)["result"].clone();
    while !rest.is_empty() {
        let block = Block::<TxEnvelope>::decode(&mut rest).unwrap();
        let (number, hash) = (format!("{:#x}", block.header.number), block.header.hash_slow());
        let count = json!(format!("{:#x}", block.body.ommers.len()));
        assert_eq!(result("eth_getUncleCountByBlockNumber", json!([number])), count);
        assert_eq!(result("eth_getUncleCountByBlockHash", json!([hash])), count);
        for (index, ommer) in block.body.ommers.iter().enumerate() {
            let index = format!("{index:#x}");
            let told = result("eth_getUncleByBlockNumberAndIndex", json!([number, index]));
            assert_eq!(result("eth_getUncleByBlockHashAndIndex", json!([hash, index])), told);
            assert_eq!(told["hash"], json!(ommer.hash_slow()));
            let header: alloy_consensus::Header = serde_json::from_value(told.clone()).unwrap();
            assert_eq!(header, *ommer);
            assert_eq!((&told["uncles"], told.get("transactions")), (&json!([]), None));
            ommers += 1;
        }
        let beyond = format!("{:#x}", block.body.ommers.len());
        let none = result("eth_getUncleByBlockNumberAndIndex", json!([number, beyond]));
        assert_eq!(none, Value::Null);
        assert_eq!(result("eth_getUncleByBlockHashAndIndex", json!([hash, beyond])), Value::Null);
    }
    assert!(ommers > 0);
}

#[test]
fn where_there_is_no_block_there_are_no_ommers() {
    let (_dir, node) = small(&[]);
    let mut client = node.client();
    let nowhere = keccak256("nowhere");
    for (method, params) in [
        ("eth_getUncleCountByBlockNumber", json!(["0x9"])),
        ("eth_getUncleCountByBlockHash", json!([nowhere])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x9", "0x0"])),
        ("eth_getUncleByBlockHashAndIndex", json!([nowhere, "0x0"])),
    ] {
        assert_eq!(client.call(method, params)["result"], Value::Null, "{method}");
    }
    let latest = client.call("eth_getUncleCountByBlockNumber", json!(["latest"]));
    assert_eq!(latest["result"], "0x0");
    let no_index = client.call("eth_getUncleByBlockNumberAndIndex", json!(["latest"]));
    assert_eq!(no_index["error"]["code"], -32602, "{no_index}");
}
