//! What transactions are expected to touch: asked of a node, and of its data folder.

use crate::{
    client::Client,
    node::{Node, small, warpline},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Deploys a contract that counts the calls of everybody in a slot of their own: `caller`,
/// `sload`, 1, `add`, `caller`, `sstore`.
const TALLY: &str = "0x60088060095f395ff33354600101335500";

fn send(client: &mut Client, transaction: Value) -> Value {
    let sent = client.call("eth_sendTransaction", json!([transaction]));
    assert!(sent["result"].is_string(), "{sent}");
    sent["result"].clone()
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(&value.as_str().unwrap()[2..], 16).unwrap()
}

fn statistics(client: &mut Client) -> Value {
    client.call("warp_predictorStatistics", json!([]))["result"].clone()
}

/// Waits until so many blocks were learned from.
#[track_caller]
fn learned(client: &mut Client, blocks: u64) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let statistics = statistics(client);
        if number(&statistics["blocks"]) >= blocks {
            return statistics;
        }
        assert!(Instant::now() < end, "{statistics}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A node that has learned what calls of the tally do.
struct Taught {
    node: Node,
    accounts: Value,
    tally: Value,
    /// The hash of a call of the second account, in block 2.
    call: Value,
}

fn taught(dir: &Path) -> Taught {
    let node = Node::start(dir, &["--dev", "--no-mining"]);
    let mut client = node.client();
    let accounts = client.call("eth_accounts", json!([]))["result"].clone();
    let made = send(&mut client, json!({ "from": accounts[0], "data": TALLY, "gas": "0x186a0" }));
    client.call("evm_mine", json!([]));
    let receipt = client.call("eth_getTransactionReceipt", json!([made]))["result"].clone();
    let tally = receipt["contractAddress"].clone();
    let request = |from: usize| json!({ "from": accounts[from], "to": tally, "gas": "0x186a0" });
    send(&mut client, request(2));
    let call = send(&mut client, request(1));
    client.call("evm_mine", json!([]));
    learned(&mut client, 2);
    Taught { node, accounts, tally, call }
}

/// The slot of an account in the tally.
fn slot_of(account: &Value) -> String {
    format!("0x{:0>64}", &account.as_str().unwrap()[2..])
}

#[track_caller]
fn predicted(client: &mut Client, params: Value) -> Value {
    let answer = client.call("warp_predictAccessList", params);
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

#[track_caller]
fn refused(client: &mut Client, params: Value) -> (i64, String) {
    let error = client.call("warp_predictAccessList", params)["error"].clone();
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

/// That the slot of an account is expected to be written, by a formula, and no other.
#[track_caller]
fn assert_slot(prediction: &Value, tally: &Value, account: &Value) {
    let slots = prediction["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 1, "{prediction}");
    let slot = &slots[0];
    assert_eq!((&slot["address"], &slot["written"]), (tally, &json!(true)));
    assert_eq!(slot["slot"], slot_of(account));
    assert_eq!(slot["source"]["kind"], "template");
    assert_eq!(slot["source"]["codeHash"].as_str().unwrap().len(), 66);
    assert_eq!(slot["source"]["selector"], Value::Null);
    let confidence = slot["confidence"].as_f64().unwrap();
    assert!(confidence > 0.0 && confidence <= 1.0, "{slot}");
    assert_eq!(prediction["gaps"]["unseenCode"], "0x0");
}

#[test]
fn a_transaction_is_predicted_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let Taught { node, accounts, tally, call } = taught(dir.path());
    let mut client = node.client();

    // In the chain: on the state before its block.
    let mined = predicted(&mut client, json!([call]));
    assert_slot(&mined, &tally, &accounts[1]);
    assert_eq!(mined["state"]["number"], "0x1");
    let of = |address: &Value| {
        let accounts = mined["accounts"].as_array().unwrap();
        accounts.iter().find(|account| account["address"] == *address).unwrap().clone()
    };
    let sender = of(&accounts[1]);
    assert_eq!(
        (&sender["written"], &sender["source"]),
        (&json!(true), &json!({ "kind": "envelope" }))
    );
    let beneficiary = of(&json!("0x0000000000000000000000000000000000000000"));
    assert_eq!(beneficiary["commutative"], true);

    // A call of somebody who never called, on the latest state and on an earlier one.
    let request = json!({ "from": accounts[6], "to": tally });
    let latest = predicted(&mut client, json!([request]));
    assert_slot(&latest, &tally, &accounts[6]);
    assert_eq!(latest["state"]["number"], "0x2");
    let earlier = predicted(&mut client, json!([request, "0x1"]));
    assert_eq!(earlier["state"]["number"], "0x1");
    let before = predicted(&mut client, json!([request, "earliest"]));
    assert_eq!(before["slots"], json!([]), "there is no contract yet");

    // In the pool, and as it was sent.
    let waits = json!({ "from": accounts[4], "to": tally, "gas": "0x186a0", "value": "0x0" });
    let hash = send(&mut client, waits);
    let waiting = predicted(&mut client, json!([hash]));
    assert_slot(&waiting, &tally, &accounts[4]);
    let raw = client.call("eth_getRawTransactionByHash", json!([hash]))["result"].clone();
    assert_eq!(predicted(&mut client, json!([raw])), waiting);

    // What was never seen is a gap.
    let list = json!([{ "address": accounts[9], "storageKeys": [slot_of(&accounts[8])] }]);
    let unknown = json!({
        "from": accounts[5], "to": "0x4e59b44847b379578588920ca78fbf26c0b4956c", "accessList": list,
    });
    let unknown = predicted(&mut client, json!([unknown]));
    assert_eq!(unknown["gaps"]["unseenCode"], "0x1");
    assert_eq!(unknown["slots"][0]["source"], json!({ "kind": "accessList" }));
}

#[test]
fn what_cannot_be_predicted_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let missing = format!("0x{}", "ab".repeat(32));
    assert_eq!(
        refused(&mut client, json!([missing])),
        (-32000, "transaction not found".to_owned())
    );
    let (code, message) = refused(&mut client, json!([missing, "latest"]));
    assert_eq!((code, message.starts_with("invalid argument 1 (block)")), (-32602, true));
    let (code, message) = refused(&mut client, json!([]));
    let words = "missing value for required argument 0 (transaction)";
    assert_eq!((code, message.as_str()), (-32602, words));
    for wrong in [json!(5), json!("0xzz"), json!({ "to": "me" }), json!([1])] {
        let (code, message) = refused(&mut client, json!([wrong]));
        assert_eq!(code, -32602, "{wrong}: {message}");
        assert!(message.starts_with("invalid argument 0 (transaction): "), "{message}");
    }
    let (code, message) = refused(&mut client, json!(["0x0102030405"]));
    assert_eq!(code, -32000, "{message}");
    let other = json!({ "to": missing[..42], "chainId": "0x1" });
    let (_, message) = refused(&mut client, json!([other]));
    assert_eq!(message, "chainId does not match node's (have=1, want=31337)");
    let (_, message) = refused(&mut client, json!([{}, "0x99"]));
    assert_eq!(message, "header not found");

    let (_dir, node) = small(&["--predictor.memory", "0"]);
    let mut client = node.client();
    let words = "the predictor is off (--predictor.memory 0)";
    assert_eq!(refused(&mut client, json!([missing])), (-32000, words.to_owned()));
    let answer = client.call("warp_predictorStatistics", json!([]));
    assert_eq!(answer["error"]["message"], words);
}

#[test]
fn statistics_say_what_is_known_and_how_good_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let Taught { node, .. } = taught(dir.path());
    let statistics = statistics(&mut node.client());
    for (name, value) in [
        ("functions", 1),
        ("limit", 256 << 20),
        ("blocks", 2),
        ("droppedBlocks", 0),
        ("droppedTransactions", 0),
        ("failures", 0),
    ] {
        assert_eq!(number(&statistics[name]), value, "{name}: {statistics}");
    }
    assert!(number(&statistics["bytes"]) > 0);
    let score = &statistics["score"];
    assert_eq!((&score["blocks"], &score["transactions"]), (&json!("0x2"), &json!("0x3")));
    // Of two slots the first was not expected.
    assert_eq!(score["slots"], json!({ "precision": 1.0, "recall": 0.5 }));
    assert_eq!(score["slotsWritten"], json!({ "precision": 1.0, "recall": 0.5 }));
    assert_eq!(score["accounts"]["recall"], 1.0);
}

#[test]
fn knowledge_survives_a_restart_and_is_used_by_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let Taught { node, accounts, tally, call } = taught(dir.path());
    let request = json!({ "from": accounts[7], "to": tally, "gas": "0x186a0" });
    let hash = send(&mut node.client(), request.clone());
    let raw = node.client().call("eth_getRawTransactionByHash", json!([hash]))["result"].clone();
    node.terminate();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    node.line("the predictor remembers");
    assert_slot(&predicted(&mut node.client(), json!([request])), &tally, &accounts[7]);

    // The command reads beside the running node.
    let predict = |tx: &Value| {
        let output = warpline(&["predict", "--tx", tx.as_str().unwrap()], dir.path()).output();
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, text, errors) = predict(&call);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.starts_with("transaction 1 of block 2, "), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("right ")), "{text}");
    assert!(text.contains(&slot_of(&accounts[1])), "{text}");
    let (code, text, errors) = predict(&raw);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("after block 2") && text.contains(&slot_of(&accounts[7])), "{text}");
    assert!(!text.contains("right ") && text.contains("formula of any function"), "{text}");
    let (code, _, errors) = predict(&json!(format!("0x{}", "cd".repeat(32))));
    assert_eq!((code, errors.contains("the chain has no transaction")), (Some(1), true));

    node.terminate();
    let file = dir.path().join("predictor");
    std::fs::write(&file, "something else").unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let warned = node.line("set aside");
    assert!(warned.contains("not an archive of predictor knowledge"), "{warned}");
    assert_eq!(statistics(&mut node.client())["functions"], "0x0");
}
