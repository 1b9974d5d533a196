//! Opening what should not open: always a clear error, never damage.

use crate::{chain::Chain, model::options};
use alloy_consensus::Sealed;
use alloy_primitives::B256;
use signet_libmdbx::{Environment, Mode, SyncMode, WriteFlags};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};
use warpline_storage::{
    BlockCommit, GenesisLoader, Identity, OpenError, Storage, StorageError, StorageOptions, Table,
};

const DATA: &str = "mdbx.dat";

/// A closed database of some blocks.
fn database(folder: &Path) -> (Chain, Identity) {
    let mut chain = Chain::new(21);
    let storage = Storage::create(folder, options(), 7, chain.genesis()).unwrap();
    for _ in 0..12 {
        storage.commit(chain.grow()).unwrap();
    }
    let identity = storage.identity();
    storage.shutdown().unwrap();
    (chain, identity)
}

fn open(folder: &Path) -> Result<Storage, OpenError> {
    Storage::open(folder, options(), None)
}

#[test]
fn a_missing_database_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    assert!(matches!(open(&missing), Err(OpenError::NotFound(path)) if path == missing));
    assert!(matches!(open(folder.path()), Err(OpenError::NotFound(_))));
    assert!(!missing.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_database_is_not_made_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = database(folder.path());
    let again = Storage::create(folder.path(), options(), 7, chain.genesis());
    assert!(matches!(again, Err(OpenError::Exists(_))));
    assert_eq!(open(folder.path()).unwrap().head(), chain.head());
}

/// Copies all tables but the one that databases of the same version used not to have.
fn make_older(folder: &Path) {
    let older = tempfile::tempdir().unwrap();
    let mut writing = Environment::builder();
    writing.set_max_dbs(32).set_flags(Mode::ReadWrite { sync_mode: SyncMode::Durable }.into());
    let (from, to) = (writing.open(folder).unwrap(), writing.open(older.path()).unwrap());
    let (read, write) = (from.begin_ro_unsync().unwrap(), to.begin_rw_unsync().unwrap());
    for table in Table::ALL.into_iter().filter(|table| *table != Table::BlockAccessLists) {
        let table = Some(table.name());
        let source = read.open_db(table).unwrap();
        let copy = write.create_db(table, source.flags()).unwrap();
        let mut entries = read.cursor(source).unwrap();
        while let Some((key, value)) = entries.next::<Vec<u8>, Vec<u8>>().unwrap() {
            write.put(copy, key, value, WriteFlags::empty()).unwrap();
        }
    }
    write.commit().unwrap();
    drop((read, from, to));
    fs::copy(older.path().join(DATA), folder.join(DATA)).unwrap();
}

#[test]
fn an_older_database_has_no_access_lists_and_gets_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mut chain, _) = database(folder.path());
    make_older(folder.path());
    let reading = Storage::open_read_only(folder.path(), options(), None).unwrap();
    assert_eq!(reading.head(), chain.head());
    let list = |storage: &Storage, block: &BlockCommit| {
        let snapshot = storage.snapshot(1).unwrap();
        snapshot.reader().unwrap().access_list(block.block()).unwrap()
    };
    assert_eq!(list(&reading, &chain.blocks[4]), None);
    let tables = reading.stats().unwrap().tables;
    let lists = tables.iter().find(|table| table.table == Table::BlockAccessLists).unwrap();
    assert_eq!((lists.entries, lists.bytes), (0, 0));
    drop(reading);

    let storage = open(folder.path()).unwrap();
    assert_eq!(list(&storage, &chain.blocks[4]), None);
    let block = chain.grow();
    storage.commit(block.clone()).unwrap();
    storage.flush().unwrap();
    assert!(block.access_list.is_some());
    assert_eq!(list(&storage, &block).map(Sealed::into_inner), block.access_list);
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
}

/// What a bit of damage can make of a file: one that shows no tables. It must not be taken for a
/// database that was never completed, and made anew.
#[test]
fn a_database_whose_tables_are_gone_is_damaged_and_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = database(folder.path());
    let empty = tempfile::tempdir().unwrap();
    let mut writing = Environment::builder();
    writing.set_flags(Mode::ReadWrite { sync_mode: SyncMode::Durable }.into());
    drop(writing.open(empty.path()).unwrap());
    let file = folder.path().join(DATA);
    for bytes in [fs::read(empty.path().join(DATA)).unwrap(), Vec::new()] {
        fs::write(&file, &bytes).unwrap();
        let read = Storage::open_read_only(folder.path(), options(), None);
        assert!(matches!(read, Err(OpenError::Damaged { .. })), "{read:?}");
        let written = open(folder.path());
        assert!(matches!(written, Err(OpenError::Damaged { .. })), "{written:?}");
        let made = Storage::create(folder.path(), options(), 7, chain.genesis());
        assert!(matches!(made, Err(OpenError::Exists(_))), "{made:?}");
    }
}

/// MDBX would end the process.
#[test]
fn a_file_without_a_whole_meta_page_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = database(folder.path());
    let file = folder.path().join(DATA);
    let mut bytes = fs::read(&file).unwrap();
    for page in 0..3 {
        assert_eq!(open(folder.path()).unwrap().head(), chain.head());
        bytes = fs::read(&file).unwrap();
        bytes[page * 4096 + 30] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let looking = StorageOptions { keep_shutdown_mark: true, ..options() };
        let Ok(storage) = Storage::open(folder.path(), looking, None) else { continue };
        let findings = storage.verify(10, |_| {}).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].to_string(), format!("pages: meta page {page} is not whole"));
    }
    (0..3).for_each(|page| bytes[page * 4096 + 30] = !bytes[page * 4096 + 196 + 2]);
    fs::write(&file, &bytes).unwrap();
    let opened = open(folder.path());
    assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
}

#[test]
fn what_an_interrupted_beginning_left_is_told_from_a_database_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(21);
    let loader = GenesisLoader::new(folder.path(), options()).unwrap();
    loader.description(b"left behind").unwrap();
    loader.codes([(B256::ZERO, "left behind".into())]).unwrap();
    drop(loader);
    assert!(matches!(open(folder.path()), Err(OpenError::Incomplete(_))));
    let loader = GenesisLoader::new(folder.path(), options()).unwrap();
    let storage = loader.finish(7, chain.genesis()).unwrap();
    assert_eq!(storage.description().unwrap(), None);
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
    storage.commit(chain.grow()).unwrap();
    drop(storage);

    // The process was killed before there was anything in the file.
    fs::remove_file(folder.path().join(DATA)).unwrap();
    drop(GenesisLoader::new(folder.path(), options()).unwrap());
    fs::write(folder.path().join(DATA), []).unwrap();
    assert!(matches!(open(folder.path()), Err(OpenError::Incomplete(_))));
    let loader = GenesisLoader::new(folder.path(), options()).unwrap();
    loader.description(b"what the caller says").unwrap();
    drop(loader.finish(7, chain.genesis()).unwrap());
    let storage = open(folder.path()).unwrap();
    assert_eq!(storage.description().unwrap().unwrap().as_ref(), b"what the caller says");
    assert_eq!(storage.verify(10, |_| {}).unwrap(), []);
}

#[test]
fn another_chain_or_genesis_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, identity) = database(folder.path());
    let other = Identity { chain_id: 8, ..identity };
    let refused = Storage::open(folder.path(), options(), Some(&other));
    assert!(matches!(refused, Err(OpenError::OtherChain { found: 7, expected: 8, .. })));
    let other = Identity { genesis: B256::ZERO, ..identity };
    let refused = Storage::open(folder.path(), options(), Some(&other));
    assert!(matches!(refused, Err(OpenError::OtherGenesis { .. })));
    let storage = Storage::open(folder.path(), options(), Some(&identity)).unwrap();
    assert_eq!(storage.head(), chain.head());
}

#[test]
fn what_is_no_database_is_said_to_be_none_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(DATA);
    for text in [vec![b'x'; 100_000], vec![0; 100_000]] {
        fs::write(&file, &text).unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotADatabase { .. }), "{refused:?}");
        assert_eq!(fs::read(&file).unwrap(), text);
    }
    for length in [10, 4096] {
        fs::write(&file, vec![b'x'; length]).unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    }
}

#[test]
fn a_truncated_file_is_an_error_and_not_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = database(folder.path());
    let file = folder.path().join(DATA);
    let whole = fs::read(&file).unwrap();
    let used = used_pages(&whole) * 4096;
    let unharmed = format!("verified at {}", chain.head().number);
    for kept in [4 * 4096, 5 * 4096 + 100, used / 2, used - 4096, used - 1] {
        fs::write(&file, &whole[..kept]).unwrap();
        let probe = probe(folder.path());
        let clear = probe.starts_with("open error: ") && probe.contains("damaged");
        // The last page may have been free.
        let spared = kept >= used - 4096 && probe == unharmed;
        assert!(clear || spared, "{kept} of {used} bytes: {probe}");
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(probe(folder.path()), unharmed);
}

/// The highest page that is not all zeros, plus one.
fn used_pages(file: &[u8]) -> usize {
    let zero = |page: &[u8]| page.iter().all(|byte| *byte == 0);
    file.chunks(4096).rposition(|page| !zero(page)).unwrap_or_default() + 1
}

/// Flips bits all over the file. A child process opens, verifies and reads everything, so that
/// a crash would be seen as one. Bits in free pages, and in balances, which only a state root
/// covers, go unnoticed; nothing may crash. `STORAGE_FLIPS` sets how many places are tried.
#[test]
fn flipped_bits_are_errors_or_findings_and_never_crashes() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path());
    let file = folder.path().join(DATA);
    let whole = fs::read(&file).unwrap();
    let used = used_pages(&whole) * 4096;
    let flips = env::var("STORAGE_FLIPS").map_or(40, |flips| flips.parse().unwrap());
    let mut noticed = 0;
    for flip in 0..flips {
        let mut damaged = whole.clone();
        let at = 3 * 4096 + (used - 3 * 4096) / flips * flip + flip % 13;
        for byte in &mut damaged[at..at + 8] {
            *byte ^= 1 << (flip % 8);
        }
        fs::write(&file, &damaged).unwrap();
        let probe = probe(folder.path());
        noticed += usize::from(!probe.starts_with("verified"));
    }
    fs::write(&file, &whole).unwrap();
    assert!(probe(folder.path()).starts_with("verified"));
    // How many depends on how the commits fell, which decides what is free.
    assert!(noticed > 0, "none of {flips} noticed");
}

#[test]
fn a_database_in_use_says_by_whom_and_can_be_read_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = database(folder.path());
    let mut holder = child("hold", folder.path());
    let mut said = BufReader::new(holder.stdout.as_mut().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "holding"));
    let refused = open(folder.path()).unwrap_err();
    let expected = format!("is in use by process {}", holder.id());
    assert!(refused.to_string().contains(&expected), "{refused}");
    let reading = Storage::open_read_only(folder.path(), options(), None).unwrap();
    assert_eq!(reading.head(), chain.head());
    let head = &chain.states[chain.head().number as usize];
    let snapshot = reading.snapshot(1).unwrap();
    let (address, (account, _)) = head.accounts.first_key_value().unwrap();
    assert_eq!(snapshot.reader().unwrap().account(address).unwrap(), Some(*account));
    assert!(matches!(reading.commit(chain.genesis()), Err(StorageError::ReadOnly)));
    drop((snapshot, reading));
    holder.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert!(holder.wait().unwrap().success());
    open(folder.path()).unwrap();
}

/// Permissions do not bind root, so a child gives its rights up.
#[test]
fn a_folder_without_permission_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    database(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    let mut command = child_command("probe", folder.path());
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.uid(65_534).gid(65_534);
    }
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let expected = format!("open error: no permission for {}", folder.path().display());
            assert!(said.contains(&expected), "{said}");
        }
        Err(error) => eprintln!("SKIPPED: another user cannot run this test program: {error}"),
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// This test program again, as a child that runs [`child_main`].
fn child_command(task: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "opening::child_main", "--nocapture", "--quiet"]);
    command.env("STORAGE_TEST_TASK", task).env("STORAGE_TEST_FOLDER", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn child(task: &str, folder: &Path) -> Child {
    child_command(task, folder).spawn().unwrap()
}

/// What a child says of a database: one line.
fn probe(folder: &Path) -> String {
    let output = child_command("probe", folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "crashed: {} {said} {errors}", output.status);
    said.lines().find(|line| !line.is_empty() && !line.starts_with("running")).unwrap().to_owned()
}

#[test]
#[ignore = "run by other tests as a child process"]
fn child_main() {
    let Some(folder) = env::var_os("STORAGE_TEST_FOLDER") else { return };
    let folder = Path::new(&folder);
    match env::var("STORAGE_TEST_TASK").as_deref() {
        Ok("hold") => {
            let storage = open(folder).unwrap();
            println!("holding");
            std::io::stdin().read_line(&mut String::new()).unwrap();
            storage.shutdown().unwrap();
        }
        _ => match open(folder) {
            Err(error) => println!("open error: {error}"),
            Ok(storage) => {
                let findings = storage.verify(5, |_| {});
                match findings.as_deref() {
                    Ok([]) => println!("verified at {}", storage.head().number),
                    Ok([first, ..]) => println!("finding: {first}"),
                    Err(error) => println!("error: {error}"),
                }
            }
        },
    }
}
