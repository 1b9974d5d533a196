//! Numbers given as arguments, each up to what a machine can bear: beyond it the process would be
//! ended by the operating system, without a word of what was wrong.

use std::{fmt::Display, str::FromStr};

/// The most threads.
pub(crate) const THREADS: usize = 1_024;

/// The most transactions of a synthetic block.
pub(crate) const TRANSACTIONS: usize = 1_000_000;

/// Parses a number that is at most `MOST`.
pub(crate) fn up_to<const MOST: usize, N>(text: &str) -> Result<N, String>
where
    N: FromStr<Err: Display> + Copy + Into<usize>,
{
    let number: N = text.parse().map_err(|error: N::Err| error.to_string())?;
    if number.into() <= MOST { Ok(number) } else { Err(format!("not up to {MOST}")) }
}
