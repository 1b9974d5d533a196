//! Many blocks of a few transactions each, and what memory the nodes take meanwhile.

use super::{
    http::{Connection, Endpoint},
    prepare,
    traffic::{Mix, nonce, signers},
};
use crate::{json, output::sayln};
use alloy_primitives::{B256, U64};
use alloy_signer_local::PrivateKeySigner;
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde::Serialize;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

/// What the command takes.
#[derive(Debug, Args)]
pub(super) struct BlocksArgs {
    /// A development node, as NAME=URL or URL; several to compare them.
    #[arg(long, value_name = "NAME=URL", required = true, value_parser = Endpoint::parse)]
    pub(super) rpc: Vec<Endpoint>,

    /// The process of a node, whose memory is looked at; for every --rpc in the same order.
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,

    /// How many blocks every node makes.
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    blocks: u64,

    /// How many transactions are in each, one of every sender.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(0..=500))]
    transactions: u16,

    /// In how many parts; the nodes take turns, and memory is looked at after each.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=1000))]
    parts: u64,

    /// Write a report as JSON; `-` for standard output.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// A node, as it stands after a part.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    node: String,
    blocks: u64,
    transactions: u64,
    /// In this part.
    transactions_per_second: Option<f64>,
    memory: Option<Memory>,
}

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    /// What is its own: the heap, stacks.
    own: u64,
    /// Parts of files that are mapped, which the system drops when it needs the room.
    files: u64,
}

/// One node on its way.
struct Run<'a> {
    node: &'a Endpoint,
    pid: Option<u32>,
    connection: Connection,
    senders: Vec<PrivateKeySigner>,
    nonces: Vec<u64>,
    mix: Mix,
}

/// Makes the blocks part by part, at one node after the other.
pub(super) async fn run(args: &BlocksArgs) -> Result<ExitCode> {
    let (nodes, pids) = (args.rpc.len(), args.pid.len());
    ensure!(pids == 0 || pids == nodes, "{pids} --pid for {nodes} --rpc: one for each, or none");
    let (mut runs, mut samples) = (Vec::new(), Vec::new());
    let width = args.rpc.iter().map(|node| node.name.len()).max().unwrap_or_default();
    sayln!("{:width$} {}", "node", HEADER);
    for (at, node) in args.rpc.iter().enumerate() {
        let run = Run::begin(node, args.pid.get(at).copied(), args.transactions).await?;
        samples.push(run.sample((0, 0), 0.0)?);
        runs.push(run);
    }
    samples.iter().for_each(|sample| sample.print(width));
    let mut made = 0;
    for part in 1..=args.parts {
        let until = args.blocks * part / args.parts;
        for run in &mut runs {
            let start = Instant::now();
            for _ in made..until {
                run.block().await?;
            }
            run.check().await?;
            let sample = run.sample((made, until), start.elapsed().as_secs_f64())?;
            // At once: this may take hours.
            sample.print(width);
            samples.push(sample);
        }
        made = until;
    }
    json::write(args.json.as_deref(), &samples)?;
    Ok(ExitCode::SUCCESS)
}

impl<'a> Run<'a> {
    /// Has the node make no blocks by itself.
    async fn begin(node: &'a Endpoint, pid: Option<u32>, senders: u16) -> Result<Self> {
        let mut connection = Connection::open(node).await?;
        let chain_id: U64 = connection.get("eth_chainId", json!([])).await?;
        let senders = signers(senders)?;
        let addresses: Vec<_> = senders.iter().map(PrivateKeySigner::address).collect();
        prepare::contracts(&mut connection, &addresses).await?;
        let answer = connection.ask::<Value>("evm_setAutomine", json!([false])).await?;
        answer.map_err(|refusal| eyre!("evm_setAutomine: {} refuses: {refusal}", node.name))?;
        prepare::mine(&mut connection).await?;
        let mut nonces = Vec::new();
        for address in addresses {
            nonces.push(nonce(&mut connection, address).await?);
        }
        let mix = Mix { chain_id: chain_id.to(), seed: 0 };
        Ok(Self { node, pid, connection, senders, nonces, mix })
    }

    async fn block(&mut self) -> Result<()> {
        let mut all = Vec::with_capacity(self.senders.len());
        for (signer, nonce) in self.senders.iter().zip(&mut self.nonces) {
            all.push(self.mix.params(signer, *nonce)?);
            *nonce += 1;
        }
        if !all.is_empty() {
            self.connection.get_all::<B256>("eth_sendRawTransaction", &all).await?;
        }
        prepare::mine(&mut self.connection).await
    }

    /// Whether all transactions are in blocks.
    async fn check(&mut self) -> Result<()> {
        for (signer, expected) in self.senders.iter().zip(&self.nonces) {
            let (address, node) = (signer.address(), &self.node.name);
            let found = nonce(&mut self.connection, address).await?;
            ensure!(found == *expected, "{node}: {address} has nonce {found}, not {expected}");
        }
        Ok(())
    }

    /// How the node stands after a part, given by the numbers of blocks before and after it.
    fn sample(&self, (before, blocks): (u64, u64), seconds: f64) -> Result<Sample> {
        let each = self.senders.len() as u64;
        let rate = |transactions: u64| transactions as f64 / seconds;
        Ok(Sample {
            node: self.node.name.clone(),
            blocks,
            transactions: blocks * each,
            transactions_per_second: (blocks > before).then(|| rate((blocks - before) * each)),
            memory: self.pid.map(Memory::of).transpose()?,
        })
    }
}

/// What the lines say after the name of the node.
const HEADER: &str = "   blocks  transactions     tx/s   own MiB  files MiB";

impl Sample {
    fn print(&self, width: usize) {
        let mib = |bytes: u64| (bytes >> 20).to_string();
        let (own, files) = match self.memory {
            Some(Memory { own, files }) => (mib(own), mib(files)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let rate = self.transactions_per_second;
        let rate = rate.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
        let Self { node, blocks, transactions, .. } = self;
        sayln!("{node:width$} {blocks:>9} {transactions:>13} {rate:>8} {own:>9} {files:>10}");
    }
}

impl Memory {
    /// Of a process of this machine.
    fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path);
        let status = status.wrap_err_with(|| format!("no such process: reading {path}"))?;
        Self::parse(&status).wrap_err(path)
    }

    fn parse(status: &str) -> Result<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            match kilobytes.and_then(|number| number.parse::<u64>().ok()) {
                Some(kilobytes) => Ok(kilobytes * 1024),
                None => bail!("there is no {name} in kB"),
            }
        };
        Ok(Self { own: field("RssAnon")?, files: field("RssFile")? + field("RssShmem")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_system_says() {
        let status = "Name:\tx\nVmRSS:\t     99 kB\nRssAnon:\t      10 kB\nRssFile:\t 2048 kB\n\
                      RssShmem:\t       1 kB\n";
        let memory = Memory::parse(status).unwrap();
        assert_eq!(memory, Memory { own: 10 << 10, files: 2049 << 10 });
        assert!(Memory::parse("RssAnon:\t 10 kB\n").is_err());
        assert!(Memory::parse("RssAnon: many\nRssFile: 1 kB\nRssShmem: 1 kB\n").is_err());
    }

    #[test]
    fn this_process_has_memory_of_its_own() {
        assert!(Memory::of(std::process::id()).unwrap().own > 0);
        assert!(Memory::of(u32::MAX).is_err());
    }
}
