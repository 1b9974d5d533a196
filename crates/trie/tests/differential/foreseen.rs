//! What is foreseen and does not come true.

use crate::model::key;
use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use warpline_trie::{
    AccountChange, AccountUpdate, MemoryState, SlotChange, StateTrie, TrieConfig, TrieError,
};
use warpline_types::AccountState;

fn set(account: u16, nonce: u64, code: u8, slots: &[(u16, u64)]) -> AccountChange {
    let slot =
        |&(slot, value): &(u16, u64)| SlotChange { slot: key(slot), value: U256::from(value) };
    let code_hash = B256::repeat_byte(code);
    AccountChange {
        address: key(account),
        update: AccountUpdate::Set(AccountState { nonce, balance: U256::from(7), code_hash }),
        wipe_storage: false,
        slots: slots.iter().map(slot).collect(),
    }
}

fn keep(account: u16, slots: &[(u16, u64)]) -> AccountChange {
    AccountChange { update: AccountUpdate::Keep, ..set(account, 0, 0, slots) }
}

fn delete(account: u16) -> AccountChange {
    AccountChange { update: AccountUpdate::Delete, ..set(account, 0, 0, &[]) }
}

/// Accounts below 40 exist, with slots below 40.
fn committed() -> (MemoryState, B256) {
    let slots: Vec<_> = (0..40).map(|slot| (slot, u64::from(slot) + 1)).collect();
    let changes: Vec<_> = (0..40).map(|account| set(account, 1, 1, &slots)).collect();
    let mut trie = StateTrie::open(config(), EMPTY_ROOT_HASH).unwrap();
    let mut state = MemoryState::default();
    trie.stage(changes.clone());
    let update = trie.root(&state).unwrap();
    state.commit(&changes, &update.updates);
    (state, update.root)
}

fn config() -> TrieConfig {
    TrieConfig { page_limit: 4, ..TrieConfig::default() }
}

/// What a block may leave on the way to its end: accounts changed, created, emptied, slots set,
/// added and cleared.
fn on_the_way() -> Vec<AccountChange> {
    let cleared: Vec<_> = (0..38).map(|slot| (slot, 0)).collect();
    let added: Vec<_> = (100..160).map(|slot| (slot, 9)).collect();
    let mut changes = vec![
        set(1, 5, 1, &[]),
        set(2, 1, 2, &[(3, 77)]),
        keep(3, &[(3, 78), (200, 4)]),
        keep(4, &cleared),
        keep(5, &added),
        keep(90, &[(1, 1)]),
        AccountChange { wipe_storage: true, ..set(6, 2, 1, &[(1, 1)]) },
        delete(7),
    ];
    changes.extend((50..80).map(|account| set(account, 0, 3, &added)));
    changes
}

#[test]
fn foreseen_in_vain_it_leaves_root_and_accounts_alone() {
    let (mut state, root) = committed();
    let mut trie = StateTrie::open(config(), root).unwrap();
    trie.foresee(&state, on_the_way()).unwrap();
    trie.foresee(&state, vec![set(1, 6, 1, &[]), set(50, 1, 1, &[(100, 0), (300, 5)])]).unwrap();
    let error = trie.prove(&state, [(key(1), vec![])]).unwrap_err();
    assert!(matches!(error, TrieError::Unsettled));
    let update = trie.root(&state).unwrap();
    assert_eq!(update.root, root);
    assert_eq!(update.updates.accounts(), []);
    assert!(update.updates.wiped_storages().is_empty());
    let before = state.clone();
    state.commit(&[], &update.updates);
    assert!(state == before, "something else was stored");
    assert!(trie.prove(&state, [(key(1), vec![])]).is_ok());
}

#[test]
fn what_becomes_of_foreseen_accounts_is_what_would_have_become_of_them() {
    let (state, root) = committed();
    let ends: [(&str, Vec<AccountChange>); 7] = [
        ("as foreseen", vec![set(1, 5, 1, &[]), set(50, 0, 3, &[(100, 9)])]),
        ("other fields", vec![set(1, 9, 1, &[]), set(2, 8, 8, &[(4, 0)]), set(51, 4, 4, &[])]),
        ("slots only", vec![keep(2, &[(9, 9)]), keep(4, &[(0, 5)]), keep(5, &[(100, 1)])]),
        ("destroyed", vec![delete(1), delete(2), delete(4), delete(5)]),
        (
            "wiped and made again",
            vec![
                AccountChange { wipe_storage: true, ..set(3, 1, 1, &[(1, 1)]) },
                AccountChange { wipe_storage: true, ..set(5, 9, 9, &[]) },
            ],
        ),
        ("nothing of an absent account", vec![keep(52, &[(100, 0)])]),
        ("others", vec![set(30, 2, 2, &[(1, 0)]), set(99, 1, 0, &[])]),
    ];
    for (name, end) in ends {
        let mut plain = StateTrie::open(config(), root).unwrap();
        plain.stage(end.clone());
        let expected = plain.root(&state).unwrap();
        for threads in [1, 3] {
            let config = TrieConfig { threads, ..config() };
            let mut trie = StateTrie::open(config, root).unwrap();
            trie.foresee(&state, on_the_way()).unwrap();
            trie.stage(end.clone());
            let update = trie.root(&state).unwrap();
            assert_eq!(update.root, expected.root, "{name}");
            let (mut one, mut other) = (state.clone(), state.clone());
            one.commit(&end, &update.updates);
            other.commit(&end, &expected.updates);
            assert!(one == other, "{name}: other things are stored");
        }
    }
}

#[test]
fn slots_of_an_account_that_was_only_foreseen_are_refused() {
    let (state, root) = committed();
    let mut trie = StateTrie::open(config(), root).unwrap();
    trie.foresee(&state, on_the_way()).unwrap();
    trie.stage([keep(52, &[(100, 1)])]);
    let error = trie.root(&state).unwrap_err();
    assert_eq!(error.to_string(), format!("storage without an account: {}", key(52)));
    // As it does without having foreseen anything, it goes on once there is one.
    trie.stage([set(52, 1, 1, &[])]);
    let update = trie.root(&state).unwrap();
    let mut plain = StateTrie::open(config(), root).unwrap();
    plain.stage([set(52, 1, 1, &[(100, 1)])]);
    assert_eq!(update.root, plain.root(&state).unwrap().root);
}

#[test]
fn nothing_is_foreseen_beside_certain_changes() {
    let (state, root) = committed();
    let mut trie = StateTrie::open(config(), root).unwrap();
    trie.stage([set(1, 2, 2, &[])]);
    trie.foresee(&state, on_the_way()).unwrap();
    trie.advance(&state).unwrap();
    trie.foresee(&state, on_the_way()).unwrap();
    let mut plain = StateTrie::open(config(), root).unwrap();
    plain.stage([set(1, 2, 2, &[])]);
    let (update, expected) = (trie.root(&state).unwrap(), plain.root(&state).unwrap());
    assert_eq!(update.root, expected.root);
    assert_eq!(update.updates, expected.updates);
}
