//! Long-lived worker threads that help one block at a time.
//!
//! A block's data lives on the caller's stack, the threads outlive it. Handing them a reference
//! needs one lifetime erasure, which is why this module may use `unsafe`; everything that makes
//! it sound is in [`Desk`], which is checked under loom.
#![allow(unsafe_code, reason = "see the module documentation and the SAFETY comments")]

use crate::sync::{Condvar, Mutex};
use core::cell::Cell;
use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

/// What a helper runs; the argument is the helper's number, from 1.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// Threads that wait for blocks to help with.
#[derive(Debug)]
pub struct WorkerPool {
    desk: Arc<Desk>,
    threads: Vec<JoinHandle<()>>,
}

impl WorkerPool {
    /// Starts `helpers` threads; none for 0.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(helpers: usize) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let mut pool = Self { desk, threads: Vec::with_capacity(helpers) };
        for number in 1..=helpers {
            let desk = pool.desk.clone();
            let name = format!("warpline-{number}");
            let body = move || while desk.take_and_run(number) {};
            pool.threads.push(thread::Builder::new().name(name).spawn(body)?);
        }
        Ok(pool)
    }

    /// Number of helper threads.
    pub const fn helpers(&self) -> usize {
        self.threads.len()
    }

    /// Runs `front` on the calling thread. From the moment it calls [`Help::summon`], up to
    /// `helpers` threads run `job` meanwhile. Threads that did not get a core before `front`
    /// returned do not start any more; those that did are waited for. If the pool is busy with
    /// another block, `front` runs without help.
    ///
    /// A panic in `job` is the job's own business: it must catch what it cares about. A panic in
    /// `front` is passed on after the helpers have stopped.
    pub fn run<R>(&self, helpers: usize, job: &Job<'_>, front: impl FnOnce(&Help<'_>) -> R) -> R {
        // SAFETY: the erased reference is only used by threads counted in `running`. `Help`
        // outlives `front`, is dropped on every way out of this function, and its drop takes the
        // reference off the desk and waits until that count is zero: the reference is never used
        // after `job` ends. `Help` never leaves this function, so it cannot be leaked.
        let job = unsafe { core::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        let helpers = helpers.min(self.helpers());
        let help = Help { desk: &self.desk, job, helpers, posted: Cell::new(false) };
        front(&help)
    }
}

/// The front's way to call for help.
pub struct Help<'a> {
    desk: &'a Desk,
    job: &'static Job<'static>,
    helpers: usize,
    posted: Cell<bool>,
}

impl core::fmt::Debug for Help<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Help").field("helpers", &self.helpers).finish_non_exhaustive()
    }
}

impl Help<'_> {
    /// Wakes the helpers. Once is enough.
    pub fn summon(&self) {
        if self.helpers > 0 && !self.posted.get() {
            self.posted.set(self.desk.post(self.helpers, self.job));
        }
    }
}

impl Drop for Help<'_> {
    fn drop(&mut self) {
        if self.posted.get() {
            self.desk.take_back();
        }
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.desk.close();
        for thread in self.threads.drain(..) {
            // A worker catches its job's panics, so there is nothing to pass on.
            drop(thread.join());
        }
    }
}

/// Where jobs are posted and taken.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<DeskState>,
    work: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct DeskState {
    job: Option<&'static Job<'static>>,
    /// How many more threads may take the job.
    wanted: usize,
    running: usize,
    closed: bool,
}

impl core::fmt::Debug for DeskState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DeskState").field("running", &self.running).finish_non_exhaustive()
    }
}

impl Desk {
    /// Puts a job up, unless there is one already.
    fn post(&self, helpers: usize, job: &'static Job<'static>) -> bool {
        let mut state = self.state.lock();
        if state.job.is_some() || state.running > 0 {
            return false;
        }
        state.job = Some(job);
        state.wanted = helpers;
        drop(state);
        self.work.notify_all();
        true
    }

    /// Takes the posted job back and waits for those who run it.
    fn take_back(&self) {
        let mut state = self.state.lock();
        state.job = None;
        state.wanted = 0;
        while state.running > 0 {
            self.idle.wait(&mut state);
        }
    }

    /// Waits for a job and runs it. `false` once the desk is closed.
    fn take_and_run(&self, number: usize) -> bool {
        let mut state = self.state.lock();
        let job = loop {
            match state.job {
                _ if state.closed => return false,
                Some(job) if state.wanted > 0 => break job,
                _ => self.work.wait(&mut state),
            }
        };
        state.wanted -= 1;
        state.running += 1;
        drop(state);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(number)));
        let mut state = self.state.lock();
        state.running -= 1;
        if state.running == 0 {
            self.idle.notify_all();
        }
        drop(state);
        drop(outcome);
        true
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn helpers_see_the_callers_data_and_end_before_run_returns() {
        let pool = WorkerPool::new(3).expect("threads start");
        for _ in 0..200 {
            let inside = AtomicUsize::new(0);
            let helped = AtomicUsize::new(0);
            let job = |_: usize| {
                inside.fetch_add(1, Ordering::SeqCst);
                helped.fetch_add(1, Ordering::SeqCst);
                inside.fetch_sub(1, Ordering::SeqCst);
            };
            pool.run(3, &job, |help| help.summon());
            assert_eq!(inside.load(Ordering::SeqCst), 0);
            let after = helped.load(Ordering::SeqCst);
            assert!(after <= 3);
        }
    }

    #[test]
    fn a_panicking_job_leaves_the_pool_usable() {
        let pool = WorkerPool::new(1).expect("threads start");
        let started = AtomicUsize::new(0);
        let bad = |_: usize| {
            started.store(1, Ordering::SeqCst);
            panic!("the job fails")
        };
        pool.run(1, &bad, |help| {
            help.summon();
            while started.load(Ordering::SeqCst) == 0 {}
        });
        let good = |_: usize| started.store(2, Ordering::SeqCst);
        pool.run(1, &good, |help| {
            help.summon();
            while started.load(Ordering::SeqCst) != 2 {}
        });
    }

    #[test]
    fn a_panicking_front_waits_for_its_helpers() {
        let pool = WorkerPool::new(1).expect("threads start");
        let state = AtomicUsize::new(0);
        let job = |_: usize| {
            state.store(1, Ordering::SeqCst);
            thread::sleep(std::time::Duration::from_millis(5));
            state.store(2, Ordering::SeqCst);
        };
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(1, &job, |help| {
                help.summon();
                while state.load(Ordering::SeqCst) == 0 {}
                panic!("the front fails")
            })
        }));
        assert!(unwound.is_err());
        assert_eq!(state.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_nested_run_gets_no_help_and_does_not_hang() {
        let pool = WorkerPool::new(1).expect("threads start");
        let job = |_: usize| ();
        let value = pool.run(1, &job, |help| {
            help.summon();
            pool.run(1, &job, |help| {
                help.summon();
                7
            })
        });
        assert_eq!(value, 7);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    /// Whatever the interleaving: when the posted job is dropped nobody runs it any more.
    #[test]
    fn loom_nobody_runs_a_job_after_it_was_taken_back() {
        loom::model(|| {
            let desk = Arc::new(Desk::default());
            let alive: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(1)));
            let job: &'static Job<'static> = Box::leak(Box::new(move |_: usize| {
                assert_eq!(alive.load(Ordering::SeqCst), 1);
            }));
            let worker = {
                let desk = desk.clone();
                loom::thread::spawn(move || while desk.take_and_run(1) {})
            };
            assert!(desk.post(1, job));
            desk.take_back();
            alive.store(0, Ordering::SeqCst);
            desk.close();
            worker.join().expect("the worker ends");
        });
    }
}
