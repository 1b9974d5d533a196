//! A chain in a database: import, side chains, reorganisations, restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod built;
mod lists;
mod published;
mod streamed;
