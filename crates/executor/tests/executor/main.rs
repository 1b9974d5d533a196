//! The parallel executor against the sequential oracle, from outside: one program, since each
//! would compile the EVM again.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail loudly")]

mod access_list;
mod differential;
mod drop_in;
mod early;
mod faults;
mod fuzz;
mod guidance;
mod regressions;
mod schedules;
mod stream;
mod support;
mod taxed;
