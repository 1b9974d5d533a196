//! The receipts of a block, held against its header.

use crate::{ImportError, InvalidBlock, Reason};
use alloy_consensus::{
    Eip658Value, EthereumReceipt, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bloom};
use std::iter;
use warpline_keccak::keccak256_each;
use warpline_trie::ordered_root;

/// The receipts of a block.
#[derive(Debug)]
pub(crate) struct Receipts {
    /// One per transaction.
    pub(crate) receipts: Vec<EthereumReceipt>,
    /// Before Byzantium, the root after each transaction; empty from then on.
    pub(crate) roots: Vec<B256>,
}

impl Receipts {
    /// Compares their root and their bloom filter with what the header says.
    pub(crate) fn check(&self, header: &Header) -> Result<(), InvalidBlock> {
        let (root, bloom) = receipts_root(&self.receipts, &self.roots);
        InvalidBlock::compare(Reason::ReceiptsRoot, &header.receipts_root, &root)?;
        InvalidBlock::compare(Reason::LogsBloom, &header.logs_bloom, &bloom)
    }

    /// What is wrong with a block: the receipts, which are looked at first, or else `error`.
    pub(crate) fn wrong_or(&self, header: &Header, error: impl Into<ImportError>) -> ImportError {
        self.check(header).map_or_else(ImportError::from, |()| error.into())
    }
}

/// The root of receipts, which hold the state root after their transaction where there are such
/// roots, and the bloom of all their logs.
pub(crate) fn receipts_root(receipts: &[EthereumReceipt], roots: &[B256]) -> (B256, Bloom) {
    let blooms = blooms(receipts);
    let all = blooms.iter().fold(Bloom::ZERO, |all, bloom| all | *bloom);
    let with_blooms: Vec<_> = receipts.iter().zip(blooms).collect();
    if roots.is_empty() {
        let encode = |(receipt, logs_bloom): &(&EthereumReceipt, Bloom), out: &mut Vec<u8>| {
            ReceiptWithBloom { receipt: *receipt, logs_bloom: *logs_bloom }.encode_2718(out);
        };
        return (ordered_root(&with_blooms, encode), all);
    }
    let with_root = |((receipt, logs_bloom), root): ((&EthereumReceipt, Bloom), &B256)| {
        let receipt = Receipt {
            status: Eip658Value::PostState(*root),
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        ReceiptEnvelope::Legacy(ReceiptWithBloom { receipt, logs_bloom })
    };
    let receipts: Vec<_> = with_blooms.into_iter().zip(roots).map(with_root).collect();
    (ordered_root(&receipts, |receipt, out| receipt.encode_2718(out)), all)
}

/// The bloom filter of the logs of each receipt: of their addresses and topics.
fn blooms(receipts: &[EthereumReceipt]) -> Vec<Bloom> {
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs);
    let parts = logs.flat_map(|log| {
        iter::once(log.address.as_slice()).chain(log.topics().iter().map(B256::as_slice))
    });
    let mut hashes = keccak256_each(parts).into_iter();
    let bloom = |receipt: &EthereumReceipt| {
        let parts = receipt.logs.iter().map(|log| 1 + log.topics().len()).sum();
        let of_receipt = hashes.by_ref().take(parts);
        of_receipt.fold(Bloom::ZERO, |mut bloom, hash| {
            bloom.m3_2048_hashed(&hash);
            bloom
        })
    };
    receipts.iter().map(bloom).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{TxReceipt, TxType, proofs::calculate_receipt_root};
    use alloy_primitives::{Address, Log, LogData};

    #[test]
    fn receipts_have_the_root_and_the_bloom_that_alloy_gives_them() {
        let receipt = |index: usize| {
            let log = |at: usize| {
                let topics = (0..at % 5).map(|topic| B256::repeat_byte((index + topic) as u8));
                let data = LogData::new_unchecked(topics.collect(), vec![1; 50 * at].into());
                Log { address: Address::repeat_byte((index % 7) as u8), data }
            };
            EthereumReceipt {
                tx_type: [TxType::Legacy, TxType::Eip1559, TxType::Eip7702][index % 3],
                success: !index.is_multiple_of(5),
                cumulative_gas_used: 21_000 * (index as u64 + 1),
                logs: (0..index % 6).map(log).collect(),
            }
        };
        for count in [0, 1, 2, 200] {
            let receipts: Vec<_> = (0..count).map(receipt).collect();
            let with_blooms: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
            let all = with_blooms.iter().fold(Bloom::ZERO, |all, with| all | with.logs_bloom);
            let expected = (calculate_receipt_root(&with_blooms), all);
            assert_eq!(receipts_root(&receipts, &[]), expected, "{count} receipts");

            let roots: Vec<_> = (0..count).map(|at| B256::repeat_byte(at as u8)).collect();
            let with_root = |(receipt, root): (&EthereumReceipt, &B256)| {
                let receipt = Receipt {
                    status: Eip658Value::PostState(*root),
                    cumulative_gas_used: receipt.cumulative_gas_used,
                    logs: receipt.logs.clone(),
                };
                ReceiptEnvelope::Legacy(receipt.with_bloom())
            };
            let envelopes: Vec<_> = receipts.iter().zip(&roots).map(with_root).collect();
            let expected = (calculate_receipt_root(&envelopes), all);
            assert_eq!(receipts_root(&receipts, &roots), expected, "{count} old receipts");
        }
    }
}
