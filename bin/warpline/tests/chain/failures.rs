//! Databases that are damaged or in use, and disks that are full or cannot be written: a clear
//! error, and no more damage.

use crate::{
    chains::{Chain, long, made},
    program::{Outcome, command, import, init, stats, verify, warpline},
};
use std::{
    env, fs,
    fs::OpenOptions,
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const NOTHING: [&str; 0] = [];

/// A folder with some blocks of a chain in it.
fn imported(chain: &Chain, blocks: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &chain.genesis).ok();
    import(folder.path(), &[&chain.file(..blocks, "some.rlp")]).ok();
    folder
}

fn data_file(datadir: &Path) -> PathBuf {
    datadir.join("db/mdbx.dat")
}

#[test]
fn a_database_in_use_says_by_whom_and_can_be_read_meanwhile() {
    let chain = made();
    let folder = imported(chain, 20);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut import_command = command(&["import"], folder.path());
    let child = import_command.arg(&pipe).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    // It waits for blocks as long as somebody may write some.
    let writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let said = format!("is in use by process {}", child.id());
    let unwind = || warpline(&["db", "unwind"], folder.path(), ["20"]);
    let refused = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        Some(unwind()).filter(|outcome| outcome.code == Some(1))
    });
    refused.unwrap().failed(&[&said]);
    import(folder.path(), &[&chain.file(.., "all.rlp")]).failed(&[&said]);
    init(folder.path(), &chain.genesis).failed(&[&said]);
    warpline(&["db", "verify"], folder.path(), NOTHING).failed(&[&said]);
    assert_eq!(stats(folder.path())["head"]["number"], 20);
    let out = folder.path().join("out.rlp");
    warpline(&["export"], folder.path(), [out.as_os_str(), "1".as_ref(), "20".as_ref()]).ok();
    assert_eq!(fs::read(&out).unwrap(), chain.bytes(..20));
    // One block more comes through the pipe.
    use std::io::Write;
    (&writer).write_all(&chain.blocks[20]).unwrap();
    thread::sleep(Duration::from_millis(200));
    drop(writer);
    Outcome::new(child.wait_with_output().unwrap()).ok();
    assert_eq!(verify(folder.path()), 21);
}

/// Permissions do not bind root, so a child gives its rights up.
#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let chain = made();
    let folder = imported(chain, 20);
    let all = chain.file(.., "all.rlp");
    let as_nobody = |subcommand: &[&str], args: &[&Path]| {
        let mut command = command(subcommand, folder.path());
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            command.uid(65_534).gid(65_534);
        }
        command.args(args).output().map(Outcome::new)
    };
    let permissions = |folder_mode, file_mode| {
        for folder in [folder.path().to_owned(), folder.path().join("db")] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(folder_mode)).unwrap();
        }
        for file in fs::read_dir(folder.path().join("db")).unwrap() {
            let file = file.unwrap().path();
            fs::set_permissions(file, fs::Permissions::from_mode(file_mode)).unwrap();
        }
    };
    permissions(0o555, 0o444);
    if let Err(error) = as_nobody(&["db", "stats"], &[]) {
        println!("SKIPPED 4 commands in a read-only folder: {error}");
        return;
    }
    let problem = format!("no permission for {}", folder.path().join("db").display());
    as_nobody(&["import"], &[&all]).unwrap().failed(&[&problem]);
    as_nobody(&["db", "verify"], &[]).unwrap().failed(&[&problem]);
    as_nobody(&["db", "unwind", "3"], &[]).unwrap().failed(&[&problem]);
    let stats = as_nobody(&["db", "stats"], &[]).unwrap();
    assert!(stats.code == Some(0) || stats.stderr.contains(&problem), "{stats:?}");
    permissions(0o755, 0o644);
    assert_eq!(verify(folder.path()), 20);
    import(folder.path(), &[&all]).ok();
    assert_eq!(verify(folder.path()), chain.head());
}

#[test]
fn a_report_that_cannot_be_written_is_noticed_before_the_work() {
    let chain = made();
    let folder = imported(chain, 2);
    let all = chain.file(.., "all.rlp");
    let args = ["--json".as_ref(), "/no/such/folder/report.json".as_ref(), all.as_os_str()];
    warpline(&["import"], folder.path(), args).failed(&["/no/such/folder/report.json"]);
    assert_eq!(verify(folder.path()), 2);
}

#[test]
fn a_file_that_is_cut_off_is_an_error_for_every_command() {
    let chain = made();
    let folder = imported(chain, 20);
    let file = data_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let used = whole.chunks(4096).rposition(|page| page.iter().any(|byte| *byte != 0)).unwrap();
    let all = chain.file(.., "all.rlp");
    for kept in [10, 4 * 4096, used / 2 * 4096] {
        fs::write(&file, &whole[..kept]).unwrap();
        for command in [&["db", "verify"][..], &["db", "unwind", "3"], &["db", "stats"]] {
            warpline(command, folder.path(), NOTHING).failed(&["is damaged"]);
        }
        import(folder.path(), &[&all]).failed(&["is damaged"]);
        init(folder.path(), &chain.genesis).failed(&["is damaged"]);
    }
    fs::write(&file, &whole).unwrap();
    import(folder.path(), &[&all]).ok();
    assert_eq!(verify(folder.path()), chain.head());
}

/// Databases with bits flipped all over the file, one place at a time, and where. `IMPORT_FLIPS`
/// sets how many places are tried.
fn flipped(whole: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let used = whole.chunks(4096).rposition(|page| page.iter().any(|byte| *byte != 0)).unwrap();
    let bytes = (used + 1) * 4096 - 3 * 4096;
    let flips = env::var("IMPORT_FLIPS").map_or(12, |flips| flips.parse().unwrap());
    (0..flips).map(move |flip| {
        let mut damaged = whole.to_vec();
        let at = 3 * 4096 + bytes / flips * flip + flip % 13;
        for byte in &mut damaged[at..at + 8] {
            *byte ^= 1 << (flip % 8);
        }
        (at, damaged)
    })
}

/// What is flipped in free pages goes unnoticed, and nothing may crash.
#[test]
fn flipped_bits_are_found_and_never_crash() {
    let chain = made();
    let folder = imported(chain, 20);
    let file = data_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let (mut noticed, mut undone) = (0, 0);
    for (at, damaged) in flipped(&whole) {
        fs::write(&file, &damaged).unwrap();
        let outcome = warpline(&["db", "verify", "--json", "-"], folder.path(), NOTHING);
        assert!(matches!(outcome.code, Some(0 | 1)), "at {at}: {outcome:?}");
        // What cannot be opened has no report.
        if outcome.code == Some(0) || !outcome.stdout.is_empty() {
            assert_eq!(outcome.json()["verified"], outcome.code == Some(0), "at {at}");
        }
        noticed += usize::from(outcome.code == Some(1));
        let outcome = warpline(&["db", "unwind", "3"], folder.path(), NOTHING);
        assert!(matches!(outcome.code, Some(0 | 1)), "back to 3, at {at}: {outcome:?}");
        undone += usize::from(outcome.code == Some(0));
        fs::write(&file, &damaged).unwrap();
        let outcome = warpline(&["db", "prune", "3"], folder.path(), NOTHING);
        assert!(matches!(outcome.code, Some(0 | 1)), "pruned, at {at}: {outcome:?}");
    }
    println!("{noticed} noticed, {undone} undone");
    assert!(noticed > 0 && undone > 0);
    fs::write(&file, &whole).unwrap();
    assert_eq!(verify(folder.path()), 20);
}

/// An import ends with an error, or with the right head. What it has not met of the damage, and
/// what came of a free list that names pages in use, is there for `db verify` to find.
#[test]
fn flipped_bits_make_an_import_fail_or_are_found_or_harm_nothing() {
    let chain = made();
    let folder = imported(chain, 20);
    let file = data_file(folder.path());
    let whole = fs::read(&file).unwrap();
    let all = chain.file(.., "all.rlp");
    let (mut failed, mut found) = (0, 0);
    for (at, damaged) in flipped(&whole) {
        fs::write(&file, &damaged).unwrap();
        let outcome = import(folder.path(), &[&all]);
        assert!(matches!(outcome.code, Some(0 | 1)), "at {at}: {outcome:?}");
        if outcome.code == Some(1) {
            assert!(outcome.stderr.contains("Error: "), "at {at}: {outcome:?}");
            failed += 1;
            continue;
        }
        let head = &outcome.json()["head"];
        assert_eq!(head["hash"], chain.hash(chain.head()).to_string(), "at {at}");
        let outcome = warpline(&["db", "verify"], folder.path(), NOTHING);
        assert!(matches!(outcome.code, Some(0 | 1)), "at {at}: {outcome:?}");
        found += usize::from(outcome.code == Some(1));
    }
    println!("{failed} imports failed, after {found} the damage was found");
    assert!(failed + found > 0);
    fs::write(&file, &whole).unwrap();
    import(folder.path(), &[&all]).ok();
    assert_eq!(verify(folder.path()), chain.head());
}

#[test]
fn a_database_of_another_version_is_refused_and_left_alone() {
    let chain = made();
    let folder = imported(chain, 20);
    let file = data_file(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    let name = [b"schema".as_slice(), &[0, 0, 0]].concat();
    let found: Vec<_> =
        (0..bytes.len() - 16).filter(|at| bytes[*at..].starts_with(&name)).collect();
    assert!(!found.is_empty());
    found.iter().for_each(|at| bytes[at + name.len()] = 99);
    fs::write(&file, &bytes).unwrap();
    let said = ["has schema version 99, this program reads version "];
    for command in [&["db", "verify"][..], &["db", "unwind", "3"], &["db", "stats"]] {
        warpline(command, folder.path(), NOTHING).failed(&said);
    }
    import(folder.path(), &[&chain.file(.., "all.rlp")]).failed(&said);
    init(folder.path(), &chain.genesis).failed(&said);
    assert!(fs::read(&file).unwrap() == bytes);
}

/// A file system of a few megabytes in memory, where one may be mounted.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=5m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("SKIPPED 1 disk: no file system may be mounted here");
        }
        mounted.then_some(Self { folder })
    }

    /// Some blocks of a chain, with room for more.
    fn import(&self, chain: &Chain, blocks: usize) -> &Path {
        self.remount("size=256m");
        init(self.folder.path(), &chain.genesis).ok();
        import(self.folder.path(), &[&chain.file(..blocks, "some.rlp")]).ok();
        self.folder.path()
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(self.folder.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg(self.folder.path()).status();
    }
}

/// What is read with a mount that cannot be written is as it is elsewhere.
#[test]
fn a_file_system_that_cannot_be_written_is_an_error_for_whoever_writes() {
    let chain = made();
    let Some(disk) = SmallDisk::mount() else { return };
    let datadir = disk.import(chain, 20);
    disk.remount("ro");
    let problem = "Read-only file system";
    import(datadir, &[&chain.file(.., "all.rlp")]).failed(&[problem]);
    warpline(&["db", "unwind", "3"], datadir, NOTHING).failed(&[problem]);
    warpline(&["db", "verify"], datadir, NOTHING).failed(&[problem]);
    assert_eq!(stats(datadir)["head"]["number"], 20);
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("out.rlp");
    warpline(&["export"], datadir, [out.as_os_str(), "1".as_ref()]).ok();
    assert_eq!(fs::read(&out).unwrap(), chain.bytes(..20));
    disk.remount("rw");
    assert_eq!(verify(datadir), 20);
}

/// A page of the list of readers that cannot be had would end the process.
#[test]
fn a_disk_without_room_for_anything_is_an_error_for_every_command() {
    let chain = made();
    let Some(disk) = SmallDisk::mount() else { return };
    let datadir = disk.import(chain, 20);
    let filler = datadir.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let problem = "no space left on the device of ";
    for command in [&["db", "verify"][..], &["db", "unwind", "3"], &["db", "stats"]] {
        warpline(command, datadir, NOTHING).failed(&[problem]);
    }
    import(datadir, &[&chain.file(.., "all.rlp")]).failed(&[problem]);
    init(datadir, &chain.genesis).failed(&[problem]);
    drop(file);
    fs::remove_file(&filler).unwrap();
    assert_eq!(verify(datadir), 20);
}

#[test]
fn a_full_disk_is_an_error_and_with_more_room_the_import_goes_on() {
    let chain = long();
    let Some(disk) = SmallDisk::mount() else { return };
    let datadir = disk.folder.path();
    let all = chain.file(.., "all.rlp");
    init(datadir, &chain.genesis).ok();
    let outcome = import(datadir, &[&all]).failed(&["no space left on the device of "]);
    let summary = outcome.json();
    let head = summary["head"]["number"].as_u64().unwrap();
    assert!(head < chain.head(), "{summary}");
    assert_eq!(summary["blocks"], head);
    let after = format!("the blocks after block {head} ");
    assert!(outcome.stderr.contains(&after), "{outcome:?}");
    assert_eq!(stats(datadir)["head"]["number"], head);
    // It is full still: nothing changes.
    import(datadir, &[&all]).failed(&["no space left on the device of "]);
    disk.remount("size=256m");
    let full = verify(datadir);
    assert!(full >= head);
    assert_eq!(import(datadir, &[&all]).ok().json()["passedOver"], full);
    assert_eq!(verify(datadir), chain.head());
}
