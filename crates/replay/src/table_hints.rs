//! What hints were worth, for people.

use crate::{BlockReport, HintReport};
use comfy_table::{Cell, CellAlignment, Table, presets};
use std::fmt::Write;

/// A row for every block that was executed with hints, and a line on all of them.
pub(crate) fn write_hints(text: &mut String, blocks: &[BlockReport]) {
    let hinted: Vec<_> =
        blocks.iter().filter_map(|block| Some((block, block.hints.as_ref()?))).collect();
    let Some((_, first)) = hinted.first() else { return };
    let uses: Vec<_> = first.ablation.keys().copied().collect();
    let mut headings =
        vec!["hints", "without ms", "with ms", "gain", "re-exec", "with", "ns per tx"];
    let ablated: Vec<_> = uses.iter().map(|name| format!("no {name}")).collect();
    headings.extend(ablated.iter().map(String::as_str));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    for (block, hints) in &hinted {
        table.add_row(row(block, hints, &uses));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{table}");
    write_sum(text, &hinted, &uses);
}

fn row(block: &BlockReport, hints: &HintReport, uses: &[&str]) -> Vec<Cell> {
    let number = |value: Option<f64>, digits: usize| {
        Cell::new(value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}")))
    };
    let count =
        |value: Option<u64>| Cell::new(value.map_or_else(|| "–".to_owned(), |v| v.to_string()));
    let mut cells = vec![
        Cell::new(&block.name),
        number(hints.without_ms, 3),
        number(block.parallel_ms, 3),
        number(hints.gain, 2),
        count(hints.re_executions_without),
        count(block.re_executions),
        Cell::new(hints.predicting_ns / (block.transactions as u64).max(1)),
    ];
    cells.extend(uses.iter().map(|name| number(worth(block, hints, name), 2)));
    cells
}

/// How much longer the block takes without this use.
fn worth(block: &BlockReport, hints: &HintReport, name: &str) -> Option<f64> {
    Some(hints.ablation.get(name)? / block.parallel_ms?)
}

fn write_sum(text: &mut String, hinted: &[(&BlockReport, &HintReport)], uses: &[&str]) {
    let mean = |values: Vec<f64>| {
        let logs: f64 = values.iter().map(|value| value.ln()).sum();
        (logs / values.len().max(1) as f64).exp()
    };
    let gains: Vec<_> = hinted.iter().filter_map(|(_, hints)| hints.gain).collect();
    let lowest = gains.iter().copied().fold(f64::INFINITY, f64::min);
    let without: u64 = hinted.iter().filter_map(|(_, hints)| hints.re_executions_without).sum();
    let with: u64 = hinted.iter().filter_map(|(block, _)| block.re_executions).sum();
    let _ = write!(
        text,
        "hints: {:.3} times as fast as without (lowest {lowest:.2}), re-executions {with} instead \
         of {without}",
        mean(gains)
    );
    for name in uses {
        let worth = hinted.iter().filter_map(|(block, hints)| worth(block, hints, name));
        let _ = write!(text, "; without `{name}` {:.3} times the time", mean(worth.collect()));
    }
    let _ = writeln!(text);
}
