//! A call as callers describe it, and with all that they left out.

use crate::SimulationError;
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    context::{TxEnv, either::Either},
    primitives::hardfork::SpecId,
};

/// What a call pays per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// The same whatever the base fee is (`gasPrice`).
    Fixed(u128),
    /// At most `cap`, of which `tip` for the block's beneficiary (EIP-1559).
    Dynamic {
        /// `maxFeePerGas`.
        cap: u128,
        /// `maxPriorityFeePerGas`.
        tip: u128,
    },
}

impl Price {
    /// The most it pays.
    pub const fn cap(self) -> u128 {
        match self {
            Self::Fixed(cap) | Self::Dynamic { cap, .. } => cap,
        }
    }

    /// The most that the beneficiary gets.
    pub const fn tip(self) -> u128 {
        match self {
            Self::Fixed(tip) | Self::Dynamic { tip, .. } => tip,
        }
    }

    /// Whether the call is free.
    pub const fn is_zero(self) -> bool {
        self.cap() == 0 && self.tip() == 0
    }

    /// What it pays over a base fee. A call without fees pays nothing.
    pub fn effective(self, base_fee: u64) -> u128 {
        match self {
            Self::Fixed(price) => price,
            Self::Dynamic { cap: 0, tip: 0 } => 0,
            Self::Dynamic { cap, tip } => cap.min(tip.saturating_add(base_fee.into())),
        }
    }
}

/// A call with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The sender; no signature is needed.
    pub from: Address,
    /// The contract called, or the creation of one.
    pub to: TxKind,
    /// The sender's nonce.
    pub nonce: u64,
    /// Most gas.
    pub gas_limit: u64,
    /// What it pays per gas.
    pub price: Price,
    /// Value transferred.
    pub value: U256,
    /// Input, or code that creates the contract.
    pub input: Bytes,
    /// Accounts and slots that are paid for in advance, where a list was given.
    pub access_list: Option<AccessList>,
    /// Hashes of blobs and what it pays at most per blob gas.
    pub blobs: Option<(Vec<B256>, u128)>,
    /// Delegations (EIP-7702).
    pub authorizations: Option<Vec<SignedAuthorization>>,
}

impl Call {
    /// Fills in what a request leaves out: all gas there may be, no fee, no value, nonce zero.
    ///
    /// # Errors
    /// Both kinds of fees, two inputs that differ, or another chain's id.
    pub fn fill<E>(
        request: &TransactionRequest,
        gas_cap: u64,
        dynamic_fees: bool,
        chain_id: u64,
    ) -> Result<Self, SimulationError<E>> {
        let fees = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
        if request.gas_price.is_some() && fees != (None, None) {
            return Err(SimulationError::request(
                "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
            ));
        }
        if let Some(id) = request.chain_id.filter(|id| *id != chain_id) {
            return Err(SimulationError::request(format_args!(
                "chainId does not match node's (have={id}, want={chain_id})"
            )));
        }
        let most = if gas_cap == 0 { u64::MAX / 2 } else { gas_cap };
        let price = match request.gas_price {
            Some(price) => Price::Fixed(price),
            None if !dynamic_fees => Price::Fixed(0),
            None => Price::Dynamic { cap: fees.0.unwrap_or(0), tip: fees.1.unwrap_or(0) },
        };
        let input = &request.input;
        if let (Some(input), Some(data)) = (&input.input, &input.data)
            && input != data
        {
            return Err(SimulationError::request(
                "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass \
                 transaction call data",
            ));
        }
        let hashes = match (&request.blob_versioned_hashes, &request.sidecar) {
            (Some(hashes), _) => Some(hashes.clone()),
            (None, Some(sidecar)) => Some(sidecar.versioned_hashes().collect()),
            (None, None) => None,
        };
        Ok(Self {
            from: request.from.unwrap_or_default(),
            to: request.to.unwrap_or(TxKind::Create),
            nonce: request.nonce.unwrap_or_default(),
            gas_limit: request.gas.map_or(most, |gas| gas.min(most)),
            price,
            value: request.value.unwrap_or_default(),
            input: input.input().cloned().unwrap_or_default(),
            access_list: request.access_list.clone(),
            blobs: hashes.map(|hashes| (hashes, request.max_fee_per_blob_gas.unwrap_or(0))),
            authorizations: request.authorization_list.clone(),
        })
    }

    /// For the EVM, as the youngest type of transaction that it needs.
    pub(crate) fn tx_env(&self, spec: SpecId, chain_id: u64) -> TxEnv {
        let dynamic = matches!(self.price, Price::Dynamic { .. });
        let tx_type = match self {
            Self { authorizations: Some(_), .. } => 4,
            Self { blobs: Some(_), .. } => 3,
            _ if dynamic && spec.is_enabled_in(SpecId::LONDON) => 2,
            Self { access_list: Some(_), .. } => 1,
            _ => 0,
        };
        let (blob_hashes, max_fee_per_blob_gas) = match &self.blobs {
            Some((hashes, cap)) if tx_type == 3 => (hashes.clone(), *cap),
            _ => Default::default(),
        };
        let authorizations = self.authorizations.iter().flatten();
        TxEnv {
            tx_type,
            caller: self.from,
            gas_limit: self.gas_limit,
            gas_price: self.price.cap(),
            kind: self.to,
            value: self.value,
            data: self.input.clone(),
            // Only a rule that `checks` knows better looks at it: the sender's account counts.
            nonce: self.nonce.min(u64::MAX - 1),
            chain_id: Some(chain_id),
            access_list: self.access_list.clone().unwrap_or_default(),
            gas_priority_fee: (tx_type >= 2).then(|| self.price.tip()),
            blob_hashes,
            max_fee_per_blob_gas,
            authorization_list: authorizations.cloned().map(Either::Left).collect(),
        }
    }
}
