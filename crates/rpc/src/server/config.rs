//! Where to listen, for whom, and the limits.

use super::dispatch::Transport;
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

/// The whole server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// HTTP requests, unless they are not taken.
    pub http: Option<Listener>,
    /// WebSocket connections, unless they are not taken; on the address of HTTP both are.
    pub ws: Option<Listener>,
    /// The Unix socket, which serves everything there is.
    pub ipc: Option<IpcConfig>,
    /// Who may ask.
    pub policy: HttpPolicy,
    /// How much they may ask for.
    pub limits: Limits,
}

impl ServerConfig {
    /// Every address with what is served there.
    pub(super) fn listeners(&self) -> Vec<(&Listener, &'static [Transport])> {
        const BOTH: &[Transport] = &[Transport::Http, Transport::Ws];
        match (&self.http, &self.ws) {
            (Some(http), Some(ws)) if http.address == ws.address => vec![(http, BOTH)],
            (http, ws) => {
                let http = http.iter().map(|http| (http, &BOTH[..1]));
                http.chain(ws.iter().map(|ws| (ws, &BOTH[1..]))).collect()
            }
        }
    }
}

/// An address to listen on.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port; port 0 for any that is free.
    pub address: SocketAddr,
    /// What can be asked for there.
    pub apis: Apis,
}

/// Namespaces of methods, which is what stands before the first `_` of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apis {
    /// All that there are.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Apis {
    /// What geth serves to strangers.
    pub fn public() -> Self {
        ["eth", "net", "web3"].into_iter().collect()
    }

    pub(super) fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }
}

impl<'a> FromIterator<&'a str> for Apis {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Self {
        Self::Only(names.into_iter().map(str::to_owned).collect())
    }
}

/// The IPC socket.
#[derive(Debug, Clone)]
pub struct IpcConfig {
    /// Its file.
    pub path: PathBuf,
}

/// Who may ask over HTTP and WebSocket.
#[derive(Debug, Clone, Default)]
pub struct HttpPolicy {
    /// Origins of web pages whose scripts may read answers (`--http.corsdomain`); `*` for all.
    pub cors: Vec<String>,
    /// Names under which this host may be addressed (`--http.vhosts`), against DNS rebinding;
    /// `*` for all. Numeric addresses always may.
    pub hosts: Vec<String>,
    /// Origins of web pages that may open a WebSocket (`--ws.origins`); `*` for all. Those of
    /// this host always may.
    pub ws_origins: Vec<String>,
}

/// How much may be asked for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time, of each kind of socket.
    pub connections: u32,
    /// Subscriptions of one connection.
    pub subscriptions: u32,
    /// Requests in one batch; 0 for no limit.
    pub batch_requests: usize,
    /// Bytes of the answers to one batch; 0 for no limit.
    pub batch_response: usize,
    /// Bytes of one message to the server.
    pub request: u32,
    /// Bytes of one answer.
    pub response: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 500,
            subscriptions: 1024,
            batch_requests: 1000,
            batch_response: 25_000_000,
            request: 15 << 20,
            response: 160 << 20,
        }
    }
}
