//! What is said, and what becomes of a command to which nobody listens.

use crate::{
    chains::made,
    crash::signal,
    program::{Outcome, command, import, init, stats, verify, warpline},
};
use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const NOTHING: [&str; 0] = [];

fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
}

fn pipe_in(folder: &Path) -> PathBuf {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

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
fn a_pipe_is_read_as_it_comes_and_a_signal_ends_the_wait_for_it() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let pipe = pipe_in(folder.path());
    let start = |subcommand: &[&str]| {
        let mut command = command(subcommand, folder.path());
        command.arg(&pipe).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let terminated = |mut child: Child| {
        signal(&child, "TERM");
        wait_until(|| child.try_wait().unwrap().is_some());
        let outcome = Outcome::new(child.wait_with_output().unwrap());
        assert_eq!(outcome.code, Some(143), "{outcome:?}");
        outcome
    };
    let head = || stats(folder.path())["head"]["number"].as_u64().unwrap();

    // Nobody writes, and nobody reads.
    let waiting = start(&["import"]);
    thread::sleep(Duration::from_millis(300));
    terminated(waiting);
    let waiting = start(&["export"]);
    thread::sleep(Duration::from_millis(300));
    terminated(waiting);

    // A writer that opens it once, and stays in the middle of a block.
    let child = start(&["import", "--log-interval", "0"]);
    let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all(&chain.bytes(..7)).unwrap();
    writer.write_all(&chain.blocks[7][..20]).unwrap();
    wait_until(|| head() >= 7);
    let outcome = terminated(child);
    assert!(outcome.stderr.contains("ended by a signal; the same command goes on"), "{outcome:?}");
    assert_eq!(verify(folder.path()), 7);
}

#[test]
fn an_export_does_not_go_over_the_database() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    for name in ["db/mdbx.dat", "db/new.rlp"] {
        let file = folder.path().join(name);
        warpline(&["export"], folder.path(), [&file]).failed(&["belongs to the database"]);
    }
    assert_eq!(verify(folder.path()), 0);
    let (target, link) = (folder.path().join("target.rlp"), folder.path().join("link.rlp"));
    fs::write(&target, "former").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    warpline(&["export"], folder.path(), [&link]).ok();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read(&target).unwrap(), b"former");
    let gzipped = folder.path().join("link.gz");
    std::os::unix::fs::symlink(&target, &gzipped).unwrap();
    warpline(&["export"], folder.path(), [&gzipped]).ok();
    assert_eq!(fs::read(&target).unwrap()[..2], [0x1f, 0x8b]);
    let said = warpline(&["export"], folder.path(), [link.as_os_str(), "1".as_ref()]);
    said.failed(&["block 1 is not in the database, which ends with block 0"]);
}

#[test]
fn a_report_goes_over_nothing_but_json() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let (database, report) = (folder.path().join("db/mdbx.dat"), folder.path().join("report"));
    let json = |file: &Path| {
        warpline(&["db", "stats"], folder.path(), [OsStr::new("--json"), file.as_os_str()])
    };
    json(&database).failed(&["mdbx.dat holds something else than JSON"]);
    json(&report).ok();
    let first = fs::read(&report).unwrap();
    json(&report).ok();
    assert_eq!(verify(folder.path()), 0);
    // A command that fails leaves the last report.
    let absent = folder.path().join("absent");
    let args = [OsStr::new("--json"), report.as_os_str()];
    warpline(&["db", "stats"], &absent, args).failed(&["absent"]);
    assert_eq!(fs::read(&report).unwrap(), first);
}

#[test]
fn checking_a_database_does_not_make_its_last_shutdown_one_in_order() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let is_clean = || stats(folder.path())["cleanShutdown"].as_bool().unwrap();
    assert!(is_clean());
    let pipe = pipe_in(folder.path());
    let mut child = command(&["import"], folder.path()).arg(&pipe).spawn().unwrap();
    let writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    wait_until(|| !is_clean());
    child.kill().unwrap();
    child.wait().unwrap();
    drop(writer);
    assert_eq!(verify(folder.path()), 0);
    init(folder.path(), &chain.genesis).ok();
    assert!(!is_clean());
    warpline(&["db", "unwind", "0"], folder.path(), NOTHING).ok();
    assert!(is_clean());
}
