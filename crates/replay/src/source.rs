//! Where blocks come from: files and folders of fixtures.

use crate::{FileFailure, PreparedBlock};
use std::{
    fs,
    path::{Path, PathBuf},
};
use warpline_chainspec::ChainSpec;
use warpline_fixture::BlockFixture;

/// The fixture files that paths stand for: files as they are, folders with everything below
/// them whose name ends in `.json` or `.json.zst`, by number. A path that stands for nothing is a
/// failure.
pub fn find_fixtures(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<FileFailure>) {
    let mut files = Vec::new();
    let mut failures = Vec::new();
    for path in paths {
        let mut found = Vec::new();
        match collect(path, &mut found) {
            Ok(()) if found.is_empty() => {
                failures.push(failure(path, "no fixtures (*.json, *.json.zst) in this folder"));
            }
            Ok(()) => {
                found.sort_by_cached_key(|file| (number(file), file.clone()));
                files.append(&mut found);
            }
            Err(error) => failures.push(failure(path, error)),
        }
    }
    (files, failures)
}

/// Reads and prepares the block of a fixture file.
pub fn load_block(path: &Path, chain: Option<&ChainSpec>) -> Result<PreparedBlock, FileFailure> {
    let fixture = BlockFixture::load(path)
        .map_err(|error| FileFailure { file: name(path), error: error.to_string() })?;
    let label = name(path);
    PreparedBlock::new(label, fixture, chain).map_err(|error| failure(path, error))
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fixture = file_name.ends_with(".json") || file_name.ends_with(".json.zst");
        if path.is_dir() || fixture {
            collect(&path, found)?;
        }
    }
    Ok(())
}

/// The block number in a file's name, so that files come in the order of their blocks.
fn number(path: &Path) -> u64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(u64::MAX)
}

/// A file's name without its ending.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let stem = name.strip_suffix(".zst").unwrap_or(&name);
    stem.strip_suffix(".json").unwrap_or(stem).to_owned()
}

fn failure(path: &Path, error: impl ToString) -> FileFailure {
    FileFailure { file: name(path), error: format!("{}: {}", path.display(), error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_and_sorted_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        for name in ["10.json", "9.json.zst", "deep/9.json", "erc20.json", "README.md"] {
            write(name);
        }
        let (files, failures) = find_fixtures(&[dir.path().to_owned()]);
        let names: Vec<_> =
            files.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_owned()).collect();
        assert_eq!(
            names,
            ["9.json.zst", "deep/9.json", "10.json", "erc20.json"].map(PathBuf::from)
        );
        assert!(failures.is_empty());
    }

    #[test]
    fn paths_without_fixtures_are_failures() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent.json");
        let (files, failures) = find_fixtures(&[dir.path().to_owned(), absent.clone()]);
        assert!(files.is_empty());
        assert_eq!(failures.len(), 2);
        assert!(failures[0].error.contains("no fixtures"));
        assert!(failures[1].error.contains(absent.to_str().unwrap()));
    }
}
