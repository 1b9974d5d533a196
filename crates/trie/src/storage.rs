//! Storage tries: slot key to value.

use crate::{
    changes::SlotChange,
    error::{SourceError, TrieError},
    pass::{Pass, Scratch},
    path::Path,
    source::{TrieReader, TrieSource},
    tree::{Keep, Kind, Outcome},
};
use alloy_primitives::{B256, U256};

/// The storage of the account in scope.
#[derive(Debug)]
pub(crate) enum Storage {}

impl Kind for Storage {
    type Scope = B256;
    type Value = U256;
    type Change = SlotChange;

    fn storage_of(scope: B256) -> Option<B256> {
        Some(scope)
    }

    #[inline]
    fn key(change: &SlotChange) -> &B256 {
        &change.slot
    }

    fn read_node(
        reader: &mut impl TrieReader,
        scope: B256,
        path: Path,
        out: &mut Vec<u8>,
    ) -> Result<bool, SourceError> {
        reader.storage_node(scope, &path.nibbles(), out)
    }

    fn read_leaves(
        reader: &mut impl TrieReader,
        scope: B256,
        from: B256,
        visit: &mut dyn FnMut(B256, U256) -> bool,
    ) -> Result<(), SourceError> {
        reader.storage(scope, from, visit)
    }

    #[inline]
    fn encode(value: &U256, out: &mut Vec<u8>) {
        crate::encode::integer(value, out);
    }

    #[inline]
    fn apply<S: TrieSource>(
        _: &Pass<'_, S>,
        old: Option<&mut U256>,
        change: &SlotChange,
        _: &mut Scratch,
    ) -> Result<Outcome<U256>, TrieError> {
        Ok(match (old, change.value.is_zero()) {
            (None, true) => Outcome::Unchanged,
            (Some(_), true) => Outcome::Remove,
            (None, false) => Outcome::Insert { value: change.value, open: false },
            (Some(old), false) if *old == change.value => Outcome::Unchanged,
            (Some(old), false) => {
                *old = change.value;
                Outcome::Changed { open: false }
            }
        })
    }

    fn settle<S: TrieSource>(
        _: &Pass<'_, S>,
        _: &B256,
        _: &mut U256,
        _: &mut Scratch,
    ) -> Result<bool, TrieError> {
        Ok(false)
    }

    fn prefetch<S: TrieSource>(
        _: &Pass<'_, S>,
        _: Option<&mut U256>,
        _: &SlotChange,
        _: &mut Scratch,
    ) -> Result<(), TrieError> {
        Ok(())
    }

    #[inline]
    fn shrink(_: &mut U256, _: Option<Keep>) -> usize {
        0
    }
}
