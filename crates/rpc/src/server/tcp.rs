//! Connections of HTTP and WebSocket: accepting them, and ending those that do not read.

use super::{
    HttpPolicy, Limits, ServerConfig, ServerError,
    calls::Calls,
    dispatch::{Dispatch, Dispatcher, Transport},
    http::{GateLayer, compression, cors},
    meter::{self, Connection},
};
use crate::{RpcError, subscriptions::HexIds};
use core::time::Duration;
use jsonrpsee::{
    core::{
        middleware::RpcServiceBuilder,
        server::{MethodResponse, Methods},
    },
    server::{
        BatchRequestConfig, ConnectionId, PingConfig, ServerConfig as JsonRpcConfig, StopHandle,
        serve_with_graceful_shutdown,
    },
    types::{ErrorObjectOwned, Id},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceBuilder;

/// How long a client may take to make room for what it asked for.
const TO_READ: Duration = Duration::from_secs(30);
/// How long a connection may say nothing. WebSockets are asked for a sign of life in between.
const SILENCE: Duration = Duration::from_secs(150);

/// What every connection needs.
#[derive(Debug, Clone)]
pub(super) struct Server {
    methods: Methods,
    dispatcher: Arc<Dispatcher>,
    limits: Limits,
    connections: Arc<Semaphore>,
    stop: StopHandle,
}

impl Server {
    pub(super) fn new(
        methods: Methods,
        dispatcher: Arc<Dispatcher>,
        config: &ServerConfig,
        stop: StopHandle,
    ) -> Self {
        let limits = config.limits.clone();
        let connections = Arc::new(Semaphore::new(limits.connections as usize));
        Self { methods, dispatcher, limits, connections, stop }
    }

    /// Listens on an address; where exactly, where the port was left open.
    pub(super) async fn listen(
        &self,
        address: SocketAddr,
        serves: &'static [Transport],
        policy: &HttpPolicy,
    ) -> Result<SocketAddr, ServerError> {
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let cors = cors(policy)?;
        let calls = Calls {
            methods: self.methods.clone(),
            subscriptions: None,
            connection: ConnectionId::from(0_u32),
            response: self.limits.response as usize,
        };
        let calls = Dispatch::new(calls, &self.dispatcher);
        let gate = GateLayer::new(policy, serves, self.limits.request, calls);
        let http = ServiceBuilder::new().layer(compression()).option_layer(cors).layer(gate);
        let config = self.config();
        let server = self.clone();
        tokio::spawn(async move {
            let stopped = server.stop.clone().shutdown();
            tokio::pin!(stopped);
            let mut id = 0_u32;
            loop {
                id = id.wrapping_add(1);
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = &mut stopped => return,
                };
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, most likely: others have to close theirs first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let Ok(permit) = Arc::clone(&server.connections).try_acquire_owned() else {
                    turn_away(&stream, server.limits.connections);
                    meter::turned_away("tcp");
                    continue;
                };
                let dispatcher = Arc::clone(&server.dispatcher);
                let rpc = RpcServiceBuilder::new()
                    .layer_fn(move |inner| Dispatch::new(inner, &dispatcher));
                let service = jsonrpsee::server::Server::builder()
                    .set_config(config.clone())
                    .set_rpc_middleware(rpc)
                    .to_service_builder()
                    .connection_id(id)
                    .build(server.methods.clone(), server.stop.clone());
                let service = http.clone().service(service);
                let stopped = server.stop.clone().shutdown();
                tokio::spawn(async move {
                    let _open = Connection::open("tcp");
                    let ended =
                        serve_with_graceful_shutdown(patient(stream), service, stopped).await;
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection has failed");
                    }
                    drop(permit);
                });
            }
        });
        Ok(address)
    }

    /// For WebSockets; what comes by HTTP is answered before it gets there.
    fn config(&self) -> JsonRpcConfig {
        let limits = &self.limits;
        JsonRpcConfig::builder()
            .max_request_body_size(limits.request)
            .max_response_body_size(limits.response)
            // Connections are counted here.
            .max_connections(u32::MAX)
            .max_subscriptions_per_connection(limits.subscriptions)
            .set_batch_request_config(BatchRequestConfig::Unlimited)
            .set_id_provider(HexIds)
            .enable_ws_ping(PingConfig::default())
            .ws_only()
            .build()
    }
}

/// A stream that fails where its client neither reads nor writes.
fn patient(stream: TcpStream) -> core::pin::Pin<Box<TimeoutStream<TcpStream>>> {
    // At worst small answers are late.
    let _delayed = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TO_READ));
    stream.set_read_timeout(Some(SILENCE));
    Box::pin(stream)
}

/// Tells a client that there are too many, if it listens.
fn turn_away(stream: &TcpStream, max: u32) {
    let error = RpcError::limit_exceeded(format!("too many connections (max {max})"));
    let error = MethodResponse::error(Id::Null, ErrorObjectOwned::from(error));
    let body = error.as_ref();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _unheard = stream.try_write(answer.as_bytes());
}
