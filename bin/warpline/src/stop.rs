//! Ending early and in order when the user or the system asks for it.

use eyre::{Result, WrapErr};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// How often is looked whether a signal has come.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

/// Whether SIGINT or SIGTERM has come. A second one ends the process at once, which no database
/// minds.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Takes over the two signals.
    pub(crate) fn on_signals() -> Result<Self> {
        let (signal, again) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for number in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&again))
                .and_then(|_| flag::register(number, Arc::clone(&again)))
                .and_then(|_| flag::register_usize(number, Arc::clone(&signal), number as usize))
                .wrap_err("waiting for signals")?;
        }
        Ok(Self(signal))
    }

    /// Whether to stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Does what may keep one waiting on a thread of its own; none where a signal comes first. The
    /// thread then ends with the process.
    pub(crate) fn or<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (sender, done) = channel();
        thread::Builder::new().spawn(move || {
            let _nobody_waits = sender.send(work());
        })?;
        while !self.requested() {
            match done.recv_timeout(PATIENCE) {
                Ok(done) => return Ok(Some(done)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(None)
    }

    /// What a process exits with that has stopped for it: 128 and the signal.
    pub(crate) fn exit_code(&self) -> Option<ExitCode> {
        let signal = self.0.load(Ordering::Relaxed);
        let code = u8::try_from(signal).ok().filter(|signal| *signal != 0)?;
        Some(ExitCode::from(128 + code))
    }
}
