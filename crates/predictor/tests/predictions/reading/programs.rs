//! Random contracts: what is read is what runs.

use super::{accounts, accounts_of, target_of, world};
use crate::{CONTRACT, call, hashed, predict, push, slots, slots_of, user, watch, word};
use alloy_primitives::U256;
use proptest::prelude::*;
use revm::bytecode::opcode as op;
use warpline_predictor::{AccessHint, AccessPredictor, BlockValues, Care, Gaps, Outlook};

/// Something that a function does. Arguments are numbered from 0 to 2.
#[derive(Clone, Debug)]
enum Act {
    /// Looks at a slot.
    Slot(u8),
    /// Adds one to a slot.
    Count(u8),
    /// Adds to the entry of an argument in a mapping.
    Entry(u8),
    /// Looks at the slot that a slot names.
    Chain(u8),
    /// Does one or the other, depending on whether an argument is below a number.
    IfArgument(u8, u8, Vec<Self>, Vec<Self>),
    /// The same for the value of a slot.
    IfSlot(u8, u8, Vec<Self>, Vec<Self>),
    /// The same for whether an account has code.
    IfCode(u8, Vec<Self>, Vec<Self>),
    /// Does something as often as an argument says.
    Loop(u8, Vec<Self>),
    /// Calls a contract with an argument, looks at the slot that it returns, and at another that
    /// depends on whether it succeeded.
    Call { delegate: bool, target: u8, argument: u8 },
    /// Reverts if an argument is above a number.
    Require(u8, u8),
    /// Looks at the slot that memory gives, of which some place or length is an argument.
    Memory(Laid, u8),
}

/// What an argument says of memory.
#[derive(Clone, Copy, Debug)]
enum Laid {
    /// How much of it is hashed, and from where on.
    Hashed,
    /// Where a word is.
    At(u8),
    /// Where it is copied from, where to, and how much of it.
    Copied(u8),
    /// How much there is.
    Size,
    /// Where what is handed to a call begins.
    Handed,
    /// How much is handed to a call, and where what it returns is put.
    Returned,
}

fn laid() -> impl Strategy<Value = Laid> {
    let copies = vec![op::MCOPY, op::CALLDATACOPY, op::CODECOPY, op::RETURNDATACOPY];
    prop_oneof![
        Just(Laid::Hashed),
        prop::sample::select(vec![op::MLOAD, op::MSTORE, op::MSTORE8]).prop_map(Laid::At),
        prop::sample::select(copies).prop_map(Laid::Copied),
        Just(Laid::Size),
        Just(Laid::Handed),
        Just(Laid::Returned),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let leaf = prop_oneof![
        (0_u8..16).prop_map(Act::Slot),
        (0_u8..16).prop_map(Act::Count),
        (0_u8..3).prop_map(Act::Entry),
        (0_u8..16).prop_map(Act::Chain),
        (any::<bool>(), 0_u8..4, 0_u8..3).prop_map(|(delegate, target, argument)| Act::Call {
            delegate,
            target,
            argument
        }),
        (0_u8..3, 3_u8..9).prop_map(|(argument, bound)| Act::Require(argument, bound)),
        (laid(), 0_u8..3).prop_map(|(laid, argument)| Act::Memory(laid, argument)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            (0_u8..3, 0_u8..8, some(), some()).prop_map(|(n, b, t, e)| Act::IfArgument(n, b, t, e)),
            (0_u8..16, 0_u8..8, some(), some()).prop_map(|(n, b, t, e)| Act::IfSlot(n, b, t, e)),
            (0_u8..5, some(), some()).prop_map(|(n, t, e)| Act::IfCode(n, t, e)),
            (0_u8..3, some()).prop_map(|(n, body)| Act::Loop(n, body)),
        ]
    })
}

/// Where memory begins that arguments say something of.
const MEMORY: u16 = 0x1000;

/// Adds one to the slot on the stack.
const COUNT: [u8; 7] = [op::DUP1, op::SLOAD, op::PUSH1, 1, op::ADD, op::SWAP1, op::SSTORE];

/// Writes code.
#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    loops: u16,
}

/// Where the target of a jump is to be filled in.
struct Jump(usize);

impl Assembler {
    fn put(&mut self, code: &[u8]) {
        self.code.extend_from_slice(code);
    }

    fn jump(&mut self, opcode: u8) -> Jump {
        self.put(&[op::PUSH2, 0, 0, opcode]);
        Jump(self.code.len() - 3)
    }

    fn land(&mut self, Jump(at): Jump) {
        let here = self.here();
        self.code[at..at + 2].copy_from_slice(&here.to_be_bytes());
    }

    fn here(&mut self) -> u16 {
        self.put(&[op::JUMPDEST]);
        u16::try_from(self.code.len() - 1).unwrap()
    }

    fn argument(&mut self, n: u8) {
        self.put(&[op::PUSH1, 4 + 32 * n, op::CALLDATALOAD]);
    }

    /// Depending on what is on the stack.
    fn either(&mut self, then: &[Act], otherwise: &[Act]) {
        let then_jump = self.jump(op::JUMPI);
        otherwise.iter().for_each(|act| self.act(act));
        let end = self.jump(op::JUMP);
        self.land(then_jump);
        then.iter().for_each(|act| self.act(act));
        self.land(end);
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Slot(slot) => self.put(&[op::PUSH1, *slot, op::SLOAD, op::POP]),
            Act::Count(slot) => {
                self.put(&[op::PUSH1, *slot]);
                self.put(&COUNT);
            }
            Act::Entry(argument) => {
                self.argument(*argument);
                self.put(&hashed(3));
                self.put(&COUNT);
            }
            Act::Chain(slot) => {
                self.put(&[op::PUSH1, *slot, op::SLOAD, op::PUSH1, 100, op::ADD, op::SLOAD]);
                self.put(&[op::POP]);
            }
            Act::IfArgument(argument, bound, then, otherwise) => {
                self.put(&[op::PUSH1, *bound]);
                self.argument(*argument);
                self.put(&[op::LT]);
                self.either(then, otherwise);
            }
            Act::IfSlot(slot, bound, then, otherwise) => {
                self.put(&[op::PUSH1, *bound, op::PUSH1, *slot, op::SLOAD, op::LT]);
                self.either(then, otherwise);
            }
            Act::IfCode(target, then, otherwise) => {
                self.put(&push(word(target_of(*target))));
                self.put(&[op::EXTCODESIZE]);
                self.either(then, otherwise);
            }
            Act::Loop(argument, body) => self.repeat(*argument, body),
            Act::Call { delegate, target, argument } => self.call(*delegate, *target, *argument),
            Act::Memory(laid, argument) => self.memory(*laid, *argument),
            Act::Require(argument, bound) => {
                self.argument(*argument);
                self.put(&[op::PUSH1, *bound, op::LT, op::ISZERO]);
                let fine = self.jump(op::JUMPI);
                self.put(&[op::PUSH0, op::PUSH0, op::REVERT]);
                self.land(fine);
            }
        }
    }

    /// An argument that is less than eight, times 32, in memory from `MEMORY` on.
    fn place(&mut self, argument: u8) {
        self.argument(argument);
        self.put(&[op::PUSH1, 7, op::AND, op::PUSH1, 5, op::SHL, op::PUSH2]);
        self.put(&MEMORY.to_be_bytes());
        self.put(&[op::ADD]);
    }

    fn memory(&mut self, laid: Laid, argument: u8) {
        for n in 0..11_u8 {
            let [high, low] = (MEMORY + 32 * u16::from(n)).to_be_bytes();
            self.put(&[op::PUSH1, 60 + n, op::PUSH2, high, low, op::MSTORE]);
        }
        let [high, low] = (MEMORY + 64).to_be_bytes();
        match laid {
            Laid::Hashed => {
                self.argument(argument);
                self.place(argument);
                self.put(&[op::KECCAK256]);
            }
            Laid::At(op::MLOAD) => {
                self.place(argument);
                self.put(&[op::MLOAD]);
            }
            Laid::At(code) => {
                self.put(&[op::PUSH1, 99]);
                self.place(argument);
                self.put(&[code, op::PUSH2, high, low, op::MLOAD]);
            }
            // Of the words from the beginning on, as many as the argument says.
            Laid::Copied(op::MCOPY) => {
                self.argument(argument);
                self.put(&[op::PUSH1, 7, op::AND, op::PUSH1, 5, op::SHL, op::PUSH2]);
                self.put(&MEMORY.to_be_bytes());
                self.put(&[op::PUSH2, high, low, op::MCOPY, op::PUSH2, high, low, op::MLOAD]);
            }
            Laid::Copied(code) => {
                if code == op::RETURNDATACOPY {
                    self.put(&[op::PUSH0; 5]);
                    self.put(&push(word(target_of(1))));
                    self.put(&[op::GAS, op::CALL, op::POP]);
                }
                self.argument(argument);
                match code {
                    op::RETURNDATACOPY => self.put(&[op::PUSH0]),
                    _ => self.argument(argument),
                }
                self.place(argument);
                self.put(&[code, op::PUSH2, high, low, op::MLOAD]);
            }
            Laid::Size => {
                self.place(argument);
                self.put(&[op::MLOAD, op::POP, op::MSIZE]);
            }
            Laid::Handed => {
                self.put(&[op::PUSH1, 32, op::PUSH2, high, low, op::PUSH1, 68]);
                self.place(argument);
                self.put(&[op::PUSH0]);
                self.put(&push(word(target_of(0))));
                self.put(&[op::GAS, op::CALL, op::POP, op::PUSH2, high, low, op::MLOAD]);
            }
            Laid::Returned => {
                self.argument(argument);
                self.place(argument);
                self.argument(argument);
                self.put(&[op::PUSH1, 5, op::SHL, op::PUSH0, op::PUSH0]);
                self.put(&push(word(target_of(1))));
                self.put(&[op::GAS, op::CALL, op::POP, op::PUSH2, high, low, op::MLOAD]);
            }
        }
        self.put(&[op::SLOAD, op::POP]);
    }

    /// The counter is in memory, in a place of its own.
    fn repeat(&mut self, argument: u8, body: &[Act]) {
        let counter = 0x400 + 32 * self.loops;
        self.loops += 1;
        let [high, low] = counter.to_be_bytes();
        self.put(&[op::PUSH0, op::PUSH2, high, low, op::MSTORE]);
        let start = self.here();
        self.argument(argument);
        self.put(&[op::PUSH1, 3, op::AND, op::PUSH2, high, low, op::MLOAD, op::LT, op::ISZERO]);
        let end = self.jump(op::JUMPI);
        body.iter().for_each(|act| self.act(act));
        self.put(&[op::PUSH2, high, low, op::MLOAD, op::PUSH1, 1, op::ADD]);
        self.put(&[op::PUSH2, high, low, op::MSTORE]);
        let [high, low] = start.to_be_bytes();
        self.put(&[op::PUSH2, high, low, op::JUMP]);
        self.land(end);
    }

    fn call(&mut self, delegate: bool, target: u8, argument: u8) {
        self.put(&push(U256::from(0x0102_0304_u64) << 224));
        self.put(&[op::PUSH2, 1, 0, op::MSTORE]);
        self.argument(argument);
        self.put(&[op::PUSH2, 1, 4, op::MSTORE, op::PUSH1, 9, op::PUSH2, 1, 36, op::MSTORE]);
        self.put(&[op::PUSH1, 32, op::PUSH2, 2, 0, op::PUSH1, 68, op::PUSH2, 1, 0]);
        if !delegate {
            self.put(&[op::PUSH0]);
        }
        self.put(&push(word(target_of(target))));
        self.put(&[op::GAS, if delegate { op::DELEGATECALL } else { op::CALL }]);
        self.either(&[Act::Slot(50)], &[Act::Slot(51)]);
        self.put(&[op::PUSH2, 2, 0, op::MLOAD, op::SLOAD, op::POP]);
    }
}

/// Instructions, with more of those that do something than chance gives.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => any::<u8>().prop_map(|byte| vec![byte]),
        4 => any::<u8>().prop_map(|byte| vec![op::PUSH1, byte]),
        1 => Just(vec![op::JUMPDEST]),
        2 => (0_u8..80).prop_map(|to| vec![op::PUSH1, to, op::JUMPI]),
        1 => (0_u8..80).prop_map(|to| vec![op::PUSH1, to, op::JUMP]),
        2 => (0x10_u8..0x60).prop_map(|byte| vec![op::DUP1, op::DUP1, op::DUP1, byte]),
        2 => (0xf0_u8..=0xff).prop_map(|byte| vec![op::DUP1, op::DUP1, op::DUP1, op::DUP1, byte]),
        1 => Just(push(U256::MAX)),
        1 => Just(vec![op::ADDRESS]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn where_everything_is_known_reading_finds_what_running_touches(
        acts in prop::collection::vec(act(), 1..6),
        arguments in prop::collection::vec(0_u64..8, 3),
        learned in prop::option::of(prop::collection::vec(0_u64..8, 3)),
    ) {
        let mut assembler = Assembler::default();
        acts.iter().for_each(|act| assembler.act(act));
        assembler.put(&[op::STOP]);
        let db = world(assembler.code);
        let tx = |arguments: &[u64]| {
            let arguments: Vec<_> = arguments.iter().map(|n| U256::from(*n)).collect();
            call(user(1), CONTRACT, 0x0a0b_0c0d, &arguments)
        };
        // What other arguments teach, by a run or by reading, may help, but not mislead.
        let (mut taught, mut has_read) = (AccessPredictor::default(), AccessPredictor::default());
        if let Some(other) = &learned {
            watch(&mut taught, &db, &tx(other));
            let (mut outlook, mut hint) = (Outlook::new(db.clone()), AccessHint::default());
            let block = BlockValues::default();
            has_read.predict(&tx(other), &block, &mut outlook, Care::Analytic, &mut hint);
            has_read.learn_read(&mut outlook);
        }
        let tx = tx(&arguments);
        let state = watch(&mut AccessPredictor::default(), &db, &tx);
        for predictor in [&AccessPredictor::default(), &has_read, &taught] {
            let hint = predict(predictor, &db, &tx, Care::Analytic);
            prop_assert_eq!(slots(&hint), slots_of(&state));
            prop_assert_eq!(accounts(&hint), accounts_of(&state));
            let Gaps { no_formula, undecided, cut_short, .. } = hint.gaps;
            prop_assert_eq!((no_formula, undecided, cut_short), (0, 0, 0));
        }
    }

    #[test]
    fn any_bytes_can_be_read(code in soup(), selector: u32, arguments in 0_usize..4) {
        let db = world(code);
        let tx = call(user(1), CONTRACT, selector, &vec![U256::from(40); arguments]);
        let mut predictor = AccessPredictor::default();
        let (mut outlook, mut hint) = (Outlook::new(db.clone()), AccessHint::default());
        let block = BlockValues::default();
        predictor.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
        let first = slots(&hint);
        predictor.predict(&tx, &block, &mut Outlook::new(db), Care::Analytic, &mut hint);
        prop_assert_eq!(slots(&hint), first);
        predictor.learn_read(&mut outlook);
        predictor.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
        predictor.predict(&tx, &block, &mut outlook, Care::Quick, &mut hint);
    }
}
