//! Chain rules by number and timestamp: built-in networks and geth genesis files.
