//! What a development chain is told and no transaction does: blocks that begin with such changes
//! are looked into like others, and what cannot be done is refused in so many words.

use crate::{
    capture::capture,
    node::{Node, warpline},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const POOR: &str = "0x00000000000000000000000000000000000000c0";
const CODE: &str = "0x00000000000000000000000000000000000000c1";
const ETHER: &str = "0xde0b6b3a7640000";

/// Returns what slot 0 holds, and counts it up: `sload(0)`, `dup1`, `mstore`, `sstore`, `return`.
const COUNTS: &str = "0x5f54805f526001015f5560205ff3";

/// Calls methods that have to succeed.
struct Chain {
    _dir: tempfile::TempDir,
    node: Node,
}

impl Chain {
    fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &[&["--dev", "--no-mining"], args].concat());
        Self { _dir: dir, node }
    }

    #[track_caller]
    fn result(&self, method: &str, params: Value) -> Value {
        self.node.client().result(method, params)
    }
}

/// The second block begins with a balance, code and a slot, and somebody makes use of them who has
/// nothing otherwise.
fn edited() -> (Chain, Value) {
    let chain = Chain::start(&[]);
    chain.result("evm_mine", json!([]));
    chain.result("anvil_impersonateAccount", json!([POOR]));
    chain.result("anvil_setBalance", json!([POOR, ETHER]));
    chain.result("anvil_setCode", json!([CODE, COUNTS]));
    let seven = format!("0x{:064x}", 7);
    chain.result("anvil_setStorageAt", json!([CODE, "0x0", seven]));
    let call = json!({ "from": POOR, "to": CODE, "gas": "0x186a0" });
    let hash = chain.result("eth_sendTransaction", json!([call]));
    chain.result("evm_mine", json!([]));
    chain.result("evm_mine", json!([]));
    (chain, hash)
}

#[test]
fn a_block_that_begins_with_changes_is_traced_with_them() {
    let (chain, hash) = edited();
    let receipt = chain.result("eth_getTransactionReceipt", json!([hash]));
    assert_eq!((&receipt["status"], &receipt["blockNumber"]), (&json!("0x1"), &json!("0x2")));
    let tracer = |name: &str| json!({ "tracer": name });
    let trace = chain.result("debug_traceTransaction", json!([hash, tracer("callTracer")]));
    assert_eq!(trace["gasUsed"], receipt["gasUsed"]);
    assert_eq!(trace["output"], format!("0x{:064x}", 7));
    let before = chain.result("debug_traceTransaction", json!([hash, tracer("prestateTracer")]));
    assert_eq!((&before[POOR]["balance"], &before[CODE]["code"]), (&json!(ETHER), &json!(COUNTS)));
    for block in ["debug_traceBlockByNumber", "trace_block", "warp_blockParallelism"] {
        assert!(chain.result(block, json!(["0x2"])).to_string().len() > 2, "{block}");
    }
    let list = chain.result("eth_getBlockAccessList", json!(["0x2"]));
    let written = list.as_array().unwrap().iter().find(|account| account["address"] == CODE);
    assert!(written.unwrap()["storageChanges"].to_string().contains("0x8"), "{list}");
    // The state before the block, which the tracer does not begin with, has nothing of it.
    assert_eq!(chain.result("eth_getBalance", json!([POOR, "0x1"])), "0x0");
}

#[test]
fn such_a_block_is_not_captured_and_the_reason_is_told() {
    let (chain, _) = edited();
    let answer = chain.node.client().call("debug_executionWitness", json!(["0x2"]));
    let words = "begins with changes that no transaction made";
    assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = capture(&chain.node.url("http"), "2", dir.path(), &[]);
    assert!(code != Some(0) && said.contains(words), "{code:?}: {said}");
    let (code, said) = capture(&chain.node.url("http"), "3", dir.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_node_keeps_the_access_lists_of_its_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let start = |args: &[&str]| {
        let args = [&["--dev", "--no-mining", "--miner.early"], args].concat();
        Chain { _dir: tempfile::tempdir().unwrap(), node: Node::start(dir.path(), &args) }
    };
    let chain = start(&["--access-lists"]);
    let accounts = chain.result("eth_accounts", json!([]));
    // State that a restart forgets: without what is kept there would be no list then.
    chain.result("anvil_setCode", json!([CODE, COUNTS]));
    let calls = accounts.as_array().unwrap().iter();
    for from in calls {
        chain
            .result("eth_sendTransaction", json!([{ "from": from, "to": CODE, "gas": "0x186a0" }]));
    }
    let pending = chain.result("eth_getBlockAccessList", json!(["pending"]));
    chain.result("evm_mine", json!([]));
    let list = chain.result("eth_getBlockAccessList", json!(["0x1"]));
    let counter = |list: &Value| {
        let accounts = list.as_array().unwrap();
        accounts.iter().find(|account| account["address"] == CODE).cloned().unwrap()
    };
    let changes = &counter(&list)["storageChanges"][0]["changes"];
    assert_eq!(changes.as_array().map(Vec::len), accounts.as_array().map(Vec::len), "{list}");
    assert_eq!(counter(&pending), counter(&list));
    chain.node.terminate();
    let chain = start(&[]);
    assert_eq!(chain.result("eth_getBlockAccessList", json!(["0x1"])), list);
}

#[test]
fn forks_are_refused_with_a_reason() {
    let chain = Chain::start(&[]);
    chain.result("evm_mine", json!([]));
    let forking = json!([{ "forking": { "jsonRpcUrl": "http://127.0.0.1:1", "blockNumber": 1 } }]);
    for method in ["anvil_reset", "hardhat_reset"] {
        let refused = chain.node.client().call(method, forking.clone());
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let words = refused["error"]["message"].as_str().unwrap();
        assert!(words.contains("forking is not supported"), "{words}");
        assert_eq!(chain.result("eth_blockNumber", json!([])), "0x1", "nothing was reset");
    }
    let dir = tempfile::tempdir().unwrap();
    for flag in ["--fork-url", "--fork-block-number"] {
        let output = warpline(&["node", "--dev", flag, "7"], dir.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(said.contains(flag) && said.contains("forking is not supported"), "{said}");
    }
}

#[test]
fn a_transaction_is_waited_for_as_long_as_the_caller_wants_whatever_the_time_out() {
    let chain = Chain::start(&["--rpc.timeout", "0.2"]);
    let accounts = chain.result("eth_accounts", json!([]));
    let transfer = json!({
        "from": accounts[0], "to": POOR, "value": "0x1", "gas": "0x5208", "nonce": "0x0",
        "gasPrice": "0x77359400",
    });
    let signed = chain.result("eth_signTransaction", json!([transfer]));
    let raw = if signed.is_string() { signed } else { signed["raw"].clone() };
    let start = Instant::now();
    let mut client = chain.node.client();
    let answer = client.call("eth_sendRawTransactionSync", json!([raw, 1000]));
    assert_eq!(answer["error"]["code"], 4, "{answer}");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}
