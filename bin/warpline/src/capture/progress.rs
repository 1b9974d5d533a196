//! How a capture goes: a bar, lines about what failed, and the sum.

use crate::output::sayln;
use alloy_primitives::map::HashMap;
use eyre::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};
use warpline_capture::Method;

/// Shared by all that capture.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    captured: HashMap<Method, u64>,
    unproven: u64,
    passed_over: u64,
    failed: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::new(0), counts: Mutex::default() }
    }

    /// Begins with so many blocks.
    pub(super) fn start(&self, blocks: u64) -> Result<()> {
        self.bar.set_style(ProgressStyle::with_template(
            "{bar:40} {pos}/{len} blocks, {eta} left: {msg}",
        )?);
        self.bar.set_length(blocks);
        Ok(())
    }

    /// Begins to wait for blocks of which nobody knows how many there will be.
    pub(super) fn wait(&self) -> Result<()> {
        self.bar.set_style(ProgressStyle::with_template("{spinner} {pos} blocks: {msg}")?);
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn captured(&self, number: u64, method: Method, proven: bool) {
        let mut counts = self.counts();
        *counts.captured.entry(method).or_default() += 1;
        counts.unproven += u64::from(!proven);
        drop(counts);
        self.bar.set_message(format!("block {number}"));
        self.bar.inc(1);
    }

    pub(super) fn passed_over(&self) {
        self.counts().passed_over += 1;
        self.bar.inc(1);
    }

    pub(super) fn failed(&self, failure: &impl Display) {
        self.counts().failed += 1;
        self.say(failure);
        self.bar.inc(1);
    }

    /// A line beside the bar.
    pub(super) fn say(&self, line: &impl Display) {
        self.bar.suspend(|| sayln!("{line}"));
    }

    /// Whether no block has failed.
    pub(super) fn all_good(&self) -> bool {
        self.counts().failed == 0
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// What was done, in one line.
    pub(super) fn summary(&self, requests: u64) -> String {
        let counts = self.counts();
        let total: u64 = counts.captured.values().sum();
        let of = |method: Method| {
            let count = counts.captured.get(&method)?;
            Some(format!("{count} by {}", method.name()))
        };
        let methods: Vec<String> = Method::ALL.into_iter().filter_map(of).collect();
        let methods = match methods.is_empty() {
            true => String::new(),
            false => format!(" ({})", methods.join(", ")),
        };
        let unproven = match counts.unproven {
            0 => String::new(),
            count => format!(", the state of {count} as claimed, without proofs"),
        };
        format!(
            "{total} blocks captured{methods}{unproven}, {} passed over, {} failed; {requests} requests",
            counts.passed_over, counts.failed
        )
    }
}
