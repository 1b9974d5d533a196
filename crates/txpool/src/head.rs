//! What the pool has to know of the chain: the rules and fees of the next block, and accounts.

use alloy_consensus::Header;
use alloy_eips::{eip1559::BaseFeeParams, eip7825::MAX_TX_GAS_LIMIT_OSAKA, eip7840::BlobParams};
use alloy_primitives::{Address, B256, U256};
use core::{error::Error, fmt};
use revm::primitives::{eip3860::MAX_INITCODE_SIZE, hardfork::SpecId};
use warpline_chainspec::ChainSpec;

/// The head of the chain as seen by a transaction that wants to be in the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The head's number.
    pub number: u64,
    /// The head's hash.
    pub hash: B256,
    /// The EIP-155 chain id.
    pub chain_id: u64,
    /// The rules of the next block.
    pub spec: SpecId,
    /// The base fee of the next block in wei per gas; zero before London.
    pub base_fee: u64,
    /// Blobs in the next block; none before Cancun.
    pub blobs: Option<BlobRules>,
    /// The most gas that a transaction may ask for because of the block's limit.
    pub gas_limit: u64,
    /// The most gas that a transaction may ask for by itself (EIP-7825, from Osaka on).
    pub max_tx_gas: Option<u64>,
    /// The largest init code in bytes (EIP-3860, from Shanghai on).
    pub max_init_code: Option<usize>,
}

/// What a blob costs and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRules {
    /// The blob base fee of the next block in wei per blob gas.
    pub fee: u128,
    /// Limits by block and by transaction.
    pub params: BlobParams,
}

impl Head {
    /// The head `header`, whose hash is `hash`, under the rules of a next block at `timestamp`.
    pub fn new(chain: &ChainSpec, header: &Header, hash: B256, timestamp: u64) -> Self {
        let spec = chain.spec_id(header.number + 1, timestamp);
        let base_fee = match spec.is_enabled_in(SpecId::LONDON) {
            // The first block of London has the initial base fee.
            true => header
                .next_block_base_fee(BaseFeeParams::ethereum())
                .unwrap_or(alloy_eips::eip1559::INITIAL_BASE_FEE),
            false => 0,
        };
        let blobs = chain.blob_params(timestamp).map(|params| BlobRules {
            fee: header.next_block_blob_fee(params).unwrap_or(params.min_blob_fee),
            params,
        });
        Self {
            number: header.number,
            hash,
            chain_id: chain.chain_id(),
            spec,
            base_fee,
            blobs,
            gas_limit: header.gas_limit,
            max_tx_gas: spec.is_enabled_in(SpecId::OSAKA).then_some(MAX_TX_GAS_LIMIT_OSAKA),
            max_init_code: spec.is_enabled_in(SpecId::SHANGHAI).then_some(MAX_INITCODE_SIZE),
        }
    }

    /// The blob base fee of the next block; zero before Cancun.
    pub fn blob_fee(&self) -> u128 {
        self.blobs.map_or(0, |blobs| blobs.fee)
    }
}

/// An account at the head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolAccount {
    /// The nonce of its next transaction.
    pub nonce: u64,
    /// What it has, in wei.
    pub balance: U256,
    /// What code it has.
    pub code: AccountCode,
}

/// What kind of code an account has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccountCode {
    /// None: it may send transactions.
    #[default]
    None,
    /// A delegation (EIP-7702): it may send transactions.
    Delegation,
    /// A contract, which may not send transactions (EIP-3607).
    Contract,
}

/// The state at the head. Absent accounts are `PoolAccount::default()`.
///
/// Asked once when a sender's first transaction arrives, and after each block for the senders it
/// changed; outside of the pool's lock but for rare races.
pub trait Accounts: Send + Sync {
    /// Reads an account.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn account(&self, address: &Address) -> Result<PoolAccount, AccountsError>;
}

/// A state that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the state at the head could not be read: {0}")]
pub struct AccountsError(#[source] Box<dyn Error + Send + Sync>);

impl AccountsError {
    /// Wraps the cause.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Debug for dyn Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64, timestamp: u64) -> Header {
        Header { number, timestamp, gas_limit: 30_000_000, ..Header::default() }
    }

    #[test]
    fn rules_are_those_of_the_next_block() {
        let mainnet = ChainSpec::mainnet();
        let osaka = 1_764_798_551;
        let last = Header {
            base_fee_per_gas: Some(1000),
            gas_used: 30_000_000,
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..header(23_935_693, osaka - 12)
        };
        let before = Head::new(&mainnet, &last, B256::ZERO, osaka - 1);
        assert_eq!((before.spec, before.max_tx_gas), (SpecId::PRAGUE, None));
        let after = Head::new(&mainnet, &last, B256::ZERO, osaka);
        assert_eq!((after.spec, after.max_tx_gas), (SpecId::OSAKA, Some(1 << 24)));
        // A full block raises the base fee by an eighth.
        assert_eq!((after.base_fee, after.blob_fee()), (1125, 1));
        assert_eq!(after.blobs.map(|blobs| blobs.params.max_blobs_per_tx), Some(6));
        assert_eq!((after.chain_id, after.max_init_code), (1, Some(49_152)));
    }

    #[test]
    fn fees_begin_with_their_forks() {
        let mainnet = ChainSpec::mainnet();
        let berlin = Head::new(&mainnet, &header(12_964_998, 1_628_166_000), B256::ZERO, 0);
        assert_eq!((berlin.spec, berlin.base_fee), (SpecId::BERLIN, 0));
        assert_eq!((berlin.blobs, berlin.max_init_code), (None, None));
        let london = Head::new(&mainnet, &header(12_964_999, 1_628_166_000), B256::ZERO, 0);
        assert_eq!((london.spec, london.base_fee), (SpecId::LONDON, 1_000_000_000));
    }
}
