//! The state in a database against its own tries and the header of its head.

use super::source::{self, SnapshotSource};
use crate::ImportError;
use alloy_primitives::B256;
use std::sync::Mutex;
use warpline_storage::{BlockRef, HashedState, StateReader, Storage, StorageError, Table};
use warpline_trie::{Finding, Rebuilt, SourceError, TrieConfig, rebuild};

/// What [`verify_state`] found.
#[derive(Debug, Clone)]
pub struct StateReport {
    /// The last block written, whose state it is.
    pub block: BlockRef,
    /// The root that its header states.
    pub stated: B256,
    /// What the flat state amounts to.
    pub rebuilt: Rebuilt,
    /// What is wrong, at most as much as was asked for.
    pub problems: Vec<String>,
}

/// Computes the state root from nothing but accounts and slots, and holds it against the header
/// of the head, every storage root against its account, and every stored trie node against what
/// belongs there.
///
/// # Errors
/// The database cannot be read.
pub fn verify_state(
    storage: &Storage,
    config: &TrieConfig,
    limit: usize,
) -> Result<StateReport, ImportError> {
    let threads = config.threads.max(1);
    let snapshot = storage.snapshot(threads + 2)?;
    let stated = source::state_root(&snapshot)?;
    let reader = Mutex::new(snapshot.reader()?);
    let mut problems = Vec::new();
    let mut report = |problem: Option<String>| {
        problems.extend(problem.filter(|_| problems.len() < limit));
    };
    let compare = |finding: Finding<'_>| -> Result<(), SourceError> {
        let reader = reader.lock().map_err(|_| StorageError::Closed)?;
        report(difference(&reader, &finding)?);
        Ok(())
    };
    let rebuilt = rebuild(&SnapshotSource(&snapshot), config.page_limit, threads, compare)?;
    if rebuilt.root != stated {
        report(Some(format!("state root: the header says {stated}, it is {}", rebuilt.root)));
    }
    let stored = storage.entries(&[Table::AccountsTrie, Table::StoragesTrie])?;
    if stored != rebuilt.nodes {
        report(Some(format!("{stored} trie nodes are stored, {} belong there", rebuilt.nodes)));
    }
    Ok(StateReport { block: snapshot.block(), stated, rebuilt, problems })
}

/// What is wrong with something that a rebuild found out.
fn difference(
    reader: &StateReader<'_>,
    finding: &Finding<'_>,
) -> Result<Option<String>, StorageError> {
    let (storage_of, path, node) = match finding {
        Finding::StorageRoot { account, stored, computed } => {
            return Ok(Some(format!(
                "account {account}: storage root {stored}, its slots have {computed}"
            )));
        }
        Finding::Node { storage_of, path, node } => (storage_of, path, node),
    };
    let stored = match storage_of {
        None => reader.account_node(&path.to_vec())?,
        Some(account) => reader.storage_node(account, &path.to_vec())?,
    };
    let problem = match stored {
        Some(stored) if *stored == **node => return Ok(None),
        Some(_) => "is not what belongs there",
        None => "is missing",
    };
    let of = storage_of.map_or("account trie".to_owned(), |of| format!("storage trie of {of}"));
    let path: String = path.to_vec().iter().map(|nibble| format!("{nibble:x}")).collect();
    let path = if path.is_empty() { "root".to_owned() } else { format!("path {path}") };
    Ok(Some(format!("{of}, {path}: the stored node {problem}")))
}
