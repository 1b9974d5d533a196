//! One prediction: walks the templates of a transaction's calls, as an execution would, and
//! computes only what addresses, slots and parting ways depend on.

use crate::{
    expr::ExprId,
    hint::{AccessHint, AccountHint, SlotHint, Source},
    outlook::Outlook,
    predictor::{AccessPredictor, BlockValues, Care, TxValues},
    template::{Branch, Template},
    trace::{CallKind, Content, Place, Step, TemplateKey},
    value::{Bytes, Frame, Loaded},
};
use alloy_primitives::{Address, B256, U256, hex};
use indexmap::map::Entry;
use revm::{Database, bytecode::Bytecode};
use smallvec::SmallVec;
use warpline_types::SlotKey;

/// Calls inside each other that are followed.
const DEPTH: usize = 24;

/// Steps and formulas of one prediction.
const BUDGET: u32 = 50_000;

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
const CERTAIN_ENOUGH: f32 = 0.5;

/// How a call ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending<'p> {
    pub(crate) ok: Option<bool>,
    pub(crate) output: Bytes<'p>,
}

impl<'p> Ending<'p> {
    const fn success(output: Bytes<'p>) -> Self {
        Self { ok: Some(true), output }
    }
}

/// A call to be made.
struct Call<'p> {
    /// Whose code runs.
    target: Address,
    /// Whose storage it runs on.
    address: Address,
    caller: Option<Address>,
    value: Option<U256>,
    input: Bytes<'p>,
    confidence: f32,
}

/// The walk of one transaction.
pub(crate) struct Walk<'p, S> {
    predictor: &'p AccessPredictor,
    pub(crate) state: &'p mut Outlook<S>,
    pub(crate) block: &'p BlockValues,
    pub(crate) tx: &'p TxValues<'p>,
    hint: &'p mut AccessHint,
    pub(crate) frames: Vec<Frame<'p>>,
    depth: usize,
    pub(crate) budget: u32,
    care: Care,
    /// A condition had a value that was never seen.
    astray: bool,
}

/// What a slot holds after it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// The call that wrote it, and its formula of the value.
    frame: usize,
    value: ExprId,
    /// It had been written before: what passes through an account, or a lock, ends as it began.
    again: bool,
}

impl<'p, S: Database> Walk<'p, S> {
    pub(crate) fn new(
        predictor: &'p AccessPredictor,
        state: &'p mut Outlook<S>,
        block: &'p BlockValues,
        tx: &'p TxValues<'p>,
        care: Care,
        hint: &'p mut AccessHint,
    ) -> Self {
        Self {
            predictor,
            state,
            block,
            tx,
            hint,
            frames: Vec::with_capacity(FRAMES),
            depth: 0,
            budget: BUDGET,
            care,
            astray: false,
        }
    }

    /// Follows the transaction's own call.
    pub(crate) fn run(&mut self, target: Address) {
        let ending = self.enter(Call {
            target,
            address: target,
            caller: Some(self.tx.sender),
            value: Some(self.tx.value),
            input: Bytes::Known(self.tx.input),
            confidence: 1.0,
        });
        if ending.ok != Some(false) {
            self.leave_all();
        }
        self.state.memo.end(self.frames.drain(..).map(|frame| frame.loads));
    }

    /// The transaction ends with what it wrote.
    fn leave_all(&mut self) {
        for at in 0..self.state.memo.written.len() {
            if let Some(((key, false), written)) = self.state.memo.written.get_index(at) {
                self.leave(*key, *written);
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
        let Some((key, template)) = self.predictor.find(code, selector) else {
            return self.without_template(call, code);
        };
        let at = self.frames.len();
        let (values, loads) = self.state.memo.enter(template.exprs.len());
        self.frames.push(Frame {
            template,
            key,
            address: call.address,
            caller: call.caller,
            value: call.value,
            input: call.input,
            values,
            loads,
            calls: SmallVec::new(),
        });
        self.depth += 1;
        let ending = self.walk(at, template, call.confidence);
        self.depth -= 1;
        ending
    }

    /// What the bytecode alone says: to whom it hands everything on.
    fn without_template(&mut self, mut call: Call<'p>, hash: B256) -> Ending<'p> {
        let code = self.state.code(call.target);
        let Some(target) = code.and_then(|code| forwards_to(&code)) else {
            self.hint.gaps.unseen_code += 1;
            return Ending::default();
        };
        self.touch(target, false, call.confidence, Source::Bytecode(hash));
        call.target = target;
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
            }
            let Some(branch) = &node.branch else { return Ending::default() };
            let Some((next, chance)) = self.choose(at, template, branch) else {
                return Ending::default();
            };
            confidence *= chance;
            if confidence < CERTAIN_ENOUGH {
                return Ending::default();
            }
            node = &template.nodes[next];
        }
    }

    /// The way on, and how certain it is.
    fn choose(&mut self, at: usize, template: &Template, branch: &Branch) -> Option<(usize, f32)> {
        let value = branch.condition.and_then(|condition| self.value(at, condition, 0));
        let count = |node: usize| template.nodes[node].count;
        if let Some(value) = value
            && let Some(arm) = branch.arms.iter().find(|arm| agrees(value, arm.value))
        {
            return Some((arm.node, 1.0));
        }
        let total: u32 = branch.arms.iter().map(|arm| count(arm.node)).sum();
        let usual = branch.arms.iter().max_by_key(|arm| count(arm.node))?.node;
        let share = count(usual) as f32 / total.max(1) as f32;
        if value.is_some() {
            self.hint.gaps.unseen_path += 1;
            let again = core::mem::replace(&mut self.astray, true);
            return Some((usual, if again { share } else { share * ASTRAY }));
        }
        self.hint.gaps.undecided += u32::from(share < SURE);
        // What went this way last is the best guess where nobody knows why.
        Some((branch.last, share.max(SAME_AGAIN)))
    }

    fn step(&mut self, at: usize, step: &'p Step, confidence: f32) -> Option<Ending<'p>> {
        let source = Source::Template(self.frames[at].key);
        let own = self.frames[at].address;
        match step {
            Step::Guard { condition, value } => {
                if self.value(at, *condition, 0).is_some_and(|is| !agrees(is, *value)) {
                    self.hint.gaps.unseen_path += 1;
                }
            }
            Step::Load { slot, transient } => self.load(at, slot, *transient, confidence),
            Step::Store { slot, value, transient, written, changed } => {
                let changes = u32::from(*changed) * 2 >= u32::from(*written);
                self.store(at, slot, (*value, *transient, changes), confidence);
            }
            Step::Touch { account } => self.touch_place(at, account, false, confidence),
            Step::Destroy { heir } => {
                self.touch_place(at, heir, true, confidence);
                self.touch(own, true, confidence, source);
                return Some(Ending::success(Bytes::Known(&[])));
            }
            Step::Create { account } => {
                self.touch_place(at, account, true, confidence);
                self.touch(own, true, confidence, source);
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

    fn load(&mut self, at: usize, place: &Place, transient: bool, confidence: f32) {
        let address = self.frames[at].address;
        let found = self.place(at, place);
        let loaded = match found {
            None => Loaded::Unknown,
            Some((slot, ..)) => {
                let key = SlotKey::new(address, slot);
                match self.state.memo.written.get(&(key, transient)) {
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
        place: &Place,
        (value, transient, changes): (ExprId, bool, bool),
        confidence: f32,
    ) {
        let address = self.frames[at].address;
        let Some((slot, sure, source)) = self.place(at, place) else { return };
        let key = (SlotKey::new(address, slot), transient);
        let entry = self.state.memo.written.entry(key);
        let again = matches!(entry, Entry::Occupied(_));
        entry.insert_entry(Written { frame: at, value, again });
        if !transient {
            self.slot(address, slot, changes, confidence * sure, source);
        }
    }

    fn call(
        &mut self,
        at: usize,
        kind: CallKind,
        target: &Place,
        value: ExprId,
        input: &'p Content,
        confidence: f32,
    ) -> Ending<'p> {
        let Some((word, sure, source)) = self.place(at, target) else { return Ending::default() };
        let confidence = confidence * sure;
        let target = Address::from_word(word.into());
        let Frame { key, address: own, caller: own_caller, value: own_value, .. } = self.frames[at];
        // What is paid matters only if it is nothing.
        let value = if value == ExprId::ZERO { Some(U256::ZERO) } else { self.value(at, value, 0) };
        let pays = kind == CallKind::Call && value != Some(U256::ZERO);
        self.touch(target, pays, confidence, source);
        if pays {
            let (address, written, commutative) = (own, true, false);
            let source = Source::Template(key);
            self.hint.account(AccountHint { address, written, commutative, confidence, source });
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
        self.enter(Call { target, address, caller, value, input, confidence })
    }

    /// The slot or address of a step, with its certainty and where it comes from.
    fn place(&mut self, at: usize, place: &Place) -> Option<(U256, f32, Source)> {
        let key: TemplateKey = self.frames[at].key;
        if let Some(value) = self.value(at, place.formula, 0) {
            return Some((value, 1.0, Source::Template(key)));
        }
        let constancy = place.constancy();
        if constancy < CERTAIN_ENOUGH {
            self.hint.gaps.no_formula += 1;
            return None;
        }
        Some((place.last, constancy, Source::History(key)))
    }

    fn slot(
        &mut self,
        address: Address,
        slot: U256,
        written: bool,
        confidence: f32,
        source: Source,
    ) {
        if confidence >= CERTAIN_ENOUGH {
            self.hint.slot(SlotHint { address, slot, written, confidence, source });
        }
    }

    fn touch_place(&mut self, at: usize, place: &Place, written: bool, confidence: f32) {
        if let Some((word, sure, source)) = self.place(at, place) {
            self.touch(Address::from_word(word.into()), written, confidence * sure, source);
        }
    }

    fn touch(&mut self, address: Address, written: bool, confidence: f32, source: Source) {
        if confidence >= CERTAIN_ENOUGH {
            let commutative = written;
            self.hint.account(AccountHint { address, written, commutative, confidence, source });
        }
    }
}

/// Whether a condition has the value that was noted: true or false, or the target of a jump.
fn agrees(is: U256, noted: u64) -> bool {
    match noted {
        0 => is.is_zero(),
        1 => !is.is_zero(),
        target => is == U256::from(target),
    }
}

/// The precompile that returns its input.
const IDENTITY: Address = Address::with_last_byte(4);

/// Addresses up to 0x11 and that of RIP-7212, whatever the fork: there is nothing else.
pub(crate) fn is_precompile(address: &Address) -> bool {
    let word = address.as_slice();
    let low = u16::from_be_bytes([word[18], word[19]]);
    word[..18].iter().all(|byte| *byte == 0) && (matches!(low, 1..=0x11) || low == 0x100)
}

/// Whom code hands every call on to: a minimal proxy (EIP-1167), a delegation (EIP-7702).
fn forwards_to(code: &Bytecode) -> Option<Address> {
    if let Some(target) = code.eip7702_address() {
        return Some(target);
    }
    let rest = code.original_byte_slice().strip_prefix(&hex!("363d3d373d3d3d363d73"))?;
    let (target, rest) = rest.split_at_checked(20)?;
    (rest == hex!("5af43d82803e903d91602b57fd5bf3")).then(|| Address::from_slice(target))
}
