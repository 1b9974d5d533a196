//! What development chains are told: when blocks come and what their headers say, prices, senders
//! and slots; and the numbers that no chain can do anything with.

use crate::{client::Client, node::Node};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

struct Chain {
    _dir: tempfile::TempDir,
    node: Node,
    client: Client,
}

const NOBODY: &str = "0x00000000000000000000000000000000000000c0";
const PAID: &str = "0x00000000000000000000000000000000000a11ce";

/// The latest time that is taken.
const MOST_TIME: u64 = (1 << 53) - 1;

impl Chain {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
        Self { _dir: dir, client: node.client(), node }
    }

    #[track_caller]
    fn result(&mut self, method: &str, params: Value) -> Value {
        self.client.result(method, params)
    }

    /// Code and words of a refusal.
    #[track_caller]
    fn refused(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.client.call(method, params);
        let error = &answer["error"];
        let words = error["message"].as_str();
        (
            error["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}")),
            words.unwrap().to_owned(),
        )
    }

    /// Wrong parameters, with these words among others.
    #[track_caller]
    fn wrong(&mut self, method: &str, params: Value, words: &str) {
        let (code, message) = self.refused(method, params.clone());
        assert_eq!(code, -32602, "{method} {params}: {message}");
        assert!(message.contains(words), "{method} {params}: {message}");
    }

    /// A field of the latest header.
    fn head(&mut self, field: &str) -> Value {
        self.result("eth_getBlockByNumber", json!(["latest", false]))[field].clone()
    }

    fn number(&mut self, field: &str) -> u64 {
        let text = self.head(field);
        u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    fn pay(&mut self, from: &Value, tip: u64) -> Value {
        let fees = json!(format!("{tip:#x}"));
        json!({ "from": from, "to": PAID, "value": "0x1", "gas": "0x5208",
                "maxFeePerGas": "0x174876e800", "maxPriorityFeePerGas": fees })
    }
}

#[test]
fn what_anvil_and_hardhat_have_in_common_is_there_under_both_names() {
    let mut chain = Chain::start();
    let both = [
        "setBalance",
        "setCode",
        "setNonce",
        "setStorageAt",
        "impersonateAccount",
        "stopImpersonatingAccount",
        "autoImpersonateAccount",
        "mine",
        "reset",
        "dropTransaction",
        "setCoinbase",
        "setNextBlockBaseFeePerGas",
        "setMinGasPrice",
        "dumpState",
        "loadState",
        "nodeInfo",
        "metadata",
        "getAutomine",
        "setLoggingEnabled",
        "setPrevRandao",
    ];
    let evm = [
        "mine",
        "snapshot",
        "revert",
        "increaseTime",
        "setNextBlockTimestamp",
        "setTime",
        "setAutomine",
        "setIntervalMining",
        "setBlockGasLimit",
        "setAccountNonce",
    ];
    let names = both.iter().flat_map(|name| [("anvil", name), ("hardhat", name)]);
    for (namespace, name) in names.chain(evm.iter().map(|name| ("evm", name))) {
        let method = format!("{namespace}_{name}");
        // What is there has a limit to its parameters.
        chain.wrong(&method, json!([0, 0, 0, 0]), "too many arguments, want at most ");
    }
    for method in ["anvil_reset", "hardhat_reset"] {
        chain.wrong(method, json!([5]), "invalid argument 0 (options)");
    }
    let unknown = chain.refused("hardhat_nonsense", json!([]));
    assert_eq!(unknown.0, -32601);
}

#[test]
fn headers_say_what_was_decided_for_them() {
    let mut chain = Chain::start();
    for (method, miner) in [("anvil_setCoinbase", NOBODY), ("hardhat_setCoinbase", PAID)] {
        chain.result(method, json!([miner]));
        assert_eq!(chain.result("eth_coinbase", json!([])), miner);
        chain.result("evm_mine", json!([]));
        assert_eq!(chain.head("miner"), miner);
    }
    for limit in ["0x1388", "0xbc614e", "0x7fffffffffffffff"] {
        assert_eq!(chain.result("evm_setBlockGasLimit", json!([limit])), true);
        chain.result("evm_mine", json!([]));
        assert_eq!(chain.head("gasLimit"), limit);
    }
    let range = "5000 to 9223372036854775807";
    for limit in [json!(0), json!("0x1387"), json!("0x8000000000000000"), json!(u64::MAX)] {
        chain.wrong("evm_setBlockGasLimit", json!([limit]), range);
    }
    chain.wrong("evm_setBlockGasLimit", json!(["0x10000000000000000"]), "64 bits");
    chain.result("evm_mine", json!([]));
    assert_eq!(chain.head("gasLimit"), "0x7fffffffffffffff", "nothing of it was taken");
}

#[test]
fn the_clock_goes_where_it_is_set_as_long_as_there_is_room_after_it() {
    let mut chain = Chain::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let soon = |time: u64, from: u64| (from..from + 100).contains(&time);
    let ahead = chain.result("evm_setTime", json!([3_000_000_000_u64])).as_u64().unwrap();
    assert!(soon(now + ahead, 3_000_000_000), "{ahead}");
    chain.result("evm_mine", json!([]));
    assert!(soon(chain.number("timestamp"), 3_000_000_000));
    // In milliseconds, as JavaScript counts.
    chain.result("evm_setTime", json!([3_500_000_000_000_u64]));
    chain.result("evm_mine", json!([]));
    assert!(soon(chain.number("timestamp"), 3_500_000_000));
    chain.result("evm_increaseTime", json!(["0x3b9aca00"]));
    chain.result("evm_mine", json!([]));
    assert!(soon(chain.number("timestamp"), 4_500_000_000));

    let most = "9007199254740991";
    for time in [json!(MOST_TIME + 1), json!(u64::MAX), json!("0xffffffffffffffff")] {
        chain.wrong("evm_setNextBlockTimestamp", json!([time]), most);
        chain.wrong("evm_mine", json!([time]), most);
        chain.wrong("evm_mine", json!([{ "timestamp": time }]), most);
        chain.wrong("evm_increaseTime", json!([time]), most);
        chain.wrong("anvil_setBlockTimestampInterval", json!([time]), most);
        chain.wrong("anvil_mine", json!(["0x3", time]), most);
    }
    chain.wrong("evm_setTime", json!([u64::MAX]), most);
    chain.wrong("evm_increaseTime", json!([i64::MAX]), most);
    chain.wrong("evm_mine", json!(["0x10000000000000000"]), "64 bits");
    chain.wrong("evm_setNextBlockTimestamp", json!([7]), "is lower than or equal to previous");
    assert_eq!(chain.result("eth_blockNumber", json!([])), "0x3", "nothing was mined");
    chain.result("evm_mine", json!([]));
    assert!(soon(chain.number("timestamp"), 4_500_000_000), "nothing of it was taken");
    // After the latest time that is taken it goes on.
    chain.result("evm_mine", json!([MOST_TIME]));
    chain.result("anvil_mine", json!(["0x2"]));
    assert!(soon(chain.number("timestamp"), MOST_TIME + 2));
}

#[test]
fn blocks_come_at_the_interval_that_was_chosen_and_stop_with_it() {
    let mut chain = Chain::start();
    assert_eq!(chain.result("anvil_getIntervalMining", json!([])), Value::Null);
    // The miner waits for ever, and goes on afterwards.
    chain.result("evm_setIntervalMining", json!([u64::MAX]));
    // Milliseconds, as Hardhat has it.
    assert_eq!(chain.result("evm_setIntervalMining", json!([[40, 60]])), true);
    assert_eq!(chain.result("anvil_getIntervalMining", json!([])), 1);
    let start = Instant::now();
    while chain.number("number") < 3 {
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    assert_eq!(chain.result("evm_setIntervalMining", json!([0])), true);
    assert_eq!(chain.result("anvil_getIntervalMining", json!([])), Value::Null);
    let stopped = chain.number("number");
    std::thread::sleep(Duration::from_millis(150));
    assert!(chain.number("number") <= stopped + 1);
    chain.wrong("evm_setIntervalMining", json!(["soon"]), "invalid argument 0 (interval)");
}

#[test]
fn what_pays_less_than_the_least_price_is_in_no_block() {
    let mut chain = Chain::start();
    let accounts = chain.result("eth_accounts", json!([]));
    let (from, other) = (accounts[0].clone(), accounts[1].clone());
    let cheap = chain.pay(&from, 1_000_000_000);
    for (method, price) in [("anvil_setMinGasPrice", 2), ("hardhat_setMinGasPrice", 3)] {
        let wei = price * 1_000_000_000_u64;
        chain.result(method, json!([wei]));
        assert_eq!(chain.result("eth_maxPriorityFeePerGas", json!([])), format!("{wei:#x}"));
        let enough = chain.pay(&other, wei);
        let paid = chain.result("eth_sendTransaction", json!([enough]));
        chain.result("evm_mine", json!([]));
        assert_eq!(chain.result("eth_getTransactionReceipt", json!([paid]))["status"], "0x1");
    }
    let waits = chain.result("eth_sendTransaction", json!([cheap]));
    chain.result("evm_mine", json!([]));
    assert_eq!(chain.result("eth_getTransactionReceipt", json!([waits])), Value::Null);
    chain.result("anvil_setMinGasPrice", json!(["0x0"]));
    chain.result("evm_mine", json!([]));
    assert_eq!(chain.result("eth_getTransactionReceipt", json!([waits]))["status"], "0x1");
    let many = format!("0x1{}", "0".repeat(32));
    chain.wrong("anvil_setMinGasPrice", json!([many]), "128 bits");
}

#[test]
fn everybody_can_be_impersonated_until_nobody_can() {
    let mut chain = Chain::start();
    chain.result("anvil_setBalance", json!([NOBODY, "0xde0b6b3a7640000"]));
    let payment = chain.pay(&json!(NOBODY), 1);
    for method in ["anvil_autoImpersonateAccount", "hardhat_autoImpersonateAccount"] {
        let refused = chain.refused("eth_sendTransaction", json!([payment]));
        assert_eq!(refused, (-32000, "unknown account".to_owned()));
        assert_eq!(chain.result(method, json!([true])), Value::Null);
        let sent = chain.result("eth_sendTransaction", json!([payment]));
        chain.result("evm_mine", json!([]));
        let receipt = chain.result("eth_getTransactionReceipt", json!([sent]));
        assert_eq!((&receipt["from"], &receipt["status"]), (&json!(NOBODY), &json!("0x1")));
        assert_eq!(chain.result(method, json!([false])), Value::Null);
    }
    assert_eq!(chain.result("eth_getBalance", json!([PAID, "latest"])), "0x2");
    chain.wrong("anvil_autoImpersonateAccount", json!(["yes"]), "expected a boolean");
}

#[test]
fn what_is_dropped_from_the_pool_is_in_no_block() {
    let mut chain = Chain::start();
    let accounts = chain.result("eth_accounts", json!([]));
    let send = |chain: &mut Chain, from: usize| {
        let payment = chain.pay(&accounts[from], 1);
        chain.result("eth_sendTransaction", json!([payment]))
    };
    let sent = [0, 1, 2].map(|from| send(&mut chain, from));
    // As anvil and Hardhat have it: the hash or nothing, and whether it was there.
    assert_eq!(chain.result("anvil_dropTransaction", json!([sent[0]])), sent[0]);
    assert_eq!(chain.result("anvil_dropTransaction", json!([sent[0]])), Value::Null);
    assert_eq!(chain.result("hardhat_dropTransaction", json!([sent[1]])), true);
    assert_eq!(chain.result("hardhat_dropTransaction", json!([sent[1]])), false);
    chain.result("evm_mine", json!([]));
    for dropped in [&sent[0], &sent[1]] {
        assert_eq!(chain.result("eth_getTransactionByHash", json!([dropped])), Value::Null);
    }
    assert_eq!(chain.result("eth_getTransactionReceipt", json!([sent[2]]))["status"], "0x1");
}

#[test]
fn slots_and_values_may_be_written_short_or_in_full() {
    let mut chain = Chain::start();
    let word = |number: u64| format!("0x{number:064x}");
    for (method, slot, value, want) in [
        ("anvil_setStorageAt", json!("0x1"), json!("0x2a"), 42),
        ("anvil_setStorageAt", json!(word(1)), json!(word(43)), 43),
        ("hardhat_setStorageAt", json!("0x1"), json!(word(44)), 44),
        ("hardhat_setStorageAt", json!("0x01"), json!("0x"), 0),
        ("anvil_setStorageAt", json!(1), json!(7), 7),
    ] {
        assert_eq!(chain.result(method, json!([NOBODY, slot, value])), true);
        let stored = chain.result("eth_getStorageAt", json!([NOBODY, "0x1", "latest"]));
        assert_eq!(stored, word(want), "{method} {slot} {value}");
    }
    let long = format!("0x1{}", "0".repeat(64));
    for params in [json!([NOBODY, long, "0x1"]), json!([NOBODY, "0x1", long])] {
        chain.wrong("anvil_setStorageAt", params, "no number of at most 256 bits");
    }
    chain.wrong("anvil_setStorageAt", json!([NOBODY, "0x1", "0xg"]), "(value)");
}

#[test]
fn what_a_sender_asks_for_is_what_is_refused() {
    let mut chain = Chain::start();
    let from = chain.result("eth_accounts", json!([]))[0].clone();
    let mut payment = chain.pay(&from, 1);
    payment["gas"] = json!("0xfffffffffffffffe");
    let (_, words) = chain.refused("eth_sendTransaction", json!([payment]));
    assert!(words.contains(&(u64::MAX - 1).to_string()), "{words}");
}

#[test]
fn a_block_on_demand_has_to_be_later_than_its_parent() {
    let mut chain = Chain::start();
    chain.result("evm_mine", json!([]));
    let (parent, time) = (chain.head("hash"), chain.number("timestamp"));
    let zero = format!("0x{}", "0".repeat(64));
    let attributes = |time: u64| {
        json!({ "timestamp": format!("{time:#x}"), "prevRandao": zero, "withdrawals": [],
                "suggestedFeeRecipient": NOBODY, "parentBeaconBlockRoot": zero })
    };
    for early in [time, time - 1, 0] {
        let params = json!([parent, attributes(early), [], null]);
        chain.wrong("testing_buildBlockV1", params, "is not later than that of the parent");
    }
    let built = chain.result("testing_buildBlockV1", json!([parent, attributes(time + 1), []]));
    assert_eq!(built["executionPayload"]["timestamp"], format!("{:#x}", time + 1));
    assert_eq!(chain.result("eth_blockNumber", json!([])), "0x1");
    let wrong = json!([parent, attributes(time + 1), ["0x02"]]);
    chain.wrong("testing_buildBlockV1", wrong, "transaction 0");
}

#[test]
fn blocks_at_intervals_go_on_when_automine_is_switched_off() {
    let mut chain = Chain::start();
    chain.result("evm_setIntervalMining", json!([[40, 60]]));
    chain.result("evm_setAutomine", json!([false]));
    let (before, end) = (chain.number("number"), Instant::now() + Duration::from_secs(20));
    while chain.number("number") == before {
        assert!(Instant::now() < end, "no block comes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_chain_that_goes_back_ends_the_mining_of_many_blocks() {
    let mut chain = Chain::start();
    let mut other = chain.node.client();
    std::thread::scope(|scope| {
        let mining = scope.spawn(move || other.call("anvil_mine", json!([100_000])));
        while chain.number("number") < 10 {
            assert!(!mining.is_finished());
        }
        chain.result("anvil_reset", json!([]));
        let ended = mining.join().unwrap();
        let words = ended["error"]["message"].as_str().unwrap_or_else(|| panic!("{ended}"));
        assert!(words.contains("the chain went back"), "{words}");
        let after = chain.number("number");
        assert!(after <= 1, "{after}: none but the block that was being made comes after it");
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(chain.number("number"), after);
    });
}
