//! What is said, and what becomes of a command to which nobody listens.

use crate::{
    chains::made,
    program::{Outcome, command, import, init, stats, verify, warpline},
};
use std::{
    fs::{self, OpenOptions},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const NOTHING: [&str; 0] = [];

#[test]
fn an_import_that_nobody_listens_to_goes_on() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let mut import = command(&["import", "--log-interval", "0"], folder.path());
    let import = import.arg(chain.file(.., "all.rlp"));
    let mut child = import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(verify(folder.path()), chain.head());
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["db", "stats"][..], &["db", "stats", "--json", "-"]] {
        let mut command = command(arguments, folder.path());
        let output = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Outcome::new(output.wait_with_output().unwrap());
        output.failed(&["Error: writing to standard output: No space left on device"]);
    }
    let mut command = command(&["db", "stats"], folder.path());
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn an_error_is_one_line_that_tells_each_cause_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.rlp");
    let said = import(folder.path(), &[&missing]).failed(&[]);
    let expected =
        format!("Error: {}: No such file or directory (os error 2)\n", missing.display());
    assert_eq!(said.stderr, expected);
    let mut command = command(&["db", "stats"], folder.path());
    let said = command.env_remove("NO_COLOR").env("RUST_BACKTRACE", "1").output().unwrap();
    let database = folder.path().join("db");
    assert_eq!(
        Outcome::new(said).failed(&[]).stderr,
        format!(
            "Error: there is no database at {} (`warpline init --chain NAME|FILE` makes one)\n",
            database.display()
        )
    );
}

#[test]
fn a_file_without_blocks_is_said_to_have_none() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let empty = folder.path().join("empty.rlp");
    fs::write(&empty, "").unwrap();
    let said = import(folder.path(), &[&empty, &chain.file(.., "all.rlp")]).ok();
    assert!(said.stderr.contains(&format!("{} holds no blocks", empty.display())), "{said:?}");
    assert_eq!(said.json()["head"]["number"], chain.head());
}

#[test]
fn checking_a_database_does_not_make_its_last_shutdown_one_in_order() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let is_clean = || stats(folder.path())["cleanShutdown"].as_bool().unwrap();
    assert!(is_clean());
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = command(&["import"], folder.path()).arg(&pipe).spawn().unwrap();
    let writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let start = Instant::now();
    while is_clean() {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(writer);
    assert_eq!(verify(folder.path()), 0);
    assert!(!is_clean());
    warpline(&["db", "unwind", "0"], folder.path(), NOTHING).ok();
    assert!(is_clean());
}
