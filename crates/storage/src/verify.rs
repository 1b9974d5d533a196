//! Checking that the tables agree with each other: everything that can be checked without
//! executing blocks or knowing what a trie is.

mod blocks;
mod indices;
mod state;

use crate::{
    Storage, StorageError, Table,
    engine::{DATA_FILE, ReadTx},
    meta::{self, Progress},
    open::{self, MetaPage},
};
use alloy_primitives::Bytes;
use core::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table; none for what is wrong with pages of the file.
    pub table: Option<Table>,
    /// The key; empty for what is wrong with a table as a whole.
    pub key: Bytes,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some(table) if self.key.is_empty() => write!(f, "{table}: {}", self.problem),
            Some(table) => write!(f, "{table}, key {}: {}", self.key, self.problem),
            None => write!(f, "pages: {}", self.problem),
        }
    }
}

/// What a part of the check needs.
struct Check<'a> {
    tx: &'a ReadTx,
    head: u64,
    progress: Progress,
    findings: Vec<Finding>,
    limit: usize,
}

/// Why a check ends early: enough has been found, or reading failed.
enum Stop {
    Enough,
    Error(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Error(error)
    }
}

impl Check<'_> {
    fn report(&mut self, table: Table, key: &[u8], problem: impl ToString) -> Result<(), Stop> {
        let (key, problem) = (Bytes::copy_from_slice(key), problem.to_string());
        self.findings.push(Finding { table: Some(table), key, problem });
        if self.findings.len() < self.limit { Ok(()) } else { Err(Stop::Enough) }
    }

    fn expect(
        &mut self,
        holds: bool,
        table: Table,
        key: &[u8],
        problem: impl ToString,
    ) -> Result<(), Stop> {
        if holds { Ok(()) } else { self.report(table, key, problem) }
    }

    /// Fails a table of the wrong length.
    fn expect_entries(&mut self, table: Table, expected: u64) -> Result<(), Stop> {
        let (entries, _) = self.tx.size_of(table)?;
        let problem = format_args!("{entries} entries instead of {expected}");
        self.expect(entries == expected, table, &[], problem)
    }
}

impl Storage {
    /// Walks through every page of the file, holds every table against those that it must agree
    /// with, as of the last block written, and returns what is wrong, at most `limit` of it. `step`
    /// is told what is checked next. Nothing may be written meanwhile.
    ///
    /// The state root and the roots in the headers are not checked: that takes the rules of
    /// tries.
    ///
    /// # Errors
    /// The database cannot be read for another reason than damage.
    pub fn verify(
        &self,
        limit: usize,
        step: impl FnMut(&'static str),
    ) -> Result<Vec<Finding>, StorageError> {
        // The writer waits, if there is anything to write.
        let _turn = self.shared.write_turn.lock();
        self.shared.engine.check_pages(true)?;
        let findings = self.checked(limit, step);
        self.shared.engine.check_pages(self.shared.options.check_pages)?;
        findings
    }

    /// One is enough to open the file, so that nothing else tells.
    fn torn_meta_pages(&self) -> Result<Vec<String>, StorageError> {
        let pages = open::meta_pages(&self.path().join(DATA_FILE));
        let pages = pages.map_err(|error| StorageError::Io {
            operation: "read the meta pages".to_owned(),
            source: error.into(),
        })?;
        let torn = (0..).zip(pages).filter(|(_, page)| !matches!(page, MetaPage::Whole(_)));
        Ok(torn.map(|(number, _): (u32, _)| format!("meta page {number} is not whole")).collect())
    }

    fn checked(
        &self,
        limit: usize,
        mut step: impl FnMut(&'static str),
    ) -> Result<Vec<Finding>, StorageError> {
        let limit = limit.max(1);
        step("pages");
        let page = |problem| Finding { table: None, key: Bytes::new(), problem };
        let mut findings: Vec<_> = self.torn_meta_pages()?.into_iter().map(page).collect();
        findings.extend(self.shared.engine.examine(limit)?.into_iter().map(page));
        if findings.len() >= limit {
            return Ok(findings);
        }
        type Part = fn(&mut Check<'_>) -> Result<(), Stop>;
        let parts: [(&'static str, Part); 8] = [
            ("headers", blocks::headers),
            ("bodies, senders, receipts, transaction lookup", blocks::bodies),
            ("access lists", blocks::access_lists),
            ("accounts and codes", state::accounts),
            ("storage", state::storages),
            ("account history", indices::accounts),
            ("storage history", indices::storages),
            ("trie nodes", state::nodes),
        ];
        for (name, part) in parts {
            step(name);
            // A view that has met a damaged page can be read no further.
            let tx = self.shared.engine.read()?;
            let (head, progress) = (meta::known_head(&tx)?, meta::progress(&tx)?);
            let mut check = Check { tx: &tx, head: head.number, progress, findings, limit };
            let checked = part(&mut check);
            findings = check.findings;
            match checked {
                Ok(()) => {}
                Err(Stop::Enough) => break,
                Err(Stop::Error(error)) => match damage(&error) {
                    // What several parts have met is told once.
                    Some(finding) if findings.contains(&finding) => {}
                    Some(finding) => findings.push(finding),
                    None => return Err(error),
                },
            }
            if findings.len() >= limit {
                break;
            }
        }
        Ok(findings)
    }
}

/// Damage that a read has met is a finding like others.
fn damage(error: &StorageError) -> Option<Finding> {
    match error {
        StorageError::Decode { table, key, reason } => {
            Some(Finding { table: Some(*table), key: key.clone(), problem: reason.to_string() })
        }
        StorageError::Inconsistent { table, key, problem } => {
            Some(Finding { table: Some(*table), key: key.clone(), problem: (*problem).to_owned() })
        }
        StorageError::Corrupted { operation, detail } => {
            let table = Table::ALL.into_iter().find(|table| table.name() == operation)?;
            Some(Finding { table: Some(table), key: Bytes::new(), problem: detail.clone() })
        }
        _ => None,
    }
}
