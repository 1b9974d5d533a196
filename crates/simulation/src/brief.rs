//! Calls on threads that must not be kept: they run for a moment only, or not at all.
//!
//! Handing a call to another thread costs more than most calls do. So one is begun where it
//! arrived, with all the gas it may use, since contracts see how much they have; and when it
//! turns out to take longer, it is given up and leaves no trace. Beside the jumps and reads that
//! every [deadline](crate::Deadline) counts, calls and hashes count here, and what cannot be
//! interrupted is not begun: the precompiles that may take long.

use crate::{
    CallBlock, Overlay, Overrides, SimulationError,
    deadline::{At, Deadline, Host, give_up, spend},
    run::Session,
};
use alloy_evm::Database;
use alloy_primitives::{Address, Bytes, TxKind};
use alloy_rpc_types_eth::TransactionRequest;
use revm::{
    bytecode::opcode,
    interpreter::{
        Instruction, InstructionExecResult, InstructionTable,
        instructions::{contract, system},
        interpreter::EthInterpreter,
    },
};
use std::time::Duration;

/// With more gas than this, even code that neither jumps nor calls may take long.
const MOST_GAS: u64 = 100_000_000;

/// A call of a contract counts as so many jumps.
const CALL: u32 = 64;
/// A jump takes as long as the hash of about so many bytes.
const HASHED: usize = 16;

/// Does what [`call`](crate::call()) does without overrides, if that takes no longer than
/// `within`; `None` if it might.
///
/// # Errors
/// As [`call`](crate::call()) has them, but for too little time.
pub fn call_briefly<DB: Database>(
    state: DB,
    block: CallBlock<'_>,
    request: &TransactionRequest,
    gas_cap: u64,
    within: Duration,
) -> Result<Option<Bytes>, SimulationError<DB::Error>> {
    // Signatures of delegations, proofs of blobs and new code are work before the first jump.
    let plain = matches!(request.to, Some(TxKind::Call(to)) if !is_long(&to))
        && request.authorization_list.is_none()
        && request.sidecar.is_none();
    let Some(deadline) = Deadline::after(within).filter(|_| plain) else { return Ok(None) };
    let mut state = Overlay::new(state);
    state.deadline = Some(deadline.brief());
    let mut session = Session::on(state, block, Overrides::default())?;
    let call = session.fill(request, gas_cap)?;
    if call.gas_limit > MOST_GAS {
        return Ok(None);
    }
    match session.run(&call) {
        Err(SimulationError::TimedOut(_)) => Ok(None),
        outcome => outcome?.returned().map(Some),
    }
}

/// Whether there is a precompile at this address, on any fork, that may take more than some
/// microseconds and does not say beforehand: powers (5), pairings (8), rounds of BLAKE2 (9),
/// proofs of blobs (10), and those of BLS12-381 (11 to 17).
fn is_long(address: &Address) -> bool {
    let (last, zeros) = match address.as_slice() {
        [zeros @ .., last] => (*last, zeros),
        [] => return false,
    };
    matches!(last, 5 | 8..=17) && zeros.iter().all(|byte| *byte == 0)
}

/// Has calls and hashes counted.
pub(crate) fn watch<DB: Database>(table: &mut InstructionTable<EthInterpreter, Host<'_, DB>>) {
    table[opcode::CALL as usize] = Instruction::new(call_of::<{ opcode::CALL }, DB>);
    table[opcode::CALLCODE as usize] = Instruction::new(call_of::<{ opcode::CALLCODE }, DB>);
    table[opcode::DELEGATECALL as usize] =
        Instruction::new(call_of::<{ opcode::DELEGATECALL }, DB>);
    table[opcode::STATICCALL as usize] = Instruction::new(call_of::<{ opcode::STATICCALL }, DB>);
    table[opcode::KECCAK256 as usize] = Instruction::new(keccak256);
}

fn call_of<const KIND: u8, DB: Database>(at: At<'_, '_, DB>) -> InstructionExecResult {
    // Below the gas; what is missing is noticed by the instruction.
    let to = at.interpreter.stack.peek(1).unwrap_or_default();
    if is_long(&Address::from_word(to.into())) {
        return give_up(at.host);
    }
    spend(at.host, CALL)?;
    contract::call::<KIND, _, _>(at)
}

fn keccak256<DB: Database>(at: At<'_, '_, DB>) -> InstructionExecResult {
    let length = at.interpreter.stack.peek(1).unwrap_or_default();
    // Longer than memory can be fails.
    spend(at.host, u32::try_from(length.saturating_to::<usize>() / HASHED).unwrap_or(u32::MAX))?;
    system::keccak256(at)
}
