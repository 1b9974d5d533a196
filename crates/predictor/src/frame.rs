//! One call while it is being watched: the formulas on its stack and in its memory.

mod bytes;

use crate::{
    expr::{Arena, Expr, ExprId, Input, Piece, Property},
    instruction::operands,
    memory::ShadowMemory,
    trace::{CallKind, Content, Place, Step, TemplateKey, Trace, Turn},
};
use alloy_primitives::{Address, B256, U256};
use bytes::FOLLOWED;
use revm::bytecode::opcode as op;

/// Formulas of one call that are followed.
const FORMULAS: usize = 4096;

/// Formulas that most calls have at least.
const USUAL: usize = 32;

/// Steps of one call that are followed.
const STEPS: usize = 4096;

/// A call or creation whose instruction ran and whose frame has not begun.
#[derive(Debug)]
pub(crate) enum Pending {
    Call { kind: CallKind, target: ExprId, value: ExprId, input: Content, output: [usize; 2] },
    Create { address: ExprId },
}

/// One call.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) code: B256,
    pub(crate) selector: Option<[u8; 4]>,
    selector_used: bool,
    pub(crate) exprs: Arena,
    pub(crate) steps: Vec<Step>,
    pub(crate) stored: Vec<Option<(Address, U256)>>,
    pub(crate) stack: Vec<ExprId>,
    memory: ShadowMemory,
    loads: u16,
    pub(crate) calls: u16,
    /// The call whose returned data is at hand.
    returned: Option<u16>,
    pub(crate) pending: Option<Pending>,
    /// Where the returned data of the call under way goes.
    pub(crate) awaits: [usize; 2],
    /// The formulas no longer follow the execution.
    pub(crate) lost: bool,
}

/// What the interpreter has at an instruction.
pub(crate) struct Moment<'a> {
    pub(crate) opcode: u8,
    pub(crate) pc: usize,
    pub(crate) code: &'a [u8],
    /// Top last.
    pub(crate) stack: &'a [U256],
    pub(crate) memory_size: usize,
    /// The account whose storage is in use.
    pub(crate) address: Address,
}

impl Moment<'_> {
    /// The n-th operand, from the top.
    fn operand(&self, n: usize) -> Option<U256> {
        self.stack.len().checked_sub(n + 1).map(|at| self.stack[at])
    }

    /// The n-th operand as an offset or a length; what is too large to be one ends the call.
    fn number(&self, n: usize) -> Option<usize> {
        usize::try_from(self.operand(n)?).ok().filter(|number| *number < 1 << 32)
    }
}

impl Frame {
    pub(crate) fn new(code: B256, calldata: &[u8]) -> Self {
        Self::with_limit(code, calldata, FORMULAS)
    }

    /// With so many formulas that are followed.
    pub(crate) fn with_limit(code: B256, calldata: &[u8], formulas: usize) -> Self {
        Self {
            code,
            selector: calldata.first_chunk().copied(),
            selector_used: false,
            exprs: Arena::with_room(formulas, USUAL),
            steps: Vec::new(),
            stored: Vec::new(),
            stack: Vec::new(),
            memory: ShadowMemory::default(),
            loads: 0,
            calls: 0,
            returned: None,
            pending: None,
            awaits: [0; 2],
            lost: false,
        }
    }

    pub(crate) fn into_trace(self) -> (TemplateKey, Trace) {
        let selector = self.selector.filter(|_| self.selector_used);
        let key = TemplateKey { code: self.code, selector };
        (key, Trace { exprs: self.exprs, steps: self.steps, stored: self.stored })
    }

    pub(crate) fn push_step(&mut self, step: Step) {
        if self.steps.len() >= STEPS {
            self.lost = true;
        } else {
            self.steps.push(step);
        }
    }

    /// Bytes of memory in use, as far as they are followed.
    pub(crate) fn memory_size(&self) -> usize {
        self.memory.len().next_multiple_of(32)
    }

    fn push(&mut self, id: ExprId) {
        self.stack.push(id);
    }

    fn pop(&mut self) -> ExprId {
        self.stack.pop().unwrap_or(ExprId::OPAQUE)
    }

    /// The formula of an operand that stays where it is.
    fn operand(&self, n: usize) -> ExprId {
        self.stack.iter().nth_back(n).copied().unwrap_or(ExprId::OPAQUE)
    }

    fn input(&mut self, input: Input) {
        let id = self.exprs.insert(Expr::Input(input));
        self.push(id);
    }

    fn constant(&mut self, value: U256) {
        let id = self.exprs.constant_of(value);
        self.push(id);
    }

    fn insert(&mut self, expr: Expr) {
        let id = self.exprs.insert(expr);
        self.push(id);
    }

    fn place(&mut self, at: &Moment<'_>, n: usize, formula: ExprId) -> Place {
        Place::new(formula, at.operand(n).unwrap_or_default())
    }

    /// Follows one instruction, before it runs. `None` if it cannot be followed.
    pub(crate) fn follow(&mut self, at: &Moment<'_>) -> Option<()> {
        if at.stack.len() != self.stack.len() {
            return None;
        }
        match at.opcode {
            code @ op::PUSH0..=op::PUSH32 => {
                let length = usize::from(code - op::PUSH0);
                let mut word = [0; 32];
                for (n, byte) in word[32 - length..].iter_mut().enumerate() {
                    *byte = at.code.get(at.pc + 1 + n).copied().unwrap_or_default();
                }
                self.constant(U256::from_be_bytes(word));
            }
            code @ op::DUP1..=op::DUP16 => {
                let depth = usize::from(code - op::DUP1) + 1;
                self.push(self.stack[self.stack.len().checked_sub(depth)?]);
            }
            code @ op::SWAP1..=op::SWAP16 => {
                let top = self.stack.len().checked_sub(1)?;
                let other = top.checked_sub(usize::from(code - op::SWAP1) + 1)?;
                self.stack.swap(top, other);
            }
            op::POP => drop(self.pop()),
            op::JUMPDEST | op::INVALID => {}
            code @ op::LOG0..=op::LOG4 => self.drop_operands(usize::from(code - op::LOG0) + 2),
            op::JUMP | op::JUMPI => self.jump(at),
            op::SLOAD | op::TLOAD | op::SSTORE | op::TSTORE => self.storage(at),
            op::MLOAD..=op::MSTORE8 | op::MCOPY | op::KECCAK256 => self.with_memory(at)?,
            op::CALLDATALOAD..=op::RETURNDATACOPY => self.data(at)?,
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => self.call(at)?,
            op::CREATE | op::CREATE2 => self.create(at)?,
            op::RETURN | op::REVERT => {
                let output = self.content(at, 0, 1);
                self.push_step(Step::End { ok: at.opcode == op::RETURN, output });
            }
            op::STOP => {
                let (tail, length) = (ExprId::OPAQUE, ExprId::ZERO);
                let output = Content { head: Box::default(), tail, length };
                self.push_step(Step::End { ok: true, output });
            }
            op::SELFDESTRUCT => {
                let formula = self.pop();
                let heir = self.place(at, 0, formula);
                self.push_step(Step::Destroy { heir });
            }
            code => self.other(at, code)?,
        }
        Some(())
    }

    fn drop_operands(&mut self, count: usize) {
        self.stack.truncate(self.stack.len().saturating_sub(count));
    }

    fn other(&mut self, at: &Moment<'_>, code: u8) -> Option<()> {
        if let Some(count) = operands(code) {
            let taken: [ExprId; 3] = core::array::from_fn(|n| match n < count {
                true => self.pop(),
                false => ExprId::ZERO,
            });
            let id = self.exprs.op(code, &taken[..count]);
            let id = self.fold_selector(id);
            self.push(id);
            return Some(());
        }
        match code {
            op::ADDRESS => self.input(Input::Address),
            op::ORIGIN => self.input(Input::Origin),
            op::CALLER => self.input(Input::Caller),
            op::CALLVALUE => self.input(Input::Value),
            op::GASPRICE => self.input(Input::GasPrice),
            op::COINBASE => self.input(Input::Beneficiary),
            op::TIMESTAMP => self.input(Input::Timestamp),
            op::NUMBER => self.input(Input::Number),
            op::DIFFICULTY => self.input(Input::PrevRandao),
            op::GASLIMIT => self.input(Input::GasLimit),
            op::CHAINID => self.input(Input::ChainId),
            op::BASEFEE => self.input(Input::BaseFee),
            op::PC => self.constant(U256::from(at.pc)),
            op::MSIZE => self.constant(U256::from(at.memory_size)),
            op::SELFBALANCE => {
                let own = self.exprs.insert(Expr::Input(Input::Address));
                self.property(Property::Balance, own);
            }
            op::GAS => self.input(Input::Gas),
            op::BLOBBASEFEE => self.push(ExprId::OPAQUE),
            op::BLOCKHASH | op::BLOBHASH => {
                self.pop();
                self.push(ExprId::OPAQUE);
            }
            op::BALANCE | op::EXTCODESIZE | op::EXTCODEHASH => {
                let account = self.touch(at);
                let property = match code {
                    op::BALANCE => Property::Balance,
                    op::EXTCODESIZE => Property::CodeSize,
                    _ => Property::CodeHash,
                };
                self.property(property, account);
            }
            op::EXTCODECOPY => {
                let _ = self.touch(at);
                let (to, _, length) = (self.pop(), self.pop(), self.pop());
                self.guard(length, at.operand(3));
                if let length @ 1.. = at.number(3)? {
                    self.guard(to, at.operand(1));
                    self.memory.forget(at.number(1)?, length);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn touch(&mut self, at: &Moment<'_>) -> ExprId {
        let formula = self.pop();
        let account = self.place(at, 0, formula);
        self.push_step(Step::Touch { account });
        formula
    }

    fn property(&mut self, property: Property, account: ExprId) {
        match account.is_opaque() {
            true => self.push(ExprId::OPAQUE),
            false => self.insert(Expr::Account(property, account)),
        }
    }

    /// The function selector is a part of the template's key, and so a constant.
    fn fold_selector(&mut self, id: ExprId) -> ExprId {
        let Some(selector) = self.selector else { return id };
        let Some(Expr::Op(code, [a, b, _])) = self.exprs.get(id) else { return id };
        let (code, a, b) = (*code, *a, *b);
        let is_first = |exprs: &Arena, id| matches!(exprs.get(id), Some(Expr::Calldata(at)) if *at == ExprId::ZERO);
        let found = match code {
            op::SHR => is_first(&self.exprs, b) && self.exprs.constant(a) == Some(U256::from(224)),
            op::DIV => {
                is_first(&self.exprs, a) && self.exprs.constant(b) == Some(U256::from(1) << 224)
            }
            _ => false,
        };
        if !found {
            return id;
        }
        self.selector_used = true;
        self.exprs.constant_of(U256::from(u32::from_be_bytes(selector)))
    }

    fn jump(&mut self, at: &Moment<'_>) {
        let target = self.pop();
        match at.opcode {
            op::JUMP => self.guard(target, at.operand(0)),
            _ => {
                let condition = self.pop();
                let holds = at.operand(1).is_some_and(|value| !value.is_zero());
                self.decide(condition, Turn::of_condition(holds));
            }
        }
    }

    /// What follows is as it is because a number is this one.
    fn guard(&mut self, formula: ExprId, number: Option<U256>) {
        let number = number.and_then(|number| u64::try_from(number).ok());
        self.decide(formula, Turn::Is(number.unwrap_or(u64::MAX)));
    }

    /// The same of bytes in memory: where they are matters only if there are any.
    fn guard_range(&mut self, at: &Moment<'_>, offset: usize, length: usize) {
        self.guard(self.operand(length), at.operand(length));
        if at.number(length) != Some(0) {
            self.guard(self.operand(offset), at.operand(offset));
        }
    }

    fn decide(&mut self, condition: ExprId, turn: Turn) {
        if self.exprs.constant(condition).is_none() {
            self.push_step(Step::Guard { condition, turn });
        }
    }

    fn storage(&mut self, at: &Moment<'_>) {
        let formula = self.pop();
        let slot = self.place(at, 0, formula);
        let transient = matches!(at.opcode, op::TLOAD | op::TSTORE);
        if matches!(at.opcode, op::SLOAD | op::TLOAD) {
            self.push_step(Step::Load { slot, transient });
            self.insert(Expr::Loaded(self.loads));
            self.loads = self.loads.saturating_add(1);
        } else {
            let value = self.pop();
            self.stored.push((!transient).then_some((at.address, slot.seen)));
            self.push_step(Step::Store { slot, value, transient, written: 0, changed: 0 });
        }
    }

    fn call(&mut self, at: &Moment<'_>) -> Option<()> {
        let with_value = matches!(at.opcode, op::CALL | op::CALLCODE);
        let kind = match at.opcode {
            op::CALLCODE => CallKind::Borrowed,
            op::DELEGATECALL => CallKind::Delegate,
            _ => CallKind::Call,
        };
        let first = if with_value { 3 } else { 2 };
        let input = self.content(at, first, first + 1);
        self.guard_range(at, first + 2, first + 3);
        let output = [at.number(first + 2), at.number(first + 3)].map(Option::unwrap_or_default);
        let _gas = self.pop();
        let target = self.pop();
        let value = if with_value { self.pop() } else { ExprId::ZERO };
        self.drop_operands(4);
        self.pending = Some(Pending::Call { kind, target, value, input, output });
        Some(())
    }

    fn create(&mut self, at: &Moment<'_>) -> Option<()> {
        if at.opcode == op::CREATE2 {
            self.guard_range(at, 1, 2);
        }
        let code = self.bytes(at, 1, 2);
        self.drop_operands(3);
        let address = match at.opcode {
            op::CREATE2 => {
                let salt = self.pop();
                self.address_of_create2(salt, code.into_vec())
            }
            _ => ExprId::OPAQUE,
        };
        self.pending = Some(Pending::Create { address });
        Some(())
    }

    /// `keccak256(0xff ‖ address ‖ salt ‖ keccak256(code))`, EIP-1014.
    fn address_of_create2(&mut self, salt: ExprId, code: Vec<Piece>) -> ExprId {
        let hash = self.exprs.keccak(code);
        let marker = self.exprs.constant_of(U256::from(0xff));
        let own = self.exprs.insert(Expr::Input(Input::Address));
        let piece = |source, start, len| Piece { source, start, len };
        let pieces =
            vec![piece(marker, 31, 1), piece(own, 12, 20), piece(salt, 0, 32), piece(hash, 0, 32)];
        self.exprs.keccak(pieces)
    }

    /// Takes in how the call under way ended, `returned` bytes long.
    pub(crate) fn call_ended(&mut self, returned: usize) {
        let call = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.returned = Some(call);
        let [to, room] = self.awaits;
        let length = returned.min(room);
        for n in (0..length.min(FOLLOWED)).step_by(32) {
            let word = self.exprs.insert(Expr::ReturnWord(call, n as u32));
            self.memory.write(to + n, word, length - n);
        }
        if length > FOLLOWED {
            self.memory.forget(to + FOLLOWED, length - FOLLOWED);
        }
        self.insert(Expr::Success(call));
    }

    /// Takes in the address of a creation, or that it failed.
    pub(crate) fn create_ended(&mut self, address: ExprId) {
        // It counts as a call, which may return the reason of its failure.
        let call = self.calls;
        self.calls = self.calls.saturating_add(1);
        self.returned = Some(call);
        self.push(address);
    }
}
