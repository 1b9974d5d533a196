//! Which transactions are worth running ahead.

use crate::{BlockInput, Guidance};
use alloy_consensus::Transaction;
use alloy_evm::{RecoveredTx, block::BlockExecutorFactory};
use alloy_primitives::{
    Address,
    map::{AddressMap, DefaultHashBuilder, HashMap},
};
use core::hash::{BuildHasher, Hash, Hasher};
use warpline_block_stm::{Plan, TxPlan};

/// A transaction is long if its gas limit is more than one part in this many of the block's.
const LONG_SHARE: u64 = 24;

/// How many argument words are looked at.
const ARGUMENTS: usize = 16;

/// The plan for a block, and the gas its transactions may use besides plain transfers. Those that
/// are done are not run ahead.
pub(crate) fn plan<F, T>(
    input: &BlockInput<'_, F, T>,
    guidance: Guidance<'_>,
    lead: u64,
    is_done: impl Fn(usize) -> bool,
) -> (Plan, u64)
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    T: RecoveredTx<F::Transaction>,
{
    let mut groups = HashMap::<u64, u32>::default();
    let mut callees = AddressMap::<u32>::default();
    let mut families = Vec::new();
    let mut gas = 0_u64;
    let hasher = DefaultHashBuilder::default();
    let plan_one = |(index, input): (usize, &T)| {
        let tx = input.tx();
        if looks_like_transfer(tx) || is_done(index) {
            return TxPlan::Front;
        }
        gas = gas.saturating_add(tx.gas_limit());
        let next = groups.len() as u32;
        let group = *groups.entry(likeness(&hasher, tx, input.signer())).or_insert(next);
        if group == next {
            let next = callees.len() as u32;
            families.push(*callees.entry(tx.to().unwrap_or_default()).or_insert(next));
        }
        TxPlan::Ahead { group }
    };
    let txs: Vec<_> = input.txs.iter().enumerate().map(plan_one).collect();
    let first = long_ones(input, &txs, &families, gas);
    let work = input.txs.iter().map(|tx| tx.tx().gas_limit()).collect();
    let needs = guidance.order().map(|expected| expected.needs().clone()).unwrap_or_default();
    let (groups, early) = (groups.len(), guidance.uses.early);
    (Plan { txs, groups, families, lead, work, first, needs, early }, gas)
}

/// Transactions that are alike in this are likely to write the same slots: same callee, same
/// function, same addresses among the arguments (a pool, a pair of tokens, a recipient), the
/// sender's own not counted. Two kinds may share a value; that costs time, nothing else.
fn likeness(hasher: &impl BuildHasher, tx: &impl Transaction, sender: &Address) -> u64 {
    let mut state = hasher.build_hasher();
    tx.to().hash(&mut state);
    let (selector, arguments) = tx.input().split_at_checked(4).unwrap_or_default();
    selector.hash(&mut state);
    for word in arguments.chunks_exact(32).take(ARGUMENTS) {
        let (padding, address) = word.split_at(12);
        // A number has zeros where an address has not.
        let like_address = padding.iter().all(|byte| *byte == 0) && address[..4] != [0; 4];
        if like_address && address != sender.as_slice() {
            address.hash(&mut state);
        }
    }
    state.finish()
}

/// Transactions whose gas limit is so large a part of the block's that they had better start
/// early, the largest first. Only the first with each callee: others might miss its writes.
fn long_ones<F, T>(
    input: &BlockInput<'_, F, T>,
    plan: &[TxPlan],
    families: &[u32],
    gas: u64,
) -> Vec<usize>
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    T: RecoveredTx<F::Transaction>,
{
    let limit = |index: &usize| input.txs[*index].tx().gas_limit();
    // Families are numbered in the order in which they appear.
    let mut next = 0;
    let opens_family = |index: &usize| match plan[*index] {
        TxPlan::Ahead { group } if families.get(group as usize) == Some(&next) => {
            next += 1;
            true
        }
        _ => false,
    };
    let mut first: Vec<_> = (0..plan.len())
        .filter(opens_family)
        .filter(|index| limit(index) > gas / LONG_SHARE)
        .collect();
    first.sort_by_key(|index| core::cmp::Reverse(limit(index)));
    first
}

/// A call without data: nearly always a plain value transfer, which costs less to execute than
/// to hand over.
pub(crate) fn looks_like_transfer(tx: &impl Transaction) -> bool {
    tx.input().is_empty()
        && tx.kind().is_call()
        && tx.authorization_list().is_none_or(<[_]>::is_empty)
}
