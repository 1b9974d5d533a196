//! The structure of the workspace, held by tests: layers, homes of libraries, file size, banned
//! calls. The rules are data in `rules.rs`; a new crate or exception is a line there.

#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod manifests;
mod rules;
mod source;

use manifests::{Package, workspace};
use rules::{Home, Scope};
use source::{SourceFile, source_files};
use std::collections::{BTreeMap, BTreeSet};

/// Fails with one line per violation.
#[track_caller]
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

fn layer_of(package: &str) -> Option<u8> {
    rules::LAYERS.iter().find(|(name, _)| *name == package).map(|(_, layer)| *layer)
}

#[test]
fn every_member_has_a_layer() {
    let unknown = workspace().into_iter().filter(|package| layer_of(&package.name).is_none());
    assert_none(&unknown.map(|package| package.name).collect::<Vec<_>>());
}

#[test]
fn folders_and_packages_agree() {
    let named = |package: &Package| match package.folder.strip_prefix("crates/") {
        Some(short) => package.name == format!("warpline-{short}"),
        None => package.folder == format!("bin/{}", package.name),
    };
    let wrong = workspace().into_iter().filter(|package| !named(package));
    assert_none(&wrong.map(|p| format!("{} holds {}", p.folder, p.name)).collect::<Vec<_>>());
}

#[test]
fn members_are_listed_from_the_top_layer_down() {
    let layers: Vec<_> = workspace().iter().filter_map(|p| layer_of(&p.name)).collect();
    assert!(layers.is_sorted_by(|a, b| a >= b), "the manifest is the first diagram: {layers:?}");
}

#[test]
fn dependencies_point_to_lower_layers_only() {
    let mut violations = Vec::new();
    for package in workspace() {
        let own = layer_of(&package.name);
        for dependency in package.dependencies.iter().filter(|name| layer_of(name).is_some()) {
            if dependency == rules::TESTING || layer_of(dependency) >= own {
                violations.push(format!("{} must not depend on {dependency}", package.name));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn test_dependencies_do_not_point_up() {
    let mut violations = Vec::new();
    for package in workspace() {
        let own = layer_of(&package.name);
        for dependency in &package.dev_dependencies {
            let allowed = dependency == rules::TESTING
                || layer_of(dependency).is_none_or(|layer| Some(layer) <= own);
            if !allowed {
                violations.push(format!("{} tests must not use {dependency}", package.name));
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn libraries_stay_where_they_belong() {
    let mut violations = Vec::new();
    for package in workspace() {
        for dependency in &package.dependencies {
            for Home { library, packages, why } in rules::HOMES {
                let layer = layer_of(&package.name).unwrap_or_default();
                let inside = match packages {
                    Scope::Only(names) => names.contains(&package.name.as_str()),
                    Scope::Except(names) => !names.contains(&package.name.as_str()),
                    Scope::FromLayer(lowest) => layer >= *lowest,
                };
                if dependency.contains(library) && !inside {
                    violations.push(format!("{} uses {dependency}: {why}", package.name));
                }
            }
        }
    }
    assert_none(&violations);
}

#[test]
fn every_package_inherits_the_workspace_settings() {
    let wrong = workspace().into_iter().filter(|package| !package.inherits_workspace);
    assert_none(&wrong.map(|package| package.name).collect::<Vec<_>>());
}

#[test]
fn the_architecture_document_names_every_crate() {
    let text = std::fs::read_to_string(manifests::root().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md is readable");
    let missing = workspace().into_iter().filter(|p| !text.contains(&format!("`{}`", p.folder)));
    assert_none(&missing.map(|package| package.folder).collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is() {
    let mute = source_files().into_iter().filter(|file| !file.text.starts_with("//!"));
    assert_none(&mute.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn files_stay_short() {
    let allowed: BTreeMap<_, _> = rules::LONG_FILES.iter().copied().collect();
    let mut violations = Vec::new();
    let mut seen = BTreeSet::new();
    for file in source_files() {
        let lines = file.text.lines().count();
        let limit = allowed.get(file.path.as_str()).copied().unwrap_or(rules::MAX_LINES);
        if lines > limit {
            violations.push(format!("{}: {lines} lines, limit {limit}", file.path));
        }
        if lines > rules::MAX_LINES {
            seen.insert(file.path);
        }
    }
    let stale = allowed.keys().filter(|path| !seen.contains(**path));
    violations.extend(stale.map(|path| format!("{path} is short now: drop its exception")));
    assert_none(&violations);
}

#[test]
fn library_code_makes_no_banned_calls() {
    let mut violations = Vec::new();
    for file in source_files().into_iter().filter(SourceFile::is_library) {
        if file.package == rules::TESTING {
            continue;
        }
        for (needle, why) in rules::BANNED_IN_LIBRARIES {
            let hits = file.library_lines_with(needle).into_iter();
            violations.extend(hits.map(|at| format!("{at}: {needle} {why}")));
        }
    }
    assert_none(&violations);
}

#[test]
fn nothing_is_left_for_later() {
    let mut violations = Vec::new();
    for file in source_files() {
        for marker in rules::UNFINISHED {
            let hits = file.text.lines().enumerate().filter(|(_, line)| line.contains(marker));
            violations.extend(hits.map(|(at, _)| format!("{}:{}: {marker}", file.path, at + 1)));
        }
    }
    violations.retain(|violation| !violation.starts_with(rules::RULES_FILE));
    assert_none(&violations);
}

#[test]
fn revm_internals_are_named_in_two_crates_only() {
    let mut violations = Vec::new();
    for file in source_files().into_iter().filter(SourceFile::is_library) {
        if rules::REVM_INTERNALS_HOMES.contains(&file.package.as_str()) {
            continue;
        }
        for name in rules::REVM_INTERNALS {
            let hits = file.library_lines_with(name).into_iter();
            violations.extend(hits.map(|at| format!("{at}: {name}")));
        }
    }
    assert_none(&violations);
}

#[test]
fn unsafe_code_is_confined_and_explained() {
    let mut violations = Vec::new();
    for file in source_files() {
        let uses = file.all_lines_with("unsafe");
        let listed = rules::UNSAFE_FILES.contains(&file.path.as_str());
        match (uses.is_empty(), listed) {
            (false, false) => violations.extend(uses),
            (true, true) => violations.push(format!("{} has none: unlist it", file.path)),
            (false, true) if !file.text.contains("SAFETY:") => {
                violations.push(format!("{}: unsafe without a SAFETY comment", file.path));
            }
            _ => {}
        }
    }
    assert_none(&violations);
}
