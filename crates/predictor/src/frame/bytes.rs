//! Bytes of a call that is being watched: its memory, its calldata, what its calls returned, and
//! what it hands over itself.

use super::{Frame, Moment};
use crate::{
    expr::{Arena, Expr, ExprId, Input, Piece},
    trace::Content,
};
use alloy_primitives::U256;
use revm::bytecode::opcode as op;

/// Bytes of a hash, of call data or of returned data that are followed.
pub(super) const FOLLOWED: usize = 16 * 1024;

impl Frame {
    /// What the bytes given by two operands are made of.
    pub(super) fn bytes(&self, at: &Moment<'_>, offset: usize, length: usize) -> Box<[Piece]> {
        match (at.number(offset), at.number(length)) {
            (_, Some(0)) => Box::default(),
            (Some(offset), Some(length)) if length <= FOLLOWED => {
                self.memory.pieces(offset, length).into()
            }
            _ => Box::new([Piece { source: ExprId::OPAQUE, start: 0, len: 32 }]),
        }
    }

    /// Bytes that are handed over. Where the length is no constant, the end is taken to be passed
    /// on if it is made of consecutive words.
    pub(super) fn content(&mut self, at: &Moment<'_>, offset: usize, length: usize) -> Content {
        let (from, formula) = (self.operand(offset), self.operand(length));
        if at.number(length) != Some(0) {
            self.guard(from, at.operand(offset));
        }
        let mut head = self.bytes(at, offset, length).into_vec();
        let mut tail = ExprId::OPAQUE;
        if self.exprs.constant(formula).is_none()
            && let Some(start) = self.passed_on(&head)
        {
            tail = head[start].source;
            head.truncate(start);
        } else {
            // How they are laid out depends on it.
            self.guard(formula, at.operand(length));
        }
        Content { head: head.into(), tail, length: formula }
    }

    /// Where a run of consecutive words begins that the pieces end with, padding not counted.
    pub(super) fn passed_on(&mut self, pieces: &[Piece]) -> Option<usize> {
        let constant = |piece: &Piece| self.exprs.constant(piece.source).is_some();
        let padding = pieces.iter().rev().take_while(|piece| constant(piece)).count();
        let end = pieces.len().checked_sub(padding.min(1) + 1)?;
        let is_source = |exprs: &Arena, id| {
            matches!(exprs.get(id), Some(Expr::Calldata(_) | Expr::ReturnWord(..)))
        };
        if padding > 1 || pieces[end].start != 0 || !is_source(&self.exprs, pieces[end].source) {
            return None;
        }
        let mut start = end;
        while let Some(before) = start.checked_sub(1) {
            let (piece, next) = (pieces[before], pieces[start]);
            if piece.start != 0 || piece.len != 32 || self.after(piece.source) != Some(next.source)
            {
                break;
            }
            start = before;
        }
        Some(start)
    }

    /// The word that follows a word of calldata or of returned data.
    pub(super) fn after(&mut self, word: ExprId) -> Option<ExprId> {
        let next = match self.exprs.get(word)?.clone() {
            Expr::Calldata(at) => Expr::Calldata(self.exprs.plus(at, U256::from(32))),
            Expr::ReturnWord(call, at) => Expr::ReturnWord(call, at.checked_add(32)?),
            _ => return None,
        };
        Some(self.exprs.insert(next))
    }

    pub(super) fn data(&mut self, at: &Moment<'_>) -> Option<()> {
        match at.opcode {
            op::CALLDATALOAD => {
                let offset = self.pop();
                let word = self.calldata(offset);
                self.push(word);
            }
            op::CALLDATASIZE => self.input(Input::CalldataSize),
            op::CODESIZE => self.constant(U256::from(at.code.len())),
            op::RETURNDATASIZE => match self.returned {
                Some(call) => self.insert(Expr::ReturnSize(call)),
                None => self.push(ExprId::ZERO),
            },
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY => {
                let (to, from, length) = (self.pop(), self.pop(), self.pop());
                self.guard(length, at.operand(2));
                let length = at.number(2)?;
                if length > 0 {
                    self.guard(to, at.operand(0));
                    if at.opcode == op::CODECOPY {
                        self.guard(from, at.operand(1));
                    }
                    self.copy(at, from, at.number(0)?, length);
                }
            }
            _ => return self.other(at, at.opcode),
        }
        Some(())
    }

    pub(super) fn calldata(&mut self, offset: ExprId) -> ExprId {
        if offset.is_opaque() {
            return offset;
        }
        self.exprs.insert(Expr::Calldata(offset))
    }

    pub(super) fn copy(&mut self, at: &Moment<'_>, from: ExprId, to: usize, length: usize) {
        if length > FOLLOWED {
            self.memory.forget(to, length);
            return;
        }
        for n in (0..length).step_by(32) {
            let word = match at.opcode {
                op::CALLDATACOPY => {
                    let offset = self.exprs.plus(from, U256::from(n));
                    self.calldata(offset)
                }
                op::CODECOPY => {
                    let start = at.number(1).unwrap_or(usize::MAX).saturating_add(n);
                    let byte = |n| at.code.get(start.saturating_add(n)).copied();
                    let word: [u8; 32] = core::array::from_fn(|n| byte(n).unwrap_or_default());
                    self.exprs.constant_of(U256::from_be_bytes(word))
                }
                _ => self.return_word(from, n),
            };
            self.memory.write(to + n, word, length - n);
        }
    }

    pub(super) fn return_word(&mut self, from: ExprId, more: usize) -> ExprId {
        let offset = self.exprs.constant(from).and_then(|from| u32::try_from(from).ok());
        match (self.returned, offset) {
            (Some(call), Some(offset)) => {
                self.exprs.insert(Expr::ReturnWord(call, offset.saturating_add(more as u32)))
            }
            _ => ExprId::OPAQUE,
        }
    }

    pub(super) fn with_memory(&mut self, at: &Moment<'_>) -> Option<()> {
        match at.opcode {
            op::MLOAD => {
                let from = self.pop();
                self.guard(from, at.operand(0));
                let word = self.memory.word(at.number(0)?, &mut self.exprs);
                self.push(word);
            }
            op::MSTORE | op::MSTORE8 => {
                let (to, word) = (self.pop(), self.pop());
                self.guard(to, at.operand(0));
                match at.opcode {
                    op::MSTORE => self.memory.write(at.number(0)?, word, 32),
                    _ => self.memory.write_byte(at.number(0)?, word),
                }
            }
            op::MCOPY => {
                let (to, from, length) = (self.pop(), self.pop(), self.pop());
                self.guard(length, at.operand(2));
                if let length @ 1.. = at.number(2)? {
                    self.guard(to, at.operand(0));
                    self.guard(from, at.operand(1));
                    self.memory.copy(at.number(0)?, at.number(1)?, length);
                }
            }
            _ => {
                self.guard_range(at, 0, 1);
                self.drop_operands(2);
                let pieces = self.bytes(at, 0, 1);
                let hash = self.exprs.keccak(pieces.into_vec());
                self.push(hash);
            }
        }
        Some(())
    }
}
