//! Parallel execution of one block over any alloy-evm [`BlockExecutorFactory`], and the
//! sequential oracle it is compared with.
//!
//! [`execute_sequential`] runs a block the way any revm client does. [`ParallelExecutor`] gives
//! bit for bit the same receipts, gas, requests and state changes, faster. Both take the same
//! [`BlockInput`] and read the state before the block through a [`ParentState`].
//!
//! [`BlockExecutorFactory`]: alloy_evm::block::BlockExecutorFactory

mod blame;
mod drop_in;
mod error;
mod ethereum;
mod guidance;
mod input;
mod parallel;
mod sequential;
mod stateless;
mod stream;
mod unreached;

pub use blame::ParentReadError;
pub use drop_in::{DropInError, DropInReport, assert_drop_in, check_drop_in};
pub use error::ExecuteError;
pub use ethereum::{EthFactory, EthReceiptBuilder, EthTransaction};
pub use guidance::{Guidance, HintUses};
pub use input::{BlockInput, Env, ParentState, PreparedTx};
pub use parallel::{
    AnyFactory, BlockOutput, Dialect, EarlyOutcome, Ethereum, ExecStats, Expectations,
    ParallelConfig, ParallelExecutor,
};
pub use sequential::{SequentialOutput, execute_sequential, execute_sequential_listed};
pub use stateless::{IntrinsicGas, check_stateless};
pub use stream::{CommitStream, CommittedValue};
pub use unreached::{UnreachedEvm, UnreachedEvmFactory, UnreachedRules};
