//! The rules as data, with the reason for each.

/// The crate that only tests may use.
pub(crate) const TESTING: &str = "warpline-testing";

/// This file, which has to spell out what others must not contain.
pub(crate) const RULES_FILE: &str = "crates/testing/tests/tidy/rules.rs";

/// Every package and its layer. Dependencies point to smaller numbers only, never sideways.
/// Crates that do not exist yet have their place already.
pub(crate) const LAYERS: &[(&str, u8)] = &[
    ("warpline", 6),
    ("warpline-rpc", 5),
    ("warpline-capture", 5),
    ("warpline-node", 4),
    ("warpline-replay", 4),
    ("warpline-conformance", 4),
    ("warpline-txpool", 3),
    ("warpline-simulation", 3),
    ("warpline-chain", 3),
    ("warpline-executor", 2),
    ("warpline-storage", 2),
    ("warpline-trie", 2),
    ("warpline-block-stm", 1),
    ("warpline-predictor", 1),
    ("warpline-merger", 1),
    ("warpline-chainspec", 1),
    ("warpline-fixture", 1),
    ("warpline-workload", 1),
    ("warpline-types", 0),
    ("warpline-keccak", 0),
    (TESTING, 0),
];

/// Which packages may depend on a library whose name contains `library`.
pub(crate) struct Home {
    pub(crate) library: &'static str,
    pub(crate) packages: Scope,
    pub(crate) why: &'static str,
}

/// A set of packages.
pub(crate) enum Scope {
    Only(&'static [&'static str]),
    Except(&'static [&'static str]),
    FromLayer(u8),
}

/// Libraries with a home.
pub(crate) const HOMES: &[Home] = &[
    Home {
        library: "revm",
        packages: Scope::Except(&["warpline-block-stm", "warpline-types"]),
        why: "the scheduler is driven by mock transactions in its tests",
    },
    Home {
        library: "alloy",
        packages: Scope::Except(&["warpline-block-stm"]),
        why: "the scheduler knows no Ethereum",
    },
    Home {
        library: "jsonrpsee",
        packages: Scope::Only(&["warpline-rpc"]),
        why: "wire formats live in rpc",
    },
    Home {
        library: "ureq",
        packages: Scope::Only(&["warpline-capture"]),
        why: "requests to other nodes are made in capture",
    },
    Home {
        library: "metrics",
        packages: Scope::FromLayer(4),
        why: "everything below L4 returns its figures",
    },
    Home {
        library: "pulp",
        packages: Scope::Only(&["warpline-keccak"]),
        why: "vector units are for hashing",
    },
    Home {
        library: "mdbx",
        packages: Scope::Only(&["warpline-storage"]),
        why: "the storage engine lives in storage",
    },
    Home {
        library: "tokio",
        packages: Scope::FromLayer(4),
        why: "everything below L4 is plain threads",
    },
];

/// Lines in a file that tells one story.
pub(crate) const MAX_LINES: usize = 500;

/// Files that are longer, and how long each may be. A ratchet: the numbers only go down.
pub(crate) const LONG_FILES: &[(&str, usize)] = &[];

/// What a library does not do. Tests, examples and binaries may.
pub(crate) const BANNED_IN_LIBRARIES: &[(&str, &str)] = &[
    ("env::var", "hides a switch: configuration is an argument"),
    ("println!", "writes to a stream that belongs to the program"),
    ("print!", "writes to a stream that belongs to the program"),
    ("eprintln!", "writes to a stream that belongs to the program"),
    ("eprint!", "writes to a stream that belongs to the program"),
    ("process::exit", "ends a process that belongs to the program"),
    ("todo!", "panics on a path somebody will take"),
    ("unimplemented!", "panics on a path somebody will take"),
    ("dbg!", "is for the desk"),
    (".unwrap()", "panics without saying what was expected"),
];

/// Words that promise work instead of doing it.
pub(crate) const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// The parts of revm that change with every major release.
pub(crate) const REVM_INTERNALS: &[&str] = &["Handler", "State<", "BundleState"];

/// Where they may be named, so that a new revm touches two crates.
pub(crate) const REVM_INTERNALS_HOMES: &[&str] = &["warpline-executor", "warpline-merger"];

/// Files with `unsafe` code; each says why it is sound.
pub(crate) const UNSAFE_FILES: &[&str] = &[
    "bin/warpline/src/allocator.rs",
    "crates/block-stm/src/pool.rs",
    "crates/storage/src/engine/validation.rs",
];
