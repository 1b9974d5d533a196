//! Reports as JSON, in a file or on standard output.

use crate::{
    output::{self, say},
    whole_file::{WholeFile, is_open_or_no_file},
};
use core::fmt;
use eyre::{Result, WrapErr, bail};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// Fails early where a report could not be written later, or would go over something else than
/// JSON, such as an earlier one. Nothing is written yet.
pub(crate) fn check_writable(path: Option<&Path>) -> Result<()> {
    let Some(path) = path.filter(|path| path.as_os_str() != "-") else { return Ok(()) };
    let writing = || format!("writing {}", path.display());
    // Whoever opened a pipe would have to write to it.
    if is_open_or_no_file(path).wrap_err_with(writing)? && !path.is_dir() {
        return Ok(());
    }
    if path.is_file() && !is_json(path).wrap_err_with(writing)? {
        bail!("{} holds something else than JSON: it stays as it is", path.display());
    }
    WholeFile::create(path).map(drop).wrap_err_with(writing)
}

/// Whether a file is empty, or begins like JSON.
fn is_json(path: &Path) -> io::Result<bool> {
    let (mut file, mut first) = (File::open(path)?, [0]);
    Ok(file.read(&mut first)? == 0 || matches!(first, [b'{' | b'[']))
}

/// Writes a report; `-` is standard output.
pub(crate) fn write(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let json = serde_json::to_string_pretty(report)?;
    if path.as_os_str() == "-" {
        return output::print(json + "\n");
    }
    let writing = || format!("writing {}", path.display());
    let mut file = WholeFile::create(path).wrap_err_with(writing)?;
    file.write_all((json + "\n").as_bytes()).and_then(|()| file.finish()).wrap_err_with(writing)
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
