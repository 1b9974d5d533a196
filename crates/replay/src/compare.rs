//! The sequential and the parallel execution of a block, compared.

use crate::{CriticalPath, PreparedBlock};
use alloy_consensus::EthereumReceipt;
use alloy_evm::block::BlockExecutionResult;
use alloy_primitives::U256;
use serde::Serialize;
use std::fmt;
use warpline_executor::ExecuteError;
use warpline_types::StateDiff;

/// What an execution gave.
#[derive(Debug)]
pub struct Execution {
    /// Receipts, requests and gas.
    pub result: BlockExecutionResult<EthereumReceipt>,
    /// What the block changed, sorted.
    pub diff: StateDiff,
}

/// The first place at which the parallel execution differs from the sequential one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Divergence {
    /// The first transaction that differs, where it is known.
    pub transaction: Option<usize>,
    /// What differs.
    pub location: String,
    /// Its value after the sequential execution.
    pub sequential: String,
    /// Its value after the parallel execution.
    pub parallel: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            Some(index) => write!(f, "transaction {index}, ")?,
            None => f.write_str("unknown transaction, ")?,
        }
        let Self { location, sequential, parallel, .. } = self;
        write!(f, "{location}: sequential {sequential}, parallel {parallel}")
    }
}

/// The first difference between two executions of a block, or of the errors they ended with.
pub fn compare(
    block: &PreparedBlock,
    sequential: &Result<Execution, ExecuteError>,
    parallel: &Result<Execution, ExecuteError>,
) -> Option<Divergence> {
    match (sequential, parallel) {
        (Ok(sequential), Ok(parallel)) => compare_results(&sequential.result, &parallel.result)
            .or_else(|| compare_diffs(block, &sequential.diff, &parallel.diff)),
        (sequential, parallel) => compare_errors(sequential, parallel),
    }
}

fn compare_errors(
    sequential: &Result<Execution, ExecuteError>,
    parallel: &Result<Execution, ExecuteError>,
) -> Option<Divergence> {
    let show = |outcome: &Result<Execution, ExecuteError>| match outcome {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    };
    let index = |outcome: &Result<Execution, ExecuteError>| {
        outcome.as_ref().err().and_then(ExecuteError::transaction).map(|index| index.get())
    };
    let (left, right) = (show(sequential), show(parallel));
    (left != right).then(|| Divergence {
        transaction: [index(sequential), index(parallel)].into_iter().flatten().min(),
        location: "error".to_owned(),
        sequential: left,
        parallel: right,
    })
}

fn compare_results(
    sequential: &BlockExecutionResult<EthereumReceipt>,
    parallel: &BlockExecutionResult<EthereumReceipt>,
) -> Option<Divergence> {
    let (left, right) = (&sequential.receipts, &parallel.receipts);
    let receipts = left.iter().zip(right).enumerate();
    let differing = receipts
        .filter(|(_, (left, right))| left != right)
        .map(|(index, (left, right))| differ(Some(index), compare_receipts(left, right)));
    let block = [
        ("number of receipts", left.len().to_string(), right.len().to_string()),
        ("gasUsed", sequential.gas_used.to_string(), parallel.gas_used.to_string()),
        ("blobGasUsed", sequential.blob_gas_used.to_string(), parallel.blob_gas_used.to_string()),
        ("requests", format!("{:?}", sequential.requests), format!("{:?}", parallel.requests)),
    ];
    let block = block.into_iter().filter(|(_, left, right)| left != right);
    differing
        .chain(block.map(|(name, left, right)| differ(None, (name.to_owned(), left, right))))
        .next()
}

/// The first differing part of two receipts that are not equal, with both values.
fn compare_receipts(left: &EthereumReceipt, right: &EthereumReceipt) -> (String, String, String) {
    if left.success != right.success {
        return values("receipt status", left.success, right.success);
    }
    if left.cumulative_gas_used != right.cumulative_gas_used {
        let name = "receipt cumulativeGasUsed";
        return values(name, left.cumulative_gas_used, right.cumulative_gas_used);
    }
    if left.tx_type != right.tx_type {
        return values("receipt type", left.tx_type, right.tx_type);
    }
    let common =
        left.logs.iter().zip(&right.logs).take_while(|(left, right)| left == right).count();
    let show = |receipt: &EthereumReceipt| match receipt.logs.get(common) {
        Some(log) => format!("{log:?}"),
        None => "absent".to_owned(),
    };
    values(&format!("receipt log {common}"), show(left), show(right))
}

fn compare_diffs(
    block: &PreparedBlock,
    sequential: &StateDiff,
    parallel: &StateDiff,
) -> Option<Divergence> {
    let found = sequential.first_difference(parallel)?;
    let slot = found.location.strip_prefix("slot ").and_then(|slot| slot.parse::<U256>().ok());
    let writer = |address| CriticalPath::measure(block).last_writer(address, slot);
    let transaction = found.address.and_then(writer);
    let location = match found.address {
        Some(address) => format!("{address} {}", found.location),
        None => found.location,
    };
    Some(differ(transaction, (location, found.left, found.right)))
}

fn values<T: fmt::Display>(name: &str, left: T, right: T) -> (String, String, String) {
    (name.to_owned(), left.to_string(), right.to_string())
}

fn differ(transaction: Option<usize>, parts: (String, String, String)) -> Divergence {
    let (location, sequential, parallel) = parts;
    Divergence { transaction, location, sequential, parallel }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Log;
    use std::path::Path;
    use warpline_fixture::BlockFixture;

    fn result(logs: usize, gas: u64) -> BlockExecutionResult<EthereumReceipt> {
        let receipt = |cumulative_gas_used| EthereumReceipt {
            tx_type: Default::default(),
            success: true,
            cumulative_gas_used,
            logs: vec![Log::default(); logs],
        };
        BlockExecutionResult {
            receipts: vec![receipt(21_000), receipt(gas)],
            requests: Default::default(),
            gas_used: gas,
            blob_gas_used: 0,
        }
    }

    #[test]
    fn the_first_differing_receipt_is_named() {
        assert_eq!(compare_results(&result(1, 42_000), &result(1, 42_000)), None);
        let gas = compare_results(&result(1, 42_000), &result(1, 43_000)).unwrap();
        assert_eq!(gas.transaction, Some(1));
        assert_eq!(gas.location, "receipt cumulativeGasUsed");
        assert_eq!((gas.sequential.as_str(), gas.parallel.as_str()), ("42000", "43000"));
        let logs = compare_results(&result(1, 42_000), &result(2, 42_000)).unwrap();
        assert_eq!((logs.transaction, logs.location.as_str()), (Some(0), "receipt log 1"));
        assert_eq!(logs.sequential, "absent");
        let mut requests = result(1, 42_000);
        requests.requests.push_request(vec![1, 2].into());
        let difference = compare_results(&result(1, 42_000), &requests).unwrap();
        assert_eq!((difference.transaction, difference.location.as_str()), (None, "requests"));
    }

    fn erc20_block() -> PreparedBlock {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
        let fixture = BlockFixture::load(&testdata.join("erc20.json.zst")).unwrap();
        PreparedBlock::new("erc20", fixture, None).unwrap()
    }

    fn execute(block: &PreparedBlock) -> Result<Execution, ExecuteError> {
        let output = warpline_executor::execute_sequential(
            block.factory(),
            block.input(),
            &block.pre_state,
        )?;
        let diff = warpline_merger::diff_from_bundle(&output.bundle);
        Ok(Execution { result: output.result, diff })
    }

    #[test]
    fn a_differing_slot_is_named_with_the_transaction_that_wrote_it_last() {
        let block = erc20_block();
        let (left, mut right) = (execute(&block), execute(&block));
        assert_eq!(compare(&block, &left, &right), None);
        let accounts = &mut right.as_mut().unwrap().diff.accounts;
        let account = accounts.iter_mut().find(|account| account.storage.len() > 2).unwrap();
        account.storage[1].after += U256::ONE;
        let (address, slot) = (account.address, account.storage[1].slot);

        let found = compare(&block, &left, &right).unwrap();
        assert_eq!(found.location, format!("{address} slot {slot:#x}"));
        let writer = found.transaction.unwrap();
        // Cutting the block off before that transaction changes the slot, after it does not.
        let value = |count: usize| {
            let input = warpline_executor::BlockInput { txs: &block.txs[..count], ..block.input() };
            let output =
                warpline_executor::execute_sequential(block.factory(), input, &block.pre_state);
            let bundle = output.unwrap().bundle;
            bundle.account(&address).and_then(|account| account.storage_slot(slot))
        };
        assert_ne!(value(writer), value(block.txs.len()));
        assert_eq!(value(writer + 1), value(block.txs.len()));
    }

    #[test]
    fn differing_errors_are_a_divergence_and_equal_ones_are_not() {
        let mut block = erc20_block();
        let good = execute(&block);
        block.txs.swap(0, 1);
        block.txs[1] = block.txs[0].clone();
        let (left, right) = (execute(&block), execute(&block));
        assert_eq!(left.as_ref().unwrap_err().transaction().unwrap().get(), 1);
        assert_eq!(compare(&block, &left, &right), None);
        let found = compare(&block, &good, &right).unwrap();
        assert_eq!((found.transaction, found.location.as_str()), (Some(1), "error"));
        assert_eq!(found.sequential, "no error");
    }
}
