//! Access-list prediction: which accounts and slots a transaction will read and write, before it
//! runs.
//!
//! The way of the knowledge: a [`Recorder`] watches an execution and gives a [`Lesson`] for every
//! call in it; [`AccessPredictor::learn`] brings the lessons of one function together in a
//! template; [`AccessPredictor::predict`] walks the templates of a new transaction's calls and
//! fills an [`AccessHint`], whose entries say where they come from. What was never seen can be
//! tried out on a [`TrialState`], and the trial learned from.
//!
//! - `expr`: formulas over what a call is given (caller, calldata, values of slots, …).
//! - `frame`, `memory`: the formulas on the stack and in the memory of a running call.
//! - `trace`: what one call did: conditions, slots, accounts, calls.
//! - `template`: a function, as the tree of all ways through it that were seen.
//! - `outlook`: the state as earlier predictions of the same block expect it.
//! - `distinct`: the lists that a prediction fills.
//! - `archive`: knowledge as bytes.
//! - `score`: predictions held against what transactions did.
//! - `walk`, `call`, `touch`, `value`: the prediction, computing only what addresses, slots and
//!   ways depend on.
//! - `reading`: the same where a function was never seen: through its bytecode.
//!
//! A hint is a guess. Whoever uses one loses time if it is wrong, never correctness.

mod archive;
mod call;
mod distinct;
mod expr;
mod frame;
mod hint;
mod instruction;
mod memo;
mod memory;
mod outlook;
mod predictor;
mod reading;
mod recorder;
mod score;
mod template;
mod touch;
mod trace;
mod trial;
mod value;
mod walk;

pub use archive::ArchiveError;
pub use hint::{AccessHint, AccountHint, Gaps, SlotHint, Source};
pub use outlook::{ExpectedState, Outlook};
pub use predictor::{AccessPredictor, BlockValues, Care, DEFAULT_MEMORY};
pub use recorder::Recorder;
pub use score::{Judge, Misses, PredictionScore, Tally};
pub use trace::{Lesson, TemplateKey};
pub use trial::TrialState;
