//! `eth_subscribe`.

use crate::setup::Dev;
use alloy_primitives::{B256, TxKind};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn heads_logs_and_pending_transactions_come_in_order() {
    let dev = Dev::start();
    let emitter = dev.emitter();
    let mut client = dev.client();
    let heads = client.subscribe(json!(["newHeads"]));
    let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
    // Tools put a range into the filter.
    let filter = json!({ "address": emitter, "topics": [two], "fromBlock": "latest" });
    let mut others = dev.client();
    let logs = others.subscribe(json!(["logs", filter]));
    let mut third = dev.client();
    let hashes = third.subscribe(json!(["newPendingTransactions"]));
    let mut fourth = dev.client();
    let whole = fourth.subscribe(json!(["newPendingTransactions", true]));

    let first = dev.send(1, TxKind::Call(emitter), one.to_vec().into());
    let second = dev.send(2, TxKind::Call(emitter), two.to_vec().into());
    assert_eq!(third.next(&hashes), json!(first));
    assert_eq!(third.next(&hashes), json!(second));
    let pending = fourth.next(&whole);
    assert_eq!((&pending["hash"], &pending["blockHash"]), (&json!(first), &json!(null)));
    dev.mine();
    let head = client.next(&heads);
    let block = client.call("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(head["number"], "0x2");
    for field in ["hash", "parentHash", "stateRoot", "logsBloom", "timestamp", "baseFeePerGas"] {
        assert_eq!(head[field], block[field], "{field}");
    }
    let log = others.next(&logs);
    assert_eq!(log["transactionHash"], json!(second));
    assert_eq!((&log["logIndex"], &log["removed"]), (&json!("0x1"), &json!(false)));
    assert_eq!(log["blockHash"], head["hash"]);
    let receipt = client.call("eth_getTransactionReceipt", json!([second]));
    assert_eq!(receipt["logs"][0], log);
    for number in 3..50 {
        dev.mine();
        assert_eq!(client.next(&heads)["number"], json!(format!("{number:#x}")));
    }
}

#[test]
fn logs_that_leave_the_chain_are_taken_back() {
    let dev = Dev::start();
    let emitter = dev.emitter();
    let mut client = dev.client();
    let logs = client.subscribe(json!(["logs", { "address": emitter }]));
    let mut others = dev.client();
    let heads = others.subscribe(json!(["newHeads"]));
    let snapshot = dev.node.snapshot().unwrap();
    dev.send(1, TxKind::Call(emitter), B256::repeat_byte(1).to_vec().into());
    dev.mine();
    let log = client.next(&logs);
    let gone = others.next(&heads);
    assert!(dev.node.revert(snapshot).unwrap());
    let mut removed = client.next(&logs);
    assert_eq!(removed["removed"], true);
    removed["removed"] = json!(false);
    assert_eq!(removed, log);
    dev.mine();
    let head = others.next(&heads);
    assert_eq!(head["number"], gone["number"]);
    assert_ne!(head["hash"], gone["hash"]);
}

#[test]
fn subscriptions_end_when_they_are_told_to() {
    let dev = Dev::start();
    let mut client = dev.client();
    let heads = client.subscribe(json!(["newHeads"]));
    let more = client.subscribe(json!(["newHeads"]));
    assert_ne!(heads, more);
    assert_eq!(client.call("eth_unsubscribe", json!([heads])), true);
    for _ in 0..300 {
        let short = client.subscribe(json!(["newHeads"]));
        assert_eq!(client.call("eth_unsubscribe", json!([short])), true);
    }
    assert_eq!(client.ask("eth_unsubscribe", json!([heads]))["result"], false);
    dev.mine();
    assert_eq!(client.next(&more)["number"], "0x1");
    let syncing = dev.client().subscribe(json!(["syncing"]));
    assert!(syncing.is_string());
    for (params, words) in [
        (json!([]), "missing value for required argument 0 (subscription name)"),
        (json!(["newMoon"]), "invalid argument 0 (subscription name)"),
        (json!(["logs", { "address": 7 }]), "invalid argument 1 (filter)"),
    ] {
        let answer = client.ask("eth_subscribe", params);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
    }
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let dev = Dev::start();
    let mut deaf: Vec<_> = (0..4).map(|_| dev.client()).collect();
    for client in &mut deaf {
        for _ in 0..20 {
            client.subscribe(json!(["newHeads"]));
        }
    }
    let mut client = dev.client();
    let heads = client.subscribe(json!(["newHeads"]));
    let start = Instant::now();
    for number in 1..=1500 {
        dev.mine();
        assert_eq!(client.next(&heads)["number"], json!(format!("{number:#x}")));
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    drop(deaf);
    dev.mine();
    assert_eq!(client.next(&heads)["number"], json!(format!("{:#x}", 1501)));
}
