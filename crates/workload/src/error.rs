//! What can go wrong while a block is generated.

use crate::{Rules, Workload};

/// Why a block could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The name is none of the workloads'.
    #[error("unknown workload `{name}` (one of {})", Workload::names().join(", "))]
    UnknownWorkload {
        /// What was asked for.
        name: String,
    },
    /// The hot ratio is not a share.
    #[error("the hot ratio is a share from 0 to 1, not {ratio}")]
    HotRatio {
        /// What was asked for.
        ratio: f64,
    },
    /// The workload's contracts need younger rules.
    #[error("workload `{workload}` does not run under {rules:?} rules")]
    Rules {
        /// What was asked for.
        workload: Workload,
        /// The rules asked for.
        rules: Rules,
    },
    /// A committed artifact does not parse.
    #[error("artifact of {contract}: {source}")]
    Artifact {
        /// The contract.
        contract: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// The name is none of the contracts'.
    #[error("unknown contract `{name}`")]
    Contract {
        /// What was asked for.
        name: String,
    },
    /// A contract has no such variable or struct member.
    #[error("{contract} has no storage variable `{variable}`")]
    Variable {
        /// The contract.
        contract: &'static str,
        /// A variable, or `Struct.member`.
        variable: String,
    },
    /// A derived key is not a valid secp256k1 secret.
    #[error("secret key: {0}")]
    Key(#[from] secp256k1::Error),
}
