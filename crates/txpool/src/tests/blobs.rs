//! Blob transactions with real commitments and proofs.

use super::{Bench, CHAIN, address, head, key_address, sign};
use crate::{
    Added, BlobError, BlobRules, Head, Mined, Origin, PoolConfig, PoolError, PooledEnvelope,
};
use alloy_consensus::{TxEip4844, TxEip4844WithSidecar, transaction::Recovered};
use alloy_eips::{
    eip2718::{Decodable2718, Encodable2718},
    eip4844::{
        BlobTransactionSidecar, Bytes48,
        builder::{SidecarBuilder, SimpleCoder},
    },
    eip7594::BlobTransactionSidecarVariant,
    eip7840::BlobParams,
};
use alloy_primitives::{Address, B256, Bytes};
use revm::primitives::hardfork::SpecId;
use std::sync::LazyLock;

/// One blob with the proofs of each kind; computing them takes a while.
static SIDECARS: LazyLock<[BlobTransactionSidecarVariant; 2]> = LazyLock::new(|| {
    let builder = || SidecarBuilder::<SimpleCoder>::from_slice(b"a blob");
    [
        BlobTransactionSidecarVariant::Eip4844(builder().build_4844().expect("valid data")),
        BlobTransactionSidecarVariant::Eip7594(builder().build_7594().expect("valid data")),
    ]
});

fn blob_proofs() -> BlobTransactionSidecarVariant {
    SIDECARS[0].clone()
}

fn cell_proofs() -> BlobTransactionSidecarVariant {
    SIDECARS[1].clone()
}

fn blob_tx(nonce: u64) -> TxEip4844 {
    TxEip4844 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1000,
        max_priority_fee_per_gas: 10,
        max_fee_per_blob_gas: 100,
        to: Address::ZERO,
        blob_versioned_hashes: cell_proofs().versioned_hashes().collect(),
        ..Default::default()
    }
}

fn encode(tx: TxEip4844, sidecar: BlobTransactionSidecarVariant) -> Bytes {
    let tx = TxEip4844WithSidecar { tx, sidecar };
    PooledEnvelope::Eip4844(sign(tx.into(), 1)).encoded_2718().into()
}

fn add(bench: &Bench, raw: &Bytes) -> Result<Added, PoolError> {
    let result = bench.pool.add(raw, Origin::External);
    bench.verify();
    result
}

fn words(bench: &Bench, raw: &Bytes) -> String {
    add(bench, raw).expect_err("to be refused").to_string()
}

fn prague() -> Head {
    let blobs = Some(BlobRules { fee: 1, params: BlobParams::prague() });
    Head { spec: SpecId::PRAGUE, max_tx_gas: None, blobs, ..head(0) }
}

#[test]
fn cell_proofs_are_verified_from_osaka_on() {
    let bench = Bench::new(PoolConfig::default());
    let raw = encode(blob_tx(0), cell_proofs());
    let added = add(&bench, &raw).unwrap();
    let pooled = bench.pool.get(&added.hash).unwrap();
    assert_eq!(pooled.encoded(), raw);
    assert_eq!(pooled.sidecar(), Some(&cell_proofs()));
    assert_eq!((pooled.blob_count(), pooled.slots()), (1, 5));
    // Blocks hold it without.
    let block_form = pooled.transaction().encoded_2718();
    assert!(block_form.len() < 300);
    assert_eq!(alloy_primitives::keccak256(block_form), added.hash);

    assert_eq!(
        words(&bench, &encode(blob_tx(1), blob_proofs())),
        "unexpected sidecar version, want: 1, got: 0"
    );
}

#[test]
fn blob_proofs_are_verified_before_osaka() {
    let bench = Bench::at(PoolConfig::default(), prague());
    add(&bench, &encode(blob_tx(0), blob_proofs())).unwrap();
    assert_eq!(
        words(&bench, &encode(blob_tx(1), cell_proofs())),
        "unexpected sidecar version, want: 0, got: 1"
    );
}

#[test]
fn a_user_of_this_node_is_given_cell_proofs() {
    let bench = Bench::new(PoolConfig::default());
    let raw = encode(blob_tx(0), blob_proofs());
    let added = bench.pool.add(&raw, Origin::Local).unwrap();
    let pooled = bench.pool.get(&added.hash).unwrap();
    assert_eq!(pooled.sidecar(), Some(&cell_proofs()));
    assert_eq!(pooled.encoded(), encode(blob_tx(0), cell_proofs()));
    assert_eq!(pooled.size(), pooled.encoded().len());
    let strict = PoolConfig { convert_blob_proofs: false, ..PoolConfig::default() };
    let refused = Bench::new(strict).pool.add(&raw, Origin::Local).unwrap_err();
    assert!(matches!(refused, PoolError::Blob(BlobError::Version { want: 1, got: 0 })));
}

#[test]
fn wrong_proofs_are_refused() {
    let bench = Bench::new(PoolConfig::default());
    let BlobTransactionSidecarVariant::Eip7594(mut cells) = cell_proofs() else { unreachable!() };
    cells.cell_proofs.swap(0, 1);
    assert_eq!(
        words(&bench, &encode(blob_tx(0), BlobTransactionSidecarVariant::Eip7594(cells))),
        "KZG verification error: invalid blob proof"
    );
    let BlobTransactionSidecarVariant::Eip7594(mut cells) = cell_proofs() else { unreachable!() };
    cells.blobs[0][40] ^= 1;
    assert_eq!(
        words(&bench, &encode(blob_tx(0), BlobTransactionSidecarVariant::Eip7594(cells))),
        "KZG verification error: invalid blob proof"
    );
    let BlobTransactionSidecarVariant::Eip7594(mut cells) = cell_proofs() else { unreachable!() };
    cells.cell_proofs[5] = Bytes48::repeat_byte(0xff);
    let words = words(&bench, &encode(blob_tx(0), BlobTransactionSidecarVariant::Eip7594(cells)));
    assert!(words.starts_with("KZG verification error: "), "{words}");

    let bench = Bench::at(PoolConfig::default(), prague());
    let BlobTransactionSidecarVariant::Eip4844(mut blobs) = blob_proofs() else { unreachable!() };
    blobs.proofs[0] = blobs.commitments[0];
    let raw = encode(blob_tx(0), BlobTransactionSidecarVariant::Eip4844(blobs));
    assert_eq!(self::words(&bench, &raw), "KZG verification error: invalid blob proof");
}

#[test]
fn sidecars_and_transactions_must_match() {
    let bench = Bench::at(PoolConfig::default(), prague());
    let BlobTransactionSidecarVariant::Eip4844(good) = blob_proofs() else { unreachable!() };
    let hash = blob_tx(0).blob_versioned_hashes[0];
    let other = B256::with_last_byte(1);
    let case = |hashes: &[B256], change: fn(&mut BlobTransactionSidecar)| {
        let mut sidecar = good.clone();
        change(&mut sidecar);
        let tx = TxEip4844 { blob_versioned_hashes: hashes.to_vec(), ..blob_tx(0) };
        words(&bench, &encode(tx, BlobTransactionSidecarVariant::Eip4844(sidecar)))
    };
    assert_eq!(
        case(&[other], |_| {}),
        format!("blob 0: computed hash {hash} mismatches transaction one {other}")
    );
    assert_eq!(case(&[hash, hash], |_| {}), "invalid number of 1 blobs compared to 2 blob hashes");
    assert_eq!(
        case(&[hash], |sidecar| sidecar.commitments.clear()),
        "invalid number of 0 blob commitments compared to 1 blob hashes"
    );
    assert_eq!(
        case(&[hash], |sidecar| sidecar.proofs.push(Bytes48::ZERO)),
        "invalid number of 2 blob proofs expected 1"
    );
    assert_eq!(
        case(&[], |sidecar| *sidecar = BlobTransactionSidecar::default()),
        "blobless blob transaction"
    );
    assert_eq!(
        case(&[hash; 10], |_| {}),
        "transaction blob limit exceeded: blob count 10, limit 9"
    );
}

#[test]
fn the_form_without_blobs_is_refused() {
    let bench = Bench::new(PoolConfig::default());
    let bare = PooledEnvelope::Eip4844(sign(blob_tx(0).into(), 1)).encoded_2718().into();
    assert_eq!(words(&bench, &bare), "missing sidecar in blob transaction");
    let free = TxEip4844 { max_fee_per_blob_gas: 0, ..blob_tx(0) };
    assert_eq!(
        words(&bench, &encode(free, cell_proofs())),
        "transaction gas price below minimum: blob fee cap 0, minimum needed 1"
    );
    let raw = encode(blob_tx(0), cell_proofs());
    assert_eq!(
        words(&bench, &[&raw[..], &[0; 1 << 20]].concat().into()),
        format!("oversized data: transaction size {}, limit 1048576", raw.len() + (1 << 20))
    );
    let unpayable = PoolConfig { refuse_unpayable: true, ..PoolConfig::default() };
    let bench = Bench::new(unpayable);
    bench.pool.set_next_fees(100, 101);
    assert_eq!(
        words(&bench, &raw),
        format!(
            "max fee per blob gas less than block blob gas fee: address {} blobGasFeeCap: 100, \
             blobBaseFee: 101",
            key_address(1)
        )
    );
}

#[test]
fn a_replacement_doubles_all_three_fees() {
    let bench = Bench::new(PoolConfig::default());
    add(&bench, &encode(blob_tx(0), cell_proofs())).unwrap();
    let with = |max_fee, tip, blob_fee| TxEip4844 {
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: tip,
        max_fee_per_blob_gas: blob_fee,
        ..blob_tx(0)
    };
    for (tx, detail) in [
        (with(1999, 20, 200), "new tx gas fee cap 1999 < 1000 queued + 100% replacement penalty"),
        (with(2000, 10, 200), "new tx gas tip cap 10 <= 10 queued"),
        (
            with(2000, 20, 199),
            "new tx blob gas fee cap 199 < 100 queued + 100% replacement penalty",
        ),
    ] {
        assert_eq!(
            words(&bench, &encode(tx, cell_proofs())),
            format!("replacement transaction underpriced: {detail}")
        );
    }
    let added = add(&bench, &encode(with(2000, 20, 200), cell_proofs())).unwrap();
    assert!(added.replaced.is_some());
}

#[test]
fn blobs_wait_behind_no_gap_and_are_limited_by_sender() {
    let bench = Bench::new(PoolConfig { account_blobs: 2, ..PoolConfig::default() });
    assert_eq!(
        words(&bench, &encode(blob_tx(1), cell_proofs())),
        "nonce too high: tx nonce 1, gapped nonce 0"
    );
    for nonce in 0..2 {
        add(&bench, &encode(blob_tx(nonce), cell_proofs())).unwrap();
    }
    assert_eq!(
        words(&bench, &encode(blob_tx(2), cell_proofs())),
        "account limit exceeded: pooled 2 txs"
    );
}

#[test]
fn a_block_takes_as_many_blobs_as_it_may_and_pays() {
    let bench = Bench::new(PoolConfig::default());
    for nonce in 0..2 {
        add(&bench, &encode(blob_tx(nonce), cell_proofs())).unwrap();
    }
    assert_eq!(bench.pool.select(0, 1_000_000, 6).len(), 2);
    assert_eq!(bench.pool.select(0, 1_000_000, 1).len(), 1);
    assert_eq!(bench.pool.select(0, 1_000_000, 0).len(), 0);
    bench.pool.set_next_fees(100, 101);
    assert_eq!(bench.pool.best(0).count(), 0);
}

#[test]
fn a_sidecar_is_kept_for_a_block_that_leaves_the_chain() {
    let mut bench = Bench::new(PoolConfig { limbo_blocks: 2, ..PoolConfig::default() });
    let raw = encode(blob_tx(0), cell_proofs());
    let added = add(&bench, &raw).unwrap();
    let sender = key_address(1);
    let tx = bench.pool.get(&added.hash).unwrap().recovered().clone();
    let before = bench.world.clone();
    let mined = [Mined { hash: added.hash, sender }];
    bench.advance(&mined, |world| world.change(sender, |account| account.nonce = 1));
    assert!(!bench.pool.contains(&added.hash));
    bench.advance(&[], |_| {});
    let dropped = vec![tx.clone()];
    bench.move_to(head(1), before.clone(), &[], dropped, None);
    assert_eq!(bench.pool.get(&added.hash).unwrap().encoded(), raw);

    bench.advance(&mined, |world| world.change(sender, |account| account.nonce = 1));
    for _ in 0..3 {
        bench.advance(&[], |_| {});
    }
    bench.move_to(head(1), before, &[], vec![tx], None);
    assert!(!bench.pool.contains(&added.hash));
}

#[test]
fn osaka_drops_blob_proofs() {
    let mut bench = Bench::at(PoolConfig::default(), prague());
    add(&bench, &encode(blob_tx(0), blob_proofs())).unwrap();
    let world = bench.world.clone();
    bench.move_to(head(1), world, &[], Vec::new(), Some(&[]));
    assert_eq!(bench.pool.status(), (0, 0));
}

#[test]
fn a_journal_keeps_blobs() {
    let folder = tempfile::TempDir::new().unwrap();
    let journal = Some(folder.path().join("journal"));
    let config = PoolConfig { journal, ..PoolConfig::default() };
    let bench = Bench::new(config.clone());
    bench.pool.open_journal().unwrap();
    let raw = encode(blob_tx(0), cell_proofs());
    let added = bench.pool.add(&raw, Origin::Local).unwrap();
    let again = Bench::new(config);
    assert_eq!(again.pool.open_journal().unwrap().added, 1);
    assert_eq!(again.pool.get(&added.hash).unwrap().encoded(), raw);
}

#[test]
fn a_decoded_transaction_is_as_good_as_its_bytes() {
    let bench = Bench::new(PoolConfig::default());
    let tx = PooledEnvelope::decode_2718_exact(&encode(blob_tx(0), cell_proofs())).unwrap();
    let sender = address(9);
    let recovered = Recovered::new_unchecked(tx.clone(), sender);
    bench.pool.add_recovered(recovered, Origin::Impersonated).unwrap();
    assert_eq!(bench.pool.pending_nonce(&sender), Some(1));
    bench.pool.clear();
    bench.pool.add_transaction(tx, Origin::External).unwrap();
    assert_eq!(bench.pool.pending_nonce(&key_address(1)), Some(1));
}
