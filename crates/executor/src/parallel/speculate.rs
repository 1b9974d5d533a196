//! Running one transaction ahead of its turn.

use crate::{
    BlockInput, ParentState,
    parallel::{
        dialect::Dialect,
        expectations::Expectations,
        foretold::Foretold,
        memory::Memory,
        view::{ReadLog, Speculation, View, Waits},
        watch::BalanceWatch,
    },
};
use alloy_consensus::Transaction;
use alloy_evm::{
    Evm, EvmFactory, RecoveredTx,
    block::{BlockExecutor, BlockExecutorFactory, ExecutableTxParts, TxResult},
};
use alloy_primitives::Address;
use core::{marker::PhantomData, panic::AssertUnwindSafe};
use parking_lot::Mutex;
use revm::context::Block;
use std::{
    panic::catch_unwind,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use warpline_block_stm::Scheduler;
use warpline_merger::Changes;

/// What a speculation leaves for the front.
#[derive(Debug)]
pub(crate) struct Outcome<R> {
    pub(crate) result: R,
    pub(crate) changes: Changes,
    pub(crate) log: ReadLog,
    pub(crate) watch: BalanceWatch,
    pub(crate) waited: Waited,
}

/// What waiting for earlier transactions did to a speculation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It did not wait.
    Not,
    /// It did, and starting before all was there was worth it.
    Worthwhile,
    /// It would better have been started later.
    InVain,
}

/// What taking turns with another thread costs: two threads that do so in a chain win only if each
/// gets more done than this before it waits.
const TAKING_TURNS: Duration = Duration::from_micros(8);

impl Waited {
    /// `expected`: it was started although what it needs was still being made.
    fn new(waits: Waits, spent: Duration, expected: bool) -> Self {
        let Some(before) = waits.before else { return Self::Not };
        let worth_it = match expected {
            true => {
                let work = spent.saturating_sub(waits.sum);
                before > TAKING_TURNS && before * 3 > work && waits.sum * 3 < spent
            }
            false => waits.sum * 2 < spent,
        };
        if worth_it { Self::Worthwhile } else { Self::InVain }
    }
}

/// Where a finished speculation waits for the front.
type OutcomeSlot<R> = Mutex<Option<Outcome<R>>>;

/// Everything the threads of one block share.
pub(crate) struct Shared<'s, 'a, F: BlockExecutorFactory, P, T> {
    pub(crate) factory: &'a F,
    pub(crate) input: &'s BlockInput<'a, F, T>,
    pub(crate) parent: &'s P,
    pub(crate) memory: &'s Memory,
    pub(crate) scheduler: &'s Scheduler,
    /// Where transactions are expected to meet.
    pub(crate) expected: Option<&'s Expectations>,
    pub(crate) outcomes: Box<[OutcomeSlot<F::TxExecutionResult>]>,
    pub(crate) beneficiary: Address,
    /// What a supplied access list says. Then speculations need not see each other.
    pub(crate) foretold: Option<&'s Foretold<'s>>,
    /// The block's access list is wanted.
    pub(crate) list_accesses: bool,
    pub(crate) speculations: AtomicU64,
    /// Nanoseconds that threads spent speculating, and waiting inside that.
    pub(crate) speculating: AtomicU64,
    pub(crate) waiting: AtomicU64,
}

/// A claimed transaction. Whatever becomes of the thread that has it, the front must not wait for
/// it forever: unless it is settled otherwise it is abandoned.
struct Claim<'s> {
    scheduler: &'s Scheduler,
    tx: usize,
}

impl Claim<'_> {
    /// Hands the transaction back in one of the scheduler's ways.
    fn settle(self, how: impl FnOnce(&Scheduler, usize)) {
        how(self.scheduler, self.tx);
        core::mem::forget(self);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.scheduler.abandon(self.tx);
    }
}

/// How far past a transaction its readers are looked for.
const RECALL_WINDOW: usize = 16;

impl<'s, 'a, F: BlockExecutorFactory, P, T> Shared<'s, 'a, F, P, T> {
    /// For a single transaction that nobody else has to do with.
    pub(crate) fn alone(
        factory: &'a F,
        input: &'s BlockInput<'a, F, T>,
        parent: &'s P,
        memory: &'s Memory,
        scheduler: &'s Scheduler,
        list_accesses: bool,
    ) -> Self {
        Self {
            factory,
            input,
            parent,
            memory,
            scheduler,
            expected: None,
            outcomes: Box::default(),
            beneficiary: input.env.block_env.beneficiary(),
            foretold: None,
            list_accesses,
            speculations: AtomicU64::new(0),
            speculating: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        }
    }

    /// Recalls the outcomes of later transactions that read slots which `tx` turns out to write,
    /// before others build on them.
    fn recall_readers(&self, tx: usize, changes: &Changes) {
        let end = self.outcomes.len().min(tx + 1 + RECALL_WINDOW);
        for reader in tx + 1..end {
            if !self.scheduler.recall(reader) {
                continue;
            }
            let mut outcome = self.outcomes[reader].lock();
            let wrong = outcome.as_ref().is_none_or(|outcome| outcome.misses(tx, changes));
            if !wrong {
                drop(outcome);
                self.scheduler.finish(reader);
            } else {
                if let Some(outcome) = outcome.take() {
                    self.memory.retract(&outcome.changes, reader as u32 + 1);
                }
                drop(outcome);
                self.scheduler.give_back(reader);
            }
        }
    }
}

impl<R> Outcome<R> {
    /// Whether this transaction read a slot that the earlier transaction `tx` writes, but from
    /// before it did.
    fn misses(&self, tx: usize, changes: &Changes) -> bool {
        self.log.slots.iter().any(|read| {
            read.version.is_none_or(|version| version < tx as u32 + 1)
                && changes.touches_slot(&read.address, &read.key)
        })
    }
}

/// Why a speculation has no outcome.
pub(crate) enum Failure {
    /// Something it read was written meanwhile: run it again.
    Outdated,
    /// It needs what a transaction writes that nobody has begun with: run it after that.
    TooEarly,
    /// An error, or a value that was about to change: leave it to the front.
    GivenUp,
}

type SpeculativeExecutor<'s, 'a, F, P> =
    <F as BlockExecutorFactory>::Executor<'a, View<'s, <P as ParentState>::Db<'s>>, BalanceWatch>;

/// One thread's means to run transactions ahead.
pub(crate) struct Speculator<'s, 'a, F: BlockExecutorFactory, P: ParentState, T, S> {
    shared: &'s Shared<'s, 'a, F, P, T>,
    /// Made for the first transaction, and anew after an error: an EVM that returned one may
    /// hold on to accounts it read.
    executor: Option<SpeculativeExecutor<'s, 'a, F, P>>,
    dialect: PhantomData<S>,
}

impl<'s, 'a, F, P, T, S> Speculator<'s, 'a, F, P, T, S>
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    S: Dialect<F>,
    P: ParentState,
    T: RecoveredTx<F::Transaction>,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    pub(crate) const fn new(shared: &'s Shared<'s, 'a, F, P, T>) -> Self {
        Self { shared, executor: None, dialect: PhantomData }
    }

    fn open(shared: &'s Shared<'s, 'a, F, P, T>) -> SpeculativeExecutor<'s, 'a, F, P> {
        let parent = shared.parent.open();
        let (expected, foretold) = (shared.expected, shared.foretold);
        let view = View::new(parent, shared.memory, shared.scheduler, expected, foretold);
        let evm = S::watched_evm(shared.factory, view, shared.input.env.clone());
        shared.factory.create_executor(evm, shared.input.ctx.clone())
    }

    /// Runs a claimed transaction and hands its outcome over, or abandons it.
    pub(crate) fn run(&mut self, tx: usize) {
        let shared = self.shared;
        let claim = Claim { scheduler: shared.scheduler, tx };
        let start = Instant::now();
        shared.speculations.fetch_add(1, Ordering::Relaxed);
        // A panic below the EVM (a parent state, a precompile) is not this thread's to report:
        // if it happens again at the transaction's turn the front does.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.execute(tx)));
        let group = shared.scheduler.group(tx);
        let spent = start.elapsed();
        match outcome {
            Ok(Ok((mut outcome, waits))) => {
                let expected = shared.expected.is_some_and(|known| !known.of(tx).is_empty());
                outcome.waited = Waited::new(waits, spent, expected);
                let changes = &outcome.changes;
                if shared.foretold.is_none() {
                    shared.memory.publish(changes, tx as u32 + 1, group, shared.beneficiary);
                    shared.recall_readers(tx, changes);
                }
                *shared.outcomes[tx].lock() = Some(outcome);
                claim.settle(Scheduler::finish);
                shared.waiting.fetch_add(waits.sum.as_nanos() as u64, Ordering::Relaxed);
            }
            Ok(Err(Failure::Outdated)) => claim.settle(Scheduler::give_back),
            Ok(Err(Failure::TooEarly)) => {
                self.executor = None;
                claim.settle(Scheduler::put_off);
            }
            Ok(Err(Failure::GivenUp)) | Err(_) => {
                self.executor = None;
                shared.scheduler.report_wasted(group);
                drop(claim);
            }
        }
        shared.speculating.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// Executes transaction `tx` on what the shared memory shows of those before it.
    pub(crate) fn execute(
        &mut self,
        tx: usize,
    ) -> Result<(Outcome<F::TxExecutionResult>, Waits), Failure> {
        let executor = self.executor.get_or_insert_with(|| Self::open(self.shared));
        let input = &self.shared.input.txs[tx];
        S::begin(
            executor.evm_mut(),
            Speculation {
                tx,
                sender: *input.signer(),
                nonce: input.tx().nonce(),
                creates: input.tx().is_create(),
            },
        );
        // A speculative error is never a verdict: the front will find out.
        let Ok(mut result) = executor.execute_transaction_without_commit(input) else {
            let too_early = executor.evm().db().is_too_early();
            return Err(if too_early { Failure::TooEarly } else { Failure::GivenUp });
        };
        if !executor.evm().db().is_current() {
            return Err(Failure::Outdated);
        }
        let watch = S::take_watch(executor.evm_mut());
        let (log, waits) = executor.evm().db().take_log().ok_or(Failure::GivenUp)?;
        // As many reads as accounts in the result: none was read twice.
        if log.accounts.len() > result.result().state.len() && log.is_torn() {
            return Err(Failure::Outdated);
        }
        let changes =
            S::boil_down(&mut result, |address| log.found(address), self.shared.list_accesses);
        Ok((Outcome { result, changes, log, watch, waited: Waited::Not }, waits))
    }
}
