//! Bytes of any kind: nothing but a transaction is one, and a transaction has one form only.

use super::{CHAIN, sign, tx};
use crate::{PooledEnvelope, decode};
use alloy_consensus::{TxEip2930, TxEip7702};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use proptest::prelude::*;

/// One of each type that needs no proofs.
fn samples() -> Vec<Vec<u8>> {
    let access_list = AccessList(vec![AccessListItem {
        address: Address::repeat_byte(3),
        storage_keys: vec![B256::repeat_byte(4); 2],
    }]);
    let authorization =
        Authorization { chain_id: U256::from(CHAIN), address: Address::repeat_byte(5), nonce: 300 };
    let authorization = SignedAuthorization::new_unchecked(authorization, 1, U256::MAX, U256::ONE);
    let access_list =
        TxEip2930 { chain_id: CHAIN, gas_price: 1 << 70, access_list, ..Default::default() };
    let set_code = TxEip7702 {
        chain_id: CHAIN,
        nonce: 200,
        input: vec![7; 60].into(),
        authorization_list: vec![authorization; 2],
        ..Default::default()
    };
    vec![
        PooledEnvelope::Legacy(sign(super::legacy(0, Some(CHAIN)), 1)).encoded_2718(),
        PooledEnvelope::Legacy(sign(super::legacy(128, None), 1)).encoded_2718(),
        PooledEnvelope::Eip2930(sign(access_list, 1)).encoded_2718(),
        tx(1, 7).signed().to_vec(),
        PooledEnvelope::Eip7702(sign(set_code, 1)).encoded_2718(),
    ]
}

/// What decodes must encode to the same bytes, else its hash would not be that of what came.
fn check(bytes: &[u8]) -> bool {
    let Ok(tx) = decode(bytes) else { return false };
    assert_eq!(tx.encoded_2718(), bytes);
    assert_eq!(*tx.tx_hash(), keccak256(bytes));
    true
}

#[test]
fn every_type_is_decoded() {
    assert!(samples().iter().all(|sample| check(sample)));
}

#[test]
fn the_form_inside_a_block_is_not_the_network_form() {
    let wrapped = alloy_rlp::encode(samples()[3].as_slice());
    let words = decode(&wrapped).expect_err("a string").to_string();
    assert!(words.starts_with("rlp: unexpected string"), "{words}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_transaction_and_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn changed_bytes_are_another_transaction_or_none(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        check(&bytes);
    }
}
