//! Source files of the workspace, and their code without comments, strings and tests.

use crate::manifests::{root, workspace};
use std::{fs, path::Path};

/// What introduces items that are not shipped.
const TEST_ONLY: [&str; 3] = ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(loom)]"];

/// One Rust file.
pub(crate) struct SourceFile {
    /// Path relative to the workspace.
    pub(crate) path: String,
    /// The package it belongs to.
    pub(crate) package: String,
    /// All of it.
    pub(crate) text: String,
    /// Comments and literals blanked out, line numbers kept.
    code: String,
    /// The same without the items that exist only under test or under the model checker.
    shipped: String,
    /// The whole file exists only under test.
    only_tests: bool,
}

impl SourceFile {
    /// Shipped library code: not a binary, test, example, benchmark or build script.
    pub(crate) fn is_library(&self) -> bool {
        self.path.starts_with("crates/") && self.path.contains("/src/") && !self.only_tests
    }

    /// Paths without extension of the modules that this file declares under `#[cfg(test)]`.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = ["/lib", "/main", "/mod"].iter().find_map(|root| stem.strip_suffix(root));
        let lines = self.code.lines().zip(self.code.lines().skip(1));
        lines
            .filter(|(attribute, _)| TEST_ONLY.iter().any(|mark| attribute.contains(mark)))
            .filter_map(|(_, item)| item.trim().strip_prefix("mod ")?.strip_suffix(';'))
            .map(|name| format!("{}/{name}", folder.unwrap_or(stem)))
            .collect()
    }

    /// `path:line` of every line with `needle` as words of its own.
    pub(crate) fn all_lines_with(&self, needle: &str) -> Vec<String> {
        self.hits(&self.code, needle)
    }

    /// The same, in what a release build compiles.
    pub(crate) fn library_lines_with(&self, needle: &str) -> Vec<String> {
        self.hits(&self.shipped, needle)
    }

    fn hits(&self, code: &str, needle: &str) -> Vec<String> {
        let lines = code.lines().enumerate().filter(|(_, line)| has_word(line, needle));
        lines.map(|(at, _)| format!("{}:{}", self.path, at + 1)).collect()
    }
}

/// Every Rust file of every member, in a stable order.
pub(crate) fn source_files() -> Vec<SourceFile> {
    let mut files = Vec::new();
    for package in workspace() {
        let mut paths = Vec::new();
        collect(&root().join(&package.folder), &mut paths);
        paths.sort();
        for path in paths {
            let text = fs::read_to_string(root().join(&path)).expect("source files are readable");
            let code = code_only(&text);
            let shipped = without_tests(&code);
            let (package, only_tests) = (package.name.clone(), false);
            files.push(SourceFile { path, package, text, code, shipped, only_tests });
        }
    }
    let tests: Vec<_> = files.iter().flat_map(SourceFile::test_modules).collect();
    for file in &mut files {
        let below = |module: &String| {
            file.path.strip_prefix(module).is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        file.only_tests = tests.iter().any(below);
    }
    files
}

fn collect(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("folders of the workspace are readable") {
        let path = entry.expect("folders of the workspace are readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("members lie in the workspace");
            paths.push(relative.to_str().expect("our file names are ASCII").to_owned());
        }
    }
}

/// Whether `line` contains `needle` with no identifier running on at either end.
fn has_word(line: &str, needle: &str) -> bool {
    let joins = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = line.as_bytes();
    let edge = |at: usize| joins(needle.as_bytes().get(at));
    line.match_indices(needle).any(|(start, _)| {
        let end = start + needle.len();
        let before = edge(0) && start > 0 && joins(bytes.get(start - 1));
        let after = edge(needle.len() - 1) && joins(bytes.get(end));
        !before && !after
    })
}

/// The source with comments and the insides of literals replaced by spaces.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => text[at..].find('\n').map_or(bytes.len(), |length| at + length),
            [b'/', b'*', ..] => block_comment_end(bytes, at),
            [b'"', ..] => quoted_end(bytes, at),
            [b'r', b'"' | b'#', ..] if starts_literal(bytes, at) => raw_string_end(text, at),
            [b'\'', b'\\', ..] => char_end(bytes, at + 2),
            [b'\'', _, b'\'', ..] => at + 3,
            _ => {
                out.push(bytes[at]);
                at += 1;
                continue;
            }
        };
        let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
        out.extend(bytes[at..end].iter().map(blank));
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn starts_literal(bytes: &[u8], at: usize) -> bool {
    let joined = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    !joined && bytes.get(at + 1 + hashes) == Some(&b'"')
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

fn quoted_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn char_end(bytes: &[u8], escaped: usize) -> usize {
    let rest = &bytes[(escaped + 1).min(bytes.len())..];
    let length = rest.iter().position(|byte| *byte == b'\'').unwrap_or(rest.len());
    (escaped + 2 + length).min(bytes.len())
}

fn raw_string_end(text: &str, start: usize) -> usize {
    let hashes = text[start + 1..].bytes().take_while(|byte| *byte == b'#').count();
    let close = format!("\"{}", "#".repeat(hashes));
    let body = start + 2 + hashes;
    text[body..].find(&close).map_or(text.len(), |length| body + length + close.len())
}

/// The code with every item under `#[cfg(test)]` or `#[cfg(loom)]` blanked.
fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for marker in TEST_ONLY {
        for (start, _) in code.match_indices(marker) {
            let end = item_end(code.as_bytes(), start);
            for byte in out[start..end].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The end of the item that begins at `start`: its closing brace, or a semicolon before any.
fn item_end(code: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "a(); // unsafe\nb(\"unsafe \\\" unsafe\"); /* unsafe /* unsafe */ unsafe */\n\
                c('\"', '\\'', r#\"unsafe \" unsafe\"#); d::<'a>(); unsafe_name();";
    let code = code_only(text);
    assert!(code.lines().all(|line| !has_word(line, "unsafe")), "{code}");
    for call in ["a()", "b(", "c(", "d::<'a>()", "unsafe_name()"] {
        assert!(code.contains(call), "{call} is lost in {code}");
    }
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn test_modules_are_not_library_code() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x.unwrap() } }\nfn c() {}";
    let left = without_tests(code);
    assert!(left.contains("fn a") && left.contains("fn c") && !left.contains("unwrap"));
}

#[test]
fn words_have_edges() {
    assert!(has_word("let s: State<u8>;", "State<"));
    assert!(!has_word("let s: ParentState<u8>;", "State<"));
    assert!(has_word("std::println!(\"\")", "println!"));
    assert!(!has_word("eprintln!(\"\")", "println!"));
}
