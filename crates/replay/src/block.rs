//! A block that is ready to run: everything that does not belong into a timed run is done here.

use alloy_consensus::{Header, transaction::Recovered};
use alloy_eips::{eip4788::BEACON_ROOTS_ADDRESS, eip4895::Withdrawal};
use alloy_evm::{EthEvmFactory, EvmEnv};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256};
use revm::context::TxEnv;
use warpline_chainspec::{ChainSpec, ChainSpecError};
use warpline_executor::{BlockInput, EthFactory, EthReceiptBuilder, EthTransaction, PreparedTx};
use warpline_fixture::{BlockFixture, Chain, Manifest, Part, PreState, Problem};

/// The Ethereum factory over our chain rules.
pub type Factory = EthFactory<ChainSpec>;

/// A transaction with its sender and EVM environment.
pub type Tx = PreparedTx<TxEnv, EthTransaction>;

/// A block with its environment, transactions and parent state, ready to run any number of times.
#[derive(Debug)]
pub struct PreparedBlock {
    /// What the report calls the block: a file or a scenario.
    pub label: String,
    /// The rules.
    pub chain: ChainSpec,
    /// Where the block comes from and what is not known of it.
    pub manifest: Manifest,
    /// The claimed hash.
    pub hash: Option<B256>,
    /// The header to check against.
    pub header: Header,
    /// The transactions.
    pub txs: Vec<Tx>,
    /// The hashes of the ommers.
    pub ommer_hashes: Vec<B256>,
    /// The headers of the ommers, where they are known.
    pub ommers: Vec<Header>,
    /// The withdrawals.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The state before the block.
    pub pre_state: PreState,
    factory: Factory,
    env: EvmEnv,
    parent_beacon_block_root: Option<B256>,
}

/// Why a fixture cannot be executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The chain is unknown, or its genesis config is wrong.
    #[error("field `chain`: {0}")]
    Chain(#[from] ChainSpecError),
    /// The fixture names another chain than the caller.
    #[error("field `chain`: the fixture is for chain {found}, not for {expected}")]
    OtherChain {
        /// The chain of the fixture.
        found: u64,
        /// The chain that was asked for.
        expected: u64,
    },
    /// A transaction belongs to another chain.
    #[error("{0}")]
    Fixture(#[from] Problem),
    /// A header field is absent that execution needs under these rules.
    #[error("field `block.{field}` is missing, but {fork} needs it")]
    MissingField {
        /// The field.
        field: &'static str,
        /// The fork of the block.
        fork: &'static str,
    },
    /// The number is from before the merge, the timestamp from after it.
    #[error(
        "fields `block.number` and `block.timestamp`: block {number} is before the merge, but its \
         time is that of {fork}"
    )]
    BeforeMerge {
        /// The block's number.
        number: u64,
        /// The fork by the block's time.
        fork: &'static str,
    },
}

impl PreparedBlock {
    /// Prepares a fixture. `chain` overrides what the fixture says about its chain only if the
    /// fixture says nothing; without either it is mainnet.
    pub fn new(
        label: impl Into<String>,
        fixture: BlockFixture,
        chain: Option<&ChainSpec>,
    ) -> Result<Self, PrepareError> {
        let chain = chain_of(&fixture.chain, chain)?;
        fixture.check_chain(chain.chain_id())?;
        let header = &fixture.header;
        let at = (header.number, header.timestamp);
        let require = |field, active: bool, present: bool| match active && !present {
            true => Err(PrepareError::MissingField { field, fork: chain.fork_name(at.0, at.1) }),
            false => Ok(()),
        };
        let shanghai = chain.is_shanghai_active_at_timestamp(header.timestamp);
        if shanghai && !chain.is_paris_active_at_block(header.number) {
            let fork = chain.fork_name(at.0, at.1);
            return Err(PrepareError::BeforeMerge { number: header.number, fork });
        }
        let london = chain.is_london_active_at_block(header.number);
        require("baseFeePerGas", london, header.base_fee_per_gas.is_some())?;
        let cancun = chain.is_cancun_active_at_timestamp(header.timestamp);
        require("excessBlobGas", cancun, header.excess_blob_gas.is_some())?;
        let beacon_root = beacon_root(&fixture);
        require("parentBeaconBlockRoot", cancun, beacon_root.is_some())?;

        let env = chain.evm_env(header);
        let txs = fixture.transactions.into_iter().zip(fixture.senders);
        let txs = txs.map(|(tx, sender)| Tx::new(Recovered::new_unchecked(tx, sender)));
        Ok(Self {
            label: label.into(),
            factory: Factory::new(EthReceiptBuilder, chain.clone(), EthEvmFactory::default()),
            env,
            parent_beacon_block_root: beacon_root,
            chain,
            manifest: fixture.manifest,
            hash: fixture.hash,
            header: fixture.header,
            txs: txs.collect(),
            ommer_hashes: fixture.ommer_hashes,
            ommers: fixture.ommers,
            withdrawals: fixture.withdrawals,
            pre_state: fixture.pre_state,
        })
    }

    /// The block as both executors take it.
    pub fn input(&self) -> BlockInput<'_, Factory, Tx> {
        let withdrawals = self.withdrawals.as_deref();
        let mut ctx = self.chain.block_ctx(&self.header, &self.ommers, withdrawals, self.txs.len());
        ctx.parent_beacon_block_root = self.parent_beacon_block_root;
        BlockInput { env: self.env.clone(), ctx, txs: &self.txs }
    }

    /// The block executor factory for the block's chain.
    pub const fn factory(&self) -> &Factory {
        &self.factory
    }

    /// The youngest fork active in the block.
    pub fn fork(&self) -> &'static str {
        self.chain.fork_name(self.header.number, self.header.timestamp)
    }

    /// Whether the source lacks a part of the block.
    pub fn lacks(&self, part: Part) -> bool {
        self.manifest.not_captured.contains(&part)
    }

    /// The sender of a transaction.
    pub fn sender(&self, index: usize) -> Option<Address> {
        self.txs.get(index).map(|tx| tx.tx.signer())
    }
}

fn chain_of(of_fixture: &Chain, wanted: Option<&ChainSpec>) -> Result<ChainSpec, PrepareError> {
    let found = match of_fixture {
        Chain::Unspecified => {
            return Ok(wanted.cloned().unwrap_or_else(ChainSpec::mainnet));
        }
        Chain::Named(name) => ChainSpec::by_name(name)?,
        Chain::Custom(config) => ChainSpec::from_config(config)?,
    };
    match wanted {
        Some(wanted) if wanted.chain_id() != found.chain_id() => {
            let (found, expected) = (found.chain_id(), wanted.chain_id());
            Err(PrepareError::OtherChain { found, expected })
        }
        _ => Ok(found),
    }
}

/// The root that EIP-4788 stores. If it was not captured and the pre-state does not have the
/// contract either, the call has no effect, and any root will do.
fn beacon_root(fixture: &BlockFixture) -> Option<B256> {
    let known = fixture.header.parent_beacon_block_root;
    let without_effect = fixture.lacks(Part::ParentBeaconBlockRoot)
        && fixture.pre_state.account(&BEACON_ROOTS_ADDRESS).is_none();
    known.or_else(|| without_effect.then_some(B256::ZERO))
}
