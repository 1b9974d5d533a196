//! Formulas: how a value on the stack came about, in terms of what a call is given.
//!
//! An [`Arena`] holds the formulas of one call or of one template. Equal formulas have one number,
//! so comparing two is comparing numbers. Whatever follows from constants alone is a constant.

use alloy_primitives::{U256, keccak256};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use revm::{
    bytecode::opcode as op,
    interpreter::instructions::i256::{i256_cmp, i256_div, i256_mod},
};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, hash::BuildHasher};

/// The number of a formula in its arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ExprId(u32);

impl ExprId {
    /// A value of which nothing is known.
    pub(crate) const OPAQUE: Self = Self(u32::MAX);
    /// The constant zero, which every arena begins with.
    pub(crate) const ZERO: Self = Self(0);

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
    Const(U256),
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
    /// Keccak-256 of bytes.
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
    /// Whether there are such bytes in a word.
    pub(crate) const fn is_within(self) -> bool {
        self.len > 0 && self.start as usize + self.len as usize <= 32
    }
}

impl Expr {
    /// Visits the formulas that it is in terms of.
    pub(crate) fn each_part(&self, mut visit: impl FnMut(ExprId)) {
        match self {
            Self::Calldata(of) | Self::Account(_, of) => visit(*of),
            Self::Op(_, of) => of.iter().copied().for_each(visit),
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
            Self::Const(_)
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
        arena.insert(Expr::Const(U256::ZERO));
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
        if exprs.len() > limit || exprs.first() != Some(&Expr::Const(U256::ZERO)) {
            return None;
        }
        for (at, expr) in exprs.into_iter().enumerate() {
            if !expr.is_of_earlier(at) || arena.insert(expr).index() != at {
                return None;
            }
        }
        Some(arena)
    }

    /// Whether a formula is one of this arena, or opaque.
    pub(crate) fn has(&self, id: ExprId) -> bool {
        id.is_opaque() || id.index() < self.exprs.len()
    }

    pub(crate) fn get(&self, id: ExprId) -> Option<&Expr> {
        self.exprs.get(id.index())
    }

    pub(crate) fn constant(&self, id: ExprId) -> Option<U256> {
        match self.get(id) {
            Some(Expr::Const(value)) => Some(*value),
            _ => None,
        }
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
        self.insert(Expr::Const(value))
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
        if code == op::ADD {
            match (a, b) {
                (Some(a), None) => return self.plus(of[1], a),
                (None, Some(b)) => return self.plus(of[0], b),
                _ => {}
            }
        }
        self.insert(Expr::Op(code, of))
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
        match self.constant_bytes(&pieces) {
            Some(bytes) => self.constant_of(keccak256(bytes).into()),
            None => self.insert(Expr::Keccak(pieces.into())),
        }
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

/// How many operands an instruction has that computes its result from them alone.
pub(crate) const fn operands(code: u8) -> Option<usize> {
    match code {
        op::ISZERO | op::NOT | op::CLZ => Some(1),
        op::ADDMOD | op::MULMOD => Some(3),
        op::ADD..=op::SIGNEXTEND | op::LT..=op::SAR => Some(2),
        _ => None,
    }
}

/// What such an instruction computes.
pub(crate) fn apply(code: u8, a: U256, b: U256, c: U256) -> Option<U256> {
    let shift = |value: U256| usize::try_from(value).unwrap_or(usize::MAX).min(256);
    let truth = |holds: bool| U256::from(u8::from(holds));
    Some(match code {
        op::ADD => a.wrapping_add(b),
        op::MUL => a.wrapping_mul(b),
        op::SUB => a.wrapping_sub(b),
        op::DIV => a.checked_div(b).unwrap_or_default(),
        op::SDIV => i256_div(a, b),
        op::MOD => a.checked_rem(b).unwrap_or_default(),
        op::SMOD => i256_mod(a, b),
        op::ADDMOD => a.add_mod(b, c),
        op::MULMOD => a.mul_mod(b, c),
        op::EXP => a.pow(b),
        op::SIGNEXTEND => sign_extend(a, b),
        op::LT => truth(a < b),
        op::GT => truth(a > b),
        op::SLT => truth(i256_cmp(&a, &b) == Ordering::Less),
        op::SGT => truth(i256_cmp(&a, &b) == Ordering::Greater),
        op::EQ => truth(a == b),
        op::ISZERO => truth(a.is_zero()),
        op::AND => a & b,
        op::OR => a | b,
        op::XOR => a ^ b,
        op::NOT => !a,
        op::BYTE => match usize::try_from(a) {
            Ok(at @ 0..32) => U256::from(b.byte(31 - at)),
            _ => U256::ZERO,
        },
        op::SHL => b.wrapping_shl(shift(a)),
        op::SHR => b.wrapping_shr(shift(a)),
        op::SAR => b.arithmetic_shr(shift(a)),
        op::CLZ => U256::from(a.leading_zeros()),
        _ => return None,
    })
}

fn sign_extend(bytes: U256, value: U256) -> U256 {
    let Ok(at @ 0..31) = usize::try_from(bytes) else { return value };
    let bit = at * 8 + 7;
    let mask = (U256::from(1) << bit) - U256::from(1);
    if value.bit(bit) { value | !mask } else { value & mask }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes, TxKind};
    use proptest::prelude::*;
    use revm::{
        Context, ExecuteEvm, MainBuilder, MainContext,
        bytecode::Bytecode,
        context::{CfgEnv, TxEnv},
        database::{CacheDB, EmptyDB},
        primitives::hardfork::SpecId,
        state::AccountInfo,
    };

    /// What revm computes.
    fn executed(code: u8, operands: &[U256]) -> U256 {
        let mut program = Vec::new();
        for operand in operands.iter().rev() {
            program.push(op::PUSH32);
            program.extend(operand.to_be_bytes::<32>());
        }
        program.extend([code, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::RETURN]);
        let mut db = CacheDB::<EmptyDB>::default();
        let contract = Address::repeat_byte(0xc0);
        let program = Bytecode::new_raw(program.into());
        db.insert_account_info(contract, AccountInfo::from_bytecode(program));
        let cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        let mut evm = Context::mainnet().with_db(db).with_cfg(cfg).build_mainnet();
        let kind = TxKind::Call(contract);
        let tx = TxEnv { kind, gas_limit: 1_000_000, ..Default::default() };
        let result = evm.transact(tx).unwrap().result;
        U256::from_be_slice(result.output().map_or(&[][..], Bytes::as_ref))
    }

    /// Words with more edges than chance gives.
    fn word() -> impl Strategy<Value = U256> {
        let any = any::<[u8; 32]>().prop_map(U256::from_be_bytes);
        let small = (0_u64..300).prop_map(U256::from);
        prop_oneof![
            any.clone(),
            small.clone(),
            small.prop_map(|n| U256::MAX - n),
            (0_usize..256).prop_map(|n| U256::ONE << n),
            (any, 0_usize..256).prop_map(|(word, n)| word >> n),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_instruction_computes_what_revm_does(
            choice: prop::sample::Index,
            a in word(),
            b in word(),
            c in word(),
        ) {
            let all: Vec<u8> = (0..=u8::MAX).filter(|code| operands(*code).is_some()).collect();
            prop_assert_eq!(all.len(), 26);
            let code = all[choice.index(all.len())];
            let of = &[a, b, c][..operands(code).unwrap()];
            let mut padded = [U256::ZERO; 3];
            padded[..of.len()].copy_from_slice(of);
            let [x, y, z] = padded;
            prop_assert_eq!(apply(code, x, y, z), Some(executed(code, of)), "{:#x}", code);
        }
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
