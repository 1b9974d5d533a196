//! Trie tests: keys, values, and the root of the trie that holds them.

use alloy_primitives::{B256, Bytes, hex, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use serde_json::Value;
use std::collections::BTreeMap;

/// One fixture.
#[derive(Debug)]
pub(crate) struct TrieTest {
    entries: BTreeMap<Bytes, Bytes>,
    root: B256,
    /// The trie is keyed by the hashes of the keys, as those of the state are.
    secure: bool,
}

impl TrieTest {
    /// A file says in its name whether its tries are secure.
    pub(crate) fn new(file: &str, input: &Value, root: B256) -> Result<Self, String> {
        let name = file.rsplit('/').next().unwrap_or(file).to_lowercase();
        let entries = match input {
            Value::Object(entries) => {
                entries.iter().map(|(key, value)| (key.as_str(), value)).collect()
            }
            Value::Array(entries) => entries
                .iter()
                .map(entry)
                .collect::<Option<Vec<_>>>()
                .ok_or("`in`: expected pairs")?,
            _ => return Err("`in`: expected an object or a list of pairs".into()),
        };
        let mut trie = BTreeMap::new();
        for (key, value) in entries {
            let key = bytes(key)?;
            match value {
                Value::Null => trie.remove(&key),
                Value::String(value) => trie.insert(key, bytes(value)?),
                _ => return Err(format!("`in`: the value of {key} is no text")),
            };
        }
        Ok(Self { entries: trie, root, secure: name.contains("secure") })
    }

    /// Builds the trie with what builds the state's, and compares the roots.
    pub(crate) fn run(&self) -> Result<(), String> {
        let key = |key: &Bytes| match self.secure {
            true => keccak256(key).to_vec(),
            false => key.to_vec(),
        };
        let sorted: BTreeMap<Vec<u8>, &Bytes> =
            self.entries.iter().map(|(k, value)| (key(k), value)).collect();
        let keys: Vec<_> = sorted.keys().collect();
        if keys.windows(2).any(|pair| pair[1].starts_with(pair[0])) {
            return Err("a key is the beginning of another".into());
        }
        let mut builder = HashBuilder::default();
        for (key, value) in &sorted {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        let root = builder.root();
        match root == self.root {
            true => Ok(()),
            false => Err(format!("root: expected {}, got {root}", self.root)),
        }
    }
}

fn entry(pair: &Value) -> Option<(&str, &Value)> {
    match pair.as_array()?.as_slice() {
        [key, value] => Some((key.as_str()?, value)),
        _ => None,
    }
}

/// Hexadecimal after `0x`, and text otherwise.
fn bytes(text: &str) -> Result<Bytes, String> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            hex::decode(digits).map(Into::into).map_err(|error| format!("`in`: {text}: {error}"))
        }
        None => Ok(text.as_bytes().to_vec().into()),
    }
}
