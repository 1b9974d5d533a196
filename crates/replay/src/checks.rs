//! What a block's header claims, checked against its body and against an execution.

use crate::{PreparedBlock, roots};
use alloy_consensus::{
    EthereumReceipt, TxReceipt,
    proofs::{
        calculate_ommers_root, calculate_receipt_root, calculate_transaction_root,
        calculate_withdrawals_root,
    },
    transaction::SignerRecoverable,
};
use alloy_evm::block::BlockExecutionResult;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bloom, keccak256};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};
use warpline_fixture::Part;
use warpline_types::StateDiff;

/// Something a block claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Gas used by all transactions.
    GasUsed,
    /// Root of the receipts.
    ReceiptsRoot,
    /// Union of the blooms of all receipts.
    LogsBloom,
    /// Root of the transactions.
    TransactionsRoot,
    /// Root of the withdrawals.
    WithdrawalsRoot,
    /// Hash of the ommers.
    OmmersHash,
    /// Hash of the requests to the consensus layer.
    RequestsHash,
    /// Blob gas used by all transactions.
    BlobGasUsed,
    /// Hash of the block access list (EIP-7928), from Amsterdam on.
    BlockAccessListHash,
    /// Hash of the header.
    BlockHash,
    /// The sender of every transaction, recovered from its signature.
    Senders,
    /// Root of the state after the block.
    StateRoot,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The claim holds.
    Passed,
    /// The claim does not hold.
    Failed {
        /// What the block claims.
        expected: String,
        /// What was found.
        actual: String,
    },
    /// The claim cannot be checked.
    NotCheckable {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Compares what is claimed with what was found.
    pub fn compare<T: PartialEq + fmt::Display>(expected: T, actual: T) -> Self {
        match expected == actual {
            true => Self::Passed,
            false => Self::Failed { expected: expected.to_string(), actual: actual.to_string() },
        }
    }

    /// The claim cannot be checked, for this reason.
    pub fn not_checkable(reason: impl Into<String>) -> Self {
        Self::NotCheckable { reason: reason.into() }
    }
}

/// The outcome of every check.
pub type Checks = BTreeMap<Check, Outcome>;

/// Checks the body against the header. Nothing needs to be executed for it.
pub fn check_body(block: &PreparedBlock) -> Checks {
    let mut checks = BTreeMap::from([
        (Check::TransactionsRoot, transactions_root(block)),
        (Check::WithdrawalsRoot, withdrawals_root(block)),
        (Check::OmmersHash, ommers_hash(block)),
        (Check::BlockHash, block_hash(block)),
        (Check::Senders, senders(block)),
    ]);
    if block.chain.is_amsterdam_active_at_timestamp(block.header.timestamp) {
        let outcome = Outcome::not_checkable("the replay builds no block access list");
        checks.insert(Check::BlockAccessListHash, outcome);
    }
    checks
}

/// Checks the result of an execution against the header.
pub fn check_execution(
    block: &PreparedBlock,
    result: &BlockExecutionResult<EthereumReceipt>,
    diff: &StateDiff,
) -> Checks {
    let header = &block.header;
    let captured = |part: Part, check: &dyn Fn() -> Outcome| match block.lacks(part) {
        true => lacking(part),
        false => check(),
    };
    let gas_used = || Outcome::compare(header.gas_used, result.gas_used);
    let bloom = || {
        let bloom = result.receipts.iter().fold(Bloom::ZERO, |all, receipt| all | receipt.bloom());
        Outcome::compare(header.logs_bloom, bloom)
    };
    BTreeMap::from([
        (Check::GasUsed, captured(Part::GasUsed, &gas_used)),
        (Check::LogsBloom, captured(Part::LogsBloom, &bloom)),
        (Check::ReceiptsRoot, captured(Part::ReceiptsRoot, &|| receipts_root(block, result))),
        (Check::RequestsHash, requests_hash(block, result)),
        (Check::BlobGasUsed, blob_gas_used(block, result)),
        (Check::StateRoot, captured(Part::StateRoot, &|| state_root(block, diff))),
    ])
}

/// The checks of a block that could not be executed.
pub(crate) fn not_executed() -> Checks {
    let checks = [
        Check::GasUsed,
        Check::LogsBloom,
        Check::ReceiptsRoot,
        Check::RequestsHash,
        Check::BlobGasUsed,
        Check::StateRoot,
    ];
    let outcome = Outcome::not_checkable("the block could not be executed");
    checks.map(|check| (check, outcome.clone())).into()
}

fn lacking(part: Part) -> Outcome {
    Outcome::not_checkable(format!("the fixture lacks: {part}"))
}

fn transactions_root(block: &PreparedBlock) -> Outcome {
    for part in [Part::TransactionsRoot, Part::Signatures] {
        if block.lacks(part) {
            return lacking(part);
        }
    }
    let transactions: Vec<_> = block.txs.iter().map(|tx| tx.tx.inner()).collect();
    Outcome::compare(block.header.transactions_root, calculate_transaction_root(&transactions))
}

fn withdrawals_root(block: &PreparedBlock) -> Outcome {
    if !block.chain.is_shanghai_active_at_timestamp(block.header.timestamp) {
        return before("Shanghai", "withdrawals");
    }
    for part in [Part::WithdrawalsRoot, Part::Withdrawals] {
        if block.lacks(part) {
            return lacking(part);
        }
    }
    let actual = block.withdrawals.as_deref().map(calculate_withdrawals_root);
    compare_optional(block.header.withdrawals_root, actual)
}

fn ommers_hash(block: &PreparedBlock) -> Outcome {
    if block.lacks(Part::OmmersHash) {
        return lacking(Part::OmmersHash);
    }
    if block.lacks(Part::OmmerHeaders) {
        return lacking(Part::OmmerHeaders);
    }
    let actual: Vec<B256> = block.ommers.iter().map(|ommer| ommer.hash_slow()).collect();
    if actual != block.ommer_hashes && !block.ommer_hashes.is_empty() {
        let list =
            |hashes: &[B256]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Outcome::Failed { expected: list(&block.ommer_hashes), actual: list(&actual) };
    }
    Outcome::compare(block.header.ommers_hash, calculate_ommers_root(&block.ommers))
}

fn block_hash(block: &PreparedBlock) -> Outcome {
    let Some(expected) = block.hash else { return lacking(Part::BlockHash) };
    if let Some(part) = Part::HEADER.into_iter().find(|part| block.lacks(*part)) {
        return lacking(part);
    }
    Outcome::compare(expected, block.header.hash_slow())
}

fn senders(block: &PreparedBlock) -> Outcome {
    if block.lacks(Part::Signatures) {
        return lacking(Part::Signatures);
    }
    for (index, tx) in block.txs.iter().enumerate() {
        let claimed = tx.tx.signer();
        let expected = || format!("transaction {index}: {claimed}");
        // Before Homestead a signature may have a high `s`.
        match tx.tx.inner().recover_signer_unchecked() {
            Ok(signer) if signer == claimed => {}
            Ok(signer) => {
                return Outcome::Failed { expected: expected(), actual: signer.to_string() };
            }
            Err(_) => {
                let actual = "no sender can be recovered from the signature".to_owned();
                return Outcome::Failed { expected: expected(), actual };
            }
        }
    }
    Outcome::Passed
}

fn receipts_root(block: &PreparedBlock, result: &BlockExecutionResult<EthereumReceipt>) -> Outcome {
    let expected = block.header.receipts_root;
    if block.chain.is_byzantium_active_at_block(block.header.number) {
        let receipts: Vec<_> = result.receipts.iter().map(TxReceipt::with_bloom_ref).collect();
        return Outcome::compare(expected, calculate_receipt_root(&receipts));
    }
    if !block.manifest.complete_state {
        return Outcome::not_checkable(
            "receipts before Byzantium hold state roots, and the pre-state is not the whole state",
        );
    }
    match roots::receipts_root_with_states(block, result) {
        Ok(actual) => Outcome::compare(expected, actual),
        Err(error) => Outcome::Failed { expected: expected.to_string(), actual: error.to_string() },
    }
}

fn requests_hash(block: &PreparedBlock, result: &BlockExecutionResult<EthereumReceipt>) -> Outcome {
    if !block.chain.is_prague_active_at_timestamp(block.header.timestamp) {
        return before("Prague", "requests");
    }
    if block.lacks(Part::RequestsHash) {
        return lacking(Part::RequestsHash);
    }
    compare_optional(block.header.requests_hash, Some(result.requests.requests_hash()))
}

fn blob_gas_used(block: &PreparedBlock, result: &BlockExecutionResult<EthereumReceipt>) -> Outcome {
    if !block.chain.is_cancun_active_at_timestamp(block.header.timestamp) {
        return before("Cancun", "blobs");
    }
    if block.lacks(Part::BlobGasUsed) {
        return lacking(Part::BlobGasUsed);
    }
    compare_optional(block.header.blob_gas_used, Some(result.blob_gas_used))
}

fn state_root(block: &PreparedBlock, diff: &StateDiff) -> Outcome {
    if block.lacks(Part::OmmerHeaders) {
        return lacking(Part::OmmerHeaders);
    }
    let expected = block.header.state_root;
    if block.manifest.complete_state {
        return Outcome::compare(expected, roots::state_root_after(&block.pre_state, diff));
    }
    let Some(witness) = block.pre_state.witness() else {
        return Outcome::not_checkable("the pre-state is not the whole state");
    };
    match witness.root_after(diff) {
        Some(actual) => Outcome::compare(expected, actual),
        None => Outcome::not_checkable("the witness lacks trie nodes that the changes touch"),
    }
}

fn before(fork: &str, what: &str) -> Outcome {
    Outcome::not_checkable(format!("there are no {what} before {fork}"))
}

fn compare_optional<T: PartialEq + fmt::Display>(
    expected: Option<T>,
    actual: Option<T>,
) -> Outcome {
    let show = |value: Option<T>| value.map_or_else(|| "absent".to_owned(), |v| v.to_string());
    Outcome::compare(show(expected), show(actual))
}

/// A bloom is too long to read; its hash identifies it as well.
pub(crate) fn shortened(value: &str) -> String {
    match value.len() > 140 {
        true => format!("keccak {}", keccak256(value)),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Header;
    use alloy_eips::eip4895::Withdrawal;
    use alloy_primitives::{Address, U256};
    use std::path::Path;
    use warpline_fixture::BlockFixture;

    fn fixture(name: &str) -> BlockFixture {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
        BlockFixture::load(&testdata.join(name)).unwrap()
    }

    /// The check of a bundled block after a change to it.
    fn body_check(check: Check, change: impl FnOnce(&mut BlockFixture)) -> Outcome {
        let mut fixture = fixture("46147.json");
        change(&mut fixture);
        let block = PreparedBlock::new("test", fixture, None).unwrap();
        check_body(&block).remove(&check).unwrap()
    }

    #[track_caller]
    fn assert_fails(outcome: Outcome) {
        assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    }

    #[track_caller]
    fn assert_not_checkable(outcome: Outcome, why: &str) {
        let Outcome::NotCheckable { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(why), "{reason}");
    }

    #[test]
    fn every_part_of_the_body_is_checked() {
        let passes = [Check::TransactionsRoot, Check::OmmersHash, Check::BlockHash, Check::Senders];
        for check in passes {
            assert_eq!(body_check(check, |_| ()), Outcome::Passed, "{check:?}");
        }
        assert_fails(body_check(Check::TransactionsRoot, |block| {
            block.transactions.push(block.transactions[0].clone());
            block.senders.push(block.senders[0]);
        }));
        assert_fails(body_check(Check::BlockHash, |block| block.header.gas_limit += 1));
        assert_fails(body_check(Check::Senders, |block| block.senders[0] = Address::ZERO));
        assert_fails(body_check(Check::OmmersHash, |block| block.ommers.push(Header::default())));
    }

    #[test]
    fn what_the_source_lacks_is_not_checkable() {
        let parts = [
            (Check::TransactionsRoot, Part::Signatures, "signatures"),
            (Check::Senders, Part::Signatures, "signatures"),
            (Check::OmmersHash, Part::OmmerHeaders, "ommer headers"),
            (Check::BlockHash, Part::StateRoot, "stateRoot"),
        ];
        for (check, part, why) in parts {
            let lacking = |block: &mut BlockFixture| block.manifest.not_captured.extend([part]);
            assert_not_checkable(body_check(check, lacking), why);
        }
        assert_not_checkable(body_check(Check::WithdrawalsRoot, |_| ()), "before Shanghai");
    }

    #[test]
    fn ommers_are_checked_against_their_hashes_too() {
        let ommer = Header { number: 46_146, ..Header::default() };
        let outcome = body_check(Check::OmmersHash, |block| {
            block.header.ommers_hash = calculate_ommers_root(std::slice::from_ref(&ommer));
            block.ommer_hashes = vec![B256::ZERO];
            block.ommers = vec![ommer];
        });
        assert_fails(outcome);
    }

    #[test]
    fn withdrawals_are_checked_from_shanghai_on() {
        let check = |root: Option<B256>| {
            body_check(Check::WithdrawalsRoot, |block| {
                block.header.number = 18_000_000;
                block.header.timestamp = 1_700_000_000;
                block.header.base_fee_per_gas = Some(1);
                block.header.withdrawals_root = root;
                block.withdrawals = Some(vec![Withdrawal::default()]);
            })
        };
        let root = calculate_withdrawals_root(&[Withdrawal::default()]);
        assert_eq!(check(Some(root)), Outcome::Passed);
        assert_fails(check(None));
        assert_fails(check(Some(B256::ZERO)));
    }

    #[test]
    fn a_wrong_pre_state_breaks_the_intermediate_state_roots() {
        let mut fixture = fixture("homestead.json.zst");
        assert!(fixture.manifest.complete_state);
        fixture.pre_state.insert_account(Address::repeat_byte(7), U256::ONE, 0, Default::default());
        let block = PreparedBlock::new("test", fixture, None).unwrap();
        let output =
            warpline_executor::execute_sequential(block.factory(), block.input(), &block.pre_state);
        let output = output.unwrap();
        let diff = warpline_merger::diff_from_bundle(&output.bundle);
        let checks = check_execution(&block, &output.result, &diff);
        assert_fails(checks[&Check::ReceiptsRoot].clone());
        assert_fails(checks[&Check::StateRoot].clone());
        assert_eq!(checks[&Check::GasUsed], Outcome::Passed);
    }
}
