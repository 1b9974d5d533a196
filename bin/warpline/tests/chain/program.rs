//! Running the program.

use serde_json::Value;
use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output, Stdio},
};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code: output.status.code(), stdout, stderr }
    }

    /// The run went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The run failed in order, and said all of this.
    #[track_caller]
    pub(crate) fn failed(self, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program with a data folder.
pub(crate) fn command(subcommand: &[&str], datadir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warpline"));
    command.args(subcommand).arg("--datadir").arg(datadir);
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs it.
pub(crate) fn warpline<A: AsRef<OsStr>>(
    subcommand: &[&str],
    datadir: &Path,
    args: impl IntoIterator<Item = A>,
) -> Outcome {
    Outcome::new(command(subcommand, datadir).args(args).output().unwrap())
}

/// `warpline init`.
pub(crate) fn init(datadir: &Path, chain: &Path) -> Outcome {
    warpline(&["init"], datadir, [OsStr::new("--chain"), chain.as_os_str()])
}

/// `warpline import`, with the summary as JSON on standard output.
pub(crate) fn import(datadir: &Path, files: &[&Path]) -> Outcome {
    warpline(&["import", "--json", "-"], datadir, files)
}

/// `warpline db verify` finds nothing; the number of the head.
#[track_caller]
pub(crate) fn verify(datadir: &Path) -> u64 {
    let report = warpline(&["db", "verify", "--json", "-"], datadir, [] as [&str; 0]).ok().json();
    assert_eq!(report["verified"], true);
    report["block"].as_u64().unwrap()
}

/// `warpline db stats`.
#[track_caller]
pub(crate) fn stats(datadir: &Path) -> Value {
    warpline(&["db", "stats", "--json", "-"], datadir, [] as [&str; 0]).ok().json()
}
