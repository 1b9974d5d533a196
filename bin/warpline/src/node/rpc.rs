//! Where the node takes requests, from whom, and how much may be asked for. The names are those
//! of geth and reth.

use clap::{ArgAction, Args};
use eyre::{Result, ensure};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use warpline_rpc::{Apis, HttpPolicy, IpcConfig, Limits, Listener, RpcConfig, ServerConfig};

/// What is served on an address that only this machine can reach, without being asked for.
const LOCAL: [&str; 7] = ["eth", "net", "web3", "debug", "txpool", "testing", "warp"];

/// Requests over HTTP, WebSocket and IPC.
#[derive(Debug, Args)]
#[command(next_help_heading = "JSON-RPC")]
pub(crate) struct RpcArgs {
    /// Take requests over HTTP.
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    http: bool,

    /// Address for HTTP.
    #[arg(long = "http.addr", value_name = "ADDRESS", default_value = "127.0.0.1")]
    http_addr: IpAddr,

    /// Port for HTTP; 0 for any that is free.
    #[arg(long = "http.port", value_name = "PORT", default_value_t = 8545)]
    http_port: u16,

    /// Namespaces served over HTTP, or `all`. By default eth, net and web3, and on an address of
    /// this machine alone debug, txpool, testing and warp too.
    #[arg(long = "http.api", value_name = "LIST", value_delimiter = ',')]
    http_api: Option<Vec<String>>,

    /// Origins of web pages that may read answers; `*` for all.
    #[arg(long = "http.corsdomain", value_name = "LIST", value_delimiter = ',')]
    http_corsdomain: Option<Vec<String>>,

    /// Host names under which the node may be addressed; `*` for all. Numeric addresses always
    /// may.
    #[arg(
        long = "http.vhosts",
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    http_vhosts: Vec<String>,

    /// Take WebSocket connections.
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    ws: bool,

    /// Address for WebSocket. By default that of HTTP.
    #[arg(long = "ws.addr", value_name = "ADDRESS")]
    ws_addr: Option<IpAddr>,

    /// Port for WebSocket. By default that of HTTP.
    #[arg(long = "ws.port", value_name = "PORT")]
    ws_port: Option<u16>,

    /// Namespaces served over WebSocket. By default those of HTTP.
    #[arg(long = "ws.api", value_name = "LIST", value_delimiter = ',')]
    ws_api: Option<Vec<String>>,

    /// Origins of web pages that may open a WebSocket; `*` for all. By default those of this
    /// machine.
    #[arg(long = "ws.origins", value_name = "LIST", value_delimiter = ',')]
    ws_origins: Option<Vec<String>>,

    /// File of the IPC socket. By default `warpline.ipc` in the data folder.
    #[arg(long, value_name = "FILE")]
    ipcpath: Option<PathBuf>,

    /// Open no IPC socket.
    #[arg(long)]
    ipcdisable: bool,

    /// Most gas that a call or an estimate may use; 0 for no limit.
    #[arg(long = "rpc.gascap", value_name = "GAS", default_value_t = 50_000_000)]
    gascap: u64,

    /// Most seconds that a call, an estimate or a trace may take; 0 for no limit.
    #[arg(long = "rpc.evmtimeout", value_name = "SECONDS", default_value_t = 5.0,
          value_parser = seconds)]
    evmtimeout: f64,

    /// Most seconds that any request may take; 0 for no limit.
    #[arg(long = "rpc.timeout", value_name = "SECONDS", default_value_t = 30.0,
          value_parser = seconds)]
    timeout: f64,

    /// Most requests in one batch; 0 for no limit.
    #[arg(long = "rpc.batch-request-limit", value_name = "N", default_value_t = 1000)]
    batch_request_limit: usize,

    /// Most bytes of the answers to one batch; 0 for no limit.
    #[arg(
        long = "rpc.batch-response-max-size",
        value_name = "BYTES",
        default_value_t = 25_000_000
    )]
    batch_response_max_size: usize,

    /// Most megabytes of one request.
    #[arg(long = "rpc.max-request-size", value_name = "MB", default_value_t = 15,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_request_size: u32,

    /// Most megabytes of one answer.
    #[arg(long = "rpc.max-response-size", value_name = "MB", default_value_t = 160,
          value_parser = clap::value_parser!(u32).range(1..=2048))]
    max_response_size: u32,

    /// Most connections at a time, of each kind of socket.
    #[arg(long = "rpc.max-connections", value_name = "N", default_value_t = 500)]
    max_connections: u32,

    /// Most subscriptions of one connection.
    #[arg(long = "rpc.max-subscriptions-per-connection", value_name = "N", default_value_t = 1024)]
    max_subscriptions: u32,

    /// Most blocks that logs may be looked for in with one request; 0 for no limit.
    #[arg(long = "rpc.rangelimit", value_name = "BLOCKS", default_value_t = 0)]
    rangelimit: u64,

    /// Most logs in one answer; 0 for no limit.
    #[arg(long = "rpc.max-logs-per-response", value_name = "N", default_value_t = 20_000)]
    max_logs: usize,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "no number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(_) => Ok(seconds),
        Err(error) => Err(error.to_string()),
    }
}

impl RpcArgs {
    /// What the server is to do. A development chain serves everything to everyone who reaches
    /// it, which by default is this machine.
    pub(crate) fn server(&self, datadir: &Path, dev: bool) -> Result<ServerConfig> {
        let http = SocketAddr::new(self.http_addr, self.http_port);
        let ws_addr = self.ws_addr.unwrap_or(self.http_addr);
        let ws = SocketAddr::new(ws_addr, self.ws_port.unwrap_or(self.http_port));
        ensure!(
            self.ws_api.is_none() || self.ws,
            "--ws.api says what is served over WebSocket, and --ws=false that nothing is"
        );
        let everyone = || if dev { vec!["*".to_owned()] } else { Vec::new() };
        let http_apis = self.http_api.as_deref();
        let ws_apis = self.ws_api.as_deref().or(http_apis);
        let listener = |address, names| Listener { address, apis: apis(names, address, dev) };
        let default = || Some(datadir.join("warpline.ipc")).filter(|path| fits_a_socket(path));
        let ipcpath = self.ipcpath.clone().or_else(default).filter(|_| !self.ipcdisable);
        Ok(ServerConfig {
            http: self.http.then(|| listener(http, http_apis)),
            ws: self.ws.then(|| listener(ws, ws_apis)),
            ipc: ipcpath.map(|path| IpcConfig { path }),
            policy: HttpPolicy {
                cors: self.http_corsdomain.clone().unwrap_or_else(everyone),
                hosts: self.http_vhosts.clone(),
                ws_origins: self.ws_origins.clone().unwrap_or_else(everyone),
            },
            limits: Limits {
                connections: self.max_connections,
                subscriptions: self.max_subscriptions,
                batch_requests: self.batch_request_limit,
                batch_response: self.batch_response_max_size,
                request: self.max_request_size << 20,
                response: u32::try_from(u64::from(self.max_response_size) << 20)
                    .unwrap_or(u32::MAX),
            },
        })
    }

    /// How much a single request may ask for.
    pub(crate) fn requests(&self) -> RpcConfig {
        RpcConfig {
            gas_cap: self.gascap,
            evm_timeout: Duration::from_secs_f64(self.evmtimeout),
            request_timeout: Duration::from_secs_f64(self.timeout),
            log_blocks: self.rangelimit,
            logs: self.max_logs,
            ..RpcConfig::default()
        }
    }
}

/// Whether a path can be that of a Unix socket, which takes 107 bytes on Linux and 103 elsewhere.
fn fits_a_socket(path: &Path) -> bool {
    path.as_os_str().len() <= 103
}

fn apis(names: Option<&[String]>, address: SocketAddr, dev: bool) -> Apis {
    match names {
        Some(names) if names.iter().any(|name| name == "all") => Apis::All,
        Some(names) => names.iter().map(|name| name.trim()).filter(|n| !n.is_empty()).collect(),
        None if dev => Apis::All,
        None if address.ip().is_loopback() => LOCAL.into_iter().collect(),
        None => Apis::public(),
    }
}
