//! The tree of valid blocks, each with the state it leads to, and the choice of its head.

use crate::{
    Engine, ImportError, InvalidBlock, MemoryState, Parent, Reason, body,
    execution::Ready,
    header,
    ommers::{self, Ancestor, GENERATIONS},
    rules::Rules,
    state::BlockHashes,
};
use alloy_consensus::{Block, Header};
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_rlp::Encodable;
use core::iter;
use warpline_executor::EthTransaction;

/// All valid blocks since a genesis, in memory.
#[derive(Debug)]
pub struct BlockTree {
    rules: Rules,
    nodes: B256Map<Node>,
    head: B256,
}

/// A valid block and what follows from it.
#[derive(Debug)]
struct Node {
    header: Header,
    total_difficulty: U256,
    ommers: Vec<B256>,
    state: MemoryState,
}

/// The head of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its hash.
    pub hash: B256,
    /// Its header.
    pub header: &'a Header,
    /// The state after it.
    pub state: &'a MemoryState,
}

impl BlockTree {
    /// A tree of nothing but its root. That `state` belongs to `genesis` is the caller's word.
    pub fn new(rules: Rules, genesis: Header, state: MemoryState) -> Self {
        let head = genesis.hash_slow();
        let total_difficulty = genesis.difficulty;
        let node = Node { header: genesis, total_difficulty, ommers: Vec::new(), state };
        Self { rules, nodes: B256Map::from_iter([(head, node)]), head }
    }

    /// The rules of the chain.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The head: while blocks are mined the block with the highest total difficulty, of equals
    /// the one that came first; after the merge the block that came last.
    pub fn head(&self) -> Head<'_> {
        let node = &self.nodes[&self.head];
        Head { hash: self.head, header: &node.header, state: &node.state }
    }

    /// Decodes, validates and adds a block.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn import_rlp(&mut self, engine: &Engine, rlp: &[u8]) -> Result<B256, InvalidBlock> {
        let block = alloy_rlp::decode_exact::<Block<EthTransaction>>(rlp)
            .map_err(|error| InvalidBlock::new(Reason::Encoding, error))?;
        self.import(engine, block)
    }

    /// Validates and adds a block.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn import(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
    ) -> Result<B256, InvalidBlock> {
        self.import_listed(engine, block, None)
    }

    /// As [`BlockTree::import`], of a block that may come with its access list (EIP-7928): the
    /// hint for its execution, and refused with the entry that differs.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn import_listed(
        &mut self,
        engine: &Engine,
        block: Block<EthTransaction>,
        list: Option<&BlockAccessList>,
    ) -> Result<B256, InvalidBlock> {
        let hash = block.header.hash_slow();
        if self.nodes.contains_key(&hash) {
            return Ok(hash);
        }
        let parent_hash = block.header.parent_hash;
        let parent = self
            .nodes
            .get(&parent_hash)
            .ok_or_else(|| InvalidBlock::new(Reason::UnknownParent, parent_hash))?;
        let rules = self.rules.for_child(parent.total_difficulty);
        header::check(rules, &block.header, &parent.header)?;
        let ancestors: Vec<_> = self.ancestors(parent_hash).take(GENERATIONS).collect();
        ommers::check(&self.rules, rules.merged, &block.body.ommers, &ancestors)?;
        body::check(rules, &block, block.length())?;
        let txs = body::recover(rules, &block)?;
        let hashes = Hashes { tree: self, parent: parent_hash };
        let before = Parent { state: &parent.state, hashes: &hashes };
        let ready = Ready::new(rules, &block, &txs).with_list(list);
        let verified = ready.run(engine, &before).map_err(ImportError::into_invalid)?;
        let mut state = parent.state.clone();
        state.apply(&verified.diff);
        InvalidBlock::compare(Reason::StateRoot, &block.header.state_root, &state.root())?;
        ready.check_access_list(&verified)?;

        let total_difficulty = parent.total_difficulty.saturating_add(block.header.difficulty);
        let heavier = total_difficulty > self.nodes[&self.head].total_difficulty;
        if rules.merged || heavier {
            self.head = hash;
        }
        let ommers = block.body.ommers.iter().map(Header::hash_slow).collect();
        let node = Node { header: block.header, total_difficulty, ommers, state };
        self.nodes.insert(hash, node);
        Ok(hash)
    }

    /// A block and its ancestors.
    fn ancestors(&self, from: B256) -> impl Iterator<Item = Ancestor<'_>> {
        let at = move |hash: B256| self.nodes.get(&hash).map(|node| (hash, node));
        iter::successors(at(from), move |(_, node)| at(node.header.parent_hash)).map(
            |(hash, node)| Ancestor {
                hash,
                header: &node.header,
                total_difficulty: node.total_difficulty,
                ommers: &node.ommers,
            },
        )
    }
}

/// The hashes of the ancestors of a block to come.
#[derive(Debug)]
struct Hashes<'a> {
    tree: &'a BlockTree,
    parent: B256,
}

impl BlockHashes for Hashes<'_> {
    fn block_hash(&self, number: u64) -> B256 {
        let mut ancestors = self.tree.ancestors(self.parent);
        ancestors.find(|ancestor| ancestor.header.number <= number).map_or(B256::ZERO, |found| {
            if found.header.number == number { found.hash } else { B256::ZERO }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Storage, next_difficulty};
    use alloy_consensus::{BlockBody, EMPTY_ROOT_HASH, proofs::calculate_ommers_root};
    use alloy_eips::eip7928::{
        AccountChanges, BalanceChange, BlockAccessIndex, compute_block_access_list_hash,
    };
    use alloy_genesis::ChainConfig;
    use alloy_primitives::{Address, Bytes};
    use warpline_chainspec::ChainSpec;
    use warpline_executor::ParallelConfig;

    const ETHER: u64 = 1_000_000_000_000_000_000;

    fn rules(merged: bool) -> Rules {
        let mined = ChainConfig { chain_id: 1, ..ChainConfig::default() };
        let staked = ChainConfig {
            homestead_block: Some(0),
            eip150_block: Some(0),
            eip155_block: Some(0),
            eip158_block: Some(0),
            byzantium_block: Some(0),
            constantinople_block: Some(0),
            petersburg_block: Some(0),
            istanbul_block: Some(0),
            berlin_block: Some(0),
            london_block: Some(0),
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            ..mined.clone()
        };
        Rules {
            before_merge: ChainSpec::from_config(&mined).unwrap(),
            after_merge: ChainSpec::from_config(&staked).unwrap(),
            merge_at: merged.then_some(U256::ZERO),
            access_lists_from: None,
            net_gas_metering: 0..0,
        }
    }

    fn engines() -> [Engine; 3] {
        let config = ParallelConfig { threads: 2, min_gas: 0, ..ParallelConfig::default() };
        [
            Engine::Sequential,
            Engine::parallel(config).unwrap(),
            Engine::parallel_any(config).unwrap(),
        ]
    }

    fn tree(merged: bool) -> BlockTree {
        let state = MemoryState::default();
        let genesis = Header {
            gas_limit: 5_000,
            difficulty: U256::from(1 << 20),
            base_fee_per_gas: merged.then_some(7),
            state_root: state.root(),
            ..Header::default()
        };
        BlockTree::new(rules(merged), genesis, state)
    }

    /// A Frontier block without transactions on top of `parent`. `accounts` are all accounts
    /// after it: an address of equal bytes and what it has, in 32nds of an ether.
    fn mined(
        parent: &Header,
        seconds: u64,
        miner: u8,
        ommers: Vec<Header>,
        accounts: &[(u8, u64)],
    ) -> Block<EthTransaction> {
        let mut state = MemoryState::default();
        for (byte, thirty_seconds) in accounts {
            let balance = U256::from(ETHER / 32) * U256::from(*thirty_seconds);
            let address = Address::repeat_byte(*byte);
            state.insert(address, balance, 0, Bytes::new(), Storage::default());
        }
        let (number, timestamp) = (parent.number + 1, parent.timestamp + seconds);
        let rules = rules(false);
        let header = Header {
            parent_hash: parent.hash_slow(),
            number,
            timestamp,
            beneficiary: Address::repeat_byte(miner),
            ommers_hash: calculate_ommers_root(&ommers),
            state_root: state.root(),
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            difficulty: next_difficulty(&rules.before_merge, number, timestamp, parent),
            gas_limit: parent.gas_limit,
            ..Header::default()
        };
        Block { header, body: BlockBody { transactions: Vec::new(), ommers, withdrawals: None } }
    }

    #[test]
    fn the_heaviest_mined_chain_is_the_head_and_the_first_of_equals() {
        for engine in engines() {
            let mut tree = tree(false);
            let genesis = tree.head().header.clone();
            let slow = mined(&genesis, 20, 1, Vec::new(), &[(1, 160)]);
            let same = mined(&genesis, 20, 2, Vec::new(), &[(2, 160)]);
            let fast = mined(&genesis, 5, 3, Vec::new(), &[(3, 160)]);
            let long = mined(&slow.header, 20, 1, Vec::new(), &[(1, 320)]);
            let hashes: Vec<_> = [&slow, &same, &fast, &long]
                .map(|block| {
                    tree.import(&engine, block.clone()).map(|hash| (hash, tree.head().hash))
                })
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap();
            let heads: Vec<_> = hashes.iter().map(|(_, head)| *head).collect();
            let [slow, _, fast, long] = [0, 1, 2, 3].map(|index| hashes[index].0);
            assert_eq!(heads, [slow, slow, fast, long]);
            let address = Address::repeat_byte(1);
            let reward = tree.head().state.account(&address).unwrap().info().balance;
            assert_eq!(reward, U256::from(10 * ETHER));
        }
    }

    #[test]
    fn miners_of_ommers_are_rewarded() {
        for engine in engines() {
            let mut tree = tree(false);
            let genesis = tree.head().header.clone();
            let first = mined(&genesis, 20, 1, Vec::new(), &[(1, 160)]);
            let ommer = mined(&genesis, 20, 2, Vec::new(), &[(2, 160)]).header;
            tree.import(&engine, first.clone()).unwrap();
            // 5 ether and a 32nd of them; seven eighths of 5 ether, 140 32nds of an ether.
            let right = mined(&first.header, 20, 1, vec![ommer.clone()], &[(1, 325), (2, 140)]);
            let wrong = mined(&first.header, 20, 1, vec![ommer.clone()], &[(1, 325), (2, 139)]);
            let error = tree.import(&engine, wrong).unwrap_err();
            assert_eq!(error.reason, Reason::StateRoot);
            tree.import(&engine, right.clone()).unwrap();
            let again = mined(&right.header, 20, 1, vec![ommer], &[(1, 490), (2, 280)]);
            assert_eq!(tree.import(&engine, again).unwrap_err().reason, Reason::OmmerKnown);
        }
    }

    #[test]
    fn after_the_merge_the_last_block_is_the_head() {
        for engine in engines() {
            let mut tree = tree(true);
            let genesis = tree.head().header.clone();
            let staked = |beneficiary: u8| Header {
                parent_hash: genesis.hash_slow(),
                number: 1,
                timestamp: 12,
                beneficiary: Address::repeat_byte(beneficiary),
                difficulty: U256::ZERO,
                ..genesis.clone()
            };
            let import = |tree: &mut BlockTree, header: Header| {
                let header = Header { base_fee_per_gas: Some(7), ..header };
                let body =
                    BlockBody { transactions: Vec::new(), ommers: Vec::new(), withdrawals: None };
                tree.import(&engine, Block { header, body })
            };
            for beneficiary in [1, 2, 3] {
                let hash = import(&mut tree, staked(beneficiary)).unwrap();
                assert_eq!(tree.head().hash, hash);
            }
            let head = tree.head().hash;
            let wrong = Header { state_root: B256::ZERO, ..staked(4) };
            assert_eq!(import(&mut tree, wrong).unwrap_err().reason, Reason::StateRoot);
            // A known block is no news.
            import(&mut tree, staked(1)).unwrap();
            assert_eq!(tree.head().hash, head);
        }
    }

    #[test]
    fn what_cannot_be_placed_or_read_is_refused() {
        let mut tree = tree(false);
        let genesis = tree.head().header.clone();
        let orphan = mined(&Header::default(), 20, 1, Vec::new(), &[(1, 160)]);
        let error = tree.import(&Engine::Sequential, orphan).unwrap_err();
        assert_eq!(error.reason, Reason::UnknownParent);
        let block = mined(&genesis, 20, 1, Vec::new(), &[(1, 160)]);
        let mut rlp = alloy_rlp::encode(&block);
        rlp.push(0);
        let error = tree.import_rlp(&Engine::Sequential, &rlp).unwrap_err();
        assert_eq!(error.reason, Reason::Encoding);
        rlp.pop();
        assert_eq!(tree.import_rlp(&Engine::Sequential, &rlp), Ok(block.header.hash_slow()));
    }

    #[test]
    fn a_wrong_access_list_is_refused_with_the_entry_that_differs() {
        for engine in engines() {
            let mut tree = tree(false);
            tree.rules.access_lists_from = Some(0);
            let genesis = tree.head().header.clone();
            let miner = Address::repeat_byte(1);
            let list = |wei: u64| {
                let mut account = AccountChanges::new(miner);
                let change = BalanceChange::new(BlockAccessIndex::new(1), U256::from(wei));
                account.balance_changes.push(change);
                vec![account]
            };
            let mut mined = mined(&genesis, 20, 1, Vec::new(), &[(1, 160)]);
            let mut import = |block_says: &BlockAccessList, supplied: Option<BlockAccessList>| {
                let hash = compute_block_access_list_hash(block_says);
                mined.header.block_access_list_hash = Some(hash);
                tree.import_listed(&engine, mined.clone(), supplied.as_ref())
            };
            let (right, wrong) = (list(5 * ETHER), list(6));
            let error = import(&wrong, Some(wrong.clone())).unwrap_err();
            assert_eq!(error.reason, Reason::AccessList);
            assert_eq!(
                error.detail,
                format!("account {miner}, balance at index 1: the list has 6, it is {}", 5 * ETHER)
            );
            // Where there is no list, or the right one under a wrong hash, the hashes are named.
            for supplied in [None, Some(right.clone())] {
                let error = import(&wrong, supplied).unwrap_err();
                assert_eq!(error.reason, Reason::AccessList);
                assert!(error.detail.starts_with("the block says Some(0x"), "{}", error.detail);
            }
            import(&right, Some(right.clone())).unwrap();
        }
    }
}
