//! Imports that are killed, and imports that are asked to stop.

use crate::{
    chains::{Chain, long},
    program::{Outcome, command, import, init, stats, verify, warpline},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How many times to kill: `IMPORT_KILLS`, which `make torture` sets.
fn kills() -> usize {
    env::var("IMPORT_KILLS").map_or(8, |kills| kills.parse().expect("a number"))
}

/// What a running import last said.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    /// The last block that it called imported.
    imported: u64,
    /// The last block that it called written.
    written: u64,
}

impl Said {
    /// Reads a whole line of progress: the last one may have been cut off.
    fn read(line: &str) -> Option<Self> {
        let rest = line.strip_suffix(" Mgas/s\n")?.strip_prefix("block ")?;
        let (imported, rest) = rest.split_once(" imported, block ")?;
        let (written, _) = rest.split_once(" written, ")?;
        Some(Self { imported: imported.parse().ok()?, written: written.parse().ok()? })
    }
}

/// An import that says what it does, block by block. It makes the database where there is none.
fn start(datadir: &Path, chain: &Chain, file: &Path, args: &[&str]) -> Child {
    let mut command = command(&["import", "--log-interval", "0", "--json", "-"], datadir);
    command.args(args).arg("--chain").arg(&chain.genesis).arg(file);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Everything that is said, to its end.
fn listen(stderr: ChildStderr) -> (Vec<Said>, String) {
    let mut text = String::new();
    BufReader::new(stderr).read_to_string(&mut text).unwrap();
    (text.split_inclusive('\n').filter_map(Said::read).collect(), text)
}

/// A database after a kill: no less than was called written, no more than was called imported but
/// for the block about which nothing could be said any more; and without fault.
fn check(datadir: &Path, chain: &Chain, said: &[Said], before: u64) -> u64 {
    let last = said.last().copied().unwrap_or(Said { imported: before, written: before });
    if before == 0 && said.is_empty() && !has_database(datadir) {
        return 0;
    }
    let head = verify(datadir);
    assert!(head >= last.written.max(before), "{last:?}, but the head is {head}");
    assert!(head <= last.imported.max(before) + 1, "{last:?}, but the head is {head}");
    let hash = stats(datadir)["head"]["hash"].clone();
    assert_eq!(hash, chain.hash(head).to_string());
    head
}

/// Whether the import came as far as making a database before it was killed.
fn has_database(datadir: &Path) -> bool {
    let outcome = warpline(&["db", "stats"], datadir, [] as [&str; 0]);
    let missing = ["there is no database", "was never completed"];
    if outcome.code == Some(1) && missing.iter().any(|part| outcome.stderr.contains(part)) {
        return false;
    }
    outcome.ok();
    true
}

#[test]
fn a_killed_import_keeps_what_it_reported_and_goes_on_from_there() {
    let seed = env::var("IMPORT_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("IMPORT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let chain = long();
    let file = chain.file(.., "all.rlp");
    let mut folder = tempfile::tempdir().unwrap();
    let whole = Instant::now();
    let child = start(folder.path(), chain, &file, &[]);
    Outcome::new(child.wait_with_output().unwrap()).ok();
    let whole = whole.elapsed();
    let (mut killed, mut finished, mut blocks) = (0, 0, 0);
    folder = tempfile::tempdir().unwrap();
    let mut head = 0;
    while killed < kills() {
        let threads = ["0", "2"][rng.random_range(0..2)];
        let mode = ["durable", "safe-no-sync"][rng.random_range(0..2)];
        let args = ["--threads", threads, "--db.sync-mode", mode];
        let mut child = start(folder.path(), chain, &file, &args);
        let stderr = child.stderr.take().unwrap();
        let listener = thread::spawn(move || listen(stderr));
        // Half of them at the beginning, where the database is made and opened.
        let longest = if rng.random_ratio(1, 4) { whole / 8 } else { whole };
        thread::sleep(rng.random_range(Duration::ZERO..longest));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let (said, text) = listener.join().unwrap();
        assert!(!text.contains("panicked"), "{text}");
        match status.code() {
            // It was through before the signal came.
            Some(code) => {
                assert_eq!(code, 0, "{text}");
                finished += 1;
            }
            None => killed += 1,
        }
        let reached = check(folder.path(), chain, &said, head);
        blocks += reached - head;
        head = reached;
        if head == chain.head() {
            folder = tempfile::tempdir().unwrap();
            head = 0;
        }
    }
    println!("{killed} kills, {finished} too late, {blocks} blocks imported between them");
    let child = start(folder.path(), chain, &file, &[]);
    let summary = Outcome::new(child.wait_with_output().unwrap()).ok().json();
    assert_eq!(summary["passedOver"], head);
    assert_eq!(summary["head"]["stateRoot"], chain.root(chain.head()).to_string());
    assert_eq!(verify(folder.path()), chain.head());
}

/// It has happened as a whole, or not at all.
#[test]
fn a_killed_unwind_leaves_one_of_the_two_heads() {
    let mut rng = StdRng::seed_from_u64(rand::random());
    let chain = long();
    let file = chain.file(.., "all.rlp");
    let folder = tempfile::tempdir().unwrap();
    Outcome::new(start(folder.path(), chain, &file, &[]).wait_with_output().unwrap()).ok();
    let whole = Instant::now();
    warpline(&["db", "unwind"], folder.path(), ["200"]).ok();
    let (whole, mut head, mut undone) = (whole.elapsed(), 200, 0);
    for _ in 0..kills() {
        if head < 100 {
            import(folder.path(), &[&file]).ok();
            head = chain.head();
        }
        let to = head - 30;
        let mut unwind = command(&["db", "unwind"], folder.path());
        let mut child = unwind.arg(to.to_string()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(rng.random_range(Duration::ZERO..whole));
        child.kill().unwrap();
        child.wait().unwrap();
        let reached = verify(folder.path());
        assert!(reached == head || reached == to, "{reached}, from {head} to {to}");
        undone += usize::from(reached == to);
        head = reached;
    }
    println!("{undone} of {} had happened", kills());
    import(folder.path(), &[&file]).ok();
    assert_eq!(verify(folder.path()), chain.head());
}

/// As far as it came it is done, and the rest can be done again.
#[test]
fn a_killed_prune_leaves_a_chain_that_can_be_pruned_again() {
    const STEP: u64 = 25;
    let mut rng = StdRng::seed_from_u64(rand::random());
    let chain = long();
    let file = chain.file(.., "all.rlp");
    let new = || {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &chain.genesis).ok();
        import(folder.path(), &[&file]).ok();
        folder
    };
    let (mut folder, mut keep) = (new(), chain.head() - STEP);
    let whole = Instant::now();
    warpline(&["db", "prune"], folder.path(), [keep.to_string()]).ok();
    let whole = whole.elapsed();
    for _ in 0..kills() {
        if keep <= STEP {
            (folder, keep) = (new(), chain.head());
        }
        let before = chain.head() - keep;
        keep -= STEP;
        let mut prune = command(&["db", "prune"], folder.path());
        let mut child = prune.arg(keep.to_string()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(rng.random_range(Duration::ZERO..whole));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(verify(folder.path()), chain.head());
        let goal = chain.head() - keep;
        let reached = stats(folder.path())["historyFrom"].as_u64().unwrap();
        assert!((before..=goal).contains(&reached), "{reached}, from {before} to {goal}");
        warpline(&["db", "prune"], folder.path(), [keep.to_string()]).ok();
        assert_eq!(stats(folder.path())["historyFrom"], goal);
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_signal_ends_an_import_in_order() {
    let chain = long();
    let file = chain.file(.., "all.rlp");
    for (name, code, after) in [("TERM", 143, 1), ("INT", 130, 60), ("TERM", 143, 200)] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = start(folder.path(), chain, &file, &[]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut text, mut line) = (String::new(), String::new());
        while stderr.read_line(&mut line).unwrap() > 0 {
            let said = Said::read(&line);
            text += &line;
            line.clear();
            if said.is_some_and(|said| said.imported >= after) {
                break;
            }
        }
        signal(&child, name);
        stderr.read_to_string(&mut text).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("ended by a signal"), "{text}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["interrupted"], &summary["error"]), (&true.into(), &().into()));
        let head = summary["head"]["number"].as_u64().unwrap();
        assert_eq!(summary["blocks"], head);
        // Blocks that were on their way are finished, and no more begun.
        assert!((after..after + 100).contains(&head) && head < chain.head(), "{head}");
        let report = stats(folder.path());
        assert_eq!(
            (&report["cleanShutdown"], &report["head"]["number"]),
            (&true.into(), &head.into())
        );
        assert_eq!(verify(folder.path()), head);
        assert_eq!(import(folder.path(), &[&file]).ok().json()["passedOver"], head);
        assert_eq!(verify(folder.path()), chain.head());
    }
}

#[test]
fn an_init_that_is_killed_can_be_done_again() {
    let chain = long();
    for micros in (0..60_000).step_by(60_000 / kills().min(30)) {
        let folder = tempfile::tempdir().unwrap();
        let mut init_command = command(&["init"], folder.path());
        let mut child = init_command.arg("--chain").arg(&chain.genesis).spawn().unwrap();
        thread::sleep(Duration::from_micros(micros as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        init(folder.path(), &chain.genesis).ok();
        assert_eq!(verify(folder.path()), 0);
    }
}
