//! Why a block does not belong to a chain.

use alloy_evm::block::{BlockExecutionError, BlockValidationError};
use core::fmt;
use revm::context::result::InvalidTransaction;
use warpline_executor::ExecuteError;

/// A block that breaks a rule: which, where, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidBlock {
    /// The rule.
    pub reason: Reason,
    /// The transaction that breaks it, where it is one.
    pub transaction: Option<usize>,
    /// What was expected and what was found.
    pub detail: String,
}

impl InvalidBlock {
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        Self { reason, transaction: None, detail: detail.to_string() }
    }

    /// Fails if what a block claims is not what follows from the rules.
    pub(crate) fn compare<T: PartialEq + fmt::Debug>(
        reason: Reason,
        claimed: &T,
        actual: &T,
    ) -> Result<(), Self> {
        if claimed == actual {
            return Ok(());
        }
        Err(Self::new(reason, format_args!("the block says {claimed:?}, it is {actual:?}")))
    }

    pub(crate) fn at(index: usize, reason: Reason, detail: impl fmt::Display) -> Self {
        Self { transaction: Some(index), ..Self::new(reason, detail) }
    }
}

impl fmt::Display for InvalidBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.transaction {
            write!(f, "transaction {index}: ")?;
        }
        write!(f, "{}", self.reason)?;
        match self.detail.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.detail),
        }
    }
}

/// The rules that a block can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    // What can be said of the bytes.
    /// The bytes are not the encoding of a block.
    #[error("the encoding is broken")]
    Encoding,
    /// The block is larger than EIP-7934 allows.
    #[error("the block is too large")]
    BlockSize,
    // The header by itself and against its parent.
    /// The parent is not known, or itself invalid.
    #[error("the parent is unknown")]
    UnknownParent,
    /// The number is not one more than the parent's.
    #[error("wrong number")]
    Number,
    /// The block is not later than its parent.
    #[error("wrong timestamp")]
    Timestamp,
    /// The gas limit moves too far from the parent's, or is too low or too high.
    #[error("wrong gas limit")]
    GasLimit,
    /// More gas used than the limit allows.
    #[error("the gas used exceeds the gas limit")]
    GasUsedAboveLimit,
    /// The extra data is longer than 32 bytes.
    #[error("too much extra data")]
    ExtraDataSize,
    /// Not the extra data that marks the blocks of the DAO fork.
    #[error("wrong extra data for the DAO fork")]
    DaoExtraData,
    /// Not the difficulty that follows from the parent, or one after the merge.
    #[error("wrong difficulty")]
    Difficulty,
    /// A nonce after the merge.
    #[error("a nonce after the merge")]
    Nonce,
    /// Proof of work after the merge, or proof of stake before it.
    #[error("wrong side of the merge")]
    Merge,
    /// Not the base fee that follows from the parent, or none, or one too early.
    #[error("wrong base fee")]
    BaseFee,
    /// A header field that the fork does not know, or none that it demands.
    #[error("wrong set of header fields")]
    HeaderFields,
    /// A body without a list that the header commits to, or with one that it does not.
    #[error("wrong set of lists in the body")]
    BodyFields,
    /// Not the excess blob gas that follows from the parent.
    #[error("wrong excess blob gas")]
    ExcessBlobGas,
    /// Not the blob gas that the transactions use.
    #[error("wrong blob gas used")]
    BlobGasUsed,
    /// More blob gas than a block may use.
    #[error("too much blob gas")]
    BlobGasLimit,
    // The body against the header.
    /// Not the root of the transactions.
    #[error("wrong transactions root")]
    TransactionsRoot,
    /// Not the root of the withdrawals.
    #[error("wrong withdrawals root")]
    WithdrawalsRoot,
    /// Not the hash of the ommers.
    #[error("wrong ommers hash")]
    OmmersHash,
    // The ommers.
    /// More than two ommers.
    #[error("too many ommers")]
    TooManyOmmers,
    /// Ommers after the merge.
    #[error("ommers after the merge")]
    OmmersAfterMerge,
    /// An ommer twice, or already included earlier.
    #[error("the ommer is already included")]
    OmmerKnown,
    /// An ommer that is an ancestor.
    #[error("the ommer is an ancestor")]
    OmmerIsAncestor,
    /// An ommer whose parent is not an ancestor of at most six generations back.
    #[error("the ommer's parent is no recent ancestor")]
    OmmerParent,
    // The transactions.
    /// No sender can be recovered from the signature.
    #[error("invalid signature")]
    Signature,
    /// A type that the fork does not know.
    #[error("transaction type not supported")]
    TransactionType,
    /// For another chain.
    #[error("wrong chain id")]
    ChainId,
    /// The nonce is below the account's.
    #[error("nonce too low")]
    NonceTooLow,
    /// The nonce is above the account's.
    #[error("nonce too high")]
    NonceTooHigh,
    /// The nonce cannot be raised any more.
    #[error("nonce is at its maximum")]
    NonceMax,
    /// The sender cannot pay.
    #[error("insufficient funds")]
    InsufficientFunds,
    /// Gas limit times price is no 256-bit number.
    #[error("the price of the gas overflows")]
    PriceOverflow,
    /// The sender is a contract.
    #[error("the sender is a contract")]
    SenderNotEoa,
    /// The gas limit does not cover the intrinsic gas.
    #[error("intrinsic gas too low")]
    IntrinsicGas,
    /// The gas limit does not cover the floor of EIP-7623.
    #[error("gas limit below the floor")]
    FloorGas,
    /// The gas limit exceeds what is left in the block.
    #[error("gas limit exceeds what is left in the block")]
    GasAllowance,
    /// The gas limit exceeds what a transaction may use (EIP-7825).
    #[error("gas limit exceeds the cap")]
    GasLimitCap,
    /// The fee cap is below the base fee.
    #[error("fee cap below the base fee")]
    FeeCap,
    /// The tip is above the fee cap.
    #[error("tip above the fee cap")]
    TipAboveFeeCap,
    /// The init code is too long (EIP-3860).
    #[error("init code too long")]
    InitCodeSize,
    /// The blob fee cap is below the blob base fee.
    #[error("blob fee cap below the blob base fee")]
    BlobFeeCap,
    /// A blob transaction without blobs.
    #[error("no blobs")]
    NoBlobs,
    /// More blobs than a transaction or block may have.
    #[error("too many blobs")]
    BlobCount,
    /// A blob hash of an unknown version.
    #[error("unknown version of a blob hash")]
    BlobVersion,
    /// A transaction of a type that may not create contracts does.
    #[error("this type may not create a contract")]
    Creation,
    /// A set-code transaction without authorizations.
    #[error("no authorizations")]
    NoAuthorizations,
    // What execution shows.
    /// A system contract is absent.
    #[error("a system contract is absent")]
    SystemContractAbsent,
    /// A system call failed.
    #[error("a system call failed")]
    SystemCall,
    /// The deposit contract logged what is no deposit.
    #[error("malformed deposit")]
    Deposit,
    /// Not the gas that the transactions use.
    #[error("wrong gas used")]
    GasUsed,
    /// Not the root of the receipts.
    #[error("wrong receipts root")]
    ReceiptsRoot,
    /// Not the bloom of the logs.
    #[error("wrong logs bloom")]
    LogsBloom,
    /// Not the root of the state.
    #[error("wrong state root")]
    StateRoot,
    /// Not the hash of the requests.
    #[error("wrong requests hash")]
    RequestsHash,
    /// Not the hash of the block access list.
    #[error("wrong block access list")]
    AccessList,
    /// The block access list is longer than the gas limit allows.
    #[error("the block access list is too long")]
    AccessListSize,
    // What a payload says beside the block.
    /// Not the hash of the block.
    #[error("wrong block hash")]
    BlockHash,
    /// Not the blob hashes of the transactions.
    #[error("wrong blob hashes")]
    VersionedHashes,
    /// The parent state cannot be read, or the execution panicked.
    #[error("the block could not be executed")]
    Unexecuted,
}

impl From<&InvalidTransaction> for Reason {
    fn from(error: &InvalidTransaction) -> Self {
        use InvalidTransaction as Tx;
        match error {
            Tx::PriorityFeeGreaterThanMaxFee => Self::TipAboveFeeCap,
            Tx::GasPriceLessThanBasefee => Self::FeeCap,
            Tx::CallerGasLimitMoreThanBlock => Self::GasAllowance,
            Tx::CallGasCostMoreThanGasLimit { .. } => Self::IntrinsicGas,
            Tx::GasFloorMoreThanGasLimit { .. } => Self::FloorGas,
            Tx::RejectCallerWithCode => Self::SenderNotEoa,
            Tx::LackOfFundForMaxFee { .. } => Self::InsufficientFunds,
            Tx::OverflowPaymentInTransaction => Self::PriceOverflow,
            Tx::NonceOverflowInTransaction => Self::NonceMax,
            Tx::NonceTooHigh { .. } => Self::NonceTooHigh,
            Tx::NonceTooLow { .. } => Self::NonceTooLow,
            Tx::CreateInitCodeSizeLimit => Self::InitCodeSize,
            Tx::InvalidChainId | Tx::MissingChainId => Self::ChainId,
            Tx::TxGasLimitGreaterThanCap { .. } => Self::GasLimitCap,
            Tx::BlobGasPriceGreaterThanMax { .. } => Self::BlobFeeCap,
            Tx::EmptyBlobs => Self::NoBlobs,
            Tx::BlobCreateTransaction => Self::Creation,
            Tx::TooManyBlobs { .. } => Self::BlobCount,
            Tx::BlobVersionNotSupported => Self::BlobVersion,
            Tx::EmptyAuthorizationList => Self::NoAuthorizations,
            Tx::AuthorizationListInvalidFields => Self::Creation,
            _ => Self::TransactionType,
        }
    }
}

impl From<ExecuteError> for InvalidBlock {
    fn from(error: ExecuteError) -> Self {
        let transaction = error.transaction().map(|index| index.get());
        let (ExecuteError::PreExecution(inner)
        | ExecuteError::PostExecution(inner)
        | ExecuteError::Transaction { error: inner, .. }) = &error
        else {
            return Self::new(Reason::Unexecuted, error);
        };
        Self { transaction, ..Self::new(reason_of(inner), inner) }
    }
}

fn reason_of(error: &BlockExecutionError) -> Reason {
    use BlockValidationError as Rule;
    let BlockExecutionError::Validation(rule) = error else { return Reason::Unexecuted };
    match rule {
        Rule::InvalidTx { error, .. } => {
            error.as_invalid_tx_err().map_or(Reason::Unexecuted, Reason::from)
        }
        Rule::TransactionGasLimitMoreThanAvailableBlockGas { .. } => Reason::GasAllowance,
        Rule::MissingParentBeaconBlockRoot
        | Rule::CancunGenesisParentBeaconBlockRootNotZero { .. } => Reason::HeaderFields,
        Rule::BeaconRootContractCall { .. }
        | Rule::BlockHashContractCall { .. }
        | Rule::WithdrawalRequestsContractCall { .. }
        | Rule::ConsolidationRequestsContractCall { .. }
        | Rule::BuilderDepositRequestsContractCall { .. }
        | Rule::BuilderExitRequestsContractCall { .. } => Reason::SystemCall,
        Rule::DepositRequestDecode(_) => Reason::Deposit,
        Rule::BlockGasExceeded => Reason::GasUsedAboveLimit,
        _ => Reason::Unexecuted,
    }
}
