//! In-order reconciliation of transaction results into one state diff.
