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

/// A slot or an address that a step is about, as one execution saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) formula: ExprId,
    /// What it was.
    pub(crate) seen: U256,
}

impl Place {
    pub(crate) const fn new(formula: ExprId, seen: U256) -> Self {
        Self { formula, seen }
    }
}

/// What a formula gives.
pub(crate) trait Given {
    fn formula_mut(&mut self) -> &mut ExprId;
}

impl Given for Place {
    fn formula_mut(&mut self) -> &mut ExprId {
        &mut self.formula
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
    pub(crate) length: ExprId,
}

/// What something is on a way through the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Turn {
    /// A condition that does not hold.
    Not,
    /// One that holds.
    Holds,
    /// A number: where a jump leads, a place in memory, a length.
    Is(u64),
}

impl Turn {
    pub(crate) const fn of_condition(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Not }
    }

    /// Whether a value leads this way.
    pub(crate) fn agrees(self, value: U256) -> bool {
        match self {
            Self::Not => value.is_zero(),
            Self::Holds => !value.is_zero(),
            Self::Is(number) => value == U256::from(number),
        }
    }
}

/// A choice, a look at the state, a call, or the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step<P = Place> {
    /// The code goes on here, and like this, if the condition is this.
    Guard {
        condition: ExprId,
        turn: Turn,
    },
    Load {
        slot: P,
        transient: bool,
    },
    /// `changed`: of `written` times, reverted transactions not counted, how often the slot ended
    /// with another value than it began.
    Store {
        slot: P,
        value: ExprId,
        transient: bool,
        written: u16,
        changed: u16,
    },
    /// An account is looked at.
    Touch {
        account: P,
    },
    /// The contract ends, in favour of an account.
    Destroy {
        heir: P,
    },
    Call {
        kind: CallKind,
        target: P,
        value: ExprId,
        input: Content,
    },
    Create {
        account: P,
    },
    End {
        ok: bool,
        output: Content,
    },
}

impl<P> Step<P> {
    /// The same with another kind of places.
    pub(crate) fn with_places<Q>(self, mut place: impl FnMut(P) -> Q) -> Step<Q> {
        match self {
            Self::Guard { condition, turn } => Step::Guard { condition, turn },
            Self::Load { slot, transient } => Step::Load { slot: place(slot), transient },
            Self::Store { slot, value, transient, written, changed } => {
                Step::Store { slot: place(slot), value, transient, written, changed }
            }
            Self::Touch { account } => Step::Touch { account: place(account) },
            Self::Destroy { heir } => Step::Destroy { heir: place(heir) },
            Self::Create { account } => Step::Create { account: place(account) },
            Self::Call { kind, target, value, input } => {
                Step::Call { kind, target: place(target), value, input }
            }
            Self::End { ok, output } => Step::End { ok, output },
        }
    }

    /// Pieces of what it hands over.
    pub(crate) fn pieces(&self) -> &[Piece] {
        match self {
            Self::Call { input: content, .. } | Self::End { output: content, .. } => &content.head,
            _ => &[],
        }
    }
}

impl<P: Given> Step<P> {
    /// Visits the formulas that it names, to change them.
    pub(crate) fn each_formula_mut(&mut self, mut visit: impl FnMut(&mut ExprId)) {
        let content = |content: &mut Content, visit: &mut dyn FnMut(&mut ExprId)| {
            content.head.iter_mut().for_each(|piece| visit(&mut piece.source));
            visit(&mut content.tail);
            visit(&mut content.length);
        };
        match self {
            Self::Guard { condition, .. } => visit(condition),
            Self::Load { slot: place, .. }
            | Self::Touch { account: place }
            | Self::Destroy { heir: place }
            | Self::Create { account: place } => visit(place.formula_mut()),
            Self::Store { slot, value, .. } => {
                visit(slot.formula_mut());
                visit(value);
            }
            Self::Call { target, value, input, .. } => {
                visit(target.formula_mut());
                visit(value);
                content(input, &mut visit);
            }
            Self::End { output, .. } => content(output, &mut visit),
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
