//! Takes blocks with everything their replay needs from any node that answers JSON-RPC.
//!
//! [`Endpoint::connect`] finds out which chain a node serves; [`Endpoint::capture`] takes one
//! block of it and gives a [`BlockFixture`](warpline_fixture::BlockFixture) that has been
//! executed and has passed every check against the block's header, twice: on what the endpoint
//! said, and again as it will be read from its file.
//!
//! A block is executed on a state that asks the endpoint for whatever is read and not there yet
//! (`state`). The [`Method`]s differ in what is there before: the trie nodes of
//! `debug_executionWitness`, what `prestateTracer` names, or nothing. So none of them has to be
//! complete, and system calls, withdrawals, beneficiaries and `BLOCKHASH` need no rules of their
//! own. Whatever can be proven is taken from trie nodes under the parent's state root, whose
//! header is checked by its hash, never from what the endpoint claims beside them.
//!
//! - `client`: JSON-RPC over HTTP, with retries and a limit of requests per second.
//! - `headers`: headers by hash, checked. `wire`: the shapes of answers.
//! - `rules`: which chain it is. `block`: one block from the first question to the fixture.

mod block;
mod client;
mod error;
mod headers;
mod rules;
mod state;
mod wire;

pub use block::{Captured, Endpoint, verify};
pub use client::{Client, ClientConfig, Stop};
pub use error::{CaptureError, Fault, RpcFailure};
pub use rules::{BlockRules, Rules};

/// Where the state before a block comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The trie nodes that `debug_executionWitness` gives.
    Witness,
    /// The accounts and slots that `debug_traceBlockByHash` names with the `prestateTracer`, all
    /// asked for at once as on demand, and what is missing on demand.
    Prestate,
    /// On demand: `eth_getProof`, and without it `eth_getBalance`, `eth_getTransactionCount`,
    /// `eth_getCode` and `eth_getStorageAt` at the parent.
    Proof,
}

impl Method {
    /// The quickest first.
    pub const ALL: [Self; 3] = [Self::Witness, Self::Prestate, Self::Proof];

    /// What the endpoint is asked.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Witness => "debug_executionWitness",
            Self::Prestate => "debug_traceBlockByHash",
            Self::Proof => "eth_getProof",
        }
    }
}
