//! The rules for a transaction in a block, as far as they apply to calls.
//!
//! The EVM checks them too, but other words, another order, and all or nothing of most would not
//! do: a call may come from a contract, and whether its nonce and its fees count depends on who
//! asks. So the EVM is told to leave these out.

use crate::{Call, Price};
use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip7594::MAX_BLOBS_PER_TX_FUSAKA};
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, U256, U512};
use revm::{
    context_interface::result::InvalidTransaction, primitives::hardfork::SpecId, state::AccountInfo,
};

/// Why no block could contain the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are in the words")]
pub enum InvalidCall {
    /// The sender has sent more already.
    #[error("nonce too low: address {from}, tx: {nonce} state: {expected}")]
    NonceTooLow { from: Address, nonce: u64, expected: u64 },
    /// The sender has not sent that many yet.
    #[error("nonce too high: address {from}, tx: {nonce} state: {expected}")]
    NonceTooHigh { from: Address, nonce: u64, expected: u64 },
    /// The sender can send no more.
    #[error("nonce has max value: address {from}, nonce: {nonce}")]
    NonceMax { from: Address, nonce: u64 },
    /// More for the beneficiary than in total.
    #[error(
        "max priority fee per gas higher than max fee per gas: address {from}, \
         maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap { from: Address, tip: u128, cap: u128 },
    /// Less than the block demands.
    #[error(
        "max fee per gas less than block base fee: address {from}, maxFeePerGas: {cap}, \
         baseFee: {base_fee}"
    )]
    FeeCapTooLow { from: Address, cap: u128, base_fee: u64 },
    /// Blobs need a recipient.
    #[error("blob transaction of type create")]
    BlobCreate,
    /// A blob transaction without blobs.
    #[error("blob transaction missing blob hashes")]
    MissingBlobs,
    /// More blobs than a transaction may have.
    #[error("blob transaction has too many blobs")]
    TooManyBlobs,
    /// Not the hash of a KZG commitment.
    #[error("blob {0} has invalid hash version")]
    BlobVersion(usize),
    /// Less than the block demands for blobs.
    #[error(
        "max fee per blob gas less than block blob gas fee: address {from} blobGasFeeCap: {cap}, \
         blobBaseFee: {price}"
    )]
    BlobFeeCapTooLow { from: Address, cap: u128, price: u128 },
    /// Delegations need a recipient.
    #[error("EIP-7702 transaction cannot be used to create contract (sender {from})")]
    DelegationCreate { from: Address },
    /// A delegating transaction that delegates nothing.
    #[error("EIP-7702 transaction with empty auth list (sender {from})")]
    NoAuthorizations { from: Address },
    /// The sender cannot pay for it.
    #[error("insufficient funds for gas * price + value: address {from} have {have} want {want}")]
    InsufficientFunds { from: Address, have: Box<U256>, want: Box<U512> },
    /// The estimate's sender cannot pay the value.
    #[error("insufficient funds for transfer")]
    InsufficientFundsForTransfer,
    /// Less gas than is charged before the first instruction.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas { have: u64, want: u64 },
    /// Less gas than is charged at least for the input (EIP-7623).
    #[error("insufficient gas for floor data gas cost: have {have}, want {want}")]
    FloorDataGas { have: u64, want: u64 },
    /// More code than a creation may run.
    #[error("max initcode size exceeded: code size {size}")]
    MaxInitCodeSize { size: usize },
    /// Something else that the EVM knows.
    #[error("{0}")]
    Other(InvalidTransaction),
}

impl InvalidCall {
    /// The rules that are left to the EVM.
    pub(crate) fn from_evm(error: InvalidTransaction, call: &Call) -> Self {
        match error {
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                Self::IntrinsicGas { have: gas_limit, want: initial_gas }
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                Self::FloorDataGas { have: gas_limit, want: gas_floor }
            }
            InvalidTransaction::CreateInitCodeSizeLimit => {
                Self::MaxInitCodeSize { size: call.input.len() }
            }
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => Self::InsufficientFunds {
                from: call.from,
                have: balance,
                want: Box::new(U512::from(*fee)),
            },
            error => Self::Other(error),
        }
    }

    /// Whether more gas could help.
    pub(crate) const fn wants_gas(&self) -> bool {
        matches!(self, Self::IntrinsicGas { .. } | Self::FloorDataGas { .. })
    }
}

/// Which rules count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strictness {
    /// The nonce must be the sender's next.
    pub(crate) nonce: bool,
    /// Even a call without fees must pay the base fee.
    pub(crate) base_fee: bool,
}

/// As `eth_call` has it.
pub(crate) const LENIENT: Strictness = Strictness { nonce: false, base_fee: false };

/// Checks a call before it is executed.
pub(crate) fn check(
    call: &Call,
    sender: &AccountInfo,
    env: &EvmEnv,
    strict: Strictness,
) -> Result<(), InvalidCall> {
    if strict.nonce {
        check_nonce(call, sender.nonce)?;
    }
    check_price(call, env, strict)?;
    check_blobs(call, env, strict)?;
    let from = call.from;
    if let Some(list) = &call.authorizations {
        if call.to.is_create() {
            return Err(InvalidCall::DelegationCreate { from });
        }
        if list.is_empty() {
            return Err(InvalidCall::NoAuthorizations { from });
        }
    }
    let (have, want) = (sender.balance, cost(call));
    if U512::from(have) < want {
        let (have, want) = (Box::new(have), Box::new(want));
        return Err(InvalidCall::InsufficientFunds { from, have, want });
    }
    Ok(())
}

fn check_nonce(call: &Call, expected: u64) -> Result<(), InvalidCall> {
    let (from, nonce) = (call.from, call.nonce);
    if nonce > expected {
        return Err(InvalidCall::NonceTooHigh { from, nonce, expected });
    }
    if nonce < expected {
        return Err(InvalidCall::NonceTooLow { from, nonce, expected });
    }
    if nonce == u64::MAX {
        return Err(InvalidCall::NonceMax { from, nonce });
    }
    Ok(())
}

fn check_price(call: &Call, env: &EvmEnv, strict: Strictness) -> Result<(), InvalidCall> {
    let free = !strict.base_fee && call.price.is_zero();
    if free || !env.cfg_env.spec.is_enabled_in(SpecId::LONDON) {
        return Ok(());
    }
    let (from, cap, tip) = (call.from, call.price.cap(), call.price.tip());
    if cap < tip {
        return Err(InvalidCall::TipAboveFeeCap { from, tip, cap });
    }
    let base_fee = env.block_env.basefee;
    if cap < base_fee.into() {
        return Err(InvalidCall::FeeCapTooLow { from, cap, base_fee });
    }
    Ok(())
}

fn check_blobs(call: &Call, env: &EvmEnv, strict: Strictness) -> Result<(), InvalidCall> {
    let Some((hashes, cap)) = &call.blobs else { return Ok(()) };
    if call.to.is_create() {
        return Err(InvalidCall::BlobCreate);
    }
    if hashes.is_empty() {
        return Err(InvalidCall::MissingBlobs);
    }
    let osaka = env.cfg_env.spec.is_enabled_in(SpecId::OSAKA);
    if osaka && hashes.len() as u64 > MAX_BLOBS_PER_TX_FUSAKA {
        return Err(InvalidCall::TooManyBlobs);
    }
    if let Some(at) = hashes.iter().position(|hash| hash[0] != 1) {
        return Err(InvalidCall::BlobVersion(at));
    }
    let price = env.block_env.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
    let free = !strict.base_fee && *cap == 0;
    if !free && *cap < price {
        return Err(InvalidCall::BlobFeeCapTooLow { from: call.from, cap: *cap, price });
    }
    Ok(())
}

/// What the sender must have: all gas at the highest price, the blobs, and the value.
fn cost(call: &Call) -> U512 {
    let product = |gas: u64, price: u128| U512::from(gas) * U512::from(price);
    let blobs = call
        .blobs
        .as_ref()
        .map_or(U512::ZERO, |(hashes, cap)| product(hashes.len() as u64 * DATA_GAS_PER_BLOB, *cap));
    product(call.gas_limit, call.price.cap()) + blobs + U512::from(call.value)
}

/// The highest gas limit that the sender can pay for; `None` where that is no limit.
pub(crate) fn affordable(call: &Call, balance: U256) -> Result<Option<u64>, InvalidCall> {
    let cap = match call.price {
        Price::Fixed(0) | Price::Dynamic { cap: 0, .. } => return Ok(None),
        price => price.cap(),
    };
    if call.value >= balance {
        return Err(InvalidCall::InsufficientFundsForTransfer);
    }
    let mut available = balance - call.value;
    if let Some((hashes, cap)) = call.blobs.as_ref().filter(|(hashes, _)| !hashes.is_empty()) {
        let blobs = U512::from(hashes.len() as u64 * DATA_GAS_PER_BLOB) * U512::from(*cap);
        if blobs >= U512::from(available) {
            let (from, want) = (call.from, Box::new(blobs + U512::from(call.value)));
            return Err(InvalidCall::InsufficientFunds { from, have: Box::new(balance), want });
        }
        available -= U256::from(blobs);
    }
    Ok(u64::try_from(available / U256::from(cap)).ok())
}
