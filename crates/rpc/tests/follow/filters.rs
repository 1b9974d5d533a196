//! `eth_newFilter` and what belongs to it.

use crate::setup::Dev;
use alloy_primitives::{B256, TxKind};
use serde_json::{Value, json};
use warpline_rpc::RpcConfig;

fn word(byte: u8) -> alloy_primitives::Bytes {
    B256::repeat_byte(byte).to_vec().into()
}

#[test]
fn every_entry_comes_once() {
    let dev = Dev::start();
    let emitter = dev.emitter();
    let mut client = dev.client();
    let blocks = client.call("eth_newBlockFilter", json!([]));
    let pending = client.call("eth_newPendingTransactionFilter", json!([]));
    let filter =
        json!({ "address": [emitter], "topics": [[B256::repeat_byte(1), B256::repeat_byte(2)]] });
    let logs = client.call("eth_newFilter", json!([filter]));
    let mut changes = |id: &Value| client.call("eth_getFilterChanges", json!([id]));
    for id in [&blocks, &pending, &logs] {
        assert_eq!(changes(id), json!([]), "what was before is of no interest");
    }
    let hashes = [1, 2, 3].map(|byte| dev.send(byte.into(), TxKind::Call(emitter), word(byte)));
    assert_eq!(changes(&pending), json!(hashes));
    assert_eq!(changes(&pending), json!([]));
    dev.mine();
    dev.mine();
    let found = changes(&blocks);
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(changes(&blocks), json!([]));
    let found = changes(&logs);
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found[1]["transactionHash"], json!(hashes[1]));
    assert_eq!(changes(&logs), json!([]));
    let mut client = dev.client();
    let range = json!({ "fromBlock": "0x0", "toBlock": "latest", "address": emitter });
    let all = client.call("eth_newFilter", json!([range]));
    let found = client.call("eth_getFilterLogs", json!([all]));
    assert_eq!(found.as_array().unwrap().len(), 3);
    assert_eq!(found, client.call("eth_getLogs", json!([range])));
    assert_eq!(client.call("eth_uninstallFilter", json!([all])), true);
    assert_eq!(client.call("eth_uninstallFilter", json!([all])), false);
    for method in ["eth_getFilterChanges", "eth_getFilterLogs"] {
        let answer = client.ask(method, json!([all]));
        assert_eq!(answer["error"], json!({ "code": -32000, "message": "filter not found" }));
    }
    assert_eq!(client.ask("eth_getFilterLogs", json!([blocks]))["error"]["code"], -32000);
}

#[test]
fn logs_of_blocks_that_have_left_are_taken_back() {
    let dev = Dev::start();
    let emitter = dev.emitter();
    let mut client = dev.client();
    let logs = client.call("eth_newFilter", json!([{ "address": emitter }]));
    let blocks = client.call("eth_newBlockFilter", json!([]));
    let snapshot = dev.node.snapshot().unwrap();
    dev.send(1, TxKind::Call(emitter), word(1));
    dev.mine();
    dev.send(2, TxKind::Call(emitter), word(2));
    dev.mine();
    let mut changes = |id: &Value| client.call("eth_getFilterChanges", json!([id]));
    assert_eq!(changes(&logs).as_array().unwrap().len(), 2);
    assert_eq!(changes(&blocks).as_array().unwrap().len(), 2);
    assert!(dev.node.revert(snapshot).unwrap());
    dev.mine();
    let found = changes(&logs);
    let found = found.as_array().unwrap();
    assert!(found.len() >= 2, "{found:?}");
    let topics: Vec<_> = found.iter().map(|log| (&log["topics"][0], &log["removed"])).collect();
    let (one, two) = (json!(B256::repeat_byte(1)), json!(B256::repeat_byte(2)));
    assert_eq!(topics[..2], [(&two, &json!(true)), (&one, &json!(true))]);
    assert_eq!(changes(&blocks).as_array().unwrap().len(), 1);
}

#[test]
fn more_logs_than_fit_come_the_next_time() {
    let dev = Dev::with(RpcConfig { logs: 3, ..RpcConfig::default() });
    let emitter = dev.emitter();
    let mut client = dev.client();
    let logs = client.call("eth_newFilter", json!([{ "address": emitter }]));
    for nonce in 1..=10 {
        dev.send(nonce, TxKind::Call(emitter), word(1));
        if nonce % 2 == 0 {
            dev.mine();
        }
    }
    let mut found = Vec::new();
    for _ in 0..5 {
        let Value::Array(some) = client.call("eth_getFilterChanges", json!([logs])) else {
            panic!()
        };
        assert!(some.len() <= 4, "{some:?}");
        found.extend(some);
    }
    let place = |log: &Value| (log["blockNumber"].to_string(), log["logIndex"].to_string());
    let mut places: Vec<_> = found.iter().map(place).collect();
    assert_eq!(places.len(), 10);
    places.dedup();
    assert_eq!(places.len(), 10, "none comes twice");
    let answer = client.ask("eth_getLogs", json!([{ "fromBlock": "0x0" }]));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}
