//! The access list of a block (EIP-7928): made while the block executes, held against revm's own,
//! and used as a hint for executing the block a second time.

use crate::{
    PreparedBlock, Runner,
    compare::{Execution, compare},
    run::{Times, from_parallel, median_ms, repetitions},
};
use alloy_consensus::EthereumReceipt;
use alloy_eips::eip7928::compute_block_access_list_hash_with_buf;
use serde::Serialize;
use warpline_executor::{
    BlockOutput, Ethereum, ExecuteError, Guidance, ParallelExecutor, execute_sequential_listed,
};
use warpline_merger::{diff_from_bundle, first_list_difference};

/// What came of a block's access list.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessListReport {
    /// Accounts in the list.
    pub accounts: usize,
    /// Slots in it.
    pub slots: usize,
    /// Bytes of its RLP.
    pub bytes: usize,
    /// Whether the list is the one that revm's own builder makes.
    pub equal_to_revm: bool,
    /// Median time of an execution without list, in turns with the following two.
    pub plain_ms: Option<f64>,
    /// The same of one that makes the list.
    pub producing_ms: Option<f64>,
    /// The same of one that is given the list.
    pub foretold_ms: Option<f64>,
    /// Executions of transactions in one run with the list, speculative ones included.
    pub executions: u64,
    /// How many of them were in vain.
    pub re_executions: u64,
    /// What is wrong: the first entry in which both lists differ, or in which an execution with
    /// the list differs from one in order.
    pub problem: Option<String>,
}

impl Runner {
    /// Makes the list of a block that executes, checks it, and measures executions with it.
    pub fn access_list(&self, block: &PreparedBlock) -> AccessListReport {
        self.try_access_list(block).unwrap_or_else(|error| AccessListReport {
            problem: Some(error.to_string()),
            ..AccessListReport::default()
        })
    }

    fn try_access_list(&self, block: &PreparedBlock) -> Result<AccessListReport, ExecuteError> {
        let output = execute_sequential_listed(block.factory(), block.input(), &block.pre_state)?;
        let diff = diff_from_bundle(&output.bundle);
        let expected = Ok(Execution { result: output.result, diff });
        let revms = output.access_list.unwrap_or_default();
        let executor = self.timed();
        let producing = Guidance { list_accesses: true, ..Guidance::default() };
        let list = run(block, executor, producing)?.access_list.unwrap_or_default();
        let foretold = Guidance { access_list: Some(&list), ..Guidance::default() };
        let output = run(block, executor, foretold)?;
        let stats = output.stats;
        let difference = first_list_difference(&list, &revms).map(|differs| differs.to_string());
        let slots = |account: &alloy_eips::eip7928::AccountChanges| {
            account.storage_changes.len() + account.storage_reads.len()
        };
        let mut encoded = Vec::new();
        let _hash = compute_block_access_list_hash_with_buf(&list, &mut encoded);
        let mut report = AccessListReport {
            accounts: list.len(),
            slots: list.iter().map(slots).sum(),
            bytes: encoded.len(),
            equal_to_revm: difference.is_none(),
            executions: stats.executions,
            re_executions: stats.re_executions,
            problem: difference,
            ..AccessListReport::default()
        };
        let divergence = compare(block, &expected, &Ok(from_parallel(output)));
        if let Some(divergence) = divergence {
            report.problem = Some(divergence.to_string());
            return Ok(report);
        }
        let ways = [Guidance::default(), producing, foretold];
        let repeat = repetitions(false, block, executor);
        let mut times = [(); 3].map(|()| Times::new(repeat));
        for run_index in 0..self.config().runs {
            for turn in 0..ways.len() {
                let way = (run_index + turn) % ways.len();
                for output in times[way].time(|| run(block, executor, ways[way])) {
                    let divergence = compare(block, &expected, &output.map(from_parallel));
                    if let Some(divergence) = divergence {
                        report.problem = Some(divergence.to_string());
                        return Ok(report);
                    }
                }
            }
        }
        [report.plain_ms, report.producing_ms, report.foretold_ms] =
            times.map(|times| median_ms(&times));
        Ok(report)
    }
}

fn run(
    block: &PreparedBlock,
    executor: &ParallelExecutor<Ethereum>,
    guidance: Guidance<'_>,
) -> Result<BlockOutput<EthereumReceipt>, ExecuteError> {
    executor.execute_guided(block.factory(), block.input(), guidance, &block.pre_state)
}
