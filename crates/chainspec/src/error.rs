//! What can be wrong with a chain name or a genesis file.

use alloy_primitives::U256;
use std::path::PathBuf;

/// Why no chain rules could be made from the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainSpecError {
    /// Not the name of a built-in network.
    #[error("unknown chain `{name}`: expected one of {known}, or the path of a genesis file")]
    UnknownChain {
        /// The name that was given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// Not the id of a built-in network.
    #[error("no built-in chain has the id {chain_id}: give its genesis file with --chain")]
    UnknownChainId {
        /// The id that was asked for.
        chain_id: u64,
    },
    /// The genesis state of a network is not in this program.
    #[error("the genesis state of {name} is not built in: give its genesis file with --chain")]
    NoGenesis {
        /// The network.
        name: String,
    },
    /// The genesis file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The genesis file is not JSON of geth's genesis format.
    #[error("{}: not a genesis file: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why parsing stopped.
        source: serde_json::Error,
    },
    /// The genesis file lacks what no chain can be without.
    #[error("{}: not a genesis file: the field `{name}` is missing", path.display())]
    MissingField {
        /// The file.
        path: PathBuf,
        /// The field, with those that it is in.
        name: &'static str,
    },
    /// The genesis file gives a field of its first block a value that it cannot have here.
    #[error("{}: `{name}` is {value}, and only zero is supported", path.display())]
    OnlyZero {
        /// The file.
        path: PathBuf,
        /// The field.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The genesis block is that of a built-in network, whose forks come at other times.
    #[error(
        "this is the genesis block of {network}, but config.{field} is {given} where the network \
         has {actual}: its forks are built in, and another chain needs another genesis block"
    )]
    OtherForks {
        /// The network.
        network: String,
        /// The field.
        field: &'static str,
        /// What it says.
        given: U256,
        /// When the network has the fork.
        actual: String,
    },
    /// A fork is scheduled while an earlier one is not.
    #[error("genesis config: {later} is scheduled but {earlier} is not")]
    MissingFork {
        /// The fork that is absent.
        earlier: &'static str,
        /// The fork that needs it.
        later: &'static str,
    },
    /// Two forks are scheduled in the wrong order.
    #[error(
        "genesis config: {later} (at {later_at}) is scheduled before {earlier} (at {earlier_at})"
    )]
    ForkOrder {
        /// The fork that must come first.
        earlier: &'static str,
        /// When it comes.
        earlier_at: u64,
        /// The fork that must not come before it.
        later: &'static str,
        /// When it comes.
        later_at: u64,
    },
    /// Blocks under Constantinople without Petersburg (EIP-1283 gas), which revm cannot execute.
    #[error(
        "genesis config: blocks {constantinople}..{petersburg} would follow Constantinople without \
         Petersburg (EIP-1283), which is not supported"
    )]
    ConstantinopleOnly {
        /// First block of Constantinople.
        constantinople: u64,
        /// First block of Petersburg.
        petersburg: u64,
    },
    /// The terminal total difficulty is not zero, and nothing says which block reached it.
    #[error(
        "genesis config: terminalTotalDifficulty is {total_difficulty}, but the first block after \
         the merge is not known: set mergeNetsplitBlock to it"
    )]
    UnknownMergeBlock {
        /// The configured difficulty.
        total_difficulty: U256,
    },
    /// A blob-parameter fork without parameters.
    #[error("genesis config: {fork} is scheduled, but blobSchedule has no entry `{key}`")]
    MissingBlobParams {
        /// The fork's name.
        fork: &'static str,
        /// The key in `blobSchedule`.
        key: &'static str,
    },
    /// Blob parameters with which no blob fee can be computed.
    #[error("genesis config: `blobSchedule.{key}.baseFeeUpdateFraction` is zero")]
    ZeroUpdateFraction {
        /// The key in `blobSchedule`.
        key: &'static str,
    },
}
