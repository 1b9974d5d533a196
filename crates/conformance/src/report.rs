//! What a run found: counts, failures, skips and errors.

use crate::SourceError;
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// Expected and actual, or what else went wrong.
    Failed(String),
    /// Not expected to pass, for this reason.
    Skipped(&'static str),
}

/// A case that does not give what it should.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failure {
    /// The file, or the archive and the path inside.
    pub file: String,
    /// The test's name; for a state test with the indexes of data, gas and value.
    pub test: String,
    /// The fork or network.
    pub fork: String,
    /// What was expected and what was found.
    pub problem: String,
}

impl Failure {
    fn name(&self) -> String {
        format!("{} {} [{}]", self.file, self.test, self.fork)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FAIL {}: {}", self.name(), self.problem)
    }
}

/// Counts of one suite and fork.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Cases that give what they should.
    pub passed: u64,
    /// Cases that do not.
    pub failed: u64,
    /// Cases that are not expected to pass.
    pub skipped: u64,
}

/// How long a case took.
#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize)]
pub struct Timed {
    /// Seconds, from start to end: other cases may have had the core in between.
    pub seconds: f64,
    /// File, test and fork.
    pub case: String,
}

/// How many of the slowest cases a report names.
const SLOWEST: usize = 20;

/// What a run found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Threads of the parallel execution, 0 for the sequential oracle.
    pub threads: usize,
    /// All cases.
    #[serde(flatten)]
    pub counts: Counts,
    /// Fixtures of other kinds in the same files.
    pub passed_over: u64,
    /// Seconds taken.
    pub seconds: f64,
    /// Counts by suite (the archive or folder) and fork.
    pub suites: BTreeMap<String, BTreeMap<String, Counts>>,
    /// Every failure.
    pub failures: Vec<Failure>,
    /// The cases that took longest, the longest first.
    pub slowest: Vec<Timed>,
    /// How many cases were skipped for each reason.
    pub skips: BTreeMap<String, u64>,
    /// Every skipped case: file, test and fork, by reason.
    pub skipped_cases: BTreeMap<String, Vec<String>>,
    /// Files and archives that cannot be used.
    pub errors: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, suite: &str, case: Failure, verdict: &Verdict, took: Duration) {
        self.note_time(&case, took.as_secs_f64());
        let forks = self.suites.entry(suite.to_owned()).or_default();
        let of_fork = forks.entry(case.fork.clone()).or_default();
        for counts in [of_fork, &mut self.counts] {
            match verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed(_) => counts.failed += 1,
                Verdict::Skipped(_) => counts.skipped += 1,
            }
        }
        match verdict {
            Verdict::Passed => {}
            Verdict::Failed(_) => self.failures.push(case),
            Verdict::Skipped(reason) => {
                *self.skips.entry((*reason).to_owned()).or_default() += 1;
                self.skipped_cases.entry((*reason).to_owned()).or_default().push(case.name());
            }
        }
    }

    fn note_time(&mut self, case: &Failure, seconds: f64) {
        let at = self.slowest.partition_point(|other| other.seconds >= seconds);
        if at < SLOWEST {
            self.slowest.insert(at, Timed { seconds, case: case.name() });
            self.slowest.truncate(SLOWEST);
        }
    }

    pub(crate) fn finish(&mut self, errors: Vec<SourceError>, took: Duration) {
        self.errors = errors.iter().map(ToString::to_string).collect();
        self.seconds = took.as_secs_f64();
        self.failures.sort();
        self.errors.sort();
        self.skipped_cases.values_mut().for_each(|cases| cases.sort());
    }

    /// Whether everything that should pass does, and every file could be used.
    pub fn success(&self) -> bool {
        self.counts.failed == 0 && self.errors.is_empty()
    }

    /// The last line: how many cases passed, failed, and were skipped.
    pub fn totals(&self) -> String {
        let Counts { passed, failed, skipped } = self.counts;
        match skipped {
            0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed, {failed} failed, {skipped} skipped"),
        }
    }
}
