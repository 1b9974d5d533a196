//! One block per case where parallel engines have been wrong, each under a telling name.
//!
//! The expected outcome of every scenario is written by hand, so that a mistake shared by two
//! executors shows as well as a difference between them.

mod accounts;
mod invalid;

use super::{GeneratedBlock, builder::BlockBuilder, user};
use alloy_primitives::U256;
use core::ops::Range;

macro_rules! scenarios {
    ($($module:ident { $($name:ident,)* })*) => {
        $(pub use $module::{$($name,)*};)*

        /// Every scenario with its name.
        pub fn all() -> Vec<(&'static str, GeneratedBlock)> {
            vec![$($((stringify!($name), $module::$name()),)*)*]
        }
    };
}

scenarios! {
    accounts {
        independent_transfers,
        one_sender_1400_transfers,
        one_recipient_of_1300,
        chain_of_accounts_funded_by_the_one_before,
        two_accounts_send_the_same_wei_back_and_forth,
        transfer_to_oneself,
        transfer_of_nothing_to_an_empty_account_before_spurious_dragon,
        transfer_of_nothing_to_an_empty_account_after_spurious_dragon,
        sender_funded_earlier_in_the_block,
        sender_empties_its_account_and_is_funded_again,
        value_to_precompiles,
        precompile_calls_with_value,
    }
    invalid {
        nonce_too_high,
        nonce_too_low,
        nonce_used_twice,
        insufficient_funds,
        funds_spent_earlier_in_the_block,
        funds_spent_by_a_contract_call_of_a_delegated_account,
        gas_limit_above_the_block,
        block_gas_limit_exceeded_late,
        block_gas_limit_met_exactly,
        intrinsic_gas_too_low,
        gas_limit_above_the_transaction_cap,
        sender_is_a_contract,
        fee_below_the_base_fee,
        blob_fee_too_low,
        transaction_type_of_a_later_fork,
        first_transaction_invalid,
        last_transaction_invalid,
        two_invalid_transactions_and_the_first_counts,
        nonce_gap_in_the_middle_of_a_long_chain,
        only_transaction_invalid,
    }
}

/// Makes the users in `range` rich.
fn fund(block: &mut BlockBuilder, range: Range<u16>) {
    for index in range {
        block.world().fund(user(index), U256::from(super::builder::RICH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_names_are_unique() {
        let mut names: Vec<_> = all().into_iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_scenario_is_the_same_block_every_time() {
        let digest = |block: &GeneratedBlock| format!("{:?}{:?}", block.txs, block.expected);
        for ((name, first), (_, second)) in all().into_iter().zip(all()) {
            assert!(digest(&first) == digest(&second), "{name} differs between two calls");
        }
    }
}
