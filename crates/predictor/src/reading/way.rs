//! One way through code.

use crate::{
    expr::{Expr, ExprId, Input, Piece},
    frame::{Frame, Moment},
    instruction::apply,
};
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::{Bytecode, JumpTable, opcode as op};

/// Bytes that a call returns where neither it nor the caller says how many.
const RETURNED: usize = 128;

/// Enough for everything.
const GAS: usize = 10_000_000;

/// Bytes of calldata where that is not known.
const CALLDATA: usize = 4 + 32 * 16;

/// Formulas of one call that are followed: all that a template may have.
const FORMULAS: usize = 8192;

/// Words of memory that an instruction looks at at most.
const WORDS: u32 = 2048;

/// Instructions in which a revert is looked for.
const AHEAD: usize = 64;

/// What a formula is taken to be, so that offsets in memory are numbers.
#[derive(Clone, Copy, Debug)]
struct Assumed {
    value: U256,
    /// It is known, or follows from calls that succeed and return what is asked for.
    sure: bool,
    /// It follows from how much gas is left.
    gas: bool,
}

impl Assumed {
    /// Too large to be an offset.
    const NOTHING: Self = Self { value: U256::MAX, sure: false, gas: false };
}

/// Where the way has come to.
#[derive(Debug)]
pub(super) struct Way<'c> {
    code: &'c [u8],
    jumps: &'c JumpTable,
    pc: usize,
    pub(super) frame: Frame,
    /// Of every formula of the frame so far.
    assumed: Vec<Assumed>,
    /// Bytes that the calls so far returned.
    returned: Vec<usize>,
    /// What is on the stack, as far as it has not changed since the last instruction.
    stack: Vec<U256>,
}

impl<'c> Way<'c> {
    /// The way into a function.
    pub(super) fn new(code: &'c Bytecode, selector: Option<[u8; 4]>) -> Option<Self> {
        let calldata = selector.as_ref().map_or(&[][..], |selector| &selector[..]);
        Some(Self {
            code: code.original_byte_slice(),
            jumps: code.legacy_jump_table()?,
            pc: 0,
            frame: Frame::with_limit(B256::ZERO, calldata, FORMULAS),
            assumed: Vec::new(),
            returned: Vec::new(),
            stack: Vec::new(),
        })
    }

    pub(super) fn opcode(&self) -> u8 {
        self.opcode_at(self.pc)
    }

    fn opcode_at(&self, pc: usize) -> u8 {
        self.code.get(pc).copied().unwrap_or(op::STOP)
    }

    /// How much there is to be done for the instruction: one, and one for each word of memory that
    /// it looks at, or that lies before those.
    pub(super) fn effort(&self) -> u32 {
        let words = |n| (self.operand(n).value.saturating_to::<u32>() / 32).min(WORDS);
        let (offset, lengths): (usize, &[usize]) = match self.opcode() {
            op::MLOAD | op::MSTORE | op::MSTORE8 => (0, &[]),
            op::KECCAK256 | op::RETURN | op::REVERT => (0, &[1]),
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY | op::MCOPY => (0, &[2]),
            op::CREATE | op::CREATE2 => (1, &[2]),
            op::EXTCODECOPY => (1, &[3]),
            op::DELEGATECALL | op::STATICCALL => (4, &[3, 5]),
            op::CALL | op::CALLCODE => (5, &[4, 6]),
            _ => return 1,
        };
        let grown = words(offset).saturating_sub(self.frame.memory_size() as u32 / 32);
        1 + grown + lengths.iter().map(|length| words(*length)).sum::<u32>()
    }

    /// Follows the formulas through the instruction. `taken` says whether it jumps. `None` if they
    /// cannot be followed.
    pub(super) fn follow(&mut self, taken: bool) -> Option<()> {
        let opcode = self.opcode();
        let new = self.frame.stack.iter().skip(self.stack.len());
        self.stack.extend(new.map(|id| assumed(&self.assumed, *id).value));
        if opcode == op::JUMPI
            && let Some(condition) = self.stack.iter_mut().nth_back(1)
        {
            *condition = U256::from(u8::from(taken));
        }
        let memory_size = self.frame.memory_size();
        let (pc, code, stack, address) = (self.pc, self.code, &self.stack[..], Address::ZERO);
        self.frame.follow(&Moment { opcode, pc, code, stack, memory_size, address })?;
        let changed = match opcode {
            op::SWAP1..=op::SWAP16 => usize::from(opcode - op::SWAP1) + 2,
            _ => 1,
        };
        self.stack.truncate(self.frame.stack.len().saturating_sub(changed));
        Some(())
    }

    /// Goes on behind the instruction, or to where it jumps. Whether code may go on there.
    pub(super) fn advance(&mut self, target: Option<usize>) -> bool {
        if let Some(target) = target {
            self.pc = target;
            return self.jumps.is_valid(target);
        }
        if let opcode @ op::PUSH1..=op::PUSH32 = self.opcode() {
            self.pc += usize::from(opcode - op::PUSH0);
        }
        self.pc += 1;
        true
    }

    /// The word on the stack that is the n-th from the top.
    fn operand(&self, n: usize) -> Assumed {
        let id = self.frame.stack.iter().nth_back(n);
        id.map_or(Assumed::NOTHING, |id| assumed(&self.assumed, *id))
    }

    /// Where a jump leads, if that is known.
    pub(super) fn target(&self) -> Option<usize> {
        let Assumed { value, sure, .. } = self.operand(0);
        sure.then(|| usize::try_from(value).unwrap_or(usize::MAX))
    }

    /// Whether a conditional jump is taken, if that is as good as certain.
    pub(super) fn decided(&self) -> Option<bool> {
        let Assumed { value, sure, .. } = self.operand(1);
        sure.then_some(!value.is_zero())
    }

    /// Whether it is taken, where one way on reverts and the other does not.
    pub(super) fn spared(&self) -> Option<bool> {
        let fails = |target| !self.jumps.is_valid(target) || self.reverts(target);
        let taken = self.target().is_some_and(fails);
        let not_taken = self.reverts(self.pc + 1);
        (taken != not_taken).then_some(not_taken)
    }

    /// Whether the code from here on reverts, whatever happens, before it looks at anything.
    fn reverts(&self, mut pc: usize) -> bool {
        let mut pushed = None;
        for _ in 0..AHEAD {
            let opcode = self.opcode_at(pc);
            pc += 1;
            pushed = match opcode {
                op::REVERT | op::INVALID => return true,
                op::PUSH0..=op::PUSH32 => {
                    let length = usize::from(opcode - op::PUSH0);
                    let word = self.code.get(pc..pc + length).unwrap_or_default();
                    pc += length;
                    U256::try_from_be_slice(word).and_then(|word| usize::try_from(word).ok())
                }
                op::JUMP => {
                    let Some(target) = pushed.filter(|target| self.jumps.is_valid(*target)) else {
                        return false;
                    };
                    pc = target;
                    None
                }
                op::STOP
                | op::RETURN
                | op::SELFDESTRUCT
                | op::JUMPI
                | op::SLOAD
                | op::SSTORE
                | op::CREATE..=op::DELEGATECALL
                | op::CREATE2..=op::STATICCALL => return false,
                _ => None,
            };
        }
        false
    }

    /// Bytes that the call under way returns as far as its caller is concerned.
    pub(super) fn assumed_return(&self) -> usize {
        match self.frame.awaits {
            [_, 0] => RETURNED,
            [_, room] => room,
        }
    }

    pub(super) fn call_ended(&mut self, returned: usize) {
        self.returned.push(returned);
        self.frame.call_ended(returned);
    }

    pub(super) fn created(&mut self, address: ExprId) {
        self.returned.push(0);
        let mask = self.frame.exprs.constant_of(U256::MAX >> 96);
        let address = self.frame.exprs.op(op::AND, &[address, mask]);
        self.frame.create_ended(address);
    }

    /// The first formula of which nothing is assumed.
    pub(super) fn next_formula(&self) -> Option<&Expr> {
        self.frame.exprs.exprs().get(self.assumed.len())
    }

    /// Takes the value of that formula, or assumes one.
    pub(super) fn assume(&mut self, expr: &Expr, value: Option<U256>) {
        let new = match value {
            Some(value) => Assumed { value, sure: true, gas: false },
            None => self.assumption(expr),
        };
        self.assumed.push(new);
    }

    fn assumption(&self, expr: &Expr) -> Assumed {
        let open = |value| Assumed { value: U256::from::<usize>(value), sure: false, gas: false };
        let sure = |value| Assumed { sure: true, ..open(value) };
        match expr {
            Expr::Small(_) | Expr::Large(_) => {
                let value = expr.constant().unwrap_or_default();
                Assumed { value, sure: true, gas: false }
            }
            Expr::Input(Input::Gas) => Assumed { gas: true, ..open(GAS) },
            Expr::Input(Input::CalldataSize) => open(CALLDATA),
            // An argument is the offset of an array, behind which comes its length.
            Expr::Calldata(at) if self.frame.exprs.constant(*at).is_some() => open(64),
            Expr::Calldata(_) => open(2),
            Expr::Input(_) | Expr::Loaded(_) | Expr::Account(..) => open(1),
            Expr::Success(_) => sure(1),
            Expr::ReturnSize(call) => {
                self.returned.get(usize::from(*call)).map_or(Assumed::NOTHING, |size| sure(*size))
            }
            Expr::ReturnWord(_, 0) => open(32),
            Expr::ReturnWord(..) => open(2),
            Expr::Op(code, of) => {
                let [a, b, c] = of.map(|id| assumed(&self.assumed, id));
                let all = |holds: fn(&Assumed) -> bool| [a, b, c].iter().all(holds);
                let gas = all(|of| of.sure || of.gas);
                // There is enough of it, however much.
                let enough = gas && matches!(*code, op::LT..=op::SGT);
                match apply(*code, a.value, b.value, c.value) {
                    Some(value) => Assumed { value, sure: enough || all(|of| of.sure), gas },
                    None => Assumed::NOTHING,
                }
            }
            Expr::Join(pieces) => self.joined(pieces),
            Expr::Entry(_) | Expr::Keccak(_) => Assumed::NOTHING,
        }
    }

    fn joined(&self, pieces: &[Piece]) -> Assumed {
        let (mut bytes, mut all_sure) = (Vec::with_capacity(32), true);
        for Piece { source, start, len } in pieces {
            let Assumed { value, sure, .. } = assumed(&self.assumed, *source);
            let (start, len) = (usize::from(*start), usize::from(*len));
            bytes.extend_from_slice(&value.to_be_bytes::<32>()[start..start + len]);
            all_sure &= sure;
        }
        Assumed { value: U256::from_be_slice(&bytes), sure: all_sure, gas: false }
    }
}

fn assumed(of: &[Assumed], id: ExprId) -> Assumed {
    of.get(id.index()).copied().unwrap_or(Assumed::NOTHING)
}
