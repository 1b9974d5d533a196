//! Reading as fast as a node answers.

use super::{
    CommonArgs,
    http::{Connection, Endpoint, request},
    prepare,
    statistics::{Rate, Times},
};
use crate::{json, output::sayln};
use alloy_primitives::{Address, U64};
use comfy_table::{CellAlignment, Table, presets};
use core::time::Duration;
use eyre::{Result, ensure, eyre};
use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Instant};

/// Transactions in the blocks that are asked for; each has a log.
const LOGS: usize = 50;

/// What can be measured.
pub(super) const METHODS: [&str; 4] =
    ["eth_call", "eth_getBalance", "eth_getBlockByNumber", "eth_getLogs"];

/// What one node has answered of one method.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    method: &'static str,
    node: String,
    median: Rate,
    rounds: Vec<Rate>,
}

/// Measures every method, or only some, at every node in every round.
pub(super) async fn run(args: &CommonArgs, only: &[String]) -> Result<ExitCode> {
    let mut bodies = Vec::new();
    for node in &args.rpc {
        bodies.push(prepared(node).await?);
    }
    let mut figures: Vec<Figures> = Vec::new();
    for (at, method) in METHODS.into_iter().enumerate() {
        if !only.is_empty() && !only.iter().any(|only| only == method) {
            continue;
        }
        let of_method = figures.len();
        figures.extend(args.rpc.iter().map(|node| Figures {
            method,
            node: node.name.clone(),
            median: Rate::default(),
            rounds: Vec::new(),
        }));
        for _ in 0..args.rounds {
            for (index, (node, bodies)) in args.rpc.iter().zip(&bodies).enumerate() {
                let body = &bodies[at];
                let rate = measured(node, body, args.connections, args.duration).await?;
                figures[of_method + index].rounds.push(rate);
            }
        }
        for figures in &mut figures[of_method..] {
            figures.median = Rate::median(&figures.rounds);
        }
    }
    print(&figures);
    json::write(args.json.as_deref(), &figures)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes blocks to be read, and says what to ask for, in the order of [`METHODS`].
async fn prepared(node: &Endpoint) -> Result<[Bytes; METHODS.len()]> {
    let mut connection = Connection::open(node).await?;
    let accounts: Vec<Address> = connection.get("eth_accounts", json!([])).await?;
    let (from, to) = match accounts[..] {
        [from, to, ..] => (from, to),
        _ => return Err(eyre!("{} has no accounts: is it a development node?", node.name)),
    };
    prepare::contracts(&mut connection, &[from, to]).await?;
    let first: U64 = connection.get("eth_blockNumber", json!([])).await?;
    let data = prepare::token_transfer(&to);
    for _ in 0..LOGS {
        let call = json!({ "from": from, "to": prepare::TOKEN, "data": data, "gas": "0x186a0" });
        let hash: Value = connection.get("eth_sendTransaction", json!([call])).await?;
        mined(&mut connection, &hash).await?;
    }
    let last: U64 = connection.get("eth_blockNumber", json!([])).await?;
    let first = first + U64::from(1);
    let balance = json!({ "to": prepare::TOKEN, "data": prepare::token_balance(&to) });
    let logs = json!({ "fromBlock": first, "toBlock": last, "address": prepare::TOKEN });
    let params =
        [json!([balance, "latest"]), json!([from, "latest"]), json!([last, true]), json!([logs])];
    let found: Vec<Value> = connection.get("eth_getLogs", json!([logs])).await?;
    ensure!(found.len() == LOGS, "{} finds {} of {LOGS} logs", node.name, found.len());
    Ok(core::array::from_fn(|at| request(METHODS[at], &params[at])))
}

async fn mined(connection: &mut Connection, hash: &Value) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let receipt = connection.ask::<Value>("eth_getTransactionReceipt", json!([hash])).await?;
        if matches!(receipt, Ok(Some(_))) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{hash} is not mined within 30 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Has so many connections ask for the same until the time is over.
async fn measured(
    node: &Endpoint,
    body: &Bytes,
    connections: u16,
    duration: Duration,
) -> Result<Rate> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(node).await?);
    }
    let start = Instant::now();
    let asking = open.into_iter().map(|mut connection| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut times = Times::default();
            while start.elapsed() < duration {
                let sent = Instant::now();
                let answer = connection.exchange(body.clone()).await?;
                times.push(sent.elapsed());
                ensure!(is_result(&answer), "{}", String::from_utf8_lossy(&answer));
            }
            Ok(times)
        })
    });
    let mut times = Times::default();
    for of_connection in asking.collect::<Vec<_>>() {
        times.append(of_connection.await??);
    }
    Ok(Rate::new(times, start.elapsed()))
}

/// Whether an answer is none that was refused. Looks at its first bytes only: whatever reads the
/// whole takes time from what is measured.
fn is_result(answer: &[u8]) -> bool {
    let first = &answer[..answer.len().min(64)];
    first.windows(8).any(|bytes| bytes == b"\"result\"")
}

fn print(figures: &[Figures]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["method", "node", "per second", "p50 ms", "p99 ms", "ratio"]);
    let base = figures.last().map(|figures| figures.node.clone()).unwrap_or_default();
    for of in figures {
        let same = |other: &&Figures| other.method == of.method && other.node == base;
        let base = figures.iter().find(same).map_or(f64::NAN, |base| base.median.per_second);
        table.add_row([
            of.method.to_owned(),
            of.node.clone(),
            format!("{:.0}", of.median.per_second),
            format!("{:.2}", of.median.p50_ms),
            format!("{:.2}", of.median.p99_ms),
            format!("{:.2}", of.median.per_second / base),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    sayln!("{table}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_no_results() {
        assert!(is_result(br#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#));
        assert!(!is_result(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x"}}"#));
        assert!(!is_result(b""));
    }
}
