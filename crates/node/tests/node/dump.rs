//! The whole state of a development chain by address, which the database has by hash.

use crate::setup::{Dev, ETHER, call, create, signed, start, transfer};
use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use warpline_chain::{AccountsError, ChainOptions, DumpedAccount, Rules, StoredChain};
use warpline_node::{DevAccountEdit, MineOptions, Mining, NodeError};
use warpline_txpool::Origin;

const STRANGER: Address = address!("00000000000000000000000000000000000a11ce");

/// Stores 7 in slot 0 and 9 in slot 5, and leaves no code.
const STORES: Bytes =
    Bytes::from_static(&[0x60, 7, 0x5f, 0x55, 0x60, 9, 0x60, 5, 0x55, 0x5f, 0x5f, 0xf3]);

/// A block with a new contract and a new account, and changes on top of it.
fn changed() -> (Dev, Address) {
    let dev = start(Mining::Manual);
    let sender = dev.signer(0);
    let creation = alloy_consensus::TxEip1559 { to: TxKind::Create, input: STORES, ..call() };
    dev.node.submit(&signed(&sender, creation), Origin::External).unwrap();
    dev.node.submit(&transfer(&sender, 1, STRANGER, U256::from(5)), Origin::External).unwrap();
    dev.node.mine(&MineOptions::default()).unwrap();
    let contract = sender.address().create(0);
    let edit = DevAccountEdit {
        code: Some(Bytes::from_static(&[0x60, 1])),
        slots: vec![(U256::ZERO, U256::ZERO), (U256::MAX, U256::ONE)],
        ..DevAccountEdit::default()
    };
    dev.node.edit_accounts([(contract, edit)]).unwrap();
    let rich = DevAccountEdit { balance: Some(ETHER), ..DevAccountEdit::default() };
    dev.node.edit_accounts([(Address::repeat_byte(9), rich)]).unwrap();
    (dev, contract)
}

#[test]
fn the_state_has_every_account_with_its_changes() {
    let (dev, contract) = changed();
    let genesis = crate::setup::genesis().alloc;
    let on_top = dev.node.accounts_of_state().unwrap();
    // The genesis accounts, the stranger, the contract, the rich one, and who got the fees.
    for address in genesis.keys().chain([&STRANGER, &contract, &Address::repeat_byte(9)]) {
        let account = &on_top[address];
        assert_eq!(account.state.balance, dev.balance(*address), "{address}");
        assert_eq!(account.state.nonce, dev.nonce(*address), "{address}");
    }
    assert_eq!(on_top.len(), genesis.len() + 4, "{:?}", on_top.keys());
    let DumpedAccount { code, storage, .. } = &on_top[&contract];
    assert_eq!(code[..], [0x60, 1]);
    let slots = [(U256::from(5), U256::from(9)), (U256::MAX, U256::ONE)];
    assert!(storage.iter().map(|(slot, value)| (*slot, *value)).eq(slots), "{storage:?}");

    // Mined, the changes are in the database, and the state is the same but for what the block
    // itself writes into system contracts.
    dev.node.mine(&MineOptions::default()).unwrap();
    let mined = dev.node.accounts_of_state().unwrap();
    assert!(mined.keys().eq(on_top.keys()));
    assert_eq!(mined[&contract], on_top[&contract]);
    assert_eq!(mined[&Address::repeat_byte(9)], on_top[&Address::repeat_byte(9)]);
}

#[test]
fn a_state_put_into_another_chain_is_the_same_there() {
    let (dev, _) = changed();
    let state = dev.node.accounts_of_state().unwrap();
    let other = start(Mining::Manual);
    let edits = state.clone().into_iter().map(|(address, account)| {
        let edit = DevAccountEdit {
            balance: Some(account.state.balance),
            nonce: Some(account.state.nonce),
            code: Some(account.code),
            slots: account.storage.into_iter().collect(),
        };
        (address, edit)
    });
    other.node.edit_accounts(edits).unwrap();
    assert_eq!(other.node.accounts_of_state().unwrap(), state);
}

#[test]
fn addresses_and_slots_survive_a_restart() {
    let (dev, contract) = changed();
    dev.node.mine(&MineOptions::default()).unwrap();
    let state = dev.node.accounts_of_state().unwrap();
    let folder = dev.close();
    let rules = Rules::from_config(&crate::setup::genesis().config).unwrap();
    let path = folder.path().join("db");
    let chain = StoredChain::open(&path, ChainOptions::default(), rules, None).unwrap();
    let again = chain.view().latest().unwrap().accounts().unwrap();
    assert_eq!(again, state);
    assert_eq!(again[&contract].storage.len(), 2);
    assert!(chain.storage().verify(10, |_| {}).unwrap().is_empty());
}

#[test]
fn a_chain_that_does_not_keep_addresses_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let chain = create(folder.path(), false);
    let error = chain.view().latest().unwrap().accounts().unwrap_err();
    assert!(matches!(error, AccountsError::Unknown { what: "address", .. }), "{error}");
    assert!(NodeError::from(error).to_string().ends_with("this chain does not keep addresses"));
}
