//! How long the predictions of a block take.
//!
//! ```text
//! cargo bench --locked -p warpline-replay --bench predicting -- FIXTURE…
//! cargo bench --locked -p warpline-replay --bench predicting -- --others FIXTURE…
//! ```
//!
//! Everything in a block has been learned before, from the block itself, and blocks are predicted in
//! turns; with `--others` a block is predicted from what the other blocks taught, after another one
//! was executed. Times are microseconds per transaction, the median and the best. The last line is
//! their mean over all transactions.
//! They include what orders the expectations of a block for the executor.

#![allow(clippy::print_stdout, reason = "its purpose")]

use std::{error::Error, path::PathBuf};
use warpline_predictor::AccessPredictor;
use warpline_replay::{
    PredictionError, PreparedBlock, Unseen, expect_block, find_fixtures, learn_block,
    learn_from_others, load_block,
};

/// Times that each block is predicted.
const ROUNDS: usize = 51;

/// The same with `--others`, where each of them learns anew.
const ROUNDS_OF_OTHERS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and measures nothing.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    if !asked("--bench") {
        return Ok(());
    }
    let paths = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let (files, failures) = find_fixtures(&paths.map(PathBuf::from).collect::<Vec<_>>());
    let mut failures: Vec<_> = failures.into_iter().map(|failure| failure.error).collect();
    let mut blocks = Vec::new();
    for file in files {
        match load_block(&file, None) {
            Ok(block) => blocks.push(block),
            Err(failure) => failures.push(failure.error),
        }
    }
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure.into());
    }
    let mut times = vec![Vec::new(); blocks.len()];
    if asked("--others") {
        for _ in 0..ROUNDS_OF_OTHERS {
            learn_from_others(&blocks, AccessPredictor::default(), &mut |at, mut known| {
                times[at].push(time(&blocks[at], &mut known));
                Ok(())
            })?;
        }
    } else {
        time_from_itself(&blocks, &mut times)?;
    }
    print_times(&blocks, times);
    Ok(())
}

/// Predicts every block from itself, in turns.
fn time_from_itself(
    blocks: &[PreparedBlock],
    times: &mut [Vec<f64>],
) -> Result<(), PredictionError> {
    let taught = |block: &PreparedBlock| {
        let mut predictor = AccessPredictor::default();
        learn_block(block, &mut predictor).map(|()| predictor)
    };
    let mut predictors = blocks.iter().map(taught).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..ROUNDS {
        for ((block, predictor), times) in blocks.iter().zip(&mut predictors).zip(times.iter_mut())
        {
            times.push(time(block, predictor));
        }
    }
    Ok(())
}

fn time(block: &PreparedBlock, predictor: &mut AccessPredictor) -> f64 {
    let time = expect_block(block, predictor, Unseen::Left).predicting;
    time.as_secs_f64() * 1e6 / block.txs.len().max(1) as f64
}

fn print_times(blocks: &[PreparedBlock], times: Vec<Vec<f64>>) {
    let (mut count, mut median, mut best) = (0.0, 0.0, 0.0);
    for (block, mut times) in blocks.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let middle = times[times.len() / 2];
        println!("{:<24} {:6.2} ({:.2})", block.label, middle, times[0]);
        let txs = block.txs.len() as f64;
        count += txs;
        median += middle * txs;
        best += times[0] * txs;
    }
    if count > 0.0 {
        println!("{:<24} {:6.2} ({:.2})", "all", median / count, best / count);
    }
}
