//! Inputs that are hashed together.

use alloy_primitives::{B256, keccak256};
use core::ops::Range;

/// Bytes that the sponge takes in between two permutations.
const RATE: usize = 136;

/// As many inputs as stay in the processor's nearest cache together.
const TOGETHER: usize = 128;

/// The Keccak-256 of each of many inputs.
pub fn keccak256_each<T: AsRef<[u8]>>(inputs: impl IntoIterator<Item = T>) -> Vec<B256> {
    let mut inputs = inputs.into_iter();
    let mut hashes = Vec::with_capacity(inputs.size_hint().0);
    let mut batch = Batch::default();
    loop {
        inputs.by_ref().take(TOGETHER).for_each(|input| batch.push(input.as_ref()));
        if batch.is_empty() {
            return hashes;
        }
        batch.hash(|_, hash| hashes.push(hash));
    }
}

/// Inputs to be hashed. Its memory is used again after [`Batch::hash`].
#[derive(Debug, Default)]
pub struct Batch {
    /// Inputs one after the other, each padded to whole blocks.
    bytes: Vec<u8>,
    inputs: Vec<Input>,
}

#[derive(Debug, Clone, Copy)]
struct Input {
    start: usize,
    len: usize,
}

impl Input {
    const fn padded(&self) -> Range<usize> {
        self.start..self.start + (self.len / RATE + 1) * RATE
    }
}

impl Batch {
    /// Adds an input.
    pub fn push(&mut self, input: &[u8]) {
        let input_at = Input { start: self.bytes.len(), len: input.len() };
        let end = input_at.padded().end;
        self.bytes.extend_from_slice(input);
        // Keccak's own padding, which differs from that of SHA-3.
        self.bytes.push(0x01);
        self.bytes.resize(end, 0);
        self.bytes[end - 1] |= 0x80;
        self.inputs.push(input_at);
    }

    /// Number of inputs.
    pub const fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is no input.
    pub const fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The bytes of the n-th input, to be changed.
    pub fn input_mut(&mut self, index: usize) -> &mut [u8] {
        match self.inputs.get(index) {
            Some(Input { start, len }) => &mut self.bytes[*start..*start + *len],
            None => &mut [],
        }
    }

    /// Hashes all inputs, says which has which hash in the order of their being added, and
    /// forgets them.
    pub fn hash(&mut self, mut found: impl FnMut(usize, B256)) {
        match self.inputs.len() {
            0 => return,
            1 => found(0, self.hash_one(0)),
            _ => self.hash_together(found),
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.inputs.clear();
    }

    fn hash_one(&self, index: usize) -> B256 {
        let Input { start, len } = self.inputs[index];
        keccak256(&self.bytes[start..start + len])
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hash_together(&self, found: impl FnMut(usize, B256)) {
        self.hash_in_turn(found);
    }

    #[cfg(target_arch = "x86_64")]
    fn hash_together(&self, found: impl FnMut(usize, B256)) {
        use crate::permute;
        use pulp::x86::{V3, V4};
        if let Some(simd) = V4::try_new() {
            return self.hash_in_lanes(|states| permute::eight(simd, states), found);
        }
        match V3::try_new() {
            // Four side by side take as long as two in turn.
            Some(simd) if self.len() > 2 => {
                self.hash_in_lanes(|states| permute::four(simd, states), found);
            }
            _ => self.hash_in_turn(found),
        }
    }

    fn hash_in_turn(&self, mut found: impl FnMut(usize, B256)) {
        (0..self.len()).for_each(|index| found(index, self.hash_one(index)));
    }

    /// Each lane takes the next input when it is done with one, so that inputs of different
    /// lengths keep all lanes busy.
    #[cfg(target_arch = "x86_64")]
    fn hash_in_lanes<const N: usize>(
        &self,
        permute: impl Fn(&mut [[u64; N]; 25]),
        mut found: impl FnMut(usize, B256),
    ) {
        let mut states = [[0; N]; 25];
        let mut hashes = vec![B256::ZERO; self.len()];
        // What is left of the input of each lane, and which it is; `None` for a lane without one.
        let mut waiting = self.inputs.iter().map(|input| &self.bytes[input.padded()]).enumerate();
        let mut lanes: [Option<(usize, &[u8])>; N] = core::array::from_fn(|_| waiting.next());
        let mut fresh = [true; N];
        while lanes.iter().any(Option::is_some) {
            for (lane, input) in lanes.iter_mut().enumerate() {
                if let Some((_, rest)) = input
                    && let Some((block, after)) = rest.split_first_chunk::<RATE>()
                {
                    absorb(&mut states, lane, block, fresh[lane]);
                    (*rest, fresh[lane]) = (after, false);
                }
            }
            permute(&mut states);
            for (lane, input) in lanes.iter_mut().enumerate() {
                if let Some((index, [])) = input {
                    hashes[*index] = squeeze(&states, lane);
                    (*input, fresh[lane]) = (waiting.next(), true);
                }
            }
        }
        hashes.into_iter().enumerate().for_each(|(index, hash)| found(index, hash));
    }
}

/// Takes a block into the state of a lane, which begins with it where it is `fresh`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn absorb<const N: usize>(
    states: &mut [[u64; N]; 25],
    lane: usize,
    block: &[u8; RATE],
    fresh: bool,
) {
    let (words, _) = block.as_chunks::<8>();
    if fresh {
        states.iter_mut().skip(words.len()).for_each(|word| word[lane] = 0);
    }
    for (state, word) in states.iter_mut().zip(words) {
        let word = u64::from_le_bytes(*word);
        state[lane] = if fresh { word } else { state[lane] ^ word };
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn squeeze<const N: usize>(states: &[[u64; N]; 25], lane: usize) -> B256 {
    let mut hash = B256::ZERO;
    let (words, _) = hash.0.as_chunks_mut::<8>();
    for (word, state) in words.iter_mut().zip(states) {
        *word = state[lane].to_le_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    type Found = Vec<(usize, B256)>;
    type Report<'a> = &'a mut dyn FnMut(usize, B256);

    /// By every way that this processor has.
    fn by_all_ways(batch: &Batch) -> Vec<(&'static str, Found)> {
        let way = |hash: &dyn Fn(Report<'_>)| {
            let mut hashes = Vec::new();
            hash(&mut |index, hash| hashes.push((index, hash)));
            hashes
        };
        let mut ways = vec![("in turn", way(&|found| batch.hash_in_turn(found)))];
        #[cfg(target_arch = "x86_64")]
        {
            use crate::permute;
            use pulp::x86::{V3, V4};
            if let Some(simd) = V4::try_new() {
                let eight = |states: &mut _| permute::eight(simd, states);
                ways.push(("eight", way(&|found| batch.hash_in_lanes(eight, found))));
            }
            if let Some(simd) = V3::try_new() {
                let four = |states: &mut _| permute::four(simd, states);
                ways.push(("four", way(&|found| batch.hash_in_lanes(four, found))));
            }
        }
        ways
    }

    proptest! {
        #[test]
        fn every_way_gives_the_hash_of_each_input(inputs in vec(vec(any::<u8>(), 0..600), 0..40)) {
            let mut batch = Batch::default();
            inputs.iter().for_each(|input| batch.push(input));
            let expected: Found = inputs.iter().map(keccak256).enumerate().collect();
            for (way, hashes) in by_all_ways(&batch) {
                prop_assert_eq!(&hashes, &expected, "{}", way);
            }
            prop_assert_eq!(keccak256_each(&inputs), inputs.iter().map(keccak256).collect::<Vec<_>>());
        }
    }

    #[test]
    fn inputs_around_the_ends_of_blocks_are_padded_right() {
        let inputs: Vec<_> = (0..300).map(|len| vec![len as u8; len]).collect();
        assert_eq!(keccak256_each(&inputs), inputs.iter().map(keccak256).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_can_be_changed_and_used_again() {
        let mut batch = Batch::default();
        for round in 0..2u8 {
            batch.push(&[round; 40]);
            batch.push(&[0; 200]);
            batch.input_mut(1)[7] = round;
            let mut second = [0; 200];
            second[7] = round;
            let mut hashes = Vec::new();
            batch.hash(|_, hash| hashes.push(hash));
            assert_eq!(hashes, [keccak256([round; 40]), keccak256(second)]);
            assert!(batch.is_empty());
        }
    }
}
