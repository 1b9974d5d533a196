//! Senders whose balance others can move (EIP-7702).

use super::{Bench, CHAIN, address, key_address, rich, sign, sign_hash, tx};
use crate::{AccountCode, Added, Origin, PoolAccount, PoolConfig, PoolError, PooledEnvelope};
use alloy_consensus::TxEip7702;
use alloy_eips::{
    eip2718::Encodable2718,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, U256};

fn authorize(authority: u8, nonce: u64) -> SignedAuthorization {
    let authorization =
        Authorization { chain_id: U256::from(CHAIN), address: Address::repeat_byte(7), nonce };
    let signature = sign_hash(authorization.signature_hash(), authority);
    authorization.into_signed(signature)
}

fn send(bench: &Bench, sender: u8, nonce: u64, authorities: &[u8]) -> Result<Added, PoolError> {
    let tx = TxEip7702 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 1000,
        max_priority_fee_per_gas: 10,
        authorization_list: authorities.iter().map(|a| authorize(*a, 0)).collect(),
        ..Default::default()
    };
    let raw = PooledEnvelope::Eip7702(sign(tx, sender)).encoded_2718();
    let result = bench.pool.add(&raw, Origin::External);
    bench.verify();
    result
}

#[test]
fn a_delegated_sender_has_one_transaction_without_a_gap() {
    let bench = Bench::new(PoolConfig::default());
    bench.world.set(address(1), PoolAccount { code: AccountCode::Delegation, ..rich() });
    let gap = bench.add(&tx(1, 1)).unwrap_err();
    assert_eq!(gap.to_string(), "gapped-nonce tx from delegated accounts");
    bench.add(&tx(1, 0)).unwrap();
    bench.add(&tx(1, 0).fees(2000, 20)).unwrap();
    let second = bench.add(&tx(1, 1)).unwrap_err();
    assert_eq!(second.to_string(), "in-flight transaction limit reached for delegated accounts");
}

#[test]
fn an_authority_is_as_limited_as_if_it_were_delegated() {
    let mut bench = Bench::new(PoolConfig::default());
    let set_code = send(&bench, 1, 0, &[2, 3]).unwrap();
    let raw = |nonce| tx(2, nonce).signed();
    bench.pool.add(&raw(0), Origin::External).unwrap();
    let second = bench.pool.add(&raw(1), Origin::External).unwrap_err();
    assert!(matches!(second, PoolError::DelegatedInFlight));
    assert!(matches!(send(&bench, 3, 1, &[4]), Err(PoolError::DelegatedGap)));
    // Once it is included, the delegation is the state's business.
    let mined = crate::Mined { hash: set_code.hash, sender: key_address(1) };
    bench.advance(&[mined], |world| world.change(key_address(1), |account| account.nonce = 1));
    bench.pool.add(&raw(1), Origin::External).unwrap();
}

#[test]
fn an_authority_with_transactions_waiting_cannot_be_delegated() {
    let bench = Bench::new(PoolConfig::default());
    for nonce in 0..2 {
        bench.pool.add(&tx(2, nonce).signed(), Origin::External).unwrap();
    }
    let reserved = send(&bench, 1, 0, &[3, 2]).unwrap_err();
    assert_eq!(reserved.to_string(), "authority already reserved");
    send(&bench, 1, 0, &[3]).unwrap();
}

#[test]
fn a_development_chain_does_not_mind() {
    let bench = Bench::new(PoolConfig::dev());
    bench.world.set(address(1), PoolAccount { code: AccountCode::Delegation, ..rich() });
    for nonce in [0, 1, 3] {
        bench.add(&tx(1, nonce)).unwrap();
    }
    send(&bench, 2, 0, &[2, 3]).unwrap();
    send(&bench, 2, 1, &[2, 3]).unwrap();
}
