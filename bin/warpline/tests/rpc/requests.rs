//! What is no request, or too much of one: it gets an answer that says so, and the node goes on.

use crate::{
    client::{Answer, Client},
    node::{Node, RICH, small},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

thread_local! {
    /// The node of a test, which has a thread of its own. It ends before its folder goes.
    static NODE: (Node, tempfile::TempDir) = {
        let (dir, node) = small(&[]);
        (node, dir)
    };
}

fn client() -> Client {
    NODE.with(|(node, _)| node.client())
}

/// The code and the words of an error.
#[track_caller]
fn error(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    assert!(answer.get("result").is_none(), "{answer}");
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap())
}

fn post(body: &str) -> Answer {
    client().post(body.as_bytes())
}

#[track_caller]
fn still_there() {
    assert_eq!(client().call("eth_chainId", json!([]))["result"], "0x539");
}

#[test]
fn parameters_may_be_a_list_null_or_absent() {
    for params in [r#","params":[]"#, r#","params":null"#, ""] {
        let answer =
            post(&format!(r#"{{"jsonrpc":"2.0","id":"a","method":"eth_chainId"{params}}}"#));
        assert_eq!(answer.json(), json!({ "jsonrpc": "2.0", "id": "a", "result": "0x539" }));
    }
}

#[test]
fn an_unknown_method_is_named() {
    let answer = client().call("eth_nonsense", json!([]));
    let words = "the method eth_nonsense does not exist/is not available";
    assert_eq!(error(&answer), (-32601, words));
    assert_eq!(error(&client().call("anvil_nodeInfo", Value::Null)).0, -32601);
    let subscribing = client().call("eth_subscribe", json!(["newHeads"]));
    assert_eq!(error(&subscribing), (-32601, "notifications not supported"));
}

#[test]
fn what_is_no_json_or_no_request_is_told_apart() {
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        ("[{]", -32700),
        ("7", -32600),
        ("{}", -32600),
        ("[]", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#, -32600),
    ] {
        let answer = post(body).json();
        assert_eq!(error(&answer).0, code, "{body}: {answer}");
    }
    let mixed = post(r#"[7,{"jsonrpc":"2.0","id":3,"method":"eth_chainId"},{"id":4}]"#).json();
    assert_eq!(mixed[0]["error"]["code"], -32600);
    assert_eq!(mixed[1], json!({ "jsonrpc": "2.0", "id": 3, "result": "0x539" }));
    assert_eq!((&mixed[2]["id"], &mixed[2]["error"]["code"]), (&json!(4), &json!(-32600)));
    still_there();
}

#[test]
fn wrong_parameters_are_named() {
    for (method, params, words) in [
        ("eth_getBalance", json!([]), "missing value for required argument 0 (address)"),
        ("eth_getBalance", json!(["0x12"]), "invalid argument 0 (address)"),
        ("eth_getBalance", json!([7]), "invalid argument 0 (address)"),
        ("eth_getBalance", json!([RICH, "0x"]), "invalid argument 1 (block)"),
        ("eth_getBalance", json!([RICH, "0x01"]), "leading zero"),
        ("eth_getBalance", json!([RICH, "newest"]), "invalid argument 1 (block)"),
        ("eth_getBalance", json!([RICH, "0xffffffffffffffffff"]), "64 bits"),
        ("eth_getBalance", json!({ "address": RICH }), "non-array args"),
        ("eth_getBlockByNumber", json!(["latest", "yes"]), "invalid argument 1"),
        ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x0" }]), "invalid block range"),
        ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x2" }]), "beyond current head"),
        ("eth_getLogs", json!([{ "topics": "0x" }]), "invalid argument 0 (filter)"),
        ("eth_call", json!([7]), "invalid argument 0 (transaction)"),
        ("eth_chainId", json!([1]), "too many arguments, want at most 0"),
        ("eth_getBalance", json!([RICH, "latest", 1]), "too many arguments, want at most 2"),
        ("eth_call", json!([{}, "latest", {}, {}, {}]), "too many arguments, want at most 4"),
        ("eth_sendRawTransaction", json!(["0x", "0x"]), "too many arguments, want at most 1"),
        ("eth_getLogs", json!([{}, "latest"]), "too many arguments, want at most 1"),
    ] {
        let answer = client().call(method, params.clone());
        let (code, message) = error(&answer);
        assert_eq!(code, -32602, "{method} {params}: {answer}");
        assert!(message.contains(words), "{method} {params}: {message}");
        for leak in ["struct", "enum", " line ", " column "] {
            assert!(!message.contains(leak), "{method} {params}: {message}");
        }
    }
    // What JavaScript had nothing to say for is not a parameter.
    let answer = client().call("eth_getBalance", json!([RICH, "latest", null]));
    assert!(answer["result"].is_string(), "{answer}");
    let answer = client().call("eth_getBalance", json!([RICH, "0x7"]));
    assert_eq!(error(&answer), (-32000, "header not found"));
    let answer = client().call("eth_feeHistory", json!([1, "0x7", null]));
    assert_eq!(error(&answer), (-32000, "request beyond head block: requested 7, head 0"));
    let answer = client().call("eth_feeHistory", json!(["0x1", "latest", [50, 20]]));
    assert!(error(&answer).1.starts_with("invalid reward percentile"), "{answer}");
}

#[test]
fn a_batch_is_answered_entry_by_entry_up_to_a_thousand() {
    let call = |id: usize| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId" });
    let batch: Vec<_> = (0..1000).map(call).collect();
    let answers = post(&json!(batch).to_string()).json();
    assert_eq!(answers.as_array().unwrap().len(), 1000);
    assert_eq!(answers[999], json!({ "jsonrpc": "2.0", "id": 999, "result": "0x539" }));
    let batch: Vec<_> = (5..1006).map(call).collect();
    let answers = post(&json!(batch).to_string()).json();
    assert_eq!(answers.as_array().unwrap().len(), 1);
    assert_eq!((&answers[0]["id"], error(&answers[0])), (&json!(5), (-32600, "batch too large")));
    let notifications = post(r#"[{"jsonrpc":"2.0","method":"eth_chainId"}]"#);
    assert!(notifications.status == 200 && matches!(&notifications.body[..], b"" | b"null"));
}

#[test]
fn the_answers_to_a_batch_have_a_limit() {
    let (_dir, node) = small(&["--rpc.batch-response-max-size", "5000"]);
    let call = |id: usize| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x0", false] });
    let batch: Vec<_> = (0..9).map(call).collect();
    let answers = node.client().post(json!(batch).to_string().as_bytes()).json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 9);
    assert!(answers[0].get("result").is_some());
    assert_eq!(error(&answers[8]), (-32003, "response too large"));
    assert_eq!(answers[8]["id"], 8);
}

#[test]
fn a_body_that_is_too_long_gets_an_answer() {
    let mut client = client();
    let answer = client.post(&vec![b' '; (15 << 20) + 1]);
    assert_eq!(answer.status, 413);
    assert_eq!(error(&answer.json()).0, -32600);
    // What fits is taken, however odd.
    let padded =
        format!("{}{}", r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#, " ".repeat(14 << 20));
    assert_eq!(client.post(padded.as_bytes()).json()["result"], "0x539");
}

#[test]
fn depth_and_size_do_no_harm() {
    let deep = |open: &str, close: &str, depth: usize| {
        let value = format!("{}{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{value}]}}"#)
    };
    for body in [deep("[", "]", 1_000_000), deep(r#"{"a":"#, "1}", 100_000), "[".repeat(3_000_000)]
    {
        assert!(post(&body).json().get("error").is_some());
    }
    let long = format!("0x{}", "f".repeat(1 << 20));
    for params in [json!([long]), json!([RICH, long]), json!([1e300]), json!([-1])] {
        assert_eq!(error(&client().call("eth_getBalance", params)).0, -32602);
    }
    let number = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_feeHistory","params":[{},"latest",[]]}}"#,
        "9".repeat(1 << 20)
    );
    assert_eq!(error(&post(&number).json()).0, -32602);
    let method = "m".repeat(1 << 20);
    assert!(error(&client().call(&method, json!([]))).1.len() < 200);
    still_there();
}

#[test]
fn half_a_request_keeps_nobody_waiting() {
    let address = NODE.with(|(node, _)| node.address.clone());
    let mut silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut silent {
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
            .unwrap();
    }
    let start = Instant::now();
    still_there();
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    let (_dir, node) = small(&["--rpc.max-connections", "3"]);
    let mut clients: Vec<_> = (0..3).map(|_| node.client()).collect();
    for client in &mut clients {
        assert_eq!(client.call("eth_chainId", json!([]))["result"], "0x539");
    }
    let mut one_more = TcpStream::connect(&node.address).unwrap();
    let mut answer = String::new();
    one_more.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(error(&body), (-32005, "too many connections (max 3)"));
    drop(clients.pop());
    let start = Instant::now();
    loop {
        let mut stream = TcpStream::connect(&node.address).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        let _reset = stream.read_to_string(&mut answer);
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{answer}");
    }
}

#[test]
fn a_node_ends_in_order_while_clients_are_connected() {
    let (_dir, node) = small(&[]);
    let mut client = node.client();
    client.call("eth_chainId", json!([]));
    let took = node.terminate();
    assert!(took < Duration::from_secs(5), "{took:?}");
}
