//! Runs one case of a state test: alone, and in parallel also among other transactions.
//!
//! A state test knows transactions but no blocks: no system calls, no rewards, no withdrawals.

use crate::{
    exceptions, network,
    state_test::{NoTransaction, PostJson, StateTest, Tx, envelope},
};
use alloy_consensus::{EthereumReceipt, Header, TxReceipt, transaction::Recovered};
use alloy_evm::{
    EthEvmFactory, EvmEnv,
    eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, spec::EthExecutorSpec},
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256, map::HashMap};
use revm::{context::TxEnv, primitives::hardfork::SpecId};
use std::sync::Arc;
use warpline_chain::{
    BlockHashes, Engine, Executed, InvalidBlock, MemoryState, Parent, Reason, Rules, Storage,
};
use warpline_executor::{
    BlockInput, EthReceiptBuilder, ExecuteError, Guidance, PreparedTx, UnreachedEvmFactory,
    UnreachedRules,
};

/// What a block does around its transactions: nothing. The EVM has its rules from elsewhere.
#[derive(Debug, Clone, Copy)]
struct NoBlockRules;

impl EthereumHardforks for NoBlockRules {
    /// After the merge there are no rewards; before Cancun, no system calls.
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork <= EthereumHardfork::Paris && fork != EthereumHardfork::Dao {
            true => ForkCondition::Block(0),
            false => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for NoBlockRules {
    fn deposit_contract_address(&self) -> Option<Address> {
        None
    }
}

/// State tests have no earlier blocks: the hash of one is that of its number in decimal.
#[derive(Debug)]
struct NumberHashes;

impl BlockHashes for NumberHashes {
    fn block_hash(&self, number: u64) -> B256 {
        keccak256(number.to_string())
    }
}

/// Runs one case. `Err` says what is wrong with the test or with the result.
pub(crate) fn run(
    engine: &Engine,
    test: &StateTest,
    fork: &str,
    post: &PostJson,
) -> Result<(), String> {
    let rules = network::rules(fork, &test.config).map_err(|error| error.to_string())?;
    let case = Case::new(test, &rules, post)?;
    let Case { tx: Some(tx), .. } = &case else {
        return verdict_on_rejection(post, Reason::Encoding);
    };
    let gas_used = case.check(engine, post, std::slice::from_ref(tx), 0)?;
    if engine.threads() > 1
        && gas_used.is_some_and(|gas| gas < TOO_MUCH)
        && let Some((txs, index)) = case.among_others(tx)
    {
        case.check(engine, post, &txs, index)
            .map_err(|problem| format!("among other transactions: {problem}"))?;
    }
    Ok(())
}

fn verdict_on_rejection(post: &PostJson, reason: Reason) -> Result<(), String> {
    match &post.expect_exception {
        None => Err(format!("expected success, got: {reason}")),
        Some(expected) => match exceptions::allows(expected, reason)? {
            true => Ok(()),
            false => Err(format!("expected {expected}, got {reason:?}: {reason}")),
        },
    }
}

struct Case {
    env: EvmEnv,
    header: Header,
    state: MemoryState,
    /// `None` where no encoding can hold it.
    tx: Option<Tx>,
    unreached: UnreachedRules,
    touches_beneficiary: bool,
}

/// A transaction that uses so much gas takes seconds, and runs alone only.
const TOO_MUCH: u64 = 1 << 28;

/// Gas that the transactions around a test's use up.
const GAS_BEFORE: u64 = 200_000;
const GAS_AFTER: u64 = 40_000;
/// Jumps back to its start until the gas is gone.
const ENDLESS: [u8; 4] = [0x5b, 0x5f, 0x56, 0x00];
const ENDLESS_BEFORE_SHANGHAI: [u8; 4] = [0x5b, 0x60, 0x00, 0x56];

/// Addresses that no test uses.
fn filler(index: u8) -> Address {
    let mut address = keccak256(b"warpline conformance filler").0;
    address[31] = index;
    Address::from_slice(&address[12..])
}

impl Case {
    fn new(test: &StateTest, rules: &Rules, post: &PostJson) -> Result<Self, String> {
        let merged = rules.merge_at.is_some();
        let chain = if merged { &rules.after_merge } else { &rules.before_merge };
        let header = test.env.header();
        let tx = match test.transaction.at(post.indexes, chain.chain_id()) {
            Ok(tx) => Some(tx),
            Err(NoTransaction::Unencodable) => None,
            Err(NoTransaction::NoSuchIndex) => return Err("`indexes` beyond the lists".into()),
        };
        let mut env = chain.evm_env(&header);
        if env.cfg_env.spec < SpecId::LONDON {
            env.block_env.basefee = 0;
        }
        let state = test.pre.to_state();
        let unreached = UnreachedRules {
            storage_only: Arc::new(state.storage_only()),
            net_gas_metering: rules.net_gas_metering(header.number),
            foreign_system_contracts: false,
        };
        let touches_beneficiary = test.touches_beneficiary;
        Ok(Self { env, header, state, tx, unreached, touches_beneficiary })
    }

    /// The test's transaction with one before and one after it, and its index. They share nothing
    /// but the beneficiary, whom the others pay nothing. Before empty accounts were removed at the
    /// end of a transaction, touching the beneficiary made an account, which the test's
    /// transaction might see: then there is none before it.
    fn among_others(&self, tx: &Tx) -> Option<(Vec<Tx>, usize)> {
        let room = self.header.gas_limit.checked_sub(GAS_BEFORE + GAS_AFTER)?;
        if tx.env.gas_limit > room {
            return None;
        }
        let make = |index: u8, gas_limit: u64| {
            let env = TxEnv {
                caller: filler(index),
                gas_limit,
                gas_price: u128::from(self.env.block_env.basefee),
                kind: TxKind::Call(filler(0xff)),
                chain_id: Some(self.env.cfg_env.chain_id),
                ..TxEnv::default()
            };
            PreparedTx { tx: Recovered::new_unchecked(envelope(&env), env.caller), env }
        };
        let (tx, after) = (tx.clone(), make(1, GAS_AFTER));
        match self.env.cfg_env.spec < SpecId::SPURIOUS_DRAGON {
            true => Some((vec![tx, after], 0)),
            false => Some((vec![make(0, GAS_BEFORE), tx, after], 1)),
        }
    }

    /// Executes transactions of which the test's is number `index`, and compares. Returns the gas
    /// that all of them use, if they are valid.
    fn check(
        &self,
        engine: &Engine,
        post: &PostJson,
        txs: &[Tx],
        index: usize,
    ) -> Result<Option<u64>, String> {
        let mut state = self.state.clone();
        if txs.len() > 1 {
            self.add_fillers(&mut state);
        }
        let parent = Parent { state: &state, hashes: &NumberHashes };
        let Executed { result, diff, .. } = match self.execute(engine, txs, parent) {
            Ok(executed) => executed,
            Err(error) => {
                let error = InvalidBlock::from(error);
                if error.reason == Reason::Unexecuted {
                    return Err(error.to_string());
                }
                verdict_on_rejection(post, error.reason)?;
                expect("state root", post.hash, self.root_after_rejection())?;
                return Ok(None);
            }
        };
        if let Some(expected) = &post.expect_exception {
            return Err(format!("expected {expected}, but the transaction is valid"));
        }
        state.apply(&diff);
        for index in [0, 1, 0xff] {
            state.remove(&filler(index));
        }
        expect("state root", post.hash, state.root())?;
        let logs = result.receipts.get(index).map(|receipt| receipt.logs()).unwrap_or_default();
        let mut rlp = Vec::new();
        alloy_rlp::encode_list::<Log, Log>(logs, &mut rlp);
        expect("logs hash", post.logs, keccak256(rlp))?;
        Ok(Some(result.gas_used))
    }

    fn execute(
        &self,
        engine: &Engine,
        txs: &[Tx],
        parent: Parent<'_, NumberHashes>,
    ) -> Result<Executed<EthereumReceipt>, ExecuteError> {
        let env = self.env.clone();
        let ctx = EthBlockExecutionCtx {
            parent_hash: B256::ZERO,
            parent_beacon_block_root: None,
            ommers: &[],
            withdrawals: None,
            extra_data: Bytes::new(),
            tx_count_hint: Some(txs.len()),
            slot_number: None,
        };
        if self.unreached.is_empty() {
            let evms = EthEvmFactory::default();
            let factory = EthBlockExecutorFactory::new(EthReceiptBuilder, NoBlockRules, evms);
            let input = BlockInput { env, ctx, txs };
            engine.execute(&factory, input, Guidance::default(), &parent)
        } else {
            let evms = UnreachedEvmFactory(self.unreached.clone());
            let factory = EthBlockExecutorFactory::new(EthReceiptBuilder, NoBlockRules, evms);
            let input = BlockInput { env, ctx, txs };
            engine.execute_any(&factory, input, Guidance::default(), &parent)
        }
    }

    /// A rejected transaction changes nothing. But the older fixtures' rules touch the beneficiary
    /// in any case, which before EIP-161 makes an account.
    fn root_after_rejection(&self) -> B256 {
        let beneficiary = self.header.beneficiary;
        let mut state = self.state.clone();
        let touched = self.touches_beneficiary && self.env.cfg_env.spec < SpecId::SPURIOUS_DRAGON;
        if touched && state.account(&beneficiary).is_none() {
            state.insert(beneficiary, U256::ZERO, 0, Bytes::new(), Storage::default());
        }
        state.root()
    }

    fn add_fillers(&self, state: &mut MemoryState) {
        let funds = U256::from(GAS_BEFORE) * U256::from(self.env.block_env.basefee);
        for index in [0, 1] {
            state.insert(filler(index), funds, 0, Bytes::new(), Storage::default());
        }
        let code = match self.env.cfg_env.spec >= SpecId::SHANGHAI {
            true => ENDLESS,
            false => ENDLESS_BEFORE_SHANGHAI,
        };
        state.insert(filler(0xff), U256::ZERO, 1, code.into(), HashMap::default());
    }
}

fn expect(what: &str, expected: B256, actual: B256) -> Result<(), String> {
    match expected == actual {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected}, got {actual}")),
    }
}
