//! Who may ask: hosts, origins, content types, namespaces.

use crate::node::{small, warpline};
use serde_json::json;
use std::process::Output;

const CHAIN_ID: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn names_that_are_not_this_host_are_refused() {
    let (_dir, node) = small(&[]);
    let ask = |host: &str| node.client().request("POST", &[JSON, ("host", host)], CHAIN_ID).status;
    assert_eq!((ask("localhost:8545"), ask("192.168.1.7"), ask("[::1]:1")), (200, 200, 200));
    assert_eq!((ask("evil.example"), ask("evil.example:8545")), (403, 403));
    let (_dir, node) = small(&["--http.vhosts", "node.example,localhost"]);
    let ask = |host: &str| node.client().request("POST", &[JSON, ("host", host)], CHAIN_ID).status;
    assert_eq!((ask("node.example"), ask("other.example")), (200, 403));
}

#[test]
fn only_json_is_taken_by_post() {
    let (_dir, node) = small(&[]);
    let ask = |method: &str, headers: &[(&str, &str)], body: &[u8]| {
        node.client().request(method, headers, body).status
    };
    assert_eq!(ask("POST", &[("content-type", "application/json; charset=UTF-8")], CHAIN_ID), 200);
    // A page may send this without asking first.
    assert_eq!(ask("POST", &[("content-type", "text/plain")], CHAIN_ID), 415);
    assert_eq!(ask("POST", &[], CHAIN_ID), 415);
    assert_eq!((ask("GET", &[], b""), ask("PUT", &[JSON], CHAIN_ID)), (200, 405));
}

#[test]
fn pages_may_read_answers_where_they_are_let() {
    let preflight = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let post = [JSON, ("origin", "https://app.example")];
    let allowed = "access-control-allow-origin";

    let (_dir, node) = small(&["--http.corsdomain", "https://app.example"]);
    let answer = node.client().request("OPTIONS", &preflight, b"");
    assert_eq!(answer.header(allowed), Some("https://app.example"), "{answer:?}");
    assert!(answer.status < 300 && answer.header("access-control-allow-headers").is_some());
    let answer = node.client().request("POST", &post, CHAIN_ID);
    assert_eq!(answer.header(allowed), Some("https://app.example"));
    let other = [JSON, ("origin", "https://evil.example")];
    assert_eq!(node.client().request("POST", &other, CHAIN_ID).header(allowed), None);

    let (_dir, node) = small(&["--http.corsdomain", "*"]);
    assert_eq!(node.client().request("POST", &post, b"{").header(allowed), Some("*"));

    let (_dir, node) = small(&[]);
    assert_eq!(node.client().request("OPTIONS", &preflight, b"").header(allowed), None);
}

#[test]
fn long_answers_are_compressed_for_those_who_can_read_that() {
    let (_dir, node) = small(&[]);
    let call = |id: usize| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["latest", true] });
    let batch = json!([call(1), call(2), call(3)]).to_string();
    let gzip = [JSON, ("accept-encoding", "gzip, deflate")];
    let answer = node.client().request("POST", &gzip, batch.as_bytes());
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&answer.body[..]), &mut text)
        .unwrap();
    assert_eq!(text.as_bytes(), node.client().post(batch.as_bytes()).body);
    assert_eq!(node.client().request("POST", &gzip, CHAIN_ID).header("content-encoding"), None);
}

#[test]
fn namespaces_are_served_where_they_are_asked_for() {
    let (_dir, node) = small(&["--http.api", "net,debug", "--ws.api", "eth"]);
    let code = |method: &str, params| node.client().call(method, params)["error"]["code"].clone();
    let header = code("debug_getRawHeader", json!(["0x0"]));
    assert_eq!((code("net_version", json!([])), header), (json!(null), json!(null)));
    for method in ["eth_chainId", "web3_clientVersion"] {
        assert_eq!(code(method, json!([])), -32601, "{method}");
    }
    let modules = node.client().call("rpc_modules", json!([]));
    assert_eq!(modules["result"], json!({ "debug": "1.0", "net": "1.0", "rpc": "1.0" }));
    let fails = |args: &[&str]| -> String {
        let dir = tempfile::tempdir().unwrap();
        let Output { status, stderr, .. } =
            warpline(&["node", "--chain", "sepolia"], dir.path()).args(args).output().unwrap();
        assert_eq!(status.code(), Some(1));
        String::from_utf8(stderr).unwrap()
    };
    let said = fails(&["--http.port", "0", "--http.api", "eth,nett"]);
    assert!(said.contains("there is no namespace `nett`"), "{said}");
    let said = fails(&["--http.port", node.address.rsplit(':').next().unwrap()]);
    assert!(said.contains("cannot listen on 127.0.0.1"), "{said}");
}
