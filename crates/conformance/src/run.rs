//! All cores over all cases.

use crate::{
    Failure, Report, SourceError, blake2f,
    difficulty_test::MAINNET,
    document::{self, Test},
    network,
    report::Verdict,
    run_block, run_state,
    skips::{self, Expect, Skip},
    source::{self, Document},
};
use alloy_primitives::keccak256;
use rayon::ThreadPoolBuilder;
use regex::Regex;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use warpline_chain::Engine;
use warpline_executor::ParallelConfig;

/// Content that may be waiting for a core.
const MAX_WAITING: usize = 256 << 20;

/// Gas that pays for calls of BLAKE2 F which take seconds.
const LONG: u64 = 1 << 28;

/// The fork of tests that are about none.
const ANY_FORK: &str = "any";

/// Which tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// State tests.
    State,
    /// Blockchain and engine tests.
    Block,
    /// Transaction, RLP, trie and difficulty tests.
    Basic,
}

/// What to run and how.
#[derive(Debug)]
pub struct RunConfig {
    /// Which tests.
    pub kind: Kind,
    /// Files, folders and archives.
    pub paths: Vec<PathBuf>,
    /// Threads of the parallel execution; 0 for the sequential oracle.
    pub threads: usize,
    /// In parallel, assume nothing of any factory.
    pub any_factory: bool,
    /// Cases that run at the same time.
    pub workers: usize,
    /// Import blocks through databases in this folder, one for each test, instead of in memory.
    pub datadir: Option<PathBuf>,
    /// Only this fork or network.
    pub fork: Option<String>,
    /// Only tests whose file or name this matches.
    pub filter: Option<Regex>,
    /// Only one of so many files, chosen by the hash of their path inside an archive or folder.
    pub sample: u32,
}

impl RunConfig {
    fn samples(&self, file: &str) -> bool {
        let (_, inside) = file.split_once(".tar.zst:").unwrap_or(("", file));
        let hash = keccak256(inside);
        let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        number.is_multiple_of(self.sample.max(1))
    }
}

/// Who wants to know how a run goes. Called from many threads.
pub trait Observer: Sync {
    /// The total of bytes to read.
    fn total(&self, bytes: u64);
    /// Bytes have been read.
    fn read(&self, bytes: u64);
    /// A case has failed.
    fn failed(&self, failure: &Failure);
    /// A file cannot be used.
    fn error(&self, error: &SourceError);
}

/// Runs everything.
///
/// # Errors
/// The operating system refuses a thread, nothing can have the fork's name, or the data file of
/// skips is broken.
pub fn run(config: &RunConfig, observer: &dyn Observer) -> io::Result<Report> {
    if let Some(problem) = skips::problem() {
        return Err(io::Error::other(format!("skips.json: {problem}")));
    }
    if let Some(fork) = &config.fork
        && ![ANY_FORK, MAINNET].contains(&fork.as_str())
        && !network::is_network(fork)
    {
        return Err(io::Error::other(format!("unknown fork or network `{fork}`")));
    }
    blake2f::install();
    let started = Instant::now();
    let pool =
        ThreadPoolBuilder::new().num_threads(config.workers).build().map_err(io::Error::other)?;
    let run = Run {
        config,
        observer,
        engines: Mutex::default(),
        report: Mutex::new(Report { threads: config.threads, ..Report::default() }),
        errors: Mutex::default(),
        room: Arc::default(),
        postponed: Mutex::default(),
    };
    run.spare_engine(run.new_engine()?);
    let (files, errors) = source::find(&config.paths);
    errors.into_iter().for_each(|error| run.note_error(error));
    observer.total(files.iter().map(|(_, size)| size).sum());
    pool.in_place_scope(|scope| {
        for (path, _) in &files {
            source::read(path, &|bytes| observer.read(bytes), |document| match document {
                Err(error) => run.note_error(error),
                Ok(document) => {
                    let ticket = run.room.enter(document.json.len());
                    let run = &run;
                    scope.spawn(move |scope| run.document(scope, document, ticket));
                }
            });
        }
    });
    let mut report = run.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let errors = run.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.finish(errors, started.elapsed());
    Ok(report)
}

/// A run under way.
struct Run<'a> {
    config: &'a RunConfig,
    observer: &'a dyn Observer,
    engines: Mutex<Vec<Engine>>,
    report: Mutex<Report>,
    errors: Mutex<Vec<SourceError>>,
    room: Arc<Room>,
    postponed: Mutex<Vec<Job>>,
}

/// A test to run, with all its cases.
struct Job {
    file: Arc<str>,
    name: String,
    test: Test,
    _ticket: Arc<Ticket>,
}

impl Run<'_> {
    fn document<'s>(&'s self, scope: &rayon::Scope<'s>, document: Document, ticket: Ticket) {
        if !self.config.samples(&document.name) {
            return;
        }
        let tests = match document::parse(&document) {
            Ok(tests) => tests,
            Err(error) => return self.note_error(error),
        };
        let (file, ticket): (Arc<str>, _) = (document.name.into(), Arc::new(ticket));
        for (name, test) in tests {
            let wanted = match test {
                Test::State(_) => self.config.kind == Kind::State,
                Test::Block(_) | Test::Engine(_) => self.config.kind == Kind::Block,
                Test::Tx(_) | Test::Rlp(_) | Test::Trie(_) | Test::Difficulty(..) => {
                    self.config.kind == Kind::Basic
                }
                Test::Other => false,
            };
            if !wanted {
                self.lock_report().passed_over += 1;
                continue;
            }
            let filter = self.config.filter.as_ref();
            if filter.is_some_and(|regex| !regex.is_match(&file) && !regex.is_match(&name)) {
                continue;
            }
            let (file, ticket) = (Arc::clone(&file), Arc::clone(&ticket));
            let job = Job { file, name, test, _ticket: ticket };
            scope.spawn(move |scope| self.job(scope, job));
        }
    }

    /// Runs a test, or postpones it if it may have to wait for what another one is computing.
    fn job<'s>(&'s self, scope: &rayon::Scope<'s>, job: Job) {
        if job.test.gas_limit() > LONG && blake2f::under_way() {
            self.lock_postponed().push(job);
        } else {
            self.test(&job);
        }
        if !blake2f::under_way() {
            for job in self.lock_postponed().drain(..) {
                scope.spawn(move |scope| self.job(scope, job));
            }
        }
    }

    fn test(&self, job: &Job) {
        let name = &job.name;
        match &job.test {
            Test::State(test) => {
                for (fork, cases) in &test.post {
                    for post in cases {
                        let at = post.indexes;
                        let name = format!("{name} (d{} g{} v{})", at.data, at.gas, at.value);
                        self.case(job, name, fork, |engine| {
                            run_state::run(engine, test, fork, post)
                        });
                    }
                }
            }
            Test::Block(test) => {
                self.case(job, name.clone(), &test.network, |engine| {
                    run_block::run_blocks(engine, test, self.config.datadir.as_deref())
                });
            }
            Test::Engine(test) => {
                self.case(job, name.clone(), &test.network, |engine| {
                    run_block::run_payloads(engine, test, self.config.datadir.as_deref())
                });
            }
            Test::Tx(test) => {
                for (fork, expected) in &test.result {
                    self.case(job, name.clone(), fork, |_| test.run(fork, expected));
                }
            }
            Test::Rlp(test) => self.case(job, name.clone(), ANY_FORK, |_| test.run()),
            Test::Trie(test) => self.case(job, name.clone(), ANY_FORK, |_| test.run()),
            Test::Difficulty(network, test) => {
                self.case(job, name.clone(), network, |_| test.run(network));
            }
            Test::Other => {}
        }
    }

    fn case(
        &self,
        job: &Job,
        test: String,
        fork: &str,
        run: impl FnOnce(&Engine) -> Result<(), String>,
    ) {
        if self.config.fork.as_deref().is_some_and(|wanted| wanted != fork) {
            return;
        }
        let started = Instant::now();
        let file = &*job.file;
        let skip = skips::find(file, &test, fork, job.test.has_slot_numbers());
        let verdict = match skip {
            Some(Skip { expect: Expect::NotRunnable, reason }) => Verdict::Skipped(reason),
            _ => judge(skip, self.with_engine(run)),
        };
        let problem = match &verdict {
            Verdict::Failed(problem) => problem.clone(),
            _ => String::new(),
        };
        let case = Failure { file: file.to_owned(), test, fork: fork.to_owned(), problem };
        if matches!(verdict, Verdict::Failed(_)) {
            self.observer.failed(&case);
        }
        self.lock_report().add(suite(file), case, &verdict, started.elapsed());
    }

    /// Runs a case on an engine that nobody else uses. A panic is that case's failure, and the
    /// engine it happened on is not used again.
    fn with_engine(&self, run: impl FnOnce(&Engine) -> Result<(), String>) -> Result<(), String> {
        let spare = self.engines.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let engine = match spare {
            Some(engine) => engine,
            None => self.new_engine().map_err(|error| error.to_string())?,
        };
        match catch_unwind(AssertUnwindSafe(|| run(&engine))) {
            Ok(result) => {
                self.spare_engine(engine);
                result
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()));
                Err(format!("panicked: {}", text.unwrap_or_default()))
            }
        }
    }

    fn new_engine(&self) -> io::Result<Engine> {
        match self.config.threads {
            0 => Ok(Engine::Sequential),
            // Helpers are called for every block, however small: what is tested is that they are
            // right, not that they pay.
            threads => {
                let config = ParallelConfig {
                    threads,
                    min_gas: 0,
                    min_remaining: Duration::ZERO,
                    ..ParallelConfig::default()
                };
                match self.config.any_factory {
                    true => Engine::parallel_any(config),
                    false => Engine::parallel(config),
                }
            }
        }
    }

    fn spare_engine(&self, engine: Engine) {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner).push(engine);
    }

    fn note_error(&self, error: SourceError) {
        self.observer.error(&error);
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    fn lock_postponed(&self) -> MutexGuard<'_, Vec<Job>> {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test that is not expected to pass must not pass.
fn judge(skip: Option<Skip>, result: Result<(), String>) -> Verdict {
    match (skip, result) {
        (None, Ok(())) => Verdict::Passed,
        (None, Err(problem)) => Verdict::Failed(problem),
        (Some(skip), Err(_)) => Verdict::Skipped(skip.reason),
        (Some(skip), Ok(())) => {
            Verdict::Failed(format!("passes, but skips.json lists it: {}", skip.reason))
        }
    }
}

/// What the summary calls the group of a file: its archive, or the folder it lies in.
fn suite(file: &str) -> &str {
    let (path, _) =
        file.split_once(".tar.zst:").unwrap_or_else(|| file.rsplit_once('/').unwrap_or((file, "")));
    path.rsplit('/').next().unwrap_or(path)
}

/// Keeps the reader from running too far ahead.
#[derive(Debug, Default)]
struct Room {
    waiting: Mutex<usize>,
    left: Condvar,
}

impl Room {
    fn enter(self: &Arc<Self>, size: usize) -> Ticket {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while *waiting > 0 && *waiting + size > MAX_WAITING {
            waiting = self.left.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        *waiting += size;
        Ticket { room: Arc::clone(self), size }
    }
}

/// The right to be in memory.
struct Ticket {
    room: Arc<Room>,
    size: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        *self.room.waiting.lock().unwrap_or_else(PoisonError::into_inner) -= self.size;
        self.room.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_that_passes_fails() {
        let skip = Some(Skip { reason: "because", expect: Expect::Failure });
        assert_eq!(judge(skip, Err("wrong".into())), Verdict::Skipped("because"));
        assert!(matches!(judge(skip, Ok(())), Verdict::Failed(text) if text.contains("because")));
        assert_eq!(judge(None, Ok(())), Verdict::Passed);
    }

    #[test]
    fn files_are_grouped_by_archive_or_folder() {
        assert_eq!(suite("/x/state-tests.tar.zst:a/b.json"), "state-tests");
        assert_eq!(suite("/x/stCreate/b.json"), "stCreate");
        assert_eq!(suite("b.json"), "b.json");
    }
}
