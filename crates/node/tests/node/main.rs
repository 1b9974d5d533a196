//! A node as its front end uses it, on a real database.

mod dev;
mod mining;
mod setup;
