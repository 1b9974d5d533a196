//! `warpline statetest` and `blocktest` as a whole: a fixed sample of the official fixtures in
//! both modes, and input that is broken.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use assert_cmd::Command;
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The folder of the official fixtures, if it is there: in `WARPLINE_SHARED`, or next to the
/// repository.
fn fixtures(tests: usize) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("WARPLINE_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("ethereum-tests");
    if folder.is_dir() {
        return Some(folder);
    }
    // Past the test harness, which hides what passing tests print.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {tests} official fixtures: {} is absent, set WARPLINE_SHARED",
        folder.display()
    );
    None
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

/// In order, in parallel, and in parallel like any client's own factory.
const MODES: [&[&str]; 3] =
    [&["--threads", "0"], &["--threads", "3"], &["--threads", "2", "--any-factory"]];

/// Runs some of the official fixtures in every mode: nothing fails, and all pass the same number.
fn assert_pass(command: &str, some: [&str; 2], at_least: usize) {
    let Some(folder) = fixtures(at_least) else { return };
    let passed = MODES.map(|mode| {
        let outcome = warpline(&[&[command][..], &some, mode].concat(), &[&folder]);
        let output = format!("{mode:?}:\n{}{}", outcome.stdout, outcome.stderr);
        assert_eq!((outcome.code, outcome.count("failed")), (Some(0), 0), "{output}");
        outcome.count("passed")
    });
    assert!(passed.iter().all(|count| *count == passed[0]), "{passed:?}");
    assert!(passed[0] >= at_least as u64, "only {passed:?} passed");
}

#[test]
fn a_sample_of_the_state_tests() {
    assert_pass("statetest", ["--sample", "16"], 8_000);
}

#[test]
fn a_sample_of_the_blockchain_and_engine_tests() {
    assert_pass("blocktest", ["--sample", "16"], 5_000);
}

#[test]
fn all_transaction_rlp_trie_and_difficulty_tests() {
    assert_pass("txtest", ["--sample", "1"], 23_000);
}

/// Everything that failed once, for a reason of ours or of our libraries.
const STATE_REGRESSIONS: &[&str] = &[
    // Creation where there is storage (EIP-7610).
    "eip7610_create_collision",
    "RevertInCreateInInit",
    "create2collisionStorage",
    "InitCollision",
    "dynamicAccountOverwriteEmpty",
    // The gas of EIP-1283.
    "Constantinople/GeneralStateTests/stSStoreTest",
    // Whether a rejected transaction touches the beneficiary.
    "test_eip(2930|1559)_tx_validity",
    "Constantinople/GeneralStateTests/stTransactionTest",
    // Values that no encoding holds.
    "ValueOverflow",
];

const BLOCK_REGRESSIONS: &[&str] = &[
    "eip7610_create_collision",
    "dynamicAccountOverwriteEmpty",
    // The gas of system calls.
    "system_contract_errors",
    // The DAO's funds move before the transactions.
    "/bcTheDaoTest/",
    "HomesteadToDao",
    // Invalid headers that break more than one rule, and ommers.
    "/InvalidBlocks/",
    "/bc(Invalid|Uncle|MultiChain|TotalDifficulty|ForkStress)",
    "/TransitionTests/",
    // Requests, call errors and access lists of engine payloads.
    "invalid_multi_type_requests",
    "eip7928_block_level_access_lists",
];

#[test]
fn every_state_test_that_ever_failed() {
    assert_pass("statetest", ["--filter", &STATE_REGRESSIONS.join("|")], 300);
}

#[test]
fn every_blockchain_test_that_ever_failed() {
    assert_pass("blocktest", ["--filter", &BLOCK_REGRESSIONS.join("|")], 1_500);
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
fn arguments_that_make_no_sense_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.json");
    fs::write(&file, STATE_TEST).unwrap();
    let wrong: [(&[&str], i32, &str); 6] = [
        (&["--fork", "Gotham"], 1, "unknown fork or network `Gotham`"),
        (&["--threads", "100000"], 2, "1024"),
        (&["--workers", "1000", "--threads", "5"], 1, "more than 4096"),
        (&["--filter", "["], 2, "unclosed"),
        (&["--sample", "0"], 2, "--sample"),
        (&["--json", "/no/such/folder/report.json"], 1, "/no/such/folder/report.json"),
    ];
    for (args, code, problem) in wrong {
        let outcome = warpline(&[&["statetest"], args].concat(), &[&file]);
        assert_eq!(outcome.code, Some(code), "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(problem), "{args:?}: {}", outcome.stderr);
    }
}

#[test]
fn paths_that_do_not_exist_are_errors() {
    let outcome = warpline(&["blocktest"], &[Path::new("/no/such/fixture.json")]);
    assert_eq!((outcome.code, outcome.last_line()), (Some(1), "0 passed, 0 failed"));
    assert!(outcome.stderr.contains("/no/such/fixture.json"), "{}", outcome.stderr);
}
