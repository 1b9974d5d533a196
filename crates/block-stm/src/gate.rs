//! Waiting for another thread's progress without burning a core.

use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering, model_fence, spin_loop, yield_now};

/// How often a waiter looks again before it goes to sleep: some microseconds, about what a sleep
/// and a wake-up cost.
#[cfg(not(loom))]
const SPINS: usize = 400;
#[cfg(loom)]
const SPINS: usize = 0;

/// Where threads wait for a condition over atomics that other threads change.
///
/// Whoever makes a condition true calls [`Gate::notify`] afterwards. The change and the look at
/// the condition must both be sequentially consistent: then either the waiter sees the change or
/// the notifier sees the waiter.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    waiters: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Gate {
    /// Returns once `ready` holds.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        for spin in 0..SPINS {
            if ready() {
                return;
            }
            if spin % 64 == 63 { yield_now() } else { spin_loop() }
        }
        let mut guard = self.lock.lock();
        self.waiters.fetch_add(1, Ordering::SeqCst);
        model_fence();
        while !ready() {
            self.changed.wait(&mut guard);
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets the waiters look again.
    #[inline]
    pub(crate) fn notify(&self) {
        model_fence();
        if self.waiters.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock());
            self.changed.notify_all();
        }
    }
}
