//! The values of the past in a database against the state roots of the headers.

use super::source::{self, SnapshotSource};
use crate::ImportError;
use warpline_storage::Storage;
use warpline_trie::{StateTrie, TrieConfig};

/// Goes back through the changes of the last `blocks` blocks, or of as many as are kept, and holds
/// the root of each state against its header. Says which block does not lead back to the state
/// before it: of those before that nothing is known then. What the blocks changed stays in memory
/// meanwhile. `step` is told each block.
///
/// # Errors
/// The database cannot be read for another reason than damage.
pub fn verify_history(
    storage: &Storage,
    config: &TrieConfig,
    blocks: u64,
    mut step: impl FnMut(u64),
) -> Result<Option<String>, ImportError> {
    let snapshot = storage.snapshot(config.threads.max(1) + 2)?;
    let reader = snapshot.reader()?;
    let head = snapshot.block().number;
    let mut trie = StateTrie::open(config.clone(), source::state_root(&snapshot)?)?;
    let kept = reader.progress().history_from;
    for number in (kept.max(head.saturating_sub(blocks)) + 1..=head).rev() {
        step(number);
        let of_block = |what: &dyn core::fmt::Display| Ok(Some(format!("block {number}: {what}")));
        let back = match reader.put_back(number) {
            Err(error) if error.is_damage() => return of_block(&error),
            back => source::undone(&back?),
        };
        let stated = match reader.header(number - 1) {
            Ok(Some((header, _))) => header.state_root,
            Err(error) if !error.is_damage() => return Err(error.into()),
            _ => return of_block(&"the header before it cannot be read"),
        };
        trie.stage(back);
        match trie.root(&SnapshotSource(&snapshot)) {
            Ok(update) if update.root == stated => {}
            Ok(update) => {
                let root = update.root;
                let what = format!(
                    "what it changed leads back to state root {root}, before it was {stated}"
                );
                return of_block(&what);
            }
            Err(error) => return of_block(&format!("what it changed does not lead back: {error}")),
        }
    }
    Ok(None)
}
