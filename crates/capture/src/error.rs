//! What can go wrong, by whose fault.

use crate::Method;
use alloy_primitives::B256;
use warpline_chainspec::ChainSpecError;
use warpline_fixture::Problem;
use warpline_replay::PrepareError;

/// A request without an answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RpcFailure {
    /// The caller wants to stop.
    #[error("stopped")]
    Stopped,
    /// There was no answer, however often it was asked for.
    #[error("{method}: no answer from {endpoint}: {cause}")]
    Unreachable {
        /// What was asked.
        method: &'static str,
        /// Scheme, host and port of the endpoint; its path may hold a key.
        endpoint: String,
        /// Why.
        cause: String,
    },
    /// The endpoint refuses.
    #[error("{method}: refused with code {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The code of the JSON-RPC error.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The answer is no JSON-RPC, or has another shape than it must have.
    #[error("{method}: {cause}")]
    Malformed {
        /// What was asked.
        method: &'static str,
        /// What is wrong with the answer.
        cause: String,
    },
}

/// What is wrong with one block or its endpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A request without an answer.
    #[error(transparent)]
    Rpc(#[from] RpcFailure),
    /// There is no such block.
    #[error("the endpoint has no such block")]
    NoSuchBlock,
    /// The first block has no transactions and no parent.
    #[error("the genesis block cannot be replayed")]
    Genesis,
    /// An answer that cannot be true.
    #[error("{method}: a wrong answer: {cause}")]
    Wrong {
        /// What was asked.
        method: &'static str,
        /// Why it cannot be true.
        cause: String,
    },
    /// No method works.
    #[error("the state before the block cannot be had: {}", list(.0))]
    NoMethod(Vec<(Method, String)>),
    /// The block cannot be executed on the state that the endpoint gives.
    #[error("cannot be executed on the state that the endpoint gives: {0}")]
    Execution(String),
    /// The execution does not give what the header says.
    #[error("a wrong answer: {0}")]
    Checks(String),
    /// The rules of the chain do not fit the block.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The fixture contradicts itself.
    #[error(transparent)]
    Fixture(#[from] Problem),
    /// The endpoint serves another chain.
    #[error("the endpoint serves chain {found}, not {expected}")]
    OtherChain {
        /// The chain of the endpoint.
        found: u64,
        /// The chain that was asked for.
        expected: u64,
    },
    /// A chain of which only its number is known.
    #[error("chain {0} is not known: its rules have to be given (--chain with a genesis file)")]
    UnknownChain(u64),
    /// The rules that the endpoint names are no rules.
    #[error(transparent)]
    Chain(#[from] ChainSpecError),
}

impl Fault {
    /// The same, where what other methods were refused for may explain it.
    pub(crate) fn after(self, refusals: &[(Method, String)]) -> Self {
        let why = |words: String| format!("{words} ({})", list(refusals));
        match self {
            Self::Execution(words) if !refusals.is_empty() => Self::Execution(why(words)),
            Self::Checks(words) if !refusals.is_empty() => Self::Checks(why(words)),
            fault => fault,
        }
    }
}

/// A block that could not be captured.
#[derive(Debug, thiserror::Error)]
#[error("block {block}: {fault}")]
pub struct CaptureError {
    /// Its number.
    pub block: u64,
    /// What is wrong.
    #[source]
    pub fault: Box<Fault>,
}

impl Fault {
    pub(crate) fn wrong(method: &'static str, cause: impl Into<String>) -> Self {
        Self::Wrong { method, cause: cause.into() }
    }

    pub(crate) fn wrong_hash(method: &'static str, asked: B256, found: B256) -> Self {
        Self::wrong(method, format!("the header that was asked for as {asked} hashes to {found}"))
    }

    /// Whether the endpoint does not do what was asked, as opposed to doing it wrongly.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Rpc(RpcFailure::Refused { .. }))
    }
}

fn list(refusals: &[(Method, String)]) -> String {
    let one = |(_, why): &(Method, String)| why.clone();
    refusals.iter().map(one).collect::<Vec<_>>().join("; ")
}
