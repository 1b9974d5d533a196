//! `warpline capture`: blocks of a development chain and of the published one by every method, and
//! from endpoints that fail, lie and go away.

use crate::{
    node::{self, Node, published},
    proxy::{Proxy, Reply, unknown},
};
use alloy_primitives::Address;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use warpline_fixture::{BlockFixture, StorageMap};
use warpline_replay::{
    Check, Outcome, PreparedBlock, RunConfig, Runner, check_execution, load_block,
};

const METHODS: [&str; 3] = ["witness", "prestate", "proof"];

/// Deploys a contract that counts its calls in slot 0 and logs the count.
const COUNTER: &str = "0x60388060095f395ff35f54600101805f555f527f111111111111111111111111111111111111111111111111111111111111111160205fa15f545f5260205ff3";

/// Deploys a contract that puts the hash of the third block before into slot 0.
const ANCESTOR: &str = "0x60088060095f395ff360034303405f5500";

/// Deploys a contract that makes another one, which destroys itself at once, and keeps its address
/// in slot 1.
const MAKER: &str = "0x600f8060095f395ff36132ff5f526002601e5ff060015500";

thread_local! {
    /// The chain of a test, which has a thread of its own. The node ends before its folder goes.
    static CHAIN: (Node, tempfile::TempDir) = chain();
}

fn url() -> String {
    CHAIN.with(|(node, _)| node.url("http"))
}

fn address() -> String {
    CHAIN.with(|(node, _)| node.address.clone())
}

/// A development chain with contracts that are made, called and call others, in blocks of several
/// transactions.
fn chain() -> (Node, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let accounts = client.call("eth_accounts", json!([]))["result"].clone();
    let mut send = |transactions: &[Value]| {
        let hashes: Vec<Value> = transactions
            .iter()
            .map(|tx| client.call("eth_sendTransaction", json!([tx]))["result"].clone())
            .collect();
        client.call("evm_mine", json!([]));
        let receipt = |hash: &Value| {
            let receipt = client.call("eth_getTransactionReceipt", json!([hash]));
            assert_eq!(receipt["result"]["status"], "0x1", "{receipt}");
            receipt["result"]["contractAddress"].clone()
        };
        hashes.iter().map(receipt).collect::<Vec<Value>>()
    };
    let deploy = |from: usize, code: &str| json!({ "from": accounts[from], "data": code });
    let made = send(&[deploy(0, COUNTER), deploy(1, ANCESTOR), deploy(2, MAKER)]);
    let call =
        |from: usize, to: &Value| json!({ "from": accounts[from], "to": to, "gas": "0x30d40" });
    for _ in 0..3 {
        let mut block: Vec<Value> = (0..5).map(|from| call(from, &made[0])).collect();
        block.push(call(5, &made[1]));
        block.push(call(8, &made[2]));
        block.push(json!({ "from": accounts[6], "to": format!("0x{:040x}", 77), "value": "0x7" }));
        send(&block);
    }
    // Made and called in the same block: before it, there is no such account.
    let creator: Address = accounts[7].as_str().unwrap().parse().unwrap();
    let address = creator.create(0);
    let made = send(&[deploy(7, COUNTER), call(7, &json!(address))]);
    assert_eq!(made[0], json!(format!("{address:#x}")));
    send(&[]);
    (node, dir)
}

/// How many blocks it has.
const BLOCKS: u64 = 6;

fn command(url: &str, blocks: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warpline"));
    command.args(["capture", "--rpc", url, blocks, "--output"]).arg(folder).args(args);
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// Runs the command; its exit code and what it said.
pub(crate) fn capture(
    url: &str,
    blocks: &str,
    folder: &Path,
    args: &[&str],
) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(url, blocks, folder, args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[track_caller]
fn captured(url: &str, blocks: &str, folder: &Path, args: &[&str]) -> String {
    let (code, said) = capture(url, blocks, folder, args);
    assert_eq!(code, Some(0), "{said}");
    said
}

fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.json.zst"))
}

fn load(folder: &Path, number: u64) -> BlockFixture {
    BlockFixture::load(&file(folder, number)).unwrap()
}

/// Replays every fixture of a folder in both modes as `warpline replay` does. What must be
/// checked for each of them is.
#[track_caller]
fn replay(folder: &Path, blocks: u64, state_roots: bool) {
    let parallel = warpline_executor::ParallelConfig { threads: 2, ..Default::default() };
    let runner = Runner::new(RunConfig { parallel, runs: 1, ..RunConfig::default() }).unwrap();
    for number in 1..=blocks {
        let block = load_block(&file(folder, number), None).unwrap();
        let report = runner.run(&block, None, || ());
        assert!(report.verified(), "{number}: {report:?}");
        if state_roots {
            let state_root = state_root_of(&block);
            assert_eq!(state_root, Outcome::Passed, "block {number}");
        }
    }
}

fn state_root_of(block: &PreparedBlock) -> Outcome {
    let state = &block.pre_state;
    let output = warpline_executor::execute_sequential(block.factory(), block.input(), state);
    let output = output.unwrap();
    let diff = warpline_merger::diff_from_bundle(&output.bundle);
    check_execution(block, &output.result, &diff).remove(&Check::StateRoot).unwrap()
}

/// Holds every account and slot in one fixture against another, which may have more.
#[track_caller]
fn contained(part: &BlockFixture, whole: &BlockFixture) {
    assert_eq!(part.header, whole.header);
    let nothing = StorageMap::default();
    for (address, account) in part.pre_state.accounts() {
        let other = whole.pre_state.account(address);
        assert_eq!(Some(&account.info), other.map(|other| &other.info), "{address}");
        let slots = other.map_or(&nothing, |other| &other.storage);
        for (slot, value) in &account.storage {
            assert_eq!(slots.get(slot), Some(value), "slot {slot} of {address}");
        }
    }
    let (absent, all) = (part.pre_state.absent().unwrap(), whole.pre_state.absent().unwrap());
    assert!(absent.is_subset(all), "{absent:?} {all:?}");
}

#[test]
fn all_methods_give_the_same_state_and_fixtures_that_replay() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    for method in METHODS {
        let said = captured(&url(), "1-latest", &folder(method), &["--method", method]);
        assert!(said.contains(&format!("{BLOCKS} blocks captured")), "{said}");
        replay(&folder(method), BLOCKS, true);
    }
    // Without proofs, and so without state roots.
    let plain = Proxy::start(&address(), |_, request, answer| {
        let method = request["method"].as_str().unwrap();
        let proves = method == "eth_getProof" || method == "debug_executionWitness";
        Reply::Answer(if proves { unknown(request) } else { answer })
    });
    for method in ["prestate", "proof"] {
        let to = folder(&format!("plain-{method}"));
        let said = captured(&plain.url, "1-latest", &to, &["--method", method]);
        assert!(said.contains(&format!("the state of {BLOCKS} as claimed")), "{said}");
        replay(&to, BLOCKS, false);
    }
    for number in 1..=BLOCKS {
        let witness = load(&folder("witness"), number);
        contained(&witness, &load(&folder("proof"), number));
        contained(&load(&folder("proof"), number), &witness);
        contained(&load(&folder("plain-proof"), number), &witness);
        contained(&witness, &load(&folder("plain-proof"), number));
        contained(&witness, &load(&folder("prestate"), number));
        contained(&witness, &load(&folder("plain-prestate"), number));
    }
}

#[test]
fn by_default_the_first_method_that_the_endpoint_has_is_used() {
    let dir = tempfile::tempdir().unwrap();
    for (refused, used) in [
        (&[][..], "debug_executionWitness"),
        (&["debug_executionWitness"], "debug_traceBlockByHash"),
        (&["debug_executionWitness", "debug_traceBlockByHash"], "eth_getProof"),
    ] {
        let proxy = Proxy::start(&address(), move |_, request, answer| {
            let refused = refused.contains(&request["method"].as_str().unwrap());
            Reply::Answer(if refused { unknown(request) } else { answer })
        });
        let said = captured(&proxy.url, "latest", &dir.path().join(used), &[]);
        assert!(said.contains(&format!("1 blocks captured (1 by {used})")), "{said}");
    }
    let (code, said) = {
        let proxy = Proxy::start(&address(), |_, request, answer| {
            let wanted = request["method"] == "debug_executionWitness";
            Reply::Answer(if wanted { unknown(request) } else { answer })
        });
        capture(&proxy.url, "2", &dir.path().join("refused"), &["--method", "witness"])
    };
    assert_eq!(code, Some(1));
    assert!(said.contains("block 2: the state before the block cannot be had"), "{said}");
    assert!(said.contains("debug_executionWitness: refused with code -32601"), "{said}");
}

#[test]
fn what_is_there_and_good_is_passed_over_and_what_is_damaged_is_captured_again() {
    let dir = tempfile::tempdir().unwrap();
    let url = url();
    captured(&url, "1-3", dir.path(), &[]);
    let modified =
        |number| std::fs::metadata(file(dir.path(), number)).unwrap().modified().unwrap();
    let before = modified(1);
    let good = std::fs::read(file(dir.path(), 2)).unwrap();
    std::fs::write(file(dir.path(), 2), &good[..good.len() / 2]).unwrap();
    std::fs::copy(file(dir.path(), 1), file(dir.path(), 3)).unwrap();
    let said = captured(&url, "1-4", dir.path(), &[]);
    assert!(said.contains("3 blocks captured"), "{said}");
    assert!(said.contains("1 passed over"), "{said}");
    assert!(said.contains("2.json.zst is captured again: damaged zstd file"), "{said}");
    assert!(said.contains("3.json.zst is captured again: it holds another block"), "{said}");
    assert_eq!(modified(1), before);
    replay(dir.path(), 4, true);
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn an_endpoint_that_fails_half_of_all_requests_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let limited = json!({ "code": -32005, "message": "slow down" });
    let proxy = Proxy::start(&address(), move |number, request, answer| match number % 10 {
        1 => Reply::Status(503),
        3 => Reply::Nothing,
        5 => Reply::Cut(answer),
        7 => Reply::Status(429),
        9 => Reply::Answer(json!({ "jsonrpc": "2.0", "id": request["id"], "error": limited })),
        _ => Reply::Answer(answer),
    });
    let args = ["--method", "proof", "--retries", "20", "--concurrency", "8"];
    let said = captured(&proxy.url, "3-4", dir.path(), &args);
    assert!(said.contains("2 blocks captured"), "{said}");
    assert!(proxy.requests() > 20, "{said}");
    contained(&load(dir.path(), 3), &load(dir.path(), 3));
}

#[test]
fn a_lie_is_found_and_nothing_is_written() {
    fn doubled(mut answer: Value, pointer: &str) -> Value {
        if let Some(place) = answer.pointer_mut(pointer)
            && let Some(number) = place.as_str()
        {
            *place = format!("{}0", number.replace("0x0", "0x1")).into();
        }
        answer
    }
    type Lie = fn(&Value, Value) -> Value;
    let lies: [(&str, Lie, &str); 5] = [
        (
            "proof",
            |request, answer| match request["method"] == "eth_getProof" {
                true => doubled(answer, "/result/balance"),
                false => answer,
            },
            "eth_getProof: a wrong answer: the balance of 0x",
        ),
        (
            "proof",
            |request, mut answer| {
                if request["method"] == "eth_getProof" {
                    answer["result"]["accountProof"] = json!([]);
                }
                answer
            },
            "eth_getProof: a wrong answer: the proof of 0x",
        ),
        (
            "proof",
            |request, answer| match request["method"].as_str().unwrap() {
                "eth_getProof" => unknown(request),
                "eth_getTransactionCount" => doubled(answer, "/result"),
                _ => answer,
            },
            "cannot be executed on the state that the endpoint gives: transaction 0",
        ),
        (
            "witness",
            |request, answer| match request["method"] == "eth_getBlockByNumber" {
                true => doubled(answer, "/result/gasUsed"),
                false => answer,
            },
            "eth_getBlockByNumber: a wrong answer: the hash is said to be 0x",
        ),
        (
            "witness",
            |request, answer| match request["method"] == "eth_getBlockByHash" {
                true => doubled(answer, "/result/stateRoot"),
                false => answer,
            },
            "eth_getBlockByHash",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (method, lie, words) in lies {
        let proxy =
            Proxy::start(&address(), move |_, request, answer| Reply::Answer(lie(request, answer)));
        let (code, said) = capture(&proxy.url, "4", dir.path(), &["--method", method]);
        assert_eq!(code, Some(1), "{words}: {said}");
        assert!(said.contains("block 4: "), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("0 blocks captured, 0 passed over, 1 failed"), "{said}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn an_endpoint_that_goes_away_ends_the_capture_which_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&address(), |number, _, answer| match number < 12 {
        true => Reply::Answer(answer),
        false => Reply::Nothing,
    });
    let args = ["--concurrency", "1", "--retries", "1"];
    let (code, said) = capture(&proxy.url, "1-6", dir.path(), &args);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("no answer from {}", proxy.url)), "{said}");
    assert!(said.contains("after 2 attempts"), "{said}");
    assert!(said.contains("1 failed"), "the others are not tried: {said}");
    let there = std::fs::read_dir(dir.path()).unwrap().count();
    assert!((1..6).contains(&there), "{said}");
    let said = captured(&url(), "1-6", dir.path(), &[]);
    assert!(said.contains(&format!("{there} passed over, 0 failed")), "{said}");
    replay(dir.path(), 6, true);
}

#[test]
fn no_more_requests_are_sent_per_second_than_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&address(), |_, _, answer| Reply::Answer(answer));
    let start = Instant::now();
    captured(&proxy.url, "2", dir.path(), &["--rate-limit", "20", "--method", "proof"]);
    let least = Duration::from_secs_f64((proxy.requests() - 1) as f64 / 20.0);
    assert!(proxy.requests() > 10 && start.elapsed() >= least, "{:?}", start.elapsed());
}

#[test]
fn new_blocks_are_followed_until_a_signal() {
    let (chain, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = Node::start(chain.path(), &["--dev", "--no-mining"]);
    let mut client = node.client();
    let mine = |client: &mut crate::client::Client| client.call("evm_mine", json!([]));
    mine(&mut client);
    let mut child = command(&node.url("http"), "1-latest", dir.path(), &["--follow"]);
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let wait_for = |number: u64| {
        let end = Instant::now() + Duration::from_secs(60);
        while !file(dir.path(), number).exists() {
            assert!(Instant::now() < end, "block {number} has not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(1);
    mine(&mut client);
    let snapshot = client.call("evm_snapshot", json!([]))["result"].clone();
    mine(&mut client);
    wait_for(3);
    let left = load(dir.path(), 3).hash;
    // Another third block, and a fourth one on it.
    assert_eq!(client.call("evm_revert", json!([snapshot]))["result"], true);
    client.call("evm_increaseTime", json!([1000]));
    mine(&mut client);
    mine(&mut client);
    wait_for(4);
    let end = Instant::now() + Duration::from_secs(60);
    while load(dir.path(), 3).hash == left {
        assert!(Instant::now() < end, "block 3 is not captured again");
        std::thread::sleep(Duration::from_millis(20));
    }
    let terminated = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(terminated.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(load(dir.path(), 3).hash, Some(load(dir.path(), 4).header.parent_hash));
    replay(dir.path(), 4, true);
}

#[test]
fn the_published_chain_is_captured_by_every_method() {
    let Some(shared) = published() else { return eprintln!("SKIPPED: no published chain") };
    let (datadir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    node::import(&shared, datadir.path());
    let node = Node::start(datadir.path(), &[]);
    let genesis = shared.join("genesis.json");
    let args = |method| ["--method", method, "--chain", genesis.to_str().unwrap()];
    // With a witness nothing else is needed: nothing is completed.
    let nothing_else = Proxy::start(&node.address, |_, request, answer| {
        let state = ["eth_getProof", "eth_getBalance", "eth_getStorageAt", "eth_getCode"];
        let state = state.contains(&request["method"].as_str().unwrap());
        Reply::Answer(if state { unknown(request) } else { answer })
    });
    for method in METHODS {
        let url = if method == "witness" { &nothing_else.url } else { &node.url("http") };
        let folder = dir.path().join(method);
        let said = captured(url, "1-latest", &folder, &args(method));
        assert!(said.contains("54 blocks captured"), "{said}");
        replay(&folder, 54, method == "witness");
    }
    for number in 1..=54 {
        let witness = load(&dir.path().join("witness"), number);
        contained(&witness, &load(&dir.path().join("proof"), number));
        contained(&witness, &load(&dir.path().join("prestate"), number));
    }
    let url = node.url("http");
    let (code, said) = capture(&url, "1", &dir.path().join("x"), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("is not known: its rules have to be given"), "{said}");
    let (code, said) = capture(&url, "1", &dir.path().join("x"), &["--chain", "mainnet"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("not 1"), "{said}");
    let (code, said) = capture(&url, "60", &dir.path().join("x"), &args("proof"));
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no block 60 yet, the latest is 54"), "{said}");
    let (code, said) = capture(&url, "0", &dir.path().join("x"), &args("proof"));
    assert_eq!(code, Some(1));
    assert!(said.contains("block 0: the genesis block cannot be replayed"), "{said}");
}
