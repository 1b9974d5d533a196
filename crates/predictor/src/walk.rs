//! One prediction: walks the templates of a transaction's calls, as an execution would, and
//! computes only what addresses, slots and parting ways depend on.

use crate::{
    call::{Call, Ending, IDENTITY, is_precompile},
    distinct::Keyed,
    expr::ExprId,
    hint::{AccessHint, Source},
    outlook::Outlook,
    predictor::{AccessPredictor, BlockValues, Care, TxValues},
    reading::{INSTRUCTIONS, Notes},
    template::{Branch, Kept, Template},
    trace::{CallKind, Content, Step, TemplateKey},
    value::{Bytes, Formulas, Frame, Loaded},
};
use alloy_primitives::{Address, B256, U256, map::HashMap};
use revm::Database;
use smallvec::SmallVec;
use warpline_types::SlotKey;

/// Calls inside each other that are followed.
const DEPTH: usize = 24;

/// Most steps and formulas of one prediction, and those that every one may have.
const BUDGET: u32 = 50_000;
const LEAST: u32 = 1_000;

/// Gas that every transaction costs.
const INTRINSIC: u64 = 21_000;

/// What the instructions cost at least that most of them stand for.
const GAS_PER_STEP: u64 = 3;

/// Calls that most transactions make at most.
const FRAMES: usize = 16;

/// A share of the ways gone so far above which the next is hardly in doubt.
const SURE: f32 = 0.9;

/// How likely it is that a call goes the way that the last one went.
const SAME_AGAIN: f32 = 0.75;

/// What is left of the certainty where a condition has a value that was never seen; it does not
/// fall further where more have. Most conditions decide what is computed, not what is touched.
const ASTRAY: f32 = 0.7;

/// What is less certain than this is left out.
pub(crate) const CERTAIN_ENOUGH: f32 = 0.5;

/// The walk of one transaction.
pub(crate) struct Walk<'p, S> {
    pub(crate) predictor: &'p AccessPredictor,
    pub(crate) state: &'p mut Outlook<S>,
    pub(crate) block: &'p BlockValues,
    pub(crate) tx: &'p TxValues<'p>,
    pub(crate) hint: &'p mut AccessHint,
    pub(crate) frames: Vec<Frame<'p>>,
    pub(crate) depth: usize,
    pub(crate) budget: u32,
    pub(crate) care: Care,
    /// A condition had a value that was never seen.
    was_astray: bool,
    /// The call in which it had, if that is to be read instead.
    lost_in: Option<usize>,
    /// Every write since the beginning, as what it overwrote: in case it has to be taken back.
    pub(crate) overwritten: Vec<Overwritten>,
    /// What is read in bytecode.
    pub(crate) notes: &'p Notes,
    /// Functions that were read for this prediction.
    pub(crate) read: HashMap<TemplateKey, &'p Template>,
    /// Instructions that may still be read.
    pub(crate) instructions: u32,
}

/// A slot, and whether it is transient.
pub(crate) type Cell = (SlotKey, bool);

/// A write, and what was written there before in the same transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overwritten {
    cell: Cell,
    former: Option<Written>,
}

/// What a slot holds after it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    cell: Cell,
    /// The call that wrote it, and its formula of the value.
    frame: usize,
    value: ExprId,
    /// It had been written before: what passes through an account, or a lock, ends as it began.
    again: bool,
}

impl Keyed for Written {
    type Key = Cell;

    #[inline]
    fn key(&self) -> Cell {
        self.cell
    }
}

impl<'p, S: Database> Walk<'p, S> {
    pub(crate) fn new(
        predictor: &'p AccessPredictor,
        state: &'p mut Outlook<S>,
        block: &'p BlockValues,
        tx: &'p TxValues<'p>,
        care: Care,
        notes: &'p Notes,
        hint: &'p mut AccessHint,
    ) -> Self {
        let steps = tx.gas_limit.saturating_sub(INTRINSIC) / GAS_PER_STEP;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        Self {
            predictor,
            state,
            block,
            tx,
            hint,
            frames: Vec::with_capacity(FRAMES),
            depth: 0,
            budget: steps.clamp(LEAST, BUDGET),
            care,
            was_astray: false,
            lost_in: None,
            overwritten: Vec::new(),
            notes,
            read: HashMap::default(),
            instructions: steps.clamp(LEAST, INSTRUCTIONS),
        }
    }

    /// Follows the transaction's own call.
    pub(crate) fn run(&mut self, target: Address) {
        if !self.tx.value.is_zero() {
            self.state.memo.changed.insert(target);
        }
        let ending = self.enter(Call {
            target,
            address: target,
            caller: Some(self.tx.sender),
            value: Some(self.tx.value),
            input: Bytes::Known(self.tx.input),
            confidence: 1.0,
        });
        if ending.ok == Some(false) && !self.hint.gaps.leave_doubt() {
            for Written { cell: (key, transient), .. } in self.state.memo.written.as_slice() {
                if !transient {
                    self.hint.restored(*key);
                }
            }
        } else {
            self.leave_all();
        }
        self.state.memo.end(self.frames.drain(..).map(|frame| frame.loads));
    }

    /// The transaction ends with what it wrote.
    fn leave_all(&mut self) {
        for at in 0..self.state.memo.written.as_slice().len() {
            let written = self.state.memo.written.as_slice()[at];
            if let (key, false) = written.cell {
                self.leave(key, written);
            }
        }
    }

    /// The transaction ends with this in a slot.
    fn leave(&mut self, key: SlotKey, written: Written) {
        let followed = self.state.is_followed(key);
        if !followed && !written.again {
            return;
        }
        // What cannot be computed is most likely not far from what it was.
        let Some(value) = self.value(written.frame, written.value, 0) else { return };
        if written.again && self.state.storage(key) == Some(value) {
            self.hint.restored(key);
        } else if followed {
            self.state.expect(key, value);
        }
    }

    fn enter(&mut self, call: Call<'p>) -> Ending<'p> {
        if self.depth >= DEPTH {
            self.hint.gaps.cut_short += 1;
            return Ending::default();
        }
        if is_precompile(&call.target) {
            let output = if call.target == IDENTITY { call.input } else { Bytes::Unknown };
            return Ending::success(output);
        }
        let Some(code) = self.state.code_hash(call.target) else {
            return Ending::success(Bytes::Known(&[]));
        };
        let selector = self.selector(call.input);
        let function = TemplateKey { code, selector };
        let Some((key, template)) = self.predictor.find(code, selector) else {
            return self.without_template(call, function);
        };
        match self.follow(&call, Source::Template(key), template) {
            Some(ending) => ending,
            None => self.read_instead(call, function),
        }
    }

    /// Goes through a known function. `None` if it goes a way that was never gone and may be read
    /// instead; then nothing is left of what it wrote.
    pub(crate) fn follow(
        &mut self,
        call: &Call<'p>,
        source: Source,
        template: &'p Template,
    ) -> Option<Ending<'p>> {
        template.glance();
        let formulas = Formulas::Known(template);
        let (before, at) = (self.overwritten.len(), self.frames.len());
        self.begin(call, source, formulas, template.exprs.len());
        self.depth += 1;
        let ending = self.walk(at, template, call.confidence);
        self.depth -= 1;
        if self.lost_in == Some(at) {
            self.lost_in = None;
            self.undo(before);
            return None;
        }
        Some(ending)
    }

    /// Begins a call that has, or will have, these formulas.
    pub(crate) fn begin(
        &mut self,
        call: &Call<'p>,
        source: Source,
        formulas: Formulas<'p>,
        count: usize,
    ) {
        // So much memory is set aside.
        self.budget = self.budget.saturating_sub(count as u32 / 16);
        let (values, loads) = self.state.memo.enter(count);
        self.frames.push(Frame {
            formulas,
            source,
            address: call.address,
            caller: call.caller,
            value: call.value,
            input: call.input,
            values,
            loads,
            calls: SmallVec::new(),
        });
    }

    /// Takes back what was written since `overwritten` was so long.
    pub(crate) fn undo(&mut self, before: usize) {
        for Overwritten { cell, former } in self.overwritten.drain(before..).rev() {
            if let Some(former) = former {
                if let Some(written) = self.state.memo.written.get_mut(cell) {
                    *written = former;
                }
                continue;
            }
            self.state.memo.written.pop();
            if let (key, false) = cell {
                self.hint.restored(key);
            }
        }
    }

    /// The code hands every call on to another.
    pub(crate) fn forward(&mut self, mut call: Call<'p>, hash: B256, to: Address) -> Ending<'p> {
        self.touch(to, false, call.confidence, Source::Bytecode(hash));
        call.target = to;
        self.depth += 1;
        let ending = self.enter(call);
        self.depth -= 1;
        ending
    }

    fn walk(&mut self, at: usize, template: &'p Template, mut confidence: f32) -> Ending<'p> {
        let mut node = &template.nodes[0];
        loop {
            for step in node.steps_of(self.care) {
                if self.budget == 0 {
                    self.hint.gaps.cut_short += 1;
                    return Ending::default();
                }
                self.budget -= 1;
                if let Some(ending) = self.step(at, step, confidence) {
                    return ending;
                }
                if self.lost_in.is_some() {
                    return Ending::default();
                }
            }
            let Some(branch) = &node.branch else {
                // It broke off there, for want of gas perhaps, and nobody saw how it goes on.
                self.hint.gaps.cut_short += 1;
                self.lost(at);
                return Ending::default();
            };
            let Some((next, chance)) = self.choose(at, template, branch) else {
                return Ending::default();
            };
            confidence *= chance;
            if confidence < CERTAIN_ENOUGH || self.lost_in.is_some() {
                return Ending::default();
            }
            node = &template.nodes[next];
        }
    }

    /// A call goes a way that was never gone.
    fn astray(&mut self, at: usize) {
        self.hint.gaps.unseen_path += 1;
        self.lost(at);
    }

    /// A call goes on in a way that nobody saw, which can be read if that is wanted.
    fn lost(&mut self, at: usize) {
        if self.care == Care::Analytic {
            self.lost_in = Some(at);
        }
    }

    /// The way on, and how certain it is.
    fn choose(&mut self, at: usize, template: &Template, branch: &Branch) -> Option<(usize, f32)> {
        let value = branch.condition.and_then(|condition| self.value(at, condition, 0));
        let count = |node: usize| template.nodes[node].count;
        if let Some(value) = value
            && let Some(arm) = branch.arms.iter().find(|arm| arm.turn.agrees(value))
        {
            return Some((arm.node, 1.0));
        }
        let total: u32 = branch.arms.iter().map(|arm| count(arm.node)).sum();
        let usual = branch.arms.iter().max_by_key(|arm| count(arm.node))?.node;
        let share = count(usual) as f32 / total.max(1) as f32;
        if value.is_some() {
            self.astray(at);
            let again = core::mem::replace(&mut self.was_astray, true);
            return Some((usual, if again { share } else { share * ASTRAY }));
        }
        self.hint.gaps.undecided += u32::from(share < SURE);
        // What went this way last is the best guess where nobody knows why.
        Some((branch.last, share.max(SAME_AGAIN)))
    }

    pub(crate) fn step(
        &mut self,
        at: usize,
        step: &'p Step<Kept>,
        confidence: f32,
    ) -> Option<Ending<'p>> {
        let source = self.frames[at].source;
        let own = self.frames[at].address;
        match step {
            Step::Guard { condition, turn } => {
                if self.value(at, *condition, 0).is_some_and(|is| !turn.agrees(is)) {
                    self.astray(at);
                }
            }
            Step::Load { slot, transient } => self.load(at, slot, *transient, confidence),
            Step::Store { slot, value, transient, written, changed } => {
                let changes = u32::from(*changed) * 2 >= u32::from(*written);
                self.store(at, slot, (*value, *transient, changes), confidence);
            }
            Step::Touch { account } => {
                self.touch_place(at, account, false, confidence);
            }
            Step::Destroy { heir } => {
                self.touch_place(at, heir, true, confidence);
                self.changes(own, confidence, source);
                return Some(Ending::success(Bytes::Known(&[])));
            }
            Step::Create { account } => {
                if let Some(address) = self.touch_place(at, account, true, confidence) {
                    self.state.memo.changed.insert(address);
                }
                self.changes(own, confidence, source);
                self.hint.gaps.creations += 1;
                self.frames[at].calls.push(Ending::default());
            }
            Step::Call { kind, target, value, input } => {
                let ending = self.call(at, *kind, target, *value, input, confidence);
                self.frames[at].calls.push(ending);
            }
            Step::End { ok, output } => {
                let output = Bytes::Formula { frame: at, content: output };
                return Some(Ending { ok: Some(*ok), output });
            }
        }
        None
    }

    fn load(&mut self, at: usize, place: &Kept, transient: bool, confidence: f32) {
        let address = self.frames[at].address;
        let found = self.place(at, place);
        let loaded = match found {
            None => Loaded::Unknown,
            Some((slot, ..)) => {
                let key = SlotKey::new(address, slot);
                match self.state.memo.written.get((key, transient)) {
                    Some(written) => Loaded::Written(written.frame, written.value),
                    None if transient => Loaded::Zero,
                    None => Loaded::State(key),
                }
            }
        };
        self.frames[at].loads.push(loaded);
        if let (Some((slot, sure, source)), false) = (found, transient) {
            self.slot(address, slot, false, confidence * sure, source);
        }
    }

    fn store(
        &mut self,
        at: usize,
        place: &Kept,
        (value, transient, changes): (ExprId, bool, bool),
        confidence: f32,
    ) {
        let address = self.frames[at].address;
        let Some((slot, sure, source)) = self.place(at, place) else { return };
        let cell = (SlotKey::new(address, slot), transient);
        let new = Written { cell, frame: at, value, again: false };
        let former = match self.state.memo.written.get_mut(cell) {
            Some(known) => Some(core::mem::replace(known, Written { again: true, ..new })),
            None => {
                self.state.memo.written.push(new);
                None
            }
        };
        if self.care == Care::Analytic {
            self.overwritten.push(Overwritten { cell, former });
        }
        if !transient {
            self.slot(address, slot, changes, confidence * sure, source);
        }
    }

    fn call(
        &mut self,
        at: usize,
        kind: CallKind,
        target: &Kept,
        value: ExprId,
        input: &'p Content,
        confidence: f32,
    ) -> Ending<'p> {
        let Some((word, sure, source)) = self.place(at, target) else { return Ending::default() };
        let confidence = confidence * sure;
        let target = Address::from_word(word.into());
        let Frame {
            source: own_source, address: own, caller: own_caller, value: own_value, ..
        } = self.frames[at];
        // What is paid matters only if it is nothing.
        let value = if value == ExprId::ZERO { Some(U256::ZERO) } else { self.value(at, value, 0) };
        let pays = kind == CallKind::Call && value != Some(U256::ZERO);
        self.touch(target, pays, confidence, source);
        if pays {
            self.state.memo.changed.extend([target, own]);
            self.changes(own, confidence, own_source);
        }
        if confidence < CERTAIN_ENOUGH {
            return Ending::default();
        }
        let input = Bytes::Formula { frame: at, content: input };
        let (address, caller, value) = match kind {
            CallKind::Call => (target, Some(own), value),
            CallKind::Borrowed => (own, Some(own), value),
            CallKind::Delegate => (own, own_caller, own_value),
        };
        let before = self.overwritten.len();
        let ending = self.enter(Call { target, address, caller, value, input, confidence });
        if ending.ok == Some(false) {
            self.undo(before);
        }
        ending
    }
}
