//! `--access-lists`: lists that are kept, whatever becomes of the chain.

use crate::{
    chains::chains,
    program::{import, init, stats, verify, warpline},
};
use serde_json::Value;
use std::path::Path;

/// How many lists there are in the database.
fn kept(datadir: &Path) -> Value {
    let report = stats(datadir);
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == "BlockAccessLists").unwrap()["entries"].clone()
}

#[test]
fn lists_survive_going_back_and_spare_the_conflicts_of_the_next_import() {
    for chain in chains() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path();
        init(datadir, &chain.genesis).ok();
        let all = chain.file(.., "all.rlp");
        let args = ["--access-lists".as_ref(), all.as_os_str()];
        warpline(&["import"], datadir, args).ok();
        assert_eq!(kept(datadir), chain.head());
        assert_eq!(verify(datadir), chain.head());

        warpline(&["db", "unwind"], datadir, ["0"]).ok();
        assert_eq!(kept(datadir), chain.head());
        assert_eq!(verify(datadir), 0);
        let summary = import(datadir, &[&all]).ok().json();
        assert_eq!(summary["head"]["hash"], chain.hash(chain.head()).to_string());
        assert_eq!(summary["head"]["stateRoot"], chain.root(chain.head()).to_string());
        // The lists of the early forks of the other chain do not tell of everything.
        if chain.is_made() {
            let executed = (&summary["executions"], &summary["reExecutions"]);
            assert_eq!(executed, (&chain.transactions.into(), &0.into()));
        }
        assert_eq!(verify(datadir), chain.head());
    }
}

#[test]
fn no_lists_are_kept_unless_asked_for_and_old_ones_go_as_the_policy_says() {
    let chain = chains().pop().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path();
    init(datadir, &chain.genesis).ok();
    let (half, all) = (chain.file(..20, "half.rlp"), chain.file(.., "all.rlp"));
    import(datadir, &[&half]).ok();
    assert_eq!(kept(datadir), 0);
    let args = ["--access-lists", "--prune", "8"].map(AsRef::as_ref);
    warpline(&["import"], datadir, args.into_iter().chain([all.as_os_str()])).ok();
    assert_eq!(kept(datadir), 8);
    assert_eq!(verify(datadir), chain.head());
}
