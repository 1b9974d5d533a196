//! Sending as fast as a node takes transactions, reading meanwhile, and checking what came of it.

use super::{
    CommonArgs,
    check::{Observation, Receipt, Sender, problems},
    http::{Connection, Endpoint, Refusal},
    prepare,
    statistics::{Rate, Times, median},
    traffic::{Mix, nonce, signers},
};
use crate::{json, output::sayln};
use alloy_primitives::{B256, U64, U256};
use alloy_signer_local::PrivateKeySigner;
use comfy_table::{CellAlignment, Table, presets};
use core::time::Duration;
use eyre::{Result, ensure};
use serde::{Serialize, de::IgnoredAny};
use serde_json::json;
use std::{collections::BTreeMap, process::ExitCode, time::Instant};
use tokio::sync::watch;

/// How long no transaction may be mined while some wait, before those that wait count as lost.
const WITHOUT_PROGRESS: Duration = Duration::from_secs(10);

/// What one round at one node came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    node: String,
    accepted: usize,
    /// Of these, how many are in blocks.
    included: u64,
    refused: usize,
    /// Why the first refused one was.
    refusal: Option<String>,
    blocks: usize,
    /// From the first request until the last transaction was included, in seconds.
    seconds: f64,
    included_per_second: f64,
    /// How long the answers to `eth_sendRawTransaction` took, with the receipts where each
    /// transaction waits for that of the one before.
    sending: Rate,
    /// Reads of the counter at a block while the chain went on.
    observations: usize,
    problems: Vec<String>,
}

/// How often a connection that waits for a receipt asks for it.
const ASK_AGAIN: Duration = Duration::from_millis(1);

pub(super) async fn run(args: &CommonArgs, most: u64, wait: bool) -> Result<ExitCode> {
    let mut rounds = Vec::new();
    for round in 0..args.rounds {
        for node in &args.rpc {
            rounds.push(measured(node, args, (most, wait), round).await?);
        }
    }
    print(&rounds, args);
    json::write(args.json.as_deref(), &rounds)?;
    let failed = rounds.iter().any(|round| !round.problems.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What a connection has sent.
struct Sent {
    accepted: Vec<B256>,
    times: Times,
    refused: usize,
    refusal: Option<Refusal>,
}

async fn measured(
    node: &Endpoint,
    args: &CommonArgs,
    (most, wait): (u64, bool),
    round: u16,
) -> Result<Round> {
    let mut connection = Connection::open(node).await?;
    let chain_id: U64 = connection.get("eth_chainId", json!([])).await?;
    let signers = signers(args.connections)?;
    let addresses: Vec<_> = signers.iter().map(PrivateKeySigner::address).collect();
    prepare::contracts(&mut connection, &addresses).await?;
    // What was put there becomes part of a block, so that every block has it.
    prepare::mine(&mut connection).await?;
    let start_block: U64 = connection.get("eth_blockNumber", json!([])).await?;
    let before = count(&mut connection, start_block).await?;
    let mut senders = Vec::new();
    for address in addresses {
        let first = nonce(&mut connection, address).await?;
        senders.push(Sender { address, first, last: first, ..Sender::default() });
    }

    let per_sender = most.div_ceil(u64::from(args.connections));
    let start = Instant::now();
    let (stop, stopped) = watch::channel(false);
    let observing = tokio::spawn(observe(Connection::open(node).await?, start_block, stopped));
    let mut sending = Vec::new();
    for (signer, sender) in signers.into_iter().zip(&senders) {
        let plan = Plan {
            mix: Mix { chain_id: chain_id.to(), seed: round },
            first: sender.first,
            last: sender.first + per_sender,
            until: start + args.duration,
            wait,
        };
        let connection = Connection::open(node).await?;
        sending.push(tokio::spawn(send(connection, signer, plan)));
    }
    let (mut times, mut refused, mut refusal) = (Times::default(), 0, None);
    for (of_connection, sender) in sending.into_iter().zip(&mut senders) {
        let sent = of_connection.await??;
        times.append(sent.times);
        refused += sent.refused;
        refusal = refusal.or(sent.refusal.map(|refusal| refusal.to_string()));
        sender.accepted = sent.accepted;
    }
    let sent_for = start.elapsed();
    let seconds = (settled(&mut connection, &mut senders).await? - start).as_secs_f64();
    // Nobody listens any more where the observer has failed, which shows in what it returns.
    let _gone = stop.send(true);
    let observations = observing.await??;
    let end_block: U64 = connection.get("eth_blockNumber", json!([])).await?;
    let blocks = receipts(&mut connection, start_block.to::<u64>() + 1, end_block.to()).await?;
    let problems = problems(&senders, &blocks, prepare::COUNTER, before, &observations);
    let included = senders.iter().map(|sender| sender.last - sender.first).sum();
    Ok(Round {
        node: node.name.clone(),
        accepted: senders.iter().map(|sender| sender.accepted.len()).sum(),
        included,
        refused,
        refusal,
        blocks: blocks.values().filter(|receipts| !receipts.is_empty()).count(),
        seconds,
        included_per_second: included as f64 / seconds,
        sending: Rate::new(times, sent_for),
        observations: observations.len(),
        problems,
    })
}

async fn count(connection: &mut Connection, block: U64) -> Result<U256> {
    let params = json!([prepare::COUNTER, prepare::count_slot(), block]);
    let word: B256 = connection.get("eth_getStorageAt", params).await?;
    Ok(word.into())
}

/// What a connection is to send.
struct Plan {
    mix: Mix,
    first: u64,
    last: u64,
    until: Instant,
    /// Whether each is to have a receipt before the next is sent.
    wait: bool,
}

/// Sends one transaction after the other, each as soon as the one before has been answered.
async fn send(mut connection: Connection, signer: PrivateKeySigner, plan: Plan) -> Result<Sent> {
    let (mut accepted, mut times) = (Vec::new(), Times::default());
    let (mut refused, mut refusal) = (0, None);
    let mut nonce = plan.first;
    while nonce < plan.last && Instant::now() < plan.until {
        let params = plan.mix.params(&signer, nonce)?;
        let sent = Instant::now();
        match connection.ask::<B256>("eth_sendRawTransaction", params).await? {
            Ok(Some(hash)) => {
                if plan.wait {
                    mined(&mut connection, &hash).await?;
                }
                times.push(sent.elapsed());
                accepted.push(hash);
                nonce += 1;
            }
            Ok(None) => eyre::bail!("eth_sendRawTransaction: the answer is null"),
            Err(why) => {
                refused += 1;
                refusal.get_or_insert(why);
                // The same again: a full pool is no reason to leave a gap.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    Ok(Sent { accepted, times, refused, refusal })
}

/// Waits for a receipt, for as long as one may take to come.
async fn mined(connection: &mut Connection, hash: &B256) -> Result<()> {
    let until = Instant::now() + WITHOUT_PROGRESS;
    loop {
        let found = connection.ask::<IgnoredAny>("eth_getTransactionReceipt", json!([hash]));
        if matches!(found.await?, Ok(Some(_))) || Instant::now() >= until {
            return Ok(());
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Reads the counter as of the head and as of blocks shortly before it, again and again, but of
/// none before `first`.
async fn observe(
    mut connection: Connection,
    first: U64,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<Observation>> {
    let mut observations = Vec::new();
    while !*stopped.borrow() {
        let head: U64 = connection.get("eth_blockNumber", json!([])).await?;
        for back in [0, 1, 7] {
            let block = head.saturating_sub(U64::from(back)).max(first);
            let count = count(&mut connection, block).await?;
            observations.push(Observation { block: block.to(), count });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(observations)
}

/// Waits until everything that was accepted is included, or nothing more comes; the nonces of the
/// senders then. When the last one was.
async fn settled(connection: &mut Connection, senders: &mut [Sender]) -> Result<Instant> {
    let mut progress = Instant::now();
    loop {
        let mut waiting = false;
        for sender in senders.iter_mut() {
            let expected = sender.first + sender.accepted.len() as u64;
            if sender.last >= expected {
                continue;
            }
            let now = nonce(connection, sender.address).await?;
            if now > sender.last {
                (sender.last, progress) = (now, Instant::now());
            }
            waiting |= now < expected;
        }
        if !waiting || progress.elapsed() > WITHOUT_PROGRESS {
            return Ok(progress);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The receipts of a range of blocks.
async fn receipts(
    connection: &mut Connection,
    first: u64,
    last: u64,
) -> Result<BTreeMap<u64, Vec<Receipt>>> {
    let mut blocks = BTreeMap::new();
    for number in first..=last {
        let receipts = connection.get("eth_getBlockReceipts", json!([U64::from(number)])).await?;
        blocks.insert(number, receipts);
    }
    ensure!(last >= first || blocks.is_empty(), "the chain has become shorter");
    Ok(blocks)
}

fn print(rounds: &[Round], args: &CommonArgs) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let header =
        ["node", "included", "blocks", "tx/s", "p50 ms", "p99 ms", "reads", "refused", "ratio"];
    table.set_header(header);
    let rate = |name: &str| {
        let of = rounds.iter().filter(|round| round.node == name);
        median(of.map(|round| round.included_per_second).collect())
    };
    let base = args.rpc.last().map_or(f64::NAN, |node| rate(&node.name));
    for node in &args.rpc {
        let of: Vec<_> = rounds.iter().filter(|round| round.node == node.name).collect();
        let sum = |figure: fn(&Round) -> usize| of.iter().map(|round| figure(round)).sum::<usize>();
        let included: u64 = of.iter().map(|round| round.included).sum();
        let sending = Rate::median(&of.iter().map(|round| round.sending).collect::<Vec<_>>());
        table.add_row([
            node.name.clone(),
            included.to_string(),
            sum(|round| round.blocks).to_string(),
            format!("{:.0}", rate(&node.name)),
            format!("{:.2}", sending.p50_ms),
            format!("{:.2}", sending.p99_ms),
            sum(|round| round.observations).to_string(),
            sum(|round| round.refused).to_string(),
            format!("{:.2}", rate(&node.name) / base),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    sayln!("{table}");
    for round in rounds {
        for problem in round.problems.iter().chain(&round.refusal) {
            sayln!("{}: {problem}", round.node);
        }
    }
}
