//! Replays blocks sequentially and in parallel, checks both against the header and each other,
//! and reports.
//!
//! The way of a block: [`load_block`] reads a fixture and makes a [`PreparedBlock`] of it (any
//! [`BlockFixture`](warpline_fixture::BlockFixture) will do, also one built in memory),
//! [`Runner::run`] executes it, proves the result, takes the time and gives a [`BlockReport`];
//! [`Report`] sums up, as JSON or with [`render_table`].
//!
//! - `access_list`: the block's access list, made, checked, and used as a hint.
//! - `checks`: what the header claims against what the body and the execution give.
//! - `compare`: the first difference between the two executions.
//! - `critical_path`: how parallel a block is at best.
//! - `hints`: what expectations are worth to the execution.
//! - `prediction`: how well the accesses of a block's transactions are predicted.
//! - `roots`: state roots, where the whole state is known.

mod access_list;
mod block;
mod checks;
mod compare;
mod critical_path;
mod hints;
mod prediction;
mod report;
#[cfg(test)]
mod robustness;
mod roots;
mod run;
mod source;
mod table;
mod table_hints;

pub use access_list::AccessListReport;
pub use block::{Factory, PrepareError, PreparedBlock, Tx};
pub use checks::{Check, Checks, Outcome, check_body, check_execution};
pub use compare::{Divergence, Execution, compare};
pub use critical_path::CriticalPath;
pub use hints::{HintReport, HintSource};
pub use prediction::{
    BlockExpectations, Forecast, Misses, PredictionConfig, PredictionError, PredictionScore, Tally,
    Unseen, expect_block, forecast, learn_block, learn_from_others, predict_block, predict_each,
    touched_by_block,
};
pub use report::{BlockReport, CheckDetail, FileFailure, Report, Shares, Summary};
pub use roots::{apply_diff, state_root_after};
pub use run::{Mode, RunConfig, Runner};
pub use source::{find_fixtures, load_block};
pub use table::render_table;
