//! Between transport and methods: which namespaces a transport serves, what a batch may be, how
//! long an answer may take, and what is counted. The words are geth's, since libraries read them.

use super::{
    Apis, ServerConfig, ServerError,
    calls::too_many_subscriptions,
    meter::{self, MethodMeter},
};
use crate::{
    RpcError,
    error::{INVALID_REQUEST, METHOD_NOT_FOUND, NO_NOTIFICATIONS, RESPONSE_TOO_LARGE, TIMEOUT},
    registry::Registry,
    subscriptions::Filing,
};
use core::{future::Future, time::Duration};
use futures_util::future::Either;
use jsonrpsee::{
    core::{
        middleware::{Batch, BatchEntry, Notification, RpcServiceT},
        server::{BatchResponseBuilder, MethodResponse, Methods},
    },
    types::{ErrorObjectOwned, Id, Request, error::TOO_MANY_SUBSCRIPTIONS_CODE},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Http,
    Ws,
    Ipc,
}

/// What is known of a method before it is called.
#[derive(Debug)]
struct Method {
    /// By transport.
    served: [bool; 3],
    /// How long it may take.
    timeout: Option<Duration>,
    meter: MethodMeter,
}

/// Methods that wait for as long as the caller wants, up to a limit of their own.
const TIMES_ITSELF: [&str; 1] = ["eth_sendRawTransactionSync"];

/// All methods, and the limits.
#[derive(Debug)]
pub(super) struct Dispatcher {
    methods: HashMap<&'static str, Method>,
    batch_requests: usize,
    batch_response: usize,
    subscriptions: u32,
}

impl Dispatcher {
    pub(super) fn new(
        methods: &Methods,
        config: &ServerConfig,
        timeout: Duration,
    ) -> Result<Self, ServerError> {
        let known: BTreeSet<&str> = methods.method_names().map(namespace).collect();
        let http = config.http.as_ref().map(|listener| &listener.apis);
        let ws = config.ws.as_ref().map(|listener| &listener.apis);
        for apis in [http, ws].into_iter().flatten() {
            check(apis, &known)?;
        }
        let method = |name: &'static str| {
            let serves = |apis: Option<&Apis>| {
                // Which methods there are may be asked in any case.
                apis.is_some_and(|apis| apis.contains(namespace(name)) || namespace(name) == "rpc")
            };
            let served = [serves(http), serves(ws), true];
            let ends = timeout != Duration::ZERO && !TIMES_ITSELF.contains(&name);
            let timeout = ends.then_some(timeout);
            (name, Method { served, timeout, meter: MethodMeter::new(name) })
        };
        Ok(Self {
            methods: methods.method_names().map(method).collect(),
            batch_requests: config.limits.batch_requests,
            batch_response: config.limits.batch_response,
            subscriptions: config.limits.subscriptions,
        })
    }

    /// The method of a request, unless there is none for it.
    fn find(&self, request: &Request<'_>) -> Result<&Method, RpcError> {
        let name = request.method.as_ref();
        let transport = request.extensions.get::<Transport>().copied().unwrap_or(Transport::Http);
        let method = self.methods.get(name).filter(|method| method.served[transport as usize]);
        let method = method.ok_or_else(|| {
            let name: String = name.chars().take(100).collect();
            let words = format!("the method {name} does not exist/is not available");
            RpcError::new(METHOD_NOT_FOUND, words)
        })?;
        if transport == Transport::Http && matches!(name, "eth_subscribe" | "eth_unsubscribe") {
            return Err(RpcError::new(METHOD_NOT_FOUND, NO_NOTIFICATIONS));
        }
        Ok(method)
    }
}

/// `rpc_modules`: the namespaces that the transport of the request serves, with their versions.
pub(super) fn register_modules(registry: &mut Registry, config: &ServerConfig) {
    let served =
        [&config.http, &config.ws].map(|listener| listener.as_ref().map(|l| l.apis.clone()));
    let known: BTreeSet<&str> = registry.module().method_names().map(namespace).collect();
    let registered = registry.module().register_method("rpc_modules", move |_, _, extensions| {
        let transport = extensions.get::<Transport>().map_or(0, |transport| *transport as usize);
        let apis = served.get(transport).map_or(&Some(Apis::All), |apis| apis);
        let serves = |name: &&str| apis.as_ref().is_some_and(|apis| apis.contains(name));
        let names = known.iter().copied().filter(serves).chain(["rpc"]);
        let versions: BTreeMap<&str, &str> = names.map(|name| (name, "1.0")).collect();
        Ok::<_, ErrorObjectOwned>(versions)
    });
    let registered = registered.map(drop);
    registry.note(registered);
}

fn namespace(method: &str) -> &str {
    method.split('_').next().unwrap_or_default()
}

/// Refuses namespaces that do not exist: most likely they are misspelt. Those that geth has and
/// this node has not, and those of a development chain, may be asked for in vain.
fn check(apis: &Apis, known: &BTreeSet<&str>) -> Result<(), ServerError> {
    const ELSEWHERE: [&str; 9] =
        ["admin", "anvil", "engine", "evm", "hardhat", "miner", "personal", "testing", "txpool"];
    let Apis::Only(names) = apis else { return Ok(()) };
    let there = |name: &str| known.contains(name) || ELSEWHERE.contains(&name);
    match names.iter().find(|name| !there(name)) {
        None => Ok(()),
        Some(name) => {
            let known = known.iter().copied().collect::<Vec<_>>().join(", ");
            Err(ServerError::Namespace { name: name.clone(), known })
        }
    }
}

/// The service of one connection.
#[derive(Debug, Clone)]
pub(super) struct Dispatch<S> {
    inner: S,
    dispatcher: Arc<Dispatcher>,
    filing: Filing,
}

impl<S> Dispatch<S> {
    pub(super) fn new(inner: S, dispatcher: &Arc<Dispatcher>) -> Self {
        Self { inner, dispatcher: Arc::clone(dispatcher), filing: Filing::default() }
    }
}

fn refusal(id: Id<'_>, error: RpcError) -> MethodResponse {
    MethodResponse::error(id, ErrorObjectOwned::from(error))
}

impl<S> RpcServiceT for Dispatch<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(
        &self,
        mut request: Request<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        let dispatcher = Arc::clone(&self.dispatcher);
        let start = Instant::now();
        let found = dispatcher.find(&request).map(|method| method.timeout);
        let (id, name) = (request.id.clone(), request.method.clone());
        let filing = self.filing.clone();
        let timeout = found.as_ref().map_or(None, |timeout| *timeout);
        let answer = found.map(|_| match name.as_ref() {
            "eth_unsubscribe" => {
                let inner = self.inner.clone();
                Either::Left(async move {
                    filing.done().await;
                    inner.call(request).await
                })
            }
            _ => {
                request.extensions.insert(filing);
                // Quick methods answer in here.
                Either::Right(self.inner.call(request))
            }
        });
        async move {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    meter::refused();
                    return refusal(id, error);
                }
            };
            let response = match timeout {
                None => answer.await,
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(response) => response,
                    Err(_) => refusal(id.clone(), RpcError::new(TIMEOUT, "request timed out")),
                },
            };
            if let Some(method) = dispatcher.methods.get(name.as_ref()) {
                method.meter.answered(response.is_error(), start.elapsed());
            }
            // jsonrpsee has a code of its own for it.
            if response.as_error_code() == Some(TOO_MANY_SUBSCRIPTIONS_CODE) {
                return refusal(id, too_many_subscriptions(dispatcher.subscriptions));
            }
            response
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let limit = this.dispatcher.batch_requests;
            if limit > 0 && batch.len() > limit {
                return too_many(batch);
            }
            this.all(batch).await
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

impl<S> Dispatch<S>
where
    Self: RpcServiceT<MethodResponse = MethodResponse, NotificationResponse = MethodResponse>,
{
    /// Answers the requests of a batch one after another, until there is too much to answer.
    async fn all(&self, batch: Batch<'_>) -> MethodResponse {
        let mut answers = BatchResponseBuilder::new_with_limit(usize::MAX);
        let (mut bytes, mut notified) = (0_usize, false);
        let most = match self.dispatcher.batch_response {
            0 => usize::MAX,
            most => most,
        };
        for entry in batch {
            let answer = match entry {
                Ok(BatchEntry::Call(request)) if bytes > most => too_large(request.id),
                Ok(BatchEntry::Call(request)) => {
                    let id = request.id.clone().into_owned();
                    let answer = self.call(request).await;
                    bytes = bytes.saturating_add(answer.as_ref().len());
                    if bytes > most { too_large(id) } else { answer }
                }
                Ok(BatchEntry::Notification(notification)) => {
                    notified = true;
                    self.notification(notification).await;
                    continue;
                }
                Err(error) => {
                    let (error, id) = error.into_parts();
                    MethodResponse::error(id, error)
                }
            };
            if let Err(refused) = answers.append(answer) {
                return refused;
            }
        }
        if answers.is_empty() && notified {
            return MethodResponse::notification();
        }
        MethodResponse::from_batch(answers.finish())
    }
}

/// One answer for a batch that is not looked at, to the first of its calls.
fn too_many(batch: Batch<'_>) -> MethodResponse {
    let id = batch.into_iter().find_map(|entry| match entry {
        Ok(BatchEntry::Call(request)) => Some(request.id),
        _ => None,
    });
    let answer = refusal(id.unwrap_or(Id::Null), RpcError::new(INVALID_REQUEST, "batch too large"));
    let mut answers = BatchResponseBuilder::new_with_limit(usize::MAX);
    match answers.append(answer) {
        Ok(()) => MethodResponse::from_batch(answers.finish()),
        Err(refused) => refused,
    }
}

fn too_large(id: Id<'_>) -> MethodResponse {
    refusal(id, RpcError::new(RESPONSE_TOO_LARGE, "response too large"))
}
