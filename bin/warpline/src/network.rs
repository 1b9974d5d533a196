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
    /// What the user should know of that.
    warning: Option<String>,
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
                    warning: None,
                    genesis: Err(chain.clone()),
                })
            }
            Self::File(network) => Ok(Network::clone(network)),
        }
    }
}

impl Network {
    /// The chain of which a genesis file says everything, unless its genesis block is that of a
    /// built-in network: then the forks must be those of the network.
    pub(crate) fn of_genesis(genesis: &Genesis) -> Result<Self> {
        let rules = Rules::from_config(&genesis.config)?;
        let block = GenesisBlock::new(genesis, &rules)?;
        let identity = Identity { chain_id: rules.chain_id(), genesis: block.header.hash_slow() };
        let known = ChainSpec::by_genesis(identity.chain_id, identity.genesis);
        let lacks = match &known {
            Some(network) => missing(network, &network.missing_forks(&genesis.config)?),
            None => None,
        };
        let warnings = lacks.into_iter().chain(unknown(&unknown_forks(&genesis.config)));
        let warnings: Vec<_> = warnings.collect();
        let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
        let rules = known.map_or(rules, Rules::network);
        let config = Some(genesis.config.clone());
        Ok(Self { identity, rules, config, warning, genesis: Ok(block) })
    }

    /// What the user should know before blocks are made or imported, if there is anything.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
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

/// What to say of forks that this program does not know.
fn unknown(forks: &[String]) -> Option<String> {
    (!forks.is_empty()).then(|| {
        format!(
            "the genesis file schedules forks that this version does not know ({}): from there on \
             blocks may be refused or come out wrong",
            forks.join(", ")
        )
    })
}

/// What to say of forks of a network that a file of it lacks.
fn missing(network: &ChainSpec, forks: &[&str]) -> Option<String> {
    (!forks.is_empty()).then(|| {
        format!(
            "the genesis file is one of {}, but lacks forks of it ({}): they are followed all the \
             same",
            network.name(),
            forks.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_network_must_have_its_forks_and_may_lack_the_newest() {
        let mut genesis = ChainSpec::sepolia().genesis().unwrap();
        genesis.config.amsterdam_time = None;
        let network = Network::of_genesis(&genesis).unwrap();
        assert_eq!(network.identity.chain_id, genesis.config.chain_id);
        assert!(network.rules.access_lists_from.is_some(), "those of the network");
        let warning = network.warning().unwrap();
        assert!(warning.contains("sepolia") && warning.contains("amsterdamTime"), "{warning}");
        genesis.config.shanghai_time = genesis.config.shanghai_time.map(|at| at + 1);
        let error = Network::of_genesis(&genesis).unwrap_err().to_string();
        assert!(error.contains("genesis block of sepolia, but config.shanghaiTime is"), "{error}");
        // Another chain may have any forks.
        genesis.extra_data = "another chain".as_bytes().into();
        assert_eq!(Network::of_genesis(&genesis).unwrap().warning(), None);
    }
}
