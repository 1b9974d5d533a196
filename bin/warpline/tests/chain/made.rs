//! A chain of workload blocks, made with the sequential oracle on a plain state in memory, whose
//! roots alloy-trie computes from scratch: nothing here is code that an import uses.

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{B256, Bloom, U256};
use core::ops::Range;
use warpline_chain::{GenesisBlock, Rules};
use warpline_executor::{BlockInput, EthTransaction, execute_sequential};
use warpline_fixture::{BlockFixture, Chain, Manifest, PreState};
use warpline_merger::diff_from_bundle;
use warpline_replay::{PreparedBlock, apply_diff};
use warpline_workload::{BlockSpec, Workload, WorkloadBlock, generate};

/// Far above what a block uses, so that the base fee does not rise.
const GAS_LIMIT: u64 = 1_000_000_000;

/// A genesis and the blocks from number 1 on, each of so many transactions.
pub(crate) fn workload_chain(blocks: usize, size: usize) -> (Genesis, Vec<Block<EthTransaction>>) {
    let transactions = blocks * size;
    let spec = BlockSpec { transactions, hot_ratio: 0.1, seed: 5, ..BlockSpec::default() };
    let workload = generate(Workload::Mixed, &spec).unwrap();
    let genesis = genesis(&workload);
    let rules = Rules::from_config(&genesis.config).unwrap();
    let mut parent = GenesisBlock::new(&genesis, &rules).unwrap().header;
    let signed = workload.transactions.clone();
    let mut world = PreparedBlock::new("chain", fixture(workload), None).unwrap();
    assert_eq!(world.pre_state.state_root(), parent.state_root);
    let chain = (0..blocks).map(|index| {
        let block = extend(&mut world, &parent, &signed, index * size..(index + 1) * size);
        parent = block.header.clone();
        block
    });
    let chain = chain.collect();
    (genesis, chain)
}

/// Makes a block of some of the transactions and brings the state behind it.
fn extend(
    world: &mut PreparedBlock,
    parent: &Header,
    signed: &[EthTransaction],
    range: Range<usize>,
) -> Block<EthTransaction> {
    let transactions = signed[range.clone()].to_vec();
    let withdrawals = world.withdrawals.clone().unwrap_or_default();
    let mut header = Header {
        parent_hash: parent.hash_slow(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: calculate_transaction_root(&transactions),
        number: parent.number + 1,
        gas_limit: GAS_LIMIT,
        timestamp: parent.timestamp + 12,
        mix_hash: B256::with_last_byte(parent.number as u8),
        base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
        withdrawals_root: Some(calculate_withdrawals_root(&withdrawals)),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    };
    let ctx = world.chain.block_ctx(&header, &[], Some(&withdrawals), transactions.len());
    let env = world.chain.evm_env(&header);
    world.pre_state.insert_block_hash(parent.number, header.parent_hash);
    let input = BlockInput { env, ctx, txs: &world.txs[range] };
    let output = execute_sequential(world.factory(), input, &world.pre_state).unwrap();
    let receipts = &output.result.receipts;
    let with_blooms: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
    header.receipts_root = calculate_receipt_root(&with_blooms);
    header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |all, receipt| all | receipt.bloom());
    header.gas_used = output.result.gas_used;
    header.requests_hash = Some(output.result.requests.requests_hash());
    apply_diff(&mut world.pre_state, &diff_from_bundle(&output.bundle));
    header.state_root = world.pre_state.state_root();
    let withdrawals = Some(withdrawals.into());
    Block { header, body: BlockBody { transactions, ommers: Vec::new(), withdrawals } }
}

fn genesis(workload: &WorkloadBlock) -> Genesis {
    let account = |account: &warpline_workload::AccountState| {
        let slots = account.storage.iter().map(|(slot, value)| ((*slot).into(), (*value).into()));
        GenesisAccount {
            balance: account.balance,
            nonce: Some(account.nonce),
            code: Some(account.code.clone()),
            storage: Some(slots.collect()),
            private_key: None,
        }
    };
    Genesis {
        config: workload.chain.clone(),
        timestamp: workload.header.timestamp - 12,
        gas_limit: GAS_LIMIT,
        difficulty: U256::ZERO,
        base_fee_per_gas: workload.header.base_fee_per_gas.map(u128::from),
        alloc: workload.pre_state.iter().map(|(at, state)| (*at, account(state))).collect(),
        ..Genesis::default()
    }
}

fn fixture(workload: WorkloadBlock) -> BlockFixture {
    let mut pre_state = PreState::default();
    for (address, account) in workload.pre_state {
        pre_state.insert_account(address, account.balance, account.nonce, account.code);
        for (slot, value) in account.storage {
            pre_state.insert_storage(address, slot, value);
        }
    }
    BlockFixture {
        manifest: Manifest { complete_state: true, ..Manifest::default() },
        chain: Chain::Custom(Box::new(workload.chain)),
        hash: None,
        header: workload.header,
        transactions: workload.transactions,
        senders: workload.senders,
        ommer_hashes: Vec::new(),
        ommers: Vec::new(),
        withdrawals: workload.withdrawals,
        pre_state,
    }
}
