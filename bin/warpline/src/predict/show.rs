//! Predictions and their scores, for people.

use super::{PredictionReport, Scores};
use alloy_primitives::{Address, U256, hex, map::HashSet};
use comfy_table::{Cell, CellAlignment, Table, presets};
use revm::state::EvmState;
use std::fmt::Write;
use warpline_predictor::{AccessHint, Gaps, Source, TemplateKey};
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

/// The total as a table, and the reasons of what was missed.
pub(super) fn table(report: &PredictionReport) -> String {
    let Scores { cold, block, corpus, analysis, trials } = &report.total;
    let rows = [
        ("cold", cold),
        ("block", block),
        ("corpus", corpus),
        ("analysis", analysis),
        ("trials", trials),
    ];
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

/// Everything expected of a transaction that ran, and what it touched beyond that. `known` says
/// what it was predicted from besides the transactions before it.
pub(super) fn hint(found: &Forecast, known: &str) -> String {
    let Forecast { block, index, hint, tried, state } = found;
    let known = if *tried { format!("a trial of it, {known}") } else { known.to_owned() };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "transaction {index} of {block}, predicted from {known} and the transactions before it"
    );
    write_entries(&mut text, hint, Some(state));
    let slots = hint.slots().iter().map(|slot| (slot.address, Some(slot.slot)));
    let accounts = hint.accounts().iter().map(|account| (account.address, None));
    let expected: HashSet<(Address, Option<U256>)> = accounts.chain(slots).collect();
    for (address, account) in state {
        if !expected.contains(&(*address, None)) {
            let _ = writeln!(text, "missed        {address}");
        }
        for slot in account.storage.keys() {
            if !expected.contains(&(*address, Some(*slot))) {
                let _ = writeln!(text, "missed        {address} {slot:#066x}");
            }
        }
    }
    write_gaps(&mut text, &hint.gaps);
    text
}

/// Everything expected of a transaction that has not run.
pub(super) fn expected(hint: &AccessHint, state: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "predicted from what is known, {state}");
    write_entries(&mut text, hint, None);
    write_gaps(&mut text, &hint.gaps);
    text
}

/// What is expected, each entry with whether it came true, where that can be said.
fn write_entries(text: &mut String, hint: &AccessHint, found: Option<&EvmState>) {
    let mark = |is_true: &dyn Fn(&EvmState) -> bool| match found {
        None => "",
        Some(state) if is_true(state) => "right ",
        Some(_) => "wrong ",
    };
    for account in hint.accounts() {
        let address = account.address;
        let effect = match (account.written, account.commutative) {
            (false, _) => "read",
            (true, false) => "write",
            (true, true) => "credit",
        };
        let (mark, source) = (mark(&|state| state.contains_key(&address)), source(&account.source));
        let percent = account.confidence * 100.0;
        let _ = writeln!(text, "{mark}{effect:6} {address}  {percent:3.0}%  {source}");
    }
    for slot in hint.slots() {
        let (address, key) = (slot.address, slot.slot);
        let touched = |state: &EvmState| {
            state.get(&address).is_some_and(|account| account.storage.contains_key(&key))
        };
        let (mark, source) = (mark(&touched), source(&slot.source));
        let effect = if slot.written { "write" } else { "read" };
        let percent = slot.confidence * 100.0;
        let _ = writeln!(text, "{mark}{effect:6} {address} {key:#066x}  {percent:3.0}%  {source}");
    }
}

fn write_gaps(text: &mut String, gaps: &Gaps) {
    let Gaps { unseen_code, unseen_path, no_formula, undecided, cut_short, creations } = gaps;
    let gaps = [
        (unseen_code, "calls of code or functions never seen"),
        (unseen_path, "conditions with values never seen"),
        (no_formula, "slots or addresses without a formula"),
        (undecided, "branches that cannot be decided"),
        (cut_short, "calls given up"),
        (creations, "contracts created"),
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
        Source::Bytecode(hash) => format!("bytecode of {hash}"),
        Source::Trial => "a trial".to_owned(),
    }
}

fn template(TemplateKey { code, selector }: &TemplateKey) -> String {
    let function = match selector {
        Some(selector) => format!("function 0x{}", hex::encode(selector)),
        None => "any function".to_owned(),
    };
    format!("{function} of code {code}")
}
