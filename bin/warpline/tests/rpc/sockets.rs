//! WebSocket and IPC.

use crate::node::{Node, small};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    time::Duration,
};
use tungstenite::{Message, WebSocket, client::IntoClientRequest, stream::MaybeTlsStream};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn open(node: &Node, origin: Option<&str>) -> Result<Socket, tungstenite::Error> {
    let url = node.url("ws");
    let mut request = url.as_str().into_client_request()?;
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let (socket, _) = tungstenite::connect(request)?;
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    Ok(socket)
}

fn ask(socket: &mut Socket, text: &str) -> Value {
    socket.send(Message::text(text)).unwrap();
    next(socket)
}

/// The next message that is not only a sign of life.
fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

fn call(socket: &mut Socket, method: &str, params: Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    ask(socket, &request.to_string())
}

/// A connection to the Unix socket, once it is there.
fn ipc(path: &Path) -> UnixStream {
    let socket = loop {
        if let Ok(socket) = UnixStream::connect(path) {
            break socket;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

#[test]
fn a_websocket_on_the_port_of_http_takes_the_same_requests() {
    let (_dir, node) = small(&[]);
    let mut socket = open(&node, None).unwrap();
    assert_eq!(call(&mut socket, "eth_chainId", json!([]))["result"], "0x539");
    let unknown = call(&mut socket, "eth_nonsense", json!([]));
    assert_eq!(unknown["error"]["code"], -32601, "{unknown}");
    assert_eq!(ask(&mut socket, "nonsense")["error"]["code"], -32700);
    assert_eq!(ask(&mut socket, r#"{"id":1}"#)["error"]["code"], -32600);
    let batch = ask(&mut socket, r#"[{"jsonrpc":"2.0","id":7,"method":"eth_blockNumber"}]"#);
    assert_eq!(batch, json!([{ "jsonrpc": "2.0", "id": 7, "result": "0x0" }]));
    // Too long, but the connection lives on.
    let long = ask(&mut socket, &" ".repeat((15 << 20) + 1));
    assert!(long["error"]["code"].is_i64(), "{long}");
    assert_eq!(call(&mut socket, "eth_chainId", json!([]))["result"], "0x539");
}

#[test]
fn strange_pages_open_no_websocket() {
    let (_dir, node) = small(&[]);
    assert!(open(&node, Some("http://localhost:3000")).is_ok());
    assert!(open(&node, Some("https://evil.example")).is_err());
    let (_dir, node) = small(&["--ws.origins", "https://app.example"]);
    assert!(open(&node, Some("https://app.example")).is_ok());
    assert!(open(&node, Some("http://localhost:3000")).is_err());
}

#[test]
fn a_port_of_its_own_serves_websockets_only() {
    let (_dir, node) = small(&["--ws.port", "0"]);
    // The same number means the same port, even where it is left open.
    assert!(node.url("ws").ends_with(&node.address));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (_dir, node) = small(&["--ws.port", &free.to_string(), "--ws.api", "eth"]);
    let mut socket = open(&node, None).unwrap();
    assert_eq!(call(&mut socket, "eth_chainId", json!([]))["result"], "0x539");
    assert_eq!(call(&mut socket, "net_version", json!([]))["error"]["code"], -32601);
    assert_eq!(node.client().call("net_version", json!([]))["result"], "1337");
    let mut http = crate::client::Client::connect(&format!("127.0.0.1:{free}"));
    assert_eq!(http.post(b"{}").status, 403);
}

#[test]
fn a_connection_has_so_many_subscriptions_at_a_time() {
    let (dir, node) = small(&["--rpc.max-subscriptions-per-connection", "2"]);
    let heads = json!(["newHeads"]);
    let full = json!({ "code": -32005, "message": "too many subscriptions (max 2)" });
    let mut socket = open(&node, None).unwrap();
    let [first, _] = [(); 2].map(|()| call(&mut socket, "eth_subscribe", heads.clone()));
    assert!(first["result"].is_string(), "{first}");
    assert_eq!(call(&mut socket, "eth_subscribe", heads.clone())["error"], full);
    // Others have their own, and one that is given up makes room.
    let mut other = open(&node, None).unwrap();
    assert!(call(&mut other, "eth_subscribe", heads.clone())["result"].is_string());
    assert_eq!(call(&mut socket, "eth_unsubscribe", json!([first["result"]]))["result"], true);
    assert!(call(&mut socket, "eth_subscribe", heads)["result"].is_string());
    let mut socket = ipc(&dir.path().join("warpline.ipc"));
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
    socket.write_all(request.repeat(3).as_bytes()).unwrap();
    let answers = serde_json::Deserializer::from_reader(socket).into_iter::<Value>().take(3);
    let answers: Vec<_> = answers.map(Result::unwrap).collect();
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.get("error")).collect();
    assert_eq!(refused, [&full], "{answers:?}");
}

#[test]
fn the_ipc_socket_takes_requests_without_anything_in_between() {
    let (dir, node) = small(&["--http.api", "eth"]);
    let path = dir.path().join("warpline.ipc");
    node.url("ws");
    let mut socket = ipc(&path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    let mut pending = Vec::new();
    let mut next = move |socket: &mut UnixStream| -> Value {
        loop {
            if let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let mut bytes = [0; 4096];
            let read = socket.read(&mut bytes).unwrap();
            assert!(read > 0, "closed");
            pending.extend_from_slice(&bytes[..read]);
        }
    };
    // Two at once, one of them in pieces; everything is served here.
    socket
        .write_all(br#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}{"jsonrpc":"2.0","id":"#)
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    socket.write_all(br#"2,"method":"net_version"}"#).unwrap();
    let mut answers = [next(&mut socket), next(&mut socket)];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!("0x539"), &json!("1337")));
    socket.write_all(br#"[{"jsonrpc":"2.0","id":3,"method":"no_such"}, 5]"#).unwrap();
    let batch = next(&mut socket);
    assert_eq!(
        (&batch[0]["error"]["code"], &batch[1]["error"]["code"]),
        (&json!(-32601), &json!(-32600))
    );
    socket.write_all(b"nonsense}").unwrap();
    assert_eq!(next(&mut socket)["error"]["code"], -32700);
    assert_eq!(socket.read(&mut [0; 8]).unwrap(), 0, "there is no way to find the next request");
    node.terminate();
    assert!(!path.exists());
}

#[test]
fn a_subscription_in_a_batch_is_answered_once() {
    let (_dir, node) = small(&[]);
    let mut socket = open(&node, None).unwrap();
    let ask = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let batch = [ask(7, "eth_subscribe", json!(["newHeads"])), ask(8, "eth_chainId", json!([]))];
    socket.send(Message::text(json!(batch).to_string())).unwrap();
    let first = next(&mut socket);
    assert!(first["id"] == 7 && first["result"].is_string(), "{first}");
    let rest = next(&mut socket);
    assert_eq!(rest, json!([{ "jsonrpc": "2.0", "id": 8, "result": "0x539" }]));
}

#[test]
fn what_is_being_answered_when_the_node_ends_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let account = client.call("eth_accounts", json!([]))["result"][0].clone();
    let signed = json!([{ "from": account, "to": account, "value": "0x1" }]);
    let signed = client.call("eth_signTransaction", signed)["result"]["raw"].clone();
    let params = json!([signed, 1_500]);
    let waits = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransactionSync",
                        "params": params });
    let mut socket = ipc(&dir.path().join("warpline.ipc"));
    socket.write_all(waits.to_string().as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    node.terminate();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"]["code"], 4, "the transaction waits still: {answer}");
}
