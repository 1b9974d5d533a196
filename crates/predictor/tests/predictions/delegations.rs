//! Accounts that hand their calls on (EIP-7702), some of them only in the transaction itself.

use super::{
    CONTRACT, Db, LIBRARY, assert_exact, call, db, passing_through, predict, slots, slots_of,
    token, try_out, user, watch, word,
};
use alloy_primitives::{Address, U256};
use revm::{
    Database,
    bytecode::Bytecode,
    context::{
        TxEnv,
        either::Either,
        transaction::{RecoveredAuthority, RecoveredAuthorization},
    },
    context_interface::transaction::Authorization,
    primitives::StorageKey,
    state::{AccountInfo, EvmState},
};
use warpline_predictor::{AccessHint, AccessPredictor, BlockValues, Care, Outlook};

/// A transaction of user 1 that calls an account, after authorizations, all those of one account
/// in their order.
fn authorized(to: Address, chain_id: u64, signed: &[(Address, Address)]) -> TxEnv {
    let signed = signed.iter().zip(0..).map(|((authority, address), nonce)| {
        let chain_id = U256::from(chain_id);
        let authorization = Authorization { chain_id, address: *address, nonce };
        let authority = RecoveredAuthority::Valid(*authority);
        Either::Right(RecoveredAuthorization::new_unchecked(authorization, authority))
    });
    TxEnv {
        tx_type: 4,
        authorization_list: signed.collect(),
        gas_priority_fee: Some(0),
        ..call(user(1), to, 1, &[word(user(2)), U256::from(5)])
    }
}

fn delegated(db: &mut Db, account: Address, to: Address) {
    let code = Bytecode::new_eip7702(to);
    db.insert_account_info(account, AccountInfo { nonce: 0, ..AccountInfo::from_bytecode(code) });
}

/// Slots and accounts that a transaction touches on `db`.
fn touched(db: &Db, tx: &TxEnv) -> (Vec<(Address, StorageKey, bool)>, Vec<Address>) {
    let state: EvmState = try_out(&mut AccessPredictor::default(), db.clone(), tx);
    let mut accounts: Vec<_> = state.keys().copied().collect();
    accounts.sort_unstable();
    (slots_of(&state), accounts)
}

fn expected(hint: &AccessHint) -> (Vec<(Address, StorageKey, bool)>, Vec<Address>) {
    let mut accounts: Vec<_> = hint.accounts().iter().map(|account| account.address).collect();
    accounts.sort_unstable();
    (slots(hint), accounts)
}

#[test]
fn what_a_transaction_delegates_is_followed_in_it() {
    let mut db = db(&[(CONTRACT, token()), (LIBRARY, passing_through())]);
    delegated(&mut db, user(8), LIBRARY);
    let mut predictor = AccessPredictor::default();
    watch(&mut predictor, &db, &call(user(1), CONTRACT, 1, &[word(user(3)), U256::from(7)]));
    for signed in [
        // An account that had no code, one that had another, and one that has none any more.
        &[(user(7), CONTRACT)][..],
        &[(user(8), CONTRACT)],
        &[(user(8), Address::ZERO)],
        // The last one counts.
        &[(user(7), LIBRARY), (user(7), CONTRACT)],
    ] {
        let tx = authorized(signed[0].0, 1, signed);
        for care in [Care::Quick, Care::Analytic] {
            let hint = predict(&predictor, &db, &tx, care);
            assert_eq!(expected(&hint), touched(&db, &tx), "{signed:?}");
        }
    }
}

#[test]
fn a_delegation_stays_for_the_transactions_after_it() {
    let db = db(&[(CONTRACT, token())]);
    let (mut outlook, mut hint) = (Outlook::new(db), AccessHint::default());
    let block = BlockValues { chain_id: 1, ..Default::default() };
    let predictor = AccessPredictor::default();
    let signing = authorized(user(2), 1, &[(user(7), CONTRACT)]);
    let later = call(user(1), user(7), 1, &[word(user(2)), U256::from(5)]);
    for (accepted, found) in [(false, 0), (true, 2)] {
        predictor.predict(&signing, &block, &mut outlook, Care::Analytic, &mut hint);
        if accepted {
            outlook.accept();
        }
        predictor.predict(&later, &block, &mut outlook, Care::Analytic, &mut hint);
        assert_eq!(hint.slots().len(), found);
        // What trials and `EXTCODEHASH` see.
        let seen = outlook.expected().basic(user(7)).unwrap().unwrap();
        assert_eq!(seen.code.is_some_and(|code| code.is_eip7702()), accepted);
    }
}

#[test]
fn authorizations_for_another_chain_of_long_ago_or_by_a_contract_change_nothing() {
    let db = db(&[(CONTRACT, token()), (LIBRARY, passing_through())]);
    let mut predictor = AccessPredictor::default();
    watch(&mut predictor, &db, &call(user(1), CONTRACT, 1, &[word(user(3)), U256::from(7)]));
    let foreign = authorized(user(2), 5, &[(user(7), CONTRACT)]);
    let hint = predict(&predictor, &db, &foreign, Care::Analytic);
    assert_eq!(expected(&hint), touched(&db, &foreign));
    let mut used = db.clone();
    used.insert_account_info(user(7), AccountInfo { nonce: 5, ..Default::default() });
    let stale = authorized(user(7), 1, &[(user(7), CONTRACT)]);
    let hint = predict(&predictor, &used, &stale, Care::Analytic);
    assert_eq!(slots(&hint), touched(&used, &stale).0);
    let contract = authorized(CONTRACT, 0, &[(CONTRACT, LIBRARY)]);
    let hint = predict(&predictor, &db, &contract, Care::Analytic);
    assert_eq!(slots(&hint), touched(&db, &contract).0);
}

#[test]
fn a_delegation_to_a_delegation_or_to_a_precompile_runs_nothing() {
    let mut db = db(&[(CONTRACT, token())]);
    delegated(&mut db, user(7), user(8));
    delegated(&mut db, user(8), CONTRACT);
    delegated(&mut db, user(9), Address::with_last_byte(4));
    let mut predictor = AccessPredictor::default();
    watch(&mut predictor, &db, &call(user(1), CONTRACT, 1, &[word(user(3)), U256::from(7)]));
    for account in [user(7), user(9)] {
        let tx = call(user(1), account, 1, &[word(user(2)), U256::from(5)]);
        let hint = predict(&predictor, &db, &tx, Care::Analytic);
        assert_eq!(expected(&hint), touched(&db, &tx));
        assert_eq!(hint.gaps, Default::default());
    }
    assert_exact(&predictor, &db, &call(user(1), user(8), 1, &[word(user(2)), U256::from(5)]));
}
