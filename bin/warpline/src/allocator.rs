//! The allocator of the program, and how long it keeps memory that nobody uses.

#![allow(unsafe_code, reason = "a call of a C function, which has no safe binding")]

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3, which the binding has no name for.
const PURGE_DELAY: mi_option_t = 15;

/// Milliseconds after which free memory goes back to the operating system, as long as with jemalloc.
/// mimalloc itself waits for a second. Every block takes the memory that one before it has just let
/// go of: where a second passes between the two it is mapped and cleared anew, which is an eighth of
/// all that an import of large blocks does.
const KEPT: c_long = 10_000;

/// Keeps free memory for a while, unless the environment says for how long (`MIMALLOC_PURGE_DELAY`).
pub(crate) fn keep_free_memory() {
    // SAFETY: the function stores a number under an index that it checks, whenever it is called; no
    // other thread of the program runs yet.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sayln;
    use libmimalloc_sys::{mi_option_get, mi_option_set};

    #[test]
    fn the_option_is_the_delay_and_what_the_user_says_stays() {
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() {
            sayln!("SKIPPED: 1 test of the delay that somebody sets with MIMALLOC_PURGE_DELAY");
            return;
        }
        // SAFETY: as above, with other threads that read the number at most.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        // No other option has this default.
        assert_eq!(delay(), 1000);
        keep_free_memory();
        assert_eq!(delay(), KEPT);
        // SAFETY: as above.
        unsafe { mi_option_set(PURGE_DELAY, 5) };
        keep_free_memory();
        assert_eq!(delay(), 5);
    }
}
