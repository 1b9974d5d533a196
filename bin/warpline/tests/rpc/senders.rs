//! Accounts in whose name the node sends.

use crate::{
    client::Client,
    node::{Node, warpline},
};
use serde_json::json;
use std::{collections::BTreeSet, thread};

const GUEST: &str = "0x00000000000000000000000000000000000cdcdc";
const PAID: &str = "0x00000000000000000000000000000000000a11ce";

/// The first development account.
const SENDER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

fn start() -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    (dir, node)
}

#[test]
fn whoever_sends_at_once_in_one_name_gets_nonces_of_their_own() {
    const CALLERS: usize = 8;
    const EACH: usize = 10;
    let (_dir, node) = start();
    let send = |client: &mut Client| {
        let payment = json!([{ "from": SENDER, "to": PAID, "value": "0x1" }]);
        client.result("eth_sendTransaction", payment).as_str().unwrap().to_owned()
    };
    let caller = || {
        let mut client = node.client();
        (0..EACH).map(|_| send(&mut client)).collect::<Vec<_>>()
    };
    let hashes: BTreeSet<String> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(hashes.len(), CALLERS * EACH);
    let mut client = node.client();
    client.result("evm_mine", json!([]));
    let count = client.result("eth_getTransactionCount", json!([SENDER, "latest"]));
    assert_eq!(count, json!(format!("{:#x}", CALLERS * EACH)));
}

#[test]
fn what_is_signed_is_for_this_chain_alone() {
    let (_dir, node) = start();
    let payment = json!([{ "from": SENDER, "to": PAID, "gas": "0x5208", "gasPrice": "0x77359400",
                           "nonce": "0x0", "value": "0x1" }]);
    let signed = node.client().result("eth_signTransaction", payment);
    assert_eq!(
        (&signed["tx"]["type"], &signed["tx"]["chainId"]),
        (&json!("0x0"), &json!("0x7a69"))
    );
    // Twice the chain's number and 35 or 36 (EIP-155).
    let v = signed["tx"]["v"].as_str().unwrap();
    assert!(["0xf4f5", "0xf4f6"].contains(&v), "{signed}");
}

#[test]
fn an_account_that_is_impersonated_is_among_the_accounts() {
    let (_dir, node) = start();
    let mut client = node.client();
    let accounts = || -> Vec<String> {
        let mut client = node.client();
        serde_json::from_value(client.result("eth_accounts", json!([]))).unwrap()
    };
    let before = accounts();
    assert_eq!((before.len(), before[0].to_lowercase().as_str()), (10, SENDER));
    for address in [GUEST, SENDER] {
        client.result("anvil_impersonateAccount", json!([address]));
    }
    assert_eq!(accounts(), [&before[..], &[GUEST.to_owned()]].concat());
    for address in [GUEST, SENDER] {
        client.result("anvil_stopImpersonatingAccount", json!([address]));
    }
    assert_eq!(accounts(), before);
}

#[test]
fn what_waits_in_the_operators_name_waits_still_after_a_restart() {
    let (dir, node) = start();
    let payment = json!([{ "from": SENDER, "to": PAID, "value": "0x1" }]);
    let hash = node.client().result("eth_sendTransaction", payment);
    node.terminate();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let waiting = client.result("eth_getTransactionByHash", json!([hash]));
    assert!(waiting["hash"] == hash && waiting["blockHash"].is_null(), "{waiting}");
    client.result("evm_mine", json!([]));
    let receipt = client.result("eth_getTransactionReceipt", json!([hash]));
    assert_eq!(receipt["status"], "0x1");
}

/// Nobody has signed for them, and the state changes without a transaction.
#[test]
fn a_database_of_impersonated_senders_and_edits_is_verified() {
    let (dir, node) = start();
    let mut client = node.client();
    client.result("anvil_impersonateAccount", json!([GUEST]));
    let word = |n: u8| format!("{:#066x}", n);
    for n in 1..4 {
        client.result("anvil_setBalance", json!([GUEST, "0xde0b6b3a7640000"]));
        client.result("anvil_setStorageAt", json!([PAID, "0x0", word(n % 3)]));
        client
            .result("eth_sendTransaction", json!([{ "from": GUEST, "to": PAID, "value": "0x1" }]));
        client.result("evm_mine", json!([]));
    }
    let count = client.result("eth_getTransactionCount", json!([GUEST, "latest"]));
    assert_eq!(count, "0x3");
    drop(client);
    node.terminate();
    let output = warpline(&["db", "verify"], dir.path()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
