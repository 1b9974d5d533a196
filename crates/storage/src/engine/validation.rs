//! Page checks. MDBX trusts what a page says of other pages unless told otherwise, and a damaged
//! one could make it read beyond the end of the file, which ends the process. The safe binding
//! has no way to tell it otherwise; this is the one call of the C library that it leaves out.

#![allow(unsafe_code, reason = "a single call of a C function")]

use signet_libmdbx::{Environment, MdbxError, ffi};

/// Has MDBX check every page that it follows a reference to, or not.
pub(super) fn switch(env: &Environment, on: bool) -> Result<(), MdbxError> {
    let status = env.with_raw_env_ptr(|raw| {
        // SAFETY: `raw` is the open environment of `env`, which outlives the call and is not kept.
        // MDBX_VALIDATION is among the flags that may change at any time, from any thread.
        unsafe { ffi::mdbx_env_set_flags(raw, ffi::MDBX_VALIDATION, on) }
    });
    if status == ffi::MDBX_SUCCESS { Ok(()) } else { Err(MdbxError::from_err_code(status)) }
}
