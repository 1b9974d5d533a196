//! `warpline node`: a chain that wallets and tools talk to.

mod rpc;

use crate::{
    datadir::{self, DatadirArgs},
    network::ChainArg,
};
use clap::Args;
use eyre::{Result, WrapErr};
use rpc::RpcArgs;
use std::{path::Path, process::ExitCode, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};
use warpline_chain::{ChainOptions, Engine};
use warpline_executor::ParallelConfig;
use warpline_node::{Node, NodeConfig};
use warpline_rpc::{Context, RpcServer};

/// Run a node that answers JSON-RPC.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// The chain: mainnet, sepolia, holesky, hoodi, or the path of a genesis file in geth's
    /// format. Makes the database where there is none.
    #[arg(long, value_name = "NAME|FILE", value_parser = ChainArg::parse)]
    chain: Option<ChainArg>,

    #[command(flatten)]
    rpc: RpcArgs,
}

/// Runs the command.
pub(crate) fn run(args: &NodeArgs) -> Result<ExitCode> {
    let path = args.datadir.database()?;
    let network = args.chain.as_ref().map(ChainArg::network).transpose()?;
    let options = ChainOptions::default();
    let chain = match (datadir::open(&path, network.as_ref(), options.clone())?, &network) {
        (Some(chain), _) => chain,
        (None, Some(network)) => datadir::create(&path, network, options)?,
        (None, None) => return Err(datadir::missing(&path)),
    };
    let runtime = tokio::runtime::Runtime::new().wrap_err("starting the threads")?;
    let engine = Engine::parallel(ParallelConfig::default()).wrap_err("starting the threads")?;
    let node = Node::start(chain, engine, NodeConfig::default())?;
    let served = runtime.block_on(serve(args, &path, Arc::clone(&node)));
    runtime.shutdown_background();
    node.shutdown().wrap_err("closing the database")?;
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: &NodeArgs, folder: &Path, node: Arc<Node>) -> Result<()> {
    let context = Arc::new(Context::new(node, args.rpc.requests()));
    let server =
        RpcServer::start(context, args.rpc.server(folder.parent().unwrap_or(folder), false)?)
            .await?;
    if let Some(address) = server.http() {
        eprintln!("listening on http://{address}");
    }
    if let Some(address) = server.ws() {
        eprintln!("listening on ws://{address}");
    }
    if let Some(path) = server.ipc() {
        eprintln!("listening on {}", path.display());
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}
