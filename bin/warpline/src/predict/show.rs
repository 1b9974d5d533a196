//! Predictions and their scores, for people.

use super::{PredictionReport, Scores};
use alloy_primitives::{Address, U256, hex, map::HashSet};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::fmt::Write;
use warpline_predictor::{Gaps, Source, TemplateKey};
use warpline_replay::{Forecast, PredictionScore, Tally};

const HEADINGS: [&str; 12] = [
    "knowledge",
    "accounts",
    "exact",
    "slots",
    "exact",
    "written",
    "exact",
    "conflicts",
    "us/tx",
    "trials",
    "ms/trial",
    "txs",
];

/// The total as a table, the reasons of what was missed, and the files that could not be used.
pub(super) fn table(report: &PredictionReport) -> String {
    let Scores { cold, block, corpus, trials } = &report.total;
    let rows = [("cold", cold), ("block", block), ("corpus", corpus), ("trials", trials)];
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADINGS);
    for (name, score) in rows {
        table.add_row(row(name, score));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    let _ = writeln!(text, "{table}");
    for (name, score) in rows {
        write_misses(&mut text, name, score);
    }
    for error in &report.errors {
        let _ = writeln!(text, "{}", error.error);
    }
    let _ = writeln!(
        text,
        "{} blocks; a number is the share of what was touched that was predicted, `exact` the \
         share of the predictions that were right",
        report.blocks.len()
    );
    text
}

fn row(name: &str, score: &PredictionScore) -> Vec<Cell> {
    let percent = |share: Option<f64>| {
        Cell::new(share.map_or_else(|| "–".to_owned(), |share| format!("{:.1}%", share * 100.0)))
    };
    let of = |tally: &Tally| [percent(tally.recall()), percent(tally.precision())];
    let conflicts = (score.conflicting > 0)
        .then(|| score.conflicts_predicted as f64 / score.conflicting as f64);
    let each = score.trying.as_secs_f64() * 1e3 / score.trials.max(1) as f64;
    let mut cells = vec![Cell::new(name)];
    cells.extend([&score.accounts, &score.slots, &score.slots_written].into_iter().flat_map(of));
    cells.push(percent(conflicts));
    cells.push(Cell::new(format!("{:.1}", score.microseconds())));
    cells.push(Cell::new(score.trials));
    cells.push(Cell::new(if score.trials > 0 { format!("{each:.2}") } else { "–".to_owned() }));
    cells.push(Cell::new(score.transactions));
    cells
}

fn write_misses(text: &mut String, name: &str, score: &PredictionScore) {
    let missed = score.slots.missed;
    if missed == 0 {
        return;
    }
    let reasons = score.misses.by_reason();
    let reasons = reasons.iter().filter(|(_, count)| *count > 0);
    let reasons = reasons
        .map(|(reason, count)| format!("{reason} {:.1}%", *count as f64 / missed as f64 * 100.0));
    let reasons: Vec<_> = reasons.collect();
    let _ = writeln!(text, "{name}: {missed} slots missed: {}", reasons.join(", "));
}

/// Everything expected of a transaction, and what it touched beyond that.
pub(super) fn hint(found: &Forecast, others: usize) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "transaction {} of {}, predicted from {others} other blocks and the transactions before it",
        found.index, found.block
    );
    let mut expected = HashSet::<(Address, Option<U256>)>::default();
    for account in found.hint.accounts() {
        expected.insert((account.address, None));
        let (true_, effect) = (
            found.state.contains_key(&account.address),
            match (account.written, account.commutative) {
                (false, _) => "read",
                (true, false) => "write",
                (true, true) => "credit",
            },
        );
        let _ = writeln!(
            text,
            "{} {effect:6} {}  {:3.0}%  {}",
            mark(true_),
            account.address,
            account.confidence * 100.0,
            source(&account.source)
        );
    }
    for slot in found.hint.slots() {
        expected.insert((slot.address, Some(slot.slot)));
        let account = found.state.get(&slot.address);
        let true_ = account.is_some_and(|account| account.storage.contains_key(&slot.slot));
        let _ = writeln!(
            text,
            "{} {:6} {} {:#066x}  {:3.0}%  {}",
            mark(true_),
            if slot.written { "write" } else { "read" },
            slot.address,
            slot.slot,
            slot.confidence * 100.0,
            source(&slot.source)
        );
    }
    for (address, account) in &found.state {
        if !expected.contains(&(*address, None)) {
            let _ = writeln!(text, "missed        {address}");
        }
        for slot in account.storage.keys() {
            if !expected.contains(&(*address, Some(*slot))) {
                let _ = writeln!(text, "missed        {address} {slot:#066x}");
            }
        }
    }
    write_gaps(&mut text, &found.hint.gaps);
    text
}

const fn mark(true_: bool) -> &'static str {
    if true_ { "right " } else { "wrong " }
}

fn write_gaps(text: &mut String, gaps: &Gaps) {
    let Gaps { unseen_code, unseen_path, no_formula, undecided, cut_short } = gaps;
    let gaps = [
        (unseen_code, "calls of code or functions never seen"),
        (unseen_path, "conditions with values never seen"),
        (no_formula, "slots or addresses without a formula"),
        (undecided, "branches that cannot be decided"),
        (cut_short, "calls given up"),
    ];
    for (count, what) in gaps.into_iter().filter(|(count, _)| **count > 0) {
        let _ = writeln!(text, "gap: {count} {what}");
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Envelope => "the transaction itself".to_owned(),
        Source::AccessList => "its access list or authorizations".to_owned(),
        Source::Template(key) => format!("formula of {}", template(key)),
        Source::History(key) => format!("the last time in {}", template(key)),
        Source::Bytecode(hash) => format!("forwarded by code {hash}"),
    }
}

fn template(TemplateKey { code, selector }: &TemplateKey) -> String {
    let function = match selector {
        Some(selector) => format!("function 0x{}", hex::encode(selector)),
        None => "any function".to_owned(),
    };
    format!("{function} of code {code}")
}
