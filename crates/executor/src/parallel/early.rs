//! Transactions executed before their block is made.
//!
//! One that waits in a pool can be executed on the latest state. When its turn in a block comes,
//! everything that it read is compared with the canonical state, by value, whatever blocks came
//! in between; if all of it holds, its outcome is committed as that of any speculation.

use crate::{
    BlockInput, BlockOutput, Dialect, Env, ExecuteError, Guidance, ParallelExecutor, ParentState,
    parallel::{
        front::envelope,
        speculate::{Outcome, Shared, Speculator},
        validate::{Envelope, Scratch, account_holds, keep},
        watch::BalanceWatch,
    },
};
use alloy_consensus::Transaction;
use alloy_evm::{
    EvmFactory, RecoveredTx,
    block::{BlockExecutorFactory, ExecutableTxParts, TxResult},
};
use alloy_primitives::{Address, B256, U256, map::HashSet};
use core::{fmt, slice};
use revm::{
    Database,
    context::Block,
    context_interface::block::BlobExcessGasAndPrice,
    state::{AccountInfo, Bytecode},
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use warpline_block_stm::{Plan, Scheduler, TxPlan};
use warpline_merger::{CanonicalState, Changes};
use warpline_types::{ExpectedAccesses, ExpectedSlot, SlotKey};

/// What one transaction came to on some state, in the environment of some block.
pub struct EarlyOutcome<F: BlockExecutorFactory> {
    pub(crate) outcome: Outcome<F::TxExecutionResult>,
    block: BlockValues<<F::EvmFactory as EvmFactory>::Spec>,
    /// It says what was accessed, for a block access list.
    listed: bool,
}

impl<F: BlockExecutorFactory> fmt::Debug for EarlyOutcome<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accounts, slots) = (self.outcome.log.accounts.len(), self.outcome.log.slots.len());
        f.debug_struct("EarlyOutcome")
            .field("accounts_read", &accounts)
            .field("slots_read", &slots)
            .finish_non_exhaustive()
    }
}

/// What a transaction may see of its block.
#[derive(Clone, Copy, PartialEq)]
struct BlockValues<Spec> {
    spec: Spec,
    chain_id: u64,
    /// What hardly ever changes from a block to the next, or changes what every transaction pays.
    beneficiary: Address,
    gas_limit: u64,
    basefee: u64,
    blobs: Option<BlobExcessGasAndPrice>,
    /// What always changes, but is hardly ever looked at.
    passing: Passing,
}

#[derive(Clone, Copy, PartialEq)]
struct Passing {
    number: U256,
    timestamp: U256,
    difficulty: U256,
    prevrandao: Option<B256>,
    slot_num: u64,
}

impl<Spec: Copy + PartialEq> BlockValues<Spec> {
    fn new<F>(env: &Env<F>) -> Self
    where
        F: BlockExecutorFactory<EvmFactory: EvmFactory<Spec = Spec>>,
    {
        let block = &env.block_env;
        Self {
            spec: env.cfg_env.spec,
            chain_id: env.cfg_env.chain_id,
            beneficiary: block.beneficiary(),
            gas_limit: block.gas_limit(),
            basefee: block.basefee(),
            blobs: block.blob_excess_gas_and_price(),
            passing: Passing {
                number: block.number(),
                timestamp: block.timestamp(),
                difficulty: block.difficulty(),
                prevrandao: block.prevrandao(),
                slot_num: block.slot_num(),
            },
        }
    }

    /// Whether `other` is the same to a transaction that has seen the `passing` values or not.
    fn serves(&self, other: &Self, saw_passing: bool) -> bool {
        let passing = if saw_passing { self.passing } else { other.passing };
        Self { passing, ..*self } == *other
    }
}

/// About how many bytes an account or a slot takes that was read or changed, the bookkeeping of
/// its accesses included.
const PER_LOCATION: usize = 256;

impl<F: BlockExecutorFactory> EarlyOutcome<F> {
    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        let Outcome { result, changes, log, .. } = &self.outcome;
        let result = &result.result().result;
        let logs = result.logs().iter().map(|log| 128 + log.data.data.len());
        let changed = changes.accounts().iter().map(|account| {
            let code = account.info.code.as_ref().map_or(0, |code| code.len());
            code + PER_LOCATION * (1 + changes.slots(account).len())
        });
        size_of::<Self>()
            + PER_LOCATION * (log.accounts.len() + log.slots.len())
            + changed.sum::<usize>()
            + logs.sum::<usize>()
            + result.output().map_or(0, |output| output.len())
    }

    /// What the transaction touched: what it is likely to touch in its block.
    pub fn accesses(&self) -> ExpectedAccesses {
        let Outcome { changes, log, .. } = &self.outcome;
        let written: HashSet<SlotKey> = changed_slots(changes).collect();
        let mut seen = HashSet::<SlotKey>::default();
        let slots = log.slots.iter().map(|read| SlotKey::new(read.address, read.key));
        // Slots of a new contract are written without being read.
        let slots =
            slots.chain(changed_slots(changes)).filter(|key| seen.insert(*key)).map(|key| {
                ExpectedSlot {
                    address: key.address,
                    slot: key.slot,
                    written: written.contains(&key),
                }
            });
        let slots = slots.collect();
        let mut seen = HashSet::<Address>::default();
        let accounts = log.accounts.iter().map(|read| read.address);
        ExpectedAccesses { accounts: accounts.filter(|it| seen.insert(*it)).collect(), slots }
    }

    /// Whether it may serve in a block with this environment.
    fn serves<S: Dialect<F>>(&self, env: &Env<F>, list_accesses: bool) -> bool {
        // Of a foreign EVM nobody knows through what it looks at its block.
        let saw_passing = self.outcome.watch.saw_block() || !S::STANDARD_CHARGES;
        self.block.serves(&BlockValues::new::<F>(env), saw_passing)
            && (self.listed || !list_accesses)
    }
}

fn changed_slots(changes: &Changes) -> impl Iterator<Item = SlotKey> {
    changes.accounts().iter().flat_map(|account| {
        let slots = changes.slots(account).iter();
        slots.map(|slot| SlotKey::new(account.address, slot.key))
    })
}

/// Leaves out the outcomes that read a slot which one before them in the block writes, and says
/// how many those were. They could only fail at their turn, when it is too late to have them run
/// ahead.
fn leave_out_readers<R>(outcomes: &mut [Option<Outcome<R>>]) -> u64 {
    let mut written = HashSet::<SlotKey>::default();
    let mut left_out = 0;
    for early in outcomes {
        let Some(outcome) = early else { continue };
        let mut reads = outcome.log.slots.iter();
        let outdated = reads.any(|read| written.contains(&SlotKey::new(read.address, read.key)));
        written.extend(changed_slots(&outcome.changes));
        if outdated {
            *early = None;
            left_out += 1;
        }
    }
    left_out
}

/// A state in which a sender has sent all transactions before one of its nonces.
#[derive(Debug)]
struct AsIfSent<DB> {
    state: DB,
    sender: Address,
    nonce: u64,
}

impl<DB: Database> Database for AsIfSent<DB> {
    type Error = DB::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        let mut info = self.state.basic(address)?;
        if let Some(info) = info.as_mut().filter(|_| address == self.sender) {
            info.nonce = info.nonce.max(self.nonce);
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, DB::Error> {
        self.state.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, DB::Error> {
        self.state.storage(address, key)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, DB::Error> {
        self.state.block_hash(number)
    }
}

/// Whether every read of an outcome that was made on another state holds now. If so
/// `scratch.adjustments` says how to correct it. A state that cannot be read holds nothing: the
/// execution that follows will say why.
pub(crate) fn holds_now<DB: alloy_evm::Database, S: fmt::Debug>(
    state: &mut CanonicalState<DB, S>,
    outcome: &Outcome<impl Sized>,
    envelope: impl Fn() -> Envelope,
    scratch: &mut Scratch,
) -> bool {
    scratch.adjustments.clear();
    let watch: &BalanceWatch = &outcome.watch;
    for read in &outcome.log.accounts {
        let Ok(_) = state.load(read.address) else { return false };
        let Some(entry) = state.entry(&read.address) else { return false };
        if !keep(account_holds(entry, read, watch, &envelope), scratch) {
            return false;
        }
    }
    outcome.log.slots.iter().all(|read| {
        Database::storage(state, read.address, read.key).is_ok_and(|now| now == read.seen)
    })
}

impl<D> ParallelExecutor<D> {
    /// Executes a transaction on its own, as if it came first in a block with this environment
    /// and its sender had sent all before it. `None` where it cannot be executed there. Its nonce
    /// and everything else that it read is checked when its turn comes.
    ///
    /// With `list_accesses` the outcome may also serve in a block whose access list is wanted.
    pub fn execute_early<'a, F, P, T>(
        &self,
        factory: &'a F,
        block: (Env<F>, F::ExecutionCtx<'a>),
        tx: &'a T,
        list_accesses: bool,
        parent: &P,
    ) -> Option<EarlyOutcome<F>>
    where
        F: BlockExecutorFactory<Transaction: Transaction>,
        D: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction>,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        let (env, ctx) = block;
        let input = BlockInput { env, ctx, txs: slice::from_ref(tx) };
        let scheduler = Scheduler::new(&Plan { txs: vec![TxPlan::Front], ..Plan::default() });
        // Nothing is written to it.
        let memory = self.spare.lock().pop().unwrap_or_default();
        let shared = Shared::alone(factory, &input, parent, &memory, &scheduler, list_accesses);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            Speculator::<F, P, T, D>::new(&shared).execute(0).ok().map(|(outcome, _)| outcome)
        }));
        drop(shared);
        let block = BlockValues::new::<F>(&input.env);
        self.spare.lock().push(memory);
        Some(EarlyOutcome { outcome: outcome.ok()??, block, listed: list_accesses })
    }

    /// Whether an early outcome of `tx` would do in a block with this environment on `parent`, if
    /// the transaction came first in it and its sender had sent all before it.
    pub fn early_holds<F, P, T>(
        &self,
        env: &Env<F>,
        tx: &T,
        early: &EarlyOutcome<F>,
        list_accesses: bool,
        parent: &P,
    ) -> bool
    where
        F: BlockExecutorFactory<Transaction: Transaction>,
        D: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction>,
    {
        let (sender, nonce) = (*tx.signer(), tx.tx().nonce());
        let mut state = CanonicalState::new(AsIfSent { state: parent.open(), sender, nonce }, ());
        let envelope = || envelope(tx, D::STANDARD_CHARGES);
        early.serves::<D>(env, list_accesses)
            && holds_now(&mut state, &early.outcome, envelope, &mut Scratch::default())
    }

    /// Executes a block as [`execute_guided`](Self::execute_guided) does. Of transactions with an
    /// early outcome, given by their place in the block, the outcome is committed if it still
    /// holds; the others are executed.
    ///
    /// # Errors
    /// Those of the sequential execution, at the same place.
    pub fn execute_with_early<'a, F, P, T>(
        &self,
        factory: &'a F,
        input: BlockInput<'a, F, T>,
        guidance: Guidance<'_>,
        early: Vec<Option<EarlyOutcome<F>>>,
        parent: &P,
    ) -> Result<BlockOutput<F::Receipt>, ExecuteError>
    where
        F: BlockExecutorFactory<Transaction: Transaction> + Sync,
        F::ExecutionCtx<'a>: Sync,
        Env<F>: Sync,
        D: Dialect<F>,
        P: ParentState,
        T: RecoveredTx<F::Transaction> + Sync,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        let listed = guidance.list_accesses;
        let outcomes = early.into_iter().map(|early| {
            let early = early.filter(|early| early.serves::<D>(&input.env, listed))?;
            Some(early.outcome)
        });
        let mut outcomes: Vec<_> = outcomes.collect();
        let missing = leave_out_readers(&mut outcomes);
        let output = self.execute_with::<F, P, T, D>(factory, input, guidance, outcomes, parent);
        output.map(|mut output| {
            output.stats.outdated_early += missing;
            output
        })
    }
}
