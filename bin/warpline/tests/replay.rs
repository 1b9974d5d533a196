//! The whole program: `warpline replay` on real blocks, on our own, and on broken ones.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Frontier, one transfer.
const TRANSFER: &str = include_str!("../../../testdata/46147.json");

struct Outcome {
    code: i32,
    stderr: String,
    report: Value,
}

/// Replays with one timed run and gives the JSON report from standard output.
fn replay(args: &[&str], paths: &[&Path]) -> Outcome {
    let mut command = Command::cargo_bin("warpline").unwrap();
    let output =
        command.args(["replay", "--runs", "1", "--json", "-"]).args(args).args(paths).output();
    let output = output.unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// The shared mainnet blocks, if this machine has them.
fn shared_blocks() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("WARPLINE_SHARED").map_or(default, PathBuf::from);
    let blocks = shared.join("mainnet");
    if !blocks.is_dir() {
        eprintln!("SKIPPED: 0 of 59 mainnet blocks replayed, no folder {}", blocks.display());
        return None;
    }
    Some(blocks)
}

#[track_caller]
fn assert_verified(outcome: &Outcome) {
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let summary = &outcome.report["summary"];
    assert_eq!(summary["failed"], 0);
    assert_eq!(summary["verified"], summary["blocks"]);
    for block in outcome.report["blocks"].as_array().unwrap() {
        assert_eq!(block["equalToSequential"], true, "{block}");
    }
}

#[test]
fn every_shared_mainnet_block_is_verified_with_any_number_of_threads() {
    let Some(blocks) = shared_blocks() else { return };
    for threads in ["1", "2", "3", "8"] {
        let outcome = replay(&["--threads", threads], &[&blocks]);
        assert_verified(&outcome);
        let reports = outcome.report["blocks"].as_array().unwrap();
        assert_eq!(reports.len(), 59);
        for block in reports.iter().filter(|block| block["name"] != "22546209") {
            let number = block["number"].as_u64().unwrap();
            for check in ["gasUsed", "logsBloom", "transactionsRoot", "blockHash", "senders"] {
                assert_eq!(block["checks"][check], "passed", "block {number}, {check}");
            }
            let byzantium = if number >= 4_370_000 { "passed" } else { "notCheckable" };
            assert_eq!(block["checks"]["receiptsRoot"], byzantium, "block {number}");
            let shanghai = if number >= 17_034_870 { "passed" } else { "notCheckable" };
            assert_eq!(block["checks"]["withdrawalsRoot"], shanghai, "block {number}");
            let prague = if number >= 22_431_084 { "passed" } else { "notCheckable" };
            assert_eq!(block["checks"]["requestsHash"], prague, "block {number}");
        }
    }
}

#[test]
fn the_bundled_blocks_are_verified() {
    let outcome = replay(&[], &[&testdata()]);
    assert_verified(&outcome);
    assert!(outcome.stderr.contains("46147"));
}

#[test]
fn the_json_has_the_documented_fields() {
    let outcome = replay(&["--threads", "2"], &[&testdata().join("46147.json")]);
    let report = &outcome.report;
    assert_eq!((report["threads"].as_u64(), report["runs"].as_u64()), (Some(2), Some(1)));
    let block = &report["blocks"][0];
    assert_eq!(block["number"], 46147);
    assert_eq!(block["fork"], "Frontier");
    assert_eq!(block["gasUsed"], 21_000);
    assert_eq!(block["criticalPathShare"], 1.0);
    let times = ["sequentialMs", "parallelMs", "speedup"];
    assert!(times.iter().all(|field| block[field].as_f64().unwrap() > 0.0), "{block}");
    assert_eq!((&block["executions"], &block["reExecutions"]), (&json!(1), &json!(0)));
    assert_eq!(block["checks"]["stateRoot"], "notCheckable");
    let reason = block["checkDetails"]["stateRoot"]["reason"].as_str().unwrap();
    assert!(reason.contains("not the whole state"));
    let rates = ["geomeanSpeedup", "minSpeedup", "gasPerSecondParallel"];
    assert!(rates.iter().all(|field| report["summary"][field].as_f64().unwrap() > 0.0));
}

/// Fields by path, in order, except where the names are data or a value may be absent.
fn fields(value: &Value, at: &str, all: &mut Vec<String>) {
    const BY_CHECK: [&str; 2] = [".blocks.checks", ".blocks.checkDetails"];
    match value {
        Value::Object(object) if !BY_CHECK.contains(&at) => {
            for (name, field) in object {
                let at = format!("{at}.{name}");
                all.push(at.clone());
                fields(field, &at, all);
            }
        }
        Value::Array(items) => items.iter().take(1).for_each(|item| fields(item, at, all)),
        _ => {}
    }
}

/// The first example of JSON in the manual is the one place that says what programs may rely on.
#[test]
fn the_manual_shows_every_field_of_the_json() {
    let manual = include_str!("../README.md");
    let example = manual.split("```json").nth(1).and_then(|rest| rest.split("```").next());
    let example: Value = serde_json::from_str(example.unwrap()).unwrap();
    let outcome = replay(&["--threads", "2"], &[&testdata().join("46147.json")]);
    let [mut shown, mut written] = [Vec::new(), Vec::new()];
    fields(&example, "", &mut shown);
    fields(&outcome.report, "", &mut written);
    for field in &shown {
        assert!(written.contains(field), "the manual shows {field}, which is not written");
    }
    let described = |field: &String| {
        let name = field.rsplit('.').next().unwrap_or_default();
        shown.contains(field) || manual.contains(&format!("`{name}`"))
    };
    let missing: Vec<_> = written.iter().filter(|field| !described(field)).collect();
    assert!(missing.is_empty(), "the manual does not describe {missing:?}");
}

#[test]
fn one_mode_alone_leaves_the_other_out() {
    let file = testdata().join("46147.json");
    let sequential = replay(&["--mode", "sequential"], &[&file]);
    let parallel = replay(&["--mode", "parallel"], &[&file]);
    for (outcome, present, absent) in
        [(sequential, "sequentialMs", "parallelMs"), (parallel, "parallelMs", "sequentialMs")]
    {
        assert_eq!(outcome.code, 0);
        let block = &outcome.report["blocks"][0];
        assert!(block[present].is_f64() && block[absent].is_null() && block["speedup"].is_null());
        assert!(block["equalToSequential"].is_null());
        assert_eq!(block["checks"]["gasUsed"], "passed");
    }
}

/// Replays the transfer block after a change, between two good blocks, and gives the outcome.
fn replay_changed(name: &str, change: impl FnOnce(&mut Value)) -> Outcome {
    let mut value: Value = serde_json::from_str(TRANSFER).unwrap();
    change(&mut value);
    replay_bytes(name, value.to_string().as_bytes(), &[])
}

fn replay_bytes(name: &str, bytes: &[u8], args: &[&str]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1-good.json"), TRANSFER).unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    fs::write(dir.path().join("9-good.json"), TRANSFER).unwrap();
    replay(args, &[dir.path()])
}

/// A clean error that names everything in `says`; the good blocks are verified all the same, and
/// nothing looks as if all were well.
#[track_caller]
fn assert_fails(outcome: &Outcome, says: &[&str]) {
    let Outcome { code, stderr, report } = outcome;
    assert_eq!(*code, 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    for part in says {
        assert!(stderr.contains(part), "`{part}` is missing in: {stderr}");
    }
    assert!(stderr.contains("2 of 3 blocks verified, 1 FAILED"), "{stderr}");
    let counts = ["blocks", "verified", "failed"].map(|count| report["summary"][count].as_u64());
    assert_eq!(counts, [Some(3), Some(2), Some(1)]);
}

#[test]
fn unusable_files_are_named_with_the_field() {
    let truncated = TRANSFER.as_bytes().split_at(TRANSFER.len() / 2).0;
    assert_fails(&replay_bytes("5.json", truncated, &[]), &["5.json", "FILE NOT USABLE"]);
    assert_fails(&replay_bytes("5.json.zst", truncated, &[]), &["5.json.zst", "damaged zstd"]);
    assert_fails(&replay_bytes("5.json", b"{}", &[]), &["5.json", "not a block fixture"]);
    assert_fails(&replay_bytes("5.json", b"block = 1", &[]), &["5.json: not JSON of a block"]);

    let unknown = replay_changed("5.json", |value| value["block"]["surprise"] = json!(1));
    assert_fails(&unknown, &["5.json", "surprise"]);
    let kind = replay_changed("5.json", |value| value["block"]["gasLimit"] = json!([]));
    assert_fails(&kind, &["5.json", "block.gasLimit"]);
    let code = replay_changed("5.json", |value| {
        value["prestate"]["0x00000000000000000000000000000000000000c0"] =
            json!({ "code": "0x6001", "codeHash": format!("0x{}", "11".repeat(32)) });
    });
    assert_fails(&code, &["5.json", "prestate", "c0.code", "hashes to"]);
    let signature = replay_changed("5.json", |value| {
        value["block"]["transactions"][0]["v"] = json!("0x1b");
    });
    assert_fails(&signature, &["5.json", "transaction 0", "`from`", "signed it"]);
    assert_fails(&replay_bytes("5.json", b"[]", &[]), &["5.json", "an object: a block fixture"]);
}

#[test]
fn failed_checks_show_both_values() {
    let gas = replay_changed("5.json", |value| value["block"]["gasUsed"] = json!("0x5209"));
    assert_fails(&gas, &["5: GasUsed: expected 21001, got 21000", "5: BlockHash"]);
    let checks = gas.report["blocks"][1]["checks"].clone();
    assert_eq!((&checks["gasUsed"], &checks["logsBloom"]), (&json!("failed"), &json!("passed")));
    assert_eq!(gas.report["blocks"][1]["checkDetails"]["gasUsed"]["expected"], "21001");
}

#[test]
fn a_missing_account_is_named() {
    let outcome = replay_changed("5.json", |value| {
        let accounts = value["prestate"].as_object_mut().unwrap();
        accounts.retain(|address, _| !address.starts_with("0xa1e4380a"));
    });
    assert_fails(
        &outcome,
        &["5: transaction 0", "no account 0xA1E4380A3B1f749673E270229993eE55F35663b4"],
    );
    assert!(outcome.stderr.contains("ERROR"));
}

#[test]
fn blocks_of_another_chain_are_refused() {
    let signed_for_mainnet = replay_changed("5.json", |value| {
        let transaction = &mut value["block"]["transactions"][0];
        for field in ["r", "s", "v", "hash"] {
            transaction.as_object_mut().unwrap().remove(field);
        }
        transaction["chainId"] = json!("0x5");
    });
    assert_fails(&signed_for_mainnet, &["5.json", "transaction 0", "`chainId`", "expected 1"]);
}

#[test]
fn paths_without_blocks_fail() {
    let dir = tempfile::tempdir().unwrap();
    let empty = replay(&[], &[dir.path()]);
    assert_eq!(empty.code, 1);
    assert!(empty.stderr.contains("no fixtures"), "{}", empty.stderr);
    let absent = replay(&[], &[&dir.path().join("absent.json")]);
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains("absent.json"), "{}", absent.stderr);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let file = testdata().join("46147.json");
    let wrong: [(&[&str], &[&Path]); 9] = [
        (&[], &[]),
        (&["--threads", "0"], &[&file]),
        (&["--threads", "100000"], &[&file]),
        (&["--mode", "sideways"], &[&file]),
        (&["--chain", "nochain"], &[&file]),
        (&["--runs", "none"], &[&file]),
        (&["--ablate"], &[&file]),
        (&["--hints", "off", "--ablate"], &[&file]),
        (&["--hints", "learned", "--mode", "sequential"], &[&file]),
    ];
    for (args, paths) in wrong {
        let outcome = replay(args, paths);
        assert_eq!(outcome.code, 2, "{args:?}: {}", outcome.stderr);
    }
}
