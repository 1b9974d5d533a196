//! The state diff of a sequential run, read off revm's own bundle.

use crate::account::account_state;
use alloy_primitives::U256;
use revm::database::BundleState;
use warpline_types::{AccountDiff, SlotDiff, StateDiff};

/// The sorted diff that a bundle of one block stands for. Accounts that end as they began are
/// left out, as [`StateDiff`] demands.
pub fn diff_from_bundle(bundle: &BundleState) -> StateDiff {
    let accounts = bundle.state.iter().filter_map(|(address, account)| {
        let storage_cleared = account.was_destroyed() && account.original_info.is_some();
        let fresh = account.was_destroyed() || account.original_info.is_none();
        let storage: Vec<_> = account
            .storage
            .iter()
            .map(|(slot, value)| SlotDiff {
                slot: *slot,
                before: if fresh { U256::ZERO } else { value.previous_or_original_value },
                after: value.present_value,
            })
            .filter(|slot| slot.before != slot.after)
            .collect();
        let unchanged = account.original_info == account.info;
        if unchanged && storage.is_empty() && !storage_cleared {
            return None;
        }
        Some(AccountDiff {
            address: *address,
            before: account.original_info.as_ref().map(account_state),
            after: account.info.as_ref().map(account_state),
            storage_cleared,
            storage,
        })
    });
    let codes = bundle.contracts.iter().filter(|(_, code)| !code.is_empty());
    let codes = codes.map(|(hash, code)| (*hash, code.original_bytes()));
    let mut diff = StateDiff { accounts: accounts.collect(), codes: codes.collect() };
    diff.sort();
    diff
}
