//! What an execution shows of a block, held against its header.

use crate::{
    Engine, Executed, ImportError, InvalidBlock, Reason,
    before::{self, Rebalanced, Roots, StateBefore},
    body::{self, Tx},
    committed::Committed,
    receipts::Receipts,
    rules::BlockRules,
};
use alloy_consensus::{Block, EthereumReceipt};
use alloy_eips::{
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7928::{BlockAccessList, ITEM_COST, compute_block_access_list_hash, total_bal_items},
};
use alloy_evm::{
    EthEvmFactory, Evm, EvmFactory,
    block::{BlockExecutor, BlockExecutorFactory},
    eth::{
        EthBlockExecutorFactory,
        dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
        spec::EthExecutorSpec,
    },
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY};
use revm::{
    context::{BlockEnv, TxEnv},
    primitives::hardfork::SpecId,
};
use warpline_chainspec::ChainSpec;
use warpline_executor::{
    BlockInput, CommitStream, EarlyOutcome, EthReceiptBuilder, EthTransaction, ExecStats,
    ExecuteError, Expectations, Guidance, UnreachedEvmFactory,
};
use warpline_merger::first_list_difference;
use warpline_types::{StateDiff, TxIndex};

/// The rules of a chain for its block executor, which must not know of the DAO fork: alloy-evm
/// moves the DAO's funds after the transactions, but they come first.
#[derive(Debug, Clone)]
pub(crate) struct ExecutionRules(ChainSpec);

impl EthereumHardforks for ExecutionRules {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        match fork {
            EthereumHardfork::Dao => ForkCondition::Never,
            fork => self.0.ethereum_fork_activation(fork),
        }
    }
}

impl EthExecutorSpec for ExecutionRules {
    fn deposit_contract_address(&self) -> Option<Address> {
        self.0.deposit_contract_address()
    }
}

/// What makes Ethereum's EVMs: alloy-evm's factory or ours.
trait Evms: EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv> + 'static {}

impl<E: EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv> + 'static> Evms for E {}

/// A block with all that its execution needs.
#[derive(Clone, Copy)]
pub(crate) struct Ready<'a> {
    pub(crate) rules: BlockRules<'a>,
    pub(crate) block: &'a Block<EthTransaction>,
    pub(crate) txs: &'a [Tx],
    /// The list that the block came with.
    supplied: Option<&'a BlockAccessList>,
    /// The list that the block had when it was executed before, as far as can be told.
    remembered: Option<&'a BlockAccessList>,
    /// What the transactions are expected to touch.
    expected: Option<&'a Expectations>,
    /// Who is told of changes while the block executes.
    stream: Option<&'a CommitStream>,
    /// The list is wanted even where no header commits to one.
    listed: bool,
    /// The root of the transactions, where somebody has computed it.
    transactions_root: Option<B256>,
    /// Somebody else holds the receipts against the header.
    unsettled: bool,
}

/// Ethereum's factory over a factory of EVMs.
type Factory<E> = EthBlockExecutorFactory<EthReceiptBuilder, ExecutionRules, E>;

/// Ethereum's own.
pub(crate) type EthFactory = Factory<EthEvmFactory>;

impl<'a> Ready<'a> {
    pub(crate) const fn new(
        rules: BlockRules<'a>,
        block: &'a Block<EthTransaction>,
        txs: &'a [Tx],
    ) -> Self {
        let (supplied, remembered, expected) = (None, None, None);
        let (stream, transactions_root) = (None, None);
        let (listed, unsettled) = (false, false);
        Self {
            rules,
            block,
            txs,
            supplied,
            remembered,
            expected,
            stream,
            listed,
            transactions_root,
            unsettled,
        }
    }

    /// The same block, the root of whose transactions is known.
    pub(crate) const fn with_transactions_root(self, transactions_root: Option<B256>) -> Self {
        Self { transactions_root, ..self }
    }

    /// The same block, whose receipts the caller holds against the header later:
    /// [`Receipts::check`].
    pub(crate) const fn unsettled(self) -> Self {
        Self { unsettled: true, ..self }
    }

    /// The same block with the block access list that it came with, if it did.
    pub(crate) const fn with_list(self, supplied: Option<&'a BlockAccessList>) -> Self {
        Self { supplied, ..self }
    }

    /// The same block with the list that it had before, if that is known: one that is wrong costs
    /// time.
    pub(crate) const fn remembering(self, remembered: Option<&'a BlockAccessList>) -> Self {
        Self { remembered, ..self }
    }

    /// The same block, whose list is wanted, or only if its header commits to one.
    pub(crate) const fn listing(self, listed: bool) -> Self {
        Self { listed, ..self }
    }

    /// The same block, whose transactions are expected to touch something.
    pub(crate) const fn expecting(self, expected: Option<&'a Expectations>) -> Self {
        Self { expected, ..self }
    }

    /// The same block, with somebody who is told of changes while it executes.
    pub(crate) const fn streaming(self, stream: Option<&'a CommitStream>) -> Self {
        Self { stream, ..self }
    }

    fn guidance(&self) -> Guidance<'a> {
        let demanded = self.rules.access_lists(self.block.header.timestamp);
        Guidance {
            expected: self.expected,
            access_list: self.supplied.or(self.remembered),
            list_accesses: self.listed || demanded,
            stream: self.stream,
            ..Guidance::default()
        }
    }

    fn factory<E>(&self, evms: E) -> Factory<E> {
        Factory::new(EthReceiptBuilder, ExecutionRules(self.rules.chain.clone()), evms)
    }

    fn input<E: Evms>(&self) -> BlockInput<'_, Factory<E>, Tx> {
        let (header, body) = (&self.block.header, &self.block.body);
        let withdrawals = body.withdrawals.as_ref().map(|list| list.as_slice());
        let chain = self.rules.chain;
        let ctx = chain.block_ctx(header, &body.ommers, withdrawals, self.txs.len());
        let mut env = chain.evm_env(header);
        env.cfg_env.disable_eip3607 = self.rules.contracts_send;
        BlockInput { env, ctx, txs: self.txs }
    }

    /// Executes the block on the state of its parent and checks what comes out, all but the root
    /// of the state after it, the list of what it accessed, and the receipts of a block that is
    /// [unsettled](Self::unsettled).
    pub(crate) fn run<P: StateBefore>(
        &self,
        engine: &Engine,
        parent: &P,
    ) -> Result<Verified, ImportError> {
        if !self.drains_the_dao() {
            return self.run_on(engine, parent);
        }
        let drained = drain_dao(parent)?;
        let mut verified = self.run_on(engine, &drained)?;
        drained.complete(&mut verified.diff)?;
        Ok(verified)
    }

    /// Checks the block access list (EIP-7928) that the execution gave, where the header commits
    /// to one.
    pub(crate) fn check_access_list(&self, verified: &Verified) -> Result<(), InvalidBlock> {
        let header = &self.block.header;
        if !self.rules.access_lists(header.timestamp) {
            return Ok(());
        }
        let list = verified.access_list.as_deref().unwrap_or_default();
        let items = total_bal_items(list);
        if items > header.gas_limit / ITEM_COST as u64 {
            let detail = format_args!("{items} items");
            return Err(InvalidBlock::new(Reason::AccessListSize, detail));
        }
        let difference = self.supplied.and_then(|supplied| first_list_difference(supplied, list));
        if let Some(difference) = difference {
            return Err(InvalidBlock::new(Reason::AccessList, difference));
        }
        let hash = Some(compute_block_access_list_hash(list));
        InvalidBlock::compare(Reason::AccessList, &header.block_access_list_hash, &hash)
    }

    /// The block access list of the block, which must be valid, as revm's own builder makes it.
    pub(crate) fn access_list<P: StateBefore>(
        &self,
        parent: &P,
    ) -> Result<BlockAccessList, ImportError> {
        let listed = self.listing(true);
        let executed = match self.drains_the_dao() {
            true => listed.execute(&Engine::Sequential, &drain_dao(parent)?),
            false => listed.execute(&Engine::Sequential, parent),
        };
        Ok(executed?.access_list.unwrap_or_default())
    }

    /// Executes the block without holding the outcome against a header.
    pub(crate) fn execute<P: StateBefore>(
        &self,
        engine: &Engine,
        parent: &P,
    ) -> Result<Executed<EthereumReceipt>, ImportError> {
        self.execute_with(engine, Vec::new(), parent)
    }

    /// The same where some transactions, by their place, have been executed early.
    pub(crate) fn execute_with<P: StateBefore>(
        &self,
        engine: &Engine,
        early: Vec<Option<EarlyOutcome<EthFactory>>>,
        parent: &P,
    ) -> Result<Executed<EthereumReceipt>, ImportError> {
        let unreached = self.rules.unreached(&self.block.header, parent)?;
        Ok(if unreached.is_empty() {
            let factory = self.factory(EthEvmFactory::default());
            engine.execute_with_early(&factory, self.input(), self.guidance(), early, parent)?
        } else {
            let factory = self.factory(UnreachedEvmFactory(unreached));
            engine.execute_any(&factory, self.input(), self.guidance(), parent)?
        })
    }

    /// Executes the first transaction before there is a block.
    pub(crate) fn execute_early<P: StateBefore>(
        &self,
        engine: &Engine,
        parent: &P,
    ) -> Option<EarlyOutcome<EthFactory>> {
        let factory = self.factory(EthEvmFactory::default());
        let BlockInput { env, ctx, txs } = self.input::<EthEvmFactory>();
        let listed = self.guidance().list_accesses;
        engine.execute_early(&factory, (env, ctx), txs.first()?, listed, parent)
    }

    /// Whether what the first transaction came to elsewhere is what it would come to here.
    pub(crate) fn early_holds<P: StateBefore>(
        &self,
        engine: &Engine,
        early: &EarlyOutcome<EthFactory>,
        parent: &P,
    ) -> bool {
        let BlockInput { env, txs, .. } = self.input::<EthEvmFactory>();
        let listed = self.guidance().list_accesses;
        txs.first().is_some_and(|tx| engine.early_holds(&env, tx, early, listed, parent))
    }

    /// Executes the transactions in order, each on top of those before it that are valid, and
    /// says what is wrong with the others.
    pub(crate) fn sift<P: StateBefore>(
        &self,
        parent: &P,
    ) -> Result<Vec<Option<InvalidBlock>>, ImportError> {
        let unreached = self.rules.unreached(&self.block.header, parent)?;
        if unreached.is_empty() {
            self.sift_with(&self.factory(EthEvmFactory::default()), parent)
        } else {
            self.sift_with(&self.factory(UnreachedEvmFactory(unreached)), parent)
        }
    }

    fn sift_with<E: Evms, P: StateBefore>(
        &self,
        factory: &Factory<E>,
        parent: &P,
    ) -> Result<Vec<Option<InvalidBlock>>, ImportError> {
        let input = self.input::<E>();
        let evm = factory.evm_factory().create_evm(Committed::new(parent.open()), input.env);
        let mut executor = factory.create_executor(evm, input.ctx);
        executor.apply_pre_execution_changes().map_err(ImportError::state)?;
        let mut verdicts = Vec::with_capacity(self.txs.len());
        for (tx, index) in self.txs.iter().zip(0..) {
            let error = match executor.execute_transaction(tx) {
                Ok(_) => None,
                Err(error) => {
                    let error = ExecuteError::Transaction { index: TxIndex(index), error };
                    match ImportError::from(error) {
                        ImportError::Invalid(invalid) => Some(invalid),
                        error => return Err(error),
                    }
                }
            };
            verdicts.push(error);
        }
        Ok(verdicts)
    }

    fn drains_the_dao(&self) -> bool {
        let dao = self.rules.chain.ethereum_fork_activation(EthereumHardfork::Dao);
        dao.transitions_at_block(self.block.header.number)
    }

    fn run_on<P: StateBefore>(&self, engine: &Engine, parent: &P) -> Result<Verified, ImportError> {
        let unreached = self.rules.unreached(&self.block.header, parent)?;
        if unreached.is_empty() {
            let factory = self.factory(EthEvmFactory::default());
            let executed = engine.execute(&factory, self.input(), self.guidance(), parent)?;
            self.check(&factory, executed, parent)
        } else {
            let factory = self.factory(UnreachedEvmFactory(unreached));
            let executed = engine.execute_any(&factory, self.input(), self.guidance(), parent)?;
            self.check(&factory, executed, parent)
        }
    }

    /// Checks what came out of the execution.
    fn check<E: Evms, P: StateBefore>(
        &self,
        factory: &Factory<E>,
        executed: Executed<EthereumReceipt>,
        parent: &P,
    ) -> Result<Verified, ImportError> {
        let (header, chain) = (&self.block.header, self.rules.chain);
        let Executed { result, diff, access_list, stats } = executed;
        body::check_transactions(self.rules, self.block, self.transactions_root)?;
        InvalidBlock::compare(Reason::GasUsed, &header.gas_used, &result.gas_used)?;
        body::check_deposits(self.rules, header.timestamp, &result.receipts)?;
        let roots = match chain.is_byzantium_active_at_block(header.number) {
            true => Vec::new(),
            false => self.roots_between(factory, parent)?,
        };
        let receipts = Receipts { receipts: result.receipts, roots };
        if !self.unsettled {
            receipts.check(header)?;
        }
        if chain.is_prague_active_at_timestamp(header.timestamp) {
            let requests = result.requests.requests_hash();
            self.check_requests(parent, &diff, requests)
                .map_err(|e| receipts.wrong_or(header, e))?;
        }
        Ok(Verified { receipts, diff, access_list, stats })
    }

    fn check_requests<P: StateBefore>(
        &self,
        parent: &P,
        diff: &StateDiff,
        hash: B256,
    ) -> Result<(), ImportError> {
        system_contracts(parent, diff)?;
        let stated = &self.block.header.requests_hash;
        Ok(InvalidBlock::compare(Reason::RequestsHash, stated, &Some(hash))?)
    }

    /// The roots of the state after every transaction, which receipts held before Byzantium. It
    /// takes one more execution, committing after each.
    fn roots_between<E: Evms, P: StateBefore>(
        &self,
        factory: &Factory<E>,
        parent: &P,
    ) -> Result<Vec<B256>, ImportError> {
        if self.txs.is_empty() {
            return Ok(Vec::new());
        }
        let input = self.input::<E>();
        let mut state = parent.roots()?;
        let evm = factory.evm_factory().create_evm(Committed::new(parent.open()), input.env);
        let mut executor = factory.create_executor(evm, input.ctx);
        executor.apply_pre_execution_changes().map_err(ImportError::state)?;
        let mut roots = Vec::with_capacity(self.txs.len());
        for tx in self.txs {
            executor.execute_transaction(tx).map_err(ImportError::state)?;
            let changes = executor.evm_mut().db_mut().take_changes();
            roots.push(state.root_after(&changes)?);
        }
        Ok(roots)
    }
}

/// What came out of a block whose header promises it.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The receipts, held against the header unless that was left to the caller.
    pub(crate) receipts: Receipts,
    /// What the block changed.
    pub(crate) diff: StateDiff,
    /// What it accessed, where the rules or somebody else wanted to know.
    pub(crate) access_list: Option<BlockAccessList>,
    /// How the execution went.
    pub(crate) stats: ExecStats,
}

/// The state after the DAO's funds have moved.
fn drain_dao<P: StateBefore>(state: &P) -> Result<Rebalanced<'_, P>, ImportError> {
    Rebalanced::new(state, &DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY)
}

/// From Prague on a block is invalid where the contracts that collect requests are absent.
fn system_contracts(parent: &impl StateBefore, diff: &StateDiff) -> Result<(), ImportError> {
    for address in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
        let changed = diff.accounts.iter().find(|account| account.address == address);
        let code_hash = match changed {
            Some(account) => account.after.map(|after| after.code_hash),
            None => before::account(parent, address)?.map(|account| account.code_hash),
        };
        if code_hash.is_none_or(|hash| hash == KECCAK256_EMPTY || hash.is_zero()) {
            return Err(InvalidBlock::new(Reason::SystemContractAbsent, address).into());
        }
    }
    Ok(())
}
