//! What the slots and addresses of a template's steps were in the executions so far, which is the
//! best guess where no formula gives them. It is kept apart from the steps: hardly a prediction
//! looks at it.

use crate::{
    expr::ExprId,
    trace::{Content, Given, Place, Step},
};
use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

/// A slot or an address that a step of a template is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) formula: ExprId,
    /// Where its history is.
    pub(super) history: u32,
}

impl Kept {
    /// A place that is gone to once.
    pub(crate) const fn without_history(place: Place) -> Self {
        Self { formula: place.formula, history: u32::MAX }
    }
}

impl Given for Kept {
    fn formula_mut(&mut self) -> &mut ExprId {
        &mut self.formula
    }
}

/// What a place was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct History {
    /// The last time.
    pub(crate) last: U256,
    /// How often the last one was the one before, and how often not.
    same: u16,
    other: u16,
}

impl History {
    /// The first time.
    pub(super) fn begin(place: Place, histories: &mut Vec<Self>) -> Kept {
        let history = histories.len() as u32;
        histories.push(Self { last: place.seen, same: 0, other: 0 });
        Kept { formula: place.formula, history }
    }

    /// Another time.
    fn observe(&mut self, value: U256) {
        if self.last == value {
            self.same = self.same.saturating_add(1);
        } else {
            self.last = value;
            self.other = self.other.saturating_add(1);
        }
    }

    /// The chance that it is again what it was the last time.
    pub(crate) fn constancy(&self) -> f32 {
        (f32::from(self.same) + 1.0) / (f32::from(self.same) + f32::from(self.other) * 2.0 + 2.0)
    }
}

/// Whether a step of an execution does the same as a known one, as far as formulas tell.
pub(super) fn is_same(known: &Step<Kept>, new: &Step) -> bool {
    match (known, new) {
        (Step::Guard { condition: a, turn: t }, Step::Guard { condition: b, turn: u }) => {
            a == b && t == u
        }
        (Step::Load { slot: a, transient: s }, Step::Load { slot: b, transient: t }) => {
            a.formula == b.formula && s == t
        }
        (
            Step::Store { slot: a, value: v, transient: s, .. },
            Step::Store { slot: b, value: w, transient: t, .. },
        ) => a.formula == b.formula && v == w && s == t,
        (Step::Touch { account: a }, Step::Touch { account: b })
        | (Step::Destroy { heir: a }, Step::Destroy { heir: b })
        | (Step::Create { account: a }, Step::Create { account: b }) => a.formula == b.formula,
        (
            Step::Call { kind: k, target: a, value: v, input: i },
            Step::Call { kind: l, target: b, value: w, input: j },
        ) => k == l && a.formula == b.formula && v == w && is_same_content(i, j),
        (Step::End { ok: a, output: x }, Step::End { ok: b, output: y }) => {
            a == b && is_same_content(x, y)
        }
        _ => false,
    }
}

fn is_same_content(known: &Content, new: &Content) -> bool {
    let tail = known.tail == new.tail || known.tail.is_opaque() || new.tail.is_opaque();
    known.length == new.length && known.head == new.head && tail
}

/// Takes the observation in `new` over into the same step.
pub(super) fn absorb(known: &mut Step<Kept>, new: &Step, histories: &mut [History]) {
    let mut observe = |known: &Kept, new: &Place| {
        if let Some(history) = histories.get_mut(known.history as usize) {
            history.observe(new.seen);
        }
    };
    match (known, new) {
        (
            Step::Store { slot: a, written, changed, .. },
            Step::Store { slot: b, written: times, changed: once, .. },
        ) => {
            observe(a, b);
            *written = written.saturating_add(*times);
            *changed = changed.saturating_add(*once);
        }
        (Step::Load { slot: a, .. }, Step::Load { slot: b, .. })
        | (Step::Touch { account: a }, Step::Touch { account: b })
        | (Step::Destroy { heir: a }, Step::Destroy { heir: b })
        | (Step::Create { account: a }, Step::Create { account: b }) => observe(a, b),
        (Step::Call { target: a, input: i, .. }, Step::Call { target: b, input: j, .. }) => {
            observe(a, b);
            absorb_content(i, j);
        }
        (Step::End { output: i, .. }, Step::End { output: j, .. }) => absorb_content(i, j),
        _ => {}
    }
}

fn absorb_content(known: &mut Content, new: &Content) {
    if known.tail.is_opaque() {
        known.tail = new.tail;
    }
}
