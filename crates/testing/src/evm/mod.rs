//! Generated EVM blocks: what they are made of, and what they must come to.
//!
//! A [`GeneratedBlock`] is everything a block executor needs, plus the expected outcome:
//!
//! ```
//! use warpline_testing::evm::{builder::BlockBuilder, tx::Request, user};
//! use revm::primitives::hardfork::SpecId;
//!
//! let mut block = BlockBuilder::new(SpecId::CANCUN);
//! block.ok(Request::transfer(user(0), user(1), 5));
//! let block = block.finish();
//! assert_eq!(block.txs.len(), 1);
//! assert_eq!(block.expected.statuses, [true]);
//! ```

pub mod asm;
pub mod builder;
pub mod contracts;
pub mod expected;
pub mod parent;
pub mod plan;
mod program;
pub mod rng;
pub mod rules;
pub mod scenarios;
mod steps;
pub mod tx;

pub use expected::{Expected, Fact, Rejection};
pub use parent::MemoryParent;
pub use rules::{Factory, ForkRules, Receipts};

use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844, transaction::Recovered};
use alloy_eips::eip4895::Withdrawal;
use alloy_evm::{EvmEnv, eth::EthBlockExecutionCtx};
use alloy_primitives::{Address, B256, Bytes};
use revm::{context::TxEnv, primitives::hardfork::SpecId};
use std::borrow::Cow;

/// The chain every generated block belongs to.
pub const CHAIN_ID: u64 = 1;

/// The envelope of a generated transaction: as in a block body, blobs without their sidecar.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// A block, the state before it, and what it must come to.
#[derive(Debug, Clone)]
pub struct GeneratedBlock {
    /// The newest active fork.
    pub spec: SpecId,
    /// Chain rules that agree with `spec`.
    pub rules: ForkRules,
    /// Block and configuration environment.
    pub env: EvmEnv,
    /// What the pre- and post-block rules need.
    pub ctx: BlockContext,
    /// The transactions in order. The envelopes carry no valid signatures.
    pub txs: Vec<(TxEnv, Recovered<Transaction>)>,
    /// The state before the block.
    pub parent: MemoryParent,
    /// What a correct execution comes to.
    pub expected: Expected,
}

/// The owned pieces of an [`EthBlockExecutionCtx`].
#[derive(Debug, Clone, Default)]
pub struct BlockContext {
    /// Hash of the parent block.
    pub parent_hash: B256,
    /// Beacon root of the parent, from Cancun.
    pub parent_beacon_block_root: Option<B256>,
    /// Ommers, before the merge.
    pub ommers: Vec<Header>,
    /// Withdrawals, from Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The header's extra data.
    pub extra_data: Bytes,
}

impl BlockContext {
    /// The context an executor of alloy-evm takes.
    pub fn as_eth(&self) -> EthBlockExecutionCtx<'_> {
        EthBlockExecutionCtx {
            parent_hash: self.parent_hash,
            parent_beacon_block_root: self.parent_beacon_block_root,
            ommers: &self.ommers,
            withdrawals: self.withdrawals.as_deref().map(Cow::Borrowed),
            extra_data: self.extra_data.clone(),
            tx_count_hint: None,
            slot_number: None,
        }
    }
}

/// The `index`-th externally owned account of the world; the first [`USERS`] are rich.
pub const fn user(index: u16) -> Address {
    let mut bytes = [0u8; 20];
    bytes[0] = 0xea;
    [bytes[18], bytes[19]] = index.to_be_bytes();
    Address::new(bytes)
}

/// How many users the default world makes rich; those after do not exist.
pub const USERS: u16 = 16;

/// The default beneficiary: an account that does not exist before the block.
pub const BENEFICIARY: Address = Address::repeat_byte(0xfe);
