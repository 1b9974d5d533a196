//! One block per case where parallel engines have been wrong, each under a telling name.
//!
//! The expected outcome of every scenario is written by hand, so that a mistake shared by two
//! executors shows as well as a difference between them.

mod accounts;
mod beneficiary;
mod calls;
mod contention;
mod delegation;
mod invalid;
mod lifecycle;
mod system;

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
    beneficiary {
        beneficiary_sends,
        beneficiary_spends_the_fees_it_just_earned,
        beneficiary_receives_transfers,
        beneficiary_balance_read_by_contracts,
        beneficiary_balance_read_8000_times,
        beneficiary_is_a_contract_that_is_called,
        beneficiary_contract_pays_its_fees_out,
        beneficiary_contract_destroys_itself,
        beneficiary_earns_nothing_and_stays_absent,
        beneficiary_earns_nothing_before_spurious_dragon,
        beneficiary_is_a_precompile,
        beneficiary_delegates,
        beneficiary_is_paid_by_contracts,
        beneficiary_gets_withdrawals,
        beneficiary_is_the_hot_contract,
        block_and_ommer_rewards,
        beneficiary_code_hash_before_and_after_its_first_fee,
        cost_of_paying_the_beneficiary_depends_on_its_first_fee,
    }
    delegation {
        self_delegation_in_a_plain_looking_transfer,
        redelegation_then_call,
        delegation_cleared_then_call,
        delegation_set_and_used_in_the_same_transaction,
        delegated_account_sends_plain_transfers,
        transfer_to_an_account_delegated_earlier_runs_its_code,
        delegation_to_a_precompile,
        delegation_chain_is_not_followed,
        delegation_with_wrong_nonce_is_skipped,
        delegation_for_another_chain_is_skipped,
        delegation_of_a_contract_is_skipped,
        delegation_survives_a_revert,
        delegations_of_one_authority_by_several_senders,
        sponsored_authority_sends_with_its_raised_nonce,
        delegated_account_creates_and_raises_its_own_nonce,
        delegated_account_destroys_itself,
        code_of_a_delegated_account_read_by_contracts,
        delegation_of_an_account_that_did_not_exist,
        delegation_to_a_contract_created_later,
        delegated_sender_reads_its_own_balance,
    }
    lifecycle {
        create_then_call,
        create_onto_a_funded_address,
        create_onto_an_address_funded_earlier_in_the_block,
        create_onto_a_used_address,
        create2_onto_a_funded_address,
        create2_onto_a_used_address,
        create2_twice_with_the_same_salt,
        created_address_depends_on_the_creators_nonce,
        create_and_destroy_in_one_transaction,
        create_destroy_and_create_again,
        recreation_before_cancun_starts_with_empty_storage,
        destroyed_contract_touched_later_before_cancun,
        destroyed_contract_touched_later_after_cancun,
        destroyed_contract_gets_value_later_before_cancun,
        destroyed_contract_gets_value_later_after_cancun,
        selfdestruct_to_itself_before_cancun,
        selfdestruct_to_itself_after_cancun,
        storage_written_then_destroyed_then_read,
        failing_creation_leaves_the_nonce_raised,
        code_read_before_and_after_creation,
        selfdestruct_to_a_later_sender,
        recreation_over_storage_from_before_the_block,
        destroyed_and_recreated_twice,
    }
    calls {
        revert_after_write,
        out_of_gas_after_write,
        outcome_depends_on_an_earlier_transaction,
        forwarded_value_and_failing_inner_call,
        delegatecall_writes_the_callers_storage,
        staticcall_cannot_write,
        call_of_an_address_stored_earlier_in_the_block,
        transient_storage_is_empty_in_the_next_transaction,
        block_hashes,
        logs_carry_the_order,
        gas_left_depends_on_slot_history,
        slot_set_and_cleared,
        write_that_restores_the_old_value,
        own_balance_read_by_opcode,
        balances_of_senders_read_by_contracts,
        access_lists,
        environment_opcodes,
        old_forks_lack_opcodes,
        frontier_block,
        homestead_block,
        contract_runs_dry_and_is_refilled,
        code_hash_tells_whether_an_account_exists,
        cost_of_a_new_account_depends_on_an_earlier_transfer,
    }
    contention {
        hot_counter,
        hot_counter_after_long_work,
        dex_pool_with_a_hot_slot,
        token_transfers_to_distinct_recipients,
        token_transfers_from_one_holder_chain,
        two_keys_that_differ_in_one_bit,
        disjoint_slots_of_one_contract,
        many_readers_of_one_written_slot,
        alternating_writers_of_two_slots,
        long_transaction_first,
        long_transaction_last,
        empty_block,
        single_transaction,
    }
    system {
        blob_transactions,
        withdrawal_requests_made_in_the_block,
        consolidation_requests_made_in_the_block,
        system_contracts_read_in_the_block,
        deposits_logged_in_the_block,
        malformed_deposit_fails_at_the_end,
        withdrawals_to_senders_and_absent_accounts,
        dao_fork_block,
        sender_is_also_drained_by_the_dao_fork,
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
