//! Executes without changing a chain: calls, estimates, access lists, simulated blocks and traces.
//!
//! Everything here takes a state, by [`alloy_evm::Database`], and a block with the rules of its
//! chain, and gives what would come of it; errors of the state are no verdicts and stay apart from
//! them. The semantics and the words are geth's, as far as the execution-apis leave them open,
//! because wallets and libraries are built on them.
//!
//! - `call`, `checks`: a call as the caller describes it, filled in and held against the rules.
//! - `overlay`, `overrides`, `precompiles`: the state it runs on, with the caller's changes.
//! - `run`, `deadline`: one execution, and its end when it takes too long; `brief`: one that is to
//!   take a moment at most.
//! - `estimate`: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.
//! - `simulate`: whole blocks, `eth_simulateV1`.
//! - `trace`: `debug_trace*` and `trace_*`; what of a block depends on what, and
//!   what it teaches a predictor.
//!
//! What is absent: chains, storage and wire formats.

mod brief;
mod call;
mod checks;
mod deadline;
mod error;
mod estimate;
mod overlay;
mod overrides;
mod precompiles;
pub mod reason;
mod run;
mod simulate;
mod trace;

pub use brief::call_briefly;
pub use call::{Call, Price};
pub use checks::InvalidCall;
pub use deadline::Deadline;
pub use error::{InvalidBlocks, SimulationError};
pub use estimate::{Accesses, call, create_access_list, estimate_gas};
pub use overlay::{Overlay, OverlayError};
pub use overrides::{AccountOverride, BlockOverrides, OverrideError, StateOverrides};
pub use run::{CallBlock, End, Limits, Outcome, Overrides};
pub use simulate::{
    BlockStateCalls, CallLog, MAX_BLOCKS, SimulateError, SimulateRequest, SimulatedBlock,
    SimulatedCall, StateRoots, TRANSFER_EMITTER, UnsignedTransaction, simulate,
};
pub use trace::{
    Contended, Dependencies, Follower, HotLocation, MAX_STEPS, Touched, TraceOptions, TracedBlock,
    Trial, call_transaction, dependencies, flat_traces, follow_block, touched, trace_block,
    trace_call, trace_call_within, trace_transaction, try_out,
};
