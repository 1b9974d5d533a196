//! What can be said of a transaction before its sender's account is known, in geth's order:
//! cheap checks first, the signature late, proofs last.

use crate::{
    BlobError, Head, PoolConfig, PoolError, SignatureError, blobs,
    decode::{MAX_BLOB_SIZE, MAX_SIZE},
    transaction::{Origin, PoolTransaction, PooledEnvelope},
};
use alloy_consensus::{
    Transaction,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, U256};
use revm::{context_interface::cfg::GasParams, primitives::hardfork::SpecId};
use std::sync::Arc;

/// What a transaction is held against: the head, and what may change without a new head.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) head: Head,
    pub(crate) min_tip: u128,
    gas: GasParams,
}

impl Rules {
    pub(crate) fn new(head: Head, min_tip: u128) -> Self {
        Self { head, min_tip, gas: GasParams::new_spec(head.spec) }
    }

    fn is(&self, fork: SpecId) -> bool {
        self.head.spec.is_enabled_in(fork)
    }

    /// Checks `tx`, recovers its sender unless that is known, and verifies its proofs.
    pub(crate) fn prepare(
        &self,
        config: &PoolConfig,
        tx: PooledEnvelope,
        sender: Option<Address>,
        origin: Origin,
    ) -> Result<Arc<PoolTransaction>, PoolError> {
        if origin.is_local() {
            check_sending(config, &tx)?;
        }
        let size = tx.encode_2718_len();
        let limit = if tx.is_eip4844() { MAX_BLOB_SIZE } else { MAX_SIZE };
        if size > limit {
            return Err(PoolError::Oversized { size, limit });
        }
        self.check_rules(&tx)?;
        let sender = match sender {
            Some(sender) => sender,
            None => self.recover(&tx)?,
        };
        let local = config.locals.contains(&sender);
        let origin = if origin == Origin::External && local { Origin::Local } else { origin };
        self.check_fees(config, &tx, sender, origin)?;
        let tx = blobs::check(self.head.blobs, self.is(SpecId::OSAKA), config, tx, origin)?;
        // Up to hundreds of signatures: only where it matters.
        let authorities = match config.restrict_delegated {
            true => authorities(&tx),
            false => Box::default(),
        };
        // A converted sidecar is longer than the one that came.
        let size = if tx.is_eip4844() { tx.encode_2718_len() } else { size };
        let tx = Recovered::new_unchecked(tx, sender);
        Ok(Arc::new(PoolTransaction::new(tx, authorities, origin, size)))
    }

    /// Holds a transaction that was admitted against rules that may have changed since.
    pub(crate) fn check_again(&self, tx: &PoolTransaction) -> Result<(), PoolError> {
        let cell_proofs = self.is(SpecId::OSAKA);
        if let Some(sidecar) = tx.sidecar().filter(|s| s.is_eip7594() != cell_proofs) {
            let (want, got) = (cell_proofs.into(), sidecar.is_eip7594().into());
            return Err(BlobError::Version { want, got }.into());
        }
        self.check_rules(tx.transaction())
    }

    /// The rules of the next block.
    fn check_rules(&self, tx: &impl Transaction) -> Result<(), PoolError> {
        let (ty, head) = (tx.ty(), &self.head);
        let (fork, name) = match ty {
            0 => (SpecId::FRONTIER, "Frontier"),
            1 => (SpecId::BERLIN, "Berlin"),
            2 => (SpecId::LONDON, "London"),
            3 => (SpecId::CANCUN, "Cancun"),
            _ => (SpecId::PRAGUE, "Prague"),
        };
        if !self.is(fork) {
            return Err(PoolError::TypeNotSupported { ty, fork: name });
        }
        let gas = tx.gas_limit();
        if let (true, Some(limit)) = (tx.is_create(), head.max_init_code)
            && tx.input().len() > limit
        {
            return Err(PoolError::InitCodeTooLarge { size: tx.input().len(), limit });
        }
        if let Some(cap) = head.max_tx_gas
            && gas > cap
        {
            return Err(PoolError::GasLimitTooHigh { cap, gas });
        }
        if gas > head.gas_limit {
            return Err(PoolError::ExceedsBlockGasLimit { gas, limit: head.gas_limit });
        }
        let (tip, max_fee) = (tx.priority_fee_or_price(), tx.max_fee_per_gas());
        if tip > max_fee {
            return Err(PoolError::TipAboveFeeCap { tip, max_fee });
        }
        if let Some(have) = tx.chain_id()
            && have != head.chain_id
        {
            let error = SignatureError::ChainId { have, want: head.chain_id };
            return Err(PoolError::InvalidSender(error));
        }
        if tx.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        self.check_gas(tx)?;
        if tx.authorization_list().is_some_and(<[_]>::is_empty) {
            return Err(PoolError::EmptyAuthorizationList);
        }
        Ok(())
    }

    /// The gas that is charged before the first instruction.
    fn check_gas(&self, tx: &impl Transaction) -> Result<(), PoolError> {
        let (accounts, slots) = tx.access_list().map_or((0, 0), |list| {
            let slots: usize = list.iter().map(|item| item.storage_keys.len()).sum();
            (list.len() as u64, slots as u64)
        });
        let authorizations = tx.authorization_list().map_or(0, |list| list.len() as u64);
        let (input, create) = (tx.input(), tx.is_create());
        let needed = self.gas.initial_tx_gas(input, create, accounts, slots, authorizations, None);
        let (gas, minimum) = (tx.gas_limit(), needed.initial_regular_gas);
        if gas < minimum {
            return Err(PoolError::IntrinsicGasTooLow { gas, minimum });
        }
        let minimum = needed.floor_gas;
        if self.is(SpecId::PRAGUE) && gas < minimum {
            return Err(PoolError::FloorGasTooLow { gas, minimum });
        }
        Ok(())
    }

    /// Who signed it.
    fn recover(&self, tx: &PooledEnvelope) -> Result<Address, PoolError> {
        let protected = tx.is_legacy() && tx.chain_id().is_some();
        if protected && !self.is(SpecId::SPURIOUS_DRAGON) {
            return Err(PoolError::InvalidSender(SignatureError::Values));
        }
        // Before Homestead a signature may have a high `s`.
        let signer = match self.is(SpecId::HOMESTEAD) {
            true => tx.recover_signer(),
            false => tx.recover_signer_unchecked(),
        };
        signer.map_err(|_| PoolError::InvalidSender(SignatureError::Values))
    }

    fn check_fees(
        &self,
        config: &PoolConfig,
        tx: &PooledEnvelope,
        sender: Address,
        origin: Origin,
    ) -> Result<(), PoolError> {
        let tip = tx.priority_fee_or_price();
        let exempt = origin.is_local() && !config.no_locals;
        if tip < self.min_tip && !exempt {
            return Err(PoolError::TipTooLow { tip, minimum: self.min_tip });
        }
        if !config.refuse_unpayable {
            return Ok(());
        }
        let (max_fee, base_fee) = (tx.max_fee_per_gas(), self.head.base_fee);
        if max_fee < base_fee.into() {
            return Err(PoolError::FeeCapTooLow { sender, max_fee, base_fee });
        }
        let (max_fee, blob_fee) = (tx.max_fee_per_blob_gas(), self.head.blob_fee());
        match max_fee {
            Some(max_fee) if max_fee < blob_fee => {
                Err(PoolError::BlobFeeCapTooLow { sender, max_fee, blob_fee })
            }
            _ => Ok(()),
        }
    }
}

/// What protects the users of this node from themselves.
fn check_sending(config: &PoolConfig, tx: &PooledEnvelope) -> Result<(), PoolError> {
    if let Some(cap) = config.tx_fee_cap {
        let fee = U256::from(tx.max_fee_per_gas()) * U256::from(tx.gas_limit());
        if fee > cap {
            return Err(PoolError::FeeCapExceeded { fee, cap });
        }
    }
    match tx.is_legacy() && tx.chain_id().is_none() && !config.allow_unprotected {
        true => Err(PoolError::Unprotected),
        false => Ok(()),
    }
}

/// Who signed the authorizations, as far as that can be told: others have no effect.
fn authorities(tx: &PooledEnvelope) -> Box<[Address]> {
    let list = tx.authorization_list().unwrap_or_default();
    list.iter().filter_map(|authorization| authorization.recover_authority().ok()).collect()
}
