//! What operators see of a node: figures for Prometheus, and logs.

use crate::{
    client::Client,
    node::{Node, warpline},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};
use tungstenite::stream::MaybeTlsStream;

const TRANSFERS: u64 = 7;

/// Sends transfers and waits until all have a receipt.
fn transfers(client: &mut Client) {
    let accounts = client.call("eth_accounts", json!([]))["result"].clone();
    let send = |client: &mut Client, from: usize| {
        let transfer = json!([{ "from": accounts[from], "to": accounts[9], "value": "0x1" }]);
        client.call("eth_sendTransaction", transfer)["result"].clone()
    };
    let hashes: Vec<Value> = (0..TRANSFERS as usize).map(|from| send(client, from % 5)).collect();
    for hash in hashes {
        let end = Instant::now() + Duration::from_secs(60);
        while client.call("eth_getTransactionReceipt", json!([hash]))["result"].is_null() {
            assert!(Instant::now() < end, "{hash} has no receipt");
        }
    }
}

/// The figures by name and labels.
fn scrape(address: &str) -> (BTreeMap<String, f64>, String) {
    let answer = Client::connect(address).get("/metrics");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    let text = String::from_utf8(answer.body).unwrap();
    let figures = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let figure = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    (figures.map(figure).collect(), text)
}

#[test]
fn prometheus_reads_what_the_node_has_done() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--metrics", "127.0.0.1:0"]);
    let line = node.line("metrics at ");
    let address = line.split("http://").nth(1).unwrap().strip_suffix("/metrics").unwrap();
    let mut client = node.client();
    transfers(&mut client);
    assert!(client.call("eth_getBalance", json!(["nobody"]))["error"].is_object());
    assert!(client.call("eth_noSuchMethod", json!([]))["error"].is_object());

    // The receipts are there a moment before the pool has heard of the block.
    let end = Instant::now() + Duration::from_secs(60);
    let (figures, text) = loop {
        let (figures, text) = scrape(address);
        if figures.get("warpline_txpool_mined_total") == Some(&(TRANSFERS as f64)) {
            break (figures, text);
        }
        assert!(Instant::now() < end, "{text}");
    };
    let figure = |name: &str| *figures.get(name).unwrap_or_else(|| panic!("no {name} in {text}"));
    let head = client.call("eth_blockNumber", json!([]))["result"].clone();
    let head = u64::from_str_radix(&head.as_str().unwrap()[2..], 16).unwrap() as f64;
    let all = TRANSFERS as f64;

    assert_eq!(figure("warpline_rpc_requests_total{method=\"eth_sendTransaction\"}"), all);
    assert_eq!(figure("warpline_rpc_errors_total{method=\"eth_sendTransaction\"}"), 0.0);
    assert_eq!(figure("warpline_rpc_requests_total{method=\"eth_getBalance\"}"), 1.0);
    assert_eq!(figure("warpline_rpc_errors_total{method=\"eth_getBalance\"}"), 1.0);
    assert_eq!(figure("warpline_rpc_refused_requests_total"), 1.0);
    let seconds = "warpline_rpc_request_duration_seconds";
    let of_send = |what: &str, more: &str| {
        figure(&format!("{seconds}_{what}{{method=\"eth_sendTransaction\"{more}}}"))
    };
    assert_eq!(of_send("count", ""), all);
    assert_eq!(of_send("bucket", ",le=\"+Inf\""), all);
    assert!(of_send("sum", "") > 0.0);
    assert!(!text.contains("eth_getLogs"), "what nobody calls has no figures");
    assert_eq!(figure("warpline_rpc_connections{socket=\"tcp\"}"), 1.0);

    assert_eq!(figure("warpline_chain_head"), head);
    assert_eq!(figure("warpline_blocks_made_total"), head);
    assert_eq!(figure("warpline_blocks_transactions_total"), all);
    assert_eq!(figure("warpline_blocks_gas_total"), all * 21_000.0);
    assert_eq!(figure("warpline_blocks_seconds_count"), head);
    assert!(figure("warpline_executor_executions_total") >= all);
    assert_eq!(figure("warpline_executor_part_seconds_count{part=\"merge\"}"), head);
    assert!(figure("warpline_executor_speedup") > 0.0);
    assert_eq!(figure("warpline_txpool_added_total"), all);
    assert_eq!(figure("warpline_txpool_pending"), 0.0);
    assert_eq!(figure("warpline_predictor_limit_bytes"), f64::from(256 << 20));
    assert_eq!(figure("warpline_predictor_blocks_total"), 0.0, "transfers teach nothing");
    assert_eq!(figure("warpline_info{version=\"0.1.0\"}"), 1.0);
    assert!(figure("process_resident_memory_bytes") > 0.0);
    for kind in ["warpline_chain_head gauge", "warpline_blocks_seconds histogram"] {
        assert!(text.contains(&format!("# TYPE {kind}\n")), "{kind}: {text}");
    }

    let mut other = Client::connect(address);
    assert_eq!(other.get("/debug").status, 404);
    let refused = other.post(b"{}");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    node.terminate();
}

#[test]
fn requests_are_counted_by_method_however_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--metrics", "0"]);
    let line = node.line("metrics at ");
    let address = line.split("http://").nth(1).unwrap().strip_suffix("/metrics").unwrap();
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let batch = format!("[{request},{request},{{}}]");
    assert_eq!(node.client().post(batch.as_bytes()).json().as_array().unwrap().len(), 3);
    let (mut socket, _) = tungstenite::connect(node.url("ws")).unwrap();
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
    socket.send(request.into()).unwrap();
    // Signs of life may come in between.
    while !socket.read().unwrap().is_text() {}
    let mut ipc = UnixStream::connect(dir.path().join("warpline.ipc")).unwrap();
    ipc.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    ipc.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(&ipc).read_line(&mut answer).unwrap();
    assert!(answer.contains("0x7a69"), "{answer}");

    let (figures, text) = scrape(address);
    let figure = |name: &str| *figures.get(name).unwrap_or_else(|| panic!("no {name} in {text}"));
    assert_eq!(figure("warpline_rpc_requests_total{method=\"eth_chainId\"}"), 4.0);
    assert_eq!(figure("warpline_rpc_errors_total{method=\"eth_chainId\"}"), 0.0);
    assert_eq!(figure("warpline_rpc_connections{socket=\"ipc\"}"), 1.0);
    let of_methods = figures.keys().filter(|name| name.starts_with("warpline_rpc_requests_total"));
    assert_eq!(of_methods.count(), 1, "{text}");
    drop(ipc);
    let end = Instant::now() + Duration::from_secs(60);
    while scrape(address).0["warpline_rpc_connections{socket=\"ipc\"}"] != 0.0 {
        assert!(Instant::now() < end, "the connection is still counted");
    }
}

#[test]
fn an_address_for_metrics_that_is_taken_ends_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["node", "--dev", "--http.port", "0", "--metrics", &address];
    let output = warpline(&args, dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("--metrics {address}")), "{said}");
}

#[test]
fn every_block_has_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev"]);
    transfers(&mut node.client());
    let line = node.line("new head");
    for field in ["number=1 ", "txs=", "mgas=0.", "mgas_per_s=", "speedup=", "conflicts="] {
        assert!(line.contains(field), "{field}: {line}");
    }
}

#[test]
fn logs_in_json_are_nothing_but_json() {
    let dir = tempfile::tempdir().unwrap();
    let json = ["--dev", "--log.format", "json"];
    let node = Node::start(dir.path(), &json);
    transfers(&mut node.client());
    let head: Value = serde_json::from_str(&node.line("new head")).unwrap();
    assert_eq!((&head["number"], &head["level"]), (&json!(1), &json!("INFO")));
    assert!(head["txs"].as_u64().unwrap() >= 1, "{head}");
    for field in ["mgas", "mgas_per_s", "speedup", "executed_ms"] {
        assert!(head[field].is_f64(), "{field}: {head}");
    }
    assert!(head["conflicts"].is_u64(), "{head}");
    for line in node.kill().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].is_string() && line["message"].is_string(), "{line}");
    }

    // Its database is of another chain than this.
    let args = ["node", "--log.format", "json", "--chain", "sepolia", "--http.port", "0"];
    let output = warpline(&args, dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last: Value = serde_json::from_str(said.trim_end()).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(last["level"], "ERROR");
    assert!(last["error"].as_str().unwrap().contains("chain"), "{last}");
}
