//! Lists without duplicates. Most predictions have a handful of entries, which are compared one by
//! one sooner than hashed, and without a table that would have to come into the cache first.

use alloy_primitives::map::HashMap;
use core::hash::Hash;

/// Entries that are searched one by one; an index is made when there are more.
const SEARCHED: usize = 16;

/// What an entry is told apart by.
pub(crate) trait Keyed {
    type Key: Copy + Eq + Hash;

    fn key(&self) -> Self::Key;
}

/// Entries with different keys, in the order in which they were added.
#[derive(Clone, Debug)]
pub(crate) struct Distinct<T: Keyed> {
    entries: Vec<T>,
    /// Where each is, once there have been many.
    index: HashMap<T::Key, u32>,
}

impl<T: Keyed> Default for Distinct<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashMap::default() }
    }
}

impl<T: Keyed> Distinct<T> {
    /// Forgets everything, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.entries
    }

    #[inline]
    pub(crate) fn get(&self, key: T::Key) -> Option<&T> {
        self.find(key).map(|at| &self.entries[at])
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: T::Key) -> Option<&mut T> {
        self.find(key).map(|at| &mut self.entries[at])
    }

    /// Adds an entry whose key is new.
    pub(crate) fn push(&mut self, entry: T) {
        let at = self.entries.len();
        debug_assert!(self.find(entry.key()).is_none(), "an entry that there is already");
        if !self.index.is_empty() {
            self.index.insert(entry.key(), at as u32);
        }
        self.entries.push(entry);
        if at == SEARCHED && self.index.is_empty() {
            self.index.extend(self.entries.iter().map(T::key).zip(0..));
        }
    }

    /// Takes back what was added last.
    pub(crate) fn pop(&mut self) {
        if let Some(entry) = self.entries.pop() {
            self.index.remove(&entry.key());
        }
    }

    #[inline]
    fn find(&self, key: T::Key) -> Option<usize> {
        if self.index.is_empty() {
            return self.entries.iter().position(|entry| entry.key() == key);
        }
        self.index.get(&key).map(|at| *at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Entry(u8, u32);

    impl Keyed for Entry {
        type Key = u8;

        fn key(&self) -> u8 {
            self.0
        }
    }

    #[derive(Clone, Debug)]
    enum Action {
        Put(u8, u32),
        Pop,
        Clear,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            20 => (0..60_u8, any::<u32>()).prop_map(|(key, value)| Action::Put(key, value)),
            4 => Just(Action::Pop),
            1 => Just(Action::Clear),
        ]
    }

    proptest! {
        #[test]
        fn entries_are_found_by_their_keys_however_many_there_are(
            actions in prop::collection::vec(action(), 0..200)
        ) {
            let (mut list, mut model) = (Distinct::<Entry>::default(), Vec::<Entry>::new());
            for action in actions {
                match action {
                    Action::Put(key, value) => {
                        match (list.get_mut(key), model.iter_mut().find(|entry| entry.0 == key)) {
                            (Some(own), Some(other)) => (own.1, other.1) = (value, value),
                            (None, None) => {
                                list.push(Entry(key, value));
                                model.push(Entry(key, value));
                            }
                            (own, other) => panic!("{own:?} and {other:?}"),
                        }
                    }
                    Action::Pop => {
                        list.pop();
                        model.pop();
                    }
                    Action::Clear => {
                        list.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(list.as_slice(), &model[..]);
                for key in 0..60 {
                    prop_assert_eq!(list.get(key), model.iter().find(|entry| entry.0 == key));
                }
            }
        }
    }
}
