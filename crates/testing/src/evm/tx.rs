//! A transaction before it has a nonce and an envelope.

use super::{CHAIN_ID, Transaction};
use alloy_consensus::{
    Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, RecoveredAuthority, RecoveredAuthorization, SignedAuthorization},
};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use revm::{context::TxEnv, context_interface::either::Either};

/// How a transaction is enveloped, with the fields only that type has.
#[derive(Debug, Clone, Default)]
pub enum Envelope {
    /// Untyped, with one gas price.
    #[default]
    Legacy,
    /// Type 1: legacy with an access list.
    AccessList,
    /// Type 2: with a priority fee.
    DynamicFee,
    /// Type 3: with these blobs and this maximal fee per blob gas.
    Blobs(Vec<B256>, u128),
    /// Type 4: each authority delegates.
    SetCode(Vec<Delegate>),
}

/// One EIP-7702 authorization.
#[derive(Debug, Clone, Copy)]
pub struct Delegate {
    /// Who delegates; `None` for a signature that does not recover.
    pub authority: Option<Address>,
    /// To which code; zero clears.
    pub to: Address,
    /// The authority's nonce.
    pub nonce: u64,
    /// The chain it is valid on; 0 for every chain.
    pub chain_id: u64,
}

impl Delegate {
    /// `authority`, at `nonce`, delegates to `to` on this chain.
    pub const fn new(authority: Address, to: Address, nonce: u64) -> Self {
        Self { authority: Some(authority), to, nonce, chain_id: CHAIN_ID }
    }

    fn authorization(&self) -> Authorization {
        Authorization { chain_id: U256::from(self.chain_id), address: self.to, nonce: self.nonce }
    }
}

/// A transaction to be: defaults are a plain transfer of nothing at a fee that every block takes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who sends.
    pub from: Address,
    /// To whom, or creation.
    pub kind: TxKind,
    /// Wei sent along.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// The gas limit.
    pub gas: u64,
    /// The gas price or maximal fee per gas.
    pub fee: u128,
    /// The priority fee, for types that have one.
    pub tip: u128,
    /// The nonce; `None` for the one the sender has by then.
    pub nonce: Option<u64>,
    /// Type and its own fields.
    pub envelope: Envelope,
    /// Addresses and slots declared in advance, for types that have a list.
    pub access: Vec<(Address, Vec<B256>)>,
}

/// 1 gwei.
pub const GWEI: u128 = 1_000_000_000;

impl Request {
    /// A call of `to` with enough gas for any contract of the world that halts by itself.
    pub fn call(from: Address, to: Address) -> Self {
        Self {
            from,
            kind: TxKind::Call(to),
            value: U256::ZERO,
            data: Bytes::new(),
            gas: 300_000,
            fee: 10 * GWEI,
            tip: GWEI,
            nonce: None,
            envelope: Envelope::Legacy,
            access: Vec::new(),
        }
    }

    /// A plain transfer with the gas wallets give it.
    pub fn transfer(from: Address, to: Address, wei: u64) -> Self {
        Self::call(from, to).gas(21_000).value(wei)
    }

    /// A contract creation.
    pub fn create(from: Address, init_code: Bytes) -> Self {
        let call = Self::call(from, Address::ZERO);
        Self { kind: TxKind::Create, data: init_code, gas: 1_000_000, ..call }
    }

    /// Sets the value in wei.
    pub fn value(self, wei: impl TryInto<U256, Error: core::fmt::Debug>) -> Self {
        Self { value: wei.try_into().expect("a value in wei fits 256 bits"), ..self }
    }

    /// Sets the calldata.
    pub fn data(self, data: Bytes) -> Self {
        Self { data, ..self }
    }

    /// Sets the gas limit.
    pub fn gas(self, gas: u64) -> Self {
        Self { gas, ..self }
    }

    /// Sets the gas price or maximal fee.
    pub fn fee(self, fee: u128) -> Self {
        Self { fee, ..self }
    }

    /// Sets the priority fee and makes the transaction one that has it.
    pub fn tip(self, tip: u128) -> Self {
        Self { tip, envelope: Envelope::DynamicFee, ..self }
    }

    /// Sets the nonce instead of taking the next one.
    pub fn nonce(self, nonce: u64) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// Attaches blobs with these numbers.
    pub fn blobs(self, numbers: &[u8], max_fee: u128) -> Self {
        let hashes = numbers
            .iter()
            .map(|number| {
                let mut hash = B256::repeat_byte(*number);
                hash.0[0] = 1;
                hash
            })
            .collect();
        Self { envelope: Envelope::Blobs(hashes, max_fee), ..self }
    }

    /// Attaches EIP-7702 authorizations.
    pub fn delegates(self, delegates: &[Delegate]) -> Self {
        Self { envelope: Envelope::SetCode(delegates.to_vec()), ..self }
    }

    /// The transaction in both forms an executor wants, under a signature nobody made: the
    /// sender is stated, not recovered.
    pub fn seal(&self, nonce: u64) -> (TxEnv, Recovered<Transaction>) {
        let envelope = self.envelope(nonce);
        let mut env = TxEnv::from_recovered_tx(&envelope, self.from);
        if let Envelope::SetCode(delegates) = &self.envelope {
            let recovered = delegates.iter().map(|delegate| {
                let authority = delegate
                    .authority
                    .map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
                let authorization = delegate.authorization();
                Either::Right(RecoveredAuthorization::new_unchecked(authorization, authority))
            });
            env.authorization_list = recovered.collect();
        }
        (env, Recovered::new_unchecked(envelope, self.from))
    }

    fn envelope(&self, nonce: u64) -> Transaction {
        let Self { kind, value, fee, tip, gas: gas_limit, .. } = *self;
        let input = self.data.clone();
        let to = kind.to().copied().unwrap_or_default();
        let access_list = AccessList(
            self.access
                .iter()
                .map(|(address, storage_keys)| AccessListItem {
                    address: *address,
                    storage_keys: storage_keys.clone(),
                })
                .collect(),
        );
        let signature = Signature::new(U256::ONE, U256::ONE, false);
        match &self.envelope {
            Envelope::Legacy => {
                let chain_id = None;
                let tx =
                    TxLegacy { chain_id, nonce, gas_price: fee, gas_limit, to: kind, value, input };
                Transaction::Legacy(Signed::new_unhashed(tx, signature))
            }
            Envelope::AccessList => {
                let tx = TxEip2930 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_price: fee,
                    gas_limit,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Transaction::Eip2930(Signed::new_unhashed(tx, signature))
            }
            Envelope::DynamicFee => {
                let tx = TxEip1559 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee,
                    max_priority_fee_per_gas: tip,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Transaction::Eip1559(Signed::new_unhashed(tx, signature))
            }
            Envelope::Blobs(hashes, max_fee_per_blob_gas) => {
                let tx = TxEip4844 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list,
                    blob_versioned_hashes: hashes.clone(),
                    max_fee_per_blob_gas: *max_fee_per_blob_gas,
                    input,
                };
                Transaction::Eip4844(Signed::new_unhashed(tx, signature))
            }
            Envelope::SetCode(delegates) => {
                let signed = |delegate: &Delegate| {
                    SignedAuthorization::new_unchecked(
                        delegate.authorization(),
                        0,
                        U256::ONE,
                        U256::ONE,
                    )
                };
                let tx = TxEip7702 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: fee,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    access_list,
                    authorization_list: delegates.iter().map(signed).collect(),
                    input,
                };
                Transaction::Eip7702(Signed::new_unhashed(tx, signature))
            }
        }
    }
}
