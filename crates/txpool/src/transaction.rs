//! A transaction in the pool: what goes into a block, and what is kept beside it.

use crate::check::Rules;
use alloy_consensus::{
    EthereumTxEnvelope, Signed, Transaction, TxEip4844Variant, TxEip4844WithSidecar,
    transaction::Recovered,
};
use alloy_eips::{eip2718::Encodable2718, eip7594::BlobTransactionSidecarVariant};
use alloy_primitives::{Address, Bytes, TxHash, U256};
use std::{mem::size_of, sync::Arc};
use warpline_executor::EthTransaction;

/// A transaction in the network form: blobs with or without their sidecar, of either kind.
pub type PooledEnvelope = EthereumTxEnvelope<TxEip4844Variant<BlobTransactionSidecarVariant>>;

/// The bytes of one slot, as geth counts them.
const SLOT: usize = 32 << 10;

/// Where a transaction comes from, which decides what it answers to. A sender with a local
/// transaction in the pool is a user of this node: what else it has there is not evicted either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A user of this node. Free of the minimum tip, of the limits by account, of expiry, and
    /// never evicted for another; answers to the fee cap and is kept in the journal.
    Local,
    /// Anybody else: everything applies but the fee cap.
    External,
    /// A user of this node in the name of somebody else, whose signature it does not have: like
    /// `Local`, but a contract may send (EIP-3607 does not apply), and the journal, which holds
    /// signed transactions, does not keep it.
    Impersonated,
}

impl Origin {
    /// Whether a user of this node sent it.
    pub const fn is_local(self) -> bool {
        !matches!(self, Self::External)
    }
}

/// A valid transaction with its sender. Immutable; shared by reference count.
#[derive(Debug, Clone)]
pub struct PoolTransaction {
    tx: Recovered<EthTransaction>,
    sidecar: Option<BlobTransactionSidecarVariant>,
    authorities: Box<[Address]>,
    origin: Origin,
    cost: U256,
    size: usize,
}

impl PoolTransaction {
    /// Takes the parts of `tx` apart. `authorities` are those of its authorizations that could
    /// be recovered; `size` is the length of its network form.
    pub(crate) fn new(
        tx: Recovered<PooledEnvelope>,
        authorities: Box<[Address]>,
        origin: Origin,
        size: usize,
    ) -> Self {
        let (tx, sender) = tx.into_parts();
        let (tx, sidecar) = split(tx);
        let cost = cost(&tx);
        Self { tx: Recovered::new_unchecked(tx, sender), sidecar, authorities, origin, cost, size }
    }

    /// The same from somewhere else.
    pub(crate) fn with_origin(&self, origin: Origin) -> Self {
        Self { origin, ..self.clone() }
    }

    /// Its hash.
    pub fn hash(&self) -> TxHash {
        *self.tx.inner().tx_hash()
    }

    /// Who sent it.
    pub const fn sender(&self) -> Address {
        self.tx.signer()
    }

    /// Its nonce.
    pub fn nonce(&self) -> u64 {
        self.tx.inner().nonce()
    }

    /// The form that blocks hold, with the sender.
    pub const fn recovered(&self) -> &Recovered<EthTransaction> {
        &self.tx
    }

    /// The form that blocks hold.
    pub const fn transaction(&self) -> &EthTransaction {
        self.tx.inner()
    }

    /// Blobs, commitments and proofs of a blob transaction.
    pub const fn sidecar(&self) -> Option<&BlobTransactionSidecarVariant> {
        self.sidecar.as_ref()
    }

    /// Who authorizes a delegation in it (EIP-7702), as far as signatures could be recovered and
    /// the pool restricts such accounts.
    pub(crate) const fn authorities(&self) -> &[Address] {
        &self.authorities
    }

    /// Where it comes from.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// What it may cost its sender at most, in wei: gas, blob gas and value.
    pub const fn cost(&self) -> U256 {
        self.cost
    }

    /// Bytes of its network form.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Slots that it takes in the pool: one for each 32 KiB.
    pub const fn slots(&self) -> usize {
        self.size.div_ceil(SLOT)
    }

    /// Whether it carries blobs.
    pub fn is_blob(&self) -> bool {
        self.tx.inner().is_eip4844()
    }

    /// How many blobs it carries.
    pub fn blob_count(&self) -> u64 {
        self.tx.inner().blob_count().unwrap_or_default()
    }

    /// The fee cap in wei per gas.
    pub fn max_fee(&self) -> u128 {
        self.tx.inner().max_fee_per_gas()
    }

    /// The tip in wei per gas: that of a dynamic fee transaction, or the gas price.
    pub fn max_tip(&self) -> u128 {
        self.tx.inner().priority_fee_or_price()
    }

    /// The blob fee cap in wei per blob gas; zero without blobs.
    pub fn max_blob_fee(&self) -> u128 {
        self.tx.inner().max_fee_per_blob_gas().unwrap_or_default()
    }

    /// What is left for the producer of a block with this base fee, in wei per gas; none if the
    /// block cannot include the transaction.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let left = self.max_fee().checked_sub(base_fee.into())?;
        Some(left.min(self.max_tip()))
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        // The entry in its queue and in the table of hashes come on top of the transaction.
        const BOOKKEEPING: usize = 192;
        self.size + size_of::<Self>() + BOOKKEEPING
    }

    /// The transaction with its sidecar, as it came.
    pub fn to_pooled(&self) -> PooledEnvelope {
        join(self.tx.inner().clone(), self.sidecar.clone())
    }

    /// The network form (EIP-2718), as `eth_sendRawTransaction` takes it: with the sidecar.
    pub fn encoded(&self) -> Bytes {
        match self.sidecar {
            None => self.tx.inner().encoded_2718().into(),
            Some(_) => self.to_pooled().encoded_2718().into(),
        }
    }
}

/// A transaction that is valid as far as no state decides, with its sender: what
/// [`Pool::prepare`](crate::Pool::prepare) makes and [`Pool::admit`](crate::Pool::admit) takes.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) tx: Arc<PoolTransaction>,
    /// What it was held against; the head may change before it is admitted.
    pub(crate) rules: Arc<Rules>,
}

impl Prepared {
    /// The transaction.
    pub const fn transaction(&self) -> &Arc<PoolTransaction> {
        &self.tx
    }
}

/// Separates a transaction from its sidecar.
fn split(tx: PooledEnvelope) -> (EthTransaction, Option<BlobTransactionSidecarVariant>) {
    match tx {
        PooledEnvelope::Legacy(tx) => (EthTransaction::Legacy(tx), None),
        PooledEnvelope::Eip2930(tx) => (EthTransaction::Eip2930(tx), None),
        PooledEnvelope::Eip1559(tx) => (EthTransaction::Eip1559(tx), None),
        PooledEnvelope::Eip7702(tx) => (EthTransaction::Eip7702(tx), None),
        PooledEnvelope::Eip4844(tx) => {
            let (tx, signature, hash) = tx.into_parts();
            let (tx, sidecar) = match tx {
                TxEip4844Variant::TxEip4844(tx) => (tx, None),
                TxEip4844Variant::TxEip4844WithSidecar(TxEip4844WithSidecar { tx, sidecar }) => {
                    (tx, Some(sidecar))
                }
            };
            (EthTransaction::Eip4844(Signed::new_unchecked(tx, signature, hash)), sidecar)
        }
    }
}

/// Puts a transaction and its sidecar together again.
pub(crate) fn join(
    tx: EthTransaction,
    sidecar: Option<BlobTransactionSidecarVariant>,
) -> PooledEnvelope {
    tx.map_eip4844(|tx| match &sidecar {
        None => TxEip4844Variant::TxEip4844(tx),
        Some(sidecar) => TxEip4844Variant::TxEip4844WithSidecar(TxEip4844WithSidecar {
            tx,
            sidecar: sidecar.clone(),
        }),
    })
}

/// Gas, blob gas and value at the highest prices the sender accepts.
fn cost(tx: &EthTransaction) -> U256 {
    let gas = U256::from(tx.gas_limit()) * U256::from(tx.max_fee_per_gas());
    let blobs = match (tx.blob_gas_used(), tx.max_fee_per_blob_gas()) {
        (Some(gas), Some(fee)) => U256::from(gas) * U256::from(fee),
        _ => U256::ZERO,
    };
    tx.value().saturating_add(gas).saturating_add(blobs)
}
