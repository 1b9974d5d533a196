//! Files and arguments that are wrong: what, where, and everything before it is imported.

use crate::{
    chains::{Chain, chains, made, other_branch},
    program::{import, init, stats, verify, warpline},
};
use flate2::{Compression, write::GzEncoder};
use std::{ffi::OsStr, fs, io::Write, path::Path};

fn fresh(chain: &Chain) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    folder
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn of_a_file_that_is_cut_off_everything_before_is_imported() {
    for chain in chains() {
        let whole = chain.bytes(..);
        let last = whole.len() - chain.blocks.last().unwrap().len();
        let tenth = chain.bytes(..9).len();
        for (cut, before) in [(tenth + 1, 9), (tenth + 2, 9), (last + 40, chain.head() - 1)] {
            let folder = fresh(chain);
            let file = write(folder.path(), "cut.rlp", &whole[..cut]);
            let offset = chain.bytes(..before as usize).len();
            let place = format!("cut.rlp: at byte {offset}, after block {before}: ");
            let outcome = import(folder.path(), &[&file]).failed(&[&place, "the file is cut off"]);
            let summary = outcome.json();
            assert_eq!(summary["blocks"], before);
            assert!(summary["error"].as_str().unwrap().contains("cut off"), "{summary}");
            assert_eq!(verify(folder.path()), before);
            // The whole file goes on there.
            let file = write(folder.path(), "whole.rlp", &whole);
            assert_eq!(import(folder.path(), &[&file]).ok().json()["passedOver"], before);
        }
    }
}

#[test]
fn gzip_that_is_cut_off_or_damaged_is_told_from_other_trouble() {
    let chain = made();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&chain.bytes(..)).unwrap();
    let zipped = encoder.finish().unwrap();
    let mut damaged = zipped.clone();
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    for (name, bytes) in [
        ("cut.gz", &zipped[..zipped.len() / 2]),
        ("nearly.gz", &zipped[..zipped.len() - 3]),
        ("damaged.gz", &damaged),
    ] {
        let folder = fresh(chain);
        let file = write(folder.path(), name, bytes);
        let said = import(folder.path(), &[&file]);
        let said = said.failed(&[name, "at byte ", "the gzip data is damaged or cut off"]);
        assert_eq!(said.json()["blocks"], verify(folder.path()));
    }
}

#[test]
fn what_holds_no_blocks_is_said_to_hold_none() {
    let chain = made();
    let folder = fresh(chain);
    let cases: [(&str, &[u8], &str); 5] = [
        ("genesis.json", b"{}", "at byte 0: byte 0x7b does not begin a block"),
        ("list.rlp", &[0xc1, 0x80], "at byte 0: not a block"),
        ("huge.rlp", &[0xfb, 0xff, 0xff, 0xff, 0xff], "a list of 4294967295 bytes begins here"),
        ("long.rlp", &[0xff; 9], "which is no block"),
        ("short.rlp", &[0xf9, 0x02], "the file is cut off"),
    ];
    for (name, bytes, problem) in cases {
        let file = write(folder.path(), name, bytes);
        import(folder.path(), &[&file]).failed(&[name, problem]);
    }
    let empty = write(folder.path(), "empty.rlp", b"");
    assert_eq!(import(folder.path(), &[&empty]).ok().json()["blocks"], 0);
    let rest = [chain.bytes(..3), vec![0x00, 0x01]].concat();
    let rest = write(folder.path(), "rest.rlp", &rest);
    let offset = chain.bytes(..3).len();
    let problem = format!("rest.rlp: at byte {offset}, after block 3: byte 0x00 does not begin");
    import(folder.path(), &[&rest]).failed(&[&problem]);
    assert_eq!(verify(folder.path()), 3);
}

#[test]
fn a_file_that_does_not_follow_says_where_the_chain_ends() {
    let chain = made();
    let folder = fresh(chain);
    import(folder.path(), &[&chain.file(..3, "three.rlp")]).ok();
    let later = chain.file(10.., "later.rlp");
    let said = import(folder.path(), &[&later]);
    let parts = ["later.rlp: block 11 (0x", ") at byte 0: ", "; the chain ends with block 3 (0x"];
    said.failed(&parts);
}

#[test]
fn a_branch_of_which_the_beginning_came_in_another_import_is_told_why_it_is_not_known() {
    let (chain, other) = (made(), other_branch());
    let folder = fresh(chain);
    let first = other.file(..1, "first.rlp");
    import(folder.path(), &[&chain.file(..9, "nine.rlp"), &first]).ok();
    assert_eq!(stats(folder.path())["head"]["hash"], other.hash(1).to_string());
    let next = chain.file(9..10, "next.rlp");
    let hint = "blocks beside the chain are remembered only while the process that imported them";
    import(folder.path(), &[&next]).failed(&["next.rlp: block 10 (0x", hint]);
    import(folder.path(), &[&chain.file(..9, "nine.rlp"), &next]).ok();
    assert_eq!(verify(folder.path()), 10);
}

#[test]
fn an_invalid_block_is_named_with_its_place_and_its_rule() {
    for chain in chains() {
        for threads in ["0", "2"] {
            let folder = fresh(chain);
            let bad = chain.blocks.len() / 2;
            let mut bytes = chain.bytes(..);
            let offset = chain.bytes(..bad).len();
            // The state root is the fourth field of the header, each before it a hash or an
            // address: lists and strings of known length.
            let block = &chain.blocks[bad];
            let prefix = |first: u8| if first > 0xf7 { 1 + usize::from(first - 0xf7) } else { 1 };
            let outer = prefix(block[0]);
            let root = outer + prefix(block[outer]) + 33 + 33 + 21 + 1;
            bytes[offset + root] ^= 1;
            let file = write(folder.path(), "bad.rlp", &bytes);
            let args = [OsStr::new("--threads"), OsStr::new(threads), file.as_os_str()];
            let said = warpline(&["import"], folder.path(), args);
            let place = format!("bad.rlp: block {} (0x", bad + 1);
            said.failed(&[&place, &format!(") at byte {offset}: "), "state root"]);
            assert_eq!(verify(folder.path()), bad as u64);
            import(folder.path(), &[&chain.file(.., "good.rlp")]).ok();
            assert_eq!(verify(folder.path()), chain.head());
        }
    }
}

#[test]
fn of_several_files_those_before_the_broken_one_are_imported() {
    let chain = made();
    let folder = fresh(chain);
    let (first, second) = (chain.file(..9, "first.rlp"), chain.file(9.., "second.rlp"));
    let missing = folder.path().join("missing.rlp");
    import(folder.path(), &[&first, &missing]).failed(&["missing.rlp: No such file"]);
    assert_eq!(stats(folder.path())["head"]["number"], 0);
    let broken = write(folder.path(), "broken.rlp", b"<html>");
    import(folder.path(), &[&first, &broken, &second]).failed(&["broken.rlp: at byte 0"]);
    assert_eq!(verify(folder.path()), 9);
    import(folder.path(), &[folder.path()]).failed(&["Is a directory"]);
}

#[test]
fn a_chain_that_is_not_the_one_of_the_database_is_refused() {
    let chain = made();
    let folder = fresh(chain);
    let all = chain.file(.., "all.rlp");
    let with = |genesis: &OsStr| {
        let args = [OsStr::new("--chain"), genesis, all.as_os_str()];
        warpline(&["import"], folder.path(), args)
    };
    with(OsStr::new("sepolia")).failed(&["holds chain 31337, not chain 11155111"]);
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(&chain.genesis).unwrap()).unwrap();
    let variant = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json);
        write(folder.path(), name, json.to_string().as_bytes())
    };
    let other = variant("other.json", &|json| json["extraData"] = "0x01".into());
    with(other.as_os_str()).failed(&["begins with genesis block"]);
    init(folder.path(), &other).failed(&["begins with genesis block"]);
    let forkless = variant("forkless.json", &|json| json["config"] = serde_json::json!({}));
    let said = with(forkless.as_os_str());
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("config.chainId"), "{}", said.stderr);
    with(chain.genesis.as_os_str()).ok();
    assert_eq!(verify(folder.path()), chain.head());
}

#[test]
fn forks_that_are_not_known_are_named_in_a_warning() {
    let chain = made();
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&chain.genesis).unwrap()).unwrap();
    for at in [serde_json::Value::Null, (1_u64 << 40).into()] {
        json["config"]["verkleTime"] = at.clone();
        let folder = tempfile::tempdir().unwrap();
        let genesis = write(folder.path(), "genesis.json", json.to_string().as_bytes());
        let args = [OsStr::new("--chain"), genesis.as_os_str()];
        let blocks = chain.file(..3, "some.rlp");
        let said = [
            init(folder.path(), &genesis).ok().stderr,
            warpline(&["import"], folder.path(), args.into_iter().chain([blocks.as_os_str()]))
                .ok()
                .stderr,
        ];
        for said in said {
            let warned = said.contains("does not know (verkleTime)");
            assert_eq!(warned, !at.is_null(), "{said}");
        }
    }
}

#[test]
fn forks_with_which_the_genesis_block_has_no_header_are_refused_and_leave_nothing() {
    let chain = made();
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&chain.genesis).unwrap()).unwrap();
    json["config"]["londonBlock"] = 5.into();
    let folder = tempfile::tempdir().unwrap();
    let genesis = write(folder.path(), "genesis.json", json.to_string().as_bytes());
    let said = init(folder.path(), &genesis);
    assert_eq!(said.code, Some(2), "{said:?}");
    let named = format!("{}: genesis config: Shanghai is active", genesis.display());
    assert!(said.stderr.contains(&named), "{said:?}");
    init(folder.path(), &chain.genesis).ok();
    assert_eq!(verify(folder.path()), 0);
}

#[test]
fn forks_to_come_can_be_scheduled_and_put_off() {
    let chain = made();
    let folder = fresh(chain);
    let (first, all) = (chain.file(..9, "first.rlp"), chain.file(.., "all.rlp"));
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&chain.genesis).unwrap()).unwrap();
    let mut scheduled = |at: u64| {
        json["config"]["bpo1Time"] = at.into();
        write(folder.path(), &format!("at-{at}.json"), json.to_string().as_bytes())
    };
    let (soon, later, before) = (scheduled(1 << 40), scheduled(1 << 41), scheduled(1));
    let import_with = |genesis: &Path, file: &Path| {
        let args = [OsStr::new("--chain"), genesis.as_os_str(), file.as_os_str()];
        warpline(&["import"], folder.path(), args)
    };
    import(folder.path(), &[&first]).ok();
    let change = |kept: &str, given: u64| {
        format!("`bpo1Time` is {kept} in the database and {given} in what is given")
    };
    let what = change("not set", 1 << 40);
    import_with(&soon, &all).failed(&[&what, "`warpline init --chain FILE` takes over"]);
    let said = init(folder.path(), &soon).ok().stderr;
    assert!(said.contains("another chain configuration from now on") && said.contains(&what));
    assert!(!init(folder.path(), &soon).ok().stderr.contains("from now on"));
    import_with(&soon, &all).ok();
    init(folder.path(), &later).ok();
    import_with(&soon, &all).failed(&[&change(&(1_u64 << 41).to_string(), 1 << 40)]);
    assert_eq!(verify(folder.path()), chain.head());
    init(folder.path(), &before).failed(&["another chain configuration, which block"]);
    import_with(&before, &all).failed(&["another chain configuration, which block"]);
    import(folder.path(), &[&all]).ok();
}

#[test]
fn without_a_database_it_is_said_how_to_make_one() {
    let chain = made();
    let folder = tempfile::tempdir().unwrap();
    let all = chain.file(.., "all.rlp");
    let how = "`warpline init --chain NAME|FILE` makes one";
    import(folder.path(), &[&all]).failed(&["there is no database at", how]);
    for command in [&["db", "stats"], &["db", "verify"]] {
        warpline(command, folder.path(), [] as [&str; 0]).failed(&["there is no database at", how]);
    }
    warpline(&["export"], folder.path(), ["out.rlp"]).failed(&["there is no database at"]);
    warpline(&["db", "unwind"], folder.path(), ["0"]).failed(&["there is no database at"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_export_that_cannot_be_is_refused_and_leaves_nothing() {
    let chain = made();
    let folder = fresh(chain);
    import(folder.path(), &[&chain.file(..5, "five.rlp")]).ok();
    let out = folder.path().join("out.rlp");
    let export = |range: [&str; 2]| {
        let args = [out.as_os_str(), OsStr::new(range[0]), OsStr::new(range[1])];
        warpline(&["export"], folder.path(), args)
    };
    export(["3", "2"]).failed(&["the first block, 3, comes after the last, 2"]);
    export(["3", "6"]).failed(&["block 6 is not in the database, which ends with block 5"]);
    let nowhere = folder.path().join("no/such/out.rlp");
    warpline(&["export"], folder.path(), [&nowhere]).failed(&["creating", "No such file"]);
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["db"]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let usage: [&[&str]; 7] = [
        &["import"],
        &["import", "--prune", "everything", "x.rlp"],
        &["import", "--prune", "0", "x.rlp"],
        &["import", "--chain", "ropsten", "x.rlp"],
        &["init"],
        &["init", "--chain", "no/such/genesis.json"],
        &["db", "unwind", "minus"],
    ];
    for args in usage {
        let said = warpline(args, folder.path(), [] as [&str; 0]);
        assert_eq!(said.code, Some(2), "{args:?}: {said:?}");
    }
    let said = warpline(&["init", "--chain", "ropsten"], folder.path(), [] as [&str; 0]);
    assert!(said.stderr.contains("unknown chain `ropsten`: expected one of mainnet"), "{said:?}");
    let text = folder.path().join("text");
    fs::write(&text, "no JSON").unwrap();
    let mut command = crate::program::command(&["init"], folder.path());
    let said = command.arg("--chain").arg(&text).output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("text: not a genesis file: expected"), "{said}");
}
