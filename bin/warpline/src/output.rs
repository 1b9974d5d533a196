//! Words for the user. Where nobody reads them any more, or a disk is full that they should go to,
//! a command goes on: what is said on standard error is then not said, and what belongs on
//! standard output is an error at its end, not a panic in the middle.

use core::fmt;
use eyre::{Report, Result, WrapErr};
use indicatif::HumanCount;
use std::io::{self, Write};

/// Says something on standard error, as `eprint!` does.
macro_rules! say {
    ($($arg:tt)*) => { $crate::output::tell(format_args!($($arg)*)) };
}

/// Says a line on standard error, as `eprintln!` does.
macro_rules! sayln {
    ($($arg:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(crate) use {say, sayln};

/// Writes to standard error. In one piece, so that lines of several threads stay whole.
pub(crate) fn tell(text: fmt::Arguments<'_>) {
    let _nobody_to_tell = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Writes a result to standard output. Whoever reads it may have read enough.
pub(crate) fn print(text: impl fmt::Display) -> Result<()> {
    let mut output = io::stdout().lock();
    match write!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.wrap_err("writing to standard output"),
    }
}

/// A count with what is counted.
pub(crate) fn plural(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", HumanCount(count))
}

/// Says why a command failed: what it was doing, and each cause that says more.
pub(crate) fn fail(error: &Report) {
    sayln!("Error: {}", explained(error));
}

/// An error with each cause that says more: errors that show their source in their own words would
/// say everything twice.
pub(crate) fn explained(error: &Report) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Ends the process for arguments that cannot be used together.
pub(crate) fn conflict(message: &str) -> ! {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{message}\n")).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("commit: {0}")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("no space left")]
    struct Inner;

    #[test]
    fn a_cause_is_told_once() {
        let error = Report::new(Outer(Inner)).wrap_err("writing the last blocks");
        assert_eq!(explained(&error), "writing the last blocks: commit: no space left");
        let error = Report::new(Inner).wrap_err("the tables");
        assert_eq!(explained(&error), "the tables: no space left");
    }
}
