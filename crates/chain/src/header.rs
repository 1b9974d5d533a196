//! What a header must be, given its parent's. No seal is checked.

use crate::{InvalidBlock, Reason, difficulty::next_difficulty, rules::BlockRules};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip4844::DATA_GAS_PER_BLOB,
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{B64, U256};

const MIN_GAS_LIMIT: u64 = 5_000;
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;
const MAX_EXTRA_DATA: usize = 32;
const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
const DAO_EXTRA_BLOCKS: u64 = 10;

/// Checks a header against its parent's.
pub(crate) fn check(
    rules: BlockRules<'_>,
    header: &Header,
    parent: &Header,
) -> Result<(), InvalidBlock> {
    if parent.number.checked_add(1) != Some(header.number) {
        let detail = format_args!("{} after {}", header.number, parent.number);
        return Err(InvalidBlock::new(Reason::Number, detail));
    }
    if header.timestamp <= parent.timestamp {
        let detail = format_args!("{} after {}", header.timestamp, parent.timestamp);
        return Err(InvalidBlock::new(Reason::Timestamp, detail));
    }
    fields(rules, header)?;
    consensus(rules, header, parent)?;
    extra_data(rules, header)?;
    gas_limit(rules, header, parent)?;
    base_fee(rules, header, parent)?;
    blob_gas(rules, header, parent)
}

/// A header has the fields of its fork, and no others.
fn fields(rules: BlockRules<'_>, header: &Header) -> Result<(), InvalidBlock> {
    let chain = rules.chain;
    let shanghai = chain.is_shanghai_active_at_timestamp(header.timestamp);
    let cancun = chain.is_cancun_active_at_timestamp(header.timestamp);
    let prague = chain.is_prague_active_at_timestamp(header.timestamp);
    let lists = rules.access_lists(header.timestamp);
    let expected = [
        ("withdrawalsRoot", shanghai, header.withdrawals_root.is_some()),
        ("blobGasUsed", cancun, header.blob_gas_used.is_some()),
        ("excessBlobGas", cancun, header.excess_blob_gas.is_some()),
        ("parentBeaconBlockRoot", cancun, header.parent_beacon_block_root.is_some()),
        ("requestsHash", prague, header.requests_hash.is_some()),
        ("blockAccessListHash", lists, header.block_access_list_hash.is_some()),
        ("slotNumber", false, header.slot_number.is_some()),
    ];
    for (field, wanted, present) in expected {
        if wanted != present {
            let what = if wanted { "missing" } else { "not known to this fork" };
            return Err(InvalidBlock::new(Reason::HeaderFields, format_args!("{field}: {what}")));
        }
    }
    Ok(())
}

/// What proof of work or proof of stake says of the header.
fn consensus(rules: BlockRules<'_>, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    if !rules.merged {
        if header.difficulty.is_zero() {
            return Err(InvalidBlock::new(Reason::Merge, "no difficulty before the merge"));
        }
        let (number, timestamp) = (header.number, header.timestamp);
        let expected = next_difficulty(rules.chain, number, timestamp, parent);
        return InvalidBlock::compare(Reason::Difficulty, &header.difficulty, &expected);
    }
    InvalidBlock::compare(Reason::Difficulty, &header.difficulty, &U256::ZERO)?;
    InvalidBlock::compare(Reason::Nonce, &header.nonce, &B64::ZERO)?;
    InvalidBlock::compare(Reason::OmmersAfterMerge, &header.ommers_hash, &EMPTY_OMMER_ROOT_HASH)
}

fn extra_data(rules: BlockRules<'_>, header: &Header) -> Result<(), InvalidBlock> {
    let length = header.extra_data.len();
    if length > MAX_EXTRA_DATA {
        return Err(InvalidBlock::new(Reason::ExtraDataSize, format_args!("{length} bytes")));
    }
    let dao = rules.chain.ethereum_fork_activation(EthereumHardfork::Dao);
    if let ForkCondition::Block(start) = dao
        && (start..start.saturating_add(DAO_EXTRA_BLOCKS)).contains(&header.number)
        && *header.extra_data != *DAO_EXTRA_DATA
    {
        return Err(InvalidBlock::new(Reason::DaoExtraData, &header.extra_data));
    }
    Ok(())
}

fn gas_limit(rules: BlockRules<'_>, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    let limit = header.gas_limit;
    // London doubles what a block may use but not what it aims for.
    let london = rules.chain.is_london_active_at_block(header.number);
    let first = london && !rules.chain.is_london_active_at_block(parent.number);
    let before = if first { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
    let range = MIN_GAS_LIMIT..=MAX_GAS_LIMIT;
    if limit.abs_diff(before) >= before / GAS_LIMIT_BOUND_DIVISOR || !range.contains(&limit) {
        let detail = format_args!("{limit} after {before}");
        return Err(InvalidBlock::new(Reason::GasLimit, detail));
    }
    if header.gas_used > limit {
        let detail = format_args!("{} of {limit}", header.gas_used);
        return Err(InvalidBlock::new(Reason::GasUsedAboveLimit, detail));
    }
    Ok(())
}

fn base_fee(rules: BlockRules<'_>, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    let expected = rules.chain.is_london_active_at_block(header.number).then(|| {
        let next = parent.next_block_base_fee(BaseFeeParams::ethereum());
        next.filter(|_| rules.chain.is_london_active_at_block(parent.number))
            .unwrap_or(INITIAL_BASE_FEE)
    });
    InvalidBlock::compare(Reason::BaseFee, &header.base_fee_per_gas, &expected)
}

fn blob_gas(rules: BlockRules<'_>, header: &Header, parent: &Header) -> Result<(), InvalidBlock> {
    let Some(params) = rules.chain.blob_params(header.timestamp) else { return Ok(()) };
    let used = header.blob_gas_used.unwrap_or_default();
    if used > params.max_blob_gas_per_block() {
        let detail = format_args!("{used} of {}", params.max_blob_gas_per_block());
        return Err(InvalidBlock::new(Reason::BlobGasLimit, detail));
    }
    if !used.is_multiple_of(DATA_GAS_PER_BLOB) {
        return Err(InvalidBlock::new(Reason::BlobGasUsed, format_args!("{used}: no multiple")));
    }
    let excess = parent.excess_blob_gas.unwrap_or_default();
    let used = parent.blob_gas_used.unwrap_or_default();
    let fee = parent.base_fee_per_gas.unwrap_or_default();
    // Before Osaka the base cost of a blob is zero, and its rule is the old one.
    let overflows = excess.checked_add(used).is_none();
    let next = (!overflows).then(|| params.next_block_excess_blob_gas_osaka(excess, used, fee));
    InvalidBlock::compare(Reason::ExcessBlobGas, &header.excess_blob_gas, &next)
}
