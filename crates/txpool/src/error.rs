//! Why a transaction is refused: geth's words, because wallets match on them, and the figures.

use crate::AccountsError;
use alloy_primitives::{Address, B256, U256};
use core::fmt;

/// Why a transaction did not enter the pool.
///
/// The words are those of geth's pool, or of its state transition where its pool would let the
/// transaction wait forever.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// Bytes that are no transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A type that the next block does not know.
    #[error("transaction type not supported: type {ty} rejected, pool not yet in {fork}")]
    TypeNotSupported {
        /// The EIP-2718 type.
        ty: u8,
        /// The fork that brings it.
        fork: &'static str,
    },
    /// The same transaction is in the pool.
    #[error("already known")]
    AlreadyKnown {
        /// Its hash.
        hash: B256,
    },
    /// A legacy transaction without a chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// More fee than a user can have meant.
    #[error("tx fee ({} ether) exceeds the configured cap ({} ether)", Ether(*fee), Ether(*cap))]
    FeeCapExceeded {
        /// What the transaction may cost, in wei.
        fee: U256,
        /// The limit, in wei.
        cap: U256,
    },
    /// Too many bytes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes of the network form.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Too much init code (EIP-3860).
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// More gas than a transaction may ask for (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// The limit.
        cap: u64,
        /// What it asks for.
        gas: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit {
        /// What it asks for.
        gas: u64,
        /// The block's limit.
        limit: u64,
    },
    /// A tip that its own fee cap excludes.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, \
         maxFeePerGas: {max_fee}"
    )]
    TipAboveFeeCap {
        /// The tip in wei.
        tip: u128,
        /// The fee cap in wei.
        max_fee: u128,
    },
    /// A fee cap below the base fee, where that is refused.
    #[error(
        "max fee per gas less than block base fee: address {sender}, maxFeePerGas: {max_fee}, \
         baseFee: {base_fee}"
    )]
    FeeCapTooLow {
        /// The sender.
        sender: Address,
        /// The fee cap in wei.
        max_fee: u128,
        /// The base fee of the next block in wei.
        base_fee: u64,
    },
    /// A blob fee cap below the blob base fee, where that is refused.
    #[error(
        "max fee per blob gas less than block blob gas fee: address {sender} blobGasFeeCap: \
         {max_fee}, blobBaseFee: {blob_fee}"
    )]
    BlobFeeCapTooLow {
        /// The sender.
        sender: Address,
        /// The blob fee cap in wei.
        max_fee: u128,
        /// The blob base fee of the next block in wei.
        blob_fee: u128,
    },
    /// A tip below the smallest that is accepted.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {minimum}")]
    TipTooLow {
        /// The tip in wei.
        tip: u128,
        /// The smallest that is accepted.
        minimum: u128,
    },
    /// A nonce that no account can reach (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than is charged before the first instruction.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {minimum}")]
    IntrinsicGasTooLow {
        /// What it asks for.
        gas: u64,
        /// What it needs.
        minimum: u64,
    },
    /// Less gas than its data costs at least (EIP-7623).
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {minimum}")]
    FloorGasTooLow {
        /// What it asks for.
        gas: u64,
        /// What it needs.
        minimum: u64,
    },
    /// An EIP-7702 transaction that authorizes nothing.
    #[error("set code tx must have at least one authorization tuple")]
    EmptyAuthorizationList,
    /// What is wrong with the blobs of an EIP-4844 transaction.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A signature for another chain, or none.
    #[error("invalid sender: {0}")]
    InvalidSender(SignatureError),
    /// The sender is a contract (EIP-3607).
    #[error("sender not an eoa: address {sender}")]
    SenderNotEoa {
        /// The sender.
        sender: Address,
    },
    /// The nonce is used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The sender's next nonce at the head.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// A blob transaction that would have to wait for others of its sender.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {gap}")]
    NonceTooHigh {
        /// The transaction's nonce.
        nonce: u64,
        /// The first nonce that no pooled transaction has.
        gap: u64,
    },
    /// The sender cannot pay for the transaction.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, \
         overshot {}", .cost.saturating_sub(*.balance)
    )]
    InsufficientFunds {
        /// What the sender has, in wei.
        balance: U256,
        /// What the transaction may cost, in wei.
        cost: U256,
    },
    /// The sender cannot pay for the transaction besides its others.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, \
         tx cost {cost}, overshot {}", .queued.saturating_add(*.cost).saturating_sub(*.balance)
    )]
    InsufficientFundsForAll {
        /// What the sender has, in wei.
        balance: U256,
        /// What its pooled transactions may cost, in wei.
        queued: U256,
        /// What this one may cost, in wei.
        cost: U256,
    },
    /// The sender cannot pay for a replacement besides its other transactions.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, \
         tx bumped {bump}, overshot {}", .queued.saturating_add(*.bump).saturating_sub(*.balance)
    )]
    InsufficientFundsForBump {
        /// What the sender has, in wei.
        balance: U256,
        /// What its pooled transactions may cost, in wei.
        queued: U256,
        /// What this one may cost more than the one it replaces, in wei.
        bump: U256,
    },
    /// A replacement that does not raise the fees enough.
    #[error("replacement transaction underpriced{}", BlobDetail(*blob))]
    ReplacementUnderpriced {
        /// The transaction that stays.
        existing: B256,
        /// Which fee falls short, where a blob transaction is concerned.
        blob: Option<FeeShortfall>,
    },
    /// The pool is full of transactions that pay as much.
    #[error("transaction underpriced")]
    Underpriced,
    /// The pool is full and nothing in it may make room.
    #[error("txpool is full")]
    Full,
    /// The sender has as many transactions as it may.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimit {
        /// How many it has.
        pooled: usize,
    },
    /// A sender with delegated code may have one transaction only.
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlight,
    /// A sender with delegated code may not leave nonces out.
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedGap,
    /// An authority has transactions of its own waiting.
    #[error("authority already reserved")]
    AuthorityReserved {
        /// The authority.
        authority: Address,
    },
    /// The state could not be read: nothing is known against the transaction.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

/// Bytes that are no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes.
    #[error("typed transaction too short")]
    Empty,
    /// A first byte that is neither a type nor a list.
    #[error("transaction type not supported: {0:#04x}")]
    Type(u8),
    /// Broken RLP, or fields that do not fit.
    #[error("rlp: {error}, decoding a {kind} transaction of {length} bytes")]
    Rlp {
        /// What the first byte announces.
        kind: &'static str,
        /// All bytes.
        length: usize,
        /// What is wrong.
        error: alloy_rlp::Error,
    },
}

/// A signature that names no sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The transaction's chain.
        have: u64,
        /// This chain.
        want: u64,
    },
    /// No key can have made it.
    #[error("invalid transaction v, r, s values")]
    Values,
}

/// What is wrong with the blobs of a transaction (EIP-4844, EIP-7594).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The network form without blobs.
    #[error("missing sidecar in blob transaction")]
    MissingSidecar,
    /// No blob at all.
    #[error("blobless blob transaction")]
    None,
    /// More than a transaction may have.
    #[error("transaction blob limit exceeded: blob count {count}, limit {limit}")]
    TooMany {
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: u64,
    },
    /// Blob proofs where cell proofs belong, or the other way round.
    #[error("unexpected sidecar version, want: {want}, got: {got}")]
    Version {
        /// 0 for EIP-4844, 1 for EIP-7594.
        want: u8,
        /// What it has.
        got: u8,
    },
    /// Blobs and hashes differ in number.
    #[error("invalid number of {blobs} blobs compared to {hashes} blob hashes")]
    Blobs {
        /// Blobs in the sidecar.
        blobs: usize,
        /// Versioned hashes in the transaction.
        hashes: usize,
    },
    /// Commitments and hashes differ in number.
    #[error("invalid number of {commitments} blob commitments compared to {hashes} blob hashes")]
    Commitments {
        /// Commitments in the sidecar.
        commitments: usize,
        /// Versioned hashes in the transaction.
        hashes: usize,
    },
    /// Proofs and hashes differ in number.
    #[error("invalid number of {proofs} blob proofs expected {expected}")]
    Proofs {
        /// Proofs in the sidecar.
        proofs: usize,
        /// One for each blob (EIP-4844) or each of its 128 cells (EIP-7594).
        expected: usize,
    },
    /// A versioned hash that is not its commitment's.
    #[error("blob {index}: computed hash {computed} mismatches transaction one {claimed}")]
    Hash {
        /// Which one, from 0.
        index: usize,
        /// The hash of the commitment.
        computed: B256,
        /// The hash in the transaction.
        claimed: B256,
    },
    /// A proof that does not hold.
    #[error("KZG verification error: {0}")]
    Proof(String),
    /// Blob fee cap below the smallest that any block asks for.
    #[error(
        "transaction gas price below minimum: blob fee cap {max_fee}, minimum needed {minimum}"
    )]
    FeeTooLow {
        /// The blob fee cap in wei.
        max_fee: u128,
        /// The smallest blob base fee there can be.
        minimum: u128,
    },
}

/// Which fee of a replacement of or by a blob transaction is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeShortfall {
    /// Which fee, in geth's words.
    pub fee: &'static str,
    /// The replacement's, in wei.
    pub new: u128,
    /// That of the transaction that stays, in wei.
    pub queued: u128,
    /// By how many percent it must be higher.
    pub bump: u64,
}

struct BlobDetail(Option<FeeShortfall>);

impl fmt::Display for BlobDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => Ok(()),
            Some(FeeShortfall { fee, new, queued, .. }) if new <= queued => {
                write!(f, ": new tx {fee} {new} <= {queued} queued")
            }
            Some(FeeShortfall { fee, new, queued, bump }) => {
                write!(f, ": new tx {fee} {new} < {queued} queued + {bump}% replacement penalty")
            }
        }
    }
}

/// Wei as ether with two digits after the point.
struct Ether(U256);

impl fmt::Display for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded half up.
        let hundredth = U256::from(10_000_000_000_000_000u64);
        let hundredths = self.0.saturating_add(hundredth >> 1) / hundredth;
        let (whole, rest) = hundredths.div_rem(U256::from(100));
        write!(f, "{whole}.{:02}", rest.saturating_to::<u64>())
    }
}

impl PoolError {
    /// A short name for logs and metrics, one for each kind of reason.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Decode(_) => "decode",
            Self::TypeNotSupported { .. } => "type",
            Self::AlreadyKnown { .. } => "known",
            Self::Unprotected => "unprotected",
            Self::FeeCapExceeded { .. } => "fee_cap",
            Self::Oversized { .. } => "oversized",
            Self::InitCodeTooLarge { .. } => "init_code",
            Self::GasLimitTooHigh { .. } | Self::ExceedsBlockGasLimit { .. } => "gas_limit",
            Self::TipAboveFeeCap { .. } => "tip_above_cap",
            Self::FeeCapTooLow { .. } | Self::BlobFeeCapTooLow { .. } => "unpayable",
            Self::TipTooLow { .. } | Self::Underpriced => "underpriced",
            Self::NonceMax | Self::NonceTooHigh { .. } => "nonce_high",
            Self::IntrinsicGasTooLow { .. } | Self::FloorGasTooLow { .. } => "intrinsic_gas",
            Self::EmptyAuthorizationList => "authorizations",
            Self::Blob(_) => "blob",
            Self::InvalidSender(_) => "sender",
            Self::SenderNotEoa { .. } => "sender_code",
            Self::NonceTooLow { .. } => "nonce_low",
            Self::InsufficientFunds { .. }
            | Self::InsufficientFundsForAll { .. }
            | Self::InsufficientFundsForBump { .. } => "funds",
            Self::ReplacementUnderpriced { .. } => "replacement",
            Self::Full => "full",
            Self::AccountLimit { .. } => "account_limit",
            Self::DelegatedInFlight | Self::DelegatedGap => "delegated",
            Self::AuthorityReserved { .. } => "authority",
            Self::Accounts(_) => "state",
        }
    }
}
