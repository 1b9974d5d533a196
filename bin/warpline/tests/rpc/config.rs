//! `warpline node --config FILE`.

use crate::node::{Node, warpline};
use serde_json::json;
use std::fs;

#[test]
fn a_node_takes_its_flags_from_a_file_and_the_command_line_has_precedence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    let text = r#"
        dev = true
        "dev.chain-id" = 777
        "dev.accounts" = 3
        http.api = ["eth", "net"]
        http.port = 1
        log.format = "json"
    "#;
    fs::write(&file, text).unwrap();
    // The port of the file would be refused to most users.
    let file = file.to_str().unwrap();
    let node = Node::start(dir.path(), &["--config", file, "--dev.accounts", "2"]);
    let mut client = node.client();
    assert_eq!(client.call("eth_chainId", json!([]))["result"], "0x309");
    assert_eq!(client.call("eth_accounts", json!([]))["result"].as_array().unwrap().len(), 2);
    assert_eq!(client.call("debug_getRawHeader", json!(["latest"]))["error"]["code"], -32601);
    let line = node.line("listening");
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    node.terminate();
}

#[test]
fn a_file_that_cannot_be_used_is_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    fs::write(&file, "dev = true\nhttp.prot = 1\n").unwrap();
    let run = |file: &str| {
        let output = warpline(&["node", "--config", file], dir.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(file.to_str().unwrap());
    assert_eq!(code, Some(2), "{said}");
    let words = format!("{}:2: `http.prot`: there is no such setting", file.display());
    assert!(said.contains(&words), "{said}");
    let (code, said) = run("/nowhere/node.toml");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--config /nowhere/node.toml: No such file"), "{said}");
}

#[test]
fn a_chain_that_is_there_keeps_its_id() {
    let dir = tempfile::tempdir().unwrap();
    Node::start(dir.path(), &["--dev", "--dev.chain-id", "777"]).terminate();
    let other = warpline(&["node", "--dev", "--dev.chain-id", "5"], dir.path()).output().unwrap();
    let said = String::from_utf8(other.stderr).unwrap();
    assert!(said.contains("--dev.chain-id 5: the chain has the id 777 already"), "{said}");
    assert_eq!(other.status.code(), Some(1));
    let node = Node::start(dir.path(), &["--dev"]);
    assert!(!node.line("Accounts").contains("ETH each"), "what they have is not known");
    assert!(node.line("Next: in MetaMask").contains("chain id 777"));
    node.terminate();
}
