//! Finds the genesis states of the public networks: the published `alloy-genesis` crate carries
//! them beside its source. None of them is in this repository, and nothing is downloaded.
//!
//! `networks.rs` includes what this writes: a constant per network, `None` where the crate's
//! folder cannot be found. A test of the library says so.

#![allow(clippy::expect_used, reason = "a build script fails loudly")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const NETWORKS: [&str; 3] = ["mainnet", "sepolia", "holesky"];

fn main() {
    // Genesis states never change: those of another version of the crate are the same.
    println!("cargo::rerun-if-changed=build.rs");
    let folder = from_metadata().or_else(from_registry).map(|folder| folder.join("dumpgenesis"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut code = String::new();
    for network in NETWORKS {
        let name = network.to_uppercase();
        let file = folder.as_ref().map(|folder| folder.join(format!("{network}.json")));
        let found = file.filter(|file| file.is_file()).map(|file| {
            let copy = out.join(format!("{network}.json"));
            fs::copy(file, &copy).expect("the output folder is writable");
            copy
        });
        let value = found.map_or_else(
            || {
                println!("cargo::warning=no genesis state of {network} found: `init` lacks it");
                "None".to_owned()
            },
            |file| format!("Some(include_str!({file:?}))"),
        );
        code += &format!("const {name}_GENESIS: Option<&str> = {value};\n");
    }
    fs::write(out.join("genesis_states.rs"), code).expect("the output folder is writable");
}

/// Where cargo says that the crate lies, vendored or not.
fn from_metadata() -> Option<PathBuf> {
    let target = env::var("TARGET").ok()?;
    let mut cargo = Command::new(env::var_os("CARGO")?);
    cargo.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    cargo.args(["--filter-platform", &target]);
    let output = cargo.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    // Of all the JSON only this one path is wanted.
    let key = "\"manifest_path\":\"";
    let paths = text.match_indices(key).map(|(at, _)| &text[at + key.len()..]);
    let path = paths.filter_map(|rest| rest.split_once('"')).map(|(path, _)| Path::new(path));
    let folders = path.filter_map(Path::parent);
    let of_crate = |folder: &&Path| {
        let name = folder.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("alloy-genesis"))
    };
    folders.filter(of_crate).map(Path::to_owned).next()
}

/// Where cargo unpacks what it has downloaded, for when it cannot say so because the development
/// dependencies of other crates are not there.
fn from_registry() -> Option<PathBuf> {
    let lock = fs::read_to_string("../../Cargo.lock").ok()?;
    let (_, package) = lock.split_once("name = \"alloy-genesis\"\nversion = \"")?;
    let (version, _) = package.split_once('"')?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    let registries = fs::read_dir(home.join("registry/src")).ok()?.flatten();
    let folder = |registry: fs::DirEntry| registry.path().join(format!("alloy-genesis-{version}"));
    registries.map(folder).find(|folder| folder.is_dir())
}
