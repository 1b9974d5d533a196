//! What a generated block must come to, stated without running an executor.

use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use alloy_primitives::{Address, U256};
use revm::context::result::InvalidTransaction;

/// What a correct execution of a block comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whether each executed transaction succeeds (its receipt's status). A block with a
    /// rejected transaction has entries up to that transaction only.
    pub statuses: Vec<bool>,
    /// The first transaction that makes the block invalid, if one does.
    pub rejected: Option<(usize, Rejection)>,
    /// Whether the block is invalid for what happens after its last transaction.
    pub fails_at_end: bool,
    /// What holds of the state after the block. Empty where `rejected` is not.
    pub facts: Vec<Fact>,
}

/// Why a transaction cannot be part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The nonce lies ahead of the sender's.
    NonceTooHigh,
    /// The nonce was used before.
    NonceTooLow,
    /// The sender cannot pay value plus maximal fee.
    InsufficientFunds,
    /// The gas limit exceeds what the block has left.
    BlockGasExceeded,
    /// The gas limit does not cover the intrinsic cost or the calldata floor.
    IntrinsicGas,
    /// The gas limit exceeds the per-transaction cap of EIP-7825.
    GasLimitCap,
    /// The fee does not cover the base fee.
    FeeBelowBaseFee,
    /// The blob fee does not cover the blob base fee.
    BlobFeeTooLow,
    /// The sender has code that is no delegation (EIP-3607).
    SenderHasCode,
    /// The transaction's type does not exist in this fork.
    UnsupportedType,
}

impl Rejection {
    /// The reason inside an executor's error, or `None` when the error blames no transaction
    /// or for a reason that no generated block has.
    pub fn of(error: &BlockExecutionError) -> Option<Self> {
        match error.as_validation()? {
            BlockValidationError::TransactionGasLimitMoreThanAvailableBlockGas { .. } => {
                Some(Self::BlockGasExceeded)
            }
            BlockValidationError::InvalidTx { error, .. } => {
                Self::of_transaction(error.as_invalid_tx_err()?)
            }
            _ => None,
        }
    }

    /// The reason inside revm's verdict on one transaction.
    pub const fn of_transaction(error: &InvalidTransaction) -> Option<Self> {
        match error {
            InvalidTransaction::NonceTooHigh { .. } => Some(Self::NonceTooHigh),
            InvalidTransaction::NonceTooLow { .. } => Some(Self::NonceTooLow),
            InvalidTransaction::LackOfFundForMaxFee { .. } => Some(Self::InsufficientFunds),
            InvalidTransaction::CallerGasLimitMoreThanBlock => Some(Self::BlockGasExceeded),
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => Some(Self::IntrinsicGas),
            InvalidTransaction::TxGasLimitGreaterThanCap { .. } => Some(Self::GasLimitCap),
            InvalidTransaction::GasPriceLessThanBasefee => Some(Self::FeeBelowBaseFee),
            InvalidTransaction::BlobGasPriceGreaterThanMax { .. } => Some(Self::BlobFeeTooLow),
            InvalidTransaction::RejectCallerWithCode => Some(Self::SenderHasCode),
            InvalidTransaction::Eip2930NotSupported
            | InvalidTransaction::Eip1559NotSupported
            | InvalidTransaction::Eip4844NotSupported
            | InvalidTransaction::Eip7702NotSupported => Some(Self::UnsupportedType),
            _ => None,
        }
    }
}

/// One statement about the state after a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The account's balance in wei.
    Balance(Address, U256),
    /// The account's nonce.
    Nonce(Address, u64),
    /// One storage slot and its value.
    Slot(Address, U256, U256),
    /// The account has code, delegation included.
    HasCode(Address, bool),
    /// The EIP-7702 target of the account, `None` for no delegation.
    Delegation(Address, Option<Address>),
    /// The account does not exist.
    Absent(Address),
}

impl Fact {
    /// A storage slot given in small numbers.
    pub fn slot(address: Address, slot: u64, value: u64) -> Self {
        Self::Slot(address, U256::from(slot), U256::from(value))
    }
}
