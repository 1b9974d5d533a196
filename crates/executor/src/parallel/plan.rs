//! Which transactions are worth running ahead.

use crate::BlockInput;
use alloy_consensus::Transaction;
use alloy_evm::{RecoveredTx, block::BlockExecutorFactory};
use alloy_primitives::{Address, TxKind, map::AddressMap};
use warpline_block_stm::{Plan, TxPlan};

/// A transaction is long if its gas limit is more than one part in this many of the block's.
const LONG_SHARE: u64 = 24;

/// The plan for a block, and the gas its transactions may use besides plain transfers.
pub(crate) fn plan<F, T>(input: &BlockInput<'_, F, T>, lead: u64) -> (Plan, u64)
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    T: RecoveredTx<F::Transaction>,
{
    let mut groups = AddressMap::<u32>::default();
    let mut gas = 0_u64;
    let plan_one = |tx: &T| {
        let tx = tx.tx();
        if looks_like_transfer(tx) {
            return TxPlan::Front;
        }
        gas = gas.saturating_add(tx.gas_limit());
        let callee = match tx.kind() {
            TxKind::Call(to) => to,
            TxKind::Create => Address::ZERO,
        };
        let next = groups.len() as u32;
        TxPlan::Ahead { group: *groups.entry(callee).or_insert(next) }
    };
    let txs: Vec<_> = input.txs.iter().map(plan_one).collect();
    let first = long_ones(input, &txs, gas);
    let work = input.txs.iter().map(|tx| tx.tx().gas_limit()).collect();
    (Plan { txs, groups: groups.len(), lead, work, first }, gas)
}

/// Transactions whose gas limit is so large a part of the block's that they had better start
/// early, the largest first. Not those that follow another of their group, whose writes they
/// might miss.
fn long_ones<F, T>(input: &BlockInput<'_, F, T>, plan: &[TxPlan], gas: u64) -> Vec<usize>
where
    F: BlockExecutorFactory<Transaction: Transaction>,
    T: RecoveredTx<F::Transaction>,
{
    let limit = |index: &usize| input.txs[*index].tx().gas_limit();
    let mut groups = 0;
    let opens_group = |index: &usize| match plan[*index] {
        // Groups are numbered in the order in which they appear.
        TxPlan::Ahead { group } if group == groups => {
            groups += 1;
            true
        }
        _ => false,
    };
    let mut first: Vec<_> = (0..plan.len())
        .filter(opens_group)
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
