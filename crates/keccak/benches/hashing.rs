//! Nanoseconds per hash: one after the other, and together.

use alloy_primitives::{B256, keccak256};
use std::{hint::black_box, time::Instant};
use warpline_keccak::keccak256_each;

/// Lengths of addresses, leaves of accounts, receipts, and full branches.
const LENGTHS: [usize; 4] = [20, 110, 270, 532];

fn main() {
    for len in LENGTHS {
        let inputs: Vec<_> = (0..4096u32).map(|at| vec![at as u8; len]).collect();
        let [mut alone, mut together] = [f64::INFINITY; 2];
        for _ in 0..9 {
            alone = alone.min(time(&inputs, |inputs| inputs.iter().map(keccak256).collect()));
            together = together.min(time(&inputs, |inputs| keccak256_each(inputs)));
        }
        println!(
            "{len} bytes: {alone:.0} ns alone, {together:.0} ns together, {:.1}",
            alone / together
        );
    }
}

fn time(inputs: &[Vec<u8>], hash: impl Fn(&[Vec<u8>]) -> Vec<B256>) -> f64 {
    let start = Instant::now();
    black_box(hash(black_box(inputs)));
    start.elapsed().as_nanos() as f64 / inputs.len() as f64
}
