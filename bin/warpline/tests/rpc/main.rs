//! `warpline node` as a whole program, asked over its sockets.
//!
//! - `node`: starting one; `client`: asking it.
//! - `requests`: what is no request, or too much of one; `access`: who may ask; `sockets`:
//!   WebSocket and IPC.
//! - `methods`: every method of the execution-apis, and what small ones say; `limits`: what flags
//!   say there may be of something.
//! - `accounts`: accounts at once, ommers and witnesses, of which no published case is.
//! - `pending`: the block that is made next; `edits`: blocks that begin with changes; `dev`: what
//!   else development chains are told; `side`: blocks that have left the chain.
//! - `crash`: what a killed one leaves.
//! - `capture`: blocks taken from one, also through a `proxy` that is not to be relied on.
//! - `load`: measuring a node under load, for moments.
//! - `warp`: our own namespace; `predict`: what of it and of the command is about predictions. `operations`: metrics and logs; `config`: the configuration file.
//! - `compat`: the published conformance cases, which `cases` reads, `compare` and `schema` judge.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod access;
mod accounts;
mod capture;
mod cases;
mod client;
mod compare;
mod compat;
mod config;
mod crash;
mod dev;
mod edits;
mod limits;
mod load;
mod methods;
mod node;
mod operations;
mod pending;
mod predict;
mod proxy;
mod requests;
mod schema;
mod senders;
mod side;
mod sockets;
mod traces;
mod warp;
