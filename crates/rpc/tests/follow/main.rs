//! Following a chain: subscriptions and filters on a development node in this process.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod filters;
mod setup;
mod subscriptions;
