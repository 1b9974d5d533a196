//! Watches an execution and writes down what each call did, as formulas.

use crate::{
    expr::ExprId,
    frame::{Frame, Moment, Pending},
    trace::{Lesson, Place, Step},
};
use alloy_primitives::{Address, B256, U256};
use revm::{
    Inspector,
    context_interface::ContextTr,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps, LegacyBytecode, MemoryTr},
    },
};

/// Calls of one transaction that are written down.
const CALLS: usize = 512;

/// An inspector that makes [`Lesson`]s of what it sees.
#[derive(Debug, Default)]
pub struct Recorder {
    frames: Vec<Frame>,
    lessons: Vec<Lesson>,
}

impl Recorder {
    /// What the transaction that was executed last teaches, and begins anew.
    pub fn finish(&mut self) -> Vec<Lesson> {
        self.frames.clear();
        std::mem::take(&mut self.lessons)
    }

    fn begin_call(&mut self, target: Address, code: B256, calldata: &[u8]) {
        if let Some(parent) = self.frames.last_mut() {
            if let Some(Pending::Call { kind, target: formula, value, input, output }) =
                parent.pending.take()
            {
                parent.awaits = output;
                let target = Place::new(formula, U256::from_be_bytes(target.into_word().0));
                parent.push_step(Step::Call { kind, target, value, input });
            } else {
                parent.lost = true;
            }
        }
        self.frames.push(Frame::new(code, calldata));
    }

    fn end_frame(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let constructor = frame.code.is_zero();
        if !constructor && !frame.steps.is_empty() && self.lessons.len() < CALLS {
            let (key, trace) = frame.into_trace();
            self.lessons.push(Lesson { key, trace });
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX, EthInterpreter> for Recorder {
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        let Some(frame) = self.frames.last_mut().filter(|frame| !frame.lost) else { return };
        let moment = Moment {
            opcode: interp.bytecode.opcode(),
            pc: interp.bytecode.pc(),
            code: interp.bytecode.bytecode_slice(),
            stack: interp.stack.data(),
            memory_size: interp.memory.size(),
            address: interp.input.target_address(),
        };
        if frame.follow(&moment).is_none() {
            frame.lost = true;
        }
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        let input = inputs.input.as_bytes(context);
        self.begin_call(inputs.bytecode_address, inputs.known_bytecode.0, &input);
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end_frame();
        if let Some(parent) = self.frames.last_mut() {
            parent.call_ended(outcome.result.output.len());
        }
    }

    fn create(&mut self, _: &mut CTX, _: &mut CreateInputs) -> Option<CreateOutcome> {
        // What constructors do is not learned: they run once.
        let mut frame = Frame::new(B256::ZERO, &[]);
        frame.lost = true;
        self.frames.push(frame);
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end_frame();
        let Some(parent) = self.frames.last_mut() else { return };
        let Some(Pending::Create { address: formula }) = parent.pending.take() else {
            parent.lost = true;
            return;
        };
        let found = outcome.address.unwrap_or_default();
        let account = Place::new(formula, U256::from_be_bytes(found.into_word().0));
        parent.push_step(Step::Create { account });
        let mask = parent.exprs.constant_of(U256::MAX >> 96);
        let address = match outcome.address {
            Some(_) => parent.exprs.op(revm::bytecode::opcode::AND, &[formula, mask]),
            None => ExprId::OPAQUE,
        };
        parent.create_ended(address);
    }
}
