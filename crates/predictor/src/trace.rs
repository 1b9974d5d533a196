//! What one call did, as formulas: the unit of learning.

use crate::expr::{Arena, ExprId, Piece};
use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

/// Which template a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TemplateKey {
    /// Hash of the code that runs: behind a proxy or a delegation that of the implementation.
    pub code: B256,
    /// The first four bytes of the calldata. `None` for code that does the same for all of them,
    /// such as a proxy.
    pub selector: Option<[u8; 4]>,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CallKind {
    /// `CALL` and `STATICCALL`: on the callee's own storage.
    Call,
    /// `CALLCODE`: the callee's code on the caller's storage, for the caller.
    Borrowed,
    /// `DELEGATECALL`: the same, with the caller's own caller and value.
    Delegate,
}

/// A slot or an address that a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) formula: ExprId,
    /// What it was the last time.
    pub(crate) last: U256,
    /// How often the last one was the one before, and how often not.
    pub(crate) same: u16,
    pub(crate) other: u16,
}

impl Place {
    pub(crate) const fn new(formula: ExprId, last: U256) -> Self {
        Self { formula, last, same: 0, other: 0 }
    }

    /// Takes in another observation.
    pub(crate) fn observe(&mut self, value: U256) {
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

/// Bytes that are handed over: calldata, or what a call returns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// What they begin with.
    pub(crate) head: Box<[Piece]>,
    /// The first word of what follows, as many words of the same source as the length says: bytes
    /// that are passed on, whatever they are. Opaque if nothing follows.
    pub(crate) tail: ExprId,
    pub(crate) length: Place,
}

/// A choice, a look at the state, a call, or the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// The code goes on here if the condition has this value.
    Guard {
        condition: ExprId,
        value: u64,
    },
    Load {
        slot: Place,
        transient: bool,
    },
    /// `changed`: of `written` times, reverted transactions not counted, how often the slot ended
    /// with another value than it began.
    Store {
        slot: Place,
        value: ExprId,
        transient: bool,
        written: u16,
        changed: u16,
    },
    /// An account is looked at.
    Touch {
        account: Place,
    },
    /// The contract ends, in favour of an account.
    Destroy {
        heir: Place,
    },
    Call {
        kind: CallKind,
        target: Place,
        value: ExprId,
        input: Content,
    },
    Create {
        account: Place,
    },
    End {
        ok: bool,
        output: Content,
    },
}

impl Step {
    /// Pieces in what it hands over.
    pub(crate) const fn pieces(&self) -> usize {
        match self {
            Self::Call { input: content, .. } | Self::End { output: content, .. } => {
                content.head.len()
            }
            _ => 0,
        }
    }

    /// Visits the formulas that it names, to change them.
    pub(crate) fn each_formula_mut(&mut self, mut visit: impl FnMut(&mut ExprId)) {
        let content = |content: &mut Content, visit: &mut dyn FnMut(&mut ExprId)| {
            content.head.iter_mut().for_each(|piece| visit(&mut piece.source));
            visit(&mut content.tail);
            visit(&mut content.length.formula);
        };
        match self {
            Self::Guard { condition, .. } => visit(condition),
            Self::Load { slot: place, .. }
            | Self::Touch { account: place }
            | Self::Destroy { heir: place }
            | Self::Create { account: place } => visit(&mut place.formula),
            Self::Store { slot, value, .. } => {
                visit(&mut slot.formula);
                visit(value);
            }
            Self::Call { target, value, input, .. } => {
                visit(&mut target.formula);
                visit(value);
                content(input, &mut visit);
            }
            Self::End { output, .. } => content(output, &mut visit),
        }
    }

    /// Whether it names only formulas that there are.
    pub(crate) fn is_sound(&self, has: impl Fn(ExprId) -> bool) -> bool {
        let content = |content: &Content| {
            let head = content.head.iter().all(|piece| has(piece.source) && piece.is_within());
            head && has(content.tail) && has(content.length.formula)
        };
        match self {
            Self::Guard { condition, .. } => has(*condition),
            Self::Load { slot, .. } => has(slot.formula),
            Self::Store { slot, value, .. } => has(slot.formula) && has(*value),
            Self::Touch { account: place }
            | Self::Destroy { heir: place }
            | Self::Create { account: place } => has(place.formula),
            Self::Call { target, value, input, .. } => {
                has(target.formula) && has(*value) && content(input)
            }
            Self::End { output, .. } => content(output),
        }
    }
}

/// The steps of one call.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) exprs: Arena,
    pub(crate) steps: Vec<Step>,
    /// Slots that the steps of kind `Store` wrote, in their order; `None` for transient ones.
    pub(crate) stored: Vec<Option<(Address, U256)>>,
}

/// What an execution teaches about one of its calls. Made by the
/// [`Recorder`](crate::Recorder), for [`AccessPredictor::learn`](crate::AccessPredictor::learn).
#[derive(Debug)]
pub struct Lesson {
    pub(crate) key: TemplateKey,
    pub(crate) trace: Trace,
}
