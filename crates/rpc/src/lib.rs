//! The JSON-RPC front end: wire formats, namespaces, error codes and limits.
//!
//! A request goes through `server` (transport and limits), `registry` (who answers which method,
//! on which threads), `args` (parameters by name) to a handler: one file per group of methods in
//! `eth`, `debug` and so on. What can go wrong is in `error`, with its code and words.

mod args;
mod context;
mod debug;
mod dev;
mod error;
mod eth;
mod feed;
mod net;
mod registry;
mod server;
mod subscriptions;
mod testing;
mod txpool;
mod warp;
mod wire;

pub use context::{Context, RpcConfig};
pub use error::RpcError;
pub use server::{
    Apis, HttpPolicy, IpcConfig, Limits, Listener, RpcServer, ServerConfig, ServerError,
};
