//! `--chain`: a built-in network by name, or any chain by its genesis file.

use alloy_genesis::{ChainConfig, Genesis};
use eyre::{Result, bail, eyre};
use std::{path::Path, sync::Arc};
use warpline_chain::{GenesisBlock, Rules};
use warpline_chainspec::{ChainSpec, ChainSpecError, read_genesis, unknown_forks};
use warpline_storage::Identity;

/// A chain that the user names.
#[derive(Debug, Clone)]
pub(crate) enum ChainArg {
    /// One that this program knows.
    Network(ChainSpec),
    /// One of which a file says everything.
    File(Arc<Network>),
}

/// What is known of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// Which one it is.
    pub(crate) identity: Identity,
    /// The rules that its blocks follow.
    pub(crate) rules: Rules,
    /// The configuration in its genesis file, where the user gave one.
    pub(crate) config: Option<ChainConfig>,
    /// What that schedules and this program does not know.
    unknown: Vec<String>,
    /// A built-in network, or the first block of the one in the file.
    genesis: Result<GenesisBlock, ChainSpec>,
}

impl ChainArg {
    /// Reads the argument.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        match ChainSpec::by_name(name) {
            Err(ChainSpecError::UnknownChain { .. }) if Path::new(name).exists() => {
                let genesis = read_genesis(Path::new(name)).map_err(|error| error.to_string())?;
                let network = Network::of_genesis(&genesis);
                let network = network.map_err(|error| format!("{name}: {error:#}"))?;
                Ok(Self::File(Arc::new(network)))
            }
            network => network.map(Self::Network).map_err(|error| error.to_string()),
        }
    }

    /// Looks into the chain.
    pub(crate) fn network(&self) -> Result<Network> {
        match self {
            Self::Network(chain) => {
                let genesis = chain.genesis_hash().ok_or_else(|| eyre!("an unknown network"))?;
                let identity = Identity { chain_id: chain.chain_id(), genesis };
                let rules = Rules::network(chain.clone());
                Ok(Network {
                    identity,
                    rules,
                    config: None,
                    unknown: Vec::new(),
                    genesis: Err(chain.clone()),
                })
            }
            Self::File(network) => Ok(Network::clone(network)),
        }
    }
}

impl Network {
    /// The chain of which a genesis file says everything.
    pub(crate) fn of_genesis(genesis: &Genesis) -> Result<Self> {
        let rules = Rules::from_config(&genesis.config)?;
        let block = GenesisBlock::new(genesis, &rules)?;
        let identity = Identity { chain_id: rules.chain_id(), genesis: block.header.hash_slow() };
        let known = ChainSpec::by_genesis(identity.chain_id, identity.genesis);
        let unknown = if known.is_none() { unknown_forks(&genesis.config) } else { Vec::new() };
        let rules = known.map_or(rules, Rules::network);
        let config = Some(genesis.config.clone());
        Ok(Self { identity, rules, config, unknown, genesis: Ok(block) })
    }

    /// What the user should know before blocks are made or imported, if there is anything.
    pub(crate) fn warning(&self) -> Option<String> {
        let names = self.unknown.join(", ");
        (!names.is_empty()).then(|| {
            format!(
                "the genesis file schedules forks that this version does not know ({names}): from \
                 there on blocks may be refused or come out wrong"
            )
        })
    }

    /// The first block, with the state that it allocates.
    pub(crate) fn genesis_block(&self) -> Result<GenesisBlock> {
        let chain = match &self.genesis {
            Ok(block) => return Ok(block.clone()),
            Err(chain) => chain,
        };
        let block = GenesisBlock::new(&chain.genesis()?, &self.rules)?;
        let (made, known) = (block.header.hash_slow(), self.identity.genesis);
        if made != known {
            bail!("the built-in genesis block of {} is {made} instead of {known}", chain.name());
        }
        Ok(block)
    }
}
