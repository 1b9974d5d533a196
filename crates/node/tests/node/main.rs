//! A node as its front end uses it, on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod counter;
mod dev;
mod dump;
mod early;
mod hints;
mod mining;
mod pending;
mod predictor;
mod setup;
