//! Transactions executed before the block that they may come into is made.

use super::{chain::StoredChain, view::BlockState};
use crate::{
    BlockAttributes, Engine, ImportError,
    body::Tx,
    execution::{EthFactory, Ready},
};
use alloy_consensus::{Block, Header, transaction::Recovered};
use alloy_primitives::U256;
use warpline_executor::{EarlyOutcome, EthTransaction};
use warpline_types::ExpectedAccesses;

/// What a transaction came to before its block. Whether that still holds is found out at its turn
/// in the block, so it may be of any state and any block.
#[derive(Debug)]
pub struct EarlyExecution(pub(crate) EarlyOutcome<EthFactory>);

impl EarlyExecution {
    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// What the transaction touched: what it is likely to touch in its block.
    pub fn accesses(&self) -> ExpectedAccesses {
        self.0.accesses()
    }
}

/// The block that would be made next, as far as that is known before its transactions are.
#[derive(Debug)]
pub struct NextBlock {
    block: Block<EthTransaction>,
    /// Contracts may send.
    dev: bool,
    /// Its access list is wanted.
    listed: bool,
    total_difficulty: U256,
}

impl NextBlock {
    /// Its header, without what transactions and their execution decide.
    pub const fn header(&self) -> &Header {
        &self.block.header
    }
}

impl StoredChain {
    /// The block that [`StoredChain::propose`] would make with these attributes.
    pub fn next_block(&self, attributes: &BlockAttributes) -> NextBlock {
        let block = self.draft(attributes);
        NextBlock {
            block,
            dev: attributes.dev,
            listed: self.access_lists,
            total_difficulty: self.head.total_difficulty,
        }
    }
}

/// Executes transactions as if they came first in a block.
#[derive(Debug)]
pub struct EarlyExecutor<'a> {
    engine: &'a Engine,
    state: &'a BlockState,
    next: &'a NextBlock,
}

impl<'a> EarlyExecutor<'a> {
    /// For the block after a state. `None` where that block has other rules than the parallel
    /// execution knows, comes before the merge, or is not after this state.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn new(
        engine: &'a Engine,
        state: &'a BlockState,
        next: &'a NextBlock,
    ) -> Result<Option<Self>, ImportError> {
        let executor = Self { engine, state, next };
        let rules = state.rules().for_child(next.total_difficulty);
        let usual = rules.merged
            && next.block.header.parent_hash == state.block().hash
            && rules.unreached(&next.block.header, state)?.is_empty();
        Ok(usual.then_some(executor))
    }

    /// Executes a transaction as if its sender had sent all before it. `None` where it cannot be
    /// executed there.
    pub fn execute(&self, tx: Recovered<EthTransaction>) -> Option<EarlyExecution> {
        let txs = [Tx::new(tx)];
        self.ready(&txs).execute_early(self.engine, self.state).map(EarlyExecution)
    }

    /// Whether what a transaction came to elsewhere is what it would come to here.
    pub fn holds(&self, tx: Recovered<EthTransaction>, early: &EarlyExecution) -> bool {
        let txs = [Tx::new(tx)];
        self.ready(&txs).early_holds(self.engine, &early.0, self.state)
    }

    fn ready<'t>(&'t self, txs: &'t [Tx]) -> Ready<'t> {
        let rules = self.state.rules().for_child(self.next.total_difficulty);
        let ready = Ready::new(rules.with_contracts_sending(self.next.dev), &self.next.block, txs);
        ready.listing(self.next.listed)
    }
}
