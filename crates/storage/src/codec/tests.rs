//! Every value back from its bytes, bytes that must not change, and bytes that are no value.

use super::*;
use crate::{StoredAccount, StoredReceipt, Transaction};
use alloy_consensus::{
    BlockBody, Eip658Value, Header, Receipt, SignableTransaction, TxEip1559, TxLegacy, TxType,
};
use alloy_eips::{
    eip4895::{Withdrawal, Withdrawals},
    eip7928::{
        AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange,
        SlotChanges, StorageChange, compute_block_access_list_hash,
    },
};
use alloy_primitives::{Address, KECCAK256_EMPTY, Log, LogData, Signature, hex};
use proptest::prelude::*;
use warpline_types::AccountState;

fn hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn word() -> impl Strategy<Value = U256> {
    (any::<[u8; 32]>(), 0usize..=256).prop_map(|(bytes, zeros)| {
        U256::from_be_bytes(bytes).checked_shr(zeros).unwrap_or_default()
    })
}

fn account() -> impl Strategy<Value = AccountState> {
    let code = prop_oneof![Just(KECCAK256_EMPTY), hash()];
    (word(), any::<u64>(), 0u32..64, code).prop_map(|(balance, nonce, shift, code_hash)| {
        AccountState { balance, nonce: nonce >> shift, code_hash }
    })
}

fn receipt() -> impl Strategy<Value = StoredReceipt> {
    let status = prop_oneof![
        any::<bool>().prop_map(Eip658Value::Eip658),
        hash().prop_map(Eip658Value::PostState)
    ];
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let log = (any::<[u8; 20]>(), prop::collection::vec(hash(), 0..=4), bytes);
    let log = log.prop_map(|(address, topics, data)| Log {
        address: Address::from(address),
        data: LogData::new_unchecked(topics, data.into()),
    });
    (0u8..=4, status, any::<u64>(), prop::collection::vec(log, 0..4)).prop_map(
        |(tx_type, status, cumulative_gas_used, logs)| StoredReceipt {
            tx_type: TxType::try_from(tx_type).expect("a known type"),
            receipt: Receipt { status, cumulative_gas_used, logs },
        },
    )
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let input = prop::collection::vec(any::<u8>(), 0..300);
    (any::<bool>(), any::<u64>(), word(), input).prop_map(|(legacy, nonce, value, input)| {
        let signature = Signature::test_signature();
        if legacy {
            let tx = TxLegacy { nonce, value, input: input.into(), ..Default::default() };
            Transaction::Legacy(tx.into_signed(signature))
        } else {
            let tx = TxEip1559 { nonce, value, input: input.into(), ..Default::default() };
            Transaction::Eip1559(tx.into_signed(signature))
        }
    })
}

fn header() -> impl Strategy<Value = Header> {
    (hash(), any::<u64>(), prop::collection::vec(any::<u8>(), 0..32), any::<Option<u64>>())
        .prop_map(|(parent_hash, number, extra, base_fee_per_gas)| Header {
            parent_hash,
            number,
            extra_data: extra.into(),
            base_fee_per_gas,
            ..Default::default()
        })
}

fn body() -> impl Strategy<Value = BlockBody<Transaction>> {
    let withdrawal = any::<(u64, u64, u64)>().prop_map(|(index, validator_index, amount)| {
        Withdrawal { index, validator_index, address: Address::ZERO, amount }
    });
    let withdrawals = prop::collection::vec(withdrawal, 0..4).prop_map(Withdrawals::new);
    (
        prop::collection::vec(transaction(), 0..6),
        prop::collection::vec(header(), 0..3),
        prop::option::of(withdrawals),
    )
        .prop_map(|(transactions, ommers, withdrawals)| BlockBody {
            transactions,
            ommers,
            withdrawals,
        })
}

fn access_list() -> impl Strategy<Value = BlockAccessList> {
    fn many<T: core::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
        prop::collection::vec(one, 0..3)
    }
    let at = || any::<u32>().prop_map(|index| BlockAccessIndex::new(index.into()));
    let change = (at(), word()).prop_map(|(at, value)| StorageChange::new(at, value));
    let slot = (word(), many(change)).prop_map(|(slot, changes)| SlotChanges::new(slot, changes));
    let balance = (at(), word()).prop_map(|(at, balance)| BalanceChange::new(at, balance));
    let nonce = (at(), any::<u64>()).prop_map(|(at, nonce)| NonceChange::new(at, nonce));
    let code = (at(), prop::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(at, code)| CodeChange::new(at, code.into()));
    let fields =
        (any::<[u8; 20]>(), many(slot), many(word()), many(balance), many(nonce), many(code));
    let account =
        fields.prop_map(|(address, slots, reads, balances, nonces, codes)| AccountChanges {
            address: Address::from(address),
            storage_changes: slots,
            storage_reads: reads,
            balance_changes: balances,
            nonce_changes: nonces,
            code_changes: codes,
        });
    prop::collection::vec(account, 0..5)
}

fn encoded_account(account: &StoredAccount) -> Vec<u8> {
    let mut out = Vec::new();
    encode_account(&mut out, account);
    out
}

proptest! {
    #[test]
    fn accounts_come_back(state in account(), storage_root in hash(), storage: bool) {
        let stored = StoredAccount { storage_root, state };
        let account = if storage { stored } else { state.into() };
        prop_assert_eq!(decode_account(&encoded_account(&account)), Ok(account));
    }

    #[test]
    fn account_changes_come_back(key in hash(), before in prop::option::of(account())) {
        let mut out = Vec::new();
        encode_account_change(&mut out, &key, before.as_ref());
        prop_assert_eq!(decode_account_change(&out), Ok((key, before)));
    }

    #[test]
    fn slots_come_back_and_sort_by_key(a in hash(), b in hash(), x in word(), y in word()) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        encode_slot(&mut first, &a, x);
        encode_slot(&mut second, &b, y);
        prop_assert_eq!(decode_slot(&first), Ok((a, x)));
        prop_assert!(a == b || (a < b) == (first < second));
    }

    #[test]
    fn shards_come_back(mut blocks in prop::collection::btree_set(any::<u64>(), 1..600)) {
        blocks.insert(0);
        let blocks: Vec<u64> = blocks.into_iter().collect();
        let (mut out, mut back) = (Vec::new(), Vec::new());
        encode_shard(&mut out, &blocks);
        prop_assert_eq!(decode_shard(&out, &mut back), Ok(()));
        prop_assert_eq!(back, blocks);
    }

    #[test]
    fn receipts_come_back(receipts in prop::collection::vec(receipt(), 0..6)) {
        prop_assert_eq!(decode_receipts(&encode_receipts(&receipts)), Ok(receipts));
    }

    #[test]
    fn headers_come_back(header in header(), difficulty in word()) {
        let out = encode_header(&header, difficulty);
        prop_assert_eq!(decode_header(&out), Ok((header, difficulty)));
    }

    #[test]
    fn bodies_come_back_whole_and_in_parts(body in body()) {
        let out = encode_body(&body).expect("it is small");
        for (index, transaction) in body.transactions.iter().enumerate() {
            prop_assert_eq!(body_transaction(&out, index), Ok(Some(transaction.clone())));
        }
        prop_assert_eq!(body_transaction(&out, body.transactions.len()), Ok(None));
        prop_assert_eq!(decode_body(&out), Ok(body));
    }

    #[test]
    fn senders_come_back(senders in prop::collection::vec(any::<[u8; 20]>(), 0..20)) {
        let senders: Vec<_> = senders.into_iter().map(Address::from).collect();
        prop_assert_eq!(decode_senders(&encode_senders(&senders)), Ok(senders));
    }

    #[test]
    fn access_lists_come_back_with_their_hash(list in access_list()) {
        let back = decode_access_list(&encode_access_list(&list)).expect("it is a list");
        prop_assert_eq!(back.seal(), compute_block_access_list_hash(&list));
        prop_assert_eq!(back.into_inner(), list);
    }

    #[test]
    fn a_damaged_access_list_is_none(list in access_list(), at: prop::sample::Index, bit in 0..8) {
        let mut out = encode_access_list(&list);
        let at = at.index(out.len());
        out[at] ^= 1u8 << bit;
        prop_assert!(decode_access_list(&out).is_err());
        prop_assert!(decode_access_list(&out[..at]).is_err());
    }

    #[test]
    fn keys_and_positions_come_back(number: u64, index: u64, account in hash()) {
        prop_assert_eq!(decode_block_key(&block_key(number)), Ok(number));
        let key = numbered_key(number, &account);
        prop_assert_eq!(decode_numbered_key(&key), Ok((number, account)));
        prop_assert_eq!(decode_position(&encode_position(number, index)), Ok((number, index)));
    }

    /// No input makes a decoder panic, and whatever an input decodes to has that one encoding.
    #[test]
    fn garbage_is_an_error_or_the_one_encoding_of_a_value(
        bytes in prop::collection::vec(any::<u8>(), 0..160),
        version in prop_oneof![Just(None), Just(Some(1u8)), Just(Some(0x11))],
    ) {
        let bytes: Vec<u8> = version.into_iter().chain(bytes).collect();
        if let Ok(account) = decode_account(&bytes) {
            prop_assert_eq!(&encoded_account(&account), &bytes);
        }
        if let Ok((key, value)) = decode_slot(&bytes) {
            let mut out = Vec::new();
            encode_slot(&mut out, &key, value);
            prop_assert_eq!(&out, &bytes);
        }
        let mut blocks = Vec::new();
        if decode_shard(&bytes, &mut blocks).is_ok() {
            let mut out = Vec::new();
            encode_shard(&mut out, &blocks);
            prop_assert_eq!(&out, &bytes);
        }
        if let Ok(receipts) = decode_receipts(&bytes) {
            prop_assert_eq!(&encode_receipts(&receipts), &bytes);
        }
        if let Ok((number, index)) = decode_position(&bytes) {
            prop_assert_eq!(&encode_position(number, index), &bytes);
        }
        let _no_panic = (decode_account_change(&bytes).is_ok(), decode_header(&bytes).is_ok(),
            decode_body(&bytes).is_ok(), decode_senders(&bytes).is_ok(), decode_access_list(&bytes).is_ok(),
            body_transaction(&bytes, 0).is_ok());
    }

    /// A body with one byte changed decodes or fails, and never panics.
    #[test]
    fn damaged_bodies_do_not_panic(body in body(), at: prop::sample::Index, byte: u8) {
        let mut out = encode_body(&body).expect("it is small");
        let at = at.index(out.len());
        out[at] = byte;
        let _no_panic = (decode_body(&out).is_ok(), body_transaction(&out, 1).is_ok());
        let _no_panic = decode_body(&out[..at]).is_ok();
    }
}

/// The bytes on the disk. If this fails, databases made before can no longer be read: raise a
/// version.
#[test]
fn the_bytes_of_every_value_stay_as_they_are() {
    let code_hash = B256::repeat_byte(0xcc);
    let plain = AccountState { balance: U256::from(1000), nonce: 5, code_hash: KECCAK256_EMPTY };
    assert_eq!(hex::encode(encoded_account(&plain.into())), "11020503e8");
    let empty = AccountState { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY };
    assert_eq!(hex::encode(encoded_account(&empty.into())), "1000");
    let contract = AccountState { balance: U256::ZERO, nonce: 1, code_hash };
    assert_eq!(
        hex::encode(encoded_account(&contract.into())),
        format!("118001{}", "cc".repeat(32))
    );
    let storage_root = B256::repeat_byte(0xdd);
    let full = StoredAccount { state: contract, storage_root };
    let expected = format!("11c001{}{}", "cc".repeat(32), "dd".repeat(32));
    assert_eq!(hex::encode(encoded_account(&full)), expected);

    let key = B256::repeat_byte(0xaa);
    let mut out = Vec::new();
    encode_account_change(&mut out, &key, None);
    encode_account_change(&mut out, &key, Some(&empty));
    encode_slot(&mut out, &key, U256::from(256));
    let aa = "aa".repeat(32);
    assert_eq!(hex::encode(&out), format!("{aa}{aa}1000{aa}0100"));

    let mut out = Vec::new();
    encode_shard(&mut out, &[5, 6, 300]);
    assert_eq!(hex::encode(&out), "0501a602");
    assert_eq!(hex::encode(encode_position(300, 7)), "ac0207");
    assert_eq!(hex::encode(numbered_key(1, &key)), format!("0000000000000001{aa}"));
    assert_eq!(
        hex::encode(encode_senders(&[Address::repeat_byte(2)])),
        format!("01{}", "02".repeat(20))
    );

    let header = encode_header(&Header::default(), U256::from(0x0102));
    assert_eq!(hex::encode(&header[..4]), "01020102");
    assert_eq!(header[4..], alloy_rlp::encode(Header::default()));

    let data = LogData::new_unchecked(vec![key], vec![1, 2].into());
    let logs = vec![Log { address: Address::repeat_byte(3), data }];
    let receipt = |status, logs| StoredReceipt {
        tx_type: TxType::Eip1559,
        receipt: Receipt { status, cumulative_gas_used: 21_000, logs },
    };
    let receipts =
        [receipt(Eip658Value::Eip658(true), logs), receipt(Eip658Value::PostState(key), vec![])];
    let expected =
        format!("01 0201 88a401 01 {} 01{aa} 020102 0202{aa} 88a401 00", "03".repeat(20));
    assert_eq!(hex::encode(encode_receipts(&receipts)), expected.replace(' ', ""));

    let mut account = AccountChanges::new(Address::repeat_byte(4));
    account.storage_reads = vec![U256::from(5)];
    account.nonce_changes = vec![NonceChange::new(BlockAccessIndex::new(1), 7)];
    let list = hex::encode(encode_access_list(&[account]));
    assert_eq!(list[..2], *"01");
    assert_eq!(list[66..], format!("dfde94{}c0c105c0c3c20107c0", "04".repeat(20)));

    let tx = TxLegacy { nonce: 1, ..Default::default() };
    let tx = Transaction::Legacy(tx.into_signed(Signature::test_signature()));
    let body = BlockBody {
        transactions: vec![tx],
        ommers: vec![],
        withdrawals: Some(Withdrawals::default()),
    };
    let encoded = encode_body(&body).expect("it is small");
    assert_eq!(hex::encode(&encoded[..9]), "01000000010000004b");
    assert_eq!(hex::encode(&encoded[9 + 0x4b..]), "c0c0");
}

#[test]
fn an_error_says_which_table_and_key() {
    let error = decode_account(&[0x21, 0]).expect_err("there is no version 2");
    let error = error.at(crate::Table::HashedAccounts, &[0xab, 0xcd]);
    let expected = "damaged database: HashedAccounts, key 0xabcd: unknown version 2";
    assert_eq!(error.to_string(), expected);
}
