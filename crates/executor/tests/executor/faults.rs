//! Parents that fail, panic or are slow at their n-th read: a clean error or the right result,
//! never a hang, and the executor stays usable.

use crate::support::{Case, Done, any, conflicts, eager, ethereum, independent, within};
use alloy_primitives::{Address, B256, U256};
use core::{convert::Infallible, mem::discriminant, time::Duration};
use revm::{DatabaseRef, bytecode::Bytecode, primitives::hardfork::SpecId, state::AccountInfo};
use std::{collections::BTreeSet, sync::Once};
use warpline_executor::{Dialect, ExecuteError, ParallelExecutor, ParentState};
use warpline_testing::{
    evm::{Factory, MemoryParent, builder::BlockBuilder, tx::Request, user},
    faults::{Fault, FaultyParent, FaultyReadError, PANIC_MESSAGE},
};

const THREADS: [usize; 4] = [1, 2, 3, 8];
const LIMIT: Duration = Duration::from_secs(200);

/// Keeps the panics that a test asks for off the terminal.
fn silence_injected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(PANIC_MESSAGE) {
                usual(info);
            }
        }));
    });
}

/// How many reads the oracle makes: faults are put at these and some beyond.
fn reads_of(case: &Case) -> u64 {
    let parent = FaultyParent::new(&case.block.parent, Fault::ErrorOnce, u64::MAX);
    case.sequential(&parent).expect("nothing fails");
    parent.reads()
}

/// What an execution on a faulty parent came to: the right result, or an error that says why.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Failed,
}

fn execute<D: Dialect<Factory>>(
    case: &Case,
    expected: &Done,
    executor: &ParallelExecutor<D>,
    fault: Fault,
    at: u64,
) -> (Verdict, bool) {
    let parent = FaultyParent::new(&case.block.parent, fault, at);
    let result = case.parallel(executor, &parent);
    let context = || {
        let threads = executor.config().threads;
        format!("{}, {threads} threads, {fault:?} at read {at}", case.name)
    };
    let verdict = match result {
        Ok((done, _)) => {
            assert!(done == *expected, "{}: a wrong result", context());
            Verdict::Right
        }
        Err(error) => {
            assert!(parent.triggered(), "{}: {error} without a fault", context());
            let text = error.to_string();
            let says_why = match (&error, fault) {
                (ExecuteError::Panicked(_), Fault::Panic) => text.contains(PANIC_MESSAGE),
                (ExecuteError::Panicked(_), _) => false,
                (_, Fault::Error | Fault::ErrorOnce) => text.contains("injected error"),
                _ => false,
            };
            assert!(says_why, "{}: {error:?}", context());
            Verdict::Failed
        }
    };
    (verdict, parent.triggered())
}

/// Runs `check` for a fault at every few reads of every case on every number of threads and in
/// both dialects, and a sound parent after each.
fn everywhere(fault: Fault, samples: u64, check: impl Fn(&str, usize, (Verdict, bool))) {
    for case in [conflicts(), independent()] {
        let expected = case.expected();
        let reads = reads_of(&case);
        for threads in THREADS {
            let (ethereum, any) = (ethereum(threads), any(threads));
            for sample in 0..samples {
                // The last ones lie beyond what one thread reads.
                let at = sample * reads * 5 / 4 / samples;
                check(case.name, threads, execute(&case, &expected, &ethereum, fault, at));
                check(case.name, threads, execute(&case, &expected, &any, fault, at));
                let sound = case.parallel(&ethereum, &case.block.parent).expect("it is sound");
                assert!(sound.0 == expected, "{} after a fault at read {at}", case.name);
                let sound = case.parallel(&any, &case.block.parent).expect("it is sound");
                assert!(sound.0 == expected, "{} after a fault at read {at}", case.name);
            }
        }
    }
}

/// One thread meets every fault itself, so what was triggered must show.
fn shows(_: &str, threads: usize, (verdict, triggered): (Verdict, bool)) {
    if threads == 1 {
        assert_eq!(verdict == Verdict::Failed, triggered);
    }
}

#[test]
fn a_parent_that_breaks_down_gives_an_error_or_does_not_matter() {
    within(LIMIT, || everywhere(Fault::Error, 24, shows));
}

#[test]
fn a_read_that_fails_once_gives_an_error_or_does_not_matter() {
    // A native transfer leaves the account whose read failed to the EVM, which reads it again.
    within(LIMIT, || everywhere(Fault::ErrorOnce, 24, |_, _, _| ()));
}

#[test]
fn a_read_that_panics_gives_an_error_or_does_not_matter() {
    silence_injected_panics();
    within(LIMIT, || everywhere(Fault::Panic, 24, shows));
}

#[test]
fn a_slow_read_changes_nothing() {
    within(LIMIT, || {
        everywhere(Fault::Delay(Duration::from_millis(2)), 12, |name, _, (verdict, _)| {
            assert_eq!(verdict, Verdict::Right, "{name}");
        });
    });
}

#[test]
fn a_slow_parent_changes_nothing() {
    within(LIMIT, || {
        everywhere(Fault::DelayAll(Duration::from_micros(20)), 4, |name, _, (verdict, _)| {
            assert_eq!(verdict, Verdict::Right, "{name}");
        });
    });
}

/// The point of several threads here: a fault that only a helper meets is not the block's.
#[test]
fn a_fault_that_only_a_speculation_meets_does_not_show() {
    silence_injected_panics();
    within(LIMIT, || {
        let case = independent();
        let expected = case.expected();
        let reads = reads_of(&case);
        let executor = ethereum(3);
        for fault in [Fault::ErrorOnce, Fault::Panic] {
            let survived = (0..reads)
                .map(|at| execute(&case, &expected, &executor, fault, at))
                .filter(|found| *found == (Verdict::Right, true));
            assert!(survived.count() > 0, "{fault:?}: helpers never met it");
        }
    });
}

#[test]
fn a_broken_parent_gives_the_error_that_the_oracle_gives() {
    within(LIMIT, || {
        for case in [conflicts(), independent()] {
            let (any, ethereum) = (any(1), ethereum(1));
            let mut named = 0;
            for at in 0..reads_of(&case) {
                let faulty = || FaultyParent::new(&case.block.parent, Fault::Error, at);
                let expected = described(case.sequential(&faulty()));
                named += usize::from(expected.contains("transaction"));
                for actual in [case.parallel(&any, &faulty()), case.parallel(&ethereum, &faulty())]
                {
                    assert_eq!(described(actual), expected, "{}, read {at}", case.name);
                }
            }
            assert!(named > 3, "{}: only {named} errors inside transactions", case.name);
        }
    });
}

/// Kind, place and words, without the number of the read: a native transfer leaves the account
/// that it could not read to the EVM, which tries again.
fn described<T>(result: Result<T, ExecuteError>) -> String {
    let error = result.err().expect("it reads that far");
    assert!(!blames_the_block(&error), "{error}");
    let words = error.to_string();
    let words = words.trim_end_matches(|digit: char| digit.is_ascii_digit());
    format!("{:?}: {words}", discriminant(&error))
}

const fn blames_the_block(error: &ExecuteError) -> bool {
    match error {
        ExecuteError::PreExecution(cause)
        | ExecuteError::PostExecution(cause)
        | ExecuteError::Transaction { error: cause, .. } => cause.as_validation().is_some(),
        ExecuteError::Panicked(_) => false,
    }
}

/// System calls before and after the transactions read accounts, code and slots; so do
/// withdrawals and the DAO's move. A read that fails there is not the block's fault.
#[test]
fn a_read_that_fails_in_a_system_call_does_not_make_the_block_invalid() {
    let mut places = BTreeSet::new();
    let mut dao = BlockBuilder::new(SpecId::HOMESTEAD);
    dao.dao_block();
    let mut osaka = BlockBuilder::new(SpecId::OSAKA);
    osaka.ok(Request::transfer(user(0), user(1), 1));
    osaka.withdrawal(user(9), 3);
    for case in [Case::new("DAO", dao.finish()), Case::new("Osaka", osaka.finish())] {
        for at in 0..reads_of(&case) {
            for fault in [Fault::Error, Fault::ErrorOnce] {
                let faulty = || FaultyParent::new(&case.block.parent, fault, at);
                let outcomes = [
                    case.sequential(&faulty()),
                    case.parallel(&any(1), &faulty()).map(|(done, _)| done),
                    case.parallel(&ethereum(3), &faulty()).map(|(done, _)| done),
                ];
                for error in outcomes.into_iter().filter_map(Result::err) {
                    assert!(!blames_the_block(&error), "{}, read {at}: {error:?}", case.name);
                    assert!(error.to_string().contains("injected error"), "{error}");
                    places.insert(error.to_string().split(':').next().map(str::to_owned));
                }
            }
        }
    }
    assert_eq!(places.len(), 3, "{places:?}");
}

/// A parent may say of its errors that execution can recover from them; the executors cannot.
#[test]
fn an_error_that_a_parent_calls_recoverable_is_no_verdict_on_the_block() {
    let case = conflicts();
    for at in (0..reads_of(&case)).step_by(7) {
        let faulty = || FaultyParent::new(&case.block.parent, Fault::Error, at).recoverable();
        let expected = described(case.sequential(&faulty()));
        assert_eq!(described(case.parallel(&any(1), &faulty())), expected, "read {at}");
        assert_eq!(described(case.parallel(&ethereum(1), &faulty())), expected, "read {at}");
    }
}

#[test]
fn a_parent_that_is_broken_from_the_start_fails_before_the_first_transaction() {
    let case = conflicts();
    for threads in THREADS {
        let executor = ParallelExecutor::ethereum(eager(threads)).expect("threads start");
        let parent = FaultyParent::new(&case.block.parent, Fault::Error, 0);
        let error = case.parallel(&executor, &parent).expect_err("nothing can be read");
        assert!(matches!(error, ExecuteError::PreExecution(_)), "{error}");
    }
}

/// A parent whose databases fail on helpers, and panic when a helper drops them.
struct HostileToHelpers<'p>(&'p MemoryParent);

#[derive(Debug)]
struct HostileDb<'p>(&'p MemoryParent);

fn on_a_helper() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("warpline-"))
}

impl ParentState for HostileToHelpers<'_> {
    type Db<'a>
        = HostileDb<'a>
    where
        Self: 'a;

    fn open(&self) -> HostileDb<'_> {
        HostileDb(self.0)
    }
}

impl Drop for HostileDb<'_> {
    fn drop(&mut self) {
        assert!(!on_a_helper() || std::thread::panicking(), "{PANIC_MESSAGE}");
    }
}

impl revm::Database for HostileDb<'_> {
    type Error = FaultyReadError<Infallible>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        if on_a_helper() {
            return Err(FaultyReadError::Injected { read: 0, recoverable: false });
        }
        std::thread::sleep(Duration::from_micros(100));
        self.0.basic_ref(address).map_err(FaultyReadError::Parent)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Self::Error> {
        self.0.code_by_hash_ref(hash).map_err(FaultyReadError::Parent)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Self::Error> {
        self.0.storage_ref(address, key).map_err(FaultyReadError::Parent)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.0.block_hash_ref(number).map_err(FaultyReadError::Parent)
    }
}

/// Whatever a helper dies of, the transaction it had is the front's again.
#[test]
fn a_helper_that_dies_of_a_panicking_drop_hangs_nobody() {
    silence_injected_panics();
    within(LIMIT, || {
        let case = independent();
        let expected = case.expected();
        for threads in [2, 3, 8] {
            let (ethereum, any) = (ethereum(threads), any(threads));
            for _ in 0..3 {
                let parent = HostileToHelpers(&case.block.parent);
                let (done, _) = case.parallel(&ethereum, &parent).expect("the front reads");
                assert!(done == expected, "{threads} threads");
                let (done, _) = case.parallel(&any, &parent).expect("the front reads");
                assert!(done == expected, "{threads} threads");
            }
        }
    });
}
