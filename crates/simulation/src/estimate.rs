//! `eth_call`, `eth_estimateGas` and `eth_createAccessList`.

use crate::{
    Call, CallBlock, Limits, Outcome, Overrides, SimulationError, checks, reason,
    run::{End, Session},
};
use alloy_eips::eip2930::AccessList;
use alloy_evm::Database;
use alloy_primitives::{Bytes, TxKind};
use alloy_rpc_types_eth::TransactionRequest;
use revm::primitives::hardfork::SpecId;
use revm_inspectors::access_list::AccessListInspector;

/// What a plain transfer costs.
const TRANSFER_GAS: u64 = 21_000;
/// The most that a transaction may use from Osaka on (EIP-7825).
const MAX_TX_GAS: u64 = 1 << 24;
/// What a call with value gives its callee on top.
const STIPEND: u64 = 2_300;
/// An estimate may be this much too high, in thousandths.
const ERROR_RATIO: u64 = 15;

/// Executes a call and gives what it returns.
///
/// # Errors
/// A request that makes no sense, a call that no block could contain, code that fails, too little
/// time, or a state that cannot be read.
pub fn call<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    request: &TransactionRequest,
    overrides: Overrides<'_>,
    limits: &Limits,
) -> Result<Bytes, SimulationError<DB::Error>> {
    let mut session = Session::open(state, block, overrides, limits)?;
    let call = session.fill(request, limits.gas_cap)?;
    session.run(&call)?.returned()
}

/// Looks for the lowest gas limit with which a call succeeds, or one slightly higher.
///
/// # Errors
/// As [`call()`] has them, and [`SimulationError::GasRequired`] where no gas limit suffices.
pub fn estimate_gas<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    request: &TransactionRequest,
    overrides: Overrides<'_>,
    limits: &Limits,
) -> Result<u64, SimulationError<DB::Error>> {
    let mut session = Session::open(state, block, overrides, limits)?;
    let mut call = session.fill(request, limits.gas_cap)?;
    let asked = request.gas.map(|_| call.gas_limit).filter(|gas| *gas >= TRANSFER_GAS);
    let mut high = asked.unwrap_or(block.header.gas_limit);
    let spec = session.env.cfg_env.spec;
    if spec.is_enabled_in(SpecId::OSAKA) && !spec.is_enabled_in(SpecId::AMSTERDAM) {
        high = high.min(MAX_TX_GAS);
    }
    let balance = session.account(call.from)?.balance;
    let affordable = checks::affordable(&call, balance).map_err(SimulationError::Unaffordable)?;
    high = high.min(affordable.unwrap_or(u64::MAX));
    if limits.gas_cap != 0 {
        high = high.min(limits.gas_cap);
    }
    if is_transfer(&mut session, &call)?
        && let Ok(Attempt::Success(_)) = attempt(&mut session, &mut call, TRANSFER_GAS)
    {
        return Ok(TRANSFER_GAS);
    }
    let outcome = match attempt(&mut session, &mut call, high)? {
        Attempt::Success(outcome) => outcome,
        Attempt::Failure(outcome) => return Err(hopeless(outcome, high)),
    };
    search(&mut session, &mut call, &outcome, high)
}

/// How a try with some gas limit ended.
enum Attempt {
    Success(Outcome),
    /// In a way that more gas might have prevented; with what came of the code, if it ran.
    Failure(Option<Outcome>),
}

fn attempt<DB: Database>(
    session: &mut Session<DB>,
    call: &mut Call,
    gas: u64,
) -> Result<Attempt, SimulationError<DB::Error>> {
    call.gas_limit = gas;
    match session.run(call) {
        Ok(outcome) if outcome.is_success() => Ok(Attempt::Success(outcome)),
        Ok(outcome) => Ok(Attempt::Failure(Some(outcome))),
        Err(SimulationError::Invalid { reason, .. }) if reason.wants_gas() => {
            Ok(Attempt::Failure(None))
        }
        Err(SimulationError::Invalid { reason, gas_limit }) => {
            Err(SimulationError::InvalidEstimate { reason, gas_limit })
        }
        Err(error) => Err(error),
    }
}

/// Why all gas there is does not suffice.
fn hopeless<E>(outcome: Option<Outcome>, gas: u64) -> SimulationError<E> {
    use revm::context_interface::result::HaltReason::OutOfGas;
    match outcome {
        Some(Outcome { end: End::Revert, output, .. }) => SimulationError::Reverted(output),
        Some(Outcome { end: End::Halt(halt), .. }) if !matches!(halt, OutOfGas(_)) => {
            SimulationError::Failed(reason::of_halt(&halt).into_owned())
        }
        _ => SimulationError::GasRequired(gas),
    }
}

/// Narrows the range down from what the call used when it had `high`.
fn search<DB: Database>(
    session: &mut Session<DB>,
    call: &mut Call,
    outcome: &Outcome,
    mut high: u64,
) -> Result<u64, SimulationError<DB::Error>> {
    let mut low = outcome.gas_used.saturating_sub(1);
    // Most calls succeed with what they had used before refunds, as far as nested calls, which
    // get all but a 64th, leave it to them.
    let optimistic = outcome.max_gas_used.saturating_add(STIPEND).saturating_mul(64) / 63;
    let mut next = optimistic;
    while low.saturating_add(1) < high {
        if next < high {
            match attempt(session, call, next)? {
                Attempt::Success(_) => high = next,
                Attempt::Failure(_) => low = next,
            }
        }
        if u128::from(high - low) * 1000 < u128::from(high) * u128::from(ERROR_RATIO) {
            break;
        }
        // What calls need is rather near to what they use than to the limit.
        next = (low + (high - low) / 2).min(low.saturating_mul(2));
    }
    Ok(high)
}

fn is_transfer<DB: Database>(
    session: &mut Session<DB>,
    call: &Call,
) -> Result<bool, SimulationError<DB::Error>> {
    match call.to {
        TxKind::Call(to) if call.input.is_empty() => Ok(session.account(to)?.is_empty_code_hash()),
        _ => Ok(false),
    }
}

/// What a transaction accesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accesses {
    /// The list to put into the transaction.
    pub list: AccessList,
    /// Gas used with this list.
    pub gas_used: u64,
    /// How the code failed, in words, where it did.
    pub error: Option<String>,
}

/// Executes a call with the accesses of the execution before as its access list, until they are
/// the same.
///
/// # Errors
/// As [`call()`] has them, but for code that fails.
pub fn create_access_list<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    request: &TransactionRequest,
    overrides: Overrides<'_>,
    limits: &Limits,
) -> Result<Accesses, SimulationError<DB::Error>> {
    let mut session = Session::open(state, block, overrides, limits)?;
    let mut call = session.fill(request, limits.gas_cap)?;
    let mut list = call.access_list.take().unwrap_or_default();
    loop {
        call.access_list = Some(list.clone());
        let mut inspector = AccessListInspector::new(list.clone());
        let (result, ..) = session.inspect(&call, &mut inspector, true)?;
        let accessed = inspector.into_access_list();
        if accessed == list {
            let outcome = Outcome::new(result.result);
            let gas_used = outcome.gas_used;
            let error = match &outcome.end {
                End::Success => None,
                End::Revert => Some(reason::REVERTED.to_owned()),
                End::Halt(halt) => Some(reason::of_halt(halt).into_owned()),
            };
            return Ok(Accesses { list, gas_used, error });
        }
        list = accessed;
    }
}
