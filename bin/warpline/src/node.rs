//! `warpline node`: a chain that wallets and tools talk to.

mod dev;
mod log;
mod metrics;
mod pool;
pub(crate) mod predictor;
mod produce;
mod rpc;

use crate::{
    config,
    datadir::{self, DatadirArgs},
    limits::{THREADS, up_to},
    network::{ChainArg, Network},
    output,
    prune::PruneArgs,
    root_stream::RootStreamArgs,
};
use clap::Args;
use dev::DevArgs;
use eyre::{Result, WrapErr, eyre};
use log::LogArgs;
use metrics::{Figures, MetricsArgs};
use pool::PoolArgs;
use predictor::PredictorArgs;
use produce::{ProduceArgs, pending_lag};
use rpc::RpcArgs;
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::broadcast::error::RecvError,
};
use warpline_chain::{ChainOptions, Engine, StoredChain};
use warpline_executor::ParallelConfig;
use warpline_node::{DevAccounts, Node, NodeConfig};
use warpline_rpc::{Context, RpcServer};
use warpline_storage::{Durability, StorageOptions};
use warpline_trie::TrieConfig;

/// Run a node that answers JSON-RPC.
///
/// With --dev it is a development chain that wallets and test suites can use at once. Without, it
/// serves the chain in its data folder.
///
/// SIGINT and SIGTERM end it in order.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// File with more flags under their names without the dashes, in TOML. What is given here as
    /// well has precedence.
    #[arg(id = config::FLAG, long, value_name = "FILE")]
    _config: Option<PathBuf>,

    #[command(flatten)]
    datadir: DatadirArgs,

    /// The chain: mainnet, sepolia, holesky, hoodi, or the path of a genesis file in geth's
    /// format. Makes the database where there is none.
    #[arg(long, value_name = "NAME|FILE", value_parser = ChainArg::parse)]
    chain: Option<ChainArg>,

    /// Threads of the parallel execution; 0 to execute in order [default: all cores].
    #[arg(long, value_name = "N", value_parser = up_to::<THREADS, usize>)]
    threads: Option<usize>,

    /// Make the access list of every block (EIP-7928) and keep it: `eth_getBlockAccessList` need
    /// not execute the block again then. Lists that headers commit to are kept anyway.
    #[arg(long)]
    access_lists: bool,

    #[command(flatten)]
    prune: PruneArgs,

    #[command(flatten)]
    root_stream: RootStreamArgs,

    #[command(flatten)]
    rpc: RpcArgs,

    #[command(flatten)]
    dev: DevArgs,

    #[command(flatten)]
    produce: ProduceArgs,

    #[command(flatten)]
    pool: PoolArgs,

    #[command(flatten)]
    predictor: PredictorArgs,

    #[command(flatten)]
    metrics: MetricsArgs,

    #[command(flatten)]
    log: LogArgs,
}

/// Where the database lies, and the folder that goes with the process.
struct Home {
    database: PathBuf,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

/// Runs the command.
pub(crate) fn run(args: &NodeArgs) -> Result<ExitCode> {
    args.log.start()?;
    let ended = work(args);
    match ended {
        // Whoever reads JSON wants nothing else.
        Err(error) if args.log.is_json() => {
            tracing::error!(error = output::explained(&error), "the node has failed");
            Ok(ExitCode::FAILURE)
        }
        ended => ended.map(|()| ExitCode::SUCCESS),
    }
}

fn work(args: &NodeArgs) -> Result<()> {
    let figures = args.metrics.start()?;
    args.dev.check()?;
    let keys = args.dev.keys()?;
    let home = args.home()?;
    let chain = args.open(&home, &keys)?;
    args.dev.check_chain(chain.storage().identity().chain_id)?;
    let kept = Some(home.folder.as_path()).filter(|_| home.temporary.is_none());
    let config = NodeConfig {
        mining: args.produce.mining(args.dev.dev),
        coinbase: args.produce.etherbase,
        gas_limit: args.produce.gas_limit(args.dev.dev),
        extra_data: args.produce.extra_data()?,
        min_tip: args.produce.min_tip,
        pending_lag: pending_lag(args.dev.dev),
        pool: args.pool.config(args.dev.dev, kept),
        predictor: args.predictor.config(kept),
        early: args.produce.early,
        dev: args.dev.dev,
        accounts: keys.clone(),
    };
    let engine = match args.threads() {
        0 => Engine::Sequential,
        threads => Engine::parallel(ParallelConfig { threads, ..ParallelConfig::default() })
            .wrap_err("starting the threads")?,
    };
    let node = Node::start(chain, engine, config)?;
    let runtime = tokio::runtime::Runtime::new().wrap_err("starting the threads")?;
    let served = runtime.block_on(serve(args, &home, &keys, Arc::clone(&node), figures));
    runtime.shutdown_timeout(Duration::from_secs(1));
    node.shutdown().wrap_err("closing the database")?;
    served
}

impl NodeArgs {
    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.unwrap_or_else(cores)
    }

    fn home(&self) -> Result<Home> {
        if self.dev.dev && !self.datadir.is_given() {
            let temporary = tempfile::Builder::new().prefix("warpline-dev").tempdir();
            let temporary = temporary.wrap_err("a folder for the development chain")?;
            let folder = temporary.path().to_owned();
            return Ok(Home { database: folder.join("db"), folder, temporary: Some(temporary) });
        }
        let database = self.datadir.database()?;
        let folder = database.parent().map_or_else(|| database.clone(), Path::to_owned);
        Ok(Home { database, folder, temporary: None })
    }

    fn open(&self, home: &Home, keys: &DevAccounts) -> Result<StoredChain> {
        // A development chain need not survive a power cut.
        let durability = match self.dev.dev {
            true => Durability::Periodic { bytes: 256 << 20, period: Duration::from_secs(30) },
            false => Durability::EveryCommit,
        };
        let prune = self.prune.prune;
        let storage = StorageOptions { durability, prune, ..StorageOptions::default() };
        let trie = TrieConfig { threads: self.threads().max(1), ..TrieConfig::default() };
        let options = ChainOptions {
            storage,
            trie,
            preimages: self.dev.dev,
            access_lists: self.access_lists,
            streaming: self.root_stream.streaming(),
            ..ChainOptions::default()
        };
        let network = self.chain.as_ref().map(ChainArg::network).transpose()?;
        if let Some(warning) = network.as_ref().and_then(Network::warning) {
            tracing::warn!("{warning}");
        }
        if let Some(chain) = datadir::open(&home.database, network.as_ref(), options.clone())? {
            return Ok(chain);
        }
        let network = match network {
            Some(network) => network,
            None if self.dev.dev => self.dev.network(keys)?,
            None => {
                let missing = datadir::missing(&home.database);
                return Err(eyre!("{missing}; `warpline node --dev` runs a development chain"));
            }
        };
        datadir::create(&home.database, &network, options)
    }
}

async fn serve(
    args: &NodeArgs,
    home: &Home,
    keys: &DevAccounts,
    node: Arc<Node>,
    figures: Option<Figures>,
) -> Result<()> {
    // Before anybody hears of the node, and ends it at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let chain_id = node.view().rules().chain_id();
    let context = Arc::new(Context::new(Arc::clone(&node), args.rpc.requests()));
    let config = args.rpc.server(&home.folder, args.dev.dev)?;
    let metrics = match figures.clone() {
        Some(figures) => Some(figures.serve(Arc::clone(&node)).await?),
        None => None,
    };
    let server = RpcServer::start(context, config).await?;
    if !args.log.is_json() {
        args.dev.print_keys(keys, Some(chain_id).filter(|_| args.chain.is_none()));
    }
    let listening = |at: &str| args.log.say("listening on", at);
    if let Some(address) = server.http() {
        listening(&format!("http://{address}"));
    }
    if let Some(address) = server.ws() {
        listening(&format!("ws://{address}"));
    }
    if let Some(path) = server.ipc() {
        listening(&path.display().to_string());
    }
    if let Some(address) = server.http().filter(|_| args.dev.dev && !args.log.is_json()) {
        DevArgs::print_next(keys, &format!("http://{address}"), chain_id);
    }
    if let Some(address) = metrics {
        args.log.say("metrics at", &format!("http://{address}/metrics"));
    }
    let mut heads = node.new_heads();
    let mut upkeep = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            head = heads.recv() => match head {
                Ok(head) => log::head(&head, node.view().written().number),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            _ = upkeep.tick() => {
                figures.iter().for_each(Figures::upkeep);
                if let Err(error) = node.upkeep() {
                    tracing::warn!(%error, "the pool's journal cannot be written");
                }
            }
        }
    }
    tracing::info!("shutting down");
    server.stop().await;
    Ok(())
}
