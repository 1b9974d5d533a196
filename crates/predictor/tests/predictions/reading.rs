//! Contracts that nobody has called yet, predicted from their bytecode.

mod programs;

use super::{
    CONTRACT, Db, LIBRARY, branching, call, db, list_of_three, passing_through, predict, proxy,
    push, slots, slots_of, token, user, watch, word,
};
use alloy_primitives::{Address, U256};
use revm::{bytecode::opcode as op, context::TxEnv, state::EvmState};
use std::collections::BTreeSet;
use warpline_predictor::{AccessHint, AccessPredictor, BlockValues, Care, Gaps, Outlook, Source};

/// Predicts with nothing learned.
fn read(db: &Db, tx: &TxEnv) -> AccessHint {
    predict(&AccessPredictor::default(), db, tx, Care::Analytic)
}

/// What running it touches is what reading it finds.
#[track_caller]
fn assert_read(db: &Db, tx: &TxEnv) {
    let (hint, state) = (read(db, tx), watch(&mut AccessPredictor::default(), db, tx));
    assert_eq!(slots(&hint), slots_of(&state));
    assert_eq!(accounts(&hint), accounts_of(&state));
    let from_code = hint.slots().iter().all(|slot| matches!(slot.source, Source::Bytecode(_)));
    assert!(from_code, "{hint:?}");
    let Gaps { unseen_code, .. } = hint.gaps;
    assert!(unseen_code > 0);
    assert_eq!(hint.gaps, Gaps { unseen_code, ..Gaps::default() });
}

fn accounts(hint: &AccessHint) -> BTreeSet<Address> {
    hint.accounts().iter().map(|account| account.address).collect()
}

fn accounts_of(state: &EvmState) -> BTreeSet<Address> {
    state.keys().copied().collect()
}

#[test]
fn a_function_that_nobody_called_is_read_in_its_bytecode() {
    let arguments = [word(user(2)), U256::from(5)];
    let transfer = call(user(1), CONTRACT, 0xa9059cbb, &arguments);
    assert_read(&db(&[(CONTRACT, token())]), &transfer);
    let pass = |back: u64| [U256::from(9), U256::ZERO, U256::from(back)];
    let passing = db(&[(CONTRACT, passing_through())]);
    assert_read(&passing, &call(user(1), CONTRACT, 1, &pass(4)));
    assert_read(&passing, &call(user(1), CONTRACT, 1, &pass(9)));
    let branches = db(&[(CONTRACT, branching())]);
    for argument in [5_u64, 200] {
        assert_read(&branches, &call(user(1), CONTRACT, 1, &[U256::from(argument)]));
    }
    let mut behind = db(&[(CONTRACT, proxy()), (LIBRARY, token())]);
    behind.insert_account_storage(CONTRACT, U256::ZERO, word(LIBRARY)).unwrap();
    assert_read(&behind, &transfer);
}

#[test]
fn what_is_read_follows_earlier_predictions_of_the_block() {
    let db = db(&[(CONTRACT, list_of_three())]);
    let tx = call(user(1), CONTRACT, 1, &[]);
    let (block, predictor) = (BlockValues::default(), AccessPredictor::default());
    let (mut outlook, mut hint) = (Outlook::new(db), AccessHint::default());
    for expected in [[0, 0x100], [0, 0x101], [0, 0x102], [0, 0x200]] {
        predictor.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
        outlook.accept();
        let found: Vec<u64> = slots(&hint).iter().map(|(_, slot, _)| slot.to()).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_way_never_gone_is_read_instead() {
    let db = db(&[(CONTRACT, branching())]);
    let mut predictor = AccessPredictor::default();
    let of = |n: u64| call(user(1), CONTRACT, 1, &[U256::from(n)]);
    watch(&mut predictor, &db, &of(5));
    let hint = predict(&predictor, &db, &of(200), Care::Analytic);
    assert_eq!(slots(&hint), [(CONTRACT, U256::from(8), false)]);
    assert!(matches!(hint.slots()[0].source, Source::Bytecode(_)));
    assert_eq!(hint.gaps, Gaps { unseen_path: 1, ..Gaps::default() });
    let known = predict(&predictor, &db, &of(6), Care::Analytic);
    assert!(matches!(known.slots()[0].source, Source::Template(_)));
    assert_eq!(known.gaps, Gaps::default());
}

#[test]
fn what_broke_off_for_want_of_gas_is_read_on() {
    // Looks at the slots up to 99.
    let body = [op::DUP1, op::SLOAD, op::POP, op::PUSH1, 1, op::ADD];
    let again = [op::DUP1, op::PUSH1, 100, op::GT, op::PUSH1, 1, op::JUMPI, op::STOP];
    let code = [&[op::PUSH0, op::JUMPDEST][..], &body, &again].concat();
    let db = db(&[(CONTRACT, code)]);
    let tx = call(user(1), CONTRACT, 1, &[]);
    let mut predictor = AccessPredictor::default();
    let short = watch(&mut predictor, &db, &TxEnv { gas_limit: 60_000, ..tx.clone() });
    let hint = predict(&predictor, &db, &tx, Care::Analytic);
    let state = watch(&mut AccessPredictor::default(), &db, &tx);
    assert!(slots_of(&short).len() < 100);
    assert_eq!(slots(&hint), slots_of(&state));
    assert_eq!(hint.gaps, Gaps { cut_short: 1, ..Gaps::default() });
}

#[test]
fn what_was_read_is_known_until_an_execution_teaches_more() {
    let db = db(&[(CONTRACT, token())]);
    let mut predictor = AccessPredictor::default();
    let tx = call(user(1), CONTRACT, 1, &[word(user(2)), U256::from(5)]);
    let (mut outlook, mut hint) = (Outlook::new(db.clone()), AccessHint::default());
    let block = BlockValues::default();
    predictor.predict(&tx, &block, &mut outlook, Care::Quick, &mut hint);
    assert!(hint.slots().is_empty());
    predictor.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
    predictor.learn_read(&mut outlook);
    assert!(predictor.size() > 0);

    let other = call(user(3), CONTRACT, 1, &[word(user(4)), U256::from(5)]);
    let hint = predict(&predictor, &db, &other, Care::Quick);
    assert_eq!(slots(&hint), slots(&read(&db, &other)));
    assert_eq!(hint.gaps.unseen_code, 1);
    watch(&mut predictor, &db, &tx);
    let mut hint = predict(&predictor, &db, &other, Care::Quick);
    assert!(hint.slots().iter().all(|slot| matches!(slot.source, Source::Template(_))));
    assert_eq!(hint.gaps, Gaps::default());

    for (memory, keeps) in [(0, false), (1 << 20, true)] {
        let mut bounded = AccessPredictor::new(memory);
        bounded.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
        assert_eq!(slots(&hint).len(), 2);
        bounded.learn_read(&mut outlook);
        assert_eq!(bounded.size() > 0, keeps);
    }
}

#[test]
fn what_breaks_off_is_not_learned() {
    let endless = vec![op::PUSH0, op::SLOAD, op::POP, op::JUMPDEST, op::PUSH1, 3, op::JUMP];
    let (mut outlook, mut hint) = (Outlook::new(db(&[(CONTRACT, endless)])), AccessHint::default());
    let (block, mut predictor) = (BlockValues::default(), AccessPredictor::default());
    let tx = call(user(1), CONTRACT, 1, &[]);
    predictor.predict(&tx, &block, &mut outlook, Care::Analytic, &mut hint);
    assert_eq!((slots(&hint).len(), hint.gaps.cut_short), (1, 1));
    predictor.learn_read(&mut outlook);
    assert_eq!(predictor.size(), 0);
}

/// Looks at slot 2 if there is something on the stack, at slot 1 otherwise.
fn depending(mut start: Vec<u8>) -> Vec<u8> {
    let target = u8::try_from(start.len() + 7).unwrap();
    start.extend([op::PUSH1, target, op::JUMPI, op::PUSH1, 1, op::SLOAD, op::STOP]);
    start.extend([op::JUMPDEST, op::PUSH1, 2, op::SLOAD, op::STOP]);
    start
}

#[test]
fn what_a_creation_or_a_payment_changes_is_not_taken_as_known() {
    let create = [&[op::PUSH0; 4][..], &[op::CREATE2, op::EXTCODESIZE]].concat();
    let ask = [&push(word(user(5)))[..], &[op::BALANCE]].concat();
    let nothing = [op::PUSH0; 4];
    let pay = [&nothing[..], &[op::PUSH1, 1], &push(word(user(5))), &[op::GAS, op::CALL, op::POP]];
    let pays_before = [&pay.concat()[..], &ask].concat();
    for (start, undecided) in [(create, 1), (pays_before, 1), (ask, 0)] {
        let db = db(&[(CONTRACT, depending(start))]);
        let hint = read(&db, &call(user(1), CONTRACT, 1, &[]));
        assert_eq!(hint.gaps.undecided, undecided);
        if undecided == 0 {
            assert_eq!(slots(&hint), [(CONTRACT, U256::from(2), false)]);
        }
    }
}

#[test]
fn a_jump_to_nobody_knows_where_is_not_a_revert() {
    let unknown = Address::repeat_byte(0x14);
    let nothing = [op::PUSH0; 5];
    let start = [&nothing[..], &push(word(unknown)), &[op::GAS, op::CALL]].concat();
    for (jump, expected) in [(op::BLOBBASEFEE, 2), (op::PUSH0, 1)] {
        let code = vec![jump, op::JUMP];
        let db = db(&[(CONTRACT, depending(start.clone())), (unknown, code)]);
        let hint = read(&db, &call(user(1), CONTRACT, 1, &[]));
        assert_eq!(slots(&hint), [(CONTRACT, U256::from(expected), false)]);
    }
}

#[test]
fn there_is_gas_enough_but_nobody_knows_how_much() {
    let enough = [op::PUSH2, 0x27, 0x10, op::GAS, op::GT];
    let parity = [op::GAS, op::PUSH1, 1, op::AND];
    for (start, undecided) in [(enough.to_vec(), 0), (parity.to_vec(), 1)] {
        let hint = read(&db(&[(CONTRACT, depending(start))]), &call(user(1), CONTRACT, 1, &[]));
        assert_eq!(hint.gaps.undecided, undecided);
        assert!(undecided > 0 || slots(&hint) == [(CONTRACT, U256::from(2), false)]);
    }
}

#[test]
fn what_is_not_followed_to_its_end_leaves_a_gap() {
    // Slots n, n - 1, … 1, as many as a call may have steps for, and as there is gas for.
    let start = [op::PUSH2, 0x27, 0x10, op::JUMPDEST, op::DUP1, op::SLOAD, op::POP];
    let turn = [op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, 3, op::JUMPI, op::STOP];
    let many = db(&[(CONTRACT, [&start[..], &turn].concat())]);
    let plenty = call(user(1), CONTRACT, 1, &[]);
    let little = TxEnv { gas_limit: 30_000, ..plenty.clone() };
    let (most, least) = (read(&many, &plenty), read(&many, &little));
    assert_eq!((most.gaps.cut_short, least.gaps.cut_short), (1, 1));
    assert!(most.slots().len() > 1_000 && least.slots().len() < 500);

    let mut taught = AccessPredictor::default();
    watch(&mut taught, &many, &TxEnv { gas_limit: 16_000_000, ..plenty.clone() });
    let known = predict(&taught, &many, &plenty, Care::Quick);
    assert!(known.gaps.cut_short > 0 && known.slots().len() > 1_000);
}

#[test]
fn data_behind_the_code_is_where_the_code_ends() {
    let copy = [op::PUSH1, 32, op::PUSH1, 32, op::CODESIZE, op::SUB, op::PUSH0, op::CODECOPY];
    let code = [&copy[..], &[op::PUSH0, op::MLOAD, op::SLOAD, op::STOP], &[0x77; 32]].concat();
    assert_read(&db(&[(CONTRACT, code)]), &call(user(1), CONTRACT, 1, &[]));
}

#[test]
fn what_is_returned_can_be_asked_for_beyond_all_bounds() {
    let nothing = [op::PUSH0; 5];
    let start = [&nothing[..], &push(word(GETTER)), &[op::GAS, op::CALL]].concat();
    let copy = [op::PUSH1, 64, op::PUSH4, 0xff, 0xff, 0xff, 0xf0, op::PUSH0, op::RETURNDATACOPY];
    let code = [&start[..], &copy, &[op::PUSH1, 1, op::MLOAD, op::SLOAD, op::STOP]].concat();
    let hint = read(&world(code), &call(user(1), CONTRACT, 1, &[]));
    assert_eq!(hint.gaps.unseen_code, 2);
}

#[test]
fn a_guess_that_leads_to_a_revert_is_revised() {
    // Nothing is known of the price of blobs. One way looks at slot 1 and reverts.
    let start = [op::BLOBBASEFEE, op::PUSH1, 1, op::AND, op::PUSH1, 13, op::JUMPI];
    let reverts = [op::PUSH1, 1, op::SLOAD, op::PUSH0, op::PUSH0, op::REVERT];
    let ends = [op::JUMPDEST, op::PUSH1, 2, op::SLOAD, op::STOP];
    let code = [&start[..], &reverts, &ends].concat();
    let hint = read(&db(&[(CONTRACT, code)]), &call(user(1), CONTRACT, 1, &[]));
    let found: Vec<_> = slots(&hint).iter().map(|(_, slot, _)| slot.to::<u64>()).collect();
    assert_eq!(found, [1, 2]);
    assert_eq!(hint.gaps.undecided, 2);
}

#[test]
fn a_way_that_reverts_at_once_is_not_guessed() {
    let start = [op::BLOBBASEFEE, op::PUSH1, 1, op::AND, op::PUSH1, 10, op::JUMPI];
    let reverts = [op::PUSH0, op::PUSH0, op::REVERT];
    let ends = [op::JUMPDEST, op::PUSH1, 2, op::SLOAD, op::STOP];
    let code = [&start[..], &reverts, &ends].concat();
    let hint = read(&db(&[(CONTRACT, code)]), &call(user(1), CONTRACT, 1, &[]));
    assert_eq!(slots(&hint), [(CONTRACT, U256::from(2), false)]);
    assert_eq!(hint.gaps, Gaps { unseen_code: 1, ..Gaps::default() });
}

#[test]
fn reading_ends() {
    let endless = vec![op::JUMPDEST, op::PUSH0, op::JUMP];
    // Copies as much as it can, forever.
    let copies = [op::JUMPDEST, op::PUSH2, 0xff, 0xff, op::PUSH0, op::PUSH0, op::CALLDATACOPY];
    let copies = [&copies[..], &[op::PUSH0, op::JUMP]].concat();
    let itself = [op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0, op::ADDRESS, op::GAS];
    let itself = [&[op::JUMPDEST][..], &itself, &[op::CALL, op::POP, op::PUSH0, op::JUMP]].concat();
    for code in [endless, copies, itself] {
        let hint = read(&db(&[(CONTRACT, code)]), &call(user(1), CONTRACT, 1, &[]));
        assert!(hint.gaps.cut_short > 0, "{hint:?}");
    }
}

/// Returns what the slot holds that its argument names.
const GETTER: Address = Address::repeat_byte(0x12);
/// Writes a slot, and reverts.
const REVERTER: Address = Address::repeat_byte(0x13);

fn target_of(n: u8) -> Address {
    [LIBRARY, GETTER, REVERTER, user(5), user(0x77)][usize::from(n)]
}

fn world(code: Vec<u8>) -> Db {
    let load = [op::PUSH1, 4, op::CALLDATALOAD, op::SLOAD, op::PUSH0, op::MSTORE];
    let getter = [&load[..], &[op::PUSH1, 32, op::PUSH0, op::RETURN]].concat();
    let write = [op::PUSH1, 1, op::PUSH1, 2, op::SSTORE];
    let reverter = [&write[..], &[op::PUSH0, op::PUSH0, op::REVERT]].concat();
    let contracts = [(CONTRACT, code), (LIBRARY, token()), (GETTER, getter), (REVERTER, reverter)];
    let mut db = db(&contracts);
    for contract in [CONTRACT, GETTER] {
        for slot in 0..16_u64 {
            let value = U256::from(slot * 7 % 11);
            db.insert_account_storage(contract, U256::from(slot), value).unwrap();
        }
    }
    db
}
