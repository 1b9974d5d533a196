//! An end to executions that take too long.
//!
//! The EVM has no hook for this that costs nothing, so the two things that every long execution
//! does are counted: jumps, without which code comes to its end soon, and reads of the state. Only
//! an execution with a deadline counts them.

use crate::{brief, overlay::Overlay};
use alloy_evm::{Database, EthEvm, eth::EthEvmContext, precompiles::PrecompilesMap};
use revm::{
    Inspector,
    bytecode::opcode,
    context::{ContextTr, JournalTr},
    context_interface::context::ContextError,
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::control, interpreter::EthInterpreter,
    },
};
use std::time::{Duration, Instant};

/// How many jumps take as long as a look at the clock should be apart.
const JUMPS: u32 = 4096;
/// A read of the state counts as so many jumps.
const READ: u32 = 256;

/// When an execution has to end.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
    credit: u32,
    /// Whether everything is watched that may take a moment.
    brief: bool,
}

impl Deadline {
    /// `limit` from now; none where that is never.
    pub fn after(limit: Duration) -> Option<Self> {
        let at = Instant::now().checked_add(limit)?;
        Some(Self { at, limit, credit: JUMPS, brief: false })
    }

    /// The same for an execution on a thread that must not be kept.
    pub(crate) const fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    /// The limit, once it has passed.
    pub(crate) fn passed(&self) -> Option<Duration> {
        (Instant::now() >= self.at).then_some(self.limit)
    }

    pub(crate) fn after_read(&mut self) -> Option<Duration> {
        self.spend(READ)
    }

    fn spend(&mut self, effort: u32) -> Option<Duration> {
        match self.credit.checked_sub(effort) {
            Some(rest) => {
                self.credit = rest;
                None
            }
            None => {
                self.credit = JUMPS;
                self.passed()
            }
        }
    }
}

pub(crate) type Host<'a, DB> = EthEvmContext<&'a mut Overlay<DB>>;
pub(crate) type At<'c, 'a, DB> = InstructionContext<'c, Host<'a, DB>, EthInterpreter>;

/// An EVM on an overlay.
pub(crate) type OverlayEvm<'a, DB, I> = EthEvm<&'a mut Overlay<DB>, I, PrecompilesMap>;

/// Makes the EVM look at the deadline of the overlay it runs on.
pub(crate) fn watch<'a, DB, I>(evm: OverlayEvm<'a, DB, I>, inspect: bool) -> OverlayEvm<'a, DB, I>
where
    DB: Database,
    I: Inspector<Host<'a, DB>>,
{
    let mut inner = evm.into_inner();
    let deadline = inner.ctx.journal_mut().db_mut().deadline;
    let is_brief = deadline.is_some_and(|deadline| deadline.brief);
    let table = inner.instruction.instruction_table_mut();
    table[opcode::JUMP as usize] = Instruction::new(jump);
    table[opcode::JUMPI as usize] = Instruction::new(jumpi);
    if is_brief {
        brief::watch(table);
    }
    EthEvm::new(inner, inspect)
}

fn jump<DB: Database>(at: At<'_, '_, DB>) -> InstructionExecResult {
    spend(at.host, 1)?;
    control::jump(at)
}

fn jumpi<DB: Database>(at: At<'_, '_, DB>) -> InstructionExecResult {
    spend(at.host, 1)?;
    control::jumpi(at)
}

/// Fails once the effort so far has taken too long.
#[inline]
pub(crate) fn spend<DB: Database>(host: &mut Host<'_, DB>, effort: u32) -> InstructionExecResult {
    let deadline = host.journal_mut().db_mut().deadline.as_mut();
    match deadline.and_then(|deadline| deadline.spend(effort)) {
        None => Ok(()),
        Some(_) => give_up(host),
    }
}

/// Ends the execution as if its time were over.
pub(crate) fn give_up<DB: Database>(host: &mut Host<'_, DB>) -> InstructionExecResult {
    let deadline = host.journal_mut().db_mut().deadline;
    let limit = deadline.map_or(Duration::ZERO, |deadline| deadline.limit);
    *host.error() = Err(ContextError::Db(crate::OverlayError::TimedOut(limit)));
    Err(InstructionResult::FatalExternalError)
}
