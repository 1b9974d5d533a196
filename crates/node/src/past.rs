//! Blocks of the chain that are executed again, and what is known of the block after one.

use crate::NodeError;
use alloy_consensus::{Header, Transaction, transaction::SignerRecoverable};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, U256};
use revm::context::TxEnv;
use std::time::{SystemTime, UNIX_EPOCH};
use warpline_chain::{BlockState, ChainView, Rules};
use warpline_chainspec::ChainSpec;
use warpline_executor::{EthTransaction, UnreachedRules};
use warpline_predictor::BlockValues;
use warpline_simulation::{CallBlock, TracedBlock};
use warpline_storage::{BlockRef, StorageError};
use warpline_txpool::{PoolError, SignatureError, decode};

/// A block of the chain, with the state that it was executed on.
#[derive(Debug)]
pub struct PastBlock {
    block: BlockRef,
    header: Header,
    transactions: Vec<EthTransaction>,
    senders: Vec<Address>,
    parent: BlockState,
    /// The difficulty of the chain up to the parent.
    total: U256,
}

impl PastBlock {
    /// The block at a height. `None` where there is none, and for the genesis block, which nobody
    /// has executed.
    ///
    /// # Errors
    /// The database cannot be read, or does not keep the state before the block any more.
    pub fn read(view: &ChainView, number: u64) -> Result<Option<Self>, NodeError> {
        let blocks = view.blocks()?;
        let reader = blocks.reader()?;
        let (Some(hash), Some((header, total)), Some(body)) =
            (reader.block_hash(number)?, reader.header(number)?, reader.body(number)?)
        else {
            return Ok(None);
        };
        if number == 0 {
            return Ok(None);
        }
        let block = BlockRef { number, hash };
        let parent = view.before(block)?;
        if parent.block().hash != header.parent_hash {
            // The chain has moved on in between.
            return Ok(None);
        }
        let kept = match reader.senders(number) {
            Ok(kept) => kept,
            Err(StorageError::Pruned { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let recover = || body.transactions.iter().map(|tx| tx.recover_signer_unchecked().ok());
        let Some(senders) = kept.or_else(|| recover().collect()) else { return Ok(None) };
        let total = total.saturating_sub(header.difficulty);
        Ok(Some(Self { block, header, transactions: body.transactions, senders, parent, total }))
    }

    /// Which block it is.
    pub const fn block(&self) -> BlockRef {
        self.block
    }

    /// Its transactions.
    pub fn transactions(&self) -> &[EthTransaction] {
        &self.transactions
    }

    /// The state that it was executed on.
    pub const fn parent(&self) -> &BlockState {
        &self.parent
    }

    /// What a prediction takes of it.
    pub fn values(&self, rules: &Rules) -> BlockValues {
        CallBlock { chain: chain_after(rules, self.total), header: &self.header }.values()
    }

    /// The block, to be executed again.
    pub fn traced<'a>(&'a self, rules: &'a Rules) -> TracedBlock<'a> {
        let net_gas_metering = rules.net_gas_metering(self.header.number);
        TracedBlock {
            chain: chain_after(rules, self.total),
            header: &self.header,
            hash: self.block.hash,
            transactions: &self.transactions,
            senders: &self.senders,
            unreached: UnreachedRules { net_gas_metering, ..UnreachedRules::default() },
        }
    }
}

/// The block after a state, as far as it can be known: like the one before, a little later.
#[derive(Debug)]
pub(crate) struct NextBlock {
    header: Header,
    total: U256,
}

impl NextBlock {
    /// `None` where the head has no header, which cannot be.
    pub(crate) fn after(state: &BlockState) -> Result<Option<Self>, StorageError> {
        let found = state.reader()?.header(state.block().number)?;
        Ok(found.map(|(mut header, total)| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |since| since.as_secs());
            header.number = header.number.saturating_add(1);
            header.timestamp = header.timestamp.saturating_add(1).max(now);
            Self { header, total }
        }))
    }

    pub(crate) fn block<'a>(&'a self, rules: &'a Rules) -> CallBlock<'a> {
        CallBlock { chain: chain_after(rules, self.total), header: &self.header }
    }

    /// What a prediction takes of it. Its randomness is not known.
    pub(crate) fn values(&self, rules: &Rules) -> BlockValues {
        BlockValues { prevrandao: None, ..self.block(rules).values() }
    }
}

/// What a prediction takes of the block after a state, as far as it can be known.
///
/// # Errors
/// The database cannot be read.
pub fn next_values(view: &ChainView, state: &BlockState) -> Result<BlockValues, NodeError> {
    let next = NextBlock::after(state)?;
    Ok(next.map(|next| next.values(view.rules())).unwrap_or_default())
}

/// A signed transaction in the network form (EIP-2718), as the EVM takes it.
///
/// # Errors
/// The bytes are no transaction, or it is for another chain, or its signature is no good.
pub fn signed_transaction(raw: &[u8], chain_id: u64) -> Result<TxEnv, NodeError> {
    let tx = decode(raw)?;
    let wrong = PoolError::InvalidSender;
    if let Some(have) = tx.chain_id().filter(|id| *id != chain_id) {
        return Err(wrong(SignatureError::ChainId { have, want: chain_id }).into());
    }
    let sender = tx.recover_signer().map_err(|_| wrong(SignatureError::Values))?;
    Ok(TxEnv::from_recovered_tx(&tx, sender))
}

/// The rules of a block before which the chain has this difficulty in total.
fn chain_after(rules: &Rules, total: U256) -> &ChainSpec {
    let merged = rules.merge_at.is_some_and(|end| total >= end);
    if merged { &rules.after_merge } else { &rules.before_merge }
}
