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
