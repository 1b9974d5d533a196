//! The storage from outside: against a model, against races, damage, full disks and `kill -9`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod chain;
mod crash;
mod failures;
mod gathering;
mod large;
mod lists;
mod model;
mod opening;
mod readers;
