//! Reads the workspace's manifests.

use std::{
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// One member of the workspace.
pub(crate) struct Package {
    /// Its name in the registry's sense.
    pub(crate) name: String,
    /// Its folder relative to the workspace.
    pub(crate) folder: String,
    /// Names under `[dependencies]` and `[build-dependencies]`, for every target.
    pub(crate) dependencies: Vec<String>,
    /// Names under `[dev-dependencies]`.
    pub(crate) dev_dependencies: Vec<String>,
    /// Lints, edition, version and licence come from the workspace.
    pub(crate) inherits_workspace: bool,
}

/// The top folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("this crate lies two folders below the workspace")
}

/// The members in the order of the root manifest.
pub(crate) fn workspace() -> Vec<Package> {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest["workspace"]["members"].as_array().expect("members is a list");
    members.iter().map(|member| package(member.as_str().expect("a member is a path"))).collect()
}

fn read(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn package(folder: &str) -> Package {
    let manifest = read(&root().join(folder).join("Cargo.toml"));
    let package = manifest["package"].as_table().expect("a member is a package");
    let from_workspace = |value: Option<&Value>| {
        value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
    };
    let inherits_workspace = from_workspace(manifest.get("lints"))
        && ["version", "edition", "license", "rust-version"]
            .iter()
            .all(|key| from_workspace(package.get(*key)))
        && package.contains_key("description");
    let name = package["name"].as_str().expect("a package has a name").to_owned();
    Package {
        name,
        folder: folder.to_owned(),
        dependencies: names(&manifest, &["dependencies", "build-dependencies"]),
        dev_dependencies: names(&manifest, &["dev-dependencies"]),
        inherits_workspace,
    }
}

/// The dependency names in `tables` of the manifest and of each `[target.…]` in it.
fn names(manifest: &Table, tables: &[&str]) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let scopes = targets.filter_map(|(_, scope)| scope.as_table()).chain([manifest]);
    scopes
        .flat_map(|scope| tables.iter().filter_map(|table| scope.get(*table)?.as_table()))
        .flat_map(|table| table.keys().cloned())
        .collect()
}
