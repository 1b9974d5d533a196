//! Computes every long call of BLAKE2 F once.
//!
//! One call may ask for 2³² rounds (EIP-152), which is a minute on any machine, and fixtures make
//! the same call under every fork, as a state test and as a block. The result of a precompile is a
//! function of its input, so it is kept, as nodes keep those of all precompiles between payloads.
//! Everything else about the call, its gas included, is the EVM's as always.

use revm::precompile::{Crypto, DefaultCrypto, install_crypto};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Rounds that take about a quarter of a second.
const LONG: u32 = 1 << 24;

/// All that a call depends on: rounds, state, message, offset, and whether it is the last block.
type Input = (u32, [u64; 8], [u64; 16], [u64; 2], bool);

/// revm's cryptography with a memory for long calls of BLAKE2 F.
#[derive(Debug, Default)]
struct LongCallsOnce {
    calls: Mutex<HashMap<Input, Arc<OnceLock<[u64; 8]>>>>,
}

impl Crypto for LongCallsOnce {
    fn blake2_compress(&self, rounds: u32, h: &mut [u64; 8], m: &[u64; 16], t: &[u64; 2], f: bool) {
        if rounds < LONG {
            return DefaultCrypto.blake2_compress(rounds, h, m, t, f);
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = Arc::clone(calls.entry((rounds, *h, *m, *t, f)).or_default());
        drop(calls);
        *h = *call.get_or_init(|| {
            let mut state = *h;
            let _under_way = UnderWay::new();
            DefaultCrypto.blake2_compress(rounds, &mut state, m, t, f);
            state
        });
    }
}

/// Long calls that are being computed.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Counts a long call for as long as it takes.
struct UnderWay;

impl UnderWay {
    fn new() -> Self {
        UNDER_WAY.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Relaxed);
    }
}

/// Whether a long call is being computed, so that whoever makes the same waits for it.
pub(crate) fn under_way() -> bool {
    UNDER_WAY.load(Relaxed) > 0
}

/// From now on this process computes long calls once.
pub(crate) fn install() {
    // Somebody else's cryptography, or ours from an earlier run, is as right.
    let _ = install_crypto(LongCallsOnce::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_calls_give_what_short_ones_give_and_are_kept() {
        let crypto = LongCallsOnce::default();
        let (m, t) = ([7; 16], [3, 0]);
        for rounds in [12, LONG, LONG, LONG + 1] {
            for last in [false, true] {
                let (mut ours, mut theirs) = ([5; 8], [5; 8]);
                crypto.blake2_compress(rounds, &mut ours, &m, &t, last);
                DefaultCrypto.blake2_compress(rounds, &mut theirs, &m, &t, last);
                assert_eq!(ours, theirs, "{rounds} {last}");
            }
        }
        assert_eq!(crypto.calls.lock().unwrap().len(), 4);
    }
}
