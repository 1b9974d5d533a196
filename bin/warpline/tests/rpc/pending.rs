//! Whatever is said of the pending block before it is made is said of the block after it.

use crate::{client::Client, node::Node};
use serde_json::{Value, json};

/// Deploys a contract that counts its calls in slot 0, logs each, and returns the count:
/// `sload(0) + 1`, `sstore`, `log0`, `return`.
const COUNTER: &str = "0x60128060095f395ff35f54600101805f555f5260205fa060205ff3";

struct Chain {
    _dir: tempfile::TempDir,
    node: Node,
    client: Client,
    accounts: Value,
    contract: Value,
}

impl Chain {
    /// A development chain with a contract, and two calls of it and a payment that wait.
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
        let mut client = node.client();
        let accounts = client.call("eth_accounts", json!([]))["result"].clone();
        let mut chain = Self { _dir: dir, node, client, accounts, contract: Value::Null };
        let made = chain.send(json!({ "from": chain.accounts[0], "data": COUNTER }));
        chain.result("evm_mine", json!([]));
        let receipt = chain.result("eth_getTransactionReceipt", json!([made]));
        chain.contract = receipt["contractAddress"].clone();
        let contract = chain.contract.clone();
        for from in [0, 1] {
            chain.send(json!({ "from": chain.accounts[from], "to": contract, "gas": "0x186a0" }));
        }
        chain.send(json!({ "from": chain.accounts[2], "to": PAID, "value": "0x7b" }));
        chain
    }

    #[track_caller]
    fn result(&mut self, method: &str, params: Value) -> Value {
        self.client.result(method, params)
    }

    fn send(&mut self, transaction: Value) -> Value {
        self.result("eth_sendTransaction", json!([transaction]))
    }
}

const PAID: &str = "0x00000000000000000000000000000000000a11ce";

/// What is asked about a block: the method, and its parameters with `null` for the block.
fn questions(chain: &Chain) -> Vec<(&'static str, Value)> {
    let (contract, accounts) = (&chain.contract, &chain.accounts);
    let call = json!({ "from": accounts[3], "to": contract });
    let mut all = vec![
        ("eth_getBlockByNumber", json!([null, false])),
        ("eth_getBlockByNumber", json!([null, true])),
        ("eth_getHeaderByNumber", json!([null])),
        ("eth_getBlockReceipts", json!([null])),
        ("eth_getBlockTransactionCountByNumber", json!([null])),
        ("eth_getUncleCountByBlockNumber", json!([null])),
        ("eth_getUncleByBlockNumberAndIndex", json!([null, "0x0"])),
        ("eth_getBlockAccessList", json!([null])),
        ("eth_call", json!([call, null])),
        ("eth_estimateGas", json!([call, null])),
        ("eth_createAccessList", json!([call, null])),
        ("eth_simulateV1", json!([{ "blockStateCalls": [{ "calls": [call] }] }, null])),
        ("eth_getStorageAt", json!([contract, "0x0", null])),
        ("eth_getStorageValues", json!([{ contract.as_str().unwrap(): [ZERO] }, null])),
        ("eth_getProof", json!([contract, ["0x0"], null])),
        ("eth_feeHistory", json!(["0x2", null, [10, 90]])),
        ("debug_getRawHeader", json!([null])),
        ("debug_getRawBlock", json!([null])),
        ("debug_getRawReceipts", json!([null])),
        ("debug_traceCall", json!([call, null, { "tracer": "callTracer" }])),
        ("debug_traceBlockByNumber", json!([null, { "tracer": "callTracer" }])),
        ("trace_block", json!([null])),
    ];
    for address in [&accounts[0], &accounts[9], contract, &json!(PAID)] {
        all.extend([
            ("eth_getBalance", json!([address, null])),
            ("eth_getTransactionCount", json!([address, null])),
            ("eth_getCode", json!([address, null])),
            ("eth_getAccountInfo", json!([address, null])),
            ("eth_getAccount", json!([address, null])),
        ]);
    }
    for index in ["0x0", "0x2", "0x3"] {
        all.push(("eth_getTransactionByBlockNumberAndIndex", json!([null, index])));
        all.push(("eth_getRawTransactionByBlockNumberAndIndex", json!([null, index])));
    }
    all
}

const ZERO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";

fn about(params: &Value, block: &str) -> Value {
    let params = params.as_array().unwrap().iter();
    params.map(|param| if param.is_null() { json!(block) } else { param.clone() }).collect()
}

#[test]
fn what_is_said_of_the_pending_block_is_said_of_the_mined_one() {
    let mut chain = Chain::start();
    chain.result("evm_setNextBlockTimestamp", json!([2_000_000_000]));
    let questions = questions(&chain);
    let ask = |chain: &mut Chain, block: &str| -> Vec<Value> {
        let ask = |(method, params): &(&str, Value)| chain.result(method, about(params, block));
        questions.iter().map(ask).collect()
    };
    let pending = ask(&mut chain, "pending");
    let before = ask(&mut chain, "latest");
    chain.result("evm_mine", json!([]));
    let mined = ask(&mut chain, "latest");
    let mut moved = 0;
    for ((((method, params), pending), mined), before) in
        questions.iter().zip(&pending).zip(&mined).zip(&before)
    {
        let mut mined = mined.clone();
        if method.starts_with("eth_getBlockByNumber") || *method == "eth_getHeaderByNumber" {
            for field in ["hash", "nonce", "miner"] {
                assert!(!mined[field].is_null(), "{method} {field}");
                mined[field] = Value::Null;
            }
        }
        assert_eq!(*pending, mined, "{method} {params}");
        moved += usize::from(mined != *before);
    }
    assert!(moved > questions.len() / 2, "the block has hardly changed anything");
    let mut value = |method: &str, params: Value| chain.result(method, params);
    assert_eq!(value("eth_getBalance", json!([PAID, "latest"])), "0x7b");
    assert_eq!(value("eth_getBlockTransactionCountByNumber", json!(["pending"])), "0x0");
    chain.node.terminate();
}

#[test]
fn the_pending_block_is_in_no_chain() {
    let mut chain = Chain::start();
    let block = chain.result("eth_getBlockByNumber", json!(["pending", true]));
    assert_eq!((&block["number"], &block["hash"]), (&json!("0x2"), &Value::Null));
    let transaction = &block["transactions"][0];
    assert_eq!(chain.result("eth_blockNumber", json!([])), "0x1");
    assert_eq!(chain.result("eth_getBlockByNumber", json!(["0x2", false])), Value::Null);
    let of = json!([transaction["hash"]]);
    assert_eq!(chain.result("eth_getTransactionReceipt", of.clone()), Value::Null);
    let found = chain.result("eth_getTransactionByHash", of);
    assert_eq!((&found["blockHash"], &found["hash"]), (&Value::Null, &transaction["hash"]));
    let by_hash = json!([transaction["blockHash"], false]);
    assert_eq!(chain.result("eth_getBlockByHash", by_hash), Value::Null);
    let logs = chain.result("eth_getLogs", json!([{ "address": chain.contract }]));
    assert_eq!(logs, json!([]));
}

#[test]
fn a_tag_may_be_written_with_escapes_or_in_an_object() {
    let mut chain = Chain::start();
    for tag in [r#""pending""#, r#""\u0070ending""#, r#"{"blockNumber":"pending"}"#] {
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["{PAID}",{tag}]}}"#
        );
        assert_eq!(chain.client.post(request.as_bytes()).json()["result"], "0x7b", "{tag}");
    }
}
