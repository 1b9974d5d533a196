//! What is counted of blocks, executions and the pool, for whichever recorder the program has
//! installed before it starts the node.

use crate::{BlockReport, EarlyStats, Node, PredictorStats};
use alloy_consensus::Header;
use core::time::Duration;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use warpline_executor::ExecStats;
use warpline_predictor::Tally;

/// What is counted at every new head.
#[derive(Debug)]
pub(crate) struct BlockMetrics {
    head: Gauge,
    base_fee: Gauge,
    left: Counter,
    blocks: Counter,
    transactions: Counter,
    gas: Counter,
    dropped: Counter,
    execution: Histogram,
    total: Histogram,
    executions: Counter,
    speculations: Counter,
    committed_ahead: Counter,
    conflicts: Counter,
    committed_early: Counter,
    outdated_early: Counter,
    speedup: Gauge,
    parts: [(Histogram, Part); 7],
}

/// One of the times of an execution.
type Part = fn(&ExecStats) -> Duration;

/// Says what a figure means, and makes it.
macro_rules! figure {
    ($describe:ident, $make:ident, $name:literal, $words:literal) => {{
        $describe!($name, $words);
        $make!($name)
    }};
}

impl BlockMetrics {
    pub(crate) fn new() -> Self {
        const PARTS: &str = "warpline_executor_part_seconds";
        describe_histogram!(
            PARTS,
            "Time in a block's execution by part: of the front, or of all threads (speculate, wait)"
        );
        let part = |name: &'static str| histogram!(PARTS, "part" => name);
        Self {
            head: figure!(describe_gauge, gauge, "warpline_chain_head", "Number of the head"),
            base_fee: figure!(
                describe_gauge,
                gauge,
                "warpline_chain_base_fee_wei",
                "Base fee per gas of the head"
            ),
            left: figure!(
                describe_counter,
                counter,
                "warpline_chain_left_blocks_total",
                "Blocks that left the chain"
            ),
            blocks: figure!(
                describe_counter,
                counter,
                "warpline_blocks_made_total",
                "Blocks that were made here"
            ),
            transactions: figure!(
                describe_counter,
                counter,
                "warpline_blocks_transactions_total",
                "Transactions in these blocks"
            ),
            gas: figure!(
                describe_counter,
                counter,
                "warpline_blocks_gas_total",
                "Gas used by these blocks"
            ),
            dropped: figure!(
                describe_counter,
                counter,
                "warpline_blocks_dropped_candidates_total",
                "Candidates that could not be in these blocks"
            ),
            execution: figure!(
                describe_histogram,
                histogram,
                "warpline_blocks_execution_seconds",
                "From the choice of a block's transactions to the end of its execution"
            ),
            total: figure!(
                describe_histogram,
                histogram,
                "warpline_blocks_seconds",
                "From the choice of a block's transactions until it was the head"
            ),
            executions: figure!(
                describe_counter,
                counter,
                "warpline_executor_executions_total",
                "Executions of transactions, speculative ones included"
            ),
            speculations: figure!(
                describe_counter,
                counter,
                "warpline_executor_speculations_total",
                "Speculative executions"
            ),
            committed_ahead: figure!(
                describe_counter,
                counter,
                "warpline_executor_committed_ahead_total",
                "Speculative outcomes that were committed"
            ),
            conflicts: figure!(
                describe_counter,
                counter,
                "warpline_executor_conflicts_total",
                "Speculative outcomes that no longer held, or were given up"
            ),
            committed_early: figure!(
                describe_counter,
                counter,
                "warpline_executor_committed_early_total",
                "Outcomes from before their block that were committed"
            ),
            outdated_early: figure!(
                describe_counter,
                counter,
                "warpline_executor_outdated_early_total",
                "Outcomes from before their block that no longer held"
            ),
            speedup: figure!(
                describe_gauge,
                gauge,
                "warpline_executor_speedup",
                "How many times as long the last block would about have taken in order"
            ),
            parts: [
                (part("execute"), |stats| stats.execute),
                (part("re_execute"), |stats| stats.re_execute),
                (part("validate"), |stats| stats.validate),
                (part("merge"), |stats| stats.merge),
                (part("idle"), |stats| stats.idle),
                (part("speculate"), |stats| stats.speculate),
                (part("wait"), |stats| stats.wait),
            ],
        }
    }

    /// There is a new head, for which `left` blocks have left the chain.
    pub(crate) fn head(&self, header: &Header, left: usize, report: Option<&BlockReport>) {
        self.head.set(header.number as f64);
        self.base_fee.set(header.base_fee_per_gas.unwrap_or_default() as f64);
        self.left.increment(left as u64);
        let Some(report) = report else { return };
        let stats = &report.stats;
        self.blocks.increment(1);
        self.transactions.increment(stats.transactions);
        self.gas.increment(header.gas_used);
        self.dropped.increment(report.dropped as u64);
        self.execution.record(report.execution);
        self.total.record(report.total);
        self.executions.increment(stats.executions);
        self.speculations.increment(stats.speculations);
        self.committed_ahead.increment(stats.committed_ahead);
        self.conflicts.increment(stats.re_executions);
        self.committed_early.increment(stats.committed_early);
        self.outdated_early.increment(stats.outdated_early);
        self.speedup.set(report.speedup());
        for (part, time) in &self.parts {
            part.record(time(stats));
        }
    }
}

impl Node {
    /// Brings up to date what is not counted as it happens: the pool, the predictor, and how far
    /// the database has come. To be called before the figures are read.
    pub fn update_metrics(&self) {
        let stats = self.pool().stats();
        let gauges: [(&str, f64, &str); 6] = [
            ("warpline_chain_written", self.view().written().number as f64, "Last block on disk"),
            ("warpline_txpool_pending", stats.pending as f64, "Transactions without a gap"),
            ("warpline_txpool_queued", stats.queued as f64, "Transactions behind a missing nonce"),
            ("warpline_txpool_slots", stats.slots as f64, "Slots of 32 KiB that are taken"),
            ("warpline_txpool_bytes", stats.bytes as f64, "Memory of all transactions, about"),
            ("warpline_txpool_senders", stats.senders as f64, "Senders"),
        ];
        for (name, value, words) in gauges {
            describe_gauge!(name, words);
            gauge!(name).set(value);
        }
        let counters: [(&str, u64, &str); 8] = [
            ("warpline_txpool_added_total", stats.added, "Transactions that entered"),
            ("warpline_txpool_replaced_total", stats.replaced, "Those that replaced another"),
            ("warpline_txpool_refused_total", stats.refused, "Transactions that were refused"),
            ("warpline_txpool_mined_total", stats.mined, "Transactions that left in a block"),
            ("warpline_txpool_returned_total", stats.returned, "Those that came back from blocks"),
            ("warpline_txpool_dropped_total", stats.dropped, "Transactions that were dropped"),
            ("warpline_txpool_expired_total", stats.expired, "Queued transactions that expired"),
            (
                "warpline_txpool_journal_failures_total",
                stats.journal_failures,
                "Times that the journal could not be written",
            ),
        ];
        for (name, value, words) in counters {
            describe_counter!(name, words);
            counter!(name).absolute(value);
        }
        if let Some(early) = self.early() {
            of_early(&early);
        }
        if let Some(predictor) = self.predictor() {
            of_predictor(&predictor.stats());
        }
    }
}

fn of_early(stats: &EarlyStats) {
    const KEPT: &str = "warpline_executor_early_kept";
    const BYTES: &str = "warpline_executor_early_bytes";
    const EXECUTIONS: &str = "warpline_executor_early_executions_total";
    describe_gauge!(KEPT, "Transactions that wait and have been executed");
    gauge!(KEPT).set(stats.kept as f64);
    describe_gauge!(BYTES, "Memory of their outcomes, about");
    gauge!(BYTES).set(stats.bytes as f64);
    describe_counter!(EXECUTIONS, "Executions of transactions before their block was made");
    counter!(EXECUTIONS).absolute(stats.executions);
}

fn of_predictor(stats: &PredictorStats) {
    let gauges: [(&str, f64, &str); 3] = [
        ("warpline_predictor_functions", stats.functions as f64, "Functions known"),
        ("warpline_predictor_bytes", stats.bytes as f64, "Memory of what is known, about"),
        ("warpline_predictor_limit_bytes", stats.limit as f64, "Most memory of what is known"),
    ];
    for (name, value, words) in gauges {
        describe_gauge!(name, words);
        gauge!(name).set(value);
    }
    let counters: [(&str, u64, &str); 6] = [
        ("warpline_predictor_blocks_total", stats.blocks, "Blocks that were learned from"),
        ("warpline_predictor_dropped_blocks_total", stats.dropped_blocks, "Blocks without time"),
        ("warpline_predictor_trials_total", stats.trials, "Pool transactions that were tried out"),
        (
            "warpline_predictor_dropped_transactions_total",
            stats.dropped_transactions,
            "Pool transactions without time",
        ),
        (
            "warpline_predictor_expected_total",
            stats.expected,
            "Transactions that were predicted for the execution of their block",
        ),
        ("warpline_predictor_failures_total", stats.failures, "Blocks and trials that broke off"),
    ];
    for (name, value, words) in counters {
        describe_counter!(name, words);
        counter!(name).absolute(value);
    }
    const PRECISION: &str = "warpline_predictor_precision";
    const RECALL: &str = "warpline_predictor_recall";
    describe_gauge!(PRECISION, "Share of what was predicted, over the last blocks, that came true");
    describe_gauge!(RECALL, "Share of what was touched, over the last blocks, that was predicted");
    let of: [(&'static str, &Tally); 3] = [
        ("accounts", &stats.score.accounts),
        ("slots", &stats.score.slots),
        ("slots_written", &stats.score.slots_written),
    ];
    for (kind, tally) in of {
        if let Some(precision) = tally.precision() {
            gauge!(PRECISION, "of" => kind).set(precision);
        }
        if let Some(recall) = tally.recall() {
            gauge!(RECALL, "of" => kind).set(recall);
        }
    }
}
