//! Page checks. MDBX trusts what a page says of other pages unless told otherwise, and a damaged
//! one could make it read beyond the end of the file, which ends the process. The safe binding
//! has no way to tell it otherwise, nor to have it walk through the whole file; these are the two
//! calls of the C library that it leaves out.

#![allow(unsafe_code, reason = "two calls of C functions, and the callback of one")]

use signet_libmdbx::{
    Environment, MdbxError,
    ffi::{self, MDBX_chk_callbacks_t, MDBX_chk_context_t, MDBX_chk_scope_t},
};
use std::{
    ffi::{CStr, c_int},
    mem::MaybeUninit,
    ptr,
};

/// Has MDBX check every page that it follows a reference to, or not.
pub(super) fn switch(env: &Environment, on: bool) -> Result<(), MdbxError> {
    let status = env.with_raw_env_ptr(|raw| {
        // SAFETY: `raw` is the open environment of `env`, which outlives the call and is not kept.
        // MDBX_VALIDATION is among the flags that may change at any time, from any thread.
        unsafe { ffi::mdbx_env_set_flags(raw, ffi::MDBX_VALIDATION, on) }
    });
    if status == ffi::MDBX_SUCCESS { Ok(()) } else { Err(MdbxError::from_err_code(status)) }
}

/// What an examination has found. MDBX knows of the context alone, which comes first.
#[repr(C)]
struct Examination {
    context: MDBX_chk_context_t,
    problems: Vec<String>,
    limit: usize,
}

/// Walks through the whole file, as `mdbx_chk` does, and says what does not fit together, at most
/// `limit` of it.
pub(super) fn examine(env: &Environment, limit: usize) -> Result<Vec<String>, MdbxError> {
    // SAFETY: both are structures of C, of numbers and pointers, functions included, that may be
    // null; MDBX asks for them to be zero.
    let (context, mut callbacks): (MDBX_chk_context_t, MDBX_chk_callbacks_t) =
        unsafe { (MaybeUninit::zeroed().assume_init(), MaybeUninit::zeroed().assume_init()) };
    callbacks.scope_conclude = Some(concluded);
    let mut examination = Examination { context, problems: Vec::new(), limit };
    let status = env.with_raw_env_ptr(|raw| {
        // The callback gets this pointer back, and makes the whole of it again.
        let context = ptr::from_mut(&mut examination).cast::<MDBX_chk_context_t>();
        let (flags, severity) = (ffi::MDBX_CHK_SKIP_KV_TRAVERSAL, ffi::MDBX_chk_fatal);
        // SAFETY: `raw` is the open environment of `env`. Context and callbacks are as MDBX wants
        // them, outlive the call and are not kept; nobody else has them meanwhile.
        unsafe { ffi::mdbx_env_chk(raw, &raw const callbacks, context, flags, severity, 0) }
    });
    let Examination { context, mut problems, .. } = examination;
    let untold = context.result.total_problems > 0 && problems.is_empty();
    match status {
        ffi::MDBX_SUCCESS | ffi::MDBX_RESULT_TRUE if !untold => {}
        ffi::MDBX_PROBLEM | ffi::MDBX_CORRUPTED if !problems.is_empty() => {}
        ffi::MDBX_SUCCESS | ffi::MDBX_RESULT_TRUE | ffi::MDBX_PROBLEM => {
            let count = context.result.total_problems;
            problems.push(format!("{count} problems that the engine does not name"));
        }
        status => {
            let error = MdbxError::from_err_code(status);
            if error != MdbxError::Corrupted && error != MdbxError::PageNotFound {
                return Err(error);
            }
            problems.push(error.to_string());
        }
    }
    Ok(problems)
}

/// Takes over what a part of the examination has found, whose outcome stays as it is.
///
/// # Safety
/// MDBX calls it with the context that it was given and a part that has ended.
unsafe extern "C" fn concluded(
    context: *mut MDBX_chk_context_t,
    _outer: *mut MDBX_chk_scope_t,
    inner: *mut MDBX_chk_scope_t,
    outcome: c_int,
) -> c_int {
    // SAFETY: the context is the first part of an `Examination`, and the pointer was made of one to
    // the whole of it.
    let examination = unsafe { &mut *context.cast::<Examination>() };
    // SAFETY: the part is alive until this returns, and with it the list of its issues, whose last
    // has no next.
    let mut issue = unsafe { (*inner).issues };
    // SAFETY: as above.
    while let Some(found) = unsafe { issue.as_ref() } {
        if examination.problems.len() < examination.limit && !found.caption.is_null() {
            // SAFETY: captions are constants of the library.
            let caption = unsafe { CStr::from_ptr(found.caption) }.to_string_lossy();
            let times = if found.count == 1 { "once" } else { "more than once" };
            examination.problems.push(format!("{caption} ({times})"));
        }
        issue = found.next;
    }
    outcome
}
