//! One transaction, as each of geth's tracers shows it.

use crate::node::Node;
use serde_json::{Value, json};

/// Calls `CALLEE` with a function's selector and an argument of zero.
const CALLER: &str = "0x00000000000000000000000000000000000000c1";
/// Sets slot 0 to 1.
const CALLEE: &str = "0x00000000000000000000000000000000000000c2";

#[test]
fn every_tracer_shows_its_side_of_a_call_inside_a_call() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    // mstore(0, 0xdeadbeef << 224), then call(gas, CALLEE, 0, 0, 36, 0, 0).
    let code = format!("0x63deadbeef60e01b5f525f5f60245f5f73{}5af15000", &CALLEE[2..]);
    client.result("anvil_setCode", json!([CALLER, code]));
    client.result("anvil_setCode", json!([CALLEE, "0x600160005500"]));
    let from = client.result("eth_accounts", json!([]))[0].clone();
    let data = format!("0xa9059cbb{}", "00".repeat(64));
    let tx = json!([{ "from": from, "to": CALLER, "data": data, "gas": "0x30d40" }]);
    let hash = client.result("eth_sendTransaction", tx);
    client.result("evm_mine", json!([]));
    let mut traced = |tracer: &str, config: Value| {
        let options = json!({ "tracer": tracer, "tracerConfig": config });
        client.result("debug_traceTransaction", json!([hash, options]))
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
