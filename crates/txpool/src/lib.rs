//! The transaction pool: from raw bytes to decoded, recovered, admitted and ordered transactions.
//!
//! [`Pool`] is shared by reference between the RPC server, which adds transactions, and the
//! producer of blocks, which takes the best and reports every new head. It knows no blocks and no
//! storage: [`Head`] has the rules and fees of the next block, and [`Accounts`] answers what a
//! sender has.
//!
//! A transaction on its way in:
//!
//! 1. `decode`: bytes to a transaction, with errors that say what is wrong.
//! 2. `check`, `blobs`: what can be said without state; the sender's signature; proofs.
//! 3. `admit`: the sender's account, replacements, limits, and who has to go.
//! 4. `state`: the one lock around everything pooled, with `sender` (the queue of one sender) and
//!    `order` (who pays best).
//!
//! [`Intake`] does this for a server: in batches, on threads of its own.
//!
//! And out: `best` chooses for a block, `update` follows the chain, `upkeep` expires.
//!
//! ```
//! use std::sync::Arc;
//! use warpline_txpool::{Accounts, AccountsError, Origin, Pool, PoolAccount, PoolConfig};
//! # use alloy_primitives::{Address, B256, U256};
//! # let chain = warpline_chainspec::ChainSpec::mainnet();
//! # let header = alloy_consensus::Header { gas_limit: 30_000_000, ..Default::default() };
//!
//! /// A state in which everybody has one ether.
//! struct State;
//!
//! impl Accounts for State {
//!     fn account(&self, _: &Address) -> Result<PoolAccount, AccountsError> {
//!         Ok(PoolAccount { balance: U256::from(10).pow(U256::from(18)), ..Default::default() })
//!     }
//! }
//!
//! let head = warpline_txpool::Head::new(&chain, &header, B256::ZERO, 12);
//! let pool = Pool::new(PoolConfig::default(), head, Arc::new(State));
//! let refused = pool.add(&[0xc0], Origin::Local).unwrap_err();
//! assert!(refused.to_string().starts_with("rlp: "));
//! for tx in pool.select(0, head.gas_limit, 6) {
//!     println!("{}", tx.hash());
//! }
//! ```

mod admit;
mod best;
mod blobs;
mod check;
mod config;
mod content;
mod decode;
mod error;
mod head;
mod intake;
mod journal;
mod limbo;
mod order;
mod pool;
mod sender;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod transaction;
mod update;
mod upkeep;

pub use best::Best;
pub use config::PoolConfig;
pub use content::SenderContent;
pub use decode::decode;
pub use error::{BlobError, DecodeError, FeeShortfall, PoolError, SignatureError};
pub use head::{AccountCode, Accounts, AccountsError, BlobRules, Head, PoolAccount};
pub use intake::{Intake, IntakeError, IntakeLimits, Reply};
pub use journal::JournalReport;
pub use pool::{Added, Listener, Pool};
pub use stats::PoolStats;
pub use transaction::{Origin, PoolTransaction, PooledEnvelope, Prepared};
pub use update::{HeadChange, Mined};
