//! What flags say there may be of something, and what is answered where there is more.

use crate::{client::Client, node::Node};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CODE: &str = "0x00000000000000000000000000000000000000c1";

/// Emits three logs without data: `log0` three times.
const LOGS: &str = "0x5f5fa05f5fa05f5fa0";
/// Returns the gas that is left.
const GAS: &str = "0x5a5f5260205ff3";
/// Never ends.
const LOOP: &str = "0x5b5f56";

fn start(flags: &[&str]) -> (tempfile::TempDir, Node, Client) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &[&["--dev", "--no-mining"], flags].concat());
    let client = node.client();
    (dir, node, client)
}

/// The code and the words of a refusal.
#[track_caller]
fn refused(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    (
        error["code"].as_i64().unwrap_or_else(|| panic!("{answer}")),
        error["message"].as_str().unwrap(),
    )
}

/// A call of code that an override puts there.
fn call(code: &str) -> [Value; 3] {
    let transaction = json!({ "to": CODE, "gas": "0xffffffffff" });
    [transaction, json!("latest"), json!({ CODE: { "code": code } })]
}

#[test]
fn calls_use_no_more_gas_than_they_may_and_answers_are_no_longer() {
    let flags =
        ["--rpc.gascap", "100000", "--rpc.max-response-size", "1", "--rpc.max-request-size", "1"];
    let (_dir, _node, mut client) = start(&flags);
    let left = client.call("eth_call", json!(call(GAS)))["result"].clone();
    let left = u64::from_str_radix(&left.as_str().unwrap()[2..], 16).unwrap();
    assert!((70_000..100_000 - 21_000).contains(&left), "{left}");
    let answer = client.call("eth_estimateGas", json!(call(LOOP)));
    assert_eq!(refused(&answer), (-32000, "gas required exceeds allowance (100000)"));

    // Twenty-five thousand steps take more than a megabyte to write down.
    let [transaction, block, overrides] = call(LOOP);
    let traced = json!([transaction, block, { "stateOverrides": overrides }]);
    let answer = client.call("debug_traceCall", traced);
    let (code, words) = refused(&answer);
    assert!(code == -32008 && words.contains("too big"), "{code}: {words}");
    let few = json!([transaction, block, { "stateOverrides": overrides, "limit": 100 }]);
    let steps = client.call("debug_traceCall", few)["result"]["structLogs"].clone();
    assert_eq!(steps.as_array().map(Vec::len), Some(100));

    let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let padded = |length: usize| format!("{request}{}", " ".repeat(length - request.len()));
    assert_eq!(client.post(padded(1 << 20).as_bytes()).json()["result"], "0x7a69");
    let answer = client.post(padded((1 << 20) + 1).as_bytes());
    assert_eq!(answer.status, 413);
    let body = answer.json();
    assert_eq!(refused(&body), (-32600, "content length too large (limit 1048576)"));
}

#[test]
fn a_call_that_takes_too_long_is_given_up() {
    let (_dir, _node, mut client) = start(&["--rpc.gascap", "0", "--rpc.evmtimeout", "0.2"]);
    let [transaction, block, overrides] = call(LOOP);
    let traced =
        json!([transaction, block, { "stateOverrides": overrides, "tracer": "callTracer" }]);
    for (method, params) in [("eth_call", json!(call(LOOP))), ("debug_traceCall", traced)] {
        let start = Instant::now();
        let answer = client.call(method, params);
        let words = (-32000, "execution aborted (timeout = 200ms)");
        assert_eq!(refused(&answer), words, "{method}");
        let took = start.elapsed();
        assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&took), "{took:?}");
    }
}

#[test]
fn a_request_that_takes_too_long_is_answered() {
    let flags = ["--rpc.gascap", "0", "--rpc.evmtimeout", "3", "--rpc.timeout", "0.2"];
    let (_dir, _node, mut client) = start(&flags);
    let start = Instant::now();
    let answer = client.call("eth_call", json!(call(LOOP)));
    assert_eq!(refused(&answer), (-32002, "request timed out"));
    let took = start.elapsed();
    assert!((Duration::from_millis(200)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[test]
fn logs_are_looked_for_in_so_many_blocks_and_come_in_such_numbers() {
    let flags = ["--rpc.rangelimit", "3", "--rpc.max-logs-per-response", "4"];
    let (_dir, _node, mut client) = start(&flags);
    let mut result = |method: &str, params: Value| {
        let answer = client.call(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    };
    result("anvil_setCode", json!([CODE, LOGS]));
    let from = result("eth_accounts", json!([]))[0].clone();
    // Three logs in each of blocks 1 and 2, none in the next two.
    for _ in 0..2 {
        result("eth_sendTransaction", json!([{ "from": from, "to": CODE, "gas": "0x186a0" }]));
        result("evm_mine", json!([]));
    }
    result("anvil_mine", json!([2]));
    let range = |from: u64, to: u64| json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") }]);
    for (from, to, logs) in [(1, 1, 3), (2, 4, 3), (0, 1, 3), (3, 4, 0)] {
        let found = result("eth_getLogs", range(from, to));
        assert_eq!(found.as_array().map(Vec::len), Some(logs), "{from} to {to}");
    }
    let filter = result("eth_newFilter", range(0, 3));
    // Nobody repeats these: they would fail again.
    let many = client.call("eth_getLogs", range(1, 2));
    assert_eq!(refused(&many), (-32602, "query exceeds max results 4"));
    let wide = client.call("eth_getLogs", range(1, 4));
    assert_eq!(refused(&wide), (-32602, "exceed maximum block range: 3"));
    let filtered = client.call("eth_getFilterLogs", json!([filter]));
    assert_eq!(refused(&filtered), (-32602, "exceed maximum block range: 3"));
}
