//! Builds a block transaction by transaction, on a shadow of the state.
//!
//! The shadow is a plain in-memory database: it tells the next nonce of a sender and, for
//! transactions nobody declared an outcome for, whether they succeed. It is separate from
//! revm's block state, which executors use, so the two can be held against each other.

use super::{
    BENEFICIARY, BlockContext, CHAIN_ID, GeneratedBlock, MemoryParent, Transaction, USERS,
    contracts::Contract,
    expected::{Expected, Fact, Rejection},
    parent::block_hash,
    rules::ForkRules,
    tx::Request,
    user,
};
use alloy_consensus::transaction::Recovered;
use alloy_eips::{eip2935, eip4788, eip4895::Withdrawal, eip7002, eip7251};
use alloy_evm::{Evm, EvmEnv, EvmFactory, eth::EthEvmFactory};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    context::result::EVMError,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::CacheDB,
    primitives::{eip4844, hardfork::SpecId},
};

/// The wei every rich user starts with.
pub const RICH: u128 = 1_000_000_000_000_000_000_000;

/// A block under construction. Set the world up first, then add transactions.
#[derive(Debug)]
pub struct BlockBuilder {
    rules: ForkRules,
    env: EvmEnv,
    ctx: BlockContext,
    txs: Vec<(TxEnv, Recovered<Transaction>)>,
    shadow: CacheDB<MemoryParent>,
    shadow_gas_used: u64,
    expected: Expected,
}

/// What the shadow says of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Executed { success: bool },
    Rejected(Option<Rejection>),
}

impl BlockBuilder {
    /// The default world under `spec`: rich users, one instance of every contract with some
    /// wei and storage, the system contracts of the fork, and a beneficiary that does not exist.
    pub fn new(spec: SpecId) -> Self {
        let mut world = MemoryParent::default();
        for index in 0..USERS {
            world.fund(user(index), U256::from(RICH));
        }
        for contract in Contract::ALL {
            world.deploy(contract.at(0), contract.code());
            world.fund(contract.at(0), U256::from(1_000));
        }
        for slot in 0..2 {
            world.set_slot(Contract::Pool.at(0), U256::from(slot), U256::from(1_000_000_000_u64));
        }
        for index in 0..USERS {
            let balance_slot = U256::from_be_slice(user(index).as_slice());
            world.set_slot(Contract::Token.at(0), balance_slot, U256::from(1_000_000_u64));
        }
        deploy_system_contracts(&mut world, spec);

        let post_merge = spec.is_enabled_in(SpecId::MERGE);
        let mut block_env = BlockEnv {
            number: U256::from(1_000),
            beneficiary: BENEFICIARY,
            timestamp: U256::from(1_700_000_000_u64),
            gas_limit: 30_000_000,
            basefee: if spec.is_enabled_in(SpecId::LONDON) { 7_000_000_000 } else { 0 },
            difficulty: if post_merge { U256::ZERO } else { U256::from(131_072) },
            prevrandao: post_merge.then_some(B256::repeat_byte(0x44)),
            blob_excess_gas_and_price: None,
            slot_num: 0,
        };
        let mut cfg = CfgEnv::new().with_chain_id(CHAIN_ID).with_spec_and_mainnet_gas_params(spec);
        if spec.is_enabled_in(SpecId::CANCUN) {
            let (max_blobs, fraction) = if spec.is_enabled_in(SpecId::PRAGUE) {
                (9, eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE)
            } else {
                (6, eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN)
            };
            cfg.set_max_blobs_per_tx(max_blobs);
            block_env.set_blob_excess_gas_and_price(0, fraction);
        }
        let ctx = BlockContext {
            parent_hash: block_hash(999),
            parent_beacon_block_root: spec
                .is_enabled_in(SpecId::CANCUN)
                .then_some(B256::repeat_byte(0xbe)),
            ommers: Vec::new(),
            withdrawals: spec.is_enabled_in(SpecId::SHANGHAI).then(Vec::new),
            extra_data: Bytes::new(),
        };
        Self {
            rules: ForkRules::new(spec),
            env: EvmEnv::new(cfg, block_env),
            ctx,
            txs: Vec::new(),
            shadow: CacheDB::new(world),
            shadow_gas_used: 0,
            expected: Expected::default(),
        }
    }

    /// The state before the block, to change before the first transaction is added.
    pub fn world(&mut self) -> &mut MemoryParent {
        assert!(self.txs.is_empty(), "the world is set up before the first transaction");
        &mut self.shadow.db
    }

    /// Deploys `contract` as instance `instance` with `wei`, and returns its address.
    pub fn deploy(&mut self, contract: Contract, instance: u8, wei: u64) -> Address {
        let address = contract.at(instance);
        self.world().deploy(address, contract.code());
        self.world().fund(address, U256::from(wei));
        address
    }

    /// Lets an account start the block with a delegation.
    pub fn delegate(&mut self, authority: Address, to: Address) {
        self.world().set_code(authority, Bytecode::new_eip7702(to));
    }

    /// Pays the block's fees to `address`.
    pub fn beneficiary(&mut self, address: Address) {
        self.env.block_env.beneficiary = address;
    }

    /// Sets the block gas limit.
    pub fn gas_limit(&mut self, gas: u64) {
        self.env.block_env.gas_limit = gas;
    }

    /// The environment, for what has no method of its own.
    pub fn env(&mut self) -> &mut EvmEnv {
        &mut self.env
    }

    /// Whether blocks of this fork have withdrawals.
    pub const fn has_withdrawals(&self) -> bool {
        self.rules.spec.is_enabled_in(SpecId::SHANGHAI)
    }

    /// Whether blocks of this fork may have ommers.
    pub const fn has_ommers(&self) -> bool {
        !self.rules.spec.is_enabled_in(SpecId::MERGE)
    }

    /// Adds a withdrawal of `gwei`.
    pub fn withdrawal(&mut self, address: Address, gwei: u64) {
        let withdrawals = self.ctx.withdrawals.get_or_insert_default();
        let index = withdrawals.len() as u64;
        withdrawals.push(Withdrawal { index, validator_index: index, address, amount: gwei });
    }

    /// The pre- and post-block context, for what has no method of its own.
    pub fn ctx(&mut self) -> &mut BlockContext {
        &mut self.ctx
    }

    /// Makes this block the one with the DAO's irregular state change.
    pub fn dao_block(&mut self) {
        self.rules.dao_block = Some(self.env.block_env.number.saturating_to());
    }

    /// Adds a transaction that must succeed.
    pub fn ok(&mut self, request: Request) {
        self.push(&request);
        self.declare(true);
    }

    /// Adds a transaction that must be included but fail: reverted, out of gas, or halted.
    pub fn fails(&mut self, request: Request) {
        self.push(&request);
        self.declare(false);
    }

    /// Adds a transaction that makes the block invalid. Those added after it are never reached.
    pub fn rejected(&mut self, request: Request, reason: Rejection) {
        self.push(&request);
        let index = self.txs.len() - 1;
        self.expected.rejected.get_or_insert((index, reason));
    }

    /// Adds a transaction with the outcome the shadow finds, unless the shadow rejects it.
    /// Returns whether it was added.
    pub fn admit(&mut self, request: &Request) -> bool {
        let before = self.shadow_gas_used;
        if before.saturating_add(request.gas) > self.env.block_env.gas_limit {
            return false;
        }
        let (env, tx) = self.seal(request);
        match self.run(env.clone()) {
            Verdict::Executed { success } => {
                self.txs.push((env, tx));
                self.declare(success);
                true
            }
            Verdict::Rejected(_) => false,
        }
    }

    /// States something that holds after the block.
    pub fn fact(&mut self, fact: Fact) {
        self.expected.facts.push(fact);
    }

    /// States that the block is invalid for what happens after its last transaction.
    pub fn fails_at_end(&mut self) {
        self.expected.fails_at_end = true;
    }

    /// The nonce `address` has by now.
    pub fn nonce(&self, address: Address) -> u64 {
        self.account(address).0
    }

    /// The wei `address` has by now, before post-block rules.
    pub fn balance(&self, address: Address) -> U256 {
        self.account(address).1
    }

    /// The block with everything declared about it.
    pub fn finish(self) -> GeneratedBlock {
        GeneratedBlock {
            spec: self.rules.spec,
            rules: self.rules,
            env: self.env,
            ctx: self.ctx,
            txs: self.txs,
            parent: self.shadow.db,
            expected: self.expected,
        }
    }

    fn account(&self, address: Address) -> (u64, U256) {
        let Ok(info) = self.shadow.basic_ref(address);
        info.map_or((0, U256::ZERO), |info| (info.nonce, info.balance))
    }

    fn seal(&self, request: &Request) -> (TxEnv, Recovered<Transaction>) {
        request.seal(request.nonce.unwrap_or_else(|| self.nonce(request.from)))
    }

    fn push(&mut self, request: &Request) {
        let (env, tx) = self.seal(request);
        self.run(env.clone());
        self.txs.push((env, tx));
    }

    fn declare(&mut self, success: bool) {
        if self.expected.rejected.is_none() {
            self.expected.statuses.push(success);
        }
    }

    fn run(&mut self, env: TxEnv) -> Verdict {
        let mut evm = EthEvmFactory::default().create_evm(&mut self.shadow, self.env.clone());
        match evm.transact_commit(env) {
            Ok(result) => {
                self.shadow_gas_used += result.tx_gas_used();
                Verdict::Executed { success: result.is_success() }
            }
            Err(EVMError::Transaction(error)) => {
                Verdict::Rejected(Rejection::of_transaction(&error))
            }
            Err(error) => panic!("the shadow's database cannot fail: {error}"),
        }
    }
}

fn deploy_system_contracts(world: &mut MemoryParent, spec: SpecId) {
    if spec.is_enabled_in(SpecId::CANCUN) {
        world.deploy(eip4788::BEACON_ROOTS_ADDRESS, eip4788::BEACON_ROOTS_CODE.clone());
    }
    if spec.is_enabled_in(SpecId::PRAGUE) {
        let contracts = [
            (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
            (
                eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
                &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
            ),
            (
                eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
                &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
            ),
        ];
        for (address, code) in contracts {
            world.deploy(address, code.clone());
        }
    }
}
