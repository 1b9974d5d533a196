//! What an execution shows of a block, held against its header.

use crate::{
    Engine, Executed, InvalidBlock, MemoryState, Parent, Reason,
    body::{self, Tx},
    rules::BlockRules,
    state::{BlockHashes, Committed},
};
use alloy_consensus::{
    Block, Eip658Value, EthereumReceipt, Receipt, ReceiptEnvelope, TxReceipt,
    proofs::calculate_receipt_root,
};
use alloy_eips::{
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7928::{ITEM_COST, compute_block_access_list_hash, total_bal_items},
};
use alloy_evm::{
    EthEvmFactory, Evm, EvmFactory,
    block::{BlockExecutionResult, BlockExecutor, BlockExecutorFactory},
    eth::{
        EthBlockExecutorFactory,
        dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY},
        spec::EthExecutorSpec,
    },
};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, Bloom, U256};
use revm::{
    context::{BlockEnv, TxEnv},
    database_interface::bal::BalDatabase,
    primitives::hardfork::SpecId,
};
use warpline_chainspec::ChainSpec;
use warpline_executor::{BlockInput, EthReceiptBuilder, EthTransaction, UnreachedEvmFactory};

/// The rules of a chain for its block executor, which must not know of the DAO fork: alloy-evm
/// moves the DAO's funds after the transactions, but they come first.
#[derive(Debug, Clone)]
struct ExecutionRules(ChainSpec);

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

/// The state after the DAO's funds have moved.
fn drain_dao(state: &MemoryState) -> MemoryState {
    let mut state = state.clone();
    let drained: U256 =
        DAO_HARDFORK_ACCOUNTS.iter().map(|address| state.take_balance(address)).sum();
    state.add_balance(DAO_HARDFORK_BENEFICIARY, drained);
    state
}

/// What makes Ethereum's EVMs: alloy-evm's factory or ours.
trait Evms: EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv> + 'static {}

impl<E: EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv> + 'static> Evms for E {}

/// A block with all that its execution needs.
pub(crate) struct Ready<'a> {
    pub(crate) rules: BlockRules<'a>,
    pub(crate) block: &'a Block<EthTransaction>,
    pub(crate) txs: &'a [Tx],
}

/// Ethereum's factory over a factory of EVMs.
type Factory<E> = EthBlockExecutorFactory<EthReceiptBuilder, ExecutionRules, E>;

impl Ready<'_> {
    fn factory<E>(&self, evms: E) -> Factory<E> {
        Factory::new(EthReceiptBuilder, ExecutionRules(self.rules.chain.clone()), evms)
    }

    fn input<E: Evms>(&self) -> BlockInput<'_, Factory<E>, Tx> {
        let (header, body) = (&self.block.header, &self.block.body);
        let withdrawals = body.withdrawals.as_ref().map(|list| list.as_slice());
        let chain = self.rules.chain;
        let ctx = chain.block_ctx(header, &body.ommers, withdrawals, self.txs.len());
        BlockInput { env: chain.evm_env(header), ctx, txs: self.txs }
    }

    /// Executes the block on the state of its parent and checks what comes out.
    pub(crate) fn run<H: BlockHashes + Sync>(
        &self,
        engine: &Engine,
        parent: Parent<'_, H>,
    ) -> Result<MemoryState, InvalidBlock> {
        let header = &self.block.header;
        let chain = self.rules.chain;
        let dao = chain.ethereum_fork_activation(EthereumHardfork::Dao);
        let drained = dao.transitions_at_block(header.number).then(|| drain_dao(parent.state));
        let parent = Parent { state: drained.as_ref().unwrap_or(parent.state), ..parent };
        let unreached = self.rules.unreached(header, parent.state);
        if unreached.is_empty() {
            let factory = self.factory(EthEvmFactory::default());
            let executed = engine.execute(&factory, self.input(), &parent)?;
            self.check(&factory, executed, parent)
        } else {
            let factory = self.factory(UnreachedEvmFactory(unreached));
            let executed = engine.execute_any(&factory, self.input(), &parent)?;
            self.check(&factory, executed, parent)
        }
    }

    /// Checks what came out of the execution.
    fn check<E: Evms, H: BlockHashes>(
        &self,
        factory: &Factory<E>,
        executed: Executed<EthereumReceipt>,
        parent: Parent<'_, H>,
    ) -> Result<MemoryState, InvalidBlock> {
        let (header, chain) = (&self.block.header, self.rules.chain);
        let Executed { result, diff } = executed;
        body::check_transactions(self.rules, self.block)?;
        InvalidBlock::compare(Reason::GasUsed, &header.gas_used, &result.gas_used)?;
        body::check_deposits(self.rules, header.timestamp, &result.receipts)?;
        let receipts_root = match chain.is_byzantium_active_at_block(header.number) {
            true => {
                let receipts: Vec<_> =
                    result.receipts.iter().map(TxReceipt::with_bloom_ref).collect();
                calculate_receipt_root(&receipts)
            }
            false => self.receipts_root_with_states(factory, parent, &result)?,
        };
        InvalidBlock::compare(Reason::ReceiptsRoot, &header.receipts_root, &receipts_root)?;
        let bloom = result.receipts.iter().fold(Bloom::ZERO, |all, receipt| all | receipt.bloom());
        InvalidBlock::compare(Reason::LogsBloom, &header.logs_bloom, &bloom)?;

        let mut state = parent.state.clone();
        state.apply(&diff);
        if chain.is_prague_active_at_timestamp(header.timestamp) {
            system_contracts(&state)?;
            let requests = Some(result.requests.requests_hash());
            InvalidBlock::compare(Reason::RequestsHash, &header.requests_hash, &requests)?;
        }
        InvalidBlock::compare(Reason::StateRoot, &header.state_root, &state.root())?;
        if self.rules.access_lists(header.timestamp) {
            self.check_access_list(factory, parent)?;
        }
        Ok(state)
    }

    /// Builds the block access list (EIP-7928) and checks it. It takes one more execution, on a
    /// database that notes what every transaction touches.
    fn check_access_list<E: Evms, H: BlockHashes>(
        &self,
        factory: &Factory<E>,
        parent: Parent<'_, H>,
    ) -> Result<(), InvalidBlock> {
        let failed = |error| InvalidBlock::new(Reason::Unexecuted, error);
        let header = &self.block.header;
        let input = self.input::<E>();
        let state = Committed { state: parent.state.clone(), hashes: parent.hashes };
        let noting = BalDatabase::new(state).with_bal_builder();
        let evm = factory.evm_factory().create_evm(noting, input.env);
        let mut executor = factory.create_executor(evm, input.ctx);
        executor.apply_pre_execution_changes().map_err(failed)?;
        for tx in self.txs {
            executor.evm_mut().db_mut().bump_bal_index();
            executor.execute_transaction(tx).map_err(failed)?;
        }
        executor.evm_mut().db_mut().bump_bal_index();
        let (evm, _) = executor.finish().map_err(failed)?;
        let list = evm.into_db().bal_state.take_built_alloy_bal().unwrap_or_default();
        let items = total_bal_items(&list);
        if items > header.gas_limit / ITEM_COST as u64 {
            let detail = format_args!("{items} items");
            return Err(InvalidBlock::new(Reason::AccessListSize, detail));
        }
        let hash = Some(compute_block_access_list_hash(&list));
        InvalidBlock::compare(Reason::AccessList, &header.block_access_list_hash, &hash)
    }

    /// The root of receipts that hold the state root after their transaction, as they did before
    /// Byzantium. It takes one more execution, committing to the state itself.
    fn receipts_root_with_states<E: Evms, H: BlockHashes>(
        &self,
        factory: &Factory<E>,
        parent: Parent<'_, H>,
        result: &BlockExecutionResult<EthereumReceipt>,
    ) -> Result<B256, InvalidBlock> {
        let failed = |error| InvalidBlock::new(Reason::Unexecuted, error);
        let input = self.input::<E>();
        let state = Committed { state: parent.state.clone(), hashes: parent.hashes };
        let evm = factory.evm_factory().create_evm(state, input.env);
        let mut executor = factory.create_executor(evm, input.ctx);
        executor.apply_pre_execution_changes().map_err(failed)?;
        let mut receipts = Vec::with_capacity(result.receipts.len());
        for (tx, receipt) in self.txs.iter().zip(&result.receipts) {
            executor.execute_transaction(tx).map_err(failed)?;
            let root = executor.evm_mut().db_mut().state.root();
            let receipt = Receipt {
                status: Eip658Value::PostState(root),
                cumulative_gas_used: receipt.cumulative_gas_used,
                logs: receipt.logs.clone(),
            };
            receipts.push(ReceiptEnvelope::Legacy(receipt.with_bloom()));
        }
        Ok(calculate_receipt_root(&receipts))
    }
}

/// From Prague on a block is invalid where the contracts that collect requests are absent.
fn system_contracts(state: &MemoryState) -> Result<(), InvalidBlock> {
    for address in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
        let account = state.account(&address);
        if account.is_none_or(|account| account.info().is_empty_code_hash()) {
            return Err(InvalidBlock::new(Reason::SystemContractAbsent, address));
        }
    }
    Ok(())
}
