//! The words of every refusal, as wallets read them.

use super::{Bench, CHAIN, Tx, address, head, key_address, legacy, rich, sign, tx};
use crate::{AccountCode, Head, Origin, PoolAccount, PoolConfig, PooledEnvelope, decode};
use alloy_consensus::{SignableTransaction, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Bytes, Signature, TxKind, U256, hex};
use revm::primitives::hardfork::SpecId;

fn words(bench: &Bench, tx: &Tx) -> String {
    bench.add(tx).expect_err("to be refused").to_string()
}

fn raw_words(bench: &Bench, raw: &[u8]) -> String {
    bench.pool.add(raw, Origin::Local).expect_err("to be refused").to_string()
}

fn encoded(tx: TxLegacy, sender: u8) -> Bytes {
    PooledEnvelope::Legacy(sign(tx, sender)).encoded_2718().into()
}

#[test]
fn of_nonces_and_replacements() {
    let bench = Bench::new(PoolConfig::default());
    bench.world.set(address(1), PoolAccount { nonce: 5, ..rich() });
    assert_eq!(words(&bench, &tx(1, 3)), "nonce too low: next nonce 5, tx nonce 3");
    bench.add(&tx(1, 5)).unwrap();
    assert_eq!(words(&bench, &tx(1, 5)), "already known");
    for (max_fee, tip) in [(1099, 11), (1100, 10), (5000, 9), (999, 999)] {
        let other = tx(1, 5).fees(max_fee, tip);
        assert_eq!(words(&bench, &other), "replacement transaction underpriced");
    }
    let added = bench.add(&tx(1, 5).fees(1100, 11)).unwrap();
    assert_eq!(added.replaced, Some(tx(1, 5).hash()));
    assert_eq!(words(&bench, &tx(2, u64::MAX)), "nonce has max value");
}

#[test]
fn of_funds() {
    let bench = Bench::new(PoolConfig::default());
    let balance = U256::from(50_000_000);
    bench.world.set(address(1), PoolAccount { balance, ..rich() });
    let first = "insufficient funds for gas * price + value: ";
    assert_eq!(
        words(&bench, &Tx { value: 30_000_000, ..tx(1, 0) }),
        format!("{first}balance 50000000, tx cost 51000000, overshot 1000000")
    );
    bench.add(&Tx { value: 10_000_000, ..tx(1, 0) }).unwrap();
    assert_eq!(
        words(&bench, &tx(1, 1)),
        format!(
            "{first}balance 50000000, queued cost 31000000, tx cost 21000000, overshot 2000000"
        )
    );
    assert_eq!(
        words(&bench, &Tx { value: 10_000_000, ..tx(1, 0).fees(1905, 20) }),
        format!("{first}balance 50000000, tx cost 50005000, overshot 5000")
    );
    bench.add(&tx(1, 1).fees(900, 10)).unwrap();
    assert_eq!(
        words(&bench, &tx(1, 1).fees(1000, 11)),
        format!(
            "{first}balance 50000000, queued cost 49900000, tx bumped 2100000, overshot 2000000"
        )
    );
}

#[test]
fn of_gas() {
    let bench = Bench::new(PoolConfig::default());
    assert_eq!(
        words(&bench, &Tx { gas: 20_999, ..tx(1, 0) }),
        "intrinsic gas too low: gas 20999, minimum needed 21000"
    );
    // 100 zero bytes: 400 by themselves, 1000 at least (EIP-7623).
    assert_eq!(
        words(&bench, &Tx { gas: 20_500, input: 100, ..tx(1, 0) }),
        "insufficient gas for floor data gas cost: gas 21500, minimum needed 22000"
    );
    assert_eq!(
        words(&bench, &Tx { gas: 16_777_217, ..tx(1, 0) }),
        "transaction gas limit too high (cap: 16777216, tx: 16777217)"
    );
    let before = Head { spec: SpecId::PRAGUE, max_tx_gas: None, ..head(0) };
    let bench = Bench::at(PoolConfig::default(), before);
    assert_eq!(words(&bench, &Tx { gas: 30_000_001, ..tx(1, 0) }), "exceeds block gas limit");
}

#[test]
fn of_fees() {
    let bench = Bench::new(PoolConfig { refuse_unpayable: true, ..PoolConfig::default() });
    assert_eq!(
        words(&bench, &tx(1, 0).fees(1000, 1001)),
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: 1001, \
         maxFeePerGas: 1000"
    );
    assert_eq!(
        words(&bench, &tx(1, 0).fees(99, 1)),
        "max fee per gas less than block base fee: address \
         0x0000000000000000000000000000000000000001, maxFeePerGas: 99, baseFee: 100"
    );
    assert_eq!(
        words(&bench, &tx(1, 0).fees(1000, 0)),
        "transaction gas price below minimum: gas tip cap 0, minimum needed 1"
    );
    bench.add(&tx(1, 0).fees(1000, 0).local()).unwrap();
    assert_eq!(
        words(&bench, &tx(1, 1).fees(50_000_000_000_000, 1).local()),
        "tx fee (1.05 ether) exceeds the configured cap (1.00 ether)"
    );
    bench.pool.set_min_tip(20);
    assert_eq!(
        words(&bench, &tx(2, 0)),
        "transaction gas price below minimum: gas tip cap 10, minimum needed 20"
    );
}

#[test]
fn of_signatures() {
    let bench = Bench::new(PoolConfig::default());
    assert_eq!(
        raw_words(&bench, &encoded(legacy(0, Some(1)), 1)),
        "invalid sender: invalid chain id for signer: have 1 want 31337"
    );
    let unprotected = encoded(legacy(0, None), 1);
    assert_eq!(
        raw_words(&bench, &unprotected),
        "only replay-protected (EIP-155) transactions allowed over RPC"
    );
    let open = Bench::new(PoolConfig { allow_unprotected: true, ..PoolConfig::default() });
    open.pool.add(&unprotected, Origin::Local).unwrap();
    assert_eq!(open.pool.pending_nonce(&key_address(1)), Some(1));

    let high_s = Signature::new(U256::from(1), U256::MAX - (U256::MAX >> 8), false);
    let forged = PooledEnvelope::Legacy(legacy(0, Some(CHAIN)).into_signed(high_s));
    assert_eq!(
        raw_words(&bench, &forged.encoded_2718()),
        "invalid sender: invalid transaction v, r, s values"
    );
}

#[test]
fn of_senders_with_code() {
    let bench = Bench::new(PoolConfig::default());
    bench.world.set(address(1), PoolAccount { code: AccountCode::Contract, ..rich() });
    bench.world.set(address(2), PoolAccount { code: AccountCode::Delegation, ..rich() });
    assert_eq!(
        words(&bench, &tx(1, 0)),
        "sender not an eoa: address 0x0000000000000000000000000000000000000001"
    );
    bench.add(&tx(2, 0)).unwrap();
    bench.add(&Tx { origin: Origin::Impersonated, ..tx(1, 0) }).unwrap();
}

#[test]
fn of_sizes() {
    let bench = Bench::new(PoolConfig::default());
    let large = Tx { input: 131_072, ..tx(1, 0) };
    assert_eq!(words(&bench, &large), "oversized data: transaction size 131119, limit 131072");
    let create = TxLegacy {
        to: TxKind::Create,
        input: vec![0; 49_153].into(),
        gas_limit: 10_000_000,
        ..legacy(0, Some(CHAIN))
    };
    assert_eq!(
        raw_words(&bench, &encoded(create, 1)),
        "max initcode size exceeded: code size 49153, limit 49152"
    );
}

#[test]
fn of_types_that_come_later() {
    let frontier = Head { spec: SpecId::HOMESTEAD, max_tx_gas: None, blobs: None, ..head(0) };
    let bench = Bench::at(PoolConfig::default(), frontier);
    let access_list =
        TxEip2930 { chain_id: CHAIN, gas_price: 1000, gas_limit: 21_000, ..Default::default() };
    let access_list = PooledEnvelope::Eip2930(sign(access_list, 1)).encoded_2718();
    let set_code = TxEip7702 {
        chain_id: CHAIN,
        max_fee_per_gas: 1000,
        gas_limit: 100_000,
        ..Default::default()
    };
    let set_code = PooledEnvelope::Eip7702(sign(set_code, 1)).encoded_2718();
    let rejected = "transaction type not supported: type";
    assert_eq!(
        raw_words(&bench, &access_list),
        format!("{rejected} 1 rejected, pool not yet in Berlin")
    );
    assert_eq!(
        raw_words(&bench, &tx(1, 0).signed()),
        format!("{rejected} 2 rejected, pool not yet in London")
    );
    assert_eq!(
        raw_words(&bench, &set_code),
        format!("{rejected} 4 rejected, pool not yet in Prague")
    );
    assert_eq!(
        raw_words(&bench, &encoded(legacy(0, Some(CHAIN)), 1)),
        "invalid sender: invalid transaction v, r, s values"
    );
    let bench = Bench::new(PoolConfig::default());
    assert_eq!(
        raw_words(&bench, &set_code),
        "set code tx must have at least one authorization tuple"
    );
}

#[test]
fn of_bytes_that_are_no_transaction() {
    let good = tx(1, 0).signed();
    let cut = &good[..good.len() - 1];
    let longer = [&good[..], &[0]].concat();
    for (raw, words) in [
        (&[][..], "typed transaction too short"),
        (&hex!("02"), "typed transaction too short"),
        (&hex!("05c0"), "transaction type not supported: 0x05"),
        (&hex!("7fc0"), "transaction type not supported: 0x7f"),
        (&hex!("00c0"), "transaction type not supported: 0x00"),
        (&hex!("c0"), "rlp: input too short, decoding a legacy transaction of 1 bytes"),
        (&hex!("820102"), "rlp: unexpected string, decoding a legacy transaction of 3 bytes"),
    ] {
        assert_eq!(decode(raw).expect_err("no transaction").to_string(), words, "{raw:?}");
    }
    for raw in [cut, &longer] {
        let words = decode(raw).expect_err("no transaction").to_string();
        assert!(words.starts_with("rlp: "), "{words}");
        assert!(words.contains("decoding a dynamic fee transaction of 1"), "{words}");
    }
}

#[test]
fn of_a_state_that_cannot_be_read() {
    let bench = Bench::new(PoolConfig::default());
    bench.world.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        words(&bench, &tx(1, 0)),
        "the state at the head could not be read: the disk is gone"
    );
    let raw: Vec<_> = (0..3).map(|nonce| tx(1, nonce).signed()).collect();
    assert!(bench.pool.add_batch(&raw, Origin::Local).iter().all(Result::is_err));
    bench.verify();
}

#[test]
fn of_the_pool_itself() {
    use crate::PoolError;
    assert_eq!(PoolError::Underpriced.to_string(), "transaction underpriced");
    assert_eq!(PoolError::Full.to_string(), "txpool is full");
    let limit = PoolError::AccountLimit { pooled: 16 };
    assert_eq!(limit.to_string(), "account limit exceeded: pooled 16 txs");
}

#[test]
fn of_inspection() {
    let bench = Bench::new(PoolConfig::default());
    bench.add(&Tx { value: 7, ..tx(1, 0) }).unwrap();
    let inspected = bench.pool.get_by_nonce(&address(1), 0).unwrap().to_string();
    assert_eq!(
        inspected,
        "0x0000000000000000000000000000000000000000: 7 wei + 21000 gas × 1000 wei"
    );
}
