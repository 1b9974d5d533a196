//! Blobs: sidecars of either kind and their proofs.

use crate::{
    BlobError, BlobRules, PoolConfig,
    transaction::{Origin, PooledEnvelope},
};
use alloy_consensus::{Signed, Transaction, TxEip4844Variant, TxEip4844WithSidecar};
use alloy_eips::{
    eip4844::{
        BlobTransactionValidationError, env_settings::EnvKzgSettings, kzg_to_versioned_hash,
    },
    eip7594::{BlobTransactionSidecarVariant, CELLS_PER_EXT_BLOB},
};
use alloy_primitives::B256;

/// Checks the sidecar of a blob transaction and its proofs, which takes milliseconds; others are
/// returned as they are. What a user of this node sends with the blob proofs of EIP-4844 where
/// cell proofs are needed is given those.
pub(crate) fn check(
    rules: Option<BlobRules>,
    cell_proofs: bool,
    config: &PoolConfig,
    tx: PooledEnvelope,
    origin: Origin,
) -> Result<PooledEnvelope, BlobError> {
    let (PooledEnvelope::Eip4844(signed), Some(rules)) = (&tx, rules) else { return Ok(tx) };
    let TxEip4844Variant::TxEip4844WithSidecar(with_sidecar) = signed.tx() else {
        return Err(BlobError::MissingSidecar);
    };
    let TxEip4844WithSidecar { tx: inner, sidecar } = with_sidecar;
    check_transaction(rules, inner)?;
    let convert = cell_proofs && sidecar.is_eip4844() && origin.is_local();
    if !(convert && config.convert_blob_proofs) && sidecar.is_eip7594() != cell_proofs {
        let (want, got) = (cell_proofs.into(), sidecar.is_eip7594().into());
        return Err(BlobError::Version { want, got });
    }
    let hashes = &inner.blob_versioned_hashes;
    check_shape(sidecar, hashes)?;
    let settings = EnvKzgSettings::Default.get();
    sidecar.validate(hashes, settings).map_err(|error| {
        BlobError::Proof(match error {
            BlobTransactionValidationError::InvalidProof => "invalid blob proof".into(),
            error => error.to_string(),
        })
    })?;
    if sidecar.is_eip7594() == cell_proofs {
        return Ok(tx);
    }
    let converted = sidecar.clone().try_convert_into_eip7594_with_settings(settings);
    let sidecar = converted.map_err(|error| BlobError::Proof(format!("{error:?}")))?;
    let (signature, hash) = (*signed.signature(), *signed.hash());
    let tx = TxEip4844WithSidecar { tx: inner.clone(), sidecar };
    Ok(PooledEnvelope::Eip4844(Signed::new_unchecked(tx.into(), signature, hash)))
}

/// What the transaction says of its blobs.
fn check_transaction(rules: BlobRules, tx: &impl Transaction) -> Result<(), BlobError> {
    let count = tx.blob_versioned_hashes().map_or(0, <[_]>::len);
    let limit = rules.params.max_blobs_per_tx.min(rules.params.max_blob_count);
    if count as u64 > limit {
        return Err(BlobError::TooMany { count, limit });
    }
    let max_fee = tx.max_fee_per_blob_gas().unwrap_or_default();
    if max_fee < rules.params.min_blob_fee {
        return Err(BlobError::FeeTooLow { max_fee, minimum: rules.params.min_blob_fee });
    }
    if count == 0 {
        return Err(BlobError::None);
    }
    Ok(())
}

/// Whether there is as much of everything as there are hashes, and the hashes are those of the
/// commitments.
fn check_shape(sidecar: &BlobTransactionSidecarVariant, hashes: &[B256]) -> Result<(), BlobError> {
    let blobs = sidecar.blobs().len();
    if blobs != hashes.len() {
        return Err(BlobError::Blobs { blobs, hashes: hashes.len() });
    }
    let commitments = sidecar.commitments();
    if commitments.len() != hashes.len() {
        let (commitments, hashes) = (commitments.len(), hashes.len());
        return Err(BlobError::Commitments { commitments, hashes });
    }
    for (index, (commitment, claimed)) in commitments.iter().zip(hashes).enumerate() {
        let computed = kzg_to_versioned_hash(commitment.as_slice());
        if computed != *claimed {
            return Err(BlobError::Hash { index, computed, claimed: *claimed });
        }
    }
    let (proofs, expected) = match sidecar {
        BlobTransactionSidecarVariant::Eip4844(sidecar) => (sidecar.proofs.len(), hashes.len()),
        BlobTransactionSidecarVariant::Eip7594(sidecar) => {
            (sidecar.cell_proofs.len(), hashes.len() * CELLS_PER_EXT_BLOB)
        }
    };
    match proofs == expected {
        true => Ok(()),
        false => Err(BlobError::Proofs { proofs, expected }),
    }
}
