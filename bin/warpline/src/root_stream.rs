//! When the state root of a block is begun while the block executes.

use clap::{Args, ValueEnum};
use std::num::NonZeroUsize;
use warpline_chain::RootStreaming;

/// The switch of commands that execute blocks into a database.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RootStreamArgs {
    /// Which blocks have their state root begun while they execute in parallel: `auto` for those
    /// that come one by one and leave a core idle, `always` for all, those of an import included,
    /// or `never`.
    #[arg(long = "root.stream", value_name = "WHEN", value_enum, default_value = "never")]
    when: When,
}

/// The values of the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

impl RootStreamArgs {
    /// What the chain is to do.
    pub(crate) fn streaming(self) -> RootStreaming {
        self.when.streaming()
    }
}

impl When {
    /// What the chain is to do on this machine.
    pub(crate) fn streaming(self) -> RootStreaming {
        match self {
            Self::Auto => RootStreaming::Spare {
                cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            },
            Self::Always => RootStreaming::Always,
            Self::Never => RootStreaming::Never,
        }
    }
}
