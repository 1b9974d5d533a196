//! A check that a client team runs against its own factory before relying on the parallel
//! executor: every block sequentially and in parallel, and the first difference.

use crate::{
    BlockInput, Env, ExecuteError, ParallelConfig, ParallelExecutor, ParentState,
    execute_sequential,
};
use alloy_consensus::Transaction;
use alloy_evm::{
    EvmFactory, RecoveredTx,
    block::{BlockExecutionResult, BlockExecutorFactory, ExecutableTxParts},
};
use core::{fmt, time::Duration};
use std::io;
use warpline_merger::diff_from_bundle;
use warpline_types::StateDiff;

/// Numbers of threads that blocks are executed on.
const THREADS: [usize; 4] = [1, 2, 3, 8];
/// Executions of each block on each number of threads: schedules differ.
const REPETITIONS: usize = 3;

/// What was compared, all of it equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropInReport {
    /// Blocks.
    pub blocks: usize,
    /// Of them, those that the sequential executor rejects; the parallel one does so in the same
    /// words.
    pub rejected: usize,
    /// Transactions in them.
    pub transactions: usize,
    /// Parallel executions of blocks.
    pub executions: usize,
    /// Transactions that were run ahead of their turn, over all executions.
    pub speculations: u64,
    /// Results of such runs that were committed. Where this is 0 nothing but the front was
    /// tested: give larger blocks, of transactions that call contracts.
    pub committed_ahead: u64,
}

impl fmt::Display for DropInReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, rejected, transactions, executions, speculations, committed_ahead } =
            self;
        write!(
            f,
            "{blocks} blocks ({rejected} rejected) with {transactions} transactions, executed \
             {executions} times in parallel: all equal to sequential; {committed_ahead} results of \
             {speculations} speculations were committed"
        )
    }
}

/// Why a factory cannot be used with the parallel executor as it is.
#[derive(Debug, thiserror::Error)]
pub enum DropInError {
    /// The operating system refused a thread.
    #[error("cannot start threads: {0}")]
    Threads(#[from] io::Error),
    /// Two sequential executions of a block differ, so there is nothing to compare with: the
    /// factory's outcome depends on something besides the block and the state before it.
    #[error(
        "block {block}: two sequential executions differ in {location}: {first} against {second}"
    )]
    NotRepeatable {
        /// Position of the block among those given.
        block: usize,
        /// What differs.
        location: String,
        /// Its value the first time.
        first: String,
        /// Its value the second time.
        second: String,
    },
    /// The parallel execution of a block differs from the sequential one.
    #[error(
        "block {block} on {threads} threads differs from sequential in {location}: {parallel} \
         instead of {sequential}"
    )]
    Differs {
        /// Position of the block among those given.
        block: usize,
        /// Number of threads of the execution that differs.
        threads: usize,
        /// What differs first: a receipt, a total, an account or slot, the error.
        location: String,
        /// Its value in the sequential execution.
        sequential: String,
        /// Its value in the parallel execution.
        parallel: String,
    },
}

/// Executes every block sequentially and on 1, 2, 3 and 8 threads, a few times each, and compares
/// receipts, gas, requests, state changes and errors.
///
/// It tells what it found about these blocks, no more: give it many, with the transactions that
/// use what is special about the factory. `committed_ahead` of the report says whether helpers
/// had a part in it.
///
/// ```
/// use alloy_consensus::{SignableTransaction, TxLegacy, transaction::Recovered};
/// use alloy_evm::{
///     EthEvmFactory, EvmEnv,
///     eth::{EthBlockExecutionCtx, EthBlockExecutorFactory, spec::EthSpec},
/// };
/// use alloy_primitives::{Address, Signature, TxKind, U256};
/// use revm::{database::InMemoryDB, state::AccountInfo};
/// use warpline_executor::{BlockInput, EthReceiptBuilder, EthTransaction, check_drop_in};
///
/// let [alice, bob] = [Address::repeat_byte(0xa1), Address::repeat_byte(0xb0)];
/// let mut parent = InMemoryDB::default();
/// let rich = AccountInfo::from_balance(U256::from(10).pow(U256::from(18)));
/// parent.insert_account_info(alice, rich);
///
/// let pay = TxLegacy { gas_limit: 21_000, to: TxKind::Call(bob), ..TxLegacy::default() };
/// let pay = EthTransaction::Legacy(pay.into_signed(Signature::test_signature()));
/// let txs = [Recovered::new_unchecked(pay, alice)];
///
/// // Your factory, your context.
/// let factory =
///     EthBlockExecutorFactory::new(EthReceiptBuilder, EthSpec::mainnet(), EthEvmFactory::default());
/// let ctx = EthBlockExecutionCtx {
///     parent_hash: Default::default(),
///     parent_beacon_block_root: None,
///     ommers: &[],
///     withdrawals: None,
///     extra_data: Default::default(),
///     tx_count_hint: None,
///     slot_number: None,
/// };
/// let block = BlockInput { env: EvmEnv::default(), ctx, txs: &txs };
///
/// let report = check_drop_in(&factory, [(block, &parent)])?;
/// assert_eq!((report.blocks, report.transactions), (1, 1));
/// # Ok::<(), warpline_executor::DropInError>(())
/// ```
///
/// # Errors
/// The first difference, or threads that cannot be started.
pub fn check_drop_in<'a, 'p, F, P, T>(
    factory: &'a F,
    blocks: impl IntoIterator<Item = (BlockInput<'a, F, T>, &'p P)>,
) -> Result<DropInReport, DropInError>
where
    F: BlockExecutorFactory<Transaction: Transaction, Receipt: PartialEq + fmt::Debug> + Sync,
    F::ExecutionCtx<'a>: Sync,
    Env<F>: Sync,
    P: ParentState + 'p,
    T: RecoveredTx<F::Transaction> + Sync + 'a,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    let executors = THREADS.map(executor).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut report = DropInReport::default();
    for (block, (input, parent)) in blocks.into_iter().enumerate() {
        let sequential = || Verdict::sequential(factory, input.clone(), parent);
        let expected = sequential();
        if let Some((location, first, second)) = expected.first_difference(&sequential()) {
            return Err(DropInError::NotRepeatable { block, location, first, second });
        }
        report.blocks += 1;
        report.rejected += usize::from(expected.0.is_err());
        report.transactions += input.txs.len();
        for executor in executors.iter().flat_map(|executor| [executor; REPETITIONS]) {
            let output = executor.execute_block(factory, input.clone(), parent);
            report.executions += 1;
            if let Ok(output) = &output {
                report.speculations += output.stats.speculations;
                report.committed_ahead += output.stats.committed_ahead;
            }
            let actual = Verdict::new(output.map(|output| (output.result, output.diff)));
            if let Some((location, sequential, parallel)) = expected.first_difference(&actual) {
                let threads = executor.config().threads;
                return Err(DropInError::Differs {
                    block,
                    threads,
                    location,
                    sequential,
                    parallel,
                });
            }
        }
    }
    Ok(report)
}

/// [`check_drop_in`] for tests.
///
/// # Panics
/// With the first difference.
#[track_caller]
#[allow(clippy::panic, reason = "an assertion")]
pub fn assert_drop_in<'a, 'p, F, P, T>(
    factory: &'a F,
    blocks: impl IntoIterator<Item = (BlockInput<'a, F, T>, &'p P)>,
) -> DropInReport
where
    F: BlockExecutorFactory<Transaction: Transaction, Receipt: PartialEq + fmt::Debug> + Sync,
    F::ExecutionCtx<'a>: Sync,
    Env<F>: Sync,
    P: ParentState + 'p,
    T: RecoveredTx<F::Transaction> + Sync + 'a,
    for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
{
    match check_drop_in(factory, blocks) {
        Ok(report) => report,
        Err(error) => panic!("{error}"),
    }
}

/// An executor that calls its helpers for every block, however small.
fn executor(threads: usize) -> io::Result<ParallelExecutor> {
    ParallelExecutor::new(ParallelConfig {
        threads,
        min_gas: 0,
        min_remaining: Duration::ZERO,
        ..ParallelConfig::default()
    })
}

/// What an execution came to: output, or error in comparable form.
struct Verdict<R>(Result<(BlockExecutionResult<R>, StateDiff), String>);

impl<R: PartialEq + fmt::Debug> Verdict<R> {
    fn new(output: Result<(BlockExecutionResult<R>, StateDiff), ExecuteError>) -> Self {
        Self(match output {
            Ok((result, mut diff)) => {
                diff.sort();
                Ok((result, diff))
            }
            Err(error) => Err(error.to_string()),
        })
    }

    fn sequential<'a, F, P, T>(factory: &'a F, input: BlockInput<'a, F, T>, parent: &P) -> Self
    where
        F: BlockExecutorFactory<Receipt = R>,
        P: ParentState,
        for<'t> &'t T: ExecutableTxParts<<F::EvmFactory as EvmFactory>::Tx, F::Transaction>,
    {
        let output = execute_sequential(factory, input, parent);
        Self::new(output.map(|output| (output.result, diff_from_bundle(&output.bundle))))
    }

    /// What differs first, with both values.
    fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let show = |verdict: &Self| match &verdict.0 {
            Ok((result, _)) => format!("success with {} gas", result.gas_used),
            Err(error) => error.clone(),
        };
        let ((left, left_diff), (right, right_diff)) = match (&self.0, &other.0) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(left), Err(right)) if left == right => return None,
            _ => return Some(("the verdict".into(), show(self), show(other))),
        };
        if let Some(difference) = left_diff.first_difference(right_diff) {
            let address = difference.address.map(|address| format!("{address} "));
            let location = address.unwrap_or_default() + &difference.location;
            return Some((location, difference.left, difference.right));
        }
        let receipts = left.receipts.iter().zip(&right.receipts).enumerate();
        let fields = [
            ("gas used", &left.gas_used as &dyn fmt::Debug, &right.gas_used as &dyn fmt::Debug),
            ("blob gas used", &left.blob_gas_used, &right.blob_gas_used),
            ("requests", &left.requests, &right.requests),
            ("number of receipts", &left.receipts.len(), &right.receipts.len()),
        ];
        let different = |(location, left, right): (String, _, _)| {
            let (left, right): (&dyn fmt::Debug, &dyn fmt::Debug) = (left, right);
            let (left, right) = (format!("{left:?}"), format!("{right:?}"));
            (left != right).then_some((location, left, right))
        };
        receipts
            .filter(|(_, (left, right))| left != right)
            .map(|(index, (left, right))| {
                (format!("receipt {index}"), format!("{left:?}"), format!("{right:?}"))
            })
            .next()
            .or_else(|| {
                let fields = fields.into_iter();
                fields.map(|(name, l, r)| (name.to_owned(), l, r)).find_map(different)
            })
    }
}
