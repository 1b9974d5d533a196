//! Whatever a fixture says, the outcome is a report or an error, never a panic.

use crate::{PreparedBlock, RunConfig, Runner};
use serde_json::{Value, json};
use std::path::Path;
use warpline_executor::ParallelConfig;
use warpline_fixture::BlockFixture;

const CASES: usize = 4_000;

/// xorshift64*: the cases are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

fn pointers(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| pointers(field, format!("{at}/{key}"), all));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| pointers(item, format!("{at}/{index}"), all));
        }
        _ => {}
    }
    all.push(at);
}

/// Changes or removes one field, any field, to something extreme or of the wrong kind.
fn mutate(value: &mut Value, random: &mut Random) {
    let extremes = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("0x"),
        json!("0x0"),
        json!("0x1"),
        json!("0x4"),
        json!("0x7fffffff"),
        json!("0x676767676"),
        json!("0xffffffffffffffff"),
        json!(format!("0x{}", "f".repeat(32))),
        json!(format!("0x{}", "f".repeat(40))),
        json!(format!("0x{}", "f".repeat(64))),
        json!(format!("0x{}", "0".repeat(64))),
        json!("0xef0100000000000000000000000000000000000000000000"),
        json!([]),
        json!({}),
    ];
    let mut all = Vec::new();
    pointers(value, String::new(), &mut all);
    let pointer = &all[random.below(all.len())];
    let new = extremes[random.below(extremes.len())].clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) if random.below(4) == 0 => drop(fields.remove(key)),
        _ => *value.pointer_mut(pointer).unwrap() = new,
    }
}

#[test]
fn no_fixture_makes_the_replay_panic() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/46147.json");
    let mut frontier: Value = serde_json::from_slice(&std::fs::read(testdata).unwrap()).unwrap();
    // What the gas check would refuse before anything interesting happens.
    frontier["block"]["gasLimit"] = json!("0xffffff");
    // Without signatures, so that changed transactions are not refused for their hash.
    let transaction = frontier["block"]["transactions"][0].as_object_mut().unwrap();
    transaction.retain(|field, _| !["hash", "r", "s", "v"].contains(&field.as_str()));
    let mut cancun = frontier.clone();
    let block = cancun["block"].as_object_mut().unwrap();
    for (field, value) in [
        ("number", json!("0x1400000")),
        ("timestamp", json!("0x66000000")),
        ("baseFeePerGas", json!("0x1")),
        ("excessBlobGas", json!("0x1")),
        ("blobGasUsed", json!("0x0")),
        ("parentBeaconBlockRoot", json!(format!("0x{}", "1".repeat(64)))),
        (
            "withdrawals",
            json!([{
                "index": "0x1", "validatorIndex": "0x2", "amount": "0x3",
                "address": "0x00000000000000000000000000000000000000c0"
            }]),
        ),
    ] {
        block.insert(field.to_owned(), value);
    }
    cancun["blockHashes"] = json!({});

    let parallel = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
    let runner = Runner::new(RunConfig { parallel, runs: 1, ..RunConfig::default() }).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut executed = 0;
    for case in 0..CASES {
        let mut value = if case % 2 == 0 { frontier.clone() } else { cancun.clone() };
        for _ in 0..=random.below(3) {
            mutate(&mut value, &mut random);
        }
        let Ok(fixture) = BlockFixture::from_json(value.to_string().as_bytes(), "case") else {
            continue;
        };
        let Ok(block) = PreparedBlock::new("case", fixture, None) else { continue };
        let report = runner.run(&block, None, || ());
        assert_ne!(report.equal_to_sequential, Some(false), "{value}: {:?}", report.divergence);
        executed += 1;
    }
    assert!(executed > CASES / 8, "only {executed} cases were executed");
}
