//! `warp_*`: how parallel blocks are, and the pool.

use crate::{
    client::Client,
    node::{Node, small},
};
use serde_json::{Value, json};

/// Deploys a contract that counts its calls in slot 0.
const COUNTER: &str = "0x60098060095f395ff35f54600101805f5550";

fn send(client: &mut Client, transaction: Value) {
    let sent = client.call("eth_sendTransaction", json!([transaction]));
    assert!(sent["result"].is_string(), "{sent}");
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap()
}

#[test]
fn the_report_of_a_block_shows_who_waits_for_whom_and_where() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining", "--threads", "2"]);
    let mut client = node.client();
    let accounts = client.call("eth_accounts", json!([]))["result"].clone();
    send(&mut client, json!({ "from": accounts[0], "data": COUNTER, "gas": "0x186a0" }));
    client.call("evm_mine", json!([]));
    let block = client.call("eth_getBlockByNumber", json!(["latest", false]))["result"].clone();
    let receipt = client.call("eth_getTransactionReceipt", json!([block["transactions"][0]]));
    let counter = receipt["result"]["contractAddress"].clone();

    // Three calls that meet at a slot, two transfers of one sender, and two of others.
    let gas = "0x186a0";
    for from in 0..3 {
        send(&mut client, json!({ "from": accounts[from], "to": counter, "gas": gas }));
    }
    for from in [3, 3, 4, 5] {
        send(&mut client, json!({ "from": accounts[from], "to": accounts[9], "value": "0x1" }));
    }
    client.call("evm_mine", json!([]));
    let receipts = client.call("eth_getBlockReceipts", json!(["latest"]))["result"].clone();
    let receipts = receipts.as_array().unwrap();
    assert_eq!(receipts.len(), 7);
    let used = |from: &Value| -> u64 {
        let sent = receipts.iter().filter(|receipt| receipt["from"] == *from);
        sent.map(|receipt| number(&receipt["gasUsed"])).sum()
    };

    let report = client.call("warp_blockParallelism", json!(["0x2"]))["result"].clone();
    assert_eq!(report["hash"], receipts[0]["blockHash"]);
    let total: u64 = receipts.iter().map(|receipt| number(&receipt["gasUsed"])).sum();
    assert_eq!(number(&report["gasUsed"]), total);
    assert_eq!(
        (&report["transactions"], &report["dependentTransactions"]),
        (&json!("0x7"), &json!("0x3"))
    );
    let calls: u64 = (0..3).map(|from| used(&accounts[from])).sum();
    assert_eq!(number(&report["criticalPath"]["gas"]), calls);
    let indices = |of: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        let found = receipts.iter().filter(|receipt| of(receipt));
        found.map(|receipt| receipt["transactionIndex"].clone()).collect()
    };
    let to_counter = indices(&|receipt| receipt["to"] == counter);
    assert_eq!(report["criticalPath"]["transactions"], json!(to_counter));
    let attainable = report["attainableSpeedup"].as_f64().unwrap();
    assert!((attainable - total as f64 / calls as f64).abs() < 1e-9, "{report}");
    let slot = format!("0x{:064x}", 0);
    let hot = json!([
        { "kind": "storage", "address": counter, "slot": slot, "writers": "0x3", "dependents": "0x2" },
        { "kind": "nonce", "address": accounts[3], "writers": "0x2", "dependents": "0x1" },
    ]);
    assert_eq!(report["hotLocations"], hot);
    let execution = &report["execution"];
    // So small a block may be left to one of the two.
    assert!((1..=2).contains(&number(&execution["threads"])), "{report}");
    assert!(number(&execution["executions"]) >= 7, "{report}");
    assert!(execution["speedup"].as_f64().unwrap() > 0.0, "{report}");

    client.call("evm_mine", json!([]));
    let empty = client.call("warp_blockParallelism", json!([]))["result"].clone();
    assert_eq!((&empty["number"], &empty["attainableSpeedup"]), (&json!("0x3"), &json!(1.0)));
    assert_eq!(empty["criticalPath"], json!({ "gas": "0x0", "transactions": [] }));
    let missing = client.call("warp_blockParallelism", json!(["0x9"]));
    assert_eq!(missing["error"]["message"], "block #9 not found");
    let genesis = client.call("warp_blockParallelism", json!(["earliest"]));
    assert_eq!(genesis["error"]["message"], "genesis is not traceable");

    // One more, and one with a gap before it.
    send(&mut client, json!({ "from": accounts[6], "to": accounts[9], "value": "0x1" }));
    send(&mut client, json!({ "from": accounts[7], "to": accounts[9], "nonce": "0x5" }));
    let pool = client.call("warp_poolStatistics", json!([]))["result"].clone();
    for (name, value) in
        [("pending", 1), ("queued", 1), ("senders", 2), ("added", 10), ("mined", 8), ("refused", 0)]
    {
        assert_eq!(number(&pool[name]), value, "{name}: {pool}");
    }
}

#[test]
fn a_block_that_was_made_before_the_start_has_no_execution() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    node.client().call("evm_mine", json!([]));
    node.terminate();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let report = node.client().call("warp_blockParallelism", json!(["0x1"]))["result"].clone();
    assert_eq!(report["execution"], Value::Null, "{report}");
    assert_eq!(report["number"], "0x1");
}

#[test]
fn it_is_served_to_this_machine_and_to_others_only_when_asked_for() {
    let pool = |node: &Node| node.client().call("warp_poolStatistics", json!([]));
    let (_dir, node) = small(&[]);
    assert_eq!(pool(&node)["result"]["pending"], "0x0");
    let (_dir, node) = small(&["--http.api", "eth"]);
    assert_eq!(pool(&node)["error"]["code"], -32601);
    let (_dir, node) = small(&["--http.api", "eth,warp"]);
    let modules = node.client().call("rpc_modules", json!([]))["result"].clone();
    assert_eq!(modules, json!({ "eth": "1.0", "rpc": "1.0", "warp": "1.0" }));
    assert_eq!(pool(&node)["result"]["pending"], "0x0");
}
