//! Which transactions are expected to need what earlier ones write.

/// For every transaction the earlier ones that it is expected to wait for. A guess: a need that is
/// missing or too many costs time, never correctness.
///
/// Made by collecting what each transaction needs, in block order; only transactions before it
/// count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    needs: Lists,
    /// The other way round.
    needed: Lists,
}

impl Needs {
    /// What transaction `tx` needs, ascending; nothing where nothing is known.
    #[inline]
    pub fn of(&self, tx: usize) -> &[u32] {
        self.needs.of(tx)
    }

    /// Who needs transaction `tx`, ascending.
    #[inline]
    pub fn needing(&self, tx: usize) -> &[u32] {
        self.needed.of(tx)
    }

    /// Whether nobody needs anybody.
    pub const fn is_empty(&self) -> bool {
        self.needs.all.is_empty()
    }
}

impl<T: IntoIterator<Item = u32>> FromIterator<T> for Needs {
    fn from_iter<I: IntoIterator<Item = T>>(txs: I) -> Self {
        let mut needs = Lists::default();
        txs.into_iter().for_each(|tx| needs.push(tx));
        let needed = needs.reversed();
        Self { needs, needed }
    }
}

/// A list for each transaction, in two flat arrays, because a block has tens of thousands of
/// transactions with a few needs each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lists {
    /// Where the list of each transaction ends.
    ends: Vec<u32>,
    all: Vec<u32>,
}

impl Lists {
    /// Adds the next transaction with what it needs. Only transactions before it count.
    fn push(&mut self, earlier: impl IntoIterator<Item = u32>) {
        let (tx, start) = (self.ends.len() as u32, self.all.len());
        self.all.extend(earlier.into_iter().filter(|need| *need < tx));
        self.all[start..].sort_unstable();
        let mut kept = start;
        for at in start..self.all.len() {
            if at == start || self.all[at] != self.all[kept - 1] {
                self.all[kept] = self.all[at];
                kept += 1;
            }
        }
        self.all.truncate(kept);
        self.ends.push(kept as u32);
    }

    #[inline]
    fn of(&self, tx: usize) -> &[u32] {
        let Some(end) = self.ends.get(tx) else { return &[] };
        let start = tx.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start as usize..*end as usize]
    }

    /// The same the other way round: for every transaction those that need it, ascending.
    fn reversed(&self) -> Self {
        let mut ends = vec![0_u32; self.ends.len()];
        for need in &self.all {
            ends[*need as usize] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            // For now the place where the next one goes.
            (*end, sum) = (sum, sum + *end);
        }
        let mut all = vec![0; self.all.len()];
        for tx in 0..self.ends.len() {
            for need in self.of(tx) {
                let place = &mut ends[*need as usize];
                all[*place as usize] = tx as u32;
                *place += 1;
            }
        }
        Self { ends, all }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn needs() -> impl Strategy<Value = Vec<Vec<u32>>> {
        prop::collection::vec(prop::collection::vec(0..40_u32, 0..6), 0..30)
    }

    fn built(all: &[Vec<u32>]) -> Needs {
        all.iter().map(|one| one.iter().copied()).collect()
    }

    proptest! {
        #[test]
        fn needs_are_earlier_ascending_and_listed_once(all in needs()) {
            let needs = built(&all);
            for (tx, given) in all.iter().enumerate() {
                let expected: BTreeSet<_> =
                    given.iter().copied().filter(|need| (*need as usize) < tx).collect();
                prop_assert_eq!(needs.of(tx).to_vec(), expected.into_iter().collect::<Vec<_>>());
            }
            prop_assert_eq!(needs.of(all.len()), &[] as &[u32]);
        }

        #[test]
        fn the_other_way_round_says_the_same(all in needs()) {
            let needs = built(&all);
            for tx in 0..all.len() {
                for other in 0..all.len() {
                    let needed = needs.of(tx).contains(&(other as u32));
                    prop_assert_eq!(needs.needing(other).contains(&(tx as u32)), needed);
                }
            }
        }
    }
}
