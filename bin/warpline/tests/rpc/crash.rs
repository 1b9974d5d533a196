//! Nodes that are killed while they make blocks.

use crate::node::{Node, warpline};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    env,
    path::Path,
    time::{Duration, Instant},
};

/// How many times to kill: `NODE_KILLS`, which `make torture` sets.
fn kills() -> usize {
    env::var("NODE_KILLS").map_or(6, |kills| kills.parse().expect("a number"))
}

/// The last block that a node called written. Later ones may be.
fn reported(said: &str) -> Option<u64> {
    let heads = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = heads.rev().find(|line| line["message"] == "new head")?;
    last["written"].as_u64()
}

/// `warpline db verify` finds nothing; the number of the head.
fn verified(datadir: &Path) -> u64 {
    let output = warpline(&["db", "verify", "--json", "-"], datadir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["block"].as_u64().unwrap()
}

#[test]
fn a_killed_producer_keeps_what_it_has_written_and_goes_on_from_there() {
    let seed = env::var("NODE_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("NODE_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut head, mut sent) = (0, 0_u64);
    for kill in 0..kills() {
        let mining: &[&str] = match rng.random_ratio(1, 2) {
            true => &["--block-time", "0.005"],
            false => &[],
        };
        let args = [&["--dev", "--log.format", "json"], mining].concat();
        let node = Node::start(folder.path(), &args);
        let mut client = node.client();
        let until = Instant::now() + Duration::from_millis(rng.random_range(0..600));
        let accounts = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_accounts", "params": []});
        let accounts = client.post(accounts.to_string().as_bytes()).json();
        while Instant::now() < until {
            let from = &accounts["result"][rng.random_range(0..10)];
            let to = format!("0x{:040x}", rng.random_range(1_u64..1 << 40) << 16);
            let tx = json!({"from": from, "to": to, "value": "0x1", "gas": "0x5208"});
            let request = json!({
                "jsonrpc": "2.0", "id": 1, "method": "eth_sendTransaction", "params": [tx],
            });
            let answer = client.post(request.to_string().as_bytes()).json();
            assert!(answer["result"].is_string(), "kill {kill}: {answer}");
            sent += 1;
        }
        let said = node.kill();
        assert!(!said.contains("panicked"), "{said}");
        let written = reported(&said).unwrap_or(head);
        let found = verified(folder.path());
        assert!(found >= written.max(head), "{written} written, but the head is {found}");
        head = found;
    }
    println!("{} kills, {sent} transactions, {head} blocks", kills());
    assert!(head > 0 && sent > 0);
    let node = Node::start(folder.path(), &["--dev", "--no-mining"]);
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "evm_mine"}).to_string();
    assert_eq!(node.client().post(request.as_bytes()).json()["result"], "0x0");
    node.terminate();
    assert_eq!(verified(folder.path()), head + 1);
}
