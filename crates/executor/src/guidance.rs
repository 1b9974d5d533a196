//! What is known or guessed of a block before it is executed, what it is used for, and what to
//! note and tell besides.

use crate::{CommitStream, Expectations};
use alloy_eips::eip7928::BlockAccessList;

/// Guidance for the execution of one block. It decides how much time the execution takes, never
/// what comes of the block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guidance<'a> {
    /// What the transactions are expected to touch.
    pub expected: Option<&'a Expectations>,
    /// What the expectations are used for.
    pub uses: HintUses,
    /// The block's access list (EIP-7928), if one is at hand: with it transactions run ahead see
    /// what those before them will leave. One that is wrong costs time.
    pub access_list: Option<&'a BlockAccessList>,
    /// Produce the block's access list ([`BlockOutput::access_list`](crate::BlockOutput)).
    pub list_accesses: bool,
    /// Who is told of changes while the block executes.
    pub stream: Option<&'a CommitStream>,
}

/// What expectations are used for. Each can be switched off by itself, which is how its worth is
/// measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintUses {
    /// Transactions are run ahead when what they are expected to read has been written; a chain
    /// of them stays on one thread.
    pub order: bool,
    /// A transaction that needs what another is just writing starts nevertheless, and waits where
    /// it reads that.
    pub early: bool,
    /// Helpers are not called for a block in which nearly every transaction waits for the one
    /// before it.
    pub choose: bool,
    /// Expected accounts and slots are read from the parent state before they are needed.
    pub prefetch: bool,
}

impl HintUses {
    /// Everything.
    pub const ALL: Self = Self { order: true, early: true, choose: true, prefetch: true };

    /// Nothing, as if nothing were known.
    pub const NONE: Self = Self { order: false, early: false, choose: false, prefetch: false };
}

impl Default for HintUses {
    fn default() -> Self {
        Self::ALL
    }
}

impl<'a> Guidance<'a> {
    /// Expectations, used for everything.
    pub fn expecting(expected: &'a Expectations) -> Self {
        Self { expected: Some(expected), ..Self::default() }
    }

    /// The expectations that decide in which order transactions run. With an access list at hand
    /// nobody has to wait for anybody, and neither where nobody meets; where trying is better, that
    /// is done.
    pub(crate) fn order(&self) -> Option<&'a Expectations> {
        let in_use = self.uses.order && self.access_list.is_none();
        let useful = |known: &&Expectations| !known.is_independent() && !known.is_better_tried();
        self.expected.filter(|expected| in_use && useful(expected))
    }

    /// Whether running transactions ahead is expected to be in vain.
    pub(crate) fn is_serial(&self) -> bool {
        self.uses.choose
            && self.access_list.is_none()
            && self.expected.is_some_and(Expectations::is_serial)
    }
}
