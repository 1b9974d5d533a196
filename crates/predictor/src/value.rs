//! The values of formulas during a prediction, computed when they are asked for.

use crate::{
    call::Ending,
    expr::{Expr, ExprId, Input, Piece, Property},
    hint::Source,
    instruction::apply,
    memo::Values,
    reading::Findings,
    template::Template,
    trace::Content,
    walk::Walk,
};
use alloy_primitives::{Address, U256};
use revm::Database;
use smallvec::SmallVec;
use warpline_types::SlotKey;

/// Formulas inside each other that are computed.
const NESTING: u32 = 200;

/// Pieces that are passed by in the time of one step.
const PASSED: usize = 64;

/// Where a loaded value comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loaded {
    State(SlotKey),
    /// Written before in the same transaction: a formula of that call.
    Written(usize, ExprId),
    /// A transient slot that nobody has written.
    Zero,
    Unknown,
}

/// Calldata, or what a call returned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Bytes<'p> {
    Known(&'p [u8]),
    /// Made of the formulas of a call.
    Formula {
        frame: usize,
        content: &'p Content,
    },
    #[default]
    Unknown,
}

/// The formulas of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Formulas<'p> {
    /// Of a template; their values are computed when they are asked for.
    Known(&'p Template),
    /// Found as the code is read, with their values.
    Found(&'p Findings),
}

impl<'p> Formulas<'p> {
    #[inline]
    fn get(self, id: ExprId) -> Option<&'p Expr> {
        match self {
            Self::Known(template) => template.exprs.get(id),
            Self::Found(findings) => findings.exprs.get(id.index()),
        }
    }
}

/// One call being walked, or that was.
#[derive(Debug)]
pub(crate) struct Frame<'p> {
    pub(crate) formulas: Formulas<'p>,
    /// Of what is expected of it.
    pub(crate) source: Source,
    pub(crate) address: Address,
    pub(crate) caller: Option<Address>,
    pub(crate) value: Option<U256>,
    pub(crate) input: Bytes<'p>,
    pub(crate) values: Values,
    pub(crate) loads: Vec<Loaded>,
    pub(crate) calls: SmallVec<[Ending<'p>; 4]>,
}

impl<'p, S: Database> Walk<'p, S> {
    /// The value of a formula of a call, if everything it depends on is known.
    pub(crate) fn value(&mut self, at: usize, id: ExprId, nesting: u32) -> Option<U256> {
        let formulas = self.frames[at].formulas;
        if let Formulas::Found(findings) = formulas {
            return findings.value(id);
        }
        let expr = formulas.get(id)?;
        match expr {
            Expr::Small(value) => return Some(U256::from(*value)),
            Expr::Large(value) => return Some(**value),
            Expr::Input(input) => return self.input(at, *input, nesting),
            _ => {}
        }
        let values = self.frames[at].values;
        if let Some(known) = self.state.memo.get(values, id) {
            return known;
        }
        if nesting > NESTING || self.budget == 0 {
            return None;
        }
        self.budget -= 1;
        let value = self.compute(at, expr, nesting + 1);
        self.state.memo.set(values, id, value);
        value
    }

    pub(crate) fn compute(&mut self, at: usize, expr: &Expr, nesting: u32) -> Option<U256> {
        match expr {
            Expr::Small(value) => Some(U256::from(*value)),
            Expr::Large(value) => Some(**value),
            Expr::Input(input) => self.input(at, *input, nesting),
            Expr::Calldata(offset) => {
                let offset = self.value(at, *offset, nesting)?;
                match usize::try_from(offset) {
                    Ok(offset) => self.word(self.frames[at].input, offset, nesting),
                    Err(_) => Some(U256::ZERO),
                }
            }
            Expr::Loaded(n) => match *self.frames[at].loads.get(usize::from(*n))? {
                Loaded::State(key) => self.state.storage(key),
                Loaded::Written(frame, value) => self.value(frame, value, nesting),
                Loaded::Zero => Some(U256::ZERO),
                Loaded::Unknown => None,
            },
            Expr::Success(n) => self.ending(at, *n)?.ok.map(|ok| U256::from(u8::from(ok))),
            Expr::ReturnSize(n) => self.length(self.ending(at, *n)?.output, nesting),
            Expr::ReturnWord(n, offset) => {
                self.word(self.ending(at, *n)?.output, *offset as usize, nesting)
            }
            Expr::Op(code, [a, b, c]) => {
                let formulas = self.frames[at].formulas;
                // Mostly one operand is a constant, and the third is not there.
                let mut operand = |id: ExprId| match formulas.get(id) {
                    Some(Expr::Small(value)) => Some(U256::from(*value)),
                    _ => self.value(at, id, nesting),
                };
                let (a, b) = (operand(*a)?, operand(*b)?);
                let c = if *c == ExprId::ZERO { U256::ZERO } else { operand(*c)? };
                apply(*code, a, b, c)
            }
            Expr::Entry(of) => {
                let mut entry = [[0; 32]; 2];
                for (word, id) in entry.iter_mut().zip(of) {
                    *word = self.value(at, *id, nesting)?.to_be_bytes();
                }
                Some(self.state.memo.keccak(entry.as_flattened()))
            }
            Expr::Keccak(pieces) => {
                let bytes = self.join(at, pieces, nesting)?;
                Some(self.state.memo.keccak(&bytes))
            }
            Expr::Join(pieces) => Some(U256::from_be_slice(&self.join(at, pieces, nesting)?)),
            Expr::Account(property, account) => {
                let account = Address::from_word(self.value(at, *account, nesting)?.into());
                self.property(*property, account)
            }
        }
    }

    /// Something of an account before the transaction, as far as it is the same now.
    fn property(&mut self, property: Property, account: Address) -> Option<U256> {
        if account == self.tx.sender || self.state.memo.changed.contains(&account) {
            return None;
        }
        Some(match property {
            Property::Balance => self.state.balance(account)?,
            Property::CodeSize => match self.state.code_hash(account) {
                None => U256::ZERO,
                Some(_) => U256::from(self.state.code(account)?.len()),
            },
            Property::CodeHash => self.state.known_code_hash(account)?.into(),
        })
    }

    fn ending(&self, at: usize, call: u16) -> Option<Ending<'p>> {
        self.frames[at].calls.get(usize::from(call)).copied()
    }

    fn join(&mut self, at: usize, pieces: &[Piece], nesting: u32) -> Option<SmallVec<[u8; 128]>> {
        // Looking up takes a small part of the time of computing.
        self.budget = self.budget.saturating_sub(pieces.len() as u32 / 16);
        let mut bytes = SmallVec::new();
        for piece in pieces {
            let word = self.value(at, piece.source, nesting)?.to_be_bytes::<32>();
            let start = usize::from(piece.start);
            bytes.extend_from_slice(&word[start..start + usize::from(piece.len)]);
        }
        Some(bytes)
    }

    /// The function that calldata asks for.
    pub(crate) fn selector(&mut self, bytes: Bytes<'p>) -> Option<[u8; 4]> {
        match bytes {
            Bytes::Known(bytes) => bytes.first_chunk().copied(),
            Bytes::Unknown => None,
            Bytes::Formula { .. } => self.read(bytes, 0, 4, 0)?.first_chunk().copied(),
        }
    }

    pub(crate) fn length(&mut self, bytes: Bytes<'p>, nesting: u32) -> Option<U256> {
        match bytes {
            Bytes::Known(bytes) => Some(U256::from(bytes.len())),
            Bytes::Formula { frame, content } => self.value(frame, content.length, nesting),
            Bytes::Unknown => None,
        }
    }

    /// The word at an offset, with zeros behind the end.
    fn word(&mut self, bytes: Bytes<'p>, at: usize, nesting: u32) -> Option<U256> {
        self.read(bytes, at, 32, nesting).map(U256::from_be_bytes)
    }

    /// Up to 32 bytes from an offset on, with zeros behind the end; `None` if not all are known.
    fn read(
        &mut self,
        bytes: Bytes<'p>,
        at: usize,
        count: usize,
        nesting: u32,
    ) -> Option<[u8; 32]> {
        let mut word = [0; 32];
        match bytes {
            Bytes::Unknown => return None,
            Bytes::Known(bytes) => {
                let end = at.saturating_add(count).min(bytes.len());
                let found = bytes.get(at..end).unwrap_or_default();
                word[..found.len()].copy_from_slice(found);
            }
            Bytes::Formula { .. } if nesting > NESTING => return None,
            Bytes::Formula { frame, content } => {
                let mut start = 0;
                for (n, piece) in content.head.iter().enumerate() {
                    if start >= at.saturating_add(count) {
                        return Some(word);
                    }
                    self.budget = self.budget.saturating_sub(u32::from(n % PASSED == PASSED - 1));
                    let end = start + usize::from(piece.len);
                    let (from, to) = (at.max(start), at.saturating_add(count).min(end));
                    if from < to {
                        let source = self.value(frame, piece.source, nesting + 1)?;
                        let source = source.to_be_bytes::<32>();
                        let skip = usize::from(piece.start) + from - start;
                        word[from - at..to - at].copy_from_slice(&source[skip..skip + to - from]);
                    }
                    start = end;
                }
                let from = at.max(start);
                if from < at.saturating_add(count) && !content.tail.is_opaque() {
                    let rest = count - (from - at);
                    let tail = self.read_tail(frame, content, from - start, rest, nesting + 1)?;
                    word[from - at..count].copy_from_slice(&tail[..rest]);
                }
            }
        }
        Some(word)
    }

    /// Bytes of what is passed on as it is.
    fn read_tail(
        &mut self,
        frame: usize,
        content: &'p Content,
        at: usize,
        count: usize,
        nesting: u32,
    ) -> Option<[u8; 32]> {
        let (source, offset) = match self.frames[frame].formulas.get(content.tail)? {
            Expr::Calldata(offset) => {
                let offset = self.value(frame, *offset, nesting)?;
                (self.frames[frame].input, usize::try_from(offset).ok()?)
            }
            Expr::ReturnWord(call, offset) => (self.ending(frame, *call)?.output, *offset as usize),
            _ => return None,
        };
        self.read(source, offset.saturating_add(at), count, nesting)
    }

    fn input(&mut self, at: usize, input: Input, nesting: u32) -> Option<U256> {
        let word = |address: Address| U256::from_be_bytes(address.into_word().0);
        let frame = &self.frames[at];
        Some(match input {
            Input::Address => word(frame.address),
            Input::Caller => word(frame.caller?),
            Input::Value => frame.value?,
            Input::CalldataSize => return self.length(frame.input, nesting),
            Input::Origin => word(self.tx.sender),
            Input::GasPrice => self.tx.gas_price,
            Input::Beneficiary => word(self.block.beneficiary),
            Input::Timestamp => self.block.timestamp,
            Input::Number => self.block.number,
            Input::PrevRandao => self.block.prevrandao?,
            Input::GasLimit => U256::from(self.block.gas_limit),
            Input::ChainId => U256::from(self.block.chain_id),
            Input::BaseFee => U256::from(self.block.base_fee),
            Input::Gas => return None,
        })
    }
}
