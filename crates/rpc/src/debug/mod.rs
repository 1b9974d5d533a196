//! `debug_*` and `trace_*`.

mod raw;
mod trace;
mod witness;

pub(crate) use trace::{Subject, position};

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    raw::register(registry);
    trace::register(registry);
    witness::register(registry);
}
