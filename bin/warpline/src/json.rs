//! Reports as JSON, in a file or on standard output.

use crate::output::{self, say};
use core::fmt;
use eyre::{Result, WrapErr};
use serde::Serialize;
use std::{fs, path::Path};

/// Fails early where a report could not be written later.
pub(crate) fn check_writable(path: Option<&Path>) -> Result<()> {
    match path.filter(|path| path.as_os_str() != "-") {
        Some(path) => fs::write(path, "").wrap_err_with(|| format!("writing {}", path.display())),
        None => Ok(()),
    }
}

/// Writes a report; `-` is standard output.
pub(crate) fn write(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let json = serde_json::to_string_pretty(report)?;
    if path.as_os_str() == "-" {
        return output::print(json + "\n");
    }
    fs::write(path, json + "\n").wrap_err_with(|| format!("writing {}", path.display()))
}

/// Whether a report goes there.
pub(crate) fn is_standard_output(path: Option<&Path>) -> bool {
    path.is_some_and(|path| path.as_os_str() == "-")
}

/// Writes a report, and the same for people on standard output, or beside it where the JSON goes
/// there.
pub(crate) fn write_with(
    path: Option<&Path>,
    report: &impl Serialize,
    text: impl fmt::Display,
) -> Result<()> {
    let shown = if is_standard_output(path) {
        say!("{text}");
        Ok(())
    } else {
        output::print(text)
    };
    shown.and(write(path, report))
}
