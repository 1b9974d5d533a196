//! What the steps of a walk touch, as entries of the hint.

use crate::{
    hint::{AccountHint, SlotHint, Source},
    template::Kept,
    value::Formulas,
    walk::{CERTAIN_ENOUGH, Walk},
};
use alloy_primitives::{Address, U256};
use revm::Database;

impl<S: Database> Walk<'_, S> {
    /// The slot or address of a step, with its certainty and where it comes from.
    pub(crate) fn place(&mut self, at: usize, place: &Kept) -> Option<(U256, f32, Source)> {
        let source = self.frames[at].source;
        if let Some(value) = self.value(at, place.formula, 0) {
            return Some((value, 1.0, source));
        }
        if let (Source::Template(key), Formulas::Known(template)) =
            (source, self.frames[at].formulas)
            && let Some(history) = template.history(*place)
            && history.constancy() >= CERTAIN_ENOUGH
        {
            return Some((history.last, history.constancy(), Source::History(key)));
        }
        self.hint.gaps.no_formula += 1;
        None
    }

    pub(crate) fn slot(
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

    pub(crate) fn touch_place(
        &mut self,
        at: usize,
        place: &Kept,
        written: bool,
        confidence: f32,
    ) -> Option<Address> {
        let (word, sure, source) = self.place(at, place)?;
        let address = Address::from_word(word.into());
        self.touch(address, written, confidence * sure, source);
        Some(address)
    }

    /// An account is left with another balance or nonce than it has, and not because it got ether.
    pub(crate) fn changes(&mut self, address: Address, confidence: f32, source: Source) {
        let (written, commutative) = (true, false);
        self.hint.account(AccountHint { address, written, commutative, confidence, source });
    }

    pub(crate) fn touch(
        &mut self,
        address: Address,
        written: bool,
        confidence: f32,
        source: Source,
    ) {
        if confidence >= CERTAIN_ENOUGH {
            let commutative = written;
            self.hint.account(AccountHint { address, written, commutative, confidence, source });
        }
    }
}
