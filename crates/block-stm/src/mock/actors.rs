//! The actors of a block, as step machines: one front, and helpers.

use super::{Effect, KEYS, Key, Machine, MockBlock, State, parent, value};
use crate::{Ahead, FrontStep, Progress, Scheduler, VersionedMap, sync::Mutex};
use std::sync::atomic::{AtomicU64, Ordering};

/// How far past a transaction its readers are looked for.
const RECALL_WINDOW: usize = 16;
/// How far past the front a waiting front looks for something to run ahead.
const NEAR: usize = 64;

/// How often things happened, to tell a test that checks something from one that does not.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) outdated: AtomicU64,
    pub(crate) hopeless: AtomicU64,
    pub(crate) waits: AtomicU64,
    pub(crate) recalled: AtomicU64,
    pub(crate) put_off: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Read {
    key: u8,
    value: u64,
    version: Option<u32>,
}

struct Outcome {
    effect: Effect,
    reads: Vec<Read>,
}

/// Everything the actors of one block share.
pub(crate) struct Shared<'b> {
    block: &'b MockBlock,
    pub(crate) scheduler: Scheduler,
    memory: VersionedMap<Key, u64>,
    outcomes: Vec<Mutex<Option<Outcome>>>,
    pub(crate) counts: Counts,
}

impl<'b> Shared<'b> {
    pub(crate) fn new(block: &'b MockBlock) -> Self {
        Self {
            block,
            scheduler: Scheduler::new(&block.plan()),
            memory: VersionedMap::new(),
            outcomes: block.txs.iter().map(|_| Mutex::new(None)).collect(),
            counts: Counts::default(),
        }
    }

    fn retract(&self, tx: usize, effect: &Effect) {
        for key in effect.writes.keys() {
            self.memory.retract(&Key(*key), tx as u32 + 1);
        }
    }

    /// What the multi-version memory shows after the block where it shows anything.
    fn shown(&self) -> State {
        let after = self.block.txs.len() as u32 + 1;
        let newest = |key| Some((key, self.memory.read(&Key(key), after)?.value));
        (0..KEYS).filter_map(newest).collect()
    }
}

/// What an actor's step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Ran,
    /// Must call [`Scheduler::wait_for`] before the next step.
    WaitFor(usize),
    /// Must call [`Scheduler::wait_for_outcome`] before the next step.
    WaitForOutcome(usize),
    /// Must call [`Scheduler::wait_for_work`] before the next step.
    WaitForWork,
    Ended,
}

/// Somebody who runs transactions.
pub(crate) trait Actor {
    fn step(&mut self) -> Step;

    /// The transactions that nobody else may touch now.
    #[cfg_attr(loom, allow(dead_code, reason = "for the simulator"))]
    fn owned(&self) -> Vec<usize>;
}

/// Takes an actor to its end on the calling thread. `between` runs before every step.
pub(crate) fn drive(scheduler: &Scheduler, actor: &mut impl Actor, mut between: impl FnMut()) {
    loop {
        between();
        match actor.step() {
            Step::Ran => {}
            Step::WaitFor(tx) => scheduler.wait_for(tx),
            Step::WaitForOutcome(tx) => scheduler.wait_for_outcome(tx),
            Step::WaitForWork => scheduler.wait_for_work(),
            Step::Ended => return,
        }
    }
}

enum Phase {
    Reading,
    Publishing(State),
    /// Looks for outcomes that this transaction's writes make wrong.
    Recalling(usize),
    /// Has recalled one.
    Holding(usize),
}

/// Runs one claimed transaction ahead of its turn.
struct Speculation<'s, 'b> {
    shared: &'s Shared<'b>,
    tx: usize,
    machine: Machine<'b>,
    reads: Vec<Read>,
    phase: Phase,
}

impl<'s, 'b> Speculation<'s, 'b> {
    fn new(shared: &'s Shared<'b>, tx: usize) -> Self {
        let machine = Machine::new(&shared.block.txs[tx]);
        Self { shared, tx, machine, reads: Vec::new(), phase: Phase::Reading }
    }

    const fn version(&self) -> u32 {
        self.tx as u32 + 1
    }

    /// Before anything is read: what to do about the writers that are expected before it. Says
    /// nothing where all of them have finished.
    fn meet(&self) -> Option<Step> {
        let Shared { block, scheduler, counts, .. } = self.shared;
        for need in block.needs.get(self.tx)?.iter().filter(|need| (**need as usize) < self.tx) {
            match scheduler.progress(*need as usize) {
                Progress::Finished => {}
                Progress::Running => {
                    count(&counts.waits);
                    return Some(Step::WaitFor(*need as usize));
                }
                Progress::NotStarted => {
                    count(&counts.put_off);
                    scheduler.put_off(self.tx);
                    return Some(Step::Ended);
                }
            }
        }
        None
    }

    fn read(&mut self, key: u8) -> Step {
        if let Some(step) = self.meet() {
            return step;
        }
        let Shared { scheduler, memory, counts, .. } = self.shared;
        let found = memory.read(&Key(key), self.version());
        if let Some(found) = &found {
            match scheduler.ahead_of(self.tx, found.version, found.group) {
                Ahead::Clear => {}
                Ahead::WaitFor(tx) => {
                    count(&counts.waits);
                    return Step::WaitFor(tx);
                }
                Ahead::Hopeless => {
                    count(&counts.hopeless);
                    return self.give_up();
                }
            }
        }
        let version = found.as_ref().map(|found| found.version);
        let value = found.map_or_else(|| parent(key), |found| found.value);
        self.machine.feed(value);
        self.reads.push(Read { key, value, version });
        Step::Ran
    }

    fn give_up(&self) -> Step {
        self.shared.scheduler.report_wasted(self.shared.scheduler.group(self.tx));
        self.shared.scheduler.abandon(self.tx);
        Step::Ended
    }

    /// The transaction has run: publishes its writes if what it read is still there.
    fn end_reading(&mut self) -> Step {
        if self.shared.block.txs[self.tx].fails_ahead {
            return self.give_up();
        }
        let current = self.reads.iter().all(|read| {
            let now = self.shared.memory.read(&Key(read.key), self.version());
            now.map(|found| found.version) == read.version
        });
        if !current {
            count(&self.shared.counts.outdated);
            self.shared.scheduler.give_back(self.tx);
            return Step::Ended;
        }
        self.phase = Phase::Publishing(self.machine.effect.writes.clone());
        Step::Ran
    }

    fn recall(&mut self, reader: usize) -> Step {
        if reader >= self.shared.block.txs.len().min(self.tx + 1 + RECALL_WINDOW) {
            let effect = core::mem::take(&mut self.machine.effect);
            let outcome = Outcome { effect, reads: core::mem::take(&mut self.reads) };
            *self.shared.outcomes[self.tx].lock() = Some(outcome);
            self.shared.scheduler.finish(self.tx);
            return Step::Ended;
        }
        self.phase = match self.shared.scheduler.recall(reader) {
            true => Phase::Holding(reader),
            false => Phase::Recalling(reader + 1),
        };
        Step::Ran
    }

    /// Clears a recalled outcome up, or lets it stand.
    fn judge(&mut self, reader: usize) -> Step {
        let mut outcome = self.shared.outcomes[reader].lock();
        let missed = outcome.as_ref().is_none_or(|outcome| {
            outcome.reads.iter().any(|read| {
                read.version.is_none_or(|version| version < self.version())
                    && self.machine.effect.writes.contains_key(&read.key)
            })
        });
        if missed {
            let wrong = outcome.take();
            drop(outcome);
            if let Some(wrong) = wrong {
                self.shared.retract(reader, &wrong.effect);
            }
            count(&self.shared.counts.recalled);
            self.shared.scheduler.give_back(reader);
        } else {
            drop(outcome);
            self.shared.scheduler.finish(reader);
        }
        self.phase = Phase::Recalling(reader + 1);
        Step::Ran
    }
}

impl Actor for Speculation<'_, '_> {
    fn step(&mut self) -> Step {
        match &mut self.phase {
            Phase::Reading => match self.machine.next_read() {
                Some(key) => self.read(key),
                None => self.end_reading(),
            },
            Phase::Publishing(writes) => {
                match writes.pop_first() {
                    Some((key, value)) => {
                        let group = self.shared.scheduler.group(self.tx);
                        self.shared.memory.write(Key(key), self.tx as u32 + 1, group, value);
                    }
                    None => self.phase = Phase::Recalling(self.tx + 1),
                }
                Step::Ran
            }
            Phase::Recalling(reader) => {
                let reader = *reader;
                self.recall(reader)
            }
            Phase::Holding(reader) => {
                let reader = *reader;
                self.judge(reader)
            }
        }
    }

    fn owned(&self) -> Vec<usize> {
        let held = match self.phase {
            Phase::Holding(reader) => Some(reader),
            _ => None,
        };
        [self.tx].into_iter().chain(held).collect()
    }
}

/// Runs transactions ahead until there are none left to claim.
pub(crate) struct Helper<'s, 'b> {
    shared: &'s Shared<'b>,
    current: Option<Speculation<'s, 'b>>,
}

impl<'s, 'b> Helper<'s, 'b> {
    pub(crate) const fn new(shared: &'s Shared<'b>) -> Self {
        Self { shared, current: None }
    }
}

impl Actor for Helper<'_, '_> {
    fn step(&mut self) -> Step {
        let Some(current) = &mut self.current else {
            let Some(tx) = self.shared.scheduler.claim_now() else {
                let more = self.shared.scheduler.may_have_more();
                return if more { Step::WaitForWork } else { Step::Ended };
            };
            self.current = Some(Speculation::new(self.shared, tx));
            return Step::Ran;
        };
        match current.step() {
            Step::Ended => {
                self.current = None;
                Step::Ran
            }
            step => step,
        }
    }

    fn owned(&self) -> Vec<usize> {
        self.current.as_ref().map(Actor::owned).unwrap_or_default()
    }
}

enum FrontPhase<'s, 'b> {
    Asking,
    Helping(Speculation<'s, 'b>),
    Retired(FrontStep),
    Committing(State),
}

/// Commits every transaction in order.
pub(crate) struct Front<'s, 'b> {
    shared: &'s Shared<'b>,
    state: State,
    effects: Vec<Effect>,
    phase: FrontPhase<'s, 'b>,
}

impl<'s, 'b> Front<'s, 'b> {
    pub(crate) fn new(shared: &'s Shared<'b>) -> Self {
        let (state, effects) = (State::new(), Vec::new());
        Self { shared, state, effects, phase: FrontPhase::Asking }
    }

    /// Holds the result against the serial fold.
    pub(crate) fn assert_serial(&self) {
        let (effects, state) = self.shared.block.serial_fold();
        assert_eq!(self.effects, effects, "effects of the committed transactions, in order");
        assert_eq!(self.state, state, "canonical state");
        assert_eq!(self.shared.scheduler.committed(), self.shared.block.txs.len());
        if self.shared.block.stops_at.is_none() {
            assert_eq!(self.shared.shown(), state, "nothing but commits stays in the memory");
        }
    }

    fn ask(&mut self) -> Step {
        let tx = self.effects.len();
        let scheduler = &self.shared.scheduler;
        if tx == self.shared.block.txs.len() {
            scheduler.stop();
            return Step::Ended;
        }
        match scheduler.front_step(tx) {
            FrontStep::Busy => match scheduler.claim_near(NEAR) {
                Some(other) => {
                    self.phase = FrontPhase::Helping(Speculation::new(self.shared, other));
                }
                None => return Step::WaitForOutcome(tx),
            },
            step => self.phase = FrontPhase::Retired(step),
        }
        Step::Ran
    }

    fn take_turn(&mut self, step: FrontStep) -> Step {
        let tx = self.effects.len();
        let Shared { scheduler, counts, .. } = self.shared;
        if self.shared.block.stops_at == Some(tx) {
            scheduler.stop();
            return Step::Ended;
        }
        let mut effect = None;
        if step == FrontStep::Validate {
            let outcome = self.shared.outcomes[tx].lock().take();
            let outcome = outcome.expect("a finished transaction has an outcome");
            if outcome.reads.iter().all(|read| value(&self.state, read.key) == read.value) {
                count(&counts.accepted);
                scheduler.report_useful(scheduler.group(tx));
                effect = Some(outcome.effect);
            } else {
                count(&counts.refused);
                self.shared.retract(tx, &outcome.effect);
                scheduler.report_wasted(scheduler.group(tx));
            }
        }
        let run = || Machine::new(&self.shared.block.txs[tx]).run_on(&self.state);
        let effect = effect.unwrap_or_else(run);
        self.phase = FrontPhase::Committing(effect.writes.clone());
        self.effects.push(effect);
        Step::Ran
    }

    /// The transaction being committed: its effect is already in the list.
    const fn committing(&self) -> usize {
        self.effects.len() - 1
    }
}

impl Actor for Front<'_, '_> {
    fn step(&mut self) -> Step {
        match &mut self.phase {
            FrontPhase::Asking => self.ask(),
            FrontPhase::Helping(speculation) => match speculation.step() {
                Step::Ended => {
                    self.phase = FrontPhase::Asking;
                    Step::Ran
                }
                step => step,
            },
            FrontPhase::Retired(step) => {
                let step = *step;
                self.take_turn(step)
            }
            FrontPhase::Committing(writes) => {
                let next = writes.pop_first();
                let tx = self.committing();
                if let Some((key, value)) = next {
                    let group = self.shared.scheduler.group(tx);
                    self.shared.memory.commit(Key(key), tx as u32 + 1, group, value);
                    self.state.insert(key, value);
                } else {
                    self.shared.scheduler.advance(tx);
                    self.phase = FrontPhase::Asking;
                }
                Step::Ran
            }
        }
    }

    fn owned(&self) -> Vec<usize> {
        match &self.phase {
            FrontPhase::Asking => Vec::new(),
            FrontPhase::Helping(speculation) => speculation.owned(),
            FrontPhase::Retired(_) => vec![self.effects.len()],
            FrontPhase::Committing(_) => vec![self.committing()],
        }
    }
}
