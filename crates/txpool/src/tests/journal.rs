//! Local transactions survive restarts, and whatever a crash leaves of the file.

use super::{Bench, key_address, tx};
use crate::{JournalReport, Origin, PoolConfig};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

fn bench(path: &Path) -> (Bench, JournalReport) {
    let journal = Some(path.to_owned());
    let bench = Bench::new(PoolConfig { journal, ..PoolConfig::default() });
    let report = bench.pool.open_journal().expect("the journal is readable");
    bench.verify();
    (bench, report)
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("pool/transactions.rlp")
}

#[test]
fn local_transactions_are_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let (first, report) = bench(&path);
    assert_eq!(report, JournalReport::default());
    for nonce in [0, 1, 3] {
        first.pool.add(&tx(1, nonce).signed(), Origin::Local).unwrap();
    }
    first.pool.add(&tx(2, 0).signed(), Origin::External).unwrap();
    let sent = tx(3, 0).unsigned();
    first.pool.add_recovered(sent, Origin::Impersonated).unwrap();
    drop(first);
    let (second, report) = bench(&path);
    assert_eq!(report, JournalReport { found: 3, added: 3, cut: 0 });
    let content = second.pool.content_from(&key_address(1));
    assert_eq!((content.pending.len(), content.queued.len()), (2, 1));
    assert_eq!(second.pool.status(), (2, 1));
}

#[test]
fn a_file_cut_at_any_byte_gives_what_is_whole_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let (first, _) = bench(&path);
    let mut ends = vec![0];
    for nonce in 0..4 {
        first.pool.add(&tx(1, nonce).signed(), Origin::Local).unwrap();
        ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    drop(first);
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (cut, report) = bench(&path);
        let complete = ends.iter().filter(|end| **end > 0 && **end <= length).count();
        let rest = (length - ends[complete]) as u64;
        let expected = JournalReport { found: complete, added: complete, cut: rest };
        assert_eq!(report, expected, "cut at {length}");
        // What is written now can be read later.
        let next = tx(1, complete as u64 + 7).signed();
        cut.pool.add(&next, Origin::Local).unwrap();
        drop(cut);
        let (_, report) = bench(&path);
        assert_eq!(report, JournalReport { found: complete + 1, added: complete + 1, cut: 0 });
    }
}

#[test]
fn rubbish_at_the_end_is_cut_off() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let (first, _) = bench(&path);
    first.pool.add(&tx(1, 0).signed(), Origin::Local).unwrap();
    drop(first);
    let whole = fs::read(&path).unwrap();
    for rubbish in [&[0; 5000][..], &[0xff; 3], &[0xbb, 0xff, 0xff, 0xff, 0xff, 1], b"text"] {
        fs::write(&path, [&whole, rubbish].concat()).unwrap();
        let (_, report) = bench(&path);
        let cut = rubbish.len() as u64;
        assert_eq!(report, JournalReport { found: 1, added: 1, cut });
    }
    // A record that is whole but no transaction is skipped.
    fs::write(&path, [b"\x83abc", &whole[..]].concat()).unwrap();
    let (_, report) = bench(&path);
    assert_eq!(report, JournalReport { found: 2, added: 1, cut: 0 });
}

#[test]
fn what_has_left_the_pool_leaves_the_journal_when_it_is_written_anew() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let (mut first, _) = bench(&path);
    for nonce in 0..3 {
        first.pool.add(&tx(1, nonce).signed(), Origin::Local).unwrap();
    }
    first.advance(&[], |world| world.change(key_address(1), |account| account.nonce = 2));
    let before = fs::metadata(&path).unwrap().len();
    first.pool.maintain(Instant::now()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before);
    first.pool.maintain(Instant::now() + Duration::from_secs(3601)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before / 3);
    first.pool.add(&tx(1, 3).signed(), Origin::Local).unwrap();
    first.pool.rotate_journal().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before / 3 * 2);
}

#[test]
fn a_long_journal_is_read_in_pieces() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder);
    let mut bytes = Vec::new();
    let mut count = 0;
    // Larger than the buffer that the file is read through.
    while bytes.len() < 5 << 20 {
        let large = super::Tx { input: 100_000, gas: 100_000, ..tx(1, count) };
        alloy_rlp::Encodable::encode(&large.signed(), &mut bytes);
        count += 1;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let (_, report) = bench(&path);
    assert_eq!((report.found, report.added, report.cut), (count as usize, count as usize, 0));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let journal = Some(path.join("journal"));
    let bench = Bench::new(PoolConfig { journal, ..PoolConfig::default() });
    bench.pool.open_journal().unwrap_err();
    bench.pool.add(&tx(1, 0).signed(), Origin::Local).unwrap();
}
