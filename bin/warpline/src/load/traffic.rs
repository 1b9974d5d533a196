//! Who sends, and what: the same accounts and a mix of transactions that follows from a seed.

use super::{http::Connection, prepare};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U64, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use eyre::Result;
use serde_json::{Value, json};

/// The keys of so many senders: from their numbers, so that every run has the same.
pub(super) fn signers(number: u16) -> Result<Vec<PrivateKeySigner>> {
    let signer = |index: u16| {
        let key = keccak256([b"warpline load".as_slice(), &index.to_be_bytes()].concat());
        Ok(PrivateKeySigner::from_bytes(&key)?)
    };
    (0..number).map(signer).collect()
}

/// The next nonce of an account at the head.
pub(super) async fn nonce(node: &mut Connection, address: Address) -> Result<u64> {
    let nonce: U64 = node.get("eth_getTransactionCount", json!([address, "latest"])).await?;
    Ok(nonce.to())
}

/// What all transactions of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    pub(super) chain_id: u64,
    /// Another seed, other recipients.
    pub(super) seed: u16,
}

impl Mix {
    /// The parameters of `eth_sendRawTransaction`.
    pub(super) fn params(self, signer: &PrivateKeySigner, nonce: u64) -> Result<Value> {
        Ok(json!([hex::encode_prefixed(self.transaction(signer, nonce)?)]))
    }

    /// Six of ten are payments, three move tokens, and one counts where all others do; who gets
    /// something follows from sender and nonce.
    fn transaction(self, signer: &PrivateKeySigner, nonce: u64) -> Result<Bytes> {
        let (nonce_bytes, seed) = (nonce.to_be_bytes(), self.seed.to_be_bytes());
        let random = keccak256([signer.address().as_slice(), &nonce_bytes, &seed].concat());
        // A few thousand accounts, so that many are met again.
        let somebody = Address::from_word(keccak256([random[0] & 15, random[1]]));
        let (to, value, input) = match random[2] % 10 {
            0..6 => (somebody, U256::ONE, Bytes::new()),
            6..9 => (prepare::TOKEN, U256::ZERO, prepare::token_transfer(&somebody)),
            _ => (prepare::COUNTER, U256::ZERO, prepare::bump()),
        };
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: if input.is_empty() { 21_000 } else { 100_000 },
            // The price may rise as much as it likes.
            max_fee_per_gas: 1_000_000_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(to),
            value,
            input,
            ..TxEip1559::default()
        };
        let signature = signer.sign_hash_sync(&tx.signature_hash())?;
        Ok(TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction, transaction::SignerRecoverable};
    use alloy_eips::Decodable2718;

    #[test]
    fn a_seed_gives_the_same_valid_transactions_of_all_kinds() {
        let signers = signers(2).unwrap();
        let mix = Mix { chain_id: 7, seed: 1 };
        let (mut paid, mut moved, mut counted) = (0, 0, 0);
        for nonce in 0..100 {
            let raw = mix.transaction(&signers[1], nonce).unwrap();
            assert_eq!(raw, mix.transaction(&signers[1], nonce).unwrap());
            let tx = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
            assert_eq!(tx.recover_signer().unwrap(), signers[1].address());
            assert_eq!((tx.chain_id(), tx.nonce()), (Some(7), nonce));
            match tx.to() {
                Some(prepare::TOKEN) => moved += 1,
                Some(prepare::COUNTER) => counted += 1,
                _ => paid += 1,
            }
        }
        assert!(paid > 40 && moved > 15 && counted > 2, "{paid} {moved} {counted}");
        let other = Mix { seed: 2, ..mix }.transaction(&signers[1], 0).unwrap();
        assert_ne!(other, mix.transaction(&signers[1], 0).unwrap());
    }
}
