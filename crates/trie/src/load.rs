//! Reading subtries, and holding them against what their parents say of them.
//!
//! Nothing that was read is used before it hashes to what is expected. A flipped bit in the flat
//! state or in a record is an error that names the place, never a wrong root.

use crate::{
    error::TrieError,
    page::{Leaf, Page},
    pass::{Pass, Scratch},
    path::{KEY_NIBBLES, Path},
    record,
    source::TrieSource,
    tree::{Child, Inner, Kind, Slot, UNKNOWN, location},
};

impl<S: TrieSource> Pass<'_, S> {
    /// Has the top of a subtrie in memory.
    pub(crate) fn load<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        match &mut slot.child {
            Child::Page(page) => page.used = self.tick,
            Child::Inner(inner) => inner.used = self.tick,
            Child::Unloaded => self.fetch(scope, slot, at, scratch)?,
        }
        Ok(())
    }

    fn fetch<K: Kind>(
        &self,
        scope: K::Scope,
        slot: &mut Slot<K>,
        at: Path,
        scratch: &mut Scratch,
    ) -> Result<(), TrieError> {
        // The root's size is not known from above: there is a record if it is large.
        let record = match slot.count {
            count if count != UNKNOWN && count < self.page_limit => None,
            _ => self.read_record::<K>(scope, at)?,
        };
        match record {
            Some(mut inner) => {
                let found = inner.count();
                check_count::<K>(scope, at, slot.count, found)?;
                if found < self.page_limit || at.depth() >= KEY_NIBBLES {
                    let reason = "there is no node with so few leaves, or so deep";
                    return Err(TrieError::Malformed { at: location::<K>(scope, at), reason });
                }
                let node = self.inner_node(scope, &mut inner, at, scratch)?;
                Self::check::<K>(scope, at, slot.node, node)?;
                inner.used = self.tick;
                slot.count = found;
                slot.child = Child::Inner(Box::new(inner));
                self.grew(size_of::<Inner<K>>());
            }
            None if slot.count != UNKNOWN && slot.count >= self.page_limit => {
                return Err(TrieError::Missing { at: location::<K>(scope, at) });
            }
            None => {
                let mut page = self.read_page::<K>(scope, at, slot.count)?;
                let node = page.node(at.depth(), scratch);
                Self::check::<K>(scope, at, slot.node, node)?;
                page.used = self.tick;
                slot.count = page.leaves.len() as u64;
                self.grew(size_of::<Page<K>>() + page.shrink_leaves(None));
                slot.child = Child::Page(Box::new(page));
            }
        }
        Ok(())
    }

    fn read_record<K: Kind>(
        &self,
        scope: K::Scope,
        at: Path,
    ) -> Result<Option<Inner<K>>, TrieError> {
        self.read(|reader| {
            let mut bytes = Vec::new();
            let found = K::read_node(reader, scope, at, &mut bytes)
                .map_err(|source| TrieError::Read { at: location::<K>(scope, at), source })?;
            if !found {
                return Ok(None);
            }
            let inner = record::decode(&bytes);
            let malformed = |reason| TrieError::Malformed { at: location::<K>(scope, at), reason };
            inner.map(Some).map_err(malformed)
        })
    }

    /// Reads the leaves of a small subtrie: `expected` of them, if that is known.
    fn read_page<K: Kind>(
        &self,
        scope: K::Scope,
        at: Path,
        expected: u64,
    ) -> Result<Page<K>, TrieError> {
        let most = if expected == UNKNOWN { self.page_limit } else { expected };
        let mut leaves: Vec<Leaf<K::Value>> = Vec::new();
        if most > 0 {
            leaves.reserve_exact(most.min(1024) as usize);
            let mut disorder = None;
            self.read(|reader| {
                K::read_leaves(reader, scope, at.first_key(), &mut |key, value| {
                    if !at.contains(&key) {
                        return false;
                    }
                    if leaves.last().is_some_and(|last| last.key >= key) {
                        disorder = Some(key);
                        return false;
                    }
                    leaves.push(Leaf::new(key, value));
                    leaves.len() as u64 <= most
                })
                .map_err(|source| TrieError::Read { at: location::<K>(scope, at), source })
            })?;
            if let Some(key) = disorder {
                return Err(TrieError::Disorder { at: location::<K>(scope, at), key });
            }
        }
        let found = leaves.len() as u64;
        check_count::<K>(scope, at, expected, found)?;
        if expected == UNKNOWN && found >= self.page_limit {
            return Err(TrieError::Missing { at: location::<K>(scope, at) });
        }
        Ok(Page::new(leaves))
    }
}

fn check_count<K: Kind>(
    scope: K::Scope,
    at: Path,
    expected: u64,
    found: u64,
) -> Result<(), TrieError> {
    if expected == UNKNOWN || expected == found {
        return Ok(());
    }
    Err(TrieError::Count { at: location::<K>(scope, at), expected, found })
}
