//! What goes over the wire: parameters as callers write them, objects as they expect them.
//!
//! Objects borrow what they print, so that an answer is written once, from the database's own
//! types to text.

mod block;
mod block_id;
mod hex;
mod log;
mod log_filter;
mod receipt;
mod transaction;

pub(crate) use block::{RpcBlock, RpcHeader, Transactions, block_size};
pub(crate) use block_id::{BlockId, Tag};
pub(crate) use hex::{Hex, Quantity, StorageKey};
pub(crate) use log::{LogPlace, RpcLog};
pub(crate) use log_filter::{LogFilter, LogQuery, Range};
pub(crate) use receipt::{Before, RpcReceipt};
pub(crate) use transaction::{Mined, RpcTransaction};
