//! Inputs that contain the hashes of others.

use crate::Batch;
use alloy_primitives::B256;

/// An input of [`Levels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId {
    level: u32,
    index: u32,
}

impl MessageId {
    /// How many inputs depend on each other up to this one.
    pub const fn level(self) -> usize {
        self.level as usize
    }
}

/// Inputs to be hashed that contain the hashes of others, level by level: whoever contains a hash
/// lies above what it is the hash of. All of one level are hashed together.
///
/// Its memory is used again after [`Levels::hash`].
#[derive(Debug)]
pub struct Levels<T> {
    levels: Vec<Level<T>>,
}

#[derive(Debug)]
struct Level<T> {
    batch: Batch,
    messages: Vec<Message<T>>,
}

#[derive(Debug)]
struct Message<T> {
    target: T,
    /// Who contains the hash, and where.
    container: Option<(MessageId, usize)>,
}

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self { levels: Vec::new() }
    }
}

impl<T> Levels<T> {
    /// Whether there is nothing to hash.
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(|level| level.batch.is_empty())
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.levels.iter().map(|level| level.batch.len()).sum()
    }

    /// Adds an input at a level above those whose hashes it is to contain; its hash will be that
    /// of `target`.
    pub fn push(&mut self, level: usize, bytes: &[u8], target: T) -> MessageId {
        while self.levels.len() <= level {
            self.levels.push(Level { batch: Batch::default(), messages: Vec::new() });
        }
        let into = &mut self.levels[level];
        let id = MessageId { level: level as u32, index: into.batch.len() as u32 };
        into.batch.push(bytes);
        into.messages.push(Message { target, container: None });
        id
    }

    /// Has the hash of `inner` written into `container`, from a byte on. One hash goes into one
    /// place.
    pub fn embed(&mut self, inner: MessageId, container: MessageId, offset: usize) {
        debug_assert!(inner.level < container.level, "hashed before what it contains");
        let level = self.levels.get_mut(inner.level as usize);
        if let Some(message) = level.and_then(|l| l.messages.get_mut(inner.index as usize)) {
            message.container = Some((container, offset));
        }
    }

    /// Hashes everything, says what the hash of each target is, and forgets them.
    pub fn hash(&mut self, mut found: impl FnMut(T, B256)) {
        for level in 0..self.levels.len() {
            let (below, above) = self.levels.split_at_mut(level + 1);
            let Some(Level { batch, messages }) = below.last_mut() else { return };
            let mut messages = messages.drain(..);
            batch.hash(|_, hash| {
                let Some(Message { target, container }) = messages.next() else { return };
                if let Some((MessageId { level: of, index }, offset)) = container
                    && let Some(level) = above.get_mut((of as usize) - level - 1)
                    && let Some(place) =
                        level.batch.input_mut(index as usize).get_mut(offset..offset + 32)
                {
                    place.copy_from_slice(hash.as_slice());
                }
                found(target, hash);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn hashes_are_in_their_places_before_what_contains_them_is_hashed() {
        let mut levels = Levels::default();
        for round in 0..2u8 {
            let leaf = levels.push(0, &[round; 50], "leaf");
            let other = levels.push(0, b"other", "other");
            let middle = levels.push(1, &[9; 200], "middle");
            let top = levels.push(2, &[8; 64], "top");
            levels.embed(leaf, middle, 100);
            levels.embed(middle, top, 0);
            levels.embed(other, top, 32);
            assert_eq!((levels.len(), levels.is_empty(), top.level()), (4, false, 2));

            let (leaf, other) = (keccak256([round; 50]), keccak256(b"other"));
            let mut bytes = [9; 200];
            bytes[100..132].copy_from_slice(leaf.as_slice());
            let middle = keccak256(bytes);
            let top = keccak256([middle.0, other.0].concat());
            let mut found = Vec::new();
            levels.hash(|target, hash| found.push((target, hash)));
            let expected = [("leaf", leaf), ("other", other), ("middle", middle), ("top", top)];
            assert_eq!(found, expected);
            assert!(levels.is_empty());
        }
    }
}
