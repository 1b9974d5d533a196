//! What goes in comes out again, in whatever steps it went in.

use crate::{
    chains::{Chain, chains, long, made, other_branch},
    program::{command, import, init, stats, verify, warpline},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

const NOTHING: [&str; 0] = [];

/// A folder with the chain of a file in it.
fn imported(chain: &Chain) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    import(folder.path(), &[&chain.file(.., "all.rlp")]).ok();
    folder
}

fn export(datadir: &Path, file: &Path, range: &[&str]) -> Vec<u8> {
    command(&["export"], datadir).arg(file).args(range).output().unwrap();
    fs::read(file).unwrap()
}

#[test]
fn a_chain_comes_out_as_it_went_in_whatever_the_threads() {
    for chain in chains() {
        for threads in ["0", "1", "2"] {
            let folder = tempfile::tempdir().unwrap();
            let datadir = folder.path().join("new");
            init(&datadir, &chain.genesis).ok();
            let file = chain.file(.., "all.rlp");
            let args = ["--json", "-", "--threads", threads];
            let summary = command(&["import"], &datadir).args(args).arg(&file).output().unwrap();
            let summary = crate::program::Outcome::new(summary).ok();
            assert!(summary.stderr.contains("blocks/s"), "{}", summary.stderr);
            let summary = summary.json();
            assert_eq!(summary["threads"].to_string(), threads);
            assert_eq!(summary["blocks"], chain.blocks.len());
            assert_eq!(summary["gasUsed"], chain.gas);
            assert_eq!(summary["head"]["number"], chain.head());
            assert_eq!(summary["head"]["stateRoot"], chain.root(chain.head()).to_string());
            assert_eq!(verify(&datadir), chain.head());

            let last = chain.head().to_string();
            let out = folder.path().join("out.rlp");
            assert_eq!(export(&datadir, &out, &["1", &last]), fs::read(&file).unwrap());
            let zipped = export(&datadir, &folder.path().join("out.gz"), &["1", &last]);
            let mut unpacked = Vec::new();
            GzDecoder::new(zipped.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, fs::read(&file).unwrap());
            assert!(zipped.len() < unpacked.len());
        }
    }
}

#[test]
fn an_export_of_everything_begins_with_the_genesis_block_and_can_be_imported() {
    let chain = made();
    let (from, to) = (imported(chain), tempfile::tempdir().unwrap());
    let file = to.path().join("all.rlp");
    let all = export(from.path(), &file, &[]);
    assert!(all.ends_with(&chain.bytes(..)));
    assert!(all.len() > chain.bytes(..).len());
    init(to.path(), &chain.genesis).ok();
    let summary = import(to.path(), &[&file]).ok().json();
    assert_eq!((&summary["blocks"], &summary["passedOver"]), (&chain.head().into(), &1.into()));
    let part = export(from.path(), &file, &["3", "7"]);
    assert_eq!(part, chain.bytes(2..7));
    assert_eq!(export(from.path(), &file, &["3"]), chain.bytes(2..));
}

#[test]
fn an_import_says_which_blocks_leave_the_chain_for_its_own() {
    let (chain, other) = (made(), other_branch());
    assert_eq!(chain.genesis_hash, other.genesis_hash);
    for threads in ["0", "2"] {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &chain.genesis).ok();
        import(folder.path(), &[&chain.file(..20, "some.rlp")]).ok();
        let file = other.file(.., "all.rlp");
        let args = ["--json".as_ref(), "-".as_ref(), "--threads".as_ref(), threads.as_ref()];
        let args = args.into_iter().chain([file.as_os_str()]);
        let said = warpline(&["import"], folder.path(), args).ok();
        let expected = "20 blocks left the chain, which goes on from block 0";
        assert!(said.stderr.contains(expected), "{said:?}");
        let summary = said.json();
        assert_eq!((&summary["leftChain"], &summary["blocks"]), (&20.into(), &30.into()));
        assert_eq!(summary["transactions"], other.transactions);
        assert_eq!(summary["head"]["hash"], other.hash(30).to_string());
        assert_eq!(verify(folder.path()), 30);
    }
}

#[test]
fn halves_files_and_gzip_make_no_difference() {
    for chain in chains() {
        let half = chain.blocks.len() / 2;
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (chain.file(..half, "first.rlp"), chain.file(half.., "second.rlp"));
        let all = chain.file(.., "all.rlp");
        let genesis = chain.genesis.to_str().unwrap();
        let run = |files: &[&Path]| {
            let command = &["import", "--chain", genesis, "--json", "-"];
            warpline(command, folder.path(), files).ok().json()
        };
        // The first makes the database, the second finds half of the blocks there.
        assert_eq!(run(&[&first])["blocks"], half);
        let summary = run(&[&all]);
        assert_eq!((&summary["blocks"], &summary["passedOver"]), (&half.into(), &half.into()));
        let summary = run(&[&all, &second]);
        assert_eq!(summary["blocks"], 0);
        assert_eq!(summary["passedOver"], 3 * half);
        assert_eq!(summary["head"]["number"], chain.head());

        // Two members, as `cat a.gz b.gz` makes them.
        let zipped = folder.path().join("zipped");
        let member = |bytes: Vec<u8>| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        };
        let members = [member(chain.bytes(..half)), member(chain.bytes(half..))];
        fs::write(&zipped, members.concat()).unwrap();
        let other = tempfile::tempdir().unwrap();
        init(other.path(), &chain.genesis).ok();
        let summary = import(other.path(), &[&zipped]).ok().json();
        assert_eq!(summary["blocks"], chain.blocks.len());
        assert_eq!(verify(other.path()), chain.head());
    }
}

#[test]
fn init_makes_a_database_once_and_says_what_it_made() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    let said = init(folder.path(), &chain.genesis).ok().stderr;
    for part in ["made ", "chain 31337", &chain.genesis_hash.to_string(), "accounts, state root"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    import(folder.path(), &[&chain.file(..2, "two.rlp")]).ok();
    let said = init(folder.path(), &chain.genesis).ok().stderr;
    assert!(said.contains("is there already, with head block 2"), "{said}");
    assert_eq!(verify(folder.path()), 2);
}

#[test]
fn the_public_networks_begin_with_their_genesis_blocks() {
    for (name, genesis) in [
        ("mainnet", "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"),
        ("sepolia", "0x25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9"),
        ("holesky", "0xb5f7f912443c940f21fd611f12828d75b534364ed9e95ca4e307729a4661bde4"),
        ("hoodi", "0xbbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let init = || warpline(&["init", "--chain", name], folder.path(), NOTHING).ok().stderr;
        let said = init();
        assert!(said.contains(genesis), "{said}");
        assert!(init().contains("is there already"));
        let report = stats(folder.path());
        assert_eq!((&report["network"], &report["genesis"]), (&name.into(), &genesis.into()));
        assert_eq!(verify(folder.path()), 0);
    }
}

#[test]
fn going_back_and_importing_again_ends_where_it_was() {
    for chain in chains() {
        let folder = imported(chain);
        let to = chain.head() / 3;
        let said = warpline(&["db", "unwind"], folder.path(), [to.to_string()]).ok().stderr;
        assert!(said.contains(&format!("back to block {to} (")), "{said}");
        assert_eq!(verify(folder.path()), to);
        let all = chain.file(.., "all.rlp");
        let summary = import(folder.path(), &[&all]).ok().json();
        assert_eq!(summary["passedOver"], to);
        assert_eq!(summary["head"]["hash"], chain.hash(chain.head()).to_string());
        assert_eq!(verify(folder.path()), chain.head());
        let beyond = (chain.head() + 1).to_string();
        warpline(&["db", "unwind"], folder.path(), [beyond])
            .failed(&["is not stored, the head is"]);
    }
}

#[test]
fn stats_name_the_chain_and_count_the_tables() {
    let chain = made();
    let folder = imported(chain);
    let report = stats(folder.path());
    assert_eq!(report["chainId"], 31337);
    assert_eq!(report["genesis"], chain.genesis_hash.to_string());
    assert_eq!(report["head"]["hash"], chain.hash(chain.head()).to_string());
    assert_eq!(report["cleanShutdown"], true);
    assert_eq!(report["historyFrom"], 0);
    let tables = report["tables"].as_array().unwrap();
    let entries = |name: &str| {
        let table = tables.iter().find(|table| table["name"] == name).unwrap();
        table["entries"].as_u64().unwrap()
    };
    assert_eq!(entries("Headers"), chain.head() + 1);
    assert_eq!(entries("TransactionHashNumbers"), chain.transactions);
    let text = warpline(&["db", "stats"], folder.path(), NOTHING).ok().stdout;
    for part in ["Headers", "KiB", "last shutdown  in order"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_is_pruned_cannot_be_gone_back_to() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    let all = chain.file(.., "all.rlp");
    warpline(&["import", "--prune", "8"], folder.path(), [&all]).ok();
    let report = stats(folder.path());
    assert_eq!(report["receiptsFrom"], chain.head() - 7);
    let kept = report["historyFrom"].as_u64().unwrap();
    assert!((1..=chain.head() - 8).contains(&kept), "{report}");
    assert_eq!(verify(folder.path()), chain.head());
    let pruned = warpline(&["db", "unwind"], folder.path(), [(kept - 1).to_string()]);
    pruned.failed(&["has been pruned"]);
    warpline(&["db", "unwind"], folder.path(), [kept.to_string()]).ok();
    assert_eq!(verify(folder.path()), kept);
}

#[test]
fn the_past_can_be_given_up_afterwards() {
    let chain = long();
    let folder = imported(chain);
    let prune = |policy: &str| warpline(&["db", "prune"], folder.path(), [policy]);
    prune("full").ok();
    assert_eq!(stats(folder.path())["historyFrom"], 0);
    // The state before the first of the last eight blocks, and what belongs to the eight.
    let (from, first) = (chain.head() - 8, chain.head() - 7);
    let said = prune("8").ok().stderr;
    assert!(
        said.contains(&format!("state from block {from}, receipts from block {first}")),
        "{said}"
    );
    let report = stats(folder.path());
    for (kept, from) in [("historyFrom", from), ("receiptsFrom", first), ("sendersFrom", first)] {
        assert_eq!(report[kept], from, "{kept}");
    }
    assert_eq!(verify(folder.path()), chain.head());
    let (before, at) = ((from - 1).to_string(), from.to_string());
    warpline(&["db", "unwind"], folder.path(), [before]).failed(&["has been pruned"]);
    warpline(&["db", "unwind"], folder.path(), [at]).ok();
    import(folder.path(), &[&chain.file(.., "all.rlp")]).ok();
    assert_eq!(verify(folder.path()), chain.head());
    assert_eq!(prune("none").code, Some(2));
}

#[test]
fn every_way_of_writing_leads_to_the_same_chain() {
    let chain = made();
    let all = chain.file(.., "all.rlp");
    for args in [
        ["--db.sync-mode", "safe-no-sync"],
        ["--db.sync-mode", "durable"],
        ["--gcmode", "full"],
        ["--cache", "16"],
        ["--log-interval", "0"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &chain.genesis).ok();
        let args = args.iter().map(|arg| (*arg).into()).chain([all.clone().into_os_string()]);
        warpline(&["import"], folder.path(), args).ok();
        assert_eq!(verify(folder.path()), chain.head());
    }
}

#[test]
fn a_database_that_a_bench_leaves_is_one_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let bench = ["bench", "transfers", "--pipeline", "--keep", "--runs", "1"];
    let sizes = ["--blocks", "3", "--txs", "5"];
    warpline(&[bench.as_slice(), &sizes].concat(), folder.path(), NOTHING).ok();
    let kept = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(verify(&kept), 3);
    let out = folder.path().join("out.rlp");
    warpline(&["export"], &kept, [out.as_os_str(), "1".as_ref(), "3".as_ref()]).ok();
    warpline(&["db", "unwind"], &kept, ["0"]).ok();
    assert_eq!(import(&kept, &[&out]).ok().json()["blocks"], 3);
    assert_eq!(verify(&kept), 3);
}
