//! Who runs when, and who sees which version: scheduling and multi-version memory, without an EVM.
