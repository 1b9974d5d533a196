//! The folder of a measurement that makes databases. Nothing is left of it, also where a signal
//! comes first: a state of ten million accounts in a memory file system would stay there.

use super::{BenchArgs, Job, cold, pipeline};
use crate::stop::Stop;
use eyre::{Result, WrapErr};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tempfile::TempDir;

/// Measures on a thread of its own, so that this one can clear up as soon as a signal comes.
pub(super) fn measure(args: BenchArgs, jobs: Vec<Job>) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let parent = args.datadir.clone().unwrap_or_else(env::temp_dir);
    let made = fs::create_dir_all(&parent).and_then(|()| named().tempdir_in(&parent));
    let folder = made.wrap_err("making a folder for the databases")?;
    let scratch = folder.path().to_owned();
    let done = stop.or(move || match args.pipeline {
        true => pipeline::measure(&args, &jobs, &scratch),
        false => cold::measure(&args, &jobs, &scratch),
    });
    if let Some(done) = done.wrap_err("starting a thread")? {
        return done;
    }
    folder.close().wrap_err("removing the databases")?;
    Ok(stop.exit_code().unwrap_or(ExitCode::FAILURE))
}

/// A folder for one database, which goes with the value.
pub(super) fn folder(scratch: &Path) -> Result<TempDir> {
    named().tempdir_in(scratch).wrap_err("making a folder for the database")
}

fn named() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("warpline-bench-");
    builder
}

/// Takes a folder out of what is removed in the end. Where it is then.
pub(super) fn keep(folder: TempDir, scratch: &Path) -> Result<PathBuf> {
    let made = folder.keep();
    let kept = match (scratch.parent(), made.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => return Ok(made),
    };
    fs::rename(&made, &kept)
        .wrap_err_with(|| format!("moving {} to {}", made.display(), kept.display()))?;
    Ok(kept)
}
