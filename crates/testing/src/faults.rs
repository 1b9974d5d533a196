//! A parent state whose n-th read goes wrong: what a broken disk, a bug or a slow peer look like.

use crate::evm::rng::Rng;
use alloy_primitives::{Address, B256};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    database_interface::DBErrorMarker,
    primitives::{StorageKey, StorageValue},
    state::AccountInfo,
};

/// What happens at the chosen read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The read, and every one after it, returns [`FaultyReadError::Injected`].
    Error,
    /// The read alone returns [`FaultyReadError::Injected`]; later ones work again.
    ErrorOnce,
    /// The read panics with [`PANIC_MESSAGE`].
    Panic,
    /// The read takes this much longer.
    Delay(Duration),
    /// The read, and every one after it, takes this much longer.
    DelayAll(Duration),
    /// From the read on, this number decides which reads let other threads go first: a different
    /// schedule for every number.
    Jitter(u64),
}

/// What a [`Fault::Panic`] says.
pub const PANIC_MESSAGE: &str = "injected panic in a parent read";

/// Why a read through a [`FaultyParent`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FaultyReadError<E> {
    /// The fault that the test asked for.
    #[error("injected error at parent read {read}")]
    Injected {
        /// Which read it was, counted from 0 over all threads.
        read: u64,
        /// What revm is told: whether execution can go on after it.
        recoverable: bool,
    },
    /// The wrapped parent failed by itself.
    #[error(transparent)]
    Parent(E),
}

impl<E: core::error::Error + Send + Sync + 'static> DBErrorMarker for FaultyReadError<E> {
    fn is_fatal(&self) -> bool {
        !matches!(self, Self::Injected { recoverable: true, .. })
    }
}

/// Wraps a parent; all threads that share it count their reads together.
#[derive(Debug)]
pub struct FaultyParent<P> {
    parent: P,
    fault: Fault,
    at: u64,
    reads: AtomicU64,
    recoverable: bool,
}

impl<P> FaultyParent<P> {
    /// `fault` happens at read number `at`, counted from 0.
    pub const fn new(parent: P, fault: Fault, at: u64) -> Self {
        Self { parent, fault, at, reads: AtomicU64::new(0), recoverable: false }
    }

    /// The same with errors that revm takes for recoverable.
    pub fn recoverable(self) -> Self {
        Self { recoverable: true, ..self }
    }

    /// How many reads have been made, the faulty one included.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether the chosen read has happened.
    pub fn triggered(&self) -> bool {
        self.reads() > self.at
    }

    fn next_read<E>(&self) -> Result<(), FaultyReadError<E>> {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        let here = read == self.at;
        let from_here = read >= self.at;
        match self.fault {
            Fault::Error if from_here => {
                Err(FaultyReadError::Injected { read, recoverable: self.recoverable })
            }
            Fault::ErrorOnce if here => {
                Err(FaultyReadError::Injected { read, recoverable: self.recoverable })
            }
            Fault::Panic if here => panic!("{PANIC_MESSAGE}"),
            Fault::Delay(time) if here => {
                std::thread::sleep(time);
                Ok(())
            }
            Fault::DelayAll(time) if from_here => {
                std::thread::sleep(time);
                Ok(())
            }
            Fault::Jitter(seed) if from_here => {
                match Rng::new(seed ^ read.wrapping_mul(0x9e37_79b9)).below(16) {
                    0 => std::thread::sleep(Duration::from_micros(1)),
                    1..=3 => std::thread::yield_now(),
                    _ => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl<P: DatabaseRef> DatabaseRef for FaultyParent<P> {
    type Error = FaultyReadError<P::Error>;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.next_read()?;
        self.parent.basic_ref(address).map_err(FaultyReadError::Parent)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.next_read()?;
        self.parent.code_by_hash_ref(code_hash).map_err(FaultyReadError::Parent)
    }

    fn storage_ref(
        &self,
        address: Address,
        index: StorageKey,
    ) -> Result<StorageValue, Self::Error> {
        self.next_read()?;
        self.parent.storage_ref(address, index).map_err(FaultyReadError::Parent)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        self.next_read()?;
        self.parent.block_hash_ref(number).map_err(FaultyReadError::Parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::{MemoryParent, user};

    fn outcomes(fault: Fault) -> Vec<bool> {
        let parent = FaultyParent::new(MemoryParent::default(), fault, 1);
        (0..3).map(|_| parent.basic_ref(user(0)).is_ok()).collect()
    }

    #[test]
    fn the_chosen_read_fails_with_its_number() {
        let parent = FaultyParent::new(MemoryParent::default(), Fault::ErrorOnce, 0);
        let error = parent.basic_ref(user(0)).unwrap_err();
        assert_eq!(error, FaultyReadError::Injected { read: 0, recoverable: false });
        assert!(parent.triggered());
    }

    #[test]
    fn an_error_stays_and_a_single_error_passes() {
        assert_eq!(outcomes(Fault::Error), [true, false, false]);
        assert_eq!(outcomes(Fault::ErrorOnce), [true, false, true]);
        assert_eq!(outcomes(Fault::Delay(Duration::ZERO)), [true, true, true]);
    }

    #[test]
    #[should_panic(expected = "injected panic")]
    fn a_panic_is_a_panic() {
        outcomes(Fault::Panic);
    }
}
