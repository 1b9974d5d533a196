//! The report for people.

use crate::{
    AccessListReport, BlockReport, PredictionScore, Report, Summary,
    checks::Check,
    report::{CheckDetail, geomean},
    table_hints::write_hints,
};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::{collections::BTreeMap, fmt::Write};

const HEADINGS: [&str; 16] = [
    "block",
    "fork",
    "txs",
    "Mgas",
    "seq ms",
    "par ms",
    "speedup",
    "bound",
    "of bound",
    "CPU",
    "exec",
    "re-exec",
    "critical",
    "predicted",
    "checks",
    "equal",
];
/// Columns with text; the others are numbers.
const TEXT: [usize; 2] = [0, 1];

/// The whole report: a table with a row for every block and every unusable file, where the time
/// went, what failed, what could not be checked and why, and the summary.
pub fn render_table(report: &Report) -> String {
    let mut text = String::new();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADINGS);
    for block in &report.blocks {
        table.add_row(row(block));
    }
    for failure in &report.errors {
        let mut cells = vec![Cell::new(&failure.file), Cell::new("FILE NOT USABLE")];
        cells.extend(HEADINGS[2..].iter().map(|_| Cell::new("–")));
        table.add_row(cells);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if !TEXT.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{table}");
    write_shares(&mut text, &report.blocks);
    write_not_checkable(&mut text, &report.blocks);
    write_failures(&mut text, report);
    write_summary(&mut text, report);
    text
}

fn row(block: &BlockReport) -> Vec<Cell> {
    let number = |value: Option<f64>, digits: usize| {
        Cell::new(value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}")))
    };
    let percent = |value: Option<f64>| {
        Cell::new(value.map_or_else(|| "–".to_owned(), |value| format!("{:.0}%", value * 100.0)))
    };
    let count =
        |value: Option<u64>| Cell::new(value.map_or_else(|| "–".to_owned(), |v| v.to_string()));
    let (passed, failed) = (block.count("passed"), block.count("failed"));
    let checks = match failed {
        0 => format!("{passed} of {passed}"),
        _ => format!("{failed} FAILED"),
    };
    let equal = match (&block.error, block.equal_to_sequential) {
        (_, Some(false)) => "NO",
        (Some(_), _) => "ERROR",
        (None, Some(true)) => "yes",
        (None, None) => "–",
    };
    let name = if block.name.is_empty() { block.number.to_string() } else { block.name.clone() };
    vec![
        Cell::new(name),
        Cell::new(block.fork),
        Cell::new(block.transactions),
        number(Some(block.gas_used as f64 / 1e6), 2),
        number(block.sequential_ms, 3),
        number(block.parallel_ms, 3),
        number(block.speedup, 2),
        number(block.bound, 2),
        percent(block.share_of_bound),
        number(block.cpu_ratio, 2),
        count(block.executions),
        count(block.re_executions),
        percent(block.critical_path_share),
        percent(block.prediction.and_then(|score| score.slots.recall())),
        Cell::new(checks),
        Cell::new(equal),
    ]
}

/// The mean shares over all blocks, weighted by their time.
fn write_shares(text: &mut String, blocks: &[BlockReport]) {
    let weighted = blocks.iter().filter_map(|block| Some((block.parallel_ms?, block.shares?)));
    let weighted: Vec<_> = weighted.collect();
    let total: f64 = weighted.iter().map(|(ms, _)| ms).sum();
    if total <= 0.0 {
        return;
    }
    let mean = |share: fn(&crate::Shares) -> f64| {
        weighted.iter().map(|(ms, shares)| ms * share(shares)).sum::<f64>() / total * 100.0
    };
    let _ = writeln!(
        text,
        "time of all threads: execute {:.0}%, run ahead {:.0}%, re-execute {:.0}%, validate \
         {:.0}%, merge {:.0}%, idle {:.0}%, other {:.0}%",
        mean(|s| s.execute),
        mean(|s| s.run_ahead),
        mean(|s| s.re_execute),
        mean(|s| s.validate),
        mean(|s| s.merge),
        mean(|s| s.idle),
        mean(|s| s.other),
    );
}

/// Every reason for which checks could not be made, with the number of blocks.
fn write_not_checkable(text: &mut String, blocks: &[BlockReport]) {
    let mut reasons: BTreeMap<(Check, &str), Vec<&str>> = BTreeMap::new();
    for block in blocks {
        for (check, detail) in &block.check_details {
            if let CheckDetail::NotCheckable { reason } = detail {
                reasons.entry((*check, reason)).or_default().push(&block.name);
            }
        }
    }
    for ((check, reason), names) in reasons {
        let who = match names[..] {
            [one] => one.to_owned(),
            _ => format!("{} blocks", names.len()),
        };
        let _ = writeln!(text, "not checkable: {check:?} ({who}): {reason}");
    }
}

fn write_failures(text: &mut String, report: &Report) {
    for failure in &report.errors {
        let _ = writeln!(text, "FAILED {}", failure.error);
    }
    for block in report.blocks.iter().filter(|block| !block.verified()) {
        let name = &block.name;
        if let Some(error) = &block.error {
            let _ = writeln!(text, "FAILED {name}: {error}");
        }
        if let Some(divergence) = &block.divergence {
            let _ = writeln!(text, "FAILED {name}: parallel differs at {divergence}");
        }
        for (check, detail) in &block.check_details {
            if let CheckDetail::Failed { expected, actual } = detail {
                let _ =
                    writeln!(text, "FAILED {name}: {check:?}: expected {expected}, got {actual}");
            }
        }
        if let Some(problem) = block.access_list.as_ref().and_then(|list| list.problem.as_ref()) {
            let _ = writeln!(text, "FAILED {name}: access list: {problem}");
        }
        if let Some(hint) = &block.hint {
            let _ = writeln!(text, "       {name}: {hint}");
        }
    }
}

fn write_summary(text: &mut String, report: &Report) {
    let Summary { blocks, verified, failed, .. } = report.summary;
    let _ = write!(text, "{verified} of {blocks} blocks verified");
    if failed > 0 {
        let _ = write!(text, ", {failed} FAILED");
    }
    let _ = writeln!(text, " ({} threads, {} runs)", report.threads, report.runs);
    let summary = &report.summary;
    if let (Some(mean), Some(min)) = (summary.geomean_speedup, summary.min_speedup) {
        let _ = writeln!(text, "speed-up: geometric mean {mean:.2}, lowest {min:.2}");
    }
    if let (Some(mean), Some(bound), Some(cpu)) = (
        summary.geomean_speedup_over_1ms,
        summary.geomean_share_of_bound_over_1ms,
        summary.geomean_cpu_ratio_over_1ms,
    ) {
        let _ = writeln!(
            text,
            "{} blocks of at least 1 ms: speed-up {mean:.2}, {:.0}% of the bound, CPU time {cpu:.2}",
            summary.blocks_over_1ms,
            bound * 100.0
        );
    }
    let rate = |rate: f64| format!("{:.0} Mgas/s", rate / 1e6);
    let rates = [
        ("parallel", summary.gas_per_second_parallel),
        ("sequential", summary.gas_per_second_sequential),
    ];
    let rates: Vec<_> =
        rates.iter().filter_map(|(name, r)| Some(format!("{name} {}", rate((*r)?)))).collect();
    if !rates.is_empty() {
        let _ = writeln!(text, "throughput: {}", rates.join(", "));
    }
    write_hints(text, &report.blocks);
    write_prediction(text, &report.blocks);
    write_access_lists(text, &report.blocks);
}

/// What the access lists of all blocks cost, and what they are worth.
fn write_access_lists(text: &mut String, blocks: &[BlockReport]) {
    let lists: Vec<_> = blocks.iter().filter_map(|block| block.access_list.as_ref()).collect();
    if lists.is_empty() {
        return;
    }
    let equal = lists.iter().filter(|list| list.equal_to_revm).count();
    let _ = write!(text, "access lists: {equal} of {} as revm makes them", lists.len());
    let ratio = |part: fn(&AccessListReport) -> Option<f64>| {
        let ratios = lists.iter().filter_map(|list| Some(part(list)? / list.plain_ms?));
        geomean(ratios.filter(|ratio| ratio.is_finite() && *ratio > 0.0))
    };
    let times = (ratio(|list| list.producing_ms), ratio(|list| list.foretold_ms));
    if let (Some(producing), Some(foretold)) = times {
        let _ = write!(
            text,
            "; time with making one {producing:.2}, with one at hand {foretold:.2} of that without"
        );
    }
    let (all, vain) = lists
        .iter()
        .fold((0, 0), |(all, vain), list| (all + list.executions, vain + list.re_executions));
    let _ = writeln!(text, "; {all} executions with one, {vain} in vain");
}

/// How well the accesses of all transactions were predicted.
fn write_prediction(text: &mut String, blocks: &[BlockReport]) {
    let mut score = PredictionScore::default();
    blocks.iter().filter_map(|block| block.prediction).for_each(|block| score.add(&block));
    if score.transactions == 0 {
        return;
    }
    let kinds = [
        ("accounts", score.accounts),
        ("slots", score.slots),
        ("slots written", score.slots_written),
    ];
    let shares = kinds.iter().filter_map(|(name, tally)| {
        let (recall, precision) = (tally.recall()?, tally.precision().unwrap_or_default());
        Some(format!("{name} {:.1}% ({:.1}% right)", recall * 100.0, precision * 100.0))
    });
    let shares: Vec<_> = shares.collect();
    let _ = writeln!(
        text,
        "predicted from what ran before: {}, {:.1} us per transaction",
        shares.join(", "),
        score.microseconds()
    );
}
