//! Figures for Prometheus, on a socket of their own.

use clap::Args;
use core::{convert::Infallible, time::Duration};
use eyre::{Result, WrapErr, eyre};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{net::TcpListener, sync::Semaphore, task::spawn_blocking};
use warpline_node::Node;

/// Figures for Prometheus.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Serve figures for Prometheus over HTTP. A port alone is one of this machine; without a
    /// value it is 127.0.0.1:9001.
    #[arg(long, value_name = "ADDRESS", value_parser = address, num_args = 0..=1,
          default_missing_value = "127.0.0.1:9001")]
    metrics: Option<SocketAddr>,
}

/// An address with a port, or a port of this machine with or without a colon.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "neither ADDRESS:PORT nor a port".to_owned())
}

/// Upper bounds of the times that are told apart, in seconds.
const BOUNDS: [f64; 14] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 2.5, 10.0];

/// Connections at a time: there are few who ask.
const CONNECTIONS: usize = 32;

/// How long somebody who connects may take to say what they want.
const TO_ASK: Duration = Duration::from_secs(10);

/// The content type of Prometheus' text format.
const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");

/// Everything that is counted in this process.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    address: SocketAddr,
    handle: PrometheusHandle,
    process: Collector,
}

impl MetricsArgs {
    /// Begins to count, if that is asked for. To be called before anything that counts is made.
    pub(crate) fn start(&self) -> Result<Option<Figures>> {
        let Some(address) = self.metrics else { return Ok(None) };
        let seconds = Matcher::Suffix("seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &BOUNDS)?;
        let handle = builder.install_recorder()?;
        let process = Collector::default();
        process.describe();
        metrics::describe_gauge!("warpline_info", "The version that runs");
        metrics::gauge!("warpline_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        Ok(Some(Figures { address, handle, process }))
    }
}

impl Figures {
    /// Serves the figures until the runtime ends; where exactly, where the port was left open.
    pub(crate) async fn serve(self, node: Arc<Node>) -> Result<SocketAddr> {
        let listener = TcpListener::bind(self.address).await;
        let listener = listener.wrap_err_with(|| eyre!("--metrics {}", self.address))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::spawn(async move {
            while let Ok(permit) = Arc::clone(&connections).acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else {
                    // Out of file descriptors, most likely: others have to close theirs first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (figures, node) = (self.clone(), Arc::clone(&node));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (figures, node) = (figures.clone(), Arc::clone(&node));
                        async move { Ok::<_, Infallible>(figures.answer(&request, node).await) }
                    });
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(TO_ASK)
                        .serve_connection(TokioIo::new(stream), service);
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection for metrics has failed");
                    }
                    drop(permit);
                });
            }
        });
        Ok(address)
    }

    async fn answer(self, request: &Request<Incoming>, node: Arc<Node>) -> Response<Full<Bytes>> {
        if !matches!(request.uri().path(), "/" | "/metrics") {
            return plain(StatusCode::NOT_FOUND, "the figures are at /metrics\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let written = spawn_blocking(move || {
            node.update_metrics();
            self.process.collect();
            self.handle.render()
        });
        match written.await {
            Ok(figures) => {
                let mut answer = Response::new(figures.into());
                answer.headers_mut().insert(CONTENT_TYPE, TEXT_FORMAT);
                answer
            }
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the figures cannot be read\n"),
        }
    }

    /// Makes room for what comes. To be called now and then, since nobody may ask.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn plain(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(words));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        let local = |port| Ok(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(address("9001"), local(9001));
        assert_eq!(address(":0"), local(0));
        assert_eq!(address("127.0.0.1:9001"), local(9001));
        assert_eq!(address("[::1]:70"), Ok("[::1]:70".parse().unwrap()));
        for wrong in ["", ":", "localhost", "127.0.0.1", "70000", "1.2.3.4:x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
