//! The blockchain tests of the Ethereum projects, executed in order and in parallel.
//!
//! Every valid block must pass every check, its state root included, in both executions. Blocks
//! that must be refused are only compared: what makes a header or a signature invalid is not the
//! executor's business. The archives are looked for in `../shared` or `WARPLINE_SHARED`; a
//! sample of the files is run, and all of them with `WARPLINE_CONSENSUS=all`.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod network;

use alloy_consensus::{Block, Header, transaction::SignerRecoverable};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, map::HashMap};
use alloy_rlp::Decodable;
use serde::Deserialize;
use std::{collections::BTreeMap, fs::File, io::Read, path::PathBuf};
use warpline_executor::{ExecuteError, ParallelConfig, ParallelExecutor, execute_sequential};
use warpline_fixture::{BlockFixture, BlockTransaction, Chain, Manifest, PreState};
use warpline_merger::diff_from_bundle;
use warpline_replay::{
    Execution, Outcome, PreparedBlock, apply_diff, check_body, check_execution, compare,
};

const ARCHIVES: [&str; 4] =
    ["blockchain-tests", "eest-prague-osaka", "eest-osaka-2026", "eest-benchmark"];

/// Without `WARPLINE_CONSENSUS=all`, one of so many files.
const SAMPLE: usize = 41;

/// The cases take turns with these.
const THREADS: [usize; 3] = [2, 3, 8];

/// These take minutes, or most of the time.
const SLOW: [&str; 5] =
    ["CALLBlake2f_MaxRounds", "Call50000_sha256", "loopMul", "stTimeConsuming", "benchmark"];

/// Contracts created where there is storage already (EIP-7610), which revm does not refuse.
const CREATE_OVER_STORAGE: [&str; 5] = [
    "eip7610_create_collision",
    "RevertInCreateInInit",
    "create2collisionStorage",
    "InitCollision",
    "dynamicAccountOverwriteEmpty",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    network: String,
    #[serde(default)]
    config: network::ConfigJson,
    pre: BTreeMap<Address, GenesisAccount>,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Option<Bytes>,
    blocks: Vec<BlockJson>,
}

#[derive(Deserialize)]
struct BlockJson {
    rlp: String,
    #[serde(rename = "blockHeader")]
    header: Option<serde::de::IgnoredAny>,
    #[serde(flatten)]
    other: BTreeMap<String, serde::de::IgnoredAny>,
}

impl BlockJson {
    fn is_valid(&self) -> bool {
        let refused = self.other.keys().any(|field| field.starts_with("expectException"));
        self.header.is_some() && !refused
    }
}

#[derive(Default)]
struct Totals {
    files: usize,
    cases: usize,
    valid_blocks: usize,
    refused_blocks: usize,
    left_out: usize,
    failures: Vec<String>,
}

fn archive(name: &str) -> Option<PathBuf> {
    let default = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let shared = std::env::var_os("WARPLINE_SHARED").map_or(default, PathBuf::from);
    let path = shared.join("ethereum-tests").join(format!("{name}.tar.zst"));
    path.is_file().then_some(path)
}

#[test]
fn consensus_tests_give_the_same_in_parallel() {
    let all = std::env::var("WARPLINE_CONSENSUS").is_ok_and(|value| value == "all");
    let executors = THREADS.map(|threads| {
        let config = ParallelConfig { threads, min_gas: 0, ..ParallelConfig::default() };
        ParallelExecutor::new(config).unwrap()
    });
    let mut totals = Totals::default();
    for name in ARCHIVES {
        let Some(path) = archive(name) else {
            eprintln!("SKIPPED: 0 consensus tests of {name}, no archive");
            continue;
        };
        let decoder = zstd::Decoder::new(File::open(path).unwrap()).unwrap();
        let mut archive = tar::Archive::new(decoder);
        let mut text = String::new();
        for (index, entry) in archive.entries().unwrap().enumerate() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let blocks = path.contains("BlockchainTests") || path.contains("blockchain_tests/");
            let slow = SLOW.iter().any(|slow| path.contains(slow));
            let sampled = all || index % SAMPLE == 0;
            if !path.ends_with(".json") || !blocks || slow || !sampled {
                continue;
            }
            text.clear();
            entry.read_to_string(&mut text).unwrap();
            run_file(&executors, &path, &text, &mut totals);
        }
    }
    let Totals { files, cases, valid_blocks, refused_blocks, left_out, failures } = totals;
    eprintln!(
        "{cases} cases in {files} files: {valid_blocks} valid blocks, {refused_blocks} to be \
         refused; {left_out} cases left out"
    );
    for failure in failures.iter().take(200) {
        eprintln!("{failure}");
    }
    assert!(failures.is_empty(), "{} failures", failures.len());
}

fn run_file(executors: &[ParallelExecutor], path: &str, text: &str, totals: &mut Totals) {
    let cases: BTreeMap<String, Case> = match serde_json::from_str(text) {
        Ok(cases) => cases,
        Err(error) => {
            totals.failures.push(format!("{path}: {error}"));
            return;
        }
    };
    totals.files += 1;
    for (name, case) in cases {
        let chain = network::chain_config(&case.network, &case.config);
        let (Some(chain), Some(genesis)) = (chain, &case.genesis_rlp) else {
            totals.left_out += 1;
            continue;
        };
        totals.cases += 1;
        let executor = &executors[totals.cases % executors.len()];
        let chain = Chain::Custom(Box::new(chain));
        if let Err(failure) = run_case(executor, path, &case, genesis, &chain, totals) {
            let name = name.rsplit("::").next().unwrap_or_default();
            totals.failures.push(format!("{path} {name} ({}): {failure}", case.network));
        }
    }
}

/// Runs the blocks of a case, each on the state after its parent.
fn run_case(
    executor: &ParallelExecutor,
    path: &str,
    case: &Case,
    genesis: &[u8],
    chain: &Chain,
    totals: &mut Totals,
) -> Result<(), String> {
    let genesis = Block::<BlockTransaction>::decode(&mut &genesis[..])
        .map_err(|error| format!("genesis: {error}"))?
        .header;
    let mut state = PreState::default();
    for (address, account) in &case.pre {
        let code = account.code.clone().unwrap_or_default();
        state.insert_account(*address, account.balance, account.nonce.unwrap_or_default(), code);
        for (slot, value) in account.storage.iter().flatten() {
            state.insert_storage(*address, (*slot).into(), (*value).into());
        }
    }
    if state.state_root() != genesis.state_root {
        return Err("the pre-state does not have the genesis state root".to_owned());
    }
    let hash = genesis.hash_slow();
    state.insert_block_hash(genesis.number, hash);
    let mut states: HashMap<B256, PreState> = HashMap::from_iter([(hash, state)]);
    for (index, json) in case.blocks.iter().enumerate() {
        let valid = json.is_valid();
        *if valid { &mut totals.valid_blocks } else { &mut totals.refused_blocks } += 1;
        let outcome = decode(json).and_then(|block| {
            let parent = states.get(&block.header.parent_hash).ok_or("the parent is unknown")?;
            let fixture = fixture(block, parent.clone(), chain.clone())?;
            PreparedBlock::new("consensus", fixture, None).map_err(|error| error.to_string())
        });
        let block = match outcome {
            Ok(block) => block,
            Err(error) if valid => return Err(format!("block {index}: {error}")),
            Err(_) => continue,
        };
        let over_storage = CREATE_OVER_STORAGE.iter().any(|name| path.contains(name));
        let after = run_block(executor, &block, valid && !over_storage)
            .map_err(|error| format!("block {index}: {error}"))?;
        if let (true, Some(mut after)) = (valid, after) {
            let hash = block.header.hash_slow();
            after.insert_block_hash(block.header.number, hash);
            states.insert(hash, after);
        }
    }
    Ok(())
}

fn decode(json: &BlockJson) -> Result<Block<BlockTransaction>, String> {
    let rlp: Bytes = json.rlp.parse().map_err(|error| format!("{error}"))?;
    Block::decode(&mut &rlp[..]).map_err(|error| error.to_string())
}

fn fixture(
    block: Block<BlockTransaction>,
    pre_state: PreState,
    chain: Chain,
) -> Result<BlockFixture, String> {
    let Block { header, body } = block;
    let senders = body.transactions.iter().map(|tx| tx.recover_signer_unchecked());
    let senders = senders.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok(BlockFixture {
        manifest: Manifest { complete_state: true, ..Manifest::default() },
        chain,
        hash: Some(header.hash_slow()),
        header,
        transactions: body.transactions,
        senders,
        ommer_hashes: body.ommers.iter().map(Header::hash_slow).collect(),
        ommers: body.ommers,
        withdrawals: body.withdrawals.map(|list| list.into_inner()),
        pre_state,
    })
}

/// Executes a block both ways and compares. A valid block must pass every check. Gives the state
/// after it.
fn run_block(
    executor: &ParallelExecutor,
    block: &PreparedBlock,
    valid: bool,
) -> Result<Option<PreState>, String> {
    let sequential = sequential(block);
    let parallel = executor.execute_block(block.factory(), block.input(), &block.pre_state);
    let parallel = parallel.map(|output| {
        let mut diff = output.diff;
        diff.sort();
        Execution { result: output.result, diff }
    });
    if let Some(divergence) = compare(block, &sequential, &parallel) {
        return Err(format!("parallel differs at {divergence}"));
    }
    let execution = match sequential {
        Ok(execution) => execution,
        Err(error) if valid => return Err(error.to_string()),
        Err(_) => return Ok(None),
    };
    let mut after = block.pre_state.clone();
    apply_diff(&mut after, &execution.diff);
    if valid {
        let mut checks = check_body(block);
        checks.extend(check_execution(block, &execution.result, &execution.diff));
        for (check, outcome) in checks {
            if let Outcome::Failed { expected, actual } = outcome {
                return Err(format!("{check:?}: expected {expected}, got {actual}"));
            }
        }
    }
    Ok(Some(after))
}

fn sequential(block: &PreparedBlock) -> Result<Execution, ExecuteError> {
    let output = execute_sequential(block.factory(), block.input(), &block.pre_state)?;
    Ok(Execution { result: output.result, diff: diff_from_bundle(&output.bundle) })
}
