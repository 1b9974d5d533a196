//! State tests: one transaction on a given state, for every fork and index the fixture names.

use crate::json::{Accounts, ConfigJson, Dropped, Number};
use alloy_consensus::{
    EthereumTxEnvelope, Header, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
    transaction::Recovered,
};
use alloy_eips::{
    eip2930::AccessList,
    eip7702::{Authorization, RecoveredAuthorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256};
use revm::{context::TxEnv, context_interface::either::Either};
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use warpline_executor::{EthTransaction, PreparedTx};

/// One fixture.
#[derive(Debug)]
pub(crate) struct StateTest {
    pub(crate) env: EnvJson,
    pub(crate) pre: Accounts,
    pub(crate) transaction: TransactionJson,
    pub(crate) config: ConfigJson,
    pub(crate) post: BTreeMap<String, Vec<PostJson>>,
    /// What filled the fixture gave the beneficiary a reward of zero, as the fillers before EEST
    /// did.
    pub(crate) touches_beneficiary: bool,
}

/// The block around the transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvJson {
    current_coinbase: Address,
    current_number: U64,
    current_timestamp: U64,
    current_gas_limit: U64,
    current_difficulty: Option<U256>,
    current_random: Option<B256>,
    current_base_fee: Option<U64>,
    current_excess_blob_gas: Option<U64>,
    #[serde(default, rename = "previousHash")]
    _previous_hash: Dropped,
}

impl EnvJson {
    /// A header with all that the EVM sees of a block.
    pub(crate) fn header(&self) -> Header {
        Header {
            beneficiary: self.current_coinbase,
            number: self.current_number.to(),
            timestamp: self.current_timestamp.to(),
            gas_limit: self.current_gas_limit.to(),
            difficulty: self.current_difficulty.unwrap_or_default(),
            mix_hash: self.current_random.unwrap_or_default(),
            base_fee_per_gas: Some(self.current_base_fee.map_or(0, |fee| fee.to())),
            excess_blob_gas: Some(self.current_excess_blob_gas.map_or(0, |gas| gas.to())),
            ..Header::default()
        }
    }
}

/// What a case expects.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PostJson {
    pub(crate) hash: B256,
    pub(crate) logs: B256,
    pub(crate) indexes: Indexes,
    pub(crate) expect_exception: Option<String>,
    #[serde(default, rename = "txbytes")]
    _txbytes: Dropped,
    #[serde(default, rename = "state")]
    _state: Dropped,
    #[serde(default, rename = "receipt")]
    _receipt: Dropped,
}

/// Which of the lists' elements make up the transaction.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Indexes {
    pub(crate) data: usize,
    pub(crate) gas: usize,
    pub(crate) value: usize,
}

/// The transaction, with lists of what varies.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransactionJson {
    data: Vec<Bytes>,
    gas_limit: Vec<Number>,
    value: Vec<Number>,
    nonce: Number,
    sender: Address,
    #[serde(deserialize_with = "recipient")]
    to: TxKind,
    gas_price: Option<Number>,
    max_fee_per_gas: Option<Number>,
    max_priority_fee_per_gas: Option<Number>,
    access_lists: Option<Vec<Option<AccessList>>>,
    authorization_list: Option<Vec<AuthorizationJson>>,
    blob_versioned_hashes: Option<Vec<B256>>,
    max_fee_per_blob_gas: Option<Number>,
    #[serde(default, rename = "secretKey")]
    _secret_key: Dropped,
    #[serde(default, rename = "chainId")]
    _chain_id: Dropped,
}

fn recipient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TxKind, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    match text.is_empty() {
        true => Ok(TxKind::Create),
        false => text.parse().map(TxKind::Call).map_err(de::Error::custom),
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuthorizationJson {
    chain_id: U256,
    address: Address,
    nonce: Number,
    v: Option<U256>,
    y_parity: Option<U256>,
    r: U256,
    s: U256,
    #[serde(default, rename = "signer")]
    _signer: Dropped,
}

impl AuthorizationJson {
    /// One whose nonce or parity no encoding can hold is as good as one that nobody signed.
    fn convert(&self) -> Either<SignedAuthorization, RecoveredAuthorization> {
        let parity = self.y_parity.or(self.v).unwrap_or_default();
        let inner = Authorization {
            chain_id: self.chain_id,
            address: self.address,
            nonce: fits(self.nonce).unwrap_or(u64::MAX),
        };
        let parity = u8::try_from(parity).unwrap_or(u8::MAX);
        Either::Left(SignedAuthorization::new_unchecked(inner, parity, self.r, self.s))
    }
}

fn fits<T: TryFrom<U256>>(number: Number) -> Option<T> {
    match number {
        Number::Fits(value) => T::try_from(value).ok(),
        Number::TooBig => None,
    }
}

/// A price beyond 128 bits is one that nobody can pay.
fn price(number: Option<Number>) -> Option<u128> {
    number.map(|number| fits(number).unwrap_or(u128::MAX))
}

/// Why the transaction of a case cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTransaction {
    /// A value that no encoding can hold: every node rejects it before anything else.
    Unencodable,
    /// An index beyond the end of its list: the fixture is broken.
    NoSuchIndex,
}

/// A transaction ready to run.
pub(crate) type Tx = PreparedTx<TxEnv, EthTransaction>;

impl TransactionJson {
    /// The transaction of a case.
    pub(crate) fn at(&self, indexes: Indexes, chain_id: u64) -> Result<Tx, NoTransaction> {
        let missing = NoTransaction::NoSuchIndex;
        let data = self.data.get(indexes.data).ok_or(missing)?.clone();
        let gas_limit = *self.gas_limit.get(indexes.gas).ok_or(missing)?;
        let value = *self.value.get(indexes.value).ok_or(missing)?;
        let access_list = self.access_lists.as_ref().and_then(|lists| lists.get(indexes.data));
        let unencodable = NoTransaction::Unencodable;
        let env = TxEnv {
            tx_type: self.tx_type(access_list.is_some_and(Option::is_some)),
            caller: self.sender,
            gas_limit: fits(gas_limit).ok_or(unencodable)?,
            gas_price: price(self.max_fee_per_gas.or(self.gas_price)).unwrap_or_default(),
            kind: self.to,
            value: fits(value).ok_or(unencodable)?,
            data,
            nonce: fits(self.nonce).ok_or(unencodable)?,
            chain_id: Some(chain_id),
            access_list: access_list.cloned().flatten().unwrap_or_default(),
            gas_priority_fee: price(self.max_priority_fee_per_gas),
            blob_hashes: self.blob_versioned_hashes.clone().unwrap_or_default(),
            max_fee_per_blob_gas: price(self.max_fee_per_blob_gas).unwrap_or_default(),
            authorization_list: self
                .authorization_list
                .iter()
                .flatten()
                .map(AuthorizationJson::convert)
                .collect(),
        };
        // Blob and set-code transactions have no encoding without a recipient.
        if env.tx_type >= 3 && env.kind.is_create() {
            return Err(unencodable);
        }
        let tx = Recovered::new_unchecked(envelope(&env), env.caller);
        Ok(PreparedTx { env, tx })
    }

    /// The largest gas limit that an encoding can hold.
    pub(crate) fn max_gas_limit(&self) -> u64 {
        self.gas_limit.iter().filter_map(|limit| fits(*limit)).max().unwrap_or_default()
    }

    const fn tx_type(&self, access_list: bool) -> u8 {
        if self.authorization_list.is_some() {
            4
        } else if self.max_fee_per_blob_gas.is_some() || self.blob_versioned_hashes.is_some() {
            3
        } else if self.max_fee_per_gas.is_some() {
            2
        } else if access_list {
            1
        } else {
            0
        }
    }
}

/// The envelope that the executors read gas limit, type and blob gas from. Nobody has signed it.
pub(crate) fn envelope(env: &TxEnv) -> EthTransaction {
    let chain_id = env.chain_id.unwrap_or_default();
    let TxEnv { gas_limit, gas_price, kind, value, nonce, .. } = *env;
    let (input, access_list) = (env.data.clone(), env.access_list.clone());
    let tip = env.gas_priority_fee.unwrap_or_default();
    match (env.tx_type, kind) {
        (1, to) => EthereumTxEnvelope::Eip2930(unsigned(TxEip2930 {
            chain_id,
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            access_list,
            input,
        })),
        (2, to) => EthereumTxEnvelope::Eip1559(unsigned(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: gas_price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list,
            input,
        })),
        (3, TxKind::Call(to)) => EthereumTxEnvelope::Eip4844(unsigned(TxEip4844 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: gas_price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list,
            blob_versioned_hashes: env.blob_hashes.clone(),
            max_fee_per_blob_gas: env.max_fee_per_blob_gas,
            input,
        })),
        (4, TxKind::Call(to)) => EthereumTxEnvelope::Eip7702(unsigned(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: gas_price,
            max_priority_fee_per_gas: tip,
            to,
            value,
            access_list,
            authorization_list: env
                .authorization_list
                .iter()
                .filter_map(|authorization| authorization.clone().left())
                .collect(),
            input,
        })),
        (_, to) => EthereumTxEnvelope::Legacy(unsigned(TxLegacy {
            chain_id: env.chain_id,
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            input,
        })),
    }
}

fn unsigned<T>(tx: T) -> Signed<T> {
    Signed::new_unchecked(tx, Signature::test_signature(), B256::ZERO)
}
