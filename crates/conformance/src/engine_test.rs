//! Engine tests: the same chains as parameters of `engine_newPayload`.

use crate::{
    block_test::{End, Expected},
    json::{Accounts, ConfigJson, Dropped},
};
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, Transaction,
    proofs::{calculate_withdrawals_root, ordered_trie_root_encoded},
};
use alloy_eips::{
    eip2718::Decodable2718,
    eip4895::{Withdrawal, Withdrawals},
    eip7685::Requests,
    eip7928::BlockAccessList,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256, keccak256};
use core::ops::RangeInclusive;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use warpline_chain::{InvalidBlock, Reason, Rules};
use warpline_executor::EthTransaction;

/// One fixture.
#[derive(Debug)]
pub(crate) struct EngineTest {
    pub(crate) network: String,
    pub(crate) config: ConfigJson,
    pub(crate) pre: Accounts,
    pub(crate) genesis: Header,
    pub(crate) payloads: Vec<PayloadJson>,
    pub(crate) end: End,
}

impl EngineTest {
    /// Whether payloads have slot numbers.
    pub(crate) fn has_slot_numbers(&self) -> bool {
        let of_payload = |payload: &PayloadJson| payload.params.first()?.get("slotNumber").cloned();
        self.genesis.slot_number.is_some() || self.payloads.iter().any(|p| of_payload(p).is_some())
    }
}

/// One call of `engine_newPayload`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PayloadJson {
    params: Vec<Value>,
    validation_error: Option<String>,
    #[serde(default, deserialize_with = "number")]
    error_code: Option<i64>,
    #[serde(default, deserialize_with = "number")]
    new_payload_version: Option<i64>,
    #[serde(default, rename = "forkchoiceUpdatedVersion")]
    _forkchoice: Dropped,
}

/// The first parameter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExecutionPayload {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    prev_randao: B256,
    block_number: U64,
    gas_limit: U64,
    gas_used: U64,
    timestamp: U64,
    extra_data: Bytes,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions: Vec<Bytes>,
    withdrawals: Option<Vec<WithdrawalJson>>,
    blob_gas_used: Option<U64>,
    excess_blob_gas: Option<U64>,
    block_access_list: Option<Bytes>,
    slot_number: Option<U64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WithdrawalJson {
    index: U64,
    validator_index: U64,
    address: Address,
    amount: U64,
}

impl From<WithdrawalJson> for Withdrawal {
    fn from(json: WithdrawalJson) -> Self {
        Self {
            index: json.index.to(),
            validator_index: json.validator_index.to(),
            address: json.address,
            amount: json.amount.to(),
        }
    }
}

/// A payload that cannot become a block, for this reason.
#[derive(Debug)]
pub(crate) enum PayloadError {
    /// The call itself is wrong: the JSON-RPC error it ends with.
    Call(i64, String),
    /// It is not, but describes no valid block.
    Invalid(InvalidBlock),
}

/// The parameters are not those of the method.
const INVALID_PARAMS: i64 = -32602;
/// The method is not that of the payload's fork.
const UNSUPPORTED_FORK: i64 = -38005;

/// What a version of `engine_newPayload` takes (execution-apis, `engine/*.md`).
struct Method {
    params: usize,
    /// The payload has blob gas.
    blobs: bool,
    /// The payload has a block access list.
    access_list: bool,
}

impl Method {
    const fn of(version: i64) -> Option<Self> {
        let (params, blobs, access_list) = match version {
            1 | 2 => (1, false, false),
            3 => (3, true, false),
            4 => (4, true, false),
            5 => (4, true, true),
            _ => return None,
        };
        Some(Self { params, blobs, access_list })
    }

    /// The version that takes payloads of this time; before Cancun two do.
    fn version_at(rules: &Rules, timestamp: u64) -> RangeInclusive<i64> {
        let chain = &rules.after_merge;
        if rules.access_lists_from.is_some_and(|start| start <= timestamp) {
            5..=5
        } else if chain.is_prague_active_at_timestamp(timestamp) {
            4..=4
        } else if chain.is_cancun_active_at_timestamp(timestamp) {
            3..=3
        } else if chain.is_shanghai_active_at_timestamp(timestamp) {
            2..=2
        } else {
            1..=2
        }
    }
}

/// A number, or text with one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.map(Some).ok_or_else(|| de::Error::custom(format_args!("{value} is no number")))
}

impl PayloadJson {
    /// What must become of the payload.
    pub(crate) fn expected(&self) -> Expected<'_> {
        match &self.validation_error {
            Some(name) => Expected::Rejected(Some(name)),
            None if self.error_code.is_some() => Expected::Rejected(None),
            None => Expected::Accepted,
        }
    }

    /// The JSON-RPC error that the call must end with, where it must.
    pub(crate) const fn error_code(&self) -> Option<i64> {
        self.error_code
    }

    /// The block that the parameters describe, and its access list. Bytes that are no list have a
    /// hash all the same.
    pub(crate) fn block(
        &self,
        rules: &Rules,
    ) -> Result<(Block<EthTransaction>, Option<BlockAccessList>), PayloadError> {
        let payload: ExecutionPayload = self.param(0)?.ok_or_else(|| missing("params[0]"))?;
        let versioned_hashes: Option<Vec<B256>> = self.param(1)?;
        let parent_beacon_block_root: Option<B256> = self.param(2)?;
        let requests: Option<Vec<Bytes>> = self.param(3)?;
        self.check_call(rules, &payload)?;
        if requests.as_deref().is_some_and(|list| !well_ordered(list)) {
            return Err(wrong_params("requests are empty, repeated or out of order"));
        }
        let list = payload.block_access_list.as_ref();
        let list = list.and_then(|bytes| alloy_rlp::decode_exact(bytes).ok());
        let withdrawals: Option<Vec<Withdrawal>> =
            payload.withdrawals.map(|list| list.into_iter().map(Into::into).collect());
        let header = Header {
            parent_hash: payload.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: payload.fee_recipient,
            state_root: payload.state_root,
            transactions_root: ordered_trie_root_encoded(&payload.transactions),
            receipts_root: payload.receipts_root,
            logs_bloom: payload.logs_bloom,
            number: payload.block_number.to(),
            gas_limit: payload.gas_limit.to(),
            gas_used: payload.gas_used.to(),
            timestamp: payload.timestamp.to(),
            extra_data: payload.extra_data,
            mix_hash: payload.prev_randao,
            base_fee_per_gas: Some(payload.base_fee_per_gas.saturating_to()),
            withdrawals_root: withdrawals.as_deref().map(calculate_withdrawals_root),
            blob_gas_used: payload.blob_gas_used.map(|gas| gas.to()),
            excess_blob_gas: payload.excess_blob_gas.map(|gas| gas.to()),
            parent_beacon_block_root,
            requests_hash: requests.map(|list| Requests::new(list).requests_hash()),
            block_access_list_hash: payload.block_access_list.as_ref().map(keccak256),
            slot_number: payload.slot_number.map(|slot| slot.to()),
            ..Header::default()
        };
        let hash = header.hash_slow();
        if hash != payload.block_hash {
            let detail = format!("the payload says {}, it is {hash}", payload.block_hash);
            return Err(invalid(Reason::BlockHash, detail));
        }
        let decode = |(index, bytes): (usize, &Bytes)| {
            EthTransaction::decode_2718_exact(bytes).map_err(|error| InvalidBlock {
                transaction: Some(index),
                reason: Reason::Encoding,
                detail: error.to_string(),
            })
        };
        let transactions: Vec<_> = payload
            .transactions
            .iter()
            .enumerate()
            .map(decode)
            .collect::<Result<_, _>>()
            .map_err(PayloadError::Invalid)?;
        let blobs = transactions.iter().filter_map(|tx| tx.blob_versioned_hashes()).flatten();
        if let Some(hashes) = versioned_hashes
            && !blobs.eq(&hashes)
        {
            return Err(invalid(Reason::VersionedHashes, String::new()));
        }
        let withdrawals = withdrawals.map(Withdrawals::new);
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        Ok((Block { header, body }, list))
    }

    /// Whether the method fits the fork, and the parameters the method.
    fn check_call(&self, rules: &Rules, payload: &ExecutionPayload) -> Result<(), PayloadError> {
        let Some(version) = self.new_payload_version else { return Ok(()) };
        let method = Method::of(version)
            .ok_or_else(|| wrong_params(format_args!("there is no version {version}")))?;
        if self.params.len() != method.params || self.params.iter().any(Value::is_null) {
            let count = self.params.len();
            return Err(wrong_params(format_args!("{count} parameters, or one is null")));
        }
        let timestamp = payload.timestamp.to();
        let shanghai = rules.after_merge.is_shanghai_active_at_timestamp(timestamp);
        let fields = [
            ("withdrawals", payload.withdrawals.is_some(), shanghai),
            ("blobGasUsed", payload.blob_gas_used.is_some(), method.blobs),
            ("excessBlobGas", payload.excess_blob_gas.is_some(), method.blobs),
            ("blockAccessList", payload.block_access_list.is_some(), method.access_list),
        ];
        for (field, present, wanted) in fields {
            if present != wanted {
                let what = if wanted { "missing" } else { "not known to this version" };
                return Err(wrong_params(format_args!("{field}: {what}")));
            }
        }
        let versions = Method::version_at(rules, timestamp);
        if !versions.contains(&version) {
            let detail = format!("version {version} at {timestamp}, not {versions:?}");
            return Err(PayloadError::Call(UNSUPPORTED_FORK, detail));
        }
        Ok(())
    }

    fn param<T: for<'de> Deserialize<'de>>(&self, index: usize) -> Result<Option<T>, PayloadError> {
        let Some(value) = self.params.get(index) else { return Ok(None) };
        Option::<T>::deserialize(value)
            .map_err(|error| wrong_params(format_args!("params[{index}]: {error}")))
    }
}

/// Requests come with their type first, by ascending type, and none without content (EIP-7685).
fn well_ordered(requests: &[Bytes]) -> bool {
    requests.iter().all(|request| request.len() > 1)
        && requests.is_sorted_by(|left, right| left[0] < right[0])
}

fn missing(what: &str) -> PayloadError {
    wrong_params(format_args!("{what} is missing"))
}

fn wrong_params(detail: impl ToString) -> PayloadError {
    PayloadError::Call(INVALID_PARAMS, detail.to_string())
}

const fn invalid(reason: Reason, detail: String) -> PayloadError {
    PayloadError::Invalid(InvalidBlock { reason, transaction: None, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network;
    use serde_json::json;

    /// A payload of Prague, with a wrong hash, as nobody gets that far here.
    fn call(network: &str, change: impl FnOnce(&mut Value)) -> PayloadError {
        let zero = B256::ZERO;
        let mut call = json!({
            "params": [{
                "parentHash": zero, "feeRecipient": Address::ZERO, "stateRoot": zero,
                "receiptsRoot": zero, "logsBloom": Bloom::ZERO, "prevRandao": zero,
                "blockNumber": "0x1", "gasLimit": "0x1", "gasUsed": "0x0", "timestamp": "0x1",
                "extraData": "0x", "baseFeePerGas": "0x7", "blockHash": zero,
                "transactions": [], "withdrawals": [], "blobGasUsed": "0x0",
                "excessBlobGas": "0x0",
            }, [], zero, []],
            "newPayloadVersion": "4",
        });
        change(&mut call);
        let rules = network::rules(network, &Default::default()).unwrap();
        PayloadJson::deserialize(call).unwrap().block(&rules).unwrap_err()
    }

    fn code(network: &str, change: impl FnOnce(&mut Value)) -> Option<i64> {
        match call(network, change) {
            PayloadError::Call(code, _) => Some(code),
            PayloadError::Invalid(_) => None,
        }
    }

    #[test]
    fn calls_that_are_in_order_are_judged_by_their_block() {
        let PayloadError::Invalid(error) = call("Prague", |_| ()) else { panic!("a call error") };
        assert_eq!(error.reason, Reason::BlockHash);
        assert_eq!(code("Prague", |call| call["params"][3] = json!(["0x0001", "0x0102"])), None);
    }

    #[test]
    fn wrong_parameters_have_their_error() {
        let wrong: [fn(&mut Value); 8] = [
            |call| call["params"][3] = json!(["0x0102", "0x0001"]),
            |call| call["params"][3] = json!(["0x0102", "0x0103"]),
            |call| call["params"][3] = json!(["0x01"]),
            |call| call["params"][2] = Value::Null,
            |call| drop(call["params"].as_array_mut().unwrap().pop()),
            |call| call["params"][0]["blobGasUsed"] = Value::Null,
            |call| call["params"][0]["blockAccessList"] = json!("0xc0"),
            |call| call["params"][0]["gasUsed"] = json!("no number"),
        ];
        for change in wrong {
            assert_eq!(code("Prague", change), Some(INVALID_PARAMS));
        }
    }

    #[test]
    fn each_fork_has_its_version() {
        assert_eq!(code("Osaka", |_| ()), None);
        for network in ["Cancun", "Amsterdam"] {
            assert_eq!(code(network, |_| ()), Some(UNSUPPORTED_FORK), "{network}");
        }
    }
}
