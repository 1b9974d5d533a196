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
};
use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256, keccak256};
use serde::Deserialize;
use warpline_chain::{InvalidBlock, Reason};
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

/// One call of `engine_newPayload`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PayloadJson {
    params: Vec<serde_json::Value>,
    validation_error: Option<String>,
    error_code: Option<serde_json::Value>,
    #[serde(default, rename = "newPayloadVersion")]
    _version: Dropped,
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
    /// The parameters are not those of the method.
    Params(String),
    /// They are, but describe no valid block.
    Invalid(InvalidBlock),
}

impl PayloadJson {
    /// What must become of the payload.
    pub(crate) fn expected(&self) -> Expected<'_> {
        match (&self.validation_error, &self.error_code) {
            (Some(name), _) => Expected::Rejected(Some(name)),
            (None, Some(_)) => Expected::Rejected(None),
            (None, None) => Expected::Accepted,
        }
    }

    /// The block that the parameters describe.
    pub(crate) fn block(&self) -> Result<Block<EthTransaction>, PayloadError> {
        let payload: ExecutionPayload = self.param(0)?.ok_or_else(|| missing(0))?;
        let versioned_hashes: Option<Vec<B256>> = self.param(1)?;
        let parent_beacon_block_root: Option<B256> = self.param(2)?;
        let requests: Option<Vec<Bytes>> = self.param(3)?;
        if requests.as_deref().is_some_and(|list| !well_ordered(list)) {
            return Err(invalid(Reason::RequestsHash, "empty or out of order".into()));
        }
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
        Ok(Block { header, body })
    }

    fn param<T: for<'de> Deserialize<'de>>(&self, index: usize) -> Result<Option<T>, PayloadError> {
        let Some(value) = self.params.get(index) else { return Ok(None) };
        Option::<T>::deserialize(value)
            .map_err(|error| PayloadError::Params(format!("params[{index}]: {error}")))
    }
}

/// Requests come with their type first, by ascending type, and none without content (EIP-7685).
fn well_ordered(requests: &[Bytes]) -> bool {
    requests.iter().all(|request| request.len() > 1)
        && requests.is_sorted_by(|left, right| left[0] < right[0])
}

fn missing(index: usize) -> PayloadError {
    PayloadError::Params(format!("params[{index}] is missing"))
}

const fn invalid(reason: Reason, detail: String) -> PayloadError {
    PayloadError::Invalid(InvalidBlock { reason, transaction: None, detail })
}
