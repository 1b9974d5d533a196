//! Guesses against what happened.

use crate::hint::{AccessHint, Gaps};
use alloy_primitives::{
    Address, U256,
    map::{AddressSet, HashMap, HashSet},
};
use core::{
    hash::{BuildHasher, Hash},
    time::Duration,
};
use revm::state::EvmState;
use serde::Serialize;

/// Right and wrong guesses of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Guessed, and true.
    pub hits: u64,
    /// Guessed, and not true.
    pub wrong: u64,
    /// True, and not guessed.
    pub missed: u64,
}

impl Tally {
    /// The share of what is true that was guessed; `None` where nothing is.
    pub fn recall(&self) -> Option<f64> {
        share(self.hits, self.missed)
    }

    /// The share of the guesses that are true; `None` where there are none.
    pub fn precision(&self) -> Option<f64> {
        share(self.hits, self.wrong)
    }

    const fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }

    /// Compares two sets of the same kind.
    fn judge<T: Eq + Hash, S: BuildHasher>(
        &mut self,
        guessed: &HashSet<T, S>,
        found: impl Iterator<Item = T>,
    ) {
        let (mut hits, mut all) = (0, 0);
        for one in found {
            hits += u64::from(guessed.contains(&one));
            all += 1;
        }
        self.hits += hits;
        self.missed += all - hits;
        self.wrong += guessed.len() as u64 - hits;
    }
}

fn share(part: u64, rest: u64) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}

/// Slots that were not guessed, by what the prediction says that it lacked. The first that
/// applies counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Misses {
    /// The transaction creates a contract, by itself or, for nothing else, in a call.
    pub creation: u64,
    /// It calls code, or a function of it, that was never seen.
    pub unseen_code: u64,
    /// A condition had a value that it never had before.
    pub unseen_path: u64,
    /// A slot or an address that no formula gives.
    pub no_formula: u64,
    /// Ways part for a reason that cannot be computed.
    pub undecided: u64,
    /// It became too much work.
    pub cut_short: u64,
    /// The prediction took itself to be complete.
    pub unexplained: u64,
}

impl Misses {
    /// All of them, with names.
    pub const fn by_reason(&self) -> [(&'static str, u64); 7] {
        [
            ("contract creation", self.creation),
            ("code or function never seen", self.unseen_code),
            ("way never gone", self.unseen_path),
            ("no formula", self.no_formula),
            ("undecidable branch", self.undecided),
            ("cut short", self.cut_short),
            ("unexplained", self.unexplained),
        ]
    }

    const fn slot(&mut self, creates: bool, gaps: &Gaps) -> &mut u64 {
        match gaps {
            _ if creates => &mut self.creation,
            Gaps { unseen_code: 1.., .. } => &mut self.unseen_code,
            Gaps { unseen_path: 1.., .. } => &mut self.unseen_path,
            Gaps { no_formula: 1.., .. } => &mut self.no_formula,
            Gaps { undecided: 1.., .. } => &mut self.undecided,
            Gaps { cut_short: 1.., .. } => &mut self.cut_short,
            Gaps { creations: 1.., .. } => &mut self.creation,
            _ => &mut self.unexplained,
        }
    }
}

/// How well the accesses of some transactions were predicted.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictionScore {
    /// How many transactions.
    pub transactions: u64,
    /// Accounts touched.
    pub accounts: Tally,
    /// Slots touched, which are all read: writing one looks at what is there.
    pub slots: Tally,
    /// Slots that a transaction leaves with another value.
    pub slots_written: Tally,
    /// Transactions that read a slot which an earlier one of the block changed, or whose sender
    /// an earlier one changed.
    pub conflicting: u64,
    /// Those of them of which every such location was predicted, in both transactions.
    pub conflicts_predicted: u64,
    /// Slots that were not guessed, by reason.
    pub misses: Misses,
    /// Time that predictions took.
    #[serde(rename = "predictingNs", serialize_with = "nanoseconds")]
    pub predicting: Duration,
    /// Transactions that were tried out because their prediction had gaps.
    pub trials: u64,
    /// Time that this took.
    #[serde(rename = "tryingNs", serialize_with = "nanoseconds")]
    pub trying: Duration,
}

fn nanoseconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl PredictionScore {
    /// Adds the score of other transactions.
    pub fn add(&mut self, other: &Self) {
        self.transactions += other.transactions;
        self.accounts.add(&other.accounts);
        self.slots.add(&other.slots);
        self.slots_written.add(&other.slots_written);
        self.conflicting += other.conflicting;
        self.conflicts_predicted += other.conflicts_predicted;
        self.predicting += other.predicting;
        self.trials += other.trials;
        self.trying += other.trying;
        let (own, other) = (&mut self.misses, &other.misses);
        own.creation += other.creation;
        own.unseen_code += other.unseen_code;
        own.unseen_path += other.unseen_path;
        own.no_formula += other.no_formula;
        own.undecided += other.undecided;
        own.cut_short += other.cut_short;
        own.unexplained += other.unexplained;
    }

    /// Microseconds that a prediction takes on average, trials not counted.
    pub fn microseconds(&self) -> f64 {
        self.predicting.as_secs_f64() * 1e6 / self.transactions.max(1) as f64
    }
}

/// Holds the predictions of one block against its transactions, in their order.
#[derive(Debug, Default)]
pub struct Judge {
    score: PredictionScore,
    /// What the transactions so far changed, and whether the last of them was expected to.
    changed: HashMap<Location, bool>,
}

/// What a conflict is about: a slot, or the account of a sender.
type Location = (Address, Option<U256>);

impl Judge {
    /// The score so far.
    pub const fn score(&self) -> &PredictionScore {
        &self.score
    }

    /// The same, to be told how long predictions took.
    pub const fn score_mut(&mut self) -> &mut PredictionScore {
        &mut self.score
    }

    /// Takes in a transaction: what was expected, and the state that it left.
    pub fn judge(
        &mut self,
        (sender, creates): (Address, bool),
        hint: &AccessHint,
        state: &EvmState,
    ) {
        let score = &mut self.score;
        score.transactions += 1;
        let accounts: AddressSet = hint.accounts().iter().map(|account| account.address).collect();
        score.accounts.judge(&accounts, state.keys().copied());
        let slots = |written: bool| -> HashSet<(Address, U256)> {
            let slots = hint.slots().iter().filter(|slot| slot.written || !written);
            slots.map(|slot| (slot.address, slot.slot)).collect()
        };
        let (touched, written) = (slots(false), slots(true));
        let missed = score.slots.missed;
        score.slots.judge(&touched, all_slots(state).map(|(at, _)| at));
        *score.misses.slot(creates, &hint.gaps) += score.slots.missed - missed;
        let changed = || all_slots(state).filter(|(_, changed)| *changed).map(|(at, _)| at);
        score.slots_written.judge(&written, changed());

        let read = all_slots(state).map(|((address, slot), _)| {
            ((address, Some(slot)), touched.contains(&(address, slot)))
        });
        let conflicts = read.chain([((sender, None), true)]);
        let conflicts = conflicts.filter_map(|(location, expected)| {
            self.changed.get(&location).map(|by_writer| expected && *by_writer)
        });
        let (count, predicted) =
            conflicts.fold((0, true), |(count, all), one| (count + 1, all && one));
        self.score.conflicting += u64::from(count > 0);
        self.score.conflicts_predicted += u64::from(count > 0 && predicted);

        for at in changed() {
            self.changed.insert((at.0, Some(at.1)), written.contains(&at));
        }
        let expected: AddressSet =
            hint.accounts().iter().filter(|a| a.written).map(|a| a.address).collect();
        for (address, account) in state {
            if account.is_touched() && account.info != account.original_info() {
                self.changed.insert((*address, None), expected.contains(address));
            }
        }
    }
}

/// The slots that a transaction touched, and whether it left them with another value.
fn all_slots(state: &EvmState) -> impl Iterator<Item = ((Address, U256), bool)> {
    state.iter().flat_map(|(address, account)| {
        account.storage.iter().map(|(key, slot)| ((*address, *key), slot.is_changed()))
    })
}
