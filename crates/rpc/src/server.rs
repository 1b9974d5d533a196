//! Transport: HTTP and WebSocket on one port.

use crate::{Context, debug, dev, eth, net, registry::Registry, testing, txpool};
use jsonrpsee::{
    core::RegisterMethodError,
    server::{Server, ServerHandle},
};
use std::{io, net::SocketAddr, sync::Arc};

/// Where and how the server listens.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address and port (`--http.addr`, `--http.port`).
    pub address: SocketAddr,
}

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
    /// Two handlers for one method.
    #[error(transparent)]
    Methods(#[from] RegisterMethodError),
}

/// A server that is listening.
#[derive(Debug)]
pub struct RpcServer {
    handle: ServerHandle,
    address: SocketAddr,
}

impl RpcServer {
    /// Starts listening.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start(context: Arc<Context>, config: ServerConfig) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen { address: config.address, source };
        let dev = context.node.is_dev();
        let mut registry = Registry::new(context);
        eth::register(&mut registry);
        net::register(&mut registry);
        debug::register(&mut registry);
        testing::register(&mut registry);
        txpool::register(&mut registry);
        if dev {
            dev::register(&mut registry);
        }
        let server = Server::builder().build(config.address).await.map_err(listen)?;
        let address = server.local_addr().map_err(listen)?;
        Ok(Self { handle: server.start(registry.finish()?), address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and waits for those that are being answered.
    pub async fn stop(self) {
        if self.handle.stop().is_ok() {
            self.handle.stopped().await;
        }
    }
}
