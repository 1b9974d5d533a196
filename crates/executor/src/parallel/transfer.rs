//! Plain transfers without an EVM.
//!
//! A value transfer between two accounts without code needs no interpreter: it moves the value,
//! pays 21000 gas and raises a nonce. [`check`] accepts only transactions for which that is all
//! the mainnet rules do; whatever is unusual, invalid or near a limit it leaves to the EVM, which
//! stays the only judge of errors. Differential tests hold both to the same results.

use alloy_consensus::{Transaction, TransactionEnvelope};
use alloy_evm::{
    Database, Evm,
    eth::{EthTxResult, receipt_builder::ReceiptBuilder},
    precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    context::{Block, BlockEnv, Cfg},
    context_interface::result::{
        ExecutionResult, HaltReason, Output, ResultAndState, ResultGas, SuccessReason,
    },
    primitives::hardfork::SpecId,
    state::{AccountInfo, EvmState},
};
use warpline_merger::{CanonicalState, CommitSink};

/// What alloy-evm's Ethereum executor takes for a transaction's result.
pub(crate) type EthResult<R> =
    EthTxResult<HaltReason, <<R as ReceiptBuilder>::Transaction as TransactionEnvelope>::TxType>;

/// Gas of a transaction without data, access list and authorizations (yellow paper, G_transaction;
/// also the floor of EIP-7623).
const TRANSFER_GAS: u64 = 21_000;

/// An account after a transfer, by its id in the canonical state; `None` where it stays the same.
type After = (usize, Option<AccountInfo>);

/// The accounts after a transfer.
pub(crate) struct Effect([After; 3]);

impl Effect {
    pub(crate) fn apply<Db, S: CommitSink>(self, state: &mut CanonicalState<Db, S>) {
        for (id, info) in self.0 {
            match info {
                Some(info) => state.replace_info(id, info),
                None => state.note_access(id),
            }
        }
    }
}

/// The effect of `tx` if it is a plain transfer that certainly succeeds.
pub(crate) fn check<Db, S, E, Tx>(
    evm: &mut E,
    sender: Address,
    tx: &Tx,
    gas_left: u64,
) -> Option<Effect>
where
    Db: Database,
    S: CommitSink,
    E: Evm<
            DB = CanonicalState<Db, S>,
            Spec = SpecId,
            BlockEnv = BlockEnv,
            Precompiles = PrecompilesMap,
        >,
    Tx: Transaction,
{
    let TxKind::Call(recipient) = tx.kind() else { return None };
    let cfg = evm.cfg_env();
    let spec = cfg.spec;
    let usual_rules = spec.is_enabled_in(SpecId::SPURIOUS_DRAGON)
        && !spec.is_enabled_in(SpecId::AMSTERDAM)
        && !cfg.is_balance_check_disabled()
        && !cfg.is_nonce_check_disabled()
        && !cfg.is_base_fee_check_disabled()
        && !cfg.is_fee_charge_disabled()
        && !cfg.enable_amsterdam_eip2780
        && !cfg.enable_amsterdam_eip8037;
    let usual_price = cfg.gas_params.tx_base_stipend() == TRANSFER_GAS
        && cfg.gas_params.tx_floor_cost_base_gas() <= TRANSFER_GAS;
    let usual_type = match tx.ty() {
        0 => true,
        1 => spec.is_enabled_in(SpecId::BERLIN),
        2 => spec.is_enabled_in(SpecId::LONDON),
        _ => false,
    };
    let bare = tx.input().is_empty() && tx.access_list().is_none_or(|list| list.is_empty());
    let gas_fits = tx.gas_limit() >= TRANSFER_GAS
        && tx.gas_limit() <= gas_left
        && tx.gas_limit() <= cfg.tx_gas_limit_cap();
    let right_chain = tx.chain_id().is_none_or(|id| id == cfg.chain_id);
    if !(usual_rules && usual_price && usual_type && bare && gas_fits && right_chain) {
        return None;
    }

    // What revm demands of the header of every block it executes a transaction in.
    let block = evm.block();
    let whole_header = (!spec.is_enabled_in(SpecId::MERGE) || block.prevrandao().is_some())
        && (!spec.is_enabled_in(SpecId::CANCUN) || block.blob_excess_gas_and_price().is_some());
    if !whole_header {
        return None;
    }

    let london = spec.is_enabled_in(SpecId::LONDON);
    let base_fee = evm.block().basefee();
    let tip_fits = tx.max_priority_fee_per_gas().is_none_or(|tip| tip <= tx.max_fee_per_gas());
    if (london && tx.max_fee_per_gas() < u128::from(base_fee)) || !tip_fits {
        return None;
    }
    let price = tx.effective_gas_price(london.then_some(base_fee));
    let tip = if london { price.checked_sub(u128::from(base_fee))? } else { price };

    let beneficiary = evm.block().beneficiary();
    let apart = sender != recipient && sender != beneficiary && recipient != beneficiary;
    if !apart || evm.precompiles().get(&recipient).is_some() {
        return None;
    }
    effect(evm.db_mut(), [sender, recipient, beneficiary], tx, price, tip)
}

/// Moves value and fees between accounts, if none of them is unusual.
fn effect<Db: Database, S: CommitSink>(
    state: &mut CanonicalState<Db, S>,
    [sender, recipient, beneficiary]: [Address; 3],
    tx: &impl Transaction,
    price: u128,
    tip: u128,
) -> Option<Effect> {
    let gas = U256::from(TRANSFER_GAS);
    let most = U256::from(tx.gas_limit())
        .checked_mul(U256::from(tx.max_fee_per_gas()))?
        .checked_add(tx.value())?;

    let sender_id = state.load(sender).ok()?;
    let mut from = state.info(sender_id)?.clone();
    let sends = from.is_empty_code_hash() && from.nonce == tx.nonce() && from.balance >= most;
    from.nonce = from.nonce.checked_add(1).filter(|nonce| *nonce < u64::MAX)?;
    from.balance = from.balance.checked_sub(tx.value() + U256::from(price) * gas)?;
    if !sends {
        return None;
    }
    let recipient = credit(state, recipient, tx.value())?;
    let beneficiary = credit(state, beneficiary, U256::from(tip) * gas)?;
    Some(Effect([(sender_id, Some(from)), recipient, beneficiary]))
}

/// The account after a credit; `None` where the case is unusual.
fn credit<Db: Database, S: CommitSink>(
    state: &mut CanonicalState<Db, S>,
    address: Address,
    amount: U256,
) -> Option<After> {
    let id = state.load(address).ok()?;
    let Some(info) = state.info(id) else {
        let created = AccountInfo { balance: amount, ..AccountInfo::default() };
        return Some((id, (!amount.is_zero()).then_some(created)));
    };
    // An account that exists but is empty may be about to vanish (EIP-161).
    if info.is_empty() || !(info.is_empty_code_hash()) {
        return None;
    }
    if amount.is_zero() {
        return Some((id, None));
    }
    let balance = info.balance.checked_add(amount)?;
    Some((id, Some(AccountInfo { balance, ..info.clone() })))
}

/// The result of a plain transfer. Its state is empty: [`Effect::apply`] changes the accounts.
pub(crate) fn result<R: ReceiptBuilder>(
    tx_type: <R::Transaction as TransactionEnvelope>::TxType,
) -> EthResult<R> {
    let gas = ResultGas::default().with_total_gas_spent(TRANSFER_GAS).with_floor_gas(TRANSFER_GAS);
    let result = ExecutionResult::Success {
        reason: SuccessReason::Stop,
        gas,
        logs: Vec::new(),
        output: Output::Call(Bytes::new()),
    };
    EthTxResult {
        result: ResultAndState { result, state: EvmState::default() },
        blob_gas_used: 0,
        tx_type,
    }
}
