//! Who may ask over HTTP: hosts against DNS rebinding, origins of web pages, content types.

use super::{
    HttpPolicy, ServerError,
    calls::{self, Calls},
    dispatch::{Dispatch, Transport},
};
use crate::{RpcError, error::INVALID_REQUEST};
use bytes::Buf;
use core::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use futures_util::future::Either;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, UPGRADE},
};
use http_body::Body;
use http_body_util::BodyExt;
use jsonrpsee::{
    core::server::MethodResponse,
    server::HttpBody,
    types::{ErrorCode, ErrorObjectOwned, Id},
};
use std::sync::Arc;
use tower::{Layer, Service, ServiceExt, util::Oneshot};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::{AllowOrigin, Any, CorsLayer},
};

/// Answers smaller than this are not worth compressing: they fit into one packet.
const WORTH_COMPRESSING: u64 = 1400;

/// Compresses answers as fast as can be.
pub(super) fn compression() -> CompressionLayer<SizeAbove> {
    let level = CompressionLevel::Fastest;
    CompressionLayer::new().quality(level).compress_when(SizeAbove::new(WORTH_COMPRESSING))
}

/// Lets web pages of these origins read answers; without any there are no such headers.
pub(super) fn cors(policy: &HttpPolicy) -> Result<Option<CorsLayer>, ServerError> {
    if policy.cors.is_empty() {
        return Ok(None);
    }
    let origins = if policy.cors.iter().any(|origin| origin == "*") {
        AllowOrigin::from(Any)
    } else {
        let header = |origin: &String| {
            HeaderValue::from_str(origin).map_err(|_| ServerError::Origin(origin.clone()))
        };
        AllowOrigin::list(policy.cors.iter().map(header).collect::<Result<Vec<_>, _>>()?)
    };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(Any)
        .max_age(Duration::from_secs(600));
    Ok(Some(layer))
}

/// Lets through what may come in.
#[derive(Debug, Clone)]
pub(super) struct GateLayer {
    policy: Arc<HttpPolicy>,
    serves: &'static [Transport],
    /// Most bytes of a body.
    limit: u32,
    service: Dispatch<Calls>,
}

impl GateLayer {
    /// HTTP requests are answered by `service`; WebSockets go on to where jsonrpsee takes them.
    pub(super) fn new(
        policy: &HttpPolicy,
        serves: &'static [Transport],
        limit: u32,
        service: Dispatch<Calls>,
    ) -> Self {
        Self { policy: Arc::new(policy.clone()), serves, limit, service }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner: Arc::new(inner), gate: Arc::new(self.clone()) }
    }
}

/// A service behind a [`GateLayer`]. It is cloned for every request, and only those that open a
/// WebSocket need the service.
#[derive(Debug)]
pub(super) struct Gate<S> {
    inner: Arc<S>,
    gate: Arc<GateLayer>,
}

impl<S> Clone for Gate<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), gate: Arc::clone(&self.gate) }
    }
}

type Answer<E> = Result<Response<HttpBody>, E>;

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<HttpBody>> + Clone,
    S::Error: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<HttpBody>;
    type Error = S::Error;
    type Future =
        Either<Oneshot<S, Request<B>>, Pin<Box<dyn Future<Output = Answer<S::Error>> + Send>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let admitted = self.gate.admit(&mut request);
        if let Ok(Transport::Ws) = admitted {
            return Either::Left(S::clone(&self.inner).oneshot(request));
        }
        let gate = Arc::clone(&self.gate);
        Either::Right(Box::pin(async move {
            match admitted {
                Ok(_) => Ok(gate.post(request).await),
                Err(answer) => {
                    drain(request.into_body()).await;
                    Ok(*answer)
                }
            }
        }))
    }
}

impl GateLayer {
    /// Answers a request by HTTP.
    async fn post<B: Body + Unpin>(&self, request: Request<B>) -> Response<HttpBody> {
        let limit = self.limit as usize;
        let expected = length(request.headers()).unwrap_or_default() as usize;
        let mut text = Vec::with_capacity(expected.min(limit));
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return answer(StatusCode::BAD_REQUEST, "") };
            let Ok(mut data) = frame.into_data() else { continue };
            if text.len() + data.remaining() > limit {
                drain(body).await;
                return too_large(self.limit);
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                text.extend_from_slice(chunk);
                let read = chunk.len();
                data.advance(read);
            }
        }
        let reply = match core::str::from_utf8(&text) {
            Ok(text) => calls::answer(&self.service, Transport::Http, text.trim()).await,
            Err(_) => {
                MethodResponse::error(Id::Null, ErrorObjectOwned::from(ErrorCode::ParseError))
            }
        };
        if reply.is_notification() {
            return answer(StatusCode::OK, "");
        }
        let (json, _, _) = reply.into_parts();
        json_answer(StatusCode::OK, Box::<str>::from(json).into_string())
    }
}

fn json_answer(status: StatusCode, text: String) -> Response<HttpBody> {
    let mut response = answer(status, text);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// How much of a body is read that nobody wants: a client that is still sending would not see the
/// answer if the connection were closed.
const MOST_DRAINED: usize = 128 << 20;

async fn drain<B: Body + Unpin>(mut body: B) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Buf::remaining);
        if read > MOST_DRAINED {
            return;
        }
    }
}

fn answer(status: StatusCode, text: impl Into<HttpBody>) -> Response<HttpBody> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}

/// What is answered instead.
type Refused = Box<Response<HttpBody>>;

fn refuse(status: StatusCode, text: &'static str) -> Result<Transport, Refused> {
    Err(Box::new(answer(status, text)))
}

impl GateLayer {
    /// Prepares a request for the service, or says what to answer instead.
    fn admit<B>(&self, request: &mut Request<B>) -> Result<Transport, Refused> {
        let headers = request.headers();
        if !may_be_called(host(headers, request.uri()), &self.policy.hosts) {
            return refuse(StatusCode::FORBIDDEN, "invalid host specified\n");
        }
        if headers.contains_key(UPGRADE) {
            let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
            if !may_connect(origin, &self.policy.ws_origins) {
                return refuse(StatusCode::FORBIDDEN, "origin not allowed\n");
            }
            if !self.serves.contains(&Transport::Ws) {
                return refuse(StatusCode::FORBIDDEN, "no WebSocket is opened here\n");
            }
            request.extensions_mut().insert(Transport::Ws);
            return Ok(Transport::Ws);
        }
        if !self.serves.contains(&Transport::Http) {
            return refuse(StatusCode::FORBIDDEN, "only WebSocket connections are taken here\n");
        }
        match *request.method() {
            Method::POST => {}
            // Whoever looks whether somebody is there.
            Method::GET | Method::HEAD | Method::OPTIONS if request.uri().query().is_none() => {
                return refuse(StatusCode::OK, "");
            }
            _ => return refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"),
        }
        if !is_json(headers) {
            let words = "invalid content type, only application/json is supported\n";
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
        }
        if length(headers).is_some_and(|length| length > u64::from(self.limit)) {
            return Err(Box::new(too_large(self.limit)));
        }
        Ok(Transport::Http)
    }
}

/// The error for a body that is too long, with the status that goes with it.
fn too_large(limit: u32) -> Response<HttpBody> {
    let words = format!("content length too large (limit {limit})");
    let error = MethodResponse::error(
        Id::Null,
        ErrorObjectOwned::from(RpcError::new(INVALID_REQUEST, words)),
    );
    json_answer(StatusCode::PAYLOAD_TOO_LARGE, error.as_ref().to_owned())
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the body is called JSON, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let known = ["application/json", "application/json-rpc", "application/jsonrequest"];
    known.iter().any(|known| media.eq_ignore_ascii_case(known))
}

/// Under which name this host was called.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let header = headers.get(HOST).map(|host| host.to_str().unwrap_or("?"));
    header.or_else(|| uri.authority().map(|authority| authority.as_str()))
}

/// Whether this host may be called so: by its numbers always, since no name can be rebound to
/// them; by a name if it is listed.
fn may_be_called(host: Option<&str>, names: &[String]) -> bool {
    let Some(host) = host.filter(|host| !host.is_empty()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok()
        || names.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(name))
}

/// Whether a page of this origin may open a WebSocket. Programs have no origin.
fn may_connect(origin: Option<&str>, origins: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if origins.is_empty() {
        let here = ["localhost", "127.0.0.1", "[::1]"];
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        let port = |rest: &str| {
            let port = rest.strip_prefix(':');
            rest.is_empty() || port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
        };
        return here.iter().any(|name| host.strip_prefix(name).is_some_and(port));
    }
    origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn hosts_are_numbers_or_listed() {
        let names = list(&["localhost"]);
        for host in
            ["localhost", "localhost:8545", "LocalHost", "127.0.0.1:1", "[::1]:8545", "8.8.8.8"]
        {
            assert!(may_be_called(Some(host), &names), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8545",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            assert!(!may_be_called(Some(host), &names), "{host}");
            assert!(may_be_called(Some(host), &list(&["*"])), "{host}");
        }
        assert!(may_be_called(None, &[]), "HTTP/1.0 names no host");
    }

    #[test]
    fn sockets_are_opened_by_programs_and_known_pages() {
        for origin in ["http://localhost", "http://localhost:3000", "https://127.0.0.1:80"] {
            assert!(may_connect(Some(origin), &[]), "{origin}");
        }
        for origin in ["http://localhost.evil.example", "http://evil.example", "null", ""] {
            assert!(!may_connect(Some(origin), &[]), "{origin}");
        }
        let known = list(&["https://app.example"]);
        assert!(may_connect(Some("https://app.example"), &known) && may_connect(None, &known));
        assert!(!may_connect(Some("http://localhost"), &known));
        assert!(may_connect(Some("http://evil.example"), &list(&["*"])));
    }

    #[test]
    fn json_comes_with_parameters_or_without() {
        let is = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(is("application/json") && is("Application/JSON; charset=UTF-8"));
        assert!(!is("text/plain") && !is("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
