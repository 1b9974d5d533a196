//! The whole program: `warpline predict` on the bundled blocks.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::hex;
use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use warpline_fixture::BlockFixture;

fn testdata(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(file)
}

fn predict(args: &[&str], paths: &[PathBuf]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("warpline").unwrap();
    let output = command.arg("predict").args(args).args(paths).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn blocks_are_scored_by_what_is_known() {
    let (code, json, table) = predict(&["--json", "-"], &[testdata("")]);
    assert_eq!(code, 0, "{table}");
    let report: Value = serde_json::from_str(&json).unwrap();
    let hits = |of: &Value, knowledge: &str| of[knowledge]["slots"]["hits"].as_u64().unwrap();
    let total = &report["total"];
    let all = ["cold", "block", "corpus", "analysis", "trials"];
    let [cold, block, corpus, analysis, trials] = all.map(|knowledge| hits(total, knowledge));
    assert!(cold < block && block <= corpus && corpus < analysis, "{table}");
    assert!(corpus < trials, "{table}");
    let scored = report["blocks"].as_array().unwrap();
    for knowledge in all {
        let sum: u64 = scored.iter().map(|block| hits(block, knowledge)).sum();
        assert_eq!(sum, hits(total, knowledge));
        assert!(table.contains(knowledge));
    }
    for knowledge in ["analysis", "trials"] {
        let slots = &total[knowledge]["slots"];
        let of = |field: &str| slots[field].as_f64().unwrap();
        assert!(of("hits") / (of("hits") + of("missed")) > 0.9, "{table}");
        assert!(of("hits") / (of("hits") + of("wrong")) > 0.9, "{table}");
    }
}

#[test]
fn one_transaction_is_shown_with_where_each_entry_comes_from() {
    // The only transaction of block 46147, a transfer.
    let hash = "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060";
    let (code, text, errors) = predict(&["--tx", hash], &[testdata("46147.json")]);
    assert_eq!(code, 0, "{errors}");
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines.iter().all(|line| line.starts_with("right ")), "{text}");
    assert!(lines.iter().all(|line| line.ends_with("the transaction itself")), "{text}");
    assert!(text.contains("credit 0x5DF9B87991262F6BA471F09758CDE1c0FC1De734"), "{text}");
}

#[test]
fn a_transaction_of_a_fixture_is_found_by_its_bytes_too() {
    let paths = [testdata("erc20.json.zst")];
    let first = &BlockFixture::load(&paths[0]).unwrap().transactions[0];
    let (hash, raw) = (first.tx_hash().to_string(), hex::encode_prefixed(first.encoded_2718()));
    let [by_hash, by_bytes] = [hash, raw].map(|wanted| predict(&["--tx", &wanted], &paths));
    assert_eq!(by_hash.0, 0, "{}", by_hash.2);
    assert_eq!(by_hash.1, by_bytes.1);
}

#[test]
fn one_transaction_is_shown_beside_files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let hash = "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060";
    let (code, text, errors) = predict(&["--tx", hash], &[broken, testdata("46147.json")]);
    assert_eq!(code, 1);
    assert!(text.contains("right credit 0x5DF9") && (text + &errors).contains("broken.json"));
    let (code, _, errors) = predict(&["--tx", hash, "--json", "-"], &[testdata("46147.json")]);
    assert!(code == 2 && errors.contains("--json"), "{errors}");
}

#[test]
fn what_was_never_seen_is_shown_as_its_bytecode_or_a_trial_tells() {
    let paths = [testdata("dex.json.zst")];
    let first = &BlockFixture::load(&paths[0]).unwrap().transactions[0];
    let hash = first.tx_hash().to_string();
    let (code, text, errors) = predict(&["--tx", &hash], &paths);
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("bytecode of 0x") && text.contains("never seen"), "{text}");
    assert!(!text.contains("missed") && !text.contains("wrong"), "{text}");
    assert!(!text.contains("a trial of it"), "{text}");
    let (code, text, errors) = predict(&["--tx", &hash, "--trials"], &paths);
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("predicted from a trial of it, 0 other blocks"), "{text}");
    assert!(text.contains("formula of") && !text.contains("bytecode of"), "{text}");
    assert!(!text.contains("missed") && !text.contains("wrong"), "{text}");
    let (code, _, errors) = predict(&["--trials"], &paths);
    assert!(code == 2 && errors.contains("--tx"), "{errors}");
}

#[test]
fn knowledge_is_exported_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| folder.path().join(name));
    let blocks = ["erc20.json.zst", "lending.json.zst"].map(testdata);
    let [first, second] = [&first, &second].map(|path| path.to_str().unwrap());
    let (code, _, errors) = predict(&["--export", first], &blocks);
    assert_eq!(code, 0, "{errors}");
    // Who has seen a block before is hardly surprised by it.
    let again = ["--import", first, "--export", second, "--json", "-"];
    let (code, json, errors) = predict(&again, &blocks[1..]);
    assert_eq!(code, 0, "{errors}");
    let report: Value = serde_json::from_str(&json).unwrap();
    let missed = |knowledge: &str| &report["total"][knowledge]["slots"]["missed"];
    assert_ne!(missed("cold"), 0);
    assert_eq!((missed("block"), missed("corpus")), (&0.into(), &0.into()), "{errors}");
    assert!(std::fs::metadata(second).unwrap().len() > 100);

    // A link leads to the file, and a copy of a block does not tell what is in the block.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(first, &link).unwrap();
    let copy = folder.path().join("copy.json.zst");
    std::fs::copy(&blocks[0], &copy).unwrap();
    let twice = [blocks[0].clone(), copy];
    let (code, _, errors) = predict(&["--export", link.to_str().unwrap()], &twice);
    assert!(code == 0 && errors.contains("copy.json.zst is left out"), "{errors}");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());

    std::fs::write(second, "something else").unwrap();
    let (code, _, errors) = predict(&["--import", second], &blocks[1..]);
    assert_eq!(code, 1);
    assert!(errors.contains(second) && errors.contains("not an archive"), "{errors}");
}

#[test]
fn a_transaction_of_no_block_needs_a_chain() {
    let raw = format!("0x{}", "ab".repeat(120));
    let (code, _, errors) = predict(&["--tx", &raw], &[testdata("46147.json")]);
    assert_eq!((code, errors.contains("--datadir")), (1, true), "{errors}");
    let export = ["--tx", &raw, "--export", "nowhere"];
    for wrong in [&["--tx", "0xabcd"][..], &["--datadir", "nowhere"], &[], &export] {
        let (code, _, errors) = predict(wrong, &[]);
        assert_eq!(code, 2, "{errors}");
    }
    let hash = format!("0x{}", "ab".repeat(32));
    let (code, _, errors) = predict(&["--tx", &hash, "--datadir", "nowhere"], &[]);
    assert_eq!((code, errors.contains("nowhere")), (1, true), "{errors}");
}

#[test]
fn what_cannot_be_predicted_is_said() {
    let unknown = format!("0x{}", "ab".repeat(32));
    let (code, _, errors) = predict(&["--tx", &unknown], &[testdata("46147.json")]);
    assert_eq!((code, errors.contains(&unknown)), (1, true), "{errors}");
    let (code, _, errors) = predict(&[], &[testdata("no-such-file.json")]);
    assert_eq!((code, errors.contains("no-such-file.json")), (1, true), "{errors}");
    let (code, _, errors) = predict(&["--from", "1000000000000"], &[testdata("46147.json")]);
    assert_eq!((code, errors.contains("no blocks")), (1, true), "{errors}");
}
