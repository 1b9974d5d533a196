//! Chains in databases, through the commands that make one for the time being.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use assert_cmd::Command;
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::{self, Stdio},
    thread,
    time::{Duration, Instant},
};

fn warpline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_warpline"))
}

#[test]
fn fixtures_import_through_databases_that_verify_and_unwind() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = env::var("WARPLINE_SHARED").unwrap_or_else(|_| default.to_owned());
    let archives = PathBuf::from(shared).join("ethereum-tests");
    if !archives.exists() {
        println!("SKIPPED 2 samples: there is no {}", archives.display());
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    // It is made where it is not there.
    let folder = parent.path().join("databases");
    for threads in ["0", "2"] {
        let mut command = warpline();
        command.args(["blocktest", "--sample", "60", "--threads", threads, "--datadir"]);
        let output = command.arg(&folder).arg(&archives).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{threads} threads: {stdout}");
        let passed = stdout.lines().last().and_then(|line| line.split(' ').next());
        let passed: usize = passed.and_then(|count| count.parse().ok()).unwrap();
        assert!(passed > 1_000, "{threads} threads: only {passed} passed");
    }
    assert_eq!(folder.read_dir().unwrap().count(), 0, "every database is removed");
}

#[test]
fn a_pipeline_bench_reports_every_variant_and_stage() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = warpline();
    command.args(["bench", "transfers", "erc20", "--pipeline", "--blocks", "3", "--txs", "50"]);
    command.args(["--state-size", "2000", "--runs", "1", "--threads", "2", "--json", "-"]);
    let output = command.arg("--datadir").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["pipeline"].as_array().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        assert_eq!(row["transactions"], 150);
        assert_eq!(row["blocks"], 3);
        assert!(row["stateAccounts"].as_u64().unwrap() >= 2_000);
        assert!(row["cpuMs"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["speedup"].as_f64().unwrap() > 0.0, "{row}");
        for stage in ["senders", "execution", "root", "commit", "write"] {
            assert!(row["stagesMs"][stage].as_f64().unwrap() > 0.0, "{row}");
        }
    }
    let parallel = rows.iter().filter(|row| row["mode"] == "parallel").count();
    assert_eq!(parallel, 4);
}

#[test]
fn a_pipeline_bench_measures_only_what_is_asked_for() {
    let rows = |arguments: [&str; 4]| {
        let mut command = warpline();
        command.args(["bench", "transfers", "--pipeline", "--blocks", "2", "--txs", "20"]);
        let output = command.args(["--runs", "1", "--json", "-"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = report["pipeline"].as_array().unwrap().clone();
        let of =
            |row: Value| (row["mode"].clone(), row["senders"].clone(), row["speedup"].is_f64());
        rows.into_iter().map(of).collect::<Vec<_>>()
    };
    for (in_vain, says) in [
        (&["--pipeline", "--streaming", "--senders", "recovered"][..], "--streaming measures"),
        (&["--pipeline", "--streaming", "--mode", "sequential"], "--streaming measures"),
        (&["--pipeline", "--hints", "perfect"], "which take no --hints"),
        (&["--hints", "perfect", "--mode", "parallel"], "--pipeline"),
        (&["--hints", "off", "--ablate"], "--hints"),
        (&["--cold"], "--cold measures what hints are worth"),
        (&["--cold", "--hints", "perfect", "--mode", "parallel"], "cannot be used with"),
        (&["--cold", "--hints", "perfect", "--ablate"], "cannot be used with"),
        (&["--ablate"], "--hints"),
    ] {
        let output = warpline().args(["bench", "transfers"]).args(in_vain).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{in_vain:?}: {said}");
        assert!(said.contains(says), "{in_vain:?}: {said}");
    }
    let row = |mode: &str, senders: &str, compared| (mode.into(), senders.into(), compared);
    assert_eq!(
        rows(["--mode", "parallel", "--senders", "known"]),
        [row("parallel", "known", false)]
    );
    assert_eq!(
        rows(["--mode", "both", "--senders", "recovered"]),
        [row("in order", "recovered", true), row("parallel", "recovered", true)]
    );
}

#[test]
fn a_bench_that_is_interrupted_leaves_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let entries = |folder: &Path| folder.read_dir().map_or(0, Iterator::count);
    for what in [&["--pipeline"][..], &["--cold", "--hints", "learned"]] {
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_warpline"));
        command.args(["bench", "transfers", "--state-size", "3000000"]).args(what);
        command.arg("--datadir").arg(folder.path()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        while entries(folder.path()) == 0 && started.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(entries(folder.path()), 1, "no database is made");
        thread::sleep(Duration::from_millis(300));
        let id = child.id().to_string();
        assert!(process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(entries(folder.path()), 0, "{what:?}");
    }
}

#[test]
fn databases_that_are_kept_lie_where_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = warpline();
    command.args(["bench", "transfers", "--pipeline", "--blocks", "2", "--txs", "20", "--keep"]);
    command.args(["--runs", "1", "--mode", "parallel", "--senders", "known", "--datadir"]);
    let output = command.arg(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let kept = said.lines().find_map(|line| line.split_once("--datadir ")).unwrap().1;
    assert_eq!(Path::new(kept).parent(), Some(folder.path()));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let stats = warpline().args(["db", "stats", "--datadir", kept]).output().unwrap();
    assert!(stats.status.success(), "{}", String::from_utf8_lossy(&stats.stderr));
}
