//! Knowledge in files.

use super::PredictArgs;
use crate::{node::predictor::FILE, output::sayln};
use eyre::{Result, WrapErr};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};
use warpline_predictor::AccessPredictor;
use warpline_replay::{PreparedBlock, learn_block};

/// What is known before the first block.
pub(super) fn start(args: &PredictArgs) -> Result<AccessPredictor> {
    let mut predictor = AccessPredictor::new(args.memory << 20);
    if let Some(path) = &args.import.clone().or_else(|| learned(args)) {
        let about = || format!("importing {}", path.display());
        let file = File::open(path).wrap_err_with(about)?;
        predictor.load(BufReader::new(file)).wrap_err_with(about)?;
    }
    Ok(predictor)
}

/// The file of what a node has learned, if there is one.
fn learned(args: &PredictArgs) -> Option<PathBuf> {
    let file = args.datadir.as_ref()?.join(FILE);
    file.exists().then_some(file)
}

/// Learns from all blocks, and writes down what is known then. The file appears complete or not
/// at all.
pub(super) fn export(
    mut predictor: AccessPredictor,
    blocks: &[PreparedBlock],
    path: &Path,
) -> Result<()> {
    for block in blocks {
        learn_block(block, &mut predictor)?;
    }
    let about = || format!("exporting to {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).wrap_err_with(about)?;
    let mut writer = BufWriter::new(file.as_file_mut());
    predictor.save(&mut writer).and_then(|()| writer.flush()).wrap_err_with(about)?;
    drop(writer);
    file.persist(path).wrap_err_with(about)?;
    sayln!("wrote {}: {} functions", path.display(), predictor.len());
    Ok(())
}
