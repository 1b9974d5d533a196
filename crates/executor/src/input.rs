//! What a block execution needs: environment, context, transactions, and the state before it.

use alloy_consensus::transaction::Recovered;
use alloy_evm::{
    EvmEnv, EvmFactory, FromRecoveredTx, RecoveredTx, ToTxEnv, block::BlockExecutorFactory,
};
use alloy_primitives::Address;
use core::fmt;
use revm::{DatabaseRef, database_interface::WrapDatabaseRef};

/// The EVM environment of a factory: chain configuration and block header fields.
pub type Env<F> = EvmEnv<
    <<F as BlockExecutorFactory>::EvmFactory as EvmFactory>::Spec,
    <<F as BlockExecutorFactory>::EvmFactory as EvmFactory>::BlockEnv,
>;

/// One block, ready to run.
pub struct BlockInput<'a, F: BlockExecutorFactory, T> {
    /// Chain configuration and block environment.
    pub env: Env<F>,
    /// What the factory's executor needs besides: parent hash, withdrawals, ommers, …
    pub ctx: F::ExecutionCtx<'a>,
    /// The transactions in block order, with their senders.
    pub txs: &'a [T],
}

impl<F: BlockExecutorFactory, T> Clone for BlockInput<'_, F, T> {
    fn clone(&self) -> Self {
        Self { env: self.env.clone(), ctx: self.ctx.clone(), txs: self.txs }
    }
}

impl<F: BlockExecutorFactory, T> fmt::Debug for BlockInput<'_, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockInput").field("txs", &self.txs.len()).finish_non_exhaustive()
    }
}

/// A recovered transaction whose EVM environment has been built once, so that executing it again
/// does not repeat that work (for EIP-7702 transactions it includes signature recovery).
#[derive(Clone, Debug)]
pub struct PreparedTx<E, T> {
    /// What the EVM runs.
    pub env: E,
    /// The transaction and its sender.
    pub tx: Recovered<T>,
}

impl<E: FromRecoveredTx<T>, T> PreparedTx<E, T> {
    /// Builds the environment of `tx`.
    pub fn new(tx: Recovered<T>) -> Self {
        Self { env: tx.to_tx_env(), tx }
    }
}

impl<E: Clone, T> ToTxEnv<E> for PreparedTx<E, T> {
    #[inline]
    fn to_tx_env(&self) -> E {
        self.env.clone()
    }
}

impl<E, T> RecoveredTx<T> for PreparedTx<E, T> {
    #[inline]
    fn tx(&self) -> &T {
        self.tx.inner()
    }

    #[inline]
    fn signer(&self) -> &Address {
        self.tx.signer_ref()
    }
}

/// The state before a block. Every worker opens its own database over the same snapshot, because
/// readers such as MDBX transactions belong to one thread.
pub trait ParentState: Sync {
    /// One worker's view of the snapshot.
    type Db<'a>: alloy_evm::Database
    where
        Self: 'a;

    /// Opens a database. All databases opened from one `ParentState` show the same state.
    fn open(&self) -> Self::Db<'_>;
}

impl<T> ParentState for T
where
    T: DatabaseRef<Error: core::error::Error + Send + Sync + 'static> + Sync + fmt::Debug,
{
    type Db<'a>
        = WrapDatabaseRef<&'a T>
    where
        Self: 'a;

    fn open(&self) -> Self::Db<'_> {
        WrapDatabaseRef(self)
    }
}
