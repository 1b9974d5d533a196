//! Every method of the execution-apis answers on a development chain; and what the small ones say,
//! of which no published case is.

use crate::{client::Client, node::Node};
use serde_json::{Value, json};

struct Chain {
    _dir: tempfile::TempDir,
    _node: Node,
    client: Client,
    accounts: Vec<Value>,
}

const PAID: &str = "0x00000000000000000000000000000000000a11ce";

impl Chain {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
        let mut chain =
            Self { _dir: dir, client: node.client(), _node: node, accounts: Vec::new() };
        chain.accounts = chain.result("eth_accounts", json!([])).as_array().unwrap().clone();
        chain
    }

    #[track_caller]
    fn result(&mut self, method: &str, params: Value) -> Value {
        self.client.result(method, params)
    }
}

#[test]
fn the_network_is_one_node_that_listens() {
    let mut chain = Chain::start();
    for (method, params, result) in [
        ("net_listening", json!([]), json!(true)),
        ("net_peerCount", json!([]), json!("0x0")),
        ("net_version", json!([]), json!("31337")),
        ("debug_getBadBlocks", json!([]), json!([])),
        ("eth_syncing", json!([]), json!(false)),
        // Of `hello world`.
        (
            "web3_sha3",
            json!(["0x68656c6c6f20776f726c64"]),
            json!("0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"),
        ),
        (
            "web3_sha3",
            json!(["0x"]),
            json!("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        ),
    ] {
        assert_eq!(chain.result(method, params), result, "{method}");
    }
    let wrong = chain.client.call("web3_sha3", json!(["hello"]));
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
}

#[test]
fn the_tip_that_is_suggested_is_the_one_that_is_paid() {
    let mut chain = Chain::start();
    assert_eq!(chain.result("eth_maxPriorityFeePerGas", json!([])), "0xf4240");
    for (from, tip) in [(0, 1), (1, 3), (2, 3), (3, 9)] {
        let tip = format!("{:#x}", tip * 1_000_000_000_u64);
        let payment = json!({
            "from": chain.accounts[from], "to": PAID, "value": "0x1", "gas": "0x5208",
            "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": tip,
        });
        chain.result("eth_sendTransaction", json!([payment]));
    }
    chain.result("evm_mine", json!([]));
    let tip = 3_000_000_000_u64;
    assert_eq!(chain.result("eth_maxPriorityFeePerGas", json!([])), format!("{tip:#x}"));
    let number = |text: Value| u64::from_str_radix(&text.as_str().unwrap()[2..], 16).unwrap();
    let latest = chain.result("eth_getBlockByNumber", json!(["latest", false]));
    let base_fee = number(latest["baseFeePerGas"].clone());
    assert_eq!(number(chain.result("eth_gasPrice", json!([]))), base_fee + tip);
}

#[test]
fn what_a_sender_leaves_open_is_filled_in() {
    let mut chain = Chain::start();
    let from = chain.accounts[0].clone();
    let payment = json!({ "from": from, "to": PAID, "value": "0x7" });
    let filled = chain.result("eth_fillTransaction", json!([payment]));
    let next = chain.result("eth_baseFee", json!([]));
    let base_fee = u64::from_str_radix(&next.as_str().unwrap()[2..], 16).unwrap();
    let tx = &filled["tx"];
    for (field, value) in [
        ("type", json!("0x2")),
        ("nonce", json!("0x0")),
        ("gas", json!("0x5208")),
        ("chainId", json!("0x7a69")),
        ("to", json!(PAID)),
        ("value", json!("0x7")),
        ("maxPriorityFeePerGas", json!("0xf4240")),
        ("maxFeePerGas", json!(format!("{:#x}", 2 * base_fee + 1_000_000))),
    ] {
        assert_eq!(tx[field], value, "{field} of {filled}");
    }
    assert!(filled["raw"].as_str().unwrap().starts_with("0x02"), "{filled}");
    // Signed as it is, it is taken, and what is chosen next follows.
    let mut complete = payment.clone();
    for field in ["nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas"] {
        complete[field] = tx[field].clone();
    }
    let signed = chain.result("eth_signTransaction", json!([complete]));
    chain.result("eth_sendRawTransaction", json!([signed["raw"]]));
    let second = chain.result("eth_fillTransaction", json!([payment]));
    assert_eq!(second["tx"]["nonce"], "0x1");
    let given = json!({ "from": from, "to": PAID, "gas": "0xea60", "gasPrice": "0x77359400", "nonce": "0x9" });
    let kept = chain.result("eth_fillTransaction", json!([given]))["tx"].clone();
    let (type_, price) = (&kept["type"], &kept["gasPrice"]);
    assert_eq!((type_, price), (&json!("0x0"), &json!("0x77359400")));
    assert_eq!((&kept["gas"], &kept["nonce"]), (&json!("0xea60"), &json!("0x9")));
    let nothing = chain.client.call("eth_fillTransaction", json!([{ "from": from }]));
    let words = "contract creation without any data provided";
    assert_eq!(nothing["error"]["message"], words);
}

#[test]
fn messages_are_signed_by_those_who_are_asked_for() {
    let mut chain = Chain::start();
    let listed = chain.result("personal_listAccounts", json!([]));
    assert_eq!(listed, json!(chain.accounts));
    let (message, signer) = (json!("0xdeadbeef"), chain.accounts[1].clone());
    // The password of the third parameter is nobody's.
    let signature = chain.result("personal_sign", json!([message, signer, "password"]));
    assert_eq!(signature.as_str().map(str::len), Some(2 + 130));
    assert_eq!(chain.result("eth_sign", json!([signer, message])), signature);
    let recovered = chain.result("personal_ecRecover", json!([message, signature]));
    assert_eq!(recovered, signer);
    let other = chain.result("personal_ecRecover", json!(["0xdeadbeee", signature]));
    assert_ne!(other, signer);
    let stranger = chain.client.call("personal_sign", json!([message, PAID]));
    assert_eq!(stranger["error"]["message"], "unknown account");
    let short = chain.client.call("personal_ecRecover", json!([message, "0x12"]));
    assert_eq!(short["error"]["code"], -32602, "{short}");
}

#[test]
fn the_pool_is_told_in_lines_as_geth_writes_them() {
    let mut chain = Chain::start();
    let sender = chain.accounts[0].clone();
    for (nonce, to) in [("0x0", Some(PAID)), ("0x1", None), ("0x5", Some(PAID))] {
        let mut tx = json!({
            "from": sender, "value": "0x7", "gas": "0x186a0", "gasPrice": "0x77359400",
            "nonce": nonce,
        });
        match to {
            Some(to) => tx["to"] = json!(to),
            None => tx["data"] = json!("0x5f"),
        }
        chain.result("eth_sendTransaction", json!([tx]));
    }
    let inspected = chain.result("txpool_inspect", json!([]));
    let paid = "0x00000000000000000000000000000000000A11cE: 7 wei + 100000 gas × 2000000000 wei";
    let created = "contract creation: 7 wei + 100000 gas × 2000000000 wei";
    let sender = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let expected = json!({
        "pending": { sender: { "0": paid, "1": created } },
        "queued": { sender: { "5": paid } },
    });
    assert_eq!(inspected, expected);
}

/// Of the namespaces `eth`, `debug`, `txpool`, `net` and `testing`, with parameters that mean
/// something on a chain with one transaction in block 1.
fn execution_apis(chain: &mut Chain) -> Vec<(&'static str, Value)> {
    let from = chain.accounts[0].clone();
    let payment = json!({ "from": from, "to": PAID, "value": "0x1" });
    let hash = chain.result("eth_sendTransaction", json!([payment]));
    chain.result("evm_mine", json!([]));
    let block = chain.result("eth_getBlockByNumber", json!(["0x1", false]));
    let (parent, time) = (block["hash"].clone(), block["timestamp"].as_str().unwrap());
    let later = u64::from_str_radix(&time[2..], 16).unwrap() + 1;
    let zero = format!("0x{}", "0".repeat(64));
    let attributes = json!({
        "timestamp": format!("{later:#x}"), "prevRandao": zero, "withdrawals": [],
        "suggestedFeeRecipient": PAID, "parentBeaconBlockRoot": zero,
    });
    let raw_block = chain.result("debug_getRawBlock", json!(["0x1"]));
    let mut signed = payment.clone();
    signed["nonce"] = json!("0x1");
    let signed = chain.result("eth_signTransaction", json!([signed]))["raw"].clone();
    let [blocks, logs, pending] = [
        ("eth_newBlockFilter", json!([])),
        ("eth_newFilter", json!([{}])),
        ("eth_newPendingTransactionFilter", json!([])),
    ]
    .map(|(method, params)| chain.result(method, params));
    let simulated = json!({ "blockStateCalls": [{ "calls": [payment] }] });
    let traced = json!({ "tracer": "callTracer" });
    let call = json!([payment, "latest"]);
    vec![
        ("eth_accounts", json!([])),
        ("eth_baseFee", json!([])),
        ("eth_blobBaseFee", json!([])),
        ("eth_blockNumber", json!([])),
        ("eth_call", call.clone()),
        ("eth_capabilities", json!([])),
        ("eth_chainId", json!([])),
        ("eth_coinbase", json!([])),
        ("eth_config", json!([])),
        ("eth_createAccessList", call.clone()),
        ("eth_estimateGas", call),
        ("eth_feeHistory", json!(["0x1", "latest", [50]])),
        ("eth_fillTransaction", json!([payment])),
        ("eth_gasPrice", json!([])),
        ("eth_getAccount", json!([from, "latest"])),
        ("eth_getAccountInfo", json!([from, "latest"])),
        ("eth_getBalance", json!([PAID, "0x1"])),
        ("eth_getBlockAccessList", json!(["0x1"])),
        ("eth_getBlockByHash", json!([parent, true])),
        ("eth_getBlockByNumber", json!(["finalized", true])),
        ("eth_getBlockReceipts", json!(["0x1"])),
        ("eth_getBlockTransactionCountByHash", json!([parent])),
        ("eth_getBlockTransactionCountByNumber", json!(["safe"])),
        ("eth_getCode", json!([PAID, "latest"])),
        ("eth_getFilterChanges", json!([blocks])),
        ("eth_getFilterChanges", json!([pending])),
        ("eth_getFilterLogs", json!([logs])),
        ("eth_getLogs", json!([{ "fromBlock": "earliest" }])),
        ("eth_getProof", json!([PAID, ["0x0"], "latest"])),
        ("eth_getRawTransactionByHash", json!([hash])),
        ("eth_getStorageAt", json!([PAID, "0x0", "latest"])),
        ("eth_getStorageValues", json!([{ PAID: [zero] }, "latest"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([parent, "0x0"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getTransactionByHash", json!([hash])),
        ("eth_getTransactionCount", json!([from, "pending"])),
        ("eth_getTransactionReceipt", json!([hash])),
        ("eth_getUncleCountByBlockHash", json!([parent])),
        ("eth_getUncleCountByBlockNumber", json!(["0x1"])),
        ("eth_maxPriorityFeePerGas", json!([])),
        ("eth_sendRawTransaction", json!([signed])),
        ("eth_sign", json!([from, "0x00"])),
        ("eth_signTransaction", json!([payment])),
        ("eth_simulateV1", json!([simulated, "latest"])),
        ("eth_syncing", json!([])),
        ("eth_uninstallFilter", json!([logs])),
        ("debug_executionWitness", json!(["0x1"])),
        ("debug_getBadBlocks", json!([])),
        ("debug_getRawBlock", json!(["0x1"])),
        ("debug_getRawBlockAccessList", json!(["0x1"])),
        ("debug_getRawHeader", json!(["0x1"])),
        ("debug_getRawReceipts", json!(["0x1"])),
        ("debug_getRawTransaction", json!([hash])),
        ("debug_traceBlock", json!([raw_block, traced])),
        ("debug_traceBlockByHash", json!([parent, traced])),
        ("debug_traceBlockByNumber", json!(["0x1", traced])),
        ("debug_traceCall", json!([payment, "latest", traced])),
        ("debug_traceTransaction", json!([hash, traced])),
        ("txpool_content", json!([])),
        ("txpool_contentFrom", json!([from])),
        ("txpool_inspect", json!([])),
        ("txpool_status", json!([])),
        ("net_listening", json!([])),
        ("net_peerCount", json!([])),
        ("net_version", json!([])),
        ("testing_buildBlockV1", json!([parent, attributes, [], null])),
    ]
}

#[test]
fn every_method_of_the_execution_apis_has_something_to_say() {
    let mut chain = Chain::start();
    for (method, mut params) in execution_apis(&mut chain) {
        let result = chain.result(method, params.clone());
        assert!(!result.is_null(), "{method} {params}");
        let list = params.as_array_mut().unwrap();
        // One parameter more than there may be, after whatever may be left out.
        list.extend((list.len()..5).map(|_| json!("more")));
        let answer = chain.client.call(method, params.clone());
        let words = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(
            words.starts_with("too many arguments, want at most "),
            "{method} {params}: {answer}"
        );
        assert_eq!(answer["error"]["code"], -32602, "{method}");
    }
}
