//! Block access lists that are kept (EIP-7928). A block that is executed again, after going back
//! or on the way from one branch to another, has no conflicts with the list that it had before.

use alloy_consensus::Header;
use alloy_eips::eip7928::BlockAccessList;
use alloy_primitives::B256;
use warpline_storage::{BlockRef, Snapshot, StorageError};

/// The list of a block, whatever it is executed on. One that cannot be read, or that the header
/// does not commit to though it commits to one, is as good as none.
pub(super) fn remembered(
    snapshot: &Snapshot,
    hash: B256,
    header: &Header,
) -> Option<BlockAccessList> {
    let block = BlockRef { number: header.number, hash };
    let read = || -> Result<_, StorageError> { snapshot.reader()?.access_list(block) };
    let list = read().ok().flatten()?;
    let stated = header.block_access_list_hash;
    stated.is_none_or(|stated| stated == list.seal()).then(|| list.into_inner())
}
