//! `warpline init`, `import`, `export` and `db` as a whole program.
//!
//! - `program`: running it, and what it says.
//! - `chains`: chains to import: the published one and some of workload blocks, which `made` makes.
//! - `round_trip`: what goes in comes out again, in whatever steps.
//! - `lists`: access lists that are kept.
//! - `broken`: files and arguments that are wrong.
//! - `failures`: databases and disks that are.
//! - `crash`: processes that are killed and stopped.
//! - `output`: what is said, and where nobody listens.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod broken;
mod chains;
mod crash;
mod failures;
mod lists;
mod made;
mod output;
mod program;
mod round_trip;
