//! Parallel execution of one block over any alloy-evm block executor factory, and the sequential oracle.
