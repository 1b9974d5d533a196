//! One running node: its chain, its pool, and the production of blocks.
//!
//! A transaction arrives in the pool ([`Node::submit`]); the `miner` thread is woken, or waits for
//! its time, and has the `producer` make a block of the best of what is there: it is proposed to
//! the chain, which executes it in parallel, and adopted as the head; the pool moves on to that
//! head, and everybody who listens is told. While one block is made, transactions for the next are
//! decoded and recovered by whoever brings them.
//!
//! `pending` has the block that would be made now, for those who ask.
//!
//! `predictor` learns from blocks and waiting transactions, in the background, what transactions
//! touch, and tells whoever asks what to expect of one.
//!
//! `early` executes transactions that wait before their block is made, in the background, so that
//! the block only has to compare what they read.
//!
//! Whoever only reads takes the [`ChainView`](warpline_chain::ChainView) and waits for nobody.
//! What development chains may do besides is in `dev`. What is absent: wire formats.

mod accounts;
mod clock;
mod config;
mod dev;
mod dev_chain;
mod early;
mod error;
mod events;
mod metrics;
mod miner;
mod node;
mod past;
mod pending;
mod predictor;
mod producer;
mod state;

pub use accounts::{DevAccounts, MNEMONIC};
pub use config::{Mining, NodeConfig};
pub use dev::DevAccountEdit;
pub use dev_chain::dev_genesis;
pub use early::EarlyStats;
pub use error::NodeError;
pub use events::{BlockReport, Lagged, NewHead, NewPending};
pub use node::Node;
pub use past::{PastBlock, next_values, signed_transaction};
pub use predictor::{Predictor, PredictorConfig, PredictorStats};
pub use producer::{MineOptions, ProposeOptions};
