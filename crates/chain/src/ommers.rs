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
