//! Which of the values that a location had are changes in the sense of EIP-7928.

use alloy_eips::eip7928::BlockAccessIndex;

/// The changes of one location: the last value at each index, where it differs from the one
/// before. `accesses` holds index, value before and value after, in the order of the block.
///
/// What a value is compared with is the last one listed. That is what revm's builder does, and it
/// tells where a contract destroys itself and takes slots along that it has not touched.
pub(crate) fn changes_by_index<T: Copy + PartialEq>(
    accesses: impl Iterator<Item = (BlockAccessIndex, T, T)>,
) -> impl Iterator<Item = (BlockAccessIndex, T)> {
    let mut accesses = accesses.peekable();
    let mut known = None;
    core::iter::from_fn(move || {
        loop {
            let (index, before, mut after) = accesses.next()?;
            while let Some((_, _, later)) = accesses.next_if(|(at, ..)| *at == index) {
                after = later;
            }
            let last = *known.get_or_insert(before);
            if last != after {
                known = Some(after);
                return Some((index, after));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(accesses: &[(u64, u32, u32)]) -> Vec<(u64, u32)> {
        let accesses = accesses.iter();
        let accesses = accesses.map(|(at, before, after)| (BlockAccessIndex(*at), *before, *after));
        changes_by_index(accesses).map(|(at, value)| (at.0, value)).collect()
    }

    #[test]
    fn reads_are_no_changes() {
        assert_eq!(changes(&[(0, 5, 5), (3, 5, 5)]), []);
        assert_eq!(changes(&[(1, 5, 6), (2, 6, 6), (4, 6, 6)]), [(1, 6)]);
    }

    #[test]
    fn every_index_with_another_value_is_a_change() {
        assert_eq!(changes(&[(1, 5, 6), (2, 6, 5), (3, 5, 6)]), [(1, 6), (2, 5), (3, 6)]);
    }

    #[test]
    fn within_an_index_only_what_remains_counts() {
        assert_eq!(changes(&[(0, 5, 6), (0, 6, 7), (0, 7, 7)]), [(0, 7)]);
        assert_eq!(changes(&[(0, 5, 6), (0, 6, 5), (1, 5, 8)]), [(1, 8)]);
    }
}
