//! The published chain of the RPC conformance cases: every fork from Frontier to BPO2, mined
//! blocks with ommers, the merge, and every type of transaction.

use alloy_consensus::{
    BlockBody, Header, Receipt, Sealable, SignableTransaction, TxLegacy, TxType,
};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bloom, U256};
use alloy_rlp::Decodable;
use std::{
    convert::Infallible,
    env,
    path::{Path, PathBuf},
    sync::Mutex,
};
use warpline_chain::{
    ChainOptions, Engine, GenesisBlock, Imported, Incoming, Reason, RootStreaming, Rules, Stopped,
    StoredChain, verify_blocks, verify_history, verify_state,
};
use warpline_executor::{EthTransaction, ParallelConfig};
use warpline_storage::{BlockCommit, BlockRef, HashedDiff, StoredReceipt, TrieUpdates};
use warpline_trie::TrieConfig;
use warpline_types::{AccountDiff, AccountState, StateDiff, impersonation_mark};

type Block = alloy_consensus::Block<warpline_executor::EthTransaction>;

struct Published {
    rules: Rules,
    genesis: GenesisBlock,
    blocks: Vec<Block>,
}

fn published() -> Option<Published> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = env::var("WARPLINE_SHARED").unwrap_or_else(|_| default.to_owned());
    let folder = PathBuf::from(shared).join("rpc-compat");
    if !folder.exists() {
        println!("SKIPPED 1 chain: there is no {}", folder.display());
        return None;
    }
    let genesis = std::fs::read(folder.join("genesis.json")).unwrap();
    let genesis: Genesis = serde_json::from_slice(&genesis).unwrap();
    let rules = Rules::from_config(&genesis.config).unwrap();
    let genesis = GenesisBlock::new(&genesis, &rules).unwrap();
    let rlp = std::fs::read(folder.join("chain.rlp")).unwrap();
    let mut rest = rlp.as_slice();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        blocks.push(Block::decode(&mut rest).unwrap());
    }
    Some(Published { rules, genesis, blocks })
}

fn engines() -> [Engine; 2] {
    let config = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
    [Engine::Sequential, Engine::parallel(config).unwrap()]
}

/// Small pages, so that a small state has nodes; roots begun while blocks execute, where that is
/// not in order.
fn options() -> ChainOptions {
    let trie = TrieConfig { page_limit: 2, threads: 2, ..TrieConfig::default() };
    ChainOptions { trie, streaming: RootStreaming::Always, ..ChainOptions::default() }
}

fn create(path: &Path, chain: &Published) -> StoredChain {
    StoredChain::create(path, options(), chain.rules.clone(), &chain.genesis).unwrap()
}

fn head(block: &Block) -> BlockRef {
    BlockRef { number: block.header.number, hash: block.header.hash_slow() }
}

fn incoming(blocks: &[Block]) -> impl Iterator<Item = Result<Incoming, Infallible>> + Send {
    let incoming = |block: &Block| Ok(Incoming { block: block.clone(), senders: None });
    blocks.iter().map(incoming).collect::<Vec<_>>().into_iter()
}

fn verify(chain: &StoredChain) {
    chain.flush().unwrap();
    let findings = chain.storage().verify(10, |_| {}).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    let report = verify_state(chain.storage(), &options().trie, 10).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.block, chain.head());
    assert_eq!(verify_blocks(chain.storage(), 10, |_| {}).unwrap(), Vec::<String>::new());
    let history = verify_history(chain.storage(), &options().trie, u64::MAX, |_| {});
    assert_eq!(history.unwrap(), None);
}

/// A block to be stored as it is, whatever its header says.
fn without_content(header: Header) -> BlockCommit {
    BlockCommit {
        header: header.seal_slow(),
        total_difficulty: U256::ZERO,
        body: BlockBody::default(),
        senders: Vec::new(),
        receipts: Vec::new(),
        access_list: None,
        diff: HashedDiff::default(),
        trie: TrieUpdates::default(),
    }
}

#[test]
fn a_block_that_is_not_what_its_header_says_is_found() {
    let Some(chain) = published() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut stored = create(folder.path(), &chain);
    stored.import_all(&Engine::Sequential, incoming(&chain.blocks), &|_| {}).unwrap();
    let head = stored.head();
    let header = Header {
        number: head.number + 1,
        parent_hash: head.hash,
        transactions_root: B256::ZERO,
        ommers_hash: B256::ZERO,
        // A header is encoded up to the last field that it has: none may be left out in between.
        base_fee_per_gas: Some(0),
        withdrawals_root: Some(B256::ZERO),
        receipts_root: B256::ZERO,
        ..Header::default()
    };
    // The one is sent by an account without a key, as development nodes let it; the other is not
    // signed by whom it says.
    let impersonated = Address::repeat_byte(7);
    let mark = impersonation_mark(&impersonated);
    let marked = EthTransaction::Legacy(TxLegacy::default().into_signed(mark));
    let mut signed = chain.blocks.iter().flat_map(|block| &block.body.transactions);
    let transactions = vec![marked, signed.next().unwrap().clone()];
    let receipt = Receipt { status: true.into(), cumulative_gas_used: 0, logs: Vec::new() };
    let receipt = StoredReceipt { tx_type: TxType::Legacy, receipt };
    let wrong = BlockCommit {
        body: BlockBody { transactions, ..BlockBody::default() },
        senders: vec![impersonated; 2],
        receipts: vec![receipt; 2],
        ..without_content(header)
    };
    stored.storage().commit(wrong).unwrap();
    let found = verify_blocks(stored.storage(), 10, |_| {}).unwrap();
    let parts = ["transactions", "ommers", "withdrawals", "receipts"];
    assert_eq!(found.len(), parts.len() + 1, "{found:?}");
    for (found, part) in found.iter().zip(parts) {
        let words = format!("block {}: the {part} are not those", head.number + 1);
        assert!(found.starts_with(&words), "{found}");
    }
    assert!(
        found[4].ends_with("the sender of transaction 1 is not who has signed it"),
        "{found:?}"
    );
    stored.storage().flush().unwrap();
    assert_eq!(
        verify_blocks(stored.storage(), 10, |_| {}).unwrap(),
        found,
        "written and read again"
    );
    assert_eq!(verify_blocks(stored.storage(), 2, |_| {}).unwrap(), found[..2]);
}

#[test]
fn a_wrong_value_of_the_past_is_found() {
    let Some(chain) = published() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut stored = create(folder.path(), &chain);
    stored.import_all(&Engine::Sequential, incoming(&chain.blocks[..9]), &|_| {}).unwrap();
    let (head, state) = (stored.head(), stored.storage().snapshot(1).unwrap());
    let last = &chain.blocks[8].header;
    let address = last.beneficiary;
    let now = state.reader().unwrap().account(&address).unwrap().unwrap();
    let before = AccountState { balance: now.balance + U256::ONE, ..now };
    let changed = AccountDiff {
        address,
        before: Some(before),
        after: Some(now),
        storage_cleared: false,
        storage: Vec::new(),
    };
    let diff = StateDiff { accounts: vec![changed], codes: Vec::new() };
    // The state is the same after it, but it says that it was another before.
    let header = Header { number: head.number + 1, parent_hash: head.hash, ..last.clone() };
    let wrong = BlockCommit { diff: HashedDiff::new(&diff), ..without_content(header) };
    drop(state);
    stored.storage().commit(wrong).unwrap();
    stored.storage().flush().unwrap();
    let verify =
        |blocks| verify_history(stored.storage(), &options().trie, blocks, |_| {}).unwrap();
    assert_eq!(verify(0), None);
    let found = verify(1).unwrap();
    assert!(found.starts_with("block 10: what it changed leads back to state root "), "{found}");
}

#[test]
fn every_block_imports_and_is_known_then() {
    let Some(chain) = published() else { return };
    let last = chain.blocks.last().unwrap();
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = create(folder.path(), &chain);
        for block in &chain.blocks {
            let imported = stored.import(&engine, block.clone());
            assert_eq!(imported.unwrap(), Imported::Head, "{}", block.header.number);
        }
        assert_eq!(stored.head(), head(last));
        assert_eq!(stored.import(&engine, last.clone()).unwrap(), Imported::Known);
        verify(&stored);
    }
}

#[test]
fn overlapping_stages_lead_to_the_same_chain() {
    let Some(chain) = published() else { return };
    for engine in engines() {
        let folder = tempfile::tempdir().unwrap();
        let mut stored = create(folder.path(), &chain);
        let reported = Mutex::new(Vec::new());
        let report = |progress: warpline_chain::Progress| {
            reported.lock().unwrap().push(progress.block);
        };
        stored.import_all(&engine, incoming(&chain.blocks), &report).unwrap();
        let all: Vec<_> = chain.blocks.iter().map(head).collect();
        assert_eq!(reported.into_inner().unwrap(), all);
        verify(&stored);
    }
}

#[test]
fn a_chain_goes_on_after_a_restart() {
    let Some(chain) = published() else { return };
    let engine = &engines()[1];
    let folder = tempfile::tempdir().unwrap();
    let mut stored = create(folder.path(), &chain);
    let (first, second) = chain.blocks.split_at(30);
    stored.import_all(engine, incoming(first), &|_| {}).unwrap();
    stored.shutdown().unwrap();

    let genesis = Some(chain.genesis.header.hash_slow());
    let open = |genesis: Option<B256>| {
        StoredChain::open(folder.path(), options(), chain.rules.clone(), genesis).map_err(Box::new)
    };
    let error = open(Some(B256::ZERO)).unwrap_err().to_string();
    assert!(error.contains("genesis block"), "{error}");
    let mut stored = open(genesis).unwrap();
    assert_eq!(stored.head(), head(&chain.blocks[29]));
    stored.import_all(engine, incoming(second), &|_| {}).unwrap();
    assert_eq!(stored.head(), head(chain.blocks.last().unwrap()));
    verify(&stored);
}

#[test]
fn going_back_and_forth_ends_at_the_same_state() {
    let Some(chain) = published() else { return };
    let engine = &engines()[1];
    let folder = tempfile::tempdir().unwrap();
    let mut stored = create(folder.path(), &chain);
    stored.import_all(engine, incoming(&chain.blocks), &|_| {}).unwrap();
    let last = head(chain.blocks.last().unwrap());
    for to in [53, 37, 20, 9, 0] {
        let reached = stored.unwind(to).unwrap();
        assert_eq!(reached.number, to);
        verify(&stored);
        // What was left is kept beside the chain, and comes back when it is asked for.
        stored.set_forkchoice(engine, last.hash, None, None).unwrap();
        assert_eq!(stored.head(), last);
        verify(&stored);
    }
}

#[test]
fn a_wrong_block_ends_a_run_and_leaves_what_came_before() {
    let Some(chain) = published() else { return };
    let runs = wrong_blocks().into_iter().flat_map(|wrong| [(wrong, 0), (wrong, 3)]);
    for engine in engines() {
        for ((at, change, reason), followers) in runs.clone() {
            let folder = tempfile::tempdir().unwrap();
            let mut stored = create(folder.path(), &chain);
            let mut blocks = chain.blocks.clone();
            change(&mut blocks[at]);
            // Those that follow it may be executed before it is known to be wrong.
            for follower in at + 1..(at + 1 + followers).min(blocks.len()) {
                blocks[follower].header.parent_hash = blocks[follower - 1].header.hash_slow();
            }
            let stopped = stored.import_all(&engine, incoming(&blocks), &|_| {}).unwrap_err();
            let Stopped::Block { block, error } = stopped;
            let warpline_chain::ImportError::Invalid(invalid) = *error else { panic!("{error}") };
            assert_eq!((block.number, invalid.reason), (at as u64 + 1, reason));
            assert_eq!(stored.head(), head(&chain.blocks[at - 1]));
            // The right block and all after it still follow.
            stored.import_all(&engine, incoming(&chain.blocks[at..]), &|_| {}).unwrap();
            verify(&stored);
        }
    }
}

type Change = fn(&mut Block);

/// Where several things are wrong, what is reported does not depend on the stage that finds it.
fn wrong_blocks() -> [(usize, Change, Reason); 11] {
    [
        (1, |block| block.header.state_root = B256::ZERO, Reason::StateRoot),
        (5, |block| block.header.transactions_root = B256::ZERO, Reason::TransactionsRoot),
        (20, |block| block.header.receipts_root = B256::ZERO, Reason::ReceiptsRoot),
        (21, |block| block.header.logs_bloom = Bloom::repeat_byte(1), Reason::LogsBloom),
        (
            22,
            |block| (block.header.receipts_root, block.header.state_root) = Default::default(),
            Reason::ReceiptsRoot,
        ),
        (
            23,
            |block| {
                (block.header.transactions_root, block.header.receipts_root) = Default::default()
            },
            Reason::TransactionsRoot,
        ),
        (
            24,
            |block| {
                block.header.logs_bloom = Bloom::repeat_byte(1);
                block.header.state_root = B256::ZERO;
            },
            Reason::LogsBloom,
        ),
        (40, |block| block.header.state_root = B256::ZERO, Reason::StateRoot),
        (51, |block| block.header.requests_hash = Some(B256::ZERO), Reason::RequestsHash),
        (
            52,
            |block| {
                block.header.receipts_root = B256::ZERO;
                block.header.requests_hash = Some(B256::ZERO);
            },
            Reason::ReceiptsRoot,
        ),
        (53, |block| block.header.gas_limit += block.header.gas_limit, Reason::GasLimit),
    ]
}
