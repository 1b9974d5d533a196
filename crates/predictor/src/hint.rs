//! What a transaction is expected to touch.

use crate::{
    distinct::{Distinct, Keyed},
    trace::TemplateKey,
};
use alloy_primitives::{Address, B256, U256};
use revm::state::EvmState;
use warpline_types::{ExpectedAccesses, ExpectedSlot, SlotKey};

/// Where an expectation comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Sender, recipient, beneficiary, and what follows from value and nonce.
    Envelope,
    /// The transaction's own access list (EIP-2930) or authorizations (EIP-7702).
    AccessList,
    /// A formula of a template.
    Template(TemplateKey),
    /// What the same step of the template touched the last time.
    History(TemplateKey),
    /// The bytecode alone: what it says that a function touches which nobody has called yet, or to
    /// whom a minimal proxy (EIP-1167) or a delegation (EIP-7702) hands everything on.
    Bytecode(B256),
    /// The transaction was tried out.
    Trial,
}

/// How sure it is that a transaction does what its trial did.
const TRIED: f32 = 0.9;

/// An account that a transaction is expected to touch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccountHint {
    /// The account.
    pub address: Address,
    /// Balance, nonce or code change.
    pub written: bool,
    /// All it gets is ether, so that the order among others that do the same does not matter.
    pub commutative: bool,
    /// Between 0 and 1.
    pub confidence: f32,
    /// Where the expectation comes from.
    pub source: Source,
}

/// A slot that a transaction is expected to touch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotHint {
    /// The contract.
    pub address: Address,
    /// The slot.
    pub slot: U256,
    /// It ends with another value than it has.
    pub written: bool,
    /// Between 0 and 1.
    pub confidence: f32,
    /// Where the expectation comes from.
    pub source: Source,
}

impl Keyed for AccountHint {
    type Key = Address;

    #[inline]
    fn key(&self) -> Address {
        self.address
    }
}

impl Keyed for SlotHint {
    type Key = SlotKey;

    #[inline]
    fn key(&self) -> SlotKey {
        SlotKey::new(self.address, self.slot)
    }
}

/// The expected accesses of one transaction. A guess, never truth.
#[derive(Clone, Debug, Default)]
pub struct AccessHint {
    accounts: Distinct<AccountHint>,
    slots: Distinct<SlotHint>,
    /// Why it may lack something.
    pub gaps: Gaps,
}

/// What could not be predicted, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Calls of code, or of functions of it, that was never seen.
    pub unseen_code: u32,
    /// Ways through a known function that were never seen: a condition had a new value.
    pub unseen_path: u32,
    /// Slots and addresses that no formula gives.
    pub no_formula: u32,
    /// Ways that part for a reason that cannot be computed.
    pub undecided: u32,
    /// It was given up, too much work.
    pub cut_short: u32,
    /// Contracts that are created: what their init code does is not learned.
    pub creations: u32,
}

impl Gaps {
    /// Whether executing the transaction on some state would tell more of it.
    pub const fn may_be_filled(&self) -> bool {
        self.may_teach() || self.creations > 0
    }

    /// Whether anything of it was guessed, or left out.
    pub(crate) const fn leave_doubt(&self) -> bool {
        self.no_formula + self.undecided + self.cut_short > 0
    }

    /// Whether that would also tell more of later transactions like it.
    pub const fn may_teach(&self) -> bool {
        self.unseen_code + self.unseen_path + self.no_formula + self.undecided > 0
    }
}

impl AccessHint {
    /// Forgets everything, but keeps the memory.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.gaps = Gaps::default();
    }

    /// The accounts, in the order in which they were found.
    pub fn accounts(&self) -> &[AccountHint] {
        self.accounts.as_slice()
    }

    /// The slots, in the order in which they were found.
    pub fn slots(&self) -> &[SlotHint] {
        self.slots.as_slice()
    }

    /// The same without reasons, for the executor.
    pub fn expected(&self) -> ExpectedAccesses {
        let slot = |hint: &SlotHint| ExpectedSlot {
            address: hint.address,
            slot: hint.slot,
            written: hint.written,
        };
        ExpectedAccesses {
            accounts: self.accounts().iter().map(|hint| hint.address).collect(),
            slots: self.slots().iter().map(slot).collect(),
        }
    }

    /// Adds what a trial of the transaction touched, given the state that it left.
    pub fn tried(&mut self, outcome: &EvmState) {
        let (confidence, source) = (TRIED, Source::Trial);
        for (address, account) in outcome {
            let (address, commutative) = (*address, false);
            let written = account.is_touched() && account.info != account.original_info();
            self.account(AccountHint { address, written, commutative, confidence, source });
            for (slot, value) in &account.storage {
                let (slot, written) = (*slot, value.is_changed());
                self.slot(SlotHint { address, slot, written, confidence, source });
            }
        }
    }

    /// Adds an account, or to what is known of it.
    pub(crate) fn account(&mut self, new: AccountHint) {
        let Some(known) = self.accounts.get_mut(new.address) else {
            return self.accounts.push(new);
        };
        known.commutative = match (known.written, new.written) {
            (true, true) => known.commutative && new.commutative,
            (false, _) => new.commutative,
            (true, false) => known.commutative,
        };
        known.written |= new.written;
        known.confidence = known.confidence.max(new.confidence);
    }

    /// Adds a slot, or to what is known of it.
    pub(crate) fn slot(&mut self, new: SlotHint) {
        let Some(known) = self.slots.get_mut(new.key()) else { return self.slots.push(new) };
        known.written |= new.written;
        known.confidence = known.confidence.max(new.confidence);
    }

    /// A slot is written and ends with the value that it had.
    pub(crate) fn restored(&mut self, key: SlotKey) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.written = false;
        }
    }
}
