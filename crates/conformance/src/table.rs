//! The counts for people.

use crate::{Counts, Report};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;

impl Report {
    /// A table with a row for every suite and fork and one for the total, and below it why cases
    /// were skipped and what else was in the files.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["suite", "fork", "passed", "failed", "skipped"]);
        for (suite, forks) in &self.suites {
            for (fork, counts) in forks {
                table.add_row(row(suite, fork, counts));
            }
        }
        let time = format!("{:.1} s", self.seconds);
        table.add_row(row("all", &time, &self.counts));
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if index > 1 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = format!("{table}\n");
        for (reason, count) in &self.skips {
            let _ = writeln!(text, "{count} skipped: {reason}");
        }
        if self.passed_over > 0 {
            let _ = writeln!(text, "{} fixtures of other kinds passed over", self.passed_over);
        }
        if !self.errors.is_empty() {
            let _ = writeln!(text, "{} files could not be used", self.errors.len());
        }
        text
    }
}

fn row(suite: &str, fork: &str, counts: &Counts) -> [String; 5] {
    let Counts { passed, failed, skipped } = counts;
    [suite.into(), fork.into(), passed.to_string(), failed.to_string(), skipped.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, report::Verdict};
    use std::time::Duration;

    #[test]
    fn a_row_for_every_suite_and_fork_and_the_total() {
        let mut report = Report::default();
        let mut add = |suite: &str, fork: &str, verdict: Verdict| {
            let case = Failure {
                file: "f".into(),
                test: "t".into(),
                fork: fork.into(),
                problem: String::new(),
            };
            report.add(suite, case, &verdict, Duration::ZERO);
        };
        add("old", "Berlin", Verdict::Passed);
        add("old", "Berlin", Verdict::Failed("x".into()));
        add("old", "London", Verdict::Skipped("because"));
        add("new", "London", Verdict::Passed);
        let text = report.table();
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["new", "London", "1", "0", "0"]);
        assert_eq!(rows[2], ["old", "Berlin", "1", "1", "0"]);
        assert_eq!(rows[3], ["old", "London", "0", "0", "1"]);
        assert_eq!(rows[4], ["all", "0.0", "s", "2", "1", "1"]);
        assert_eq!(rows[5], ["1", "skipped:", "because"]);
    }
}
