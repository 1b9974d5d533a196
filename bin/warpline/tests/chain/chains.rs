//! Chains to import: the published one of the RPC conformance cases, and two of workload blocks.

use crate::made::workload_chain;
use alloy_consensus::{Block, Header};
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};
use core::ops::{Bound, RangeBounds};
use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use warpline_chain::{GenesisBlock, Rules};
use warpline_executor::EthTransaction;

/// A chain with its blocks as RLP.
#[derive(Debug)]
pub(crate) struct Chain {
    name: &'static str,
    /// The genesis file.
    pub(crate) genesis: PathBuf,
    pub(crate) genesis_hash: B256,
    /// The blocks from number 1 on.
    pub(crate) blocks: Vec<Vec<u8>>,
    headers: Vec<Header>,
    pub(crate) gas: u64,
    pub(crate) transactions: u64,
}

impl Chain {
    fn new(name: &'static str, genesis: &Genesis, blocks: Vec<Block<EthTransaction>>) -> Self {
        let rules = Rules::from_config(&genesis.config).unwrap();
        let block = GenesisBlock::new(genesis, &rules).unwrap();
        let file = scratch(&format!("{name}.json"), &serde_json::to_vec(genesis).unwrap());
        let encoded = |block: &Block<EthTransaction>| {
            let mut rlp = Vec::new();
            block.encode(&mut rlp);
            rlp
        };
        Self {
            name,
            genesis: file,
            genesis_hash: block.header.hash_slow(),
            gas: blocks.iter().map(|block| block.header.gas_used).sum(),
            transactions: blocks.iter().map(|block| block.body.transactions.len() as u64).sum(),
            headers: blocks.iter().map(|block| block.header.clone()).collect(),
            blocks: blocks.iter().map(encoded).collect(),
        }
    }

    /// Whether it is one of ours, of today's forks.
    pub(crate) fn is_made(&self) -> bool {
        self.name == made().name
    }

    /// The number of the last block.
    pub(crate) fn head(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(crate) fn hash(&self, number: u64) -> B256 {
        match number {
            0 => self.genesis_hash,
            number => self.headers[number as usize - 1].hash_slow(),
        }
    }

    pub(crate) fn root(&self, number: u64) -> B256 {
        self.headers[number as usize - 1].state_root
    }

    /// Some blocks one after the other, counted from 0 for block 1.
    pub(crate) fn bytes(&self, range: impl RangeBounds<usize>) -> Vec<u8> {
        let range: (Bound<usize>, Bound<usize>) =
            (range.start_bound().cloned(), range.end_bound().cloned());
        self.blocks[range].concat()
    }

    /// The same in a file.
    pub(crate) fn file(&self, range: impl RangeBounds<usize>, name: &str) -> PathBuf {
        scratch(&format!("{}-{name}", self.name), &self.bytes(range))
    }
}

/// A file of this process.
fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        // Nothing is told when a process ends that it could be removed: the next one does.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("chains");
        let _none_there = fs::remove_dir_all(&folder);
        folder
    });
    fs::create_dir_all(&*FOLDER).unwrap();
    let file = FOLDER.join(format!("{}-{name}", FILES.fetch_add(1, Ordering::Relaxed)));
    fs::write(&file, bytes).unwrap();
    file
}

/// All chains there are.
pub(crate) fn chains() -> Vec<&'static Chain> {
    static PUBLISHED: LazyLock<Option<Chain>> = LazyLock::new(published);
    PUBLISHED.iter().chain([made()]).collect()
}

/// Every fork from Frontier to BPO2, mined blocks with ommers, the merge, and every type of
/// transaction, as geth wrote it.
fn published() -> Option<Chain> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = env::var("WARPLINE_SHARED").unwrap_or_else(|_| default.to_owned());
    let folder = PathBuf::from(shared).join("rpc-compat");
    if !folder.exists() {
        println!("SKIPPED 1 of 2 chains: there is no {}", folder.display());
        return None;
    }
    let genesis = serde_json::from_slice(&fs::read(folder.join("genesis.json")).unwrap()).unwrap();
    let rlp = fs::read(folder.join("chain.rlp")).unwrap();
    let (mut rest, mut blocks) = (rlp.as_slice(), Vec::new());
    while !rest.is_empty() {
        blocks.push(Block::decode(&mut rest).unwrap());
    }
    let chain = Chain::new("published", &genesis, blocks);
    assert_eq!(chain.bytes(..), rlp);
    Some(chain)
}

/// Forty small blocks.
pub(crate) fn made() -> &'static Chain {
    static MADE: LazyLock<Chain> = LazyLock::new(|| {
        let (genesis, blocks) = workload_chain(40, 12);
        Chain::new("made", &genesis, blocks)
    });
    &MADE
}

/// The same transactions in fewer blocks, after the same genesis block.
pub(crate) fn other_branch() -> &'static Chain {
    static OTHER: LazyLock<Chain> = LazyLock::new(|| {
        let (genesis, blocks) = workload_chain(30, 16);
        Chain::new("other", &genesis, blocks)
    });
    &OTHER
}

/// So many blocks that an import takes its time.
pub(crate) fn long() -> &'static Chain {
    static LONG: LazyLock<Chain> = LazyLock::new(|| {
        let (genesis, blocks) = workload_chain(250, 16);
        Chain::new("long", &genesis, blocks)
    });
    &LONG
}
