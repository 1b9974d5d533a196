//! Which ommers a block may include.

use crate::{InvalidBlock, Reason, header, rules::Rules};
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};

/// An ommer's parent is at most so many generations above the block that includes it.
pub(crate) const GENERATIONS: usize = 7;

/// An ancestor of the block under validation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ancestor<'a> {
    pub(crate) hash: B256,
    pub(crate) header: &'a Header,
    pub(crate) total_difficulty: U256,
    /// The hashes of the ommers that it includes.
    pub(crate) ommers: &'a [B256],
}

/// Checks the ommers of a block, given its nearest ancestors, the parent first.
pub(crate) fn check(
    rules: &Rules,
    merged: bool,
    ommers: &[Header],
    ancestors: &[Ancestor<'_>],
) -> Result<(), InvalidBlock> {
    if ommers.is_empty() {
        return Ok(());
    }
    if merged {
        return Err(InvalidBlock::new(Reason::OmmersAfterMerge, ommers.len()));
    }
    if ommers.len() > 2 {
        return Err(InvalidBlock::new(Reason::TooManyOmmers, ommers.len()));
    }
    let mut known: Vec<B256> =
        ancestors.iter().flat_map(|ancestor| ancestor.ommers).copied().collect();
    for ommer in ommers {
        let hash = ommer.hash_slow();
        if ancestors.iter().any(|ancestor| ancestor.hash == hash) {
            return Err(InvalidBlock::new(Reason::OmmerIsAncestor, hash));
        }
        if known.contains(&hash) {
            return Err(InvalidBlock::new(Reason::OmmerKnown, hash));
        }
        // A child of the block's own parent is no ommer but a sibling.
        let parent = ancestors.iter().skip(1).find(|ancestor| ancestor.hash == ommer.parent_hash);
        let parent = parent.ok_or_else(|| InvalidBlock::new(Reason::OmmerParent, hash))?;
        header::check(rules.for_child(parent.total_difficulty), ommer, parent.header).map_err(
            |error| InvalidBlock { detail: format!("ommer {hash}: {}", error.detail), ..error },
        )?;
        known.push(hash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::next_difficulty;
    use alloy_primitives::Address;
    use warpline_chainspec::ChainSpec;

    fn rules() -> Rules {
        Rules {
            before_merge: ChainSpec::mainnet(),
            after_merge: ChainSpec::mainnet(),
            merge_at: None,
            access_lists_from: None,
            net_gas_metering: 0..0,
        }
    }

    fn child(parent: &Header, beneficiary: u8) -> Header {
        let (number, timestamp) = (parent.number + 1, parent.timestamp + 13);
        Header {
            parent_hash: parent.hash_slow(),
            number,
            timestamp,
            beneficiary: Address::repeat_byte(beneficiary),
            difficulty: next_difficulty(&ChainSpec::mainnet(), number, timestamp, parent),
            ..parent.clone()
        }
    }

    /// Blocks 1 to 9, the last first.
    fn chain() -> Vec<Header> {
        let genesis =
            Header { gas_limit: 5_000, difficulty: U256::from(1 << 20), ..Header::default() };
        let mut headers = vec![child(&genesis, 0)];
        for _ in 1..9 {
            headers.insert(0, child(&headers[0], 0));
        }
        headers
    }

    fn verdict(ommers: &[Header], included: &[B256], merged: bool) -> Result<(), Reason> {
        let headers = chain();
        let ancestors: Vec<_> = headers
            .iter()
            .take(GENERATIONS)
            .map(|header| Ancestor {
                hash: header.hash_slow(),
                header,
                total_difficulty: U256::ZERO,
                ommers: included,
            })
            .collect();
        check(&rules(), merged, ommers, &ancestors).map_err(|error| error.reason)
    }

    #[test]
    fn an_ommer_descends_from_one_of_six_generations_above_the_parent() {
        let headers = chain();
        for (generation, header) in headers.iter().enumerate() {
            let expected =
                if (1..=6).contains(&generation) { Ok(()) } else { Err(Reason::OmmerParent) };
            assert_eq!(verdict(&[child(header, 1)], &[], false), expected, "{generation}");
        }
    }

    #[test]
    fn ommers_are_few_and_new() {
        let grandparent = &chain()[1];
        let [a, b, c] = [1, 2, 3].map(|beneficiary| child(grandparent, beneficiary));
        assert_eq!(verdict(&[a.clone(), b.clone()], &[], false), Ok(()));
        assert_eq!(verdict(&[a.clone(), a.clone()], &[], false), Err(Reason::OmmerKnown));
        let included = verdict(std::slice::from_ref(&a), &[a.hash_slow()], false);
        assert_eq!(included, Err(Reason::OmmerKnown));
        assert_eq!(verdict(&[a, b, c], &[], false), Err(Reason::TooManyOmmers));
        assert_eq!(verdict(&chain()[2..3], &[], false), Err(Reason::OmmerIsAncestor));
    }

    #[test]
    fn an_ommer_is_a_valid_header_of_a_mined_block() {
        let ommer = child(&chain()[1], 1);
        assert_eq!(verdict(std::slice::from_ref(&ommer), &[], true), Err(Reason::OmmersAfterMerge));
        let easy = Header { difficulty: ommer.difficulty - U256::ONE, ..ommer };
        assert_eq!(verdict(&[easy], &[], false), Err(Reason::Difficulty));
    }
}
