//! Random small contracts. A few statements each, over few slots and few addresses, and nearly all
//! of them valid in the fork at hand: most executions do something, and much of it to the same
//! places.

use super::{
    asm::Asm,
    contracts::create2_address,
    rng::Rng,
    steps::{self, Cast},
};
use alloy_primitives::{Address, Bytes, U256};
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

/// How many programs the world has.
pub(super) const PROGRAMS: u64 = 6;

/// Slots, salts and topics are below this.
const FEW: u64 = 3;

/// Where the `index`-th program of the world lives.
pub(super) const fn address(index: u64) -> Address {
    let mut bytes = [0u8; 20];
    [bytes[0], bytes[1], bytes[19]] = [0xf0, 0x2e, index as u8];
    Address::new(bytes)
}

/// Where a program's CREATE2 puts a child.
pub(super) fn child(rng: &mut Rng) -> Address {
    let (parent, salt) = (address(rng.below(PROGRAMS)), rng.below(FEW));
    create2_address(parent, salt, &steps::init_code(rng.below(steps::INIT_CODES)))
}

/// The runtime code of a program.
pub(super) fn code(rng: &mut Rng, cast: Cast) -> Bytes {
    let mut writer = Writer { rng, cast, creates: true };
    let count = 2 + writer.rng.below(6);
    (0..count).fold(Asm::new(), |asm, _| writer.statement(asm, 1)).finish()
}

/// Init code that does something itself and deploys something small, for creations by
/// transactions.
pub(super) fn init_code(rng: &mut Rng, cast: Cast) -> Bytes {
    let mut writer = Writer { rng, cast, creates: false };
    let count = writer.rng.below(3);
    let constructor = (0..count).fold(Asm::new(), |asm, _| writer.statement(asm, 1));
    let count = writer.rng.below(4);
    let runtime = (0..count).fold(Asm::new(), |asm, _| writer.statement(asm, 1));
    super::asm::init_code(constructor, &runtime.finish())
}

struct Writer<'r> {
    rng: &'r mut Rng,
    cast: Cast,
    /// Creations are among the statements: init code inside init code grows fast.
    creates: bool,
}

impl Writer<'_> {
    /// Whether the fork has what came with `since`. Now and then it is used all the same.
    fn may(&mut self, since: SpecId) -> bool {
        self.cast.has(since) || self.rng.once_in(60)
    }

    fn slot(&mut self) -> u64 {
        self.rng.below(FEW)
    }

    /// Appends something that leaves the stack as it found it.
    fn statement(&mut self, asm: Asm, nesting: u8) -> Asm {
        match self.rng.below(32) {
            0..=3 => {
                let slot = self.slot();
                self.value(asm).store(slot)
            }
            4..=8 => {
                let slot = self.slot();
                self.value(asm).load(slot).op(op::ADD).store(slot)
            }
            9..=11 if nesting > 0 => {
                let parity = self.rng.once_in(2);
                let asm = self.value(asm);
                let asm = if parity { asm.push(1u64).op(op::AND) } else { asm };
                asm.when(|asm| {
                    let asm = self.statement(asm, nesting - 1);
                    self.statement(asm, nesting - 1)
                })
            }
            12 if nesting > 0 => {
                let count = 1 + self.rng.below(3);
                asm.times(count, |asm| self.statement(asm, nesting - 1))
            }
            13..=19 => self.call(asm),
            20 | 21 if self.creates => self.create(asm),
            22 => self.log(asm),
            23 | 24 if self.may(SpecId::CANCUN) => {
                let (slot, to) = (self.slot(), self.slot());
                let asm = asm.push(slot).op(op::TLOAD).push(1u64).op(op::ADD);
                asm.ops(&[op::DUP1]).push(slot).op(op::TSTORE).store(to)
            }
            25 if self.rng.once_in(2) => {
                let asm = self.value(asm).push(3u64).ops(&[op::AND, op::ISZERO]);
                asm.when(|asm| self.ending(asm))
            }
            26 => asm.times(20, |asm| {
                asm.push(64u64).push(0u64).op(op::KECCAK256).push(0u64).op(op::MSTORE)
            }),
            _ => {
                let slot = self.slot();
                self.observation(asm).store(slot)
            }
        }
    }

    /// Appends something after which nothing comes.
    fn ending(&mut self, asm: Asm) -> Asm {
        match self.rng.below(8) {
            0..=3 => self.target(asm).op(op::SELFDESTRUCT),
            4 | 5 => asm.push(32u64).push(0u64).op(op::REVERT),
            6 => asm.op(op::INVALID),
            _ => asm.label("forever").jump("forever"),
        }
    }

    /// Pushes something small: a constant, an argument, a slot, what was observed.
    fn value(&mut self, asm: Asm) -> Asm {
        match self.rng.below(10) {
            0..=2 => asm.push(self.rng.below(4)),
            3 | 4 => asm.word(1 + self.rng.below(2)),
            5 | 6 => asm.load(self.rng.below(FEW)),
            7 => asm.op(op::CALLVALUE),
            _ => self.observation(asm),
        }
    }

    /// Pushes what the world looks like from here.
    fn observation(&mut self, asm: Asm) -> Asm {
        match self.rng.below(14) {
            0..=3 => self.target(asm).op(op::BALANCE),
            4 | 5 if self.may(SpecId::ISTANBUL) => asm.op(op::SELFBALANCE),
            6 => asm.ops(&[op::COINBASE, op::BALANCE]),
            7 | 8 if self.may(SpecId::PETERSBURG) => self.target(asm).op(op::EXTCODEHASH),
            9 => self.target(asm).op(op::EXTCODESIZE),
            10 => {
                let asm = self.target(asm.push(32u64).push(0u64).push(0u64));
                asm.op(op::EXTCODECOPY).push(0u64).op(op::MLOAD)
            }
            11 => asm.op(op::GAS),
            12 => asm.push(1 + self.rng.below(3)).ops(&[op::NUMBER, op::SUB, op::BLOCKHASH]),
            _ => asm.ops(&[op::ADDRESS, op::BALANCE]),
        }
    }

    /// Pushes an address.
    fn target(&mut self, asm: Asm) -> Asm {
        match self.rng.below(10) {
            0 => asm.op(op::CALLER),
            1 => asm.op(op::COINBASE),
            2 => asm.op(op::ADDRESS),
            3 | 4 => asm.word(0),
            // The address of a creation, if that is what was stored here.
            5 => asm.load(0),
            6 | 7 => asm.push(address(self.rng.below(PROGRAMS))),
            _ => asm.push(self.cast.address(self.rng)),
        }
    }

    /// Calls somebody in one of the four ways, with arguments, and does something about the
    /// answer.
    fn call(&mut self, asm: Asm) -> Asm {
        let asm = asm.word(0).push(0u64).op(op::MSTORE);
        let asm = self.value(asm).push(32u64).op(op::MSTORE);
        let ways = [
            (op::CALL, SpecId::FRONTIER),
            (op::CALL, SpecId::FRONTIER),
            (op::CALL, SpecId::FRONTIER),
            (op::CALLCODE, SpecId::FRONTIER),
            (op::DELEGATECALL, SpecId::HOMESTEAD),
            (op::DELEGATECALL, SpecId::HOMESTEAD),
            (op::STATICCALL, SpecId::BYZANTIUM),
        ];
        let (way, since) = self.rng.pick(&ways);
        let way = if self.may(since) { way } else { op::CALL };
        let input = self.rng.pick(&[0u64, 32, 96]);
        let asm = asm.push(32u64).push(64u64).push(input).push(0u64);
        let asm = if way == op::CALL || way == op::CALLCODE { self.money(asm) } else { asm };
        let asm = self.target(asm);
        let asm = if self.rng.once_in(10) { asm.push(700u64) } else { asm.half_gas() };
        let asm = asm.op(way);
        match self.rng.below(6) {
            0 => asm.op(op::ISZERO).when(|asm| asm.push(0u64).push(0u64).op(op::REVERT)),
            1 | 2 => asm.store(self.rng.below(FEW)),
            3 => asm.op(op::POP).push(64u64).op(op::MLOAD).store(self.rng.below(FEW)),
            _ => asm.op(op::POP),
        }
    }

    /// Pushes an amount of wei: mostly nothing, sometimes more than there is.
    fn money(&mut self, asm: Asm) -> Asm {
        match self.rng.below(9) {
            0..=2 => asm.push(0u64),
            3 => asm.op(op::CALLVALUE),
            4 => asm.ops(&[op::ADDRESS, op::BALANCE]),
            5 => asm.push(600u64),
            6 if self.rng.once_in(2) => asm.push(U256::MAX >> 100),
            _ => asm.push(1 + self.rng.below(3)),
        }
    }

    /// Creates a contract and keeps its address in slot 0, or calls it at once.
    fn create(&mut self, asm: Asm) -> Asm {
        let code = steps::init_code(self.rng.below(steps::INIT_CODES));
        let asm = asm.data_to_memory(&code);
        let by_salt = self.may(SpecId::PETERSBURG) && !self.rng.once_in(3);
        let asm = if by_salt { asm.push(self.rng.below(FEW)) } else { asm };
        let asm = self.money(asm.push(code.len() as u64).push(0u64));
        let asm = asm.op(if by_salt { op::CREATE2 } else { op::CREATE });
        if self.rng.once_in(2) {
            return asm.store(0);
        }
        // Calldata makes a mortal child die at once.
        let input = self.rng.pick(&[0u64, 32]);
        let asm = asm.push(0u64).op(op::MSTORE).push(0u64).push(0u64).push(input).push(0u64);
        let asm = self.money(asm).push(0u64).op(op::MLOAD).half_gas().ops(&[op::CALL, op::POP]);
        asm.push(0u64).op(op::MLOAD).store(0)
    }

    fn log(&mut self, asm: Asm) -> Asm {
        let asm = self.value(asm).push(0u64).op(op::MSTORE);
        let topics = self.rng.below(5) as u8;
        let asm = (0..topics).fold(asm, |asm, _| self.value(asm));
        asm.push(32u64).push(0u64).op(op::LOG0 + topics)
    }
}
