//! The built-in networks.

use crate::{ChainSpec, ChainSpecError, Rules, forks::ForkTable, hoodi};
use alloy_consensus::constants::{
    HOLESKY_GENESIS_HASH, HOODI_GENESIS_HASH, MAINNET_GENESIS_HASH, SEPOLIA_GENESIS_HASH,
};
use alloy_eips::{eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7840::BlobParams};
use alloy_genesis::Genesis;
use alloy_hardforks::{EthereumHardfork, ForkCondition};
use alloy_primitives::{Address, B256, address};
use std::sync::Arc;

// What the build script has found of `MAINNET_GENESIS`, `SEPOLIA_GENESIS` and `HOLESKY_GENESIS`.
include!(concat!(env!("OUT_DIR"), "/genesis_states.rs"));

const SEPOLIA_DEPOSIT_CONTRACT: Address = address!("0x7f02c3e3c98b133055b8b348b2ac625669ed295d");
pub(crate) const HOLESKY_DEPOSIT_CONTRACT: Address =
    address!("0x4242424242424242424242424242424242424242");

/// Name, chain id and hash of the genesis block of every built-in network.
const NETWORKS: [(&str, u64, B256); 4] = [
    ("mainnet", 1, MAINNET_GENESIS_HASH),
    ("sepolia", 11_155_111, SEPOLIA_GENESIS_HASH),
    ("holesky", 17_000, HOLESKY_GENESIS_HASH),
    ("hoodi", 560_048, HOODI_GENESIS_HASH),
];

impl ChainSpec {
    /// Ethereum mainnet.
    pub fn mainnet() -> Self {
        network(0, &EthereumHardfork::mainnet(), MAINNET_DEPOSIT_CONTRACT_ADDRESS)
    }

    /// The Sepolia test network.
    pub fn sepolia() -> Self {
        network(1, &EthereumHardfork::sepolia(), SEPOLIA_DEPOSIT_CONTRACT)
    }

    /// The Holesky test network.
    pub fn holesky() -> Self {
        network(2, &EthereumHardfork::holesky(), HOLESKY_DEPOSIT_CONTRACT)
    }

    /// The Hoodi test network.
    pub fn hoodi() -> Self {
        network(3, &EthereumHardfork::hoodi(), MAINNET_DEPOSIT_CONTRACT_ADDRESS)
    }

    /// The built-in network of that name (`mainnet`, `sepolia`, `holesky`, `hoodi`).
    pub fn by_name(name: &str) -> Result<Self, ChainSpecError> {
        match name {
            "mainnet" | "ethereum" => Ok(Self::mainnet()),
            "sepolia" => Ok(Self::sepolia()),
            "holesky" => Ok(Self::holesky()),
            "hoodi" => Ok(Self::hoodi()),
            _ => Err(ChainSpecError::UnknownChain {
                name: name.to_owned(),
                known: NETWORKS.map(|(name, ..)| name).join(", "),
            }),
        }
    }

    /// The built-in network of that chain id.
    pub fn by_chain_id(chain_id: u64) -> Result<Self, ChainSpecError> {
        match NETWORKS.iter().find(|(_, id, _)| *id == chain_id) {
            Some((name, ..)) => Self::by_name(name),
            None => Err(ChainSpecError::UnknownChainId { chain_id }),
        }
    }

    /// The built-in network that begins with a block.
    pub fn by_genesis(chain_id: u64, genesis: B256) -> Option<Self> {
        let of = |network: &&(&str, u64, B256)| (network.1, network.2) == (chain_id, genesis);
        NETWORKS.iter().find(of).and_then(|(name, ..)| Self::by_name(name).ok())
    }

    /// The genesis block of a built-in network with the state that it allocates.
    ///
    /// # Errors
    /// This is no built-in network, or the build did not find where `alloy-genesis` lies, which has
    /// the states.
    pub fn genesis(&self) -> Result<Genesis, ChainSpecError> {
        let json = match self.name() {
            "mainnet" => MAINNET_GENESIS,
            "sepolia" => SEPOLIA_GENESIS,
            "holesky" | "hoodi" => HOLESKY_GENESIS,
            _ => None,
        };
        let json =
            json.ok_or_else(|| ChainSpecError::NoGenesis { name: self.name().to_owned() })?;
        let path = format!("built-in genesis of {}", self.name());
        let genesis = serde_json::from_str(json)
            .map_err(|source| ChainSpecError::Parse { path: path.into(), source })?;
        Ok(if self.name() == "hoodi" { hoodi::genesis(self.chain_id(), &genesis) } else { genesis })
    }

    /// The hash of the genesis block of a built-in network.
    pub fn genesis_hash(&self) -> Option<B256> {
        NETWORKS.iter().find(|(name, ..)| *name == self.name()).map(|(.., genesis)| *genesis)
    }
}

fn network(
    index: usize,
    forks: &[(EthereumHardfork, ForkCondition)],
    deposit_contract: Address,
) -> ChainSpec {
    let (name, chain_id, _) = NETWORKS[index];
    let blob_schedule = forks
        .iter()
        .filter_map(|(fork, at)| Some((at.as_timestamp()?, default_blob_params(*fork)?)))
        .collect();
    ChainSpec(Arc::new(Rules {
        name: name.to_owned(),
        chain_id,
        forks: ForkTable::new(forks.iter().copied()),
        deposit_contract: Some(deposit_contract),
        blob_schedule,
    }))
}

/// The blob parameters that a fork brought to mainnet, if it changed them.
pub(crate) const fn default_blob_params(fork: EthereumHardfork) -> Option<BlobParams> {
    match fork {
        EthereumHardfork::Cancun => Some(BlobParams::cancun()),
        EthereumHardfork::Prague => Some(BlobParams::prague()),
        EthereumHardfork::Osaka => Some(BlobParams::osaka()),
        EthereumHardfork::Bpo1 => Some(BlobParams::bpo1()),
        EthereumHardfork::Bpo2 => Some(BlobParams::bpo2()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_hardforks::{EthereumHardforks, ethereum::*};
    use revm::primitives::hardfork::SpecId;

    #[test]
    fn mainnet_forks_by_number_and_time() {
        let chain = ChainSpec::mainnet();
        let cases = [
            (46_147, 0, "Frontier", SpecId::FRONTIER),
            (1_149_999, 0, "Frontier", SpecId::FRONTIER),
            (1_150_000, 0, "Homestead", SpecId::HOMESTEAD),
            (1_920_000, 0, "DAO", SpecId::HOMESTEAD),
            (2_463_000, 0, "Tangerine Whistle", SpecId::TANGERINE),
            (2_675_000, 0, "Spurious Dragon", SpecId::SPURIOUS_DRAGON),
            (4_370_000, 0, "Byzantium", SpecId::BYZANTIUM),
            (7_280_000, 0, "Petersburg", SpecId::PETERSBURG),
            (9_069_000, 0, "Istanbul", SpecId::ISTANBUL),
            (9_200_000, 0, "Muir Glacier", SpecId::ISTANBUL),
            (12_244_000, 0, "Berlin", SpecId::BERLIN),
            (12_965_000, 0, "London", SpecId::LONDON),
            (13_773_000, 0, "Arrow Glacier", SpecId::LONDON),
            (15_050_000, 0, "Gray Glacier", SpecId::LONDON),
            (15_537_393, MAINNET_PARIS_TIMESTAMP, "Gray Glacier", SpecId::LONDON),
            (15_537_394, MAINNET_PARIS_TIMESTAMP, "Paris", SpecId::MERGE),
            (17_034_870, MAINNET_SHANGHAI_TIMESTAMP, "Shanghai", SpecId::SHANGHAI),
            (19_426_587, MAINNET_CANCUN_TIMESTAMP - 1, "Shanghai", SpecId::SHANGHAI),
            (19_426_587, MAINNET_CANCUN_TIMESTAMP, "Cancun", SpecId::CANCUN),
            (22_431_084, MAINNET_PRAGUE_TIMESTAMP, "Prague", SpecId::PRAGUE),
            (23_935_694, MAINNET_OSAKA_TIMESTAMP, "Osaka", SpecId::OSAKA),
            (23_975_000, MAINNET_BPO1_TIMESTAMP, "BPO1", SpecId::OSAKA),
            (24_180_000, MAINNET_BPO2_TIMESTAMP, "BPO2", SpecId::OSAKA),
        ];
        for (number, timestamp, name, spec) in cases {
            assert_eq!(chain.fork_name(number, timestamp), name, "block {number}");
            assert_eq!(chain.spec_id(number, timestamp), spec, "block {number}");
        }
    }

    #[test]
    fn blob_parameters_follow_the_forks() {
        let chain = ChainSpec::mainnet();
        let at = |timestamp| chain.blob_params(timestamp);
        assert_eq!(at(MAINNET_CANCUN_TIMESTAMP - 1), None);
        assert_eq!(at(MAINNET_CANCUN_TIMESTAMP), Some(BlobParams::cancun()));
        assert_eq!(at(MAINNET_PRAGUE_TIMESTAMP), Some(BlobParams::prague()));
        assert_eq!(at(MAINNET_OSAKA_TIMESTAMP), Some(BlobParams::osaka()));
        assert_eq!(at(MAINNET_BPO1_TIMESTAMP), Some(BlobParams::bpo1()));
        assert_eq!(at(u64::MAX), Some(BlobParams::bpo2()));
    }

    #[test]
    fn every_network_by_name_and_id() {
        for (name, id, genesis) in NETWORKS {
            let chain = ChainSpec::by_name(name).unwrap();
            assert_eq!(chain.genesis_hash(), Some(genesis));
            assert_eq!(ChainSpec::by_genesis(id, genesis).as_ref(), Some(&chain));
            assert_eq!(ChainSpec::by_genesis(id + 1, genesis), None);
            assert_eq!((chain.name(), chain.chain_id()), (name, id));
            assert_eq!(ChainSpec::by_chain_id(id).unwrap(), chain);
            assert!(chain.is_prague_active_at_timestamp(HOODI_PRAGUE_TIMESTAMP + 100_000_000));
        }
        let error = ChainSpec::by_name("ropsten").unwrap_err().to_string();
        assert!(error.contains("`ropsten`") && error.contains("sepolia"), "{error}");
        assert!(ChainSpec::by_chain_id(3).is_err());
    }

    #[test]
    fn every_genesis_state_is_built_in() {
        for (name, accounts) in
            [("mainnet", 8893), ("sepolia", 15), ("holesky", 317), ("hoodi", 335)]
        {
            let genesis = ChainSpec::by_name(name).unwrap().genesis().unwrap();
            assert_eq!(genesis.alloc.len(), accounts, "{name}");
        }
    }

    #[test]
    fn the_genesis_of_hoodi_names_its_rules() {
        let hoodi = ChainSpec::hoodi();
        let named = ChainSpec::from_genesis(&hoodi.genesis().unwrap()).unwrap();
        assert_eq!(named.0.chain_id, hoodi.0.chain_id);
        assert_eq!(named.0.deposit_contract, hoodi.0.deposit_contract);
        assert_eq!(named.0.blob_schedule, hoodi.0.blob_schedule);
        let times = [HOODI_PRAGUE_TIMESTAMP, HOODI_OSAKA_TIMESTAMP];
        for at in [0, times[0] - 1, times[0], times[1] - 1, times[1], u64::MAX] {
            assert_eq!(named.spec_id(0, at), hoodi.spec_id(0, at), "at {at}");
        }
    }

    #[test]
    fn amsterdam_is_behind_its_time() {
        let sepolia = ChainSpec::sepolia();
        let at = SEPOLIA_AMSTERDAM_TIMESTAMP;
        assert_eq!(sepolia.fork_name(11_856_336, at - 1), "BPO2");
        assert_eq!(sepolia.spec_id(11_856_337, at), SpecId::AMSTERDAM);
        assert_eq!(sepolia.blob_params(at), Some(BlobParams::bpo2()));
        assert_eq!(ChainSpec::mainnet().spec_id(30_000_000, at), SpecId::OSAKA);
    }
}
