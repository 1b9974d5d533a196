//! Replays blocks sequentially and in parallel, checks both against the header and each other, and reports.
