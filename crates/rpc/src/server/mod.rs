//! Transport: HTTP, WebSocket and IPC sockets, and what each may ask for.
//!
//! - `config`: where to listen, for whom, and the limits.
//! - `dispatch`: which method answers, batches, time-outs.
//! - `meter`: what is counted.
//! - `calls`: from a message to its answer.
//! - `http`: hosts, origins, content types, compression.
//! - `tcp`: connections of HTTP and WebSocket; `ipc`: those of the Unix socket.

mod calls;
mod config;
mod dispatch;
mod http;
mod ipc;
mod meter;
mod tcp;

pub use config::{Apis, HttpPolicy, IpcConfig, Limits, Listener, ServerConfig};

use crate::{
    Context, RpcError, debug, dev, eth, net, registry::Registry, subscriptions, testing, txpool,
    warp,
};
use core::time::Duration;
use dispatch::{Dispatcher, Transport};
use jsonrpsee::{
    core::{
        RegisterMethodError,
        server::{MethodResponse, Methods},
    },
    server::{ServerHandle, stop_channel},
    types::{ErrorObjectOwned, Id},
};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

/// How long requests that are being answered may take once the server stops.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The socket file cannot be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Ipc {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Two handlers for one method.
    #[error(transparent)]
    Methods(#[from] RegisterMethodError),
    /// A name that cannot be the origin of a request.
    #[error("`{0}` cannot be the origin of a request")]
    Origin(String),
    /// There are no methods under that name.
    #[error("there is no namespace `{name}`; there are {known}")]
    Namespace {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// A server that is listening.
#[derive(Debug)]
pub struct RpcServer {
    handle: ServerHandle,
    http: Option<SocketAddr>,
    ws: Option<SocketAddr>,
    ipc: Option<ipc::SocketFile>,
}

impl RpcServer {
    /// Starts listening.
    ///
    /// # Errors
    /// An address is taken or not ours, or the configuration names what there is not.
    pub async fn start(context: Arc<Context>, config: ServerConfig) -> Result<Self, ServerError> {
        meter::describe();
        let timeout = context.config.request_timeout;
        let follower = Arc::clone(&context);
        let methods = methods(context, &config)?;
        let dispatcher = Arc::new(Dispatcher::new(&methods, &config, timeout)?);
        let (stop, handle) = stop_channel();
        tokio::spawn(subscriptions::follow(follower, stop.clone().shutdown()));
        let server =
            tcp::Server::new(methods.clone(), Arc::clone(&dispatcher), &config, stop.clone());
        let (mut http, mut ws) = (None, None);
        for (listener, serves) in config.listeners() {
            let address = server.listen(listener.address, serves, &config.policy).await?;
            http = http.or_else(|| serves.contains(&Transport::Http).then_some(address));
            ws = ws.or_else(|| serves.contains(&Transport::Ws).then_some(address));
        }
        let ipc = match &config.ipc {
            Some(ipc) => Some(ipc::listen(ipc, methods, dispatcher, config.limits.clone(), stop)?),
            None => None,
        };
        Ok(Self { handle, http, ws, ipc })
    }

    /// Where it takes HTTP requests.
    pub const fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Where it takes WebSocket connections.
    pub const fn ws(&self) -> Option<SocketAddr> {
        self.ws
    }

    /// The file of the IPC socket.
    pub fn ipc(&self) -> Option<&std::path::Path> {
        self.ipc.as_ref().map(ipc::SocketFile::path)
    }

    /// Takes no more requests, and waits a while for those that are being answered.
    pub async fn stop(self) {
        if self.handle.stop().is_ok()
            && tokio::time::timeout(PATIENCE, self.handle.stopped()).await.is_err()
        {
            tracing::warn!("some connections did not end in time");
        }
    }
}

/// What a connection beyond the limit is told.
fn too_many_connections(max: u32) -> MethodResponse {
    let error = RpcError::limit_exceeded(format!("too many connections (max {max})"));
    MethodResponse::error(Id::Null, ErrorObjectOwned::from(error))
}

fn methods(context: Arc<Context>, config: &ServerConfig) -> Result<Methods, RegisterMethodError> {
    let dev = context.node.is_dev();
    let mut registry = Registry::new(context);
    eth::register(&mut registry);
    net::register(&mut registry);
    subscriptions::register(&mut registry);
    debug::register(&mut registry);
    testing::register(&mut registry);
    txpool::register(&mut registry);
    warp::register(&mut registry);
    if dev {
        dev::register(&mut registry);
    }
    dispatch::register_modules(&mut registry, config);
    registry.finish()
}
