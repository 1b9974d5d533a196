//! The vocabulary every other crate speaks: indices, locations, diffs.
