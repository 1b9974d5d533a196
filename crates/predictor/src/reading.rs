//! What a transaction touches according to the bytecode, where it calls a function that nobody has
//! called yet.
//!
//! The formulas of a call's stack and memory are followed through its code, as the recorder
//! follows them through an execution, and are computed from what the prediction knows: calldata,
//! the values of slots, what other calls are expected to return. Nothing is executed, and nothing
//! has to be known: an unknown condition leads where the code does not revert, an unknown length
//! is assumed. What the way through the code does is a [`Lesson`], like one of an execution.

mod way;

use crate::{
    call::{Call, Ending, is_precompile},
    expr::{Expr, ExprId},
    frame::Pending,
    hint::Source,
    predictor::Care,
    template::{Kept, Template},
    trace::{Lesson, Place, Step, TemplateKey},
    value::{Bytes, Formulas},
    walk::{CERTAIN_ENOUGH, Walk},
};
use alloy_primitives::{Address, B256, U256, hex};
use core::{cell::RefCell, fmt};
use elsa::FrozenVec;
use revm::{
    Database,
    bytecode::{Bytecode, OpCode, opcode as op},
};
use way::Way;

/// Instructions that are read for one prediction, with words of memory that they look at and
/// formulas that they make.
pub(crate) const INSTRUCTIONS: u32 = 200_000;

/// How certain what only the bytecode says is at best.
const ANALYSED: f32 = 0.9;

/// What is left of it where a condition decides of which nothing is known.
const GUESSED: f32 = 0.85;

/// How often guesses of one call that lead to a revert are changed.
const REVISIONS: u32 = 4;

/// Bytes of what is known of a function that take as long to copy as reading an instruction.
const BYTES: usize = 256;

/// Calls of which it is kept what was read, until somebody learns it.
const LESSONS: usize = 512;

/// What is read for one prediction.
#[derive(Default)]
pub(crate) struct Notes {
    findings: FrozenVec<Box<Findings>>,
    functions: FrozenVec<Box<Template>>,
}

/// What was found in the code of one call. Grows while it is read.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) exprs: FrozenVec<Box<Expr>>,
    /// Of each formula, as far as it is known.
    values: RefCell<Vec<Option<U256>>>,
    steps: FrozenVec<Box<Step<Kept>>>,
}

impl fmt::Debug for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (formulas, steps) = (self.exprs.len(), self.steps.len());
        f.debug_struct("Findings").field("formulas", &formulas).field("steps", &steps).finish()
    }
}

impl Findings {
    pub(crate) fn value(&self, id: ExprId) -> Option<U256> {
        self.values.borrow().get(id.index()).copied().flatten()
    }
}

impl<'p, S: Database> Walk<'p, S> {
    /// What is known of a function that was never called.
    pub(crate) fn without_template(&mut self, call: Call<'p>, function: TemplateKey) -> Ending<'p> {
        let code = self.state.code(call.target);
        if let Some(target) = code.as_ref().and_then(Bytecode::eip7702_address) {
            return self.delegated(call, function.code, target);
        }
        if let Some(target) = code.as_ref().and_then(minimal_proxy) {
            return self.forward(call, function.code, target);
        }
        self.hint.gaps.unseen_code += 1;
        self.read_instead(call, function)
    }

    /// An account hands its calls on to another, whose code runs as it is: what that hands on to a
    /// third itself is no instruction, and of a precompile there is no code (EIP-7702).
    fn delegated(&mut self, call: Call<'p>, hash: B256, to: Address) -> Ending<'p> {
        let is_delegated = |code: Bytecode| code.is_eip7702();
        let fails =
            self.state.code_hash(to).is_some() && self.state.code(to).is_some_and(is_delegated);
        if !fails && !is_precompile(&to) {
            return self.forward(call, hash, to);
        }
        self.touch(to, false, call.confidence, Source::Bytecode(hash));
        Ending { ok: Some(!fails), output: Bytes::Known(&[]) }
    }

    /// What the bytecode alone says of a function.
    pub(crate) fn read_instead(&mut self, mut call: Call<'p>, function: TemplateKey) -> Ending<'p> {
        call.confidence = call.confidence.min(ANALYSED);
        let known = match self.read.get(&function) {
            Some(known) => Some(*known),
            None => self.predictor.find_read(function),
        };
        if let Some(template) = known
            && let Some(ending) = self.follow(&call, Source::Bytecode(function.code), template)
        {
            return ending;
        }
        if self.care != Care::Analytic {
            return Ending::default();
        }
        let code = self.state.code(call.target);
        let read = code.and_then(|code| self.read_code(&call, function, &code));
        let Some((ending, lesson)) = read else { return Ending::default() };
        // What breaks off is no way through the function.
        if ending.ok.is_some() && self.state.lessons.len() < LESSONS {
            let size = known.map_or(0, Template::size) / BYTES;
            self.instructions = self.instructions.saturating_sub(size as u32);
            let mut template = known.cloned().unwrap_or_else(Template::new);
            template.learn(&lesson.trace, |_| None);
            self.read.insert(function, self.notes.functions.push_get(Box::new(template)));
            self.state.lessons.push(lesson);
        }
        ending
    }

    /// Reads the code of a call. Where a guess leads to a revert, another one is tried. How it
    /// ends, and what it did, with the selector if it looked at that.
    fn read_code(
        &mut self,
        call: &Call<'p>,
        TemplateKey { code: hash, selector }: TemplateKey,
        code: &Bytecode,
    ) -> Option<(Ending<'p>, Lesson)> {
        let before = self.overwritten.len();
        let mut guesses = Guesses::default();
        loop {
            let mut way = Way::new(code, selector)?;
            let found: &'p Findings = self.notes.findings.push_get(Box::default());
            let at = self.frames.len();
            self.begin(call, Source::Bytecode(hash), Formulas::Found(found), 0);
            let mut reading = Reading { at, found, confidence: call.confidence, guesses };
            self.depth += 1;
            let ending = self.read_on(&mut way, &mut reading);
            self.depth -= 1;
            guesses = reading.guesses;
            if ending.ok == Some(false) && guesses.revise() {
                self.undo(before);
                continue;
            }
            let (TemplateKey { selector, .. }, trace) = way.frame.into_trace();
            return Some((ending, Lesson { key: TemplateKey { code: hash, selector }, trace }));
        }
    }

    /// Follows the instructions until the call ends.
    fn read_on(&mut self, way: &mut Way<'_>, reading: &mut Reading<'p>) -> Ending<'p> {
        const UNKNOWN: Ending<'_> = Ending { ok: None, output: Bytes::Unknown };
        const REVERTED: Ending<'_> = Ending { ok: Some(false), output: Bytes::Unknown };
        loop {
            self.instructions = self.instructions.saturating_sub(way.effort());
            if self.instructions == 0 {
                self.hint.gaps.cut_short += 1;
                return UNKNOWN;
            }
            let opcode = way.opcode();
            let jumps = self.jumps(opcode, way, reading);
            if reading.confidence < CERTAIN_ENOUGH {
                return UNKNOWN;
            }
            let target = jumps.then(|| way.target());
            if OpCode::new(opcode).is_none() {
                return REVERTED;
            }
            if target == Some(None) || way.follow(jumps).is_none() {
                self.hint.gaps.cut_short += 1;
                return UNKNOWN;
            }
            if let Some(ending) = self.perform(way, reading) {
                return ending;
            }
            if way.frame.lost {
                self.hint.gaps.cut_short += 1;
                return UNKNOWN;
            }
            if opcode == op::INVALID || !way.advance(target.flatten()) {
                return REVERTED;
            }
        }
    }

    /// Whether an instruction jumps, or is guessed to.
    fn jumps(&mut self, opcode: u8, way: &Way<'_>, reading: &mut Reading<'p>) -> bool {
        match opcode {
            op::JUMP => true,
            op::JUMPI => way.decided().or_else(|| way.spared()).unwrap_or_else(|| {
                self.hint.gaps.undecided += 1;
                reading.confidence *= GUESSED;
                reading.guesses.next()
            }),
            _ => false,
        }
    }

    /// Does what the instruction does that was just followed. How the call ends, if it does.
    fn perform(&mut self, way: &mut Way<'_>, reading: &Reading<'p>) -> Option<Ending<'p>> {
        // What is loaded has a value once it is said what is loaded.
        self.evaluate(way, reading);
        match way.frame.pending.take() {
            Some(Pending::Call { kind, target, value, input, output }) => {
                let target = Place::new(target, U256::ZERO);
                way.frame.push_step(Step::Call { kind, target, value, input });
                way.frame.awaits = output;
                self.take_steps(way, reading);
                let returned = self.returned(reading.at).unwrap_or_else(|| way.assumed_return());
                way.call_ended(returned);
            }
            Some(Pending::Create { address }) => {
                way.frame.push_step(Step::Create { account: Place::new(address, U256::ZERO) });
                self.take_steps(way, reading);
                way.created(address);
            }
            None => {
                if let Some(ending) = self.take_steps(way, reading) {
                    return Some(ending);
                }
            }
        }
        self.evaluate(way, reading);
        None
    }

    /// Computes what is new.
    fn evaluate(&mut self, way: &mut Way<'_>, Reading { at, found, .. }: &Reading<'p>) {
        while let Some(expr) = way.next_formula() {
            let loads = self.frames[*at].loads.len();
            if matches!(expr, Expr::Loaded(n) if usize::from(*n) >= loads) {
                return;
            }
            self.instructions = self.instructions.saturating_sub(1);
            let expr = found.exprs.push_get(Box::new(expr.clone()));
            let value = self.compute(*at, expr, 0);
            found.values.borrow_mut().push(value);
            way.assume(expr, value);
        }
    }

    /// Takes the steps in that are new. How the call ends, if one of them says so.
    fn take_steps(&mut self, way: &Way<'_>, reading: &Reading<'p>) -> Option<Ending<'p>> {
        let Reading { at, found, confidence, .. } = *reading;
        while let Some(step) = way.frame.steps.get(found.steps.len()) {
            let step =
                found.steps.push_get(Box::new(step.clone().with_places(Kept::without_history)));
            // Conditions have been decided.
            if !matches!(step, Step::Guard { .. })
                && let Some(ending) = self.step(at, step, confidence)
            {
                return Some(ending);
            }
        }
        None
    }

    /// How many bytes the last call returned, if that is known.
    fn returned(&mut self, at: usize) -> Option<usize> {
        let Ending { output, .. } = *self.frames[at].calls.last()?;
        match output {
            Bytes::Unknown => None,
            output => usize::try_from(self.length(output, 0)?).ok(),
        }
    }
}

/// A call whose code is being read.
#[derive(Debug)]
struct Reading<'p> {
    /// Its frame.
    at: usize,
    found: &'p Findings,
    confidence: f32,
    guesses: Guesses,
}

/// Whether jumps are taken of which nothing is known.
#[derive(Debug, Default)]
struct Guesses {
    all: Vec<bool>,
    /// How many of them were asked for this time.
    asked: usize,
    revisions: u32,
}

impl Guesses {
    /// The next one. At first no jump is taken, since bodies of conditions and of loops are jumped
    /// over.
    fn next(&mut self) -> bool {
        if self.asked == self.all.len() {
            self.all.push(false);
        }
        self.asked += 1;
        self.all[self.asked - 1]
    }

    /// Begins anew with other ones, if there are some that were not tried.
    fn revise(&mut self) -> bool {
        self.all.truncate(self.asked);
        while self.all.pop_if(|taken| *taken).is_some() {}
        self.asked = 0;
        self.revisions += 1;
        match self.all.last_mut() {
            Some(last) if self.revisions <= REVISIONS => {
                *last = true;
                true
            }
            _ => false,
        }
    }
}

/// Whom a minimal proxy hands every call on to (EIP-1167).
fn minimal_proxy(code: &Bytecode) -> Option<Address> {
    let rest = code.original_byte_slice().strip_prefix(&hex!("363d3d373d3d3d363d73"))?;
    let (target, rest) = rest.split_at_checked(20)?;
    (rest == hex!("5af43d82803e903d91602b57fd5bf3")).then(|| Address::from_slice(target))
}
