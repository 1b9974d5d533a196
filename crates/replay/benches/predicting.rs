//! How long the predictions of a block take, of which everything has been learned before.
//!
//! ```text
//! cargo bench --locked -p warpline-replay -- FIXTURE…
//! ```
//!
//! Blocks are predicted in turns; times are microseconds per transaction, the median and the best.
//! The last line is their mean over all transactions.
//! They include what orders the expectations of a block for the executor.

#![allow(clippy::print_stdout, reason = "its purpose")]

use std::{error::Error, path::PathBuf};
use warpline_predictor::AccessPredictor;
use warpline_replay::{
    PreparedBlock, Unseen, expect_block, find_fixtures, learn_block, load_block,
};

/// Times that each block is predicted.
const ROUNDS: usize = 51;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` passes `--bench`; `cargo test --benches` does not, and measures nothing.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
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
    let taught = |block: &PreparedBlock| {
        let mut predictor = AccessPredictor::default();
        learn_block(block, &mut predictor).map(|()| predictor)
    };
    let mut predictors = blocks.iter().map(taught).collect::<Result<Vec<_>, _>>()?;
    let mut times = vec![Vec::with_capacity(ROUNDS); blocks.len()];
    for _ in 0..ROUNDS {
        for ((block, predictor), times) in blocks.iter().zip(&mut predictors).zip(&mut times) {
            let time = expect_block(block, predictor, Unseen::Left).predicting;
            times.push(time.as_secs_f64() * 1e6 / block.txs.len().max(1) as f64);
        }
    }
    let (mut count, mut median, mut best) = (0.0, 0.0, 0.0);
    for (block, mut times) in blocks.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("{:<24} {:6.2} ({:.2})", block.label, times[ROUNDS / 2], times[0]);
        let txs = block.txs.len() as f64;
        count += txs;
        median += times[ROUNDS / 2] * txs;
        best += times[0] * txs;
    }
    if count > 0.0 {
        println!("{:<24} {:6.2} ({:.2})", "all", median / count, best / count);
    }
    Ok(())
}
