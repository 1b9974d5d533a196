//! One simulated block.

use super::{
    SimulateError, SimulatedBlock, SimulatedCall, StateRoots, UnsignedTransaction,
    logs::LogInspector, plan::Planned,
};
use crate::{
    Call, InvalidBlocks, Outcome, Overlay, SimulationError,
    checks::{self, Strictness},
    deadline::OverlayEvm,
    overrides,
    precompiles::PrecompileSet,
    run,
};
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Eip658Value, EthereumReceipt, Header, Receipt, ReceiptEnvelope,
    Transaction, TxReceipt,
    proofs::{calculate_receipt_root, calculate_withdrawals_root},
};
use alloy_eips::eip1559::{BaseFeeParams, INITIAL_BASE_FEE};
use alloy_evm::{
    Database, Evm, EvmEnv,
    block::BlockExecutor,
    eth::{EthBlockExecutor, EthTxResult},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bloom, TxKind, U256};
use alloy_rlp::{Encodable, length_of_length};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_trie::root::ordered_trie_root_with_encoder;
use revm::{Database as _, context_interface::result::ResultAndState, state::AccountInfo};
use warpline_chainspec::ChainSpec;
use warpline_executor::EthReceiptBuilder;

/// What the blocks of a simulation share.
pub(super) struct Simulation<'a, DB: Database, R> {
    pub(super) chain: &'a ChainSpec,
    pub(super) state: Overlay<DB>,
    pub(super) roots: &'a mut R,
    pub(super) validation: bool,
    pub(super) trace_transfers: bool,
    /// Gas that all calls to come may use.
    pub(super) gas_left: u64,
}

type Executor<'a, DB> =
    EthBlockExecutor<'a, OverlayEvm<'a, DB, LogInspector>, &'a ChainSpec, EthReceiptBuilder>;

/// Calls that were executed, in order.
#[derive(Default)]
struct Executed {
    transactions: Vec<UnsignedTransaction>,
    calls: Vec<SimulatedCall>,
    /// Before Byzantium, the root of the state after each call.
    roots: Vec<B256>,
    gas_used: u64,
}

impl<DB: Database, R: StateRoots> Simulation<'_, DB, R> {
    /// Executes a block.
    pub(super) fn block(
        &mut self,
        (parent, parent_hash): (&Header, B256),
        planned: &Planned<'_>,
    ) -> Result<SimulatedBlock, SimulateError<DB::Error, R::Error>> {
        let chain = self.chain;
        let mut header = self.header(parent, parent_hash, planned)?;
        let mut env = run::relaxed(chain.evm_env(&header));
        let blob_price = planned.overrides.blob_price().map_err(SimulationError::from)?;
        run::set_blob_price(&mut env, blob_price);
        let mut precompiles = PrecompileSet::new(env.cfg_env.spec);
        if let Some(changes) = planned.state {
            overrides::apply(changes, &mut self.state, &mut precompiles)?;
        }
        let shanghai = chain.is_shanghai_active_at_timestamp(header.timestamp);
        let withdrawals = shanghai.then(|| planned.overrides.withdrawals.clone());
        let withdrawals = withdrawals.map(Option::unwrap_or_default);

        let ctx = chain.block_ctx(
            &header,
            &[],
            withdrawals.as_ref().map(|list| list.as_slice()),
            planned.calls.len(),
        );
        let logs = LogInspector::new(self.trace_transfers);
        let evm = run::evm(&mut self.state, env, &precompiles, logs, true);
        let mut executor = EthBlockExecutor::new(evm, ctx, chain, EthReceiptBuilder);
        if let Err(error) = executor.apply_pre_execution_changes() {
            return Err(run::block_error(executor.evm_mut().db_mut(), &error).into());
        }
        let mut executed = Executed::default();
        for request in planned.calls {
            let strict = Strictness { nonce: self.validation, base_fee: self.validation };
            let call = execute(&mut executor, request, &executed, self.gas_left, strict)?;
            let gas_used = call.1.outcome.gas_used;
            self.gas_left = self.gas_left.saturating_sub(gas_used);
            executed.gas_used += gas_used;
            executed.transactions.push(call.0);
            executed.calls.push(call.1);
            if !chain.is_byzantium_active_at_block(header.number) {
                let changes = executor.evm_mut().db_mut().take_changes();
                executed.roots.push(self.roots.root_after(&changes).map_err(SimulateError::Roots)?);
            }
        }
        let finished = executor.finish();
        let result = match finished {
            Ok((_, result)) => result,
            Err(error) => return Err(run::block_error(&mut self.state, &error).into()),
        };

        header.gas_used = result.gas_used;
        if header.excess_blob_gas.is_some() {
            header.blob_gas_used = Some(result.blob_gas_used);
        }
        if chain.is_prague_active_at_timestamp(header.timestamp) {
            header.requests_hash = Some(result.requests.requests_hash());
        }
        header.withdrawals_root = withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
        let encode = |tx: &UnsignedTransaction, out: &mut Vec<u8>| out.extend(&tx.encoded);
        header.transactions_root = ordered_trie_root_with_encoder(&executed.transactions, encode);
        (header.receipts_root, header.logs_bloom) = receipts(&result.receipts, &executed.roots);
        let changes = self.state.take_changes();
        header.state_root = self.roots.root_after(&changes).map_err(SimulateError::Roots)?;

        let hash = header.hash_slow();
        self.state.set_block_hash(header.number, hash);
        let Executed { transactions, calls, .. } = executed;
        let size = size(&header, &transactions, withdrawals.as_ref());
        Ok(SimulatedBlock { header, hash, size, transactions, withdrawals, calls })
    }

    /// The header as far as it is known before the execution.
    fn header(
        &self,
        parent: &Header,
        parent_hash: B256,
        planned: &Planned<'_>,
    ) -> Result<Header, SimulationError<DB::Error>> {
        let (chain, time) = (self.chain, planned.time);
        let merged = chain.is_paris_active_at_block(planned.number);
        let mut header = Header {
            parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: parent.beneficiary,
            difficulty: if merged { U256::ZERO } else { parent.difficulty },
            gas_limit: parent.gas_limit,
            ..Header::default()
        };
        planned.overrides.apply(&mut header)?;
        (header.number, header.timestamp) = (planned.number, time);
        if chain.is_london_active_at_block(planned.number) {
            let fee = header.base_fee_per_gas.unwrap_or_else(|| self.base_fee(parent));
            header.base_fee_per_gas = Some(fee);
        } else {
            header.base_fee_per_gas = None;
        }
        if let Some(params) = chain.blob_params(time) {
            let excess = parent.excess_blob_gas.map(|excess| {
                let used = parent.blob_gas_used.unwrap_or_default();
                let fee = parent.base_fee_per_gas.unwrap_or_default();
                params.next_block_excess_blob_gas_osaka(excess, used, fee)
            });
            header.excess_blob_gas = Some(excess.unwrap_or_default());
            let root = planned.overrides.beacon_root.unwrap_or_default();
            header.parent_beacon_block_root = Some(root);
        }
        Ok(header)
    }

    /// The base fee of a block for which none was asked.
    fn base_fee(&self, parent: &Header) -> u64 {
        if !self.validation {
            return 0;
        }
        parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or(INITIAL_BASE_FEE)
    }
}

/// Executes a call as the next transaction of a block.
fn execute<DB: Database>(
    executor: &mut Executor<'_, DB>,
    request: &TransactionRequest,
    before: &Executed,
    gas_left: u64,
    strict: Strictness,
) -> Result<(UnsignedTransaction, SimulatedCall), SimulationError<DB::Error>> {
    let evm = executor.evm_mut();
    let from = request.from.unwrap_or_default();
    let sender = evm.db_mut().basic(from)?.unwrap_or_default();
    let env = EvmEnv { block_env: evm.block().clone(), cfg_env: evm.cfg_env().clone() };
    let call = fill(request, &env, &sender, before.gas_used, gas_left)?;
    checks::check(&call, &sender, &env, strict)
        .map_err(|reason| SimulationError::invalid(reason, call.gas_limit))?;
    let unsigned = UnsignedTransaction::new(&call, env.cfg_env.chain_id);

    let mut tx = call.tx_env(env.cfg_env.spec, env.cfg_env.chain_id);
    let blob_price = env.block_env.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
    if !tx.blob_hashes.is_empty() {
        // What is wrong with it, `check` knows better.
        tx.max_fee_per_blob_gas = tx.max_fee_per_blob_gas.max(blob_price);
    }
    evm.ctx_mut().cfg.disable_base_fee = !strict.base_fee && call.price.is_zero();
    let mut result = evm.transact_raw(tx).map_err(|error| run::from_evm(error, &call))?;
    if sender.nonce == u64::MAX && call.to != TxKind::Create {
        wrap_nonce(&mut result, &call);
    }
    let outcome = Outcome::new(result.result.clone());
    let logs = evm.components_mut().1.take();
    executor.commit_transaction(EthTxResult {
        result,
        blob_gas_used: unsigned.tx.blob_gas_used().unwrap_or_default(),
        tx_type: unsigned.tx.tx_type(),
    });
    Ok((unsigned, SimulatedCall { outcome, logs }))
}

/// Without validation a nonce may overflow, and begins anew then.
fn wrap_nonce<H>(result: &mut ResultAndState<H>, call: &Call) {
    if let Some(account) = result.state.get_mut(&call.from)
        && account.info.nonce == u64::MAX
    {
        account.info.nonce = 0;
    }
}

/// Fills in what a call leaves out: the sender's nonce, and all gas that the block has left.
fn fill<E>(
    request: &TransactionRequest,
    env: &EvmEnv,
    sender: &AccountInfo,
    used: u64,
    gas_left: u64,
) -> Result<Call, SimulationError<E>> {
    let limit = env.block_env.gas_limit;
    let gas = request.gas.unwrap_or_else(|| limit.saturating_sub(used));
    if used.saturating_add(gas) > limit {
        return Err(InvalidBlocks::GasLimitReached { used, limit }.into());
    }
    let request = TransactionRequest {
        nonce: Some(request.nonce.unwrap_or(sender.nonce)),
        gas: Some(gas.min(gas_left)),
        ..request.clone()
    };
    let cfg = &env.cfg_env;
    let london = cfg.spec.is_enabled_in(revm::primitives::hardfork::SpecId::LONDON);
    Call::fill(&request, 0, london, cfg.chain_id)
}

/// The root of receipts, with the roots of the state before Byzantium, and the bloom of all logs.
fn receipts(receipts: &[EthereumReceipt], roots: &[B256]) -> (B256, Bloom) {
    let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    if roots.is_empty() {
        let receipts: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
        return (calculate_receipt_root(&receipts), bloom);
    }
    let with_root = |(receipt, root): (&EthereumReceipt, &B256)| {
        let receipt = Receipt {
            status: Eip658Value::PostState(*root),
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        };
        ReceiptEnvelope::Legacy(receipt.with_bloom())
    };
    let receipts: Vec<_> = receipts.iter().zip(roots).map(with_root).collect();
    (calculate_receipt_root(&receipts), bloom)
}

/// The length of a block in RLP.
fn size(
    header: &Header,
    transactions: &[UnsignedTransaction],
    withdrawals: Option<&alloy_eips::eip4895::Withdrawals>,
) -> usize {
    let listed = |length: usize| length + length_of_length(length);
    let transactions = transactions.iter().map(UnsignedTransaction::length_in_block).sum();
    let ommers = listed(0);
    let withdrawals = withdrawals.map_or(0, |list| list.length());
    listed(header.length() + listed(transactions) + ommers + withdrawals)
}
