//! What a transaction should offer.

use crate::{Context, RpcError, registry::Registry};
use alloy_consensus::{Header, Transaction as _};
use alloy_eips::eip1559::{BaseFeeParams, INITIAL_BASE_FEE};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::U256;
use parking_lot::Mutex;
use revm::primitives::hardfork::SpecId;
use warpline_storage::{BlockRef, StateReader, StorageError};

/// How many blocks are looked at.
const BLOCKS: u64 = 20;
/// How many of the cheapest transactions of each.
const PER_BLOCK: usize = 3;
/// Which of all these counts, in percent.
const PERCENTILE: usize = 60;
/// Nobody is told to offer more, in wei.
const MOST: u128 = 500_000_000_000;
/// What is paid less is not looked at, in wei.
const LEAST: u128 = 2;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_gasPrice", 0, |context, _| {
        let tip = context.tips.suggest(context)?;
        // Enough for the next block, and for calls, which are held against the latest.
        let next = context.node.pool().head().base_fee;
        let base_fee = head(context)?.base_fee_per_gas.unwrap_or_default().max(next);
        Ok(U256::from(tip.saturating_add(base_fee.into())))
    });
    registry.quick("eth_maxPriorityFeePerGas", 0, |context, _| {
        Ok(U256::from(context.tips.suggest(context)?))
    });
    registry.quick("eth_baseFee", 0, |context, _| {
        let next = context.node.pool().head();
        Ok(next.spec.is_enabled_in(SpecId::LONDON).then_some(U256::from(next.base_fee)))
    });
    registry.quick("eth_blobBaseFee", 0, |context, _| {
        let head = head(context)?;
        Ok(blob_base_fee(context, &head).map(U256::from))
    });
}

fn head(context: &Context) -> Result<Header, RpcError> {
    let blocks = context.view().blocks()?;
    let header = blocks.reader()?.header(blocks.block().number)?;
    header.map(|(header, _)| header).ok_or_else(|| RpcError::refused("header not found"))
}

/// The base fee of the block after a header; none before London.
pub(crate) fn next_base_fee(context: &Context, header: &Header) -> Option<u64> {
    let london = context.view().rules().after_merge.is_london_active_at_block(header.number + 1);
    let next = || header.next_block_base_fee(BaseFeeParams::ethereum());
    london.then(|| next().unwrap_or(INITIAL_BASE_FEE))
}

/// What a unit of blob gas costs in a block; none before Cancun.
pub(crate) fn blob_base_fee(context: &Context, header: &Header) -> Option<u128> {
    header.blob_fee(context.view().rules().after_merge.blob_params(header.timestamp)?)
}

/// Suggests a priority fee from what the cheapest transactions of the latest blocks paid, as
/// geth's oracle does: 60% of them paid no more.
#[derive(Debug, Default)]
pub(crate) struct Tips(Mutex<Option<(BlockRef, u128)>>);

impl Tips {
    /// The suggestion at the head; no less than the pool takes.
    pub(super) fn suggest(&self, context: &Context) -> Result<u128, RpcError> {
        Ok(self.paid(context)?.max(context.node.pool().min_tip()))
    }

    /// What is paid at the head, computed once for each.
    fn paid(&self, context: &Context) -> Result<u128, RpcError> {
        let blocks = context.view().blocks()?;
        let head = blocks.block();
        let last = *self.0.lock();
        if let Some((block, tip)) = last
            && block == head
        {
            return Ok(tip);
        }
        let reader = blocks.reader()?;
        let mut paid = Vec::new();
        for number in (head.number.saturating_sub(BLOCKS - 1)..=head.number).rev() {
            paid.extend(cheapest(&reader, number)?);
        }
        paid.sort_unstable();
        let at = paid.len().saturating_sub(1) * PERCENTILE / 100;
        let default = last.map_or(context.config.default_tip, |(_, tip)| tip);
        let tip = paid.get(at).copied().unwrap_or(default).min(MOST);
        *self.0.lock() = Some((head, tip));
        Ok(tip)
    }
}

/// The smallest priority fees paid in a block by others than its maker.
fn cheapest(reader: &StateReader<'_>, number: u64) -> Result<Vec<u128>, StorageError> {
    let (Some((header, _)), Some(body)) = (reader.header(number)?, reader.body(number)?) else {
        return Ok(Vec::new());
    };
    let senders = match reader.senders(number) {
        Ok(senders) => senders.unwrap_or_default(),
        Err(StorageError::Pruned { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    let own = |index: usize| senders.get(index) == Some(&header.beneficiary);
    let transactions = body.transactions.iter().enumerate();
    let tips = transactions
        .filter(|(index, _)| !own(*index))
        .filter_map(|(_, transaction)| transaction.effective_tip_per_gas(base_fee))
        .filter(|tip| *tip >= LEAST);
    let mut tips: Vec<_> = tips.collect();
    tips.sort_unstable();
    tips.truncate(PER_BLOCK);
    Ok(tips)
}
