//! `debug_*`.

mod raw;

use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    raw::register(registry);
}
