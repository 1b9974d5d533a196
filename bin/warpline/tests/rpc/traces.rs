//! One transaction, as each of geth's tracers shows it.

use crate::{client::Client, node::Node};
use serde_json::{Value, json};

/// Calls `CALLEE` with a function's selector and an argument of zero.
const CALLER: &str = "0x00000000000000000000000000000000000000c1";
/// Sets slot 0 to 1.
const CALLEE: &str = "0x00000000000000000000000000000000000000c2";

#[track_caller]
fn result(client: &mut Client, method: &str, params: Value) -> Value {
    let answer = client.call(method, params);
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

#[test]
fn every_tracer_shows_its_side_of_a_call_inside_a_call() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    // mstore(0, 0xdeadbeef << 224), then call(gas, CALLEE, 0, 0, 36, 0, 0).
    let code = format!("0x63deadbeef60e01b5f525f5f60245f5f73{}5af15000", &CALLEE[2..]);
    result(&mut client, "anvil_setCode", json!([CALLER, code]));
    result(&mut client, "anvil_setCode", json!([CALLEE, "0x600160005500"]));
    let from = result(&mut client, "eth_accounts", json!([]))[0].clone();
    let data = format!("0xa9059cbb{}", "00".repeat(64));
    let tx = json!([{ "from": from, "to": CALLER, "data": data, "gas": "0x30d40" }]);
    let hash = result(&mut client, "eth_sendTransaction", tx);
    result(&mut client, "evm_mine", json!([]));
    let mut traced = |tracer: &str, config: Value| {
        let options = json!({ "tracer": tracer, "tracerConfig": config });
        result(&mut client, "debug_traceTransaction", json!([hash, options]))
    };

    let selectors = traced("4byteTracer", Value::Null);
    assert_eq!(selectors, json!({ "0xa9059cbb-64": 1, "0xdeadbeef-32": 1 }));
    let calls = traced("callTracer", json!({}));
    assert_eq!((&calls["to"], &calls["calls"][0]["to"]), (&json!(CALLER), &json!(CALLEE)));
    let flat = traced("flatCallTracer", json!({}));
    let addresses: Vec<_> =
        flat.as_array().unwrap().iter().map(|call| &call["traceAddress"]).collect();
    assert_eq!(addresses, [&json!([]), &json!([0])]);
    let before = traced("prestateTracer", json!({}));
    assert!(before[CALLER]["code"].is_string() && before[CALLEE]["code"].is_string(), "{before}");
    let difference = traced("prestateTracer", json!({ "diffMode": true }));
    let one = format!("0x{:064x}", 1);
    let slots = difference["post"][CALLEE]["storage"].as_object().unwrap();
    assert_eq!(slots.values().collect::<Vec<_>>(), [&json!(one)]);

    let all = json!({ "4byteTracer": null, "callTracer": {}, "flatCallTracer": {},
                      "prestateTracer": { "diffMode": true } });
    let together = traced("muxTracer", all);
    let alone = json!({ "4byteTracer": selectors, "callTracer": calls, "flatCallTracer": flat,
                        "prestateTracer": difference });
    assert_eq!(together, alone);
}
