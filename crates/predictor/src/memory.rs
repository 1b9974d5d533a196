//! What is known of a call's memory: for every byte, which formula it is a byte of.

use crate::expr::{Arena, ExprId, Piece};

/// Bytes of memory that are followed; what lies beyond is opaque.
const FOLLOWED: usize = 64 * 1024;

/// One byte: the formula and the place in it.
type Byte = (ExprId, u8);

/// The formulas in memory.
#[derive(Debug, Default)]
pub(crate) struct ShadowMemory {
    bytes: Vec<Byte>,
}

impl ShadowMemory {
    /// Bytes that were written to, or lie before such.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn byte(&self, at: usize) -> Byte {
        match self.bytes.get(at) {
            Some(byte) => *byte,
            None if at < FOLLOWED => (ExprId::ZERO, (at % 32) as u8),
            None => (ExprId::OPAQUE, (at % 32) as u8),
        }
    }

    fn set(&mut self, at: usize, byte: Byte) {
        if at >= FOLLOWED {
            return;
        }
        if at >= self.bytes.len() {
            let from = self.bytes.len();
            self.bytes.extend((from..=at).map(|at| (ExprId::ZERO, (at % 32) as u8)));
        }
        self.bytes[at] = byte;
    }

    /// Writes the first `len` bytes of a word.
    pub(crate) fn write(&mut self, at: usize, word: ExprId, len: usize) {
        for n in 0..len.min(32) {
            self.set(at + n, (word, n as u8));
        }
    }

    /// Writes the last byte of a word.
    pub(crate) fn write_byte(&mut self, at: usize, word: ExprId) {
        self.set(at, (word, 31));
    }

    /// Forgets what is known of some bytes.
    pub(crate) fn forget(&mut self, at: usize, len: usize) {
        for n in at..at.saturating_add(len).min(FOLLOWED) {
            self.set(n, (ExprId::OPAQUE, (n % 32) as u8));
        }
    }

    /// Copies within memory.
    pub(crate) fn copy(&mut self, to: usize, from: usize, len: usize) {
        let len = len.min(FOLLOWED);
        let bytes: Vec<_> = (from..from + len).map(|at| self.byte(at)).collect();
        for (n, byte) in bytes.into_iter().enumerate() {
            self.set(to + n, byte);
        }
    }

    /// What some bytes are made of.
    pub(crate) fn pieces(&self, at: usize, len: usize) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for n in at..at + len {
            let (source, place) = self.byte(n);
            match pieces.last_mut() {
                Some(last)
                    if last.source == source
                        && (source.is_opaque() || last.start + last.len == place)
                        && last.len < 32 =>
                {
                    last.len += 1;
                }
                _ => pieces.push(Piece {
                    source,
                    start: if source.is_opaque() { 0 } else { place },
                    len: 1,
                }),
            }
        }
        pieces
    }

    /// The word at an offset.
    pub(crate) fn word(&self, at: usize, arena: &mut Arena) -> ExprId {
        arena.join(self.pieces(at, 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use proptest::prelude::*;

    /// A change of memory.
    #[derive(Debug, Clone)]
    enum Change {
        Word(usize, [u8; 32], usize),
        Byte(usize, u8),
        Copy(usize, usize, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let at = || 0_usize..300;
        prop_oneof![
            (at(), any::<[u8; 32]>(), 1_usize..=32).prop_map(|(a, w, l)| Change::Word(a, w, l)),
            (at(), any::<u8>()).prop_map(|(a, b)| Change::Byte(a, b)),
            (at(), at(), 1_usize..100).prop_map(|(to, from, l)| Change::Copy(to, from, l)),
        ]
    }

    proptest! {
        #[test]
        fn memory_holds_what_a_list_of_bytes_would(
            changes in prop::collection::vec(change(), 0..40),
            at in 0_usize..300,
        ) {
            let (mut memory, mut arena) = (ShadowMemory::default(), Arena::new(1000));
            let mut bytes = vec![0_u8; 1000];
            for change in changes {
                match change {
                    Change::Word(at, word, len) => {
                        memory.write(at, arena.constant_of(U256::from_be_bytes(word)), len);
                        bytes[at..at + len].copy_from_slice(&word[..len]);
                    }
                    Change::Byte(at, byte) => {
                        memory.write_byte(at, arena.constant_of(U256::from(byte)));
                        bytes[at] = byte;
                    }
                    Change::Copy(to, from, len) => {
                        memory.copy(to, from, len);
                        bytes.copy_within(from..from + len, to);
                    }
                }
            }
            let word = memory.word(at, &mut arena);
            let expected = U256::from_be_slice(&bytes[at..at + 32]);
            prop_assert_eq!(arena.constant(word), Some(expected));
        }
    }

    #[test]
    fn what_lies_beyond_or_was_forgotten_is_opaque() {
        let (mut memory, mut arena) = (ShadowMemory::default(), Arena::new(100));
        assert_eq!(memory.word(FOLLOWED - 32, &mut arena), ExprId::ZERO);
        assert!(memory.word(FOLLOWED - 31, &mut arena).is_opaque());
        memory.forget(40, 1);
        assert!(memory.word(32, &mut arena).is_opaque());
        assert_eq!(memory.word(0, &mut arena), ExprId::ZERO);
    }
}
