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

/// Checks a header of a development chain, where gas limit and base fee may be anything.
pub(crate) fn check_dev(
    rules: BlockRules<'_>,
    header: &Header,
    parent: &Header,
) -> Result<(), InvalidBlock> {
    let usual = Header {
        gas_limit: parent.gas_limit,
        base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
        ..header.clone()
    };
    check(rules, &usual, parent)
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
        if header.difficulty.is_zero() && rules.merges() {
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
    if header.gas_used > limit {
        let detail = format_args!("{} of {limit}", header.gas_used);
        return Err(InvalidBlock::new(Reason::GasUsedAboveLimit, detail));
    }
    // London doubles what a block may use but not what it aims for.
    let london = rules.chain.is_london_active_at_block(header.number);
    let first = london && !rules.chain.is_london_active_at_block(parent.number);
    let before = if first { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
    let range = MIN_GAS_LIMIT..=MAX_GAS_LIMIT;
    if limit.abs_diff(before) >= before / GAS_LIMIT_BOUND_DIVISOR || !range.contains(&limit) {
        let detail = format_args!("{limit} after {before}");
        return Err(InvalidBlock::new(Reason::GasLimit, detail));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use alloy_hardforks::ethereum::*;
    use alloy_primitives::{B256, Bytes};
    use warpline_chainspec::ChainSpec;

    const BLOB: u64 = DATA_GAS_PER_BLOB;

    type Change = fn(&mut Header);

    fn mainnet(merged: bool) -> Rules {
        Rules {
            before_merge: ChainSpec::mainnet(),
            after_merge: ChainSpec::mainnet(),
            merge_at: merged.then_some(U256::ZERO),
            access_lists_from: None,
            net_gas_metering: 0..0,
        }
    }

    fn verdict(merged: bool, header: &Header, parent: &Header) -> Result<(), Reason> {
        let rules = mainnet(merged);
        check(rules.for_child(U256::ZERO), header, parent).map_err(|error| error.reason)
    }

    /// A mined block of mainnet and its child, which nothing is wrong with but the fields that
    /// differ from Frontier's.
    fn mined(number: u64) -> (Header, Header) {
        let parent = Header {
            number: number - 1,
            timestamp: 1_000,
            gas_limit: 15_000_000,
            difficulty: U256::from(1_u64 << 50),
            ..Header::default()
        };
        let child = Header {
            number,
            timestamp: 1_013,
            difficulty: next_difficulty(&ChainSpec::mainnet(), number, 1_013, &parent),
            ..parent.clone()
        };
        (parent, child)
    }

    /// A block after the merge and its child at a time, with the fields of its fork.
    fn staked(timestamp: u64) -> (Header, Header) {
        let parent = Header {
            number: 20_000_000,
            timestamp: timestamp - 12,
            gas_limit: 30_000_000,
            gas_used: 15_000_000,
            base_fee_per_gas: Some(7),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        let chain = ChainSpec::mainnet();
        let cancun = chain.is_cancun_active_at_timestamp(timestamp);
        let child = Header {
            number: 20_000_001,
            timestamp,
            withdrawals_root: chain
                .is_shanghai_active_at_timestamp(timestamp)
                .then_some(B256::ZERO),
            blob_gas_used: cancun.then_some(0),
            excess_blob_gas: cancun.then_some(0),
            parent_beacon_block_root: cancun.then_some(B256::ZERO),
            requests_hash: chain.is_prague_active_at_timestamp(timestamp).then_some(B256::ZERO),
            ..parent.clone()
        };
        (parent, child)
    }

    fn with(header: &Header, change: impl FnOnce(&mut Header)) -> Header {
        let mut header = header.clone();
        change(&mut header);
        header
    }

    #[test]
    fn numbers_follow_and_times_rise() {
        let (parent, child) = mined(10);
        assert_eq!(verdict(false, &child, &parent), Ok(()));
        for number in [9, 11] {
            let wrong = with(&child, |header| header.number = number);
            assert_eq!(verdict(false, &wrong, &parent), Err(Reason::Number));
        }
        let late = with(&child, |header| header.timestamp = parent.timestamp);
        assert_eq!(verdict(false, &late, &parent), Err(Reason::Timestamp));
    }

    #[test]
    fn the_gas_limit_moves_by_less_than_a_1024th() {
        let (parent, child) = mined(10);
        let at = |before: u64, limit: u64| {
            let parent = with(&parent, |header| header.gas_limit = before);
            verdict(false, &with(&child, |header| header.gas_limit = limit), &parent)
        };
        for (limit, expected) in [(999, Ok(())), (1_000, Err(Reason::GasLimit))] {
            assert_eq!(at(1_024_000, 1_024_000 + limit), expected);
            assert_eq!(at(1_024_000, 1_024_000 - limit), expected);
        }
        assert_eq!(at(5_001, 5_000), Ok(()));
        assert_eq!(at(5_000, 4_999), Err(Reason::GasLimit));
        let used = with(&child, |header| header.gas_used = header.gas_limit + 1);
        assert_eq!(verdict(false, &used, &parent), Err(Reason::GasUsedAboveLimit));
    }

    #[test]
    fn london_doubles_the_gas_limit_and_starts_the_base_fee() {
        let (parent, child) = mined(MAINNET_LONDON_BLOCK - 1);
        assert_eq!(verdict(false, &child, &parent), Ok(()));
        let early = with(&child, |header| header.base_fee_per_gas = Some(1_000_000_000));
        assert_eq!(verdict(false, &early, &parent), Err(Reason::BaseFee));

        let (parent, child) = mined(MAINNET_LONDON_BLOCK);
        let first = with(&child, |header| {
            header.gas_limit = 30_000_000;
            header.base_fee_per_gas = Some(1_000_000_000);
        });
        assert_eq!(verdict(false, &first, &parent), Ok(()));
        let undoubled = with(&first, |header| header.gas_limit = 15_000_000);
        assert_eq!(verdict(false, &undoubled, &parent), Err(Reason::GasLimit));
        for fee in [None, Some(999_999_999)] {
            let wrong = with(&first, |header| header.base_fee_per_gas = fee);
            assert_eq!(verdict(false, &wrong, &parent), Err(Reason::BaseFee));
        }
    }

    #[test]
    fn the_base_fee_follows_the_gas_used() {
        let (parent, child) = staked(MAINNET_SHANGHAI_TIMESTAMP);
        let usages = [(15_000_000, 1_000_000_000), (30_000_000, 1_125_000_000), (0, 875_000_000)];
        for (used, fee) in usages {
            let parent = with(&parent, |header| {
                (header.gas_used, header.base_fee_per_gas) = (used, Some(1_000_000_000));
            });
            let right = with(&child, |header| header.base_fee_per_gas = Some(fee));
            assert_eq!(verdict(true, &right, &parent), Ok(()));
            let wrong = with(&child, |header| header.base_fee_per_gas = Some(fee + 1));
            assert_eq!(verdict(true, &wrong, &parent), Err(Reason::BaseFee));
        }
    }

    #[test]
    fn either_side_of_the_merge_has_its_own_fields() {
        let (parent, child) = mined(10);
        let staked_early = with(&child, |header| header.difficulty = U256::ZERO);
        assert_eq!(verdict(false, &staked_early, &parent), Err(Reason::Difficulty));
        let later = Rules { merge_at: Some(U256::MAX), ..mainnet(false) };
        let error = check(later.for_child(U256::ZERO), &staked_early, &parent).unwrap_err();
        assert_eq!(error.reason, Reason::Merge);
        let easier = with(&child, |header| header.difficulty -= U256::ONE);
        assert_eq!(verdict(false, &easier, &parent), Err(Reason::Difficulty));

        let (parent, child) = staked(MAINNET_SHANGHAI_TIMESTAMP - 1);
        assert_eq!(verdict(true, &child, &parent), Ok(()));
        let wrong: [(Change, Reason); 3] = [
            (|header| header.difficulty = U256::ONE, Reason::Difficulty),
            (|header| header.nonce = B64::with_last_byte(1), Reason::Nonce),
            (|header| header.ommers_hash = B256::ZERO, Reason::OmmersAfterMerge),
        ];
        for (change, reason) in wrong {
            assert_eq!(verdict(true, &with(&child, change), &parent), Err(reason));
        }
    }

    #[test]
    fn every_fork_has_its_set_of_fields() {
        let forks = [
            MAINNET_SHANGHAI_TIMESTAMP,
            MAINNET_CANCUN_TIMESTAMP,
            MAINNET_PRAGUE_TIMESTAMP,
            MAINNET_OSAKA_TIMESTAMP,
        ];
        let toggles: [Change; 7] = [
            |header| header.withdrawals_root = header.withdrawals_root.xor(Some(B256::ZERO)),
            |header| header.blob_gas_used = header.blob_gas_used.xor(Some(0)),
            |header| header.excess_blob_gas = header.excess_blob_gas.xor(Some(0)),
            |header| {
                let root = header.parent_beacon_block_root;
                header.parent_beacon_block_root = root.xor(Some(B256::ZERO));
            },
            |header| header.requests_hash = header.requests_hash.xor(Some(B256::ZERO)),
            |header| header.block_access_list_hash = Some(B256::ZERO),
            |header| header.slot_number = Some(0),
        ];
        for timestamp in forks.into_iter().flat_map(|fork| [fork - 1, fork]) {
            let (parent, child) = staked(timestamp);
            assert_eq!(verdict(true, &child, &parent), Ok(()), "{timestamp}");
            for toggle in toggles {
                let wrong = verdict(true, &with(&child, toggle), &parent);
                assert_eq!(wrong, Err(Reason::HeaderFields), "{timestamp}");
            }
        }
    }

    #[test]
    fn blob_limits_change_with_the_forks_that_change_only_them() {
        let schedule = [
            (MAINNET_CANCUN_TIMESTAMP, 6),
            (MAINNET_PRAGUE_TIMESTAMP, 9),
            (MAINNET_BPO1_TIMESTAMP - 1, 9),
            (MAINNET_BPO1_TIMESTAMP, 15),
            (MAINNET_BPO2_TIMESTAMP, 21),
        ];
        for (timestamp, most) in schedule {
            let (parent, child) = staked(timestamp);
            let blobs = |gas: u64| {
                verdict(true, &with(&child, |header| header.blob_gas_used = Some(gas)), &parent)
            };
            assert_eq!(blobs(most * BLOB), Ok(()), "{timestamp}");
            assert_eq!(blobs((most + 1) * BLOB), Err(Reason::BlobGasLimit), "{timestamp}");
            assert_eq!(blobs(BLOB - 1), Err(Reason::BlobGasUsed), "{timestamp}");
        }
    }

    #[test]
    fn excess_blob_gas_follows_the_parent_and_from_osaka_on_its_base_fee() {
        // Time, blobs and base fee of the parent, and the excess that follows, in blobs. The
        // targets are 6 and 14.
        let cases = [
            (MAINNET_PRAGUE_TIMESTAMP, 9, 7, 3),
            (MAINNET_PRAGUE_TIMESTAMP, 5, 7, 0),
            (MAINNET_PRAGUE_TIMESTAMP, 3, 1_000_000_000, 0),
            (MAINNET_BPO2_TIMESTAMP, 21, 7, 7),
            (MAINNET_BPO2_TIMESTAMP, 15, 7, 1),
            // EIP-7918: a third of what was used, while blobs cost less than their execution.
            (MAINNET_BPO2_TIMESTAMP, 15, 1_000_000_000, 5),
            (MAINNET_BPO2_TIMESTAMP, 13, 1_000_000_000, 0),
        ];
        for (timestamp, used, fee, excess) in cases {
            let (parent, child) = staked(timestamp);
            let parent = with(&parent, |header| {
                header.blob_gas_used = Some(used * BLOB);
                header.base_fee_per_gas = Some(fee);
            });
            let at = |excess: u64| {
                let header = with(&child, |header| {
                    header.base_fee_per_gas = Some(fee);
                    header.excess_blob_gas = Some(excess);
                });
                verdict(true, &header, &parent)
            };
            assert_eq!(at(excess * BLOB), Ok(()), "{timestamp} {used} {fee}");
            assert_eq!(at(excess * BLOB + 1), Err(Reason::ExcessBlobGas));
        }
        let (parent, child) = staked(MAINNET_OSAKA_TIMESTAMP);
        let full = with(&parent, |header| {
            (header.excess_blob_gas, header.blob_gas_used) = (Some(u64::MAX), Some(BLOB));
        });
        assert_eq!(verdict(true, &child, &full), Err(Reason::ExcessBlobGas));
    }

    #[test]
    fn extra_data_is_short_and_marks_the_dao_fork() {
        let at = |number: u64, data: &'static [u8]| {
            let (parent, child) = mined(number);
            let child = with(&child, |header| header.extra_data = Bytes::from_static(data));
            verdict(false, &child, &parent)
        };
        assert_eq!(at(10, &[0; 32]), Ok(()));
        assert_eq!(at(10, &[0; 33]), Err(Reason::ExtraDataSize));
        for number in [MAINNET_DAO_BLOCK, MAINNET_DAO_BLOCK + 9] {
            assert_eq!(at(number, b"dao-hard-fork"), Ok(()));
            assert_eq!(at(number, b""), Err(Reason::DaoExtraData));
        }
        for number in [MAINNET_DAO_BLOCK - 1, MAINNET_DAO_BLOCK + 10] {
            assert_eq!(at(number, b""), Ok(()));
        }
    }
}
