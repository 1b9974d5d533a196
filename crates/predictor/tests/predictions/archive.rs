//! What was learned, as bytes and back: whole, damaged, and forged.

use super::{
    CONTRACT, Db, LIBRARY, assert_exact, branching, call, db, predict, proxy, token, user, watch,
    word,
};
use alloy_primitives::{Address, U256, keccak256};
use proptest::prelude::*;
use revm::context::TxEnv;
use warpline_predictor::{AccessPredictor, Care};

/// Knowledge of a proxy, a token, and a function with two ways.
fn knowledge() -> (AccessPredictor, Db, Vec<TxEnv>) {
    let other = Address::repeat_byte(0xc1);
    let mut db = db(&[(CONTRACT, proxy()), (LIBRARY, token()), (other, branching())]);
    db.insert_account_storage(CONTRACT, U256::ZERO, word(LIBRARY)).unwrap();
    let mut predictor = AccessPredictor::default();
    let transactions = vec![
        call(user(1), CONTRACT, 1, &[word(user(2)), U256::from(5)]),
        call(user(1), other, 1, &[U256::from(5)]),
        call(user(1), other, 1, &[U256::from(500)]),
    ];
    for tx in &transactions {
        watch(&mut predictor, &db, tx);
    }
    (predictor, db, transactions)
}

fn archive(predictor: &AccessPredictor) -> Vec<u8> {
    let mut bytes = Vec::new();
    predictor.save(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_written_down_is_known_again() {
    let (predictor, db, transactions) = knowledge();
    let bytes = archive(&predictor);
    let mut read = AccessPredictor::default();
    read.load(&bytes[..]).unwrap();
    assert_eq!(archive(&read), bytes);
    assert_eq!((read.len(), read.size()), (predictor.len(), predictor.size()));
    for tx in &transactions {
        assert_exact(&read, &db, tx);
        watch(&mut read, &db, tx);
    }
    let size = read.size();
    read.load(&bytes[..]).unwrap();
    assert_eq!((read.len(), read.size()), (predictor.len(), size));
    let mut small = AccessPredictor::new(predictor.size() - 1);
    small.load(&bytes[..]).unwrap();
    assert!(small.len() < predictor.len() && small.size() <= small.memory());
}

#[test]
fn an_archive_ends_where_it_should() {
    let bytes = archive(&knowledge().0);
    let problem = |bytes: &[u8]| AccessPredictor::default().load(bytes).unwrap_err().to_string();
    assert_eq!(problem(&bytes[..bytes.len() - 1]), "it ends in the middle");
    assert_eq!(problem(&[]), "it ends in the middle");
    assert_eq!(problem(&[&bytes[..], b"x"].concat()), "something follows the checksum");
}

proptest! {
    #[test]
    fn a_damaged_archive_is_refused_and_adds_nothing(
        at: prop::sample::Index,
        bit in 0_u8..8,
        cut: bool,
    ) {
        let mut bytes = archive(&knowledge().0);
        let at = at.index(bytes.len());
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] ^= 1 << bit,
        }
        let mut read = AccessPredictor::default();
        prop_assert!(read.load(&bytes[..]).is_err());
        prop_assert!(read.is_empty() && read.size() == 0);
    }

    #[test]
    fn a_forged_archive_does_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (predictor, db, transactions) = knowledge();
        let mut bytes = archive(&predictor);
        let end = bytes.len() - 32;
        for (at, byte) in changes {
            bytes[at.index(end)] = byte;
        }
        let checksum = keccak256(&bytes[..end]);
        bytes[end..].copy_from_slice(checksum.as_slice());
        let mut read = AccessPredictor::default();
        if read.load(&bytes[..]).is_ok() {
            for tx in &transactions {
                predict(&read, &db, tx, Care::Thorough);
                watch(&mut read, &db, tx);
            }
        }
    }
}
