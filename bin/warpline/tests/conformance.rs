//! `warpline statetest` and `blocktest` as a whole: a fixed sample of the official fixtures in
//! both modes, and input that is broken.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use assert_cmd::Command;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the official fixtures are, if they are: `WARPLINE_SHARED`, or next to the repository.
fn archive(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("WARPLINE_SHARED").map_or(beside, PathBuf::from);
    let path = shared.join("ethereum-tests").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent; set WARPLINE_SHARED", path.display());
        return None;
    }
    Some(path)
}

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }

    /// The number in front of a word of the last line.
    fn count(&self, what: &str) -> u64 {
        let part = self.last_line().split(", ").find(|part| part.ends_with(what));
        part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

fn warpline(args: &[&str], paths: &[&Path]) -> Outcome {
    let output =
        Command::cargo_bin("warpline").unwrap().args(args).args(paths).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Runs a sample in both modes: nothing fails, and both pass the same number.
fn assert_sample_passes(command: &str, name: &str, filter: &str, at_least: u64) {
    let Some(archive) = archive(name) else { return };
    let run = |threads: &str| {
        let outcome = warpline(&[command, "--threads", threads, "--filter", filter], &[&archive]);
        assert_eq!(
            outcome.code,
            Some(0),
            "{threads} threads:\n{}{}",
            outcome.stdout,
            outcome.stderr
        );
        assert_eq!(outcome.count("failed"), 0, "{}", outcome.last_line());
        outcome.count("passed")
    };
    let (sequential, parallel) = (run("0"), run("3"));
    assert_eq!(sequential, parallel);
    assert!(sequential >= at_least, "only {sequential} passed");
}

#[test]
fn state_tests_of_every_fork() {
    let filter = "ethereum-tests/GeneralStateTests/st(Create2|EIP1559|SelfBalance|Refund|EIP3651)\
                  |legacytests/Constantinople/GeneralStateTests/st(Create2|Transition)";
    assert_sample_passes("statetest", "state-tests.tar.zst", filter, 500);
}

#[test]
fn blocks_before_the_merge_and_invalid_ones() {
    let filter = "/(InvalidBlocks|TransitionTests)/|bc(UncleTest|TotalDifficulty|MultiChain)";
    assert_sample_passes("blocktest", "blockchain-tests.tar.zst", filter, 300);
}

#[test]
fn transitions_and_engine_payloads() {
    let filter = "for_(cancuntoprague|praguetoosaka).*(eip7002|eip7251|eip6110|eip7918|eip2935)\
                  |blockchain_tests_engine/for_amsterdam/amsterdam";
    assert_sample_passes("blocktest", "eest-engine-bal.tar.zst", filter, 20);
}

/// One transfer under Cancun that leaves the right logs but not this state root.
const STATE_TEST: &str = r#"{"wrong root": {
    "env": {"currentCoinbase": "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba",
        "currentGasLimit": "0x1000000", "currentNumber": "0x1", "currentTimestamp": "0x3e8",
        "currentBaseFee": "0x0a", "currentDifficulty": "0x0",
        "currentRandom": "0x0000000000000000000000000000000000000000000000000000000000000000",
        "currentExcessBlobGas": "0x0"},
    "pre": {"0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b":
        {"balance": "0xde0b6b3a7640000", "nonce": "0x0", "code": "0x", "storage": {}}},
    "transaction": {"data": ["0x"], "gasLimit": ["0x5208"], "value": ["0x1"], "nonce": "0x0",
        "gasPrice": "0x0a", "sender": "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b",
        "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8",
        "to": "0xd0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"},
    "post": {"Cancun": [{"indexes": {"data": 0, "gas": 0, "value": 0},
        "hash": "0x0000000000000000000000000000000000000000000000000000000000000001",
        "logs": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"}]}}}"#;

#[test]
fn a_wrong_root_fails_with_its_name_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.json");
    fs::write(&file, STATE_TEST).unwrap();
    let report = dir.path().join("report.json");
    for threads in ["0", "2"] {
        let args = ["statetest", "--threads", threads, "--json", report.to_str().unwrap()];
        let outcome = warpline(&args, &[&file]);
        assert_eq!(outcome.code, Some(1));
        assert_eq!(outcome.last_line(), "0 passed, 1 failed");
        let line = outcome.stdout.lines().next().unwrap();
        for part in ["t.json", "wrong root (d0 g0 v0)", "[Cancun]", "expected 0x0", ", got 0x"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        let json: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["failures"][0]["fork"], "Cancun");
    }
    let outcome = warpline(&["statetest", "--fork", "London"], &[&file]);
    assert_eq!((outcome.code, outcome.last_line()), (Some(0), "0 passed, 0 failed"));
}

#[test]
fn broken_files_are_named_and_the_others_still_run() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("cut.json", &STATE_TEST[..300]);
    write("fork.json", &STATE_TEST.replace("Cancun", "Gotham"));
    write("good.json", STATE_TEST);
    write("other.json", r#"{"a rlp test": {"in": "dog", "out": "0x83646f67"}}"#);
    write("unknown.json", &STATE_TEST.replace("\"logs\"", "\"extra\": 1, \"logs\""));
    write("broken.tar.zst", "this is no archive");
    let outcome = warpline(&["statetest", "--threads", "0"], &[dir.path()]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.last_line(), "0 passed, 2 failed");
    assert!(outcome.stdout.contains("unknown network `Gotham`"), "{}", outcome.stdout);
    for part in ["cut.json: at `wrong root", "unknown field `extra`", "broken.tar.zst: damaged"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert!(outcome.stderr.contains("1 fixtures of other kinds passed over"), "{}", outcome.stderr);
}

#[test]
fn paths_that_do_not_exist_are_errors() {
    let outcome = warpline(&["blocktest"], &[Path::new("/no/such/fixture.json")]);
    assert_eq!((outcome.code, outcome.last_line()), (Some(1), "0 passed, 0 failed"));
    assert!(outcome.stderr.contains("/no/such/fixture.json"), "{}", outcome.stderr);
}
