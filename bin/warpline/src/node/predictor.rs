//! The predictor of accesses: how much it may know, and where that lies.

use crate::limits::up_to;
use clap::{ArgAction, Args};
use std::path::Path;
use warpline_node::PredictorConfig;

/// The predictor of accesses.
#[derive(Debug, Args)]
#[command(next_help_heading = "Predictor")]
pub(crate) struct PredictorArgs {
    /// Most megabytes of what is known of the accesses of contracts; 0 to neither learn nor
    /// predict. It is kept in the file `predictor` in the data folder.
    #[arg(long = "predictor.memory", value_name = "MB", default_value = "256",
        value_parser = up_to::<{ 1 << 20 }, usize>)]
    memory: usize,

    /// Execute the blocks that are made here by what their transactions are expected to touch.
    #[arg(long = "predictor.hints", value_name = "BOOL", default_value_t = true,
          default_missing_value = "true", num_args = 0..=1, require_equals = true,
          action = ArgAction::Set)]
    hints: bool,
}

/// The file of knowledge in a data folder.
pub(crate) const FILE: &str = "predictor";

impl PredictorArgs {
    /// How the predictor works, if there is to be one. `folder` is the data folder, where it stays.
    pub(crate) fn config(&self, folder: Option<&Path>) -> Option<PredictorConfig> {
        (self.memory > 0).then(|| PredictorConfig {
            memory: self.memory << 20,
            file: folder.map(|folder| folder.join(FILE)),
            hints: self.hints,
            ..PredictorConfig::default()
        })
    }
}
