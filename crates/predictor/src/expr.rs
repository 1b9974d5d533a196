//! Formulas: how a value on the stack came about, in terms of what a call is given.
//!
//! An [`Arena`] holds the formulas of one call or of one template. Equal formulas have one number,
//! so comparing two is comparing numbers. Whatever follows from constants alone is a constant.

use crate::instruction::{apply, operands};
use alloy_primitives::{U256, keccak256};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use revm::bytecode::opcode as op;
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher;

/// The number of a formula in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ExprId(u32);

impl ExprId {
    /// A value of which nothing is known.
    pub(crate) const OPAQUE: Self = Self(u32::MAX);
    /// The constant zero, which every arena begins with.
    pub(crate) const ZERO: Self = Self(0);

    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn is_opaque(self) -> bool {
        self == Self::OPAQUE
    }
}

/// What a call is given, or finds in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Input {
    Address,
    Caller,
    Value,
    CalldataSize,
    Origin,
    GasPrice,
    Beneficiary,
    Timestamp,
    Number,
    PrevRandao,
    GasLimit,
    ChainId,
    BaseFee,
    /// `GAS`, at some moment.
    Gas,
}

/// Consecutive bytes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) source: ExprId,
    pub(crate) start: u8,
    pub(crate) len: u8,
}

/// One formula, in terms of others of the same arena.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Expr {
    /// A constant below 2⁶⁴.
    Small(u64),
    /// Any other constant.
    Large(Box<U256>),
    Input(Input),
    /// The word of the calldata at an offset.
    Calldata(ExprId),
    /// What the n-th `SLOAD` or `TLOAD` of the call found.
    Loaded(u16),
    /// Whether the n-th call of the call succeeded, 0 or 1.
    Success(u16),
    /// How many bytes it returned.
    ReturnSize(u16),
    /// The word at an offset in what it returned.
    ReturnWord(u16, u32),
    /// An instruction on one to three operands; unused ones are zero.
    Op(u8, [ExprId; 3]),
    /// Keccak-256 of two words, as it gives the slot of an entry of a mapping.
    Entry([ExprId; 2]),
    /// Keccak-256 of other bytes.
    Keccak(Box<[Piece]>),
    /// 32 bytes put together.
    Join(Box<[Piece]>),
    /// Something of an account, other than its storage.
    Account(Property, ExprId),
}

/// What code can ask of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Property {
    Balance,
    CodeSize,
    CodeHash,
}

impl Piece {
    /// Whether it is all of the word.
    pub(crate) const fn is_whole(self) -> bool {
        self.len == 32
    }

    /// Whether there are such bytes in a word.
    pub(crate) const fn is_within(self) -> bool {
        self.len > 0 && self.start as usize + self.len as usize <= 32
    }
}

impl From<U256> for Expr {
    fn from(constant: U256) -> Self {
        u64::try_from(constant).map_or_else(|_| Self::Large(Box::new(constant)), Self::Small)
    }
}

impl Expr {
    /// What it is, if it is always the same.
    #[inline]
    pub(crate) fn constant(&self) -> Option<U256> {
        match self {
            Self::Small(value) => Some(U256::from(*value)),
            Self::Large(value) => Some(**value),
            _ => None,
        }
    }

    /// Visits the formulas that it is in terms of.
    pub(crate) fn each_part(&self, mut visit: impl FnMut(ExprId)) {
        match self {
            Self::Calldata(of) | Self::Account(_, of) => visit(*of),
            Self::Op(_, of) => of.iter().copied().for_each(visit),
            Self::Entry(of) => of.iter().copied().for_each(visit),
            Self::Keccak(pieces) | Self::Join(pieces) => {
                pieces.iter().for_each(|piece| visit(piece.source));
            }
            _ => {}
        }
    }

    /// The same, to change them.
    pub(crate) fn each_part_mut(&mut self, mut visit: impl FnMut(&mut ExprId)) {
        match self {
            Self::Calldata(of) | Self::Account(_, of) => visit(of),
            Self::Op(_, of) => of.iter_mut().for_each(visit),
            Self::Entry(of) => of.iter_mut().for_each(visit),
            Self::Keccak(pieces) | Self::Join(pieces) => {
                pieces.iter_mut().for_each(|piece| visit(&mut piece.source));
            }
            _ => {}
        }
    }

    fn is_of_earlier(&self, at: usize) -> bool {
        let earlier = |id: &ExprId| id.index() < at;
        match self {
            Self::Calldata(of) | Self::Account(_, of) => earlier(of),
            Self::Op(code, of) => operands(*code).is_some() && of.iter().all(earlier),
            Self::Keccak(pieces) => {
                pieces.iter().all(|piece| earlier(&piece.source) && piece.is_within())
            }
            Self::Join(pieces) => {
                let len: usize = pieces.iter().map(|piece| usize::from(piece.len)).sum();
                len == 32 && pieces.iter().all(|piece| earlier(&piece.source) && piece.is_within())
            }
            Self::Entry(of) => of.iter().all(earlier),
            Self::Large(value) => u64::try_from(**value).is_err(),
            Self::Small(_)
            | Self::Input(_)
            | Self::Loaded(_)
            | Self::Success(_)
            | Self::ReturnSize(_)
            | Self::ReturnWord(..) => true,
        }
    }
}

/// Formulas, each in one copy.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    exprs: Vec<Expr>,
    /// All of them, to be found by what they are.
    known: HashTable<ExprId>,
    hasher: RandomState,
    limit: usize,
    /// Pieces in all formulas.
    pieces: usize,
}

impl Arena {
    /// An arena for at most `limit` formulas; further ones are opaque.
    pub(crate) fn new(limit: usize) -> Self {
        Self::with_room(limit, 0)
    }

    /// The same, with room for some from the start.
    pub(crate) fn with_room(limit: usize, room: usize) -> Self {
        let (exprs, known) = (Vec::with_capacity(room), HashTable::with_capacity(room));
        let mut arena = Self { exprs, known, hasher: RandomState::default(), limit, pieces: 0 };
        arena.insert(Expr::Small(0));
        arena
    }

    pub(crate) fn len(&self) -> usize {
        self.exprs.len()
    }

    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        let each = size_of::<Expr>() + 2 * size_of::<ExprId>();
        self.exprs.len() * each + self.pieces * size_of::<Piece>()
    }

    pub(crate) fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    /// An arena of given formulas, if they can be those of one: each in terms of earlier ones, none
    /// twice, and the constant zero first.
    pub(crate) fn rebuilt(exprs: Vec<Expr>, limit: usize) -> Option<Self> {
        let mut arena = Self::new(limit);
        if exprs.len() > limit || exprs.first() != Some(&Expr::Small(0)) {
            return None;
        }
        for (at, expr) in exprs.into_iter().enumerate() {
            if !expr.is_of_earlier(at) || arena.insert(expr).index() != at {
                return None;
            }
        }
        Some(arena)
    }

    /// Moves formulas before all others, with what these are in terms of; otherwise the order stays.
    /// `wanted` says of every formula whether it is to be moved. What number each has now, and how
    /// many are before the others.
    pub(crate) fn put_first(&mut self, mut wanted: Vec<bool>) -> (Vec<ExprId>, usize) {
        wanted[ExprId::ZERO.index()] = true;
        for (at, expr) in self.exprs.iter().enumerate().rev() {
            if wanted[at] {
                expr.each_part(|part| wanted[part.index()] = true);
            }
        }
        let (mut order, rest): (Vec<usize>, Vec<usize>) =
            (0..wanted.len()).partition(|at| wanted[*at]);
        let first = order.len();
        order.extend(rest);
        let mut ids = vec![ExprId::ZERO; wanted.len()];
        order.iter().zip(0..).for_each(|(at, new)| ids[*at] = ExprId(new));
        let mut former: Vec<_> = core::mem::take(&mut self.exprs).into_iter().map(Some).collect();
        self.known.clear();
        self.pieces = 0;
        for mut expr in order.iter().filter_map(|at| former[*at].take()) {
            expr.each_part_mut(|part| *part = ids[part.index()]);
            self.insert(expr);
        }
        (ids, first)
    }

    /// Whether a formula is one of this arena, or opaque.
    pub(crate) fn has(&self, id: ExprId) -> bool {
        id.is_opaque() || id.index() < self.exprs.len()
    }

    /// Looks into the first formulas, at most so many. What it returns says nothing, but is not to
    /// be had without looking.
    pub(crate) fn glance(&self, count: usize) -> usize {
        let first = self.exprs.iter().take(count);
        first.filter(|expr| matches!(expr, Expr::Op(..))).count()
    }

    #[inline]
    pub(crate) fn get(&self, id: ExprId) -> Option<&Expr> {
        self.exprs.get(id.index())
    }

    pub(crate) fn constant(&self, id: ExprId) -> Option<U256> {
        self.get(id)?.constant()
    }

    /// The number of a formula as it is.
    pub(crate) fn insert(&mut self, expr: Expr) -> ExprId {
        let Self { exprs, known, hasher, .. } = self;
        let hash = hasher.hash_one(&expr);
        if let Some(id) = known.find(hash, |id| exprs[id.index()] == expr) {
            return *id;
        }
        if exprs.len() >= self.limit {
            return ExprId::OPAQUE;
        }
        if let Expr::Keccak(pieces) | Expr::Join(pieces) = &expr {
            self.pieces += pieces.len();
        }
        let id = ExprId(exprs.len() as u32);
        exprs.push(expr);
        known.insert_unique(hash, id, |id| hasher.hash_one(&exprs[id.index()]));
        id
    }

    pub(crate) fn constant_of(&mut self, value: U256) -> ExprId {
        self.insert(value.into())
    }

    /// The result of an instruction.
    pub(crate) fn op(&mut self, code: u8, operands: &[ExprId]) -> ExprId {
        let mut of = [ExprId::ZERO; 3];
        for (own, operand) in of.iter_mut().zip(operands) {
            if operand.is_opaque() {
                return ExprId::OPAQUE;
            }
            *own = *operand;
        }
        let [a, b, c] = of.map(|id| self.constant(id));
        if let (Some(a), Some(b), Some(c)) = (a, b, c) {
            return match apply(code, a, b, c) {
                Some(value) => self.constant_of(value),
                None => ExprId::OPAQUE,
            };
        }
        match (code, a, b) {
            (op::ADD, Some(a), _) => self.plus(of[1], a),
            (op::ADD, _, Some(b)) => self.plus(of[0], b),
            _ => self.insert(Expr::Op(code, of)),
        }
    }

    /// A formula plus a constant, in one form however it was reached.
    pub(crate) fn plus(&mut self, id: ExprId, more: U256) -> ExprId {
        if id.is_opaque() || more.is_zero() {
            return id;
        }
        if let Some(value) = self.constant(id) {
            return self.constant_of(value.wrapping_add(more));
        }
        let (base, sum) = match self.get(id) {
            Some(Expr::Op(op::ADD, [base, second, _])) => match self.constant(*second) {
                Some(value) => (*base, value.wrapping_add(more)),
                None => (id, more),
            },
            _ => (id, more),
        };
        if sum.is_zero() {
            return base;
        }
        let second = self.constant_of(sum);
        if second.is_opaque() {
            return ExprId::OPAQUE;
        }
        self.insert(Expr::Op(op::ADD, [base, second, ExprId::ZERO]))
    }

    /// Keccak-256 of bytes.
    pub(crate) fn keccak(&mut self, pieces: Vec<Piece>) -> ExprId {
        if pieces.iter().any(|piece| piece.source.is_opaque()) {
            return ExprId::OPAQUE;
        }
        if let Some(bytes) = self.constant_bytes(&pieces) {
            return self.constant_of(keccak256(bytes).into());
        }
        self.insert(match pieces[..] {
            [key, place] if key.is_whole() && place.is_whole() => {
                Expr::Entry([key.source, place.source])
            }
            _ => Expr::Keccak(pieces.into()),
        })
    }

    /// The word that 32 bytes make.
    pub(crate) fn join(&mut self, pieces: Vec<Piece>) -> ExprId {
        match pieces[..] {
            [Piece { source, start: 0, len: 32 }] => return source,
            [first, second] if first.start + first.len == 32 && second.start == 0 => {
                if let Some(word) = self.across(first, second) {
                    return word;
                }
            }
            _ => {}
        }
        if pieces.iter().any(|piece| piece.source.is_opaque()) {
            return ExprId::OPAQUE;
        }
        match self.constant_bytes(&pieces) {
            Some(bytes) => self.constant_of(U256::from_be_slice(&bytes)),
            None => self.insert(Expr::Join(pieces.into())),
        }
    }

    /// The word across the border of two neighbouring words of calldata or of returned data.
    fn across(&mut self, first: Piece, second: Piece) -> Option<ExprId> {
        match (self.get(first.source)?.clone(), self.get(second.source)?.clone()) {
            (Expr::Calldata(at), Expr::Calldata(next)) => {
                if self.plus(at, U256::from(32)) != next {
                    return None;
                }
                let at = self.plus(at, U256::from(first.start));
                Some(self.insert(Expr::Calldata(at)))
            }
            (Expr::ReturnWord(call, at), Expr::ReturnWord(other, next))
                if call == other && at.checked_add(32) == Some(next) =>
            {
                Some(self.insert(Expr::ReturnWord(call, at + u32::from(first.start))))
            }
            _ => None,
        }
    }

    fn constant_bytes(&self, pieces: &[Piece]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in pieces {
            let word = self.constant(piece.source)?.to_be_bytes::<32>();
            let (start, len) = (usize::from(piece.start), usize::from(piece.len));
            bytes.extend_from_slice(&word[start..start + len]);
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> Expr {
        Expr::Small(n)
    }

    #[test]
    fn what_is_put_first_comes_with_what_it_is_made_of_and_in_the_order_that_it_had() {
        let mut arena = Arena::new(100);
        let caller = arena.insert(Expr::Input(Input::Caller));
        let unused = arena.insert(Expr::Input(Input::Value));
        let one = arena.insert(number(1));
        let sum = arena.op(op::ADD, &[caller, one]);
        let other = arena.op(op::MUL, &[unused, sum]);
        let pieces = [caller, sum].map(|source| Piece { source, start: 0, len: 32 });
        let hash = arena.keccak(pieces.to_vec());
        let (size, mut wanted) = (arena.size(), vec![false; arena.len()]);
        wanted[hash.index()] = true;

        let (ids, first) = arena.put_first(wanted);
        let now = |id: ExprId| ids[id.index()].index();
        assert_eq!([ExprId::ZERO, caller, one, sum, hash].map(now), [0, 1, 2, 3, 4]);
        assert_eq!(([unused, other].map(now), first), ([5, 6], 5));
        assert_eq!(arena.size(), size);
        let again = Arena::rebuilt(arena.exprs().to_vec(), 100).unwrap();
        assert_eq!(again.exprs(), arena.exprs());
        let sum = arena.plus(ids[caller.index()], U256::ONE);
        assert_eq!(arena.insert(number(1)), ids[one.index()]);
        assert_eq!(sum.index(), 3);
    }

    #[test]
    fn constants_added_in_any_order_give_one_formula() {
        let mut arena = Arena::new(100);
        let base = arena.insert(Expr::Input(Input::Caller));
        let [one, two, three] = [1, 2, 3].map(|n| arena.constant_of(U256::from(n)));
        let left = arena.op(op::ADD, &[base, one]);
        let left = arena.op(op::ADD, &[two, left]);
        assert_eq!(left, arena.op(op::ADD, &[base, three]));
        assert_eq!(arena.plus(left, U256::MAX - U256::from(2)), base);
    }

    #[test]
    fn a_full_arena_gives_opaque_formulas() {
        let mut arena = Arena::new(2);
        let caller = arena.insert(Expr::Input(Input::Caller));
        assert!(!caller.is_opaque());
        let value = arena.insert(Expr::Input(Input::Value));
        assert!(value.is_opaque());
        assert!(arena.op(op::MUL, &[caller, value]).is_opaque());
        assert_eq!(arena.insert(Expr::Input(Input::Caller)), caller);
    }
}
