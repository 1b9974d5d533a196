//! Synthetic blocks from real contracts: transfers to DePIN metering.
