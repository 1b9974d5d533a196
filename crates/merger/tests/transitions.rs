//! The canonical state against revm's `State`: whatever a block of transactions does to a few
//! accounts, both answer every read alike and end with the same diff.

#![allow(clippy::unwrap_used, reason = "tests")]

use alloy_primitives::{Address, Bytes, U256, map::AddressMap};
use proptest::{prelude::*, test_runner::RngSeed};
use revm::{
    Database, DatabaseCommit,
    database::{InMemoryDB, State, states::bundle_state::BundleRetention},
    state::{Account, AccountInfo, AccountStatus, Bytecode, EvmStorageSlot, TransactionId},
};
use warpline_merger::{Adjustment, CanonicalState, Changes, NoSink, diff_from_bundle};

const ACCOUNTS: u8 = 5;
const SLOTS: u64 = 3;

/// What a transaction does to one account, as far as the account's condition lets an EVM do it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Only touches it: an empty account ceases to exist (EIP-161).
    Touch,
    /// Gives it this balance.
    Balance(u64),
    /// Sends from it.
    Nonce,
    /// Stores a value in a slot.
    Store(u64, u64),
    /// Creates a contract there that stores a value.
    Create(u8, u64, u64),
    /// Sets a delegation, or clears it with 0 (EIP-7702).
    Delegate(u8),
    /// Destroys the contract.
    Destroy,
    /// Creates a contract there that destroys itself.
    CreateAndDestroy,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..SLOTS;
    prop_oneof![
        Just(Step::Touch),
        prop_oneof![Just(0), 1..9_u64].prop_map(Step::Balance),
        Just(Step::Nonce),
        (slot.clone(), 0..4_u64).prop_map(|(slot, value)| Step::Store(slot, value)),
        (slot.clone(), 0..4_u64).prop_map(|(slot, value)| Step::Store(slot, value)),
        (1..4_u8, slot, 0..4_u64).prop_map(|(code, slot, value)| Step::Create(code, slot, value)),
        (0..4_u8).prop_map(Step::Delegate),
        Just(Step::Destroy),
        Just(Step::CreateAndDestroy),
    ]
}

/// Transactions, each with what it does to some of the accounts.
fn block() -> impl Strategy<Value = Vec<Vec<(u8, Step)>>> {
    let tx = prop::collection::vec((0..ACCOUNTS, step()), 1..4);
    prop::collection::vec(tx, 1..12)
}

fn address(account: u8) -> Address {
    Address::repeat_byte(0xa0 | account)
}

fn code(kind: u8) -> Bytecode {
    Bytecode::new_legacy(Bytes::from(vec![0x60, kind]))
}

fn contract(info: AccountInfo, kind: u8) -> AccountInfo {
    let code = code(kind);
    AccountInfo { nonce: info.nonce.max(1), code_hash: code.hash_slow(), code: Some(code), ..info }
}

/// Absent, empty, rich, a contract with storage, an account with a nonce.
fn parent() -> InMemoryDB {
    let mut parent = InMemoryDB::default();
    parent.insert_account_info(address(1), AccountInfo::default());
    parent.insert_account_info(address(2), AccountInfo::from_balance(U256::from(7)));
    parent.insert_account_info(address(3), contract(AccountInfo::default(), 1));
    for slot in 0..SLOTS - 1 {
        let value = U256::from(slot + 2);
        parent.insert_account_storage(address(3), U256::from(slot), value).unwrap();
    }
    let used = AccountInfo { nonce: 1, ..AccountInfo::from_balance(U256::from(3)) };
    parent.insert_account_info(address(4), used);
    parent
}

/// An account as a transaction finds and leaves it.
fn leave(db: &mut impl Database, at: Address, found: Option<AccountInfo>, step: Step) -> Account {
    let tx = TransactionId::ZERO;
    let fresh = found.as_ref().is_none_or(|info| info.has_no_code_and_nonce());
    let has_code = found.as_ref().is_some_and(|info| !info.is_empty_code_hash());
    let exists = found.is_some();
    let mut account = found.map_or_else(|| Account::new_not_existing(tx), Account::from);
    account.mark_touch();
    let store = |account: &mut Account, slot: u64, value: u64, found: U256| {
        let slot_after = EvmStorageSlot::new_changed(found, U256::from(value), tx);
        account.storage.insert(U256::from(slot), slot_after);
    };
    match step {
        Step::Balance(wei) => account.info.balance = U256::from(wei),
        Step::Nonce => account.info.nonce += 1,
        Step::Store(slot, value) if has_code => {
            let found = db.storage(at, U256::from(slot)).map_err(|_| ()).unwrap();
            store(&mut account, slot, value, found);
        }
        Step::Create(kind, slot, value) if fresh => {
            account.mark_created();
            account.info = contract(account.info.clone(), kind);
            store(&mut account, slot, value, U256::ZERO);
        }
        Step::CreateAndDestroy if fresh => {
            account.mark_created();
            account.info = contract(account.info.clone(), 1);
            account.mark_selfdestruct();
        }
        Step::Delegate(0) if has_code && exists => {
            let kept = account.info.clone();
            account.info = AccountInfo { code_hash: revm::primitives::KECCAK_EMPTY, ..kept };
            account.info.code = Some(Bytecode::default());
            account.info.nonce += 1;
        }
        Step::Delegate(kind) if kind > 0 => {
            account.info = contract(account.info.clone(), kind);
            account.info.nonce += 1;
        }
        Step::Destroy if has_code => account.mark_selfdestruct(),
        _ => {}
    }
    account
}

/// How results are handed to the canonical state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As revm leaves them.
    Whole,
    /// Boiled down, by whoever ran the transaction.
    BoiledDown,
    /// From other balances than the current ones, and corrected.
    Adjusted,
}

fn run(block: &[Vec<(u8, Step)>], way: Way) -> Result<(), TestCaseError> {
    let mut oracle = State::builder().with_database(parent()).with_bundle_update().build();
    let mut canonical = CanonicalState::new(parent(), NoSink);
    for tx in block {
        let (mut expected, mut result) = (AddressMap::default(), AddressMap::default());
        let mut adjustments = Vec::new();
        for (account, step) in tx {
            let at = address(*account);
            let seen = oracle.basic(at).unwrap();
            let found = canonical.basic(at).unwrap();
            prop_assert_eq!(&found, &seen, "account {}", account);
            for slot in (0..SLOTS).map(U256::from) {
                if seen.is_some() {
                    let expected = oracle.storage(at, slot).unwrap();
                    prop_assert_eq!(canonical.storage(at, slot).unwrap(), expected);
                }
            }
            expected.insert(at, leave(&mut oracle, at, seen, *step));
            let mut left = leave(&mut canonical, at, found, *step);
            let ends = left.status.contains(AccountStatus::SelfDestructed);
            if way == Way::Adjusted && !ends && !left.is_empty() {
                let off = U256::from(1_000);
                left.info.balance += off;
                let balance = U256::ZERO.wrapping_sub(off);
                adjustments.retain(|one: &Adjustment| one.address != at);
                adjustments.push(Adjustment { address: at, balance, nonce: 0 });
            } else {
                adjustments.retain(|one| one.address != at);
            }
            result.insert(at, left);
        }
        oracle.commit(expected);
        canonical.adjust_next_commit(&mut adjustments);
        match way {
            Way::BoiledDown => {
                let parts = result.iter().map(|(at, account)| (*at, account.clone()));
                let changes = Changes::collect(&parts.collect(), |at| {
                    let account = result.get(at)?;
                    (!account.is_loaded_as_not_existing()).then(|| account.original_info())
                });
                canonical.commit_changes(changes);
            }
            Way::Whole | Way::Adjusted => canonical.commit(result),
        }
    }
    oracle.merge_transitions(BundleRetention::Reverts);
    let expected = diff_from_bundle(&oracle.take_bundle());
    let mut actual = canonical.into_diff();
    actual.sort();
    prop_assert_eq!(actual.first_difference(&expected), None);
    prop_assert!(actual == expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(0x5eed),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn results_as_revm_leaves_them_give_what_revms_state_gives(block in block()) {
        run(&block, Way::Whole)?;
    }

    #[test]
    fn results_boiled_down_give_what_revms_state_gives(block in block()) {
        run(&block, Way::BoiledDown)?;
    }

    #[test]
    fn results_from_other_balances_are_corrected(block in block()) {
        run(&block, Way::Adjusted)?;
    }
}

/// A correction is for one commit, however that comes.
#[test]
fn a_correction_does_not_outlive_its_commit() {
    let at = address(2);
    let paid = |wei: u64| {
        let mut account = Account::from(AccountInfo::from_balance(U256::from(wei)));
        account.mark_touch();
        (at, account)
    };
    for iterated in [false, true] {
        let mut state = CanonicalState::new(parent(), NoSink);
        let correction = Adjustment { address: at, balance: U256::from(100), nonce: 0 };
        state.adjust_next_commit(&mut vec![correction]);
        match iterated {
            true => state.commit_iter(&mut [paid(1)].into_iter()),
            false => state.commit([paid(1)].into_iter().collect()),
        }
        assert_eq!(state.basic(at).unwrap().unwrap().balance, U256::from(101));
        state.commit([paid(2)].into_iter().collect());
        assert_eq!(state.basic(at).unwrap().unwrap().balance, U256::from(2));
    }
}
