//! An endpoint that stands between a client and a node, and answers as a test wants.

use crate::client::Client;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What becomes of an answer.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It goes out like this.
    Answer(Value),
    /// A status instead.
    Status(u16),
    /// Half of it, then the connection ends.
    Cut(Value),
    /// The connection ends.
    Nothing,
}

/// By the number of the request, the request itself, and the answer of the node.
pub(crate) type Rule = dyn Fn(u64, &Value, Value) -> Reply + Send + Sync;

/// A running proxy. It ends with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Proxy {
    /// In front of the node at this address.
    pub(crate) fn start(
        node: &str,
        rule: impl Fn(u64, &Value, Value) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (node, rule): (String, Arc<Rule>) = (node.to_owned(), Arc::new(rule));
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (node, rule, counted) = (node.clone(), Arc::clone(&rule), Arc::clone(&counted));
                thread::spawn(move || serve(stream.unwrap(), &node, &*rule, &counted));
            }
        });
        Self { url, requests }
    }

    /// Posts that have come so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// The answer to a method that there is not.
pub(crate) fn unknown(request: &Value) -> Value {
    let error = json!({ "code": -32601, "message": "the method does not exist" });
    json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })
}

fn serve(stream: TcpStream, node: &str, rule: &Rule, counted: &AtomicU64) {
    let mut stream = BufReader::new(stream);
    let mut node = Client::connect(node);
    while let Some(request) = read(&mut stream) {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let mut ask = |request: &Value| {
            let answer = node.post(request.to_string().as_bytes()).json();
            rule(number, request, answer)
        };
        let reply = match request.as_array() {
            None => ask(&request),
            Some(batch) => {
                let replies = batch.iter().map(|request| match ask(request) {
                    Reply::Answer(answer) => Ok(answer),
                    other => Err(other),
                });
                replies.collect::<Result<_, _>>().map_or_else(|other| other, Reply::Answer)
            }
        };
        let (status, body, sent) = match reply {
            Reply::Answer(answer) => (200, answer.to_string(), usize::MAX),
            Reply::Status(status) => (status, String::new(), usize::MAX),
            Reply::Cut(answer) => {
                let body = answer.to_string();
                let half = body.len() / 2;
                (200, body, half)
            }
            Reply::Nothing => return,
        };
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let sent = sent.min(body.len());
        let stream = stream.get_mut();
        // The client may have gone.
        let written =
            stream.write_all(head.as_bytes()).and(stream.write_all(&body.as_bytes()[..sent]));
        if written.is_err() || sent < body.len() {
            return;
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}
