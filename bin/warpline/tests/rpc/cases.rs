//! The `.io` files of the conformance cases.

use serde_json::Value;
use std::{fs, path::Path};

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// `<method>/<file>` without the ending.
    pub(crate) name: String,
    /// Whether the recorded answer is only one of many right ones.
    pub(crate) only_schema: bool,
    /// What is sent, and the answer to it.
    pub(crate) exchanges: Vec<(String, Value)>,
}

impl Case {
    fn read(path: &Path, name: String) -> Self {
        let (mut exchanges, mut only_schema, mut request) = (Vec::new(), false, None);
        for line in fs::read_to_string(path).unwrap().lines() {
            if let Some(comment) = line.strip_prefix("//") {
                only_schema |= exchanges.is_empty() && comment.trim().starts_with("speconly:");
            } else if let Some(sent) = line.strip_prefix(">>") {
                request = Some(sent.trim().to_owned());
            } else if let Some(answer) = line.strip_prefix("<<") {
                let answer = serde_json::from_str(answer).unwrap();
                exchanges.push((request.take().unwrap(), answer));
            }
        }
        assert!(!exchanges.is_empty(), "{name} says nothing");
        Self { name, only_schema, exchanges }
    }
}

/// All cases of a folder, in the order in which they are to be run.
pub(crate) fn read(folder: &Path) -> Vec<Case> {
    let entries = |path: &Path| {
        let mut entries: Vec<_> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    };
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut cases = Vec::new();
    for method in entries(folder).iter().filter(|path| path.is_dir()) {
        for file in
            entries(method).iter().filter(|path| path.extension().is_some_and(|e| e == "io"))
        {
            cases.push(Case::read(file, format!("{}/{}", name(method), name(file))));
        }
    }
    cases
}
