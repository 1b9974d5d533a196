//! `warpline load` against nodes of our own, for moments: what it counts is what happens.

use crate::node::{Node, small};
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

fn node(dir: &Path) -> Node {
    Node::start(dir, &["--dev", "--log.filter", "warn"])
}

fn load(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warpline"));
    command.arg("load").args(args).args(["--json", "-"]);
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn report(args: &[&str]) -> (Vec<Value>, String) {
    let output = load(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[track_caller]
fn refused(args: &[&str]) -> String {
    let output = load(args);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn reads_are_measured_at_every_node_in_turn() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes = [node(dirs[0].path()), node(dirs[1].path())];
    let rpc = nodes.each_ref().map(|node| format!("http://{}", node.address));
    let (figures, said) = report(&[
        "reads",
        "--rpc",
        &format!("one={}", rpc[0]),
        "--rpc",
        &rpc[1],
        "--connections",
        "4",
        "--duration",
        "0.05",
        "--rounds",
        "2",
    ]);
    let methods = ["eth_call", "eth_getBalance", "eth_getBlockByNumber", "eth_getLogs"];
    let of = |figure: &Value| (figure["method"].clone(), figure["node"].clone());
    let expected: Vec<_> = methods
        .iter()
        .flat_map(|m| [(json!(m), json!("one")), (json!(m), json!(rpc[1]))])
        .collect();
    assert_eq!(figures.iter().map(of).collect::<Vec<_>>(), expected);
    for figure in &figures {
        assert_eq!(figure["rounds"].as_array().unwrap().len(), 2);
        for rate in figure["rounds"].as_array().unwrap().iter().chain([&figure["median"]]) {
            assert!(rate["perSecond"].as_f64().unwrap() > 0.0, "{figure}");
            assert!(rate["p50Ms"].as_f64() <= rate["p99Ms"].as_f64(), "{figure}");
        }
    }
    assert_eq!(said.lines().count(), 9, "{said}");
}

#[test]
fn what_is_sent_is_included_once_and_seen_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path());
    let rpc = format!("us=http://{}", node.address);
    let common = ["transactions", "--rpc", &rpc, "--connections", "8", "--duration", "60"];
    // The second round goes on where the first has ended; the run after that waits for receipts.
    let (rounds, _) = report(&[&common[..], &["--transactions", "400", "--rounds", "2"]].concat());
    let more = ["--transactions", "80", "--rounds", "1", "--receipts"];
    let (waiting, _) = report(&[&common[..], &more].concat());
    for (round, expected) in rounds.iter().chain(&waiting).zip([400, 400, 80]) {
        assert_eq!((&round["accepted"], &round["included"]), (&json!(expected), &json!(expected)));
        assert_eq!((&round["refused"], &round["problems"]), (&json!(0), &json!([])));
        assert!(round["observations"].as_u64().unwrap() > 0);
        assert!((1..=expected).contains(&round["blocks"].as_u64().unwrap()));
    }
}

#[test]
fn blocks_are_as_many_as_asked_for_and_memory_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path());
    let (rpc, pid) = (format!("us=http://{}", node.address), node.id().to_string());
    let of = ["blocks", "--rpc", &rpc, "--blocks", "20", "--transactions", "3", "--parts", "2"];
    let (samples, _) = report(&[&of[..], &["--pid", &pid]].concat());
    let seen: Vec<_> = samples.iter().map(|s| (&s["blocks"], &s["transactions"])).collect();
    let expected = [json!(0), json!(10), json!(30), json!(20), json!(60)];
    let [zero, ten, thirty, twenty, sixty] = &expected;
    assert_eq!(seen, [(zero, zero), (ten, thirty), (twenty, sixty)]);
    assert!(samples.iter().all(|sample| sample["memory"]["own"].as_u64().unwrap() > 1 << 20));
    let mut client = node.client();
    // One more has what was put into the chain beforehand.
    assert_eq!(client.call("eth_blockNumber", json!([]))["result"], "0x15");
}

#[test]
fn whatever_cannot_be_measured_is_said() {
    let said = refused(&["reads", "--rpc", "nobody=http://127.0.0.1:1"]);
    assert!(said.contains("connecting to 127.0.0.1:1"), "{said}");
    let two = ["--rpc", "a=http://127.0.0.1:1", "--rpc", "a=http://127.0.0.1:2"];
    let said = refused(&[&["reads"], &two[..]].concat());
    assert!(said.contains("two nodes have the name a"), "{said}");
    let said = refused(&["reads", "--rpc", "https://127.0.0.1:1"]);
    assert!(said.contains("not an http:// address"), "{said}");
    let said = refused(&["reads", "--rpc", "http://127.0.0.1:1", "--method", "eth_sign"]);
    assert!(said.contains("eth_getLogs"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path());
    let rpc = format!("http://{}", node.address);
    let said = refused(&["blocks", "--rpc", &rpc, "--pid", "1", "--pid", "2"]);
    assert!(said.contains("2 --pid for 1 --rpc"), "{said}");
    let (_dir, plain) = small(&[]);
    let said = refused(&["reads", "--rpc", &format!("http://{}", plain.address)]);
    assert!(said.contains("is it a development node?"), "{said}");
}
