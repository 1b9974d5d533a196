//! Calls, simulated blocks and traces against plain executions and against each other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests")]

mod blocks;
mod brief;
mod calls;
mod overrides;
mod traces;
mod world;
