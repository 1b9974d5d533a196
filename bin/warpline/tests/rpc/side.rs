//! Blocks that are known and not in the chain (EIP-1898): on a development chain those that it has
//! gone back from.

use crate::{client::Client, node::Node};
use alloy_consensus::{Block, TxEnvelope};
use alloy_primitives::{Bytes, hex};
use alloy_rlp::Decodable;
use serde_json::{Value, json};

struct Chain {
    _dir: tempfile::TempDir,
    _node: Node,
    client: Client,
}

impl Chain {
    #[track_caller]
    fn result(&mut self, method: &str, params: Value) -> Value {
        self.client.result(method, params)
    }

    /// The words of a refusal for good.
    #[track_caller]
    fn refused(&mut self, method: &str, params: Value) -> String {
        let answer = self.client.call(method, params);
        assert_eq!(answer["error"]["code"], -32000, "{method}: {answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    }
}

const PAID: &str = "0x00000000000000000000000000000000000a11ce";

/// A development chain that has gone back from a block with a payment and made another one in its
/// place; the block that is gone, with its transaction, and the one that is there.
fn reverted() -> (Chain, Value, Value) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut chain = Chain { _dir: dir, client: node.client(), _node: node };
    let from = chain.result("eth_accounts", json!([]))[0].clone();
    chain.result("evm_mine", json!([]));
    let id = chain.result("evm_snapshot", json!([]));
    chain.result("eth_sendTransaction", json!([{ "from": from, "to": PAID, "value": "0x7" }]));
    chain.result("evm_mine", json!([]));
    let gone = chain.result("eth_getBlockByNumber", json!(["0x2", true]));
    assert_eq!(gone["transactions"].as_array().unwrap().len(), 1);
    let canonical = json!({ "blockHash": gone["hash"], "requireCanonical": true });
    assert_eq!(chain.result("eth_getBalance", json!([PAID, canonical])), "0x7");
    assert_eq!(chain.result("evm_revert", json!([id])), true);
    chain.result("evm_mine", json!([]));
    let there = chain.result("eth_getBlockByNumber", json!(["0x2", true]));
    assert_ne!(gone["hash"], there["hash"]);
    (chain, gone, there)
}

#[test]
fn a_block_that_has_left_the_chain_is_told_by_its_hash() {
    let (mut chain, gone, _) = reverted();
    let hash = &gone["hash"];
    assert_eq!(chain.result("eth_getBlockByHash", json!([hash, true])), gone);
    let header = chain.result("eth_getHeaderByHash", json!([hash]));
    assert_eq!((&header["hash"], &header["stateRoot"]), (hash, &gone["stateRoot"]));
    assert_eq!(chain.result("eth_getBlockTransactionCountByHash", json!([hash])), "0x1");
    assert_eq!(chain.result("eth_getUncleCountByBlockHash", json!([hash])), "0x0");
    let transaction = &gone["transactions"][0];
    let by_index = |index: &str| json!([hash, index]);
    let method = "eth_getTransactionByBlockHashAndIndex";
    assert_eq!(chain.result(method, by_index("0x0")), *transaction);
    assert_eq!(chain.result(method, by_index("0x1")), Value::Null);
    let raw = chain.result("debug_getRawBlock", json!([{ "blockHash": hash }]));
    let raw: Bytes = serde_json::from_value(raw).unwrap();
    let block = Block::<TxEnvelope>::decode(&mut &raw[..]).unwrap();
    assert_eq!(hex::encode_prefixed(block.header.hash_slow()), *hash.as_str().unwrap());
    // What it was executed on is there, so it can be again.
    let traces = chain.result("debug_traceBlockByHash", json!([hash, { "tracer": "callTracer" }]));
    assert_eq!(
        (&traces[0]["result"]["value"], &traces[0]["result"]["gasUsed"]),
        (&json!("0x7"), &json!("0x5208"))
    );
    // By anything but the hash of the block it is not found.
    let lone = json!([transaction["hash"]]);
    assert_eq!(chain.result("eth_getTransactionByHash", lone.clone()), Value::Null);
    assert_eq!(chain.result("eth_getTransactionReceipt", lone), Value::Null);
}

#[test]
fn what_has_to_be_canonical_and_is_not_is_refused_in_the_words_of_geth() {
    let (mut chain, gone, there) = reverted();
    let at = |hash: &Value| json!({ "blockHash": hash, "requireCanonical": true });
    let call = json!({ "to": PAID });
    for (method, before) in [
        ("eth_getBalance", vec![json!(PAID)]),
        ("eth_getTransactionCount", vec![json!(PAID)]),
        ("eth_getCode", vec![json!(PAID)]),
        ("eth_getStorageAt", vec![json!(PAID), json!("0x0")]),
        ("eth_getProof", vec![json!(PAID), json!([])]),
        ("eth_call", vec![call.clone()]),
        ("eth_estimateGas", vec![call.clone()]),
        ("eth_createAccessList", vec![call.clone()]),
        ("debug_traceCall", vec![call]),
        ("eth_getBlockReceipts", vec![]),
        ("debug_getRawBlock", vec![]),
        ("debug_getRawHeader", vec![]),
        ("debug_getRawReceipts", vec![]),
    ] {
        let with = |hash: &Value| Value::from([before.clone(), vec![at(hash)]].concat());
        let words = chain.refused(method, with(&gone["hash"]));
        assert_eq!(words, "hash is not currently canonical", "{method}");
        chain.result(method, with(&there["hash"]));
    }
    let nowhere = json!(format!("0x{}", "77".repeat(32)));
    let words = chain.refused("eth_getBalance", json!([PAID, at(&nowhere)]));
    assert_eq!(words, "header for hash not found");
}

#[test]
fn what_is_not_kept_of_a_block_that_has_left_the_chain_is_said() {
    let (mut chain, gone, _) = reverted();
    let hash = gone["hash"].as_str().unwrap();
    let of = |what: &str| format!("{what} not kept of block {hash}, which is not in the chain");
    for at in [
        json!(hash),
        json!({ "blockHash": hash }),
        json!({ "blockHash": hash, "requireCanonical": false }),
    ] {
        let words = chain.refused("eth_getBalance", json!([PAID, at]));
        assert_eq!(words, of("the state is"));
        assert_eq!(chain.refused("eth_call", json!([{ "to": PAID }, at])), of("the state is"));
        assert_eq!(chain.refused("eth_getBlockReceipts", json!([at])), of("the receipts are"));
    }
    let logs = chain.refused("eth_getLogs", json!([{ "blockHash": hash }]));
    assert_eq!(logs, of("the logs are"));
    let nowhere = format!("0x{}", "77".repeat(32));
    assert_eq!(chain.refused("eth_getLogs", json!([{ "blockHash": nowhere }])), "unknown block");
    assert_eq!(chain.result("eth_getBlockByHash", json!([nowhere, false])), Value::Null);
}
