//! `warpline node` as a whole program, asked over its sockets.
//!
//! - `node`: starting one; `client`: asking it.
//! - `compat`: the published conformance cases, which `cases` reads, `compare` and `schema` judge.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod cases;
mod client;
mod compare;
mod compat;
mod node;
mod schema;
