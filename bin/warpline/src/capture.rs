//! `warpline capture`: blocks with everything their replay needs, from any node.

mod progress;
mod session;

use crate::{network::ChainArg, output::sayln, stop::Stop};
use clap::{Args, ValueEnum};
use eyre::{Result, WrapErr};
use session::Session;
use std::{
    num::NonZeroUsize, path::PathBuf, process::ExitCode, str::FromStr, sync::Arc, time::Duration,
};
use warpline_capture::{Client, ClientConfig, Endpoint, Method, Rules};

/// Capture blocks from a node as fixtures that `warpline replay` reads.
///
/// Every fixture is executed and held against its header before it is written. Blocks that have a
/// fixture already which passes the same checks are passed over, so an interrupted capture goes
/// on where it was.
///
/// Exit code 0: every block is there. 1: some are not, or the node cannot be used. 2: wrong usage.
/// 130, 143: ended by a signal.
#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    /// The node: http:// or https://.
    #[arg(long, value_name = "URL", value_parser = url)]
    rpc: String,

    /// A number, FIRST-LAST (where LAST may be `latest`), or `latest`.
    #[arg(value_name = "BLOCK|RANGE|latest")]
    blocks: Blocks,

    /// Folder for the fixtures, NUMBER.json.zst each.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    /// Then go on with every new block until interrupted.
    #[arg(long)]
    follow: bool,

    /// Where the state before a block comes from [default: the first of them that the node has].
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<MethodArg>,

    /// Rules of the chain: mainnet, sepolia, holesky, hoodi, or the path of a genesis file
    /// [default: by the chain id, or what a development chain says].
    #[arg(long, value_name = "NAME|FILE", value_parser = ChainArg::parse)]
    chain: Option<ChainArg>,

    /// Blocks that are captured at the same time.
    #[arg(long, value_name = "N", default_value = "4")]
    concurrency: NonZeroUsize,

    /// Most requests per second.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate_limit: Option<f64>,

    /// How often a request is repeated that fails for reasons that may pass, with growing pauses.
    #[arg(long, value_name = "N", default_value_t = 8)]
    retries: usize,

    /// Seconds that one answer may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodArg {
    /// debug_executionWitness.
    Witness,
    /// debug_traceBlockByHash with the prestateTracer, completed on demand.
    Prestate,
    /// On demand: eth_getProof, and where there is none eth_getBalance and so on.
    Proof,
}

/// What to capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    /// None for the latest.
    first: Option<u64>,
    last: Option<u64>,
}

impl FromStr for Blocks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| match text {
            "latest" => Ok(None),
            number => number
                .parse()
                .map(Some)
                .map_err(|error| format!("`{number}` is neither a number nor `latest`: {error}")),
        };
        let Some((first, last)) = text.split_once('-') else {
            let block = number(text)?;
            return Ok(Self { first: block, last: block });
        };
        match (number(first)?, number(last)?) {
            (None, _) => Err("a range begins with a number".to_owned()),
            (Some(first), Some(last)) if last < first => {
                Err(format!("the range ends with {last}, before it begins with {first}"))
            }
            (first, last) => Ok(Self { first, last }),
        }
    }
}

fn url(text: &str) -> Result<String, String> {
    match text.starts_with("http://") || text.starts_with("https://") {
        true => Ok(text.to_owned()),
        false => Err("not a URL that begins with http:// or https://".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match rate.is_finite() && rate >= 0.001 {
        true => Ok(rate),
        false => Err("not a number of requests per second from 0.001 on".to_owned()),
    }
}

/// Runs the command.
pub(crate) fn run(args: &CaptureArgs) -> Result<ExitCode> {
    let stop = Arc::new(Stop::on_signals()?);
    std::fs::create_dir_all(&args.output)
        .wrap_err_with(|| format!("making the folder {}", args.output.display()))?;
    let config = ClientConfig {
        url: args.rpc.clone(),
        timeout: Duration::from_secs(args.timeout),
        retries: args.retries,
        rate_limit: args.rate_limit,
    };
    let asked = Arc::clone(&stop);
    let client = Client::new(config, Arc::new(move || asked.requested()));
    let method = args.method.map(|method| match method {
        MethodArg::Witness => Method::Witness,
        MethodArg::Prestate => Method::Prestate,
        MethodArg::Proof => Method::Proof,
    });
    let connected = args.rules().and_then(|rules| Ok(Endpoint::connect(client, rules, method)?));
    let endpoint = match connected {
        Ok(endpoint) => endpoint,
        Err(_) if stop.requested() => return Ok(stop.exit_code().unwrap_or(ExitCode::FAILURE)),
        Err(error) => return Err(error),
    };
    let session = Session::new(&endpoint, &args.output, args.concurrency.get());
    let done = session.run(args.blocks.first, args.blocks.last, args.follow);
    let done = match done {
        // A signal may come while the node is asked.
        Err(_) if stop.requested() => false,
        done => done?,
    };
    sayln!("{}", session.summary());
    match stop.exit_code() {
        // To follow until then is what was asked for.
        Some(_) if args.follow && done => Ok(ExitCode::SUCCESS),
        Some(code) => Ok(code),
        None if done => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

impl CaptureArgs {
    fn rules(&self) -> Result<Option<Rules>> {
        Ok(match &self.chain {
            None => None,
            Some(ChainArg::Network(spec)) => Some(Rules::network(spec.clone())),
            Some(ChainArg::File(network)) => {
                network.config.clone().map(Rules::custom).transpose()?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_a_number_a_range_or_the_latest() {
        let blocks = |first, last| Ok(Blocks { first, last });
        assert_eq!("7".parse(), blocks(Some(7), Some(7)));
        assert_eq!("7-9".parse(), blocks(Some(7), Some(9)));
        assert_eq!("7-latest".parse(), blocks(Some(7), None));
        assert_eq!("latest".parse(), blocks(None, None));
        for (text, why) in [
            ("9-7", "ends with 7, before it begins with 9"),
            ("latest-9", "begins with a number"),
            ("newest", "neither a number nor `latest`"),
            ("1-2-3", "neither a number"),
            ("", "neither a number"),
        ] {
            let error = text.parse::<Blocks>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
