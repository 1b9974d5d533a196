//! The front: walks the block in order and commits every transaction.

use crate::{
    BlockInput, BlockOutput, Env, ExecStats, ExecuteError, Guidance, ParallelConfig, ParentState,
    blame::{FailedRead, NotedDb},
    parallel::{
        dialect::Dialect,
        early::holds_now,
        foretold::Foretold,
        memory::{Memory, PublishSink},
        plan::{looks_like_transfer, plan},
        prefetch::Prefetch,
        rehearsal::Rehearsal,
        speculate::{Outcome, Shared, Speculator, Waited},
        validate::{Envelope, Scratch, validate},
    },
    stream::{CommitStream, StreamWriter},
};
use alloy_consensus::Transaction;
use alloy_evm::{
    Evm, EvmFactory, RecoveredTx,
    block::{BlockExecutor, BlockExecutorFactory, ExecutableTxParts},
};
use alloy_primitives::U256;
use core::{panic::AssertUnwindSafe, time::Duration};
use parking_lot::Mutex;
use revm::context::Block;
use std::{
    any::Any,
    panic::catch_unwind,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};
use warpline_block_stm::{FrontStep, Help, Scheduler, TxPlan, WorkerPool};
use warpline_merger::CanonicalState;
use warpline_types::TxIndex;

/// How far past the front a waiting front looks for something to run ahead.
const NEAR: usize = 64;

type CanonicalExecutor<'s, 'a, F, P> = <F as BlockExecutorFactory>::Executor<
    'a,
    CanonicalState<NotedDb<'s, <P as ParentState>::Db<'s>>, PublishSink<'s>>,
    revm::inspector::NoOpInspector,
>;

/// What an executor has to execute a block with.
#[derive(Clone, Copy)]
pub(crate) struct Means<'p> {
    pub(crate) config: &'p ParallelConfig,
    /// Who may help the calling thread.
    pub(crate) pool: &'p WorkerPool,
    pub(crate) prefetchers: &'p WorkerPool,
    /// Empty.
    pub(crate) memory: &'p Memory,
}

pub(crate) fn execute<'a, F, P, T, S>(
    means: Means<'_>,
    factory: &'a F,
    input: &BlockInput<'a, F, T>,
    guidance: Guidance<'_>,
    mut early: Vec<Option<Outcome<F::TxExecutionResult>>>,
    parent: &P,
) -> Result<BlockOutput<F::Receipt>, ExecuteError>
where
    F: BlockExecutorFactory<Transaction: Transaction> + Sync,
    F::ExecutionCtx<'a>: Sync,
    Env<F>: Sync,
    S: Dialect<F>,
    P: ParentState,
    T: RecoveredTx<F::Transaction> + Sync,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    let start = Instant::now();
    let Means { config, pool, prefetchers: prefetch_pool, memory } = means;
    early.resize_with(input.txs.len(), || None);
    let (plan, gas) = plan(input, guidance, config.lead, |tx| early[tx].is_some());
    let several = plan.txs.iter().filter(|tx| matches!(tx, TxPlan::Ahead { .. })).nth(1).is_some();
    let helpful = several && gas >= config.min_gas && !guidance.is_serial();
    let rehearsal = config.rehearse.filter(|_| helpful).map(Rehearsal::new);
    let helpers = if helpful && rehearsal.is_none() { pool.helpers() } else { 0 };
    let scheduler = Scheduler::new(&plan);
    let beneficiary = input.env.block_env.beneficiary();
    let speculative = helpers > 0 || rehearsal.is_some();
    let slots = if speculative { input.txs.len() } else { 0 };
    let stream = guidance.stream.filter(|stream| stream.wants(helpers + 1));
    let foretold = guidance.access_list.filter(|_| speculative).map(Foretold::new);
    let shared = Shared {
        factory,
        input,
        parent,
        memory,
        scheduler: &scheduler,
        expected: guidance.order(),
        outcomes: (0..slots).map(|_| Mutex::new(None)).collect(),
        beneficiary,
        foretold: foretold.as_ref(),
        list_accesses: guidance.list_accesses,
        speculations: AtomicU64::new(0),
        speculating: AtomicU64::new(0),
        waiting: AtomicU64::new(0),
    };
    let job = |_: usize| {
        let mut speculator = Speculator::<_, _, _, S>::new(&shared);
        while let Some(tx) = scheduler.claim_or_wait() {
            speculator.run(tx);
        }
    };
    let run = || {
        pool.run(helpers, &job, |help| {
            let summons = Summons { help, start, gas, after: config.min_remaining };
            let summons = (helpers > 0).then_some(summons);
            let front = || {
                let failed = FailedRead::default();
                let timings = config.timings;
                let mut front =
                    Front::<_, _, _, S>::new(&shared, &failed, speculative, stream, timings);
                front.summons = summons;
                front.rehearsal = rehearsal;
                front.early = early;
                front.run()
            };
            let output = catch_unwind(AssertUnwindSafe(front))
                .unwrap_or_else(|panic| Err(ExecuteError::Panicked(panic_message(&*panic))));
            scheduler.stop();
            output
        })
    };
    let prefetch = Prefetch::new(guidance, parent, &scheduler);
    let prefetchers = if prefetch.is_wanted() { prefetch_pool.helpers() } else { 0 };
    let mut output = prefetch_pool.run(prefetchers, &|_| prefetch.run(), |help| {
        help.summon();
        run()
    })?;
    let stats = &mut output.stats;
    stats.threads = helpers as u64 + 1;
    stats.transactions = input.txs.len() as u64;
    stats.speculations = shared.speculations.load(Ordering::Relaxed);
    stats.executions += stats.speculations;
    stats.re_executions = stats.executions + stats.committed_early - stats.transactions;
    stats.speculate = Duration::from_nanos(shared.speculating.load(Ordering::Relaxed));
    stats.wait = Duration::from_nanos(shared.waiting.load(Ordering::Relaxed));
    stats.total = start.elapsed();
    Ok(output)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// When to call for help: once the block proves long enough.
struct Summons<'s> {
    help: &'s Help<'s>,
    start: Instant,
    gas: u64,
    after: Duration,
}

impl Summons<'_> {
    /// Time the block may take, judged by its beginning, until which helpers are not called.
    const TRIAL: Duration = Duration::from_micros(15);

    /// Calls for help if the rest of the block looks long enough. `true` when the matter is
    /// settled. `gas_done` is what the transactions so far might have used.
    fn consider(&self, gas_done: u64) -> bool {
        let spent = self.start.elapsed();
        if spent < Self::TRIAL && !self.after.is_zero() {
            return false;
        }
        let rest = self.gas.saturating_sub(gas_done) as f64 / gas_done.max(1) as f64;
        if self.after.is_zero() || spent.as_secs_f64() * rest >= self.after.as_secs_f64() {
            self.help.summon();
            return true;
        }
        false
    }
}

struct Front<'s, 'a, F: BlockExecutorFactory, P: ParentState, T, S> {
    shared: &'s Shared<'s, 'a, F, P, T>,
    failed: &'s FailedRead,
    executor: CanonicalExecutor<'s, 'a, F, P>,
    speculator: Speculator<'s, 'a, F, P, T, S>,
    scratch: Scratch,
    /// What this block's transactions may still use at least: an under-estimate, because it
    /// counts both kinds of gas of EIP-8037.
    gas_left: u64,
    summons: Option<Summons<'s>>,
    rehearsal: Option<Rehearsal>,
    /// Outcomes from before the block.
    early: Vec<Option<Outcome<F::TxExecutionResult>>>,
    gas_done: u64,
    timings: bool,
    stats: ExecStats,
}

impl<'s, 'a, F, P, T, S> Front<'s, 'a, F, P, T, S>
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    S: Dialect<F>,
    P: ParentState,
    T: RecoveredTx<F::Transaction>,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    /// `speculative`: somebody runs transactions ahead and wants to see what is committed.
    /// `stream`: so does somebody else.
    fn new(
        shared: &'s Shared<'s, 'a, F, P, T>,
        failed: &'s FailedRead,
        speculative: bool,
        stream: Option<&'s CommitStream>,
        timings: bool,
    ) -> Self {
        let input = shared.input;
        let shown = speculative && shared.foretold.is_none();
        let memory = shown.then_some(shared.memory);
        let sink = PublishSink::new(memory, shared.beneficiary, stream.map(StreamWriter::new));
        let mut state = CanonicalState::new(NotedDb::new(shared.parent.open(), failed), sink);
        state.reserve(input.txs.len());
        if shared.list_accesses {
            state.record_accesses();
        }
        let evm = shared.factory.evm_factory().create_evm(state, input.env.clone());
        Self {
            shared,
            failed,
            executor: shared.factory.create_executor(evm, input.ctx.clone()),
            speculator: Speculator::new(shared),
            scratch: Scratch::default(),
            gas_left: input.env.block_env.gas_limit(),
            summons: None,
            rehearsal: None,
            early: Vec::new(),
            gas_done: 0,
            timings,
            stats: ExecStats::default(),
        }
    }

    fn run(mut self) -> Result<BlockOutput<F::Receipt>, ExecuteError> {
        let failed = self.failed;
        self.executor
            .apply_pre_execution_changes()
            .map_err(|error| ExecuteError::PreExecution(failed.blame(error)))?;
        for (tx, input) in self.shared.input.txs.iter().enumerate() {
            if let Some(summons) = &self.summons {
                if summons.consider(self.gas_done) {
                    self.summons = None;
                }
                if self.shared.scheduler.group(tx) != u32::MAX {
                    self.gas_done = self.gas_done.saturating_add(input.tx().gas_limit());
                }
            }
            while let Some(other) =
                self.rehearsal.as_mut().and_then(|r| r.next(self.shared.scheduler))
            {
                self.speculator.run(other);
            }
            self.commit(tx)?;
            self.shared.scheduler.advance(tx);
        }
        let version = self.shared.input.txs.len() as u32 + 1;
        let state = self.executor.evm_mut().db_mut();
        state.begin_index(u64::from(version));
        state.sink_mut().begin(version, u32::MAX);
        failed.forget();
        let finished = self.executor.finish();
        let (evm, result) =
            finished.map_err(|error| ExecuteError::PostExecution(failed.blame(error)))?;
        let start = clock(self.timings);
        let mut state = evm.into_db();
        let access_list = state.take_access_list();
        let diff = state.into_diff();
        self.stats.merge += since(start);
        Ok(BlockOutput { result, diff, access_list, stats: self.stats })
    }

    /// Brings transaction `tx`, whose turn it is, into the canonical state.
    fn commit(&mut self, tx: usize) -> Result<(), ExecuteError> {
        let scheduler = self.shared.scheduler;
        let group = scheduler.group(tx);
        let state = self.executor.evm_mut().db_mut();
        state.begin_index(tx as u64 + 1);
        state.sink_mut().begin(tx as u32 + 1, group);
        loop {
            match scheduler.front_step(tx) {
                FrontStep::Execute => {
                    return if self.take_early(tx) { Ok(()) } else { self.execute(tx) };
                }
                FrontStep::Busy => match scheduler.claim_near(NEAR) {
                    Some(other) => self.speculator.run(other),
                    None => {
                        let start = clock(self.timings);
                        scheduler.wait_for_outcome(tx);
                        self.stats.idle += since(start);
                    }
                },
                FrontStep::Validate => {
                    let outcome = self.shared.outcomes[tx].lock().take();
                    if let Some(outcome) = outcome {
                        if let Some(outcome) = self.still_true(tx, outcome) {
                            match outcome.waited {
                                Waited::Not => scheduler.report_useful(group),
                                Waited::Worthwhile => scheduler.report_early(tx, true),
                                Waited::InVain => scheduler.report_early(tx, false),
                            }
                            self.accept(outcome);
                            return Ok(());
                        }
                        scheduler.report_wasted(group);
                    }
                    let before = self.stats.execute;
                    let done = self.execute(tx);
                    self.stats.re_execute += self.stats.execute - before;
                    return done;
                }
            }
        }
    }

    /// Commits the outcome that transaction `tx` has from before the block, if it still holds.
    fn take_early(&mut self, tx: usize) -> bool {
        let Some(outcome) = self.early.get_mut(tx).and_then(Option::take) else { return false };
        let start = clock(self.timings);
        let input = &self.shared.input.txs[tx];
        let envelope = || envelope(input, S::STANDARD_CHARGES);
        let state = self.executor.evm_mut().db_mut();
        let holds = input.tx().gas_limit() <= self.gas_left
            && holds_now(state, &outcome, envelope, &mut self.scratch);
        self.stats.validate += since(start);
        if !holds {
            self.stats.outdated_early += 1;
            return false;
        }
        self.stats.committed_early += 1;
        self.commit_outcome(outcome);
        true
    }

    /// Executes on the canonical state, as the oracle does.
    fn execute(&mut self, tx: usize) -> Result<(), ExecuteError> {
        let start = clock(self.timings);
        self.stats.executions += 1;
        let input = &self.shared.input.txs[tx];
        let transfer = looks_like_transfer(input.tx())
            .then(|| S::transfer(&mut self.executor, input, self.gas_left))
            .flatten();
        let gas = match transfer {
            Some(gas) => gas,
            None => self
                .executor
                .execute_transaction(input)
                .map_err(|error| ExecuteError::Transaction { index: TxIndex::from(tx), error })?,
        };
        self.count_gas(gas.tx_gas_used(), gas.state_gas_used());
        self.stats.execute += since(start);
        Ok(())
    }

    /// The outcome, if executing the transaction now would give the same.
    fn still_true(
        &mut self,
        tx: usize,
        outcome: Outcome<F::TxExecutionResult>,
    ) -> Option<Outcome<F::TxExecutionResult>> {
        let start = clock(self.timings);
        let input = &self.shared.input.txs[tx];
        let envelope = || envelope(input, S::STANDARD_CHARGES);
        let state = self.executor.evm().db();
        // The helper's executor knows nothing of the gas used so far: admission is decided here.
        let holds = input.tx().gas_limit() <= self.gas_left
            && validate(state, &outcome.log, &outcome.watch, envelope, &mut self.scratch);
        if !holds {
            self.shared.memory.retract(&outcome.changes, tx as u32 + 1);
        }
        self.stats.validate += since(start);
        holds.then_some(outcome)
    }

    fn accept(&mut self, outcome: Outcome<F::TxExecutionResult>) {
        self.stats.committed_ahead += 1;
        self.executor.evm_mut().db_mut().sink_mut().is_shown();
        self.commit_outcome(outcome);
    }

    fn commit_outcome(&mut self, outcome: Outcome<F::TxExecutionResult>) {
        let start = clock(self.timings);
        let state = self.executor.evm_mut().db_mut();
        state.adjust_next_commit(&mut self.scratch.adjustments);
        let gas = S::commit(&mut self.executor, outcome.result, outcome.changes);
        self.count_gas(gas.tx_gas_used(), gas.state_gas_used());
        self.stats.merge += since(start);
    }

    const fn count_gas(&mut self, regular: u64, state: u64) {
        self.gas_left = self.gas_left.saturating_sub(regular.saturating_add(state));
    }
}

/// What `tx` observes before its code runs.
pub(crate) fn envelope<T: RecoveredTx<Tx>, Tx: Transaction>(
    tx: &T,
    standard_charges: bool,
) -> Envelope {
    let sender = *tx.signer();
    let tx = tx.tx();
    let gas = U256::from(tx.gas_limit()).checked_mul(U256::from(tx.max_fee_per_gas()));
    let blob_price = U256::from(tx.max_fee_per_blob_gas().unwrap_or_default());
    let blobs = U256::from(tx.blob_gas_used().unwrap_or_default()).checked_mul(blob_price);
    let authorizes = tx.authorization_list().is_some_and(|list| !list.is_empty());
    let cost =
        gas.zip(blobs).and_then(|(gas, blobs)| gas.checked_add(blobs)?.checked_add(tx.value()));
    Envelope { sender, cost, authorizes, standard_charges }
}

fn clock(enabled: bool) -> Option<Instant> {
    enabled.then(Instant::now)
}

fn since(start: Option<Instant>) -> Duration {
    start.map_or(Duration::ZERO, |start| start.elapsed())
}
