//! Random blocks of random programs, in parallel against sequential, until the time is up:
//! `make fuzz`. A short run with fixed seeds belongs to the ordinary tests.
//!
//! Every input is a block and a schedule. The block is executed four times: under that schedule,
//! played by one thread and so repeatable, and by real threads over a parent whose reads are
//! jittery; each in both dialects. What failed is printed as a plan, which is a regression test
//! once it has a name.

mod tally;

use crate::support::{Case, Done, any, eager, ethereum};
use bolero::{check, generator::*};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tally::Tally;
use warpline_executor::{AnyFactory, Dialect, Ethereum, ParallelConfig, ParallelExecutor};
use warpline_testing::{
    evm::{
        Factory,
        plan::{Plan, SPECS},
    },
    faults::{Fault, FaultyParent},
};

/// Numbers of threads that blocks are executed on.
const THREADS: [usize; 4] = [1, 2, 3, 8];

/// Steps of a block; each is one transaction or a few.
const STEPS: usize = 80;

struct Executors {
    ethereum: [ParallelExecutor<Ethereum>; 4],
    any: [ParallelExecutor<AnyFactory>; 4],
}

static EXECUTORS: LazyLock<Executors> =
    LazyLock::new(|| Executors { ethereum: THREADS.map(ethereum), any: THREADS.map(any) });

/// A block and how it is scheduled, in the form that a fuzzing engine varies and shrinks.
type Input = (u64, u64, Vec<u64>);

fn plan(&(world, _, ref steps): &Input) -> Plan {
    let spec = SPECS[(world % SPECS.len() as u64) as usize];
    Plan { spec, world, steps: steps.clone() }
}

/// Executes the block in all ways and notes how it went.
///
/// # Panics
/// With the input, where any differs from sequential.
fn differential(input: &Input, tally: &mut Tally) {
    let (plan, schedule) = (plan(input), input.1);
    let case = Case::new("fuzz", plan.build());
    let expected = case.sequential(&case.block.parent).map_err(|error| error.to_string());
    tally.block(&case.block, &expected);

    let rehearsed = ParallelConfig { rehearse: Some(schedule), ..eager(1) };
    let rehearsed_ethereum = ParallelExecutor::ethereum(rehearsed).expect("no threads to start");
    let rehearsed_any = ParallelExecutor::new(rehearsed).expect("no threads to start");
    let threads = schedule as usize % THREADS.len();
    let context = |way: &str| format!("{way}, schedule {schedule}, {plan:?}");
    let way = context("rehearsed, Ethereum");
    check_one(&case, &expected, &rehearsed_ethereum, None, tally, &way);
    check_one(&case, &expected, &rehearsed_any, None, tally, &context("rehearsed, any factory"));
    let way = |dialect| context(&format!("{} threads, {dialect}", THREADS[threads]));
    let jitter = Some(schedule);
    check_one(&case, &expected, &EXECUTORS.ethereum[threads], jitter, tally, &way("Ethereum"));
    check_one(&case, &expected, &EXECUTORS.any[threads], jitter, tally, &way("any factory"));
}

fn check_one<D: Dialect<Factory>>(
    case: &Case,
    expected: &Result<Done, String>,
    executor: &ParallelExecutor<D>,
    jitter: Option<u64>,
    tally: &mut Tally,
    way: &str,
) {
    let output = match jitter {
        None => case.parallel(executor, &case.block.parent),
        Some(seed) => {
            let parent = FaultyParent::new(&case.block.parent, Fault::Jitter(seed), 0);
            case.parallel(executor, &parent)
        }
    };
    tally.execution(output.as_ref().ok().map(|(_, stats)| stats));
    let actual = output.map(|(done, _)| done).map_err(|error| error.to_string());
    match (&actual, expected) {
        (Ok((actual, actual_diff)), Ok((expected, expected_diff))) => {
            let difference = actual_diff.first_difference(expected_diff);
            assert_eq!(difference, None, "{way}");
            for (index, pair) in actual.receipts.iter().zip(&expected.receipts).enumerate() {
                assert_eq!(pair.0, pair.1, "receipt {index}, {way}");
            }
            assert!(actual == expected, "totals or requests, {way}");
        }
        (Err(actual), Err(expected)) => assert_eq!(actual, expected, "{way}"),
        (actual, expected) => {
            let (actual, expected) = (actual.as_ref().map(drop), expected.as_ref().map(drop));
            panic!("{actual:?} instead of {expected:?}, {way}");
        }
    }
}

#[test]
fn fixed_seeds_equal_sequential_and_cover_what_they_should() {
    let mut tally = Tally::default();
    for seed in 0..150_u64 {
        let Plan { world, steps, .. } = Plan::from_seed(seed, STEPS);
        differential(&(world, seed, steps), &mut tally);
    }
    tally.assert_worth_running();
}

#[test]
#[ignore = "runs for as long as it is given: make fuzz"]
fn random_blocks_equal_sequential() {
    let tally = Mutex::new(Tally::default());
    let steps = produce::<Vec<u64>>().with().len(0..=STEPS);
    let input = (produce::<u64>(), produce::<u64>(), steps);
    check!().with_generator(input).with_max_len(1 << 12).for_each(|input: &Input| {
        differential(input, &mut counted(&tally));
    });
    println!("{}", counted(&tally));
}

/// After a failure the engine goes on, to shrink the input.
fn counted(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
