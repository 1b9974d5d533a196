//! `debug_*` and `trace_*`.

mod raw;
mod trace;

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    raw::register(registry);
    trace::register(registry);
}
