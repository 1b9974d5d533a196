//! Which chain an endpoint serves, and by which rules.

use crate::{Client, Fault};
use alloy_consensus::Header;
use alloy_genesis::ChainConfig;
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::{U64, U256};
use serde::Deserialize;
use serde_json::json;
use warpline_chainspec::ChainSpec;
use warpline_fixture::Chain;

/// A chain and its rules.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Before the merge, where that differs: a genesis file says when the merge is in total
    /// difficulty, which no block states.
    work: Option<BlockRules>,
    stake: BlockRules,
}

/// The rules of some blocks of a chain.
#[derive(Debug, Clone)]
pub struct BlockRules {
    /// What a fixture says about its chain.
    pub chain: Chain,
    /// What is executed by.
    pub spec: ChainSpec,
}

impl Rules {
    /// Those of a built-in network.
    pub fn network(spec: ChainSpec) -> Self {
        let chain = Chain::Named(spec.name().to_owned());
        Self { work: None, stake: BlockRules { chain, spec } }
    }

    /// Those of a genesis file.
    ///
    /// # Errors
    /// The file schedules forks in an order that cannot be.
    pub fn custom(mut config: ChainConfig) -> Result<Self, Fault> {
        // Its fix changes nothing but gas, of which a block that it matters to is checked.
        config.petersburg_block = match (config.constantinople_block, config.petersburg_block) {
            (Some(constantinople), Some(petersburg)) => Some(constantinople.min(petersburg)),
            (_, petersburg) => petersburg,
        };
        let merges = config.terminal_total_difficulty.is_some() || config.shanghai_time.is_some();
        let stake = ChainConfig {
            terminal_total_difficulty: merges.then_some(U256::ZERO),
            terminal_total_difficulty_passed: merges,
            ..config.clone()
        };
        let work = ChainConfig {
            terminal_total_difficulty: None,
            terminal_total_difficulty_passed: false,
            shanghai_time: None,
            cancun_time: None,
            prague_time: None,
            osaka_time: None,
            amsterdam_time: None,
            bpo1_time: None,
            bpo2_time: None,
            bpo3_time: None,
            bpo4_time: None,
            bpo5_time: None,
            ..config
        };
        Ok(Self { work: Some(BlockRules::new(work)?), stake: BlockRules::new(stake)? })
    }

    /// Those of a block. After the merge blocks have no difficulty, before it all have some.
    pub fn of_block(&self, header: &Header) -> &BlockRules {
        match &self.work {
            Some(work) if !header.difficulty.is_zero() => work,
            _ => &self.stake,
        }
    }

    /// The chain id.
    pub fn chain_id(&self) -> u64 {
        self.stake.spec.chain_id()
    }

    /// Those of the chain that an endpoint serves: a built-in network, or a development chain that
    /// says which fork it follows. `given` has precedence, but must be of the same chain.
    pub(crate) fn of(client: &Client, given: Option<Self>) -> Result<Self, Fault> {
        let chain_id: U64 = client.call("eth_chainId", json!([]))?;
        let found = chain_id.to();
        match given {
            Some(rules) if rules.chain_id() == found => Ok(rules),
            Some(rules) => Err(Fault::OtherChain { found, expected: rules.chain_id() }),
            None => match ChainSpec::by_chain_id(found) {
                Ok(spec) => Ok(Self::network(spec)),
                Err(_) => Self::development(client, found),
            },
        }
    }

    fn development(client: &Client, chain_id: u64) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct NodeInfo {
            hard_fork: String,
        }
        let info = client.call::<NodeInfo>("anvil_nodeInfo", json!([])).map_err(Fault::from);
        let info = match info {
            Err(fault) if fault.is_refusal() => return Err(Fault::UnknownChain(chain_id)),
            info => info?,
        };
        let fork = info.hard_fork.parse().map_err(|_| Fault::UnknownChain(chain_id))?;
        Self::custom(up_to(chain_id, fork))
    }
}

impl BlockRules {
    fn new(config: ChainConfig) -> Result<Self, Fault> {
        let spec = ChainSpec::from_config(&config)?;
        Ok(Self { chain: Chain::Custom(Box::new(config)), spec })
    }
}

/// A chain that follows the rules of a fork from its first block on.
fn up_to(chain_id: u64, fork: Fork) -> ChainConfig {
    let since = |first: Fork| (fork >= first).then_some(0);
    ChainConfig {
        chain_id,
        homestead_block: since(Fork::Homestead),
        eip150_block: since(Fork::Tangerine),
        eip155_block: since(Fork::SpuriousDragon),
        eip158_block: since(Fork::SpuriousDragon),
        byzantium_block: since(Fork::Byzantium),
        constantinople_block: since(Fork::Constantinople),
        petersburg_block: since(Fork::Constantinople),
        istanbul_block: since(Fork::Istanbul),
        berlin_block: since(Fork::Berlin),
        london_block: since(Fork::London),
        shanghai_time: since(Fork::Shanghai),
        cancun_time: since(Fork::Cancun),
        prague_time: since(Fork::Prague),
        osaka_time: since(Fork::Osaka),
        bpo1_time: since(Fork::Bpo1),
        bpo2_time: since(Fork::Bpo2),
        terminal_total_difficulty: (fork >= Fork::Paris).then_some(U256::ZERO),
        terminal_total_difficulty_passed: fork >= Fork::Paris,
        ..ChainConfig::default()
    }
}
