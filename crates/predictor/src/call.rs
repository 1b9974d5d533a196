//! What a predicted call is given, and how it ends.

use crate::value::Bytes;
use alloy_primitives::{Address, U256};

/// How a call ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending<'p> {
    pub(crate) ok: Option<bool>,
    pub(crate) output: Bytes<'p>,
}

impl<'p> Ending<'p> {
    pub(crate) const fn success(output: Bytes<'p>) -> Self {
        Self { ok: Some(true), output }
    }
}

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'p> {
    /// Whose code runs.
    pub(crate) target: Address,
    /// Whose storage it runs on.
    pub(crate) address: Address,
    pub(crate) caller: Option<Address>,
    pub(crate) value: Option<U256>,
    pub(crate) input: Bytes<'p>,
    pub(crate) confidence: f32,
}

/// The precompile that returns its input.
pub(crate) const IDENTITY: Address = Address::with_last_byte(4);

/// Addresses up to 0x11 and that of RIP-7212, whatever the fork: there is nothing else.
pub(crate) fn is_precompile(address: &Address) -> bool {
    let word = address.as_slice();
    let low = u16::from_be_bytes([word[18], word[19]]);
    word[..18].iter().all(|byte| *byte == 0) && (matches!(low, 1..=0x11) || low == 0x100)
}
