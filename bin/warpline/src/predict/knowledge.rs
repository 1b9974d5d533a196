//! Knowledge in files.

use super::PredictArgs;
use crate::{node::predictor::FILE, output::sayln, whole_file::WholeFile};
use eyre::{Result, WrapErr};
use std::{
    fs::File,
    io::BufReader,
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
    let mut file = WholeFile::create(path).wrap_err_with(about)?;
    predictor.save(&mut file).wrap_err_with(about)?;
    file.finish().wrap_err_with(about)?;
    sayln!("wrote {}: {} functions", path.display(), predictor.len());
    Ok(())
}
