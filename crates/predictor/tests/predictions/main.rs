//! Small contracts that are watched, and then predicted with other arguments.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod archive;
mod delegations;
mod reading;

use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use core::convert::Infallible;
use revm::{
    Context, Database, InspectEvm, MainBuilder, MainContext,
    bytecode::{Bytecode, opcode as op},
    context::{
        TxEnv,
        either::Either,
        transaction::{AccessList, AccessListItem, RecoveredAuthority, RecoveredAuthorization},
    },
    context_interface::transaction::Authorization,
    database::{CacheDB, EmptyDB},
    primitives::StorageKey,
    state::{AccountInfo, EvmState},
};
use warpline_predictor::{
    AccessHint, AccessPredictor, BlockValues, Care, Outlook, Recorder, Source, TrialState,
};

const CONTRACT: Address = Address::repeat_byte(0xc0);
const LIBRARY: Address = Address::repeat_byte(0x11);

type Db = CacheDB<EmptyDB>;

fn user(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn word(address: Address) -> U256 {
    U256::from_be_bytes(address.into_word().0)
}

/// Where a Solidity mapping in slot `base` keeps the entry of `key`.
fn entry(key: U256, base: u8) -> U256 {
    let preimage = [key.to_be_bytes::<32>(), U256::from(base).to_be_bytes()].concat();
    keccak256(preimage).into()
}

fn push(word: U256) -> Vec<u8> {
    [&[op::PUSH32][..], &word.to_be_bytes::<32>()].concat()
}

/// The slot of the mapping entry whose key is on the stack.
fn hashed(base: u8) -> Vec<u8> {
    let base = [op::PUSH1, base, op::PUSH1, 32, op::MSTORE];
    [&[op::PUSH0, op::MSTORE][..], &base, &[op::PUSH1, 64, op::PUSH0, op::KECCAK256]].concat()
}

/// Adds a word of the calldata to the slot on the stack.
fn add_to_slot() -> Vec<u8> {
    vec![op::DUP1, op::SLOAD, op::PUSH1, 36, op::CALLDATALOAD, op::ADD, op::SWAP1, op::SSTORE]
}

/// `balances[caller] += amount; balances[to] += amount`, for calldata `selector, to, amount`.
fn token() -> Vec<u8> {
    let to = [op::PUSH1, 4, op::CALLDATALOAD];
    [&[op::CALLER][..], &hashed(3), &add_to_slot(), &to, &hashed(3), &add_to_slot(), &[op::STOP]]
        .concat()
}

fn db(contracts: &[(Address, Vec<u8>)]) -> Db {
    let mut db = Db::default();
    for (address, code) in contracts {
        let code = Bytecode::new_raw(code.clone().into());
        db.insert_account_info(*address, AccountInfo::from_bytecode(code));
    }
    for n in 1..=9 {
        let info =
            AccountInfo { balance: U256::from(10).pow(U256::from(20)), ..Default::default() };
        db.insert_account_info(user(n), info);
    }
    db
}

fn call(from: Address, to: Address, selector: u32, args: &[U256]) -> TxEnv {
    let mut data = selector.to_be_bytes().to_vec();
    args.iter().for_each(|arg| data.extend(arg.to_be_bytes::<32>()));
    TxEnv {
        caller: from,
        kind: TxKind::Call(to),
        data: data.into(),
        gas_limit: 1_000_000,
        ..Default::default()
    }
}

/// Runs a transaction on `db`, which stays as it is, and learns from it.
fn watch(predictor: &mut AccessPredictor, db: &Db, tx: &TxEnv) -> EvmState {
    try_out(predictor, db.clone(), tx)
}

fn try_out<DB: Database<Error = Infallible>>(
    predictor: &mut AccessPredictor,
    db: DB,
    tx: &TxEnv,
) -> EvmState {
    let context = Context::mainnet().with_db(TrialState::new(db, tx.caller, tx.nonce));
    let mut evm = context.build_mainnet_with_inspector(Recorder::default());
    let outcome = evm.inspect_tx(tx.clone()).unwrap();
    let lessons = evm.inspector.finish();
    predictor.learn(&lessons, &outcome.state);
    outcome.state
}

fn predict(predictor: &AccessPredictor, db: &Db, tx: &TxEnv, care: Care) -> AccessHint {
    let mut hint = AccessHint::default();
    let block = BlockValues { chain_id: 1, prevrandao: Some(U256::ZERO), ..Default::default() };
    predictor.predict(tx, &block, &mut Outlook::new(db.clone()), care, &mut hint);
    hint
}

/// Slots with whether they are written, in order.
fn slots(hint: &AccessHint) -> Vec<(Address, U256, bool)> {
    let mut slots: Vec<_> =
        hint.slots().iter().map(|slot| (slot.address, slot.slot, slot.written)).collect();
    slots.sort_unstable();
    slots
}

fn slots_of(state: &EvmState) -> Vec<(Address, StorageKey, bool)> {
    let of = |(address, account): (&Address, &revm::state::Account)| {
        let address = *address;
        let slots = account.storage.iter();
        slots.map(move |(slot, value)| (address, *slot, value.is_changed())).collect::<Vec<_>>()
    };
    let mut slots: Vec<_> = state.iter().flat_map(of).collect();
    slots.sort_unstable();
    slots
}

/// What happens is what was expected, without a doubt.
#[track_caller]
fn assert_exact(predictor: &AccessPredictor, db: &Db, tx: &TxEnv) {
    for care in [Care::Quick, Care::Thorough] {
        let hint = predict(predictor, db, tx, care);
        let state = watch(&mut predictor.clone(), db, tx);
        assert_eq!(slots(&hint), slots_of(&state));
        let mut expected: Vec<_> = hint.accounts().iter().map(|a| a.address).collect();
        let mut touched: Vec<_> = state.keys().copied().collect();
        expected.sort_unstable();
        touched.sort_unstable();
        assert_eq!(expected, touched);
        assert_eq!(hint.gaps, Default::default());
    }
}

#[test]
fn entries_of_a_mapping_follow_from_caller_and_calldata() {
    let db = db(&[(CONTRACT, token())]);
    let mut predictor = AccessPredictor::default();
    let first = call(user(1), CONTRACT, 0xa9059cbb, &[word(user(2)), U256::from(5)]);
    assert!(predict(&predictor, &db, &first, Care::Quick).slots().is_empty());
    watch(&mut predictor, &db, &first);
    let second = call(user(3), CONTRACT, 0xa9059cbb, &[word(user(4)), U256::from(9)]);
    let hint = predict(&predictor, &db, &second, Care::Quick);
    let (from, to) = (entry(word(user(3)), 3), entry(word(user(4)), 3));
    let mut expected = vec![(CONTRACT, from, true), (CONTRACT, to, true)];
    expected.sort_unstable();
    assert_eq!(slots(&hint), expected);
    assert!(hint.slots().iter().all(|slot| matches!(slot.source, Source::Template(_))));
    assert_exact(&predictor, &db, &second);
}

/// `balances[caller] += a; balances[caller] -= b`, for calldata `selector, a, b`.
fn passing_through() -> Vec<u8> {
    let subtract = [op::DUP1, op::SLOAD, op::PUSH1, 68, op::CALLDATALOAD, op::SWAP1, op::SUB];
    let subtract = [&subtract[..], &[op::SWAP1, op::SSTORE]].concat();
    let add = [op::DUP1, op::SLOAD, op::PUSH1, 4, op::CALLDATALOAD, op::ADD, op::SWAP1, op::SSTORE];
    let caller = [&[op::CALLER][..], &hashed(3)].concat();
    let unused = [op::PUSH1, 36, op::CALLDATALOAD, op::POP];
    [&caller[..], &add, &unused, &caller, &subtract, &[op::STOP]].concat()
}

#[test]
fn what_only_passes_through_a_slot_does_not_change_it() {
    let db = db(&[(CONTRACT, passing_through())]);
    let mut predictor = AccessPredictor::default();
    let pass = |from, a: u64, b: u64| {
        call(user(from), CONTRACT, 5, &[U256::from(a), U256::ZERO, U256::from(b)])
    };
    watch(&mut predictor, &db, &pass(1, 9, 4));
    assert_exact(&predictor, &db, &pass(2, 8, 3));
    assert_exact(&predictor, &db, &pass(3, 7, 7));
    let hint = predict(&predictor, &db, &pass(3, 7, 7), Care::Quick);
    assert!(slots(&hint).iter().all(|(_, _, written)| !written), "{hint:?}");
}

#[test]
fn contracts_of_equal_code_share_what_is_known() {
    let other = Address::repeat_byte(0xc1);
    let db = db(&[(CONTRACT, token()), (other, token())]);
    let mut predictor = AccessPredictor::default();
    watch(&mut predictor, &db, &call(user(1), CONTRACT, 1, &[word(user(2)), U256::from(5)]));
    assert_exact(&predictor, &db, &call(user(3), other, 1, &[word(user(4)), U256::from(1)]));
}

/// Slot 7 if the argument is below 100, slot 8 otherwise.
fn branching() -> Vec<u8> {
    let start = [op::PUSH1, 100, op::PUSH1, 4, op::CALLDATALOAD, op::LT, op::PUSH1, 14, op::JUMPI];
    let above = [op::PUSH1, 8, op::SLOAD, op::STOP];
    let below = [op::JUMPDEST, op::PUSH1, 7, op::SLOAD, op::STOP];
    [&start[..], &above, &[op::INVALID], &below].concat()
}

#[test]
fn a_way_never_gone_is_noticed_and_then_known() {
    let db = db(&[(CONTRACT, branching())]);
    let mut predictor = AccessPredictor::default();
    let of = |n: u64| call(user(1), CONTRACT, 1, &[U256::from(n)]);
    watch(&mut predictor, &db, &of(5));
    assert_exact(&predictor, &db, &of(99));
    assert_eq!(predict(&predictor, &db, &of(100), Care::Thorough).gaps.unseen_path, 1);
    watch(&mut predictor, &db, &of(200));
    assert_exact(&predictor, &db, &of(99));
    assert_exact(&predictor, &db, &of(100));
}

/// Hands its calldata on to the contract in slot 0.
fn proxy() -> Vec<u8> {
    let copy = [op::CALLDATASIZE, op::PUSH0, op::PUSH0, op::CALLDATACOPY];
    let call = [
        op::PUSH0,
        op::PUSH0,
        op::CALLDATASIZE,
        op::PUSH0,
        op::PUSH0,
        op::SLOAD,
        op::GAS,
        op::DELEGATECALL,
        op::STOP,
    ];
    [&copy[..], &call].concat()
}

#[test]
fn a_proxy_is_followed_to_the_implementation_that_it_has_now() {
    let mut db = db(&[(CONTRACT, proxy()), (LIBRARY, token())]);
    db.insert_account_storage(CONTRACT, U256::ZERO, word(LIBRARY)).unwrap();
    let mut predictor = AccessPredictor::default();
    let arguments = [word(user(2)), U256::from(5)];
    watch(&mut predictor, &db, &call(user(1), CONTRACT, 1, &arguments));
    assert_exact(&predictor, &db, &call(user(3), CONTRACT, 1, &[word(user(4)), U256::from(6)]));

    let newer = Address::repeat_byte(0x22);
    let code = Bytecode::new_raw(branching().into());
    db.insert_account_info(newer, AccountInfo::from_bytecode(code));
    db.insert_account_storage(CONTRACT, U256::ZERO, word(newer)).unwrap();
    let upgraded = call(user(1), CONTRACT, 1, &[U256::from(5)]);
    assert_eq!(predict(&predictor, &db, &upgraded, Care::Quick).gaps.unseen_code, 1);
    watch(&mut predictor, &db, &upgraded);
    assert_exact(&predictor, &db, &upgraded);
}

#[test]
fn slots_can_depend_on_values_of_slots() {
    // `entries[slot 0] += amount`
    let code = [&[op::PUSH0, op::SLOAD][..], &hashed(5), &add_to_slot(), &[op::STOP]].concat();
    let mut db = db(&[(CONTRACT, code)]);
    let mut predictor = AccessPredictor::default();
    let tx = call(user(1), CONTRACT, 1, &[U256::ZERO, U256::from(4)]);
    watch(&mut predictor, &db, &tx);
    for index in [1, 77] {
        db.insert_account_storage(CONTRACT, U256::ZERO, U256::from(index)).unwrap();
        assert_exact(&predictor, &db, &tx);
    }
}

#[test]
fn a_counter_is_followed_through_a_block() {
    // `entries[slot 0] += amount; slot 0 += 1`
    let start = [op::PUSH0, op::SLOAD];
    let end = [op::PUSH0, op::SLOAD, op::PUSH1, 1, op::ADD, op::PUSH0, op::SSTORE, op::STOP];
    let code = [&start[..], &hashed(5), &add_to_slot(), &end].concat();
    let mut db = db(&[(CONTRACT, code)]);
    db.insert_account_storage(CONTRACT, U256::ZERO, U256::from(70)).unwrap();
    let mut predictor = AccessPredictor::default();
    let tx = call(user(1), CONTRACT, 1, &[U256::ZERO, U256::from(4)]);
    watch(&mut predictor, &db, &tx);
    let (mut outlook, mut hint) = (Outlook::new(db), AccessHint::default());
    for n in 70..100 {
        let block = BlockValues::default();
        for _ in 0..2 {
            predictor.predict(&tx, &block, &mut outlook, Care::Quick, &mut hint);
        }
        outlook.accept();
        let expected = (CONTRACT, entry(U256::from(n), 5), true);
        assert!(slots(&hint).contains(&expected), "{n}");
        assert_eq!(hint.slots().len(), 2);
    }
}

/// `n = items.length; items[n] = n; items.length = n + 1`, unless three are there, which end it.
fn list_of_three() -> Vec<u8> {
    let full = [op::PUSH0, op::SLOAD, op::DUP1, op::PUSH1, 3, op::EQ, op::PUSH1, 23, op::JUMPI];
    let place = [op::DUP1, op::PUSH2, 1, 0, op::ADD, op::DUP2, op::SWAP1, op::SSTORE];
    let count = [op::PUSH1, 1, op::ADD, op::PUSH0, op::SSTORE, op::STOP, op::JUMPDEST];
    [&full[..], &place, &count, &[op::PUSH2, 2, 0, op::SSTORE, op::STOP]].concat()
}

#[test]
fn trials_follow_each_other_through_a_block_as_their_transactions_do() {
    let db = db(&[(CONTRACT, list_of_three())]);
    let tx = call(user(1), CONTRACT, 1, &[]);
    let block = BlockValues { chain_id: 1, ..Default::default() };
    let mut outlook = Outlook::new(db);
    let touched: [&[(u64, bool)]; 4] = [
        &[(0, true), (0x100, false)],
        &[(0, true), (0x101, true)],
        &[(0, true), (0x102, true)],
        &[(0, false), (0x200, true)],
    ];
    for expected in touched {
        // Nothing is known each time: what follows comes from the trials alone.
        let (mut predictor, mut hint) = (AccessPredictor::default(), AccessHint::default());
        predictor.predict(&tx, &block, &mut outlook, Care::Thorough, &mut hint);
        assert!(hint.gaps.may_be_filled() && hint.slots().is_empty());
        let outcome = try_out(&mut predictor, outlook.expected(), &tx);
        hint.tried(&outcome);
        outlook.accept_trial(&outcome);
        let mut slots: Vec<_> =
            hint.slots().iter().map(|slot| (slot.slot.to::<u64>(), slot.written)).collect();
        slots.sort_unstable();
        assert_eq!(slots, expected);
        assert!(hint.slots().iter().all(|slot| slot.source == Source::Trial));
        assert!(hint.accounts().iter().any(|account| account.address == CONTRACT));
    }
}

/// Init code that sets slot 7 of the contract, which adds to its slot 5 when called.
fn init_code() -> Vec<u8> {
    let code = [&[op::PUSH1, 5][..], &add_to_slot()].concat();
    let set = [op::PUSH1, 9, op::PUSH1, 7, op::SSTORE];
    let len = code.len() as u8;
    let copy = [op::PUSH1, len, op::PUSH1, 17, op::PUSH0, op::CODECOPY];
    let deploy = [op::PUSH1, len, op::PUSH0, op::RETURN];
    [&set[..], &copy, &deploy, &[op::STOP, op::STOP], &code].concat()
}

/// Creates a contract of the calldata.
fn factory() -> Vec<u8> {
    let copy = [op::CALLDATASIZE, op::PUSH0, op::PUSH0, op::CALLDATACOPY];
    [&copy[..], &[op::CALLDATASIZE, op::PUSH0, op::PUSH0, op::CREATE, op::STOP]].concat()
}

#[test]
fn what_a_trial_creates_is_there_for_the_transactions_after_it() {
    let db = db(&[(CONTRACT, factory())]);
    let block = BlockValues { chain_id: 1, ..Default::default() };
    let (mut predictor, mut outlook) = (AccessPredictor::default(), Outlook::new(db));
    let mut slots_after_trial = |tx: &TxEnv| {
        let mut hint = AccessHint::default();
        predictor.predict(tx, &block, &mut outlook, Care::Thorough, &mut hint);
        let creates = tx.kind == TxKind::Create || tx.data == init_code();
        if hint.gaps.may_be_filled() {
            assert!(hint.gaps.may_teach() || creates && hint.gaps.creations == 1);
            let outcome = try_out(&mut predictor, outlook.expected(), tx);
            hint.tried(&outcome);
            outlook.accept_trial(&outcome);
        }
        slots(&hint)
    };
    let created = user(1).create(0);
    let creation =
        TxEnv { kind: TxKind::Create, data: init_code().into(), ..call(user(1), created, 0, &[]) };
    assert_eq!(slots_after_trial(&creation), [(created, U256::from(7), true)]);
    let adds = call(user(2), created, 0, &[U256::ZERO, U256::ONE]);
    assert_eq!(slots_after_trial(&adds), [(created, U256::from(5), true)]);

    let through = |from| TxEnv { data: init_code().into(), ..call(from, CONTRACT, 0, &[]) };
    for nonce in 1..=3 {
        let child = CONTRACT.create(nonce);
        assert_eq!(slots_after_trial(&through(user(3))), [(child, U256::from(7), true)], "{nonce}");
    }
}

#[test]
fn ether_that_is_sent_on_is_a_credit_whose_order_does_not_matter() {
    // Sends what it is paid to the address in the calldata.
    let zeros = [op::PUSH0; 4];
    let target = [op::CALLVALUE, op::PUSH1, 4, op::CALLDATALOAD, op::GAS, op::CALL, op::STOP];
    let db = db(&[(CONTRACT, [&zeros[..], &target].concat())]);
    let mut predictor = AccessPredictor::default();
    let pay = |from, to| TxEnv {
        value: U256::from(100),
        ..call(user(from), CONTRACT, 1, &[word(user(to))])
    };
    watch(&mut predictor, &db, &pay(1, 2));
    let hint = predict(&predictor, &db, &pay(3, 4), Care::Quick);
    let of = |address| hint.accounts().iter().find(|a| a.address == address).unwrap();
    assert!(of(user(4)).written && of(user(4)).commutative);
    assert!(of(CONTRACT).written && !of(CONTRACT).commutative);
    assert!(of(user(3)).written && !of(user(3)).commutative);
    assert_exact(&predictor, &db, &pay(3, 4));
}

#[test]
fn what_a_transaction_announces_is_expected() {
    let (listed, signer) = (user(7), user(8));
    let item = AccessListItem { address: listed, storage_keys: vec![U256::from(4).into()] };
    let authorization = Authorization { chain_id: U256::ONE, address: LIBRARY, nonce: 0 };
    let authority = RecoveredAuthority::Valid(signer);
    let signed = RecoveredAuthorization::new_unchecked(authorization, authority);
    let tx = TxEnv {
        access_list: AccessList(vec![item]),
        authorization_list: vec![Either::Right(signed)],
        ..call(user(1), user(2), 1, &[])
    };
    let hint = predict(&AccessPredictor::default(), &db(&[]), &tx, Care::Quick);
    assert_eq!(slots(&hint), [(listed, U256::from(4), false)]);
    let of = |address| hint.accounts().iter().find(|a| a.address == address).unwrap();
    assert_eq!(of(listed).source, Source::AccessList);
    assert!(of(signer).written && !of(signer).commutative);
    assert_eq!(of(user(1)).source, Source::Envelope);
}

#[test]
fn what_was_learned_last_is_kept_where_memory_is_short() {
    // The same function with another constant in each code.
    let code = |n: u32| [&push(U256::from(n))[..], &[op::SLOAD, op::STOP]].concat();
    let address = |n: u32| Address::left_padding_from(&(0x10_0000 + n).to_be_bytes());
    let contracts: Vec<_> = (0..200).map(|n| (address(n), code(n))).collect();
    let db = db(&contracts);
    let mut predictor = AccessPredictor::new(40_000);
    for n in 0..200 {
        watch(&mut predictor, &db, &call(user(1), address(n), 1, &[]));
        assert!(predictor.size() <= 40_000);
        // The first one is in use all the time.
        watch(&mut predictor, &db, &call(user(1), address(0), 1, &[]));
    }
    assert!(predictor.len() < 200 && predictor.len() > 10, "{}", predictor.len());
    assert_exact(&predictor, &db, &call(user(2), address(0), 1, &[]));
    assert_exact(&predictor, &db, &call(user(2), address(199), 1, &[]));
    let forgotten = call(user(2), address(1), 1, &[]);
    assert_eq!(predict(&predictor, &db, &forgotten, Care::Quick).gaps.unseen_code, 1);
}

#[test]
fn calldata_of_any_length_and_loops_do_not_get_out_of_hand() {
    // Reads slot n, n - 1, …, 1, for n in the calldata.
    let code = [
        op::PUSH1,
        4,
        op::CALLDATALOAD,
        op::JUMPDEST,
        op::DUP1,
        op::SLOAD,
        op::POP,
        op::PUSH1,
        1,
        op::SWAP1,
        op::SUB,
        op::DUP1,
        op::PUSH1,
        3,
        op::JUMPI,
        op::STOP,
    ];
    let db = db(&[(CONTRACT, code.to_vec())]);
    let mut predictor = AccessPredictor::default();
    let of = |n: u64| call(user(1), CONTRACT, 1, &[U256::from(n)]);
    for n in [3, 1, 2, 400, 5] {
        watch(&mut predictor, &db, &of(n));
    }
    for n in [1, 2, 3, 5, 400] {
        assert_exact(&predictor, &db, &of(n));
    }
    let short = TxEnv { data: Bytes::from_static(&[1, 2]), ..of(1) };
    assert!(predict(&predictor, &db, &short, Care::Thorough).slots().len() <= 400);
}
