//! JSON-RPC over HTTP: retries with growing pauses, and no more requests per second than allowed.

use crate::RpcFailure;
use alloy_json_rpc::ErrorPayload;
use backon::{BlockingRetryable, ExponentialBuilder};
use core::{fmt, time::Duration};
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use ureq::{Agent, http::StatusCode};

/// Asked before every request and while waiting: whether to stop.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// No answer about one block comes near this.
const MAX_ANSWER: u64 = 1 << 30;

/// Pauses between attempts, before chance adds to them.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How to ask an endpoint.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `http://` or `https://`.
    pub url: String,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How often a request is repeated that fails for reasons that may pass: connections, time-outs,
    /// HTTP 408, 429 and 5xx, and the JSON-RPC errors with which providers limit their customers.
    pub retries: usize,
    /// Most requests per second, those in batches included.
    pub rate_limit: Option<f64>,
}

/// An endpoint. Any number of threads may use it.
pub struct Client {
    agent: Agent,
    config: ClientConfig,
    /// When the next request may be sent.
    next: Mutex<Instant>,
    requests: AtomicU64,
    stop: Stop,
}

/// Why an attempt failed.
enum Attempt {
    /// The next one may succeed.
    Passing(String),
    Lasting(RpcFailure),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorPayload>,
}

impl Client {
    /// Does not connect yet.
    pub fn new(config: ClientConfig, stop: Stop) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .user_agent(concat!("warpline/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: agent.into(),
            config,
            next: Mutex::new(Instant::now()),
            requests: AtomicU64::new(0),
            stop,
        }
    }

    /// Scheme, host and port of the endpoint. What else is in the URL may be secret.
    pub fn endpoint(&self) -> String {
        let url = &self.config.url;
        let Some((scheme, rest)) = url.split_once("://") else { return "the endpoint".to_owned() };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    /// How many requests have been sent, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether the caller wants to stop.
    pub fn stopped(&self) -> bool {
        (self.stop)()
    }

    /// Sleeps, unless the caller wants to stop.
    pub fn pause(&self, duration: Duration) {
        pause(&*self.stop, duration);
    }

    /// Calls a method. An answer of `null` is parsed as such.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that is no `T`.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, RpcFailure> {
        let body = request(0, method, &params);
        parsed(method, &self.repeat(method, || self.once(method, &body))?)
    }

    /// Calls a method several times, in batches. Those that fail are called again one by one, as
    /// all are where the endpoint takes no batches.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that is no `T`.
    pub fn batch<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Result<Vec<T>, RpcFailure> {
        const TOGETHER: usize = 50;
        let mut answers = Vec::with_capacity(params.len());
        for chunk in params.chunks(TOGETHER) {
            let mut results = match chunk {
                [_] => vec![None],
                _ => self.repeat(method, || self.many(method, chunk))?,
            };
            for (params, result) in chunk.iter().zip(&mut results) {
                answers.push(match result.take() {
                    Some(result) => parsed(method, &result)?,
                    None => self.call(method, params.clone())?,
                });
            }
        }
        Ok(answers)
    }

    /// Attempts until one succeeds, or a failure will not pass.
    fn repeat<T>(
        &self,
        method: &'static str,
        attempt: impl FnMut() -> Result<T, Attempt>,
    ) -> Result<T, RpcFailure> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .with_max_times(self.config.retries);
        let stop = Arc::clone(&self.stop);
        let result = attempt
            .retry(pauses)
            .sleep(move |duration| pause(&*stop, duration))
            .when(|failure| matches!(failure, Attempt::Passing(_)) && !self.stopped())
            .call();
        result.map_err(|failure| match failure {
            Attempt::Lasting(failure) => failure,
            Attempt::Passing(_) if self.stopped() => RpcFailure::Stopped,
            Attempt::Passing(cause) => {
                let attempts = self.config.retries + 1;
                let cause = format!("{cause}, after {attempts} attempts");
                RpcFailure::Unreachable { method, endpoint: self.endpoint(), cause }
            }
        })
    }

    fn once(&self, method: &'static str, body: &Value) -> Result<Box<RawValue>, Attempt> {
        let answer: Answer = self.post(method, body, 1)?;
        outcome(method, answer)
    }

    /// The results of a batch, none for those that have to be asked for again.
    fn many(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Result<Vec<Option<Box<RawValue>>>, Attempt> {
        let body: Value =
            params.iter().enumerate().map(|(id, params)| request(id, method, params)).collect();
        let mut results: Vec<_> = params.iter().map(|_| None).collect();
        let raw: Box<RawValue> = self.post(method, &body, params.len())?;
        let malformed = |error| {
            let cause = format!("the answer to a batch is neither a batch nor an error: {error}");
            Attempt::Lasting(RpcFailure::Malformed { method, cause })
        };
        if !raw.get().starts_with('[') {
            // Too much at once for its limits, or no batches at all.
            let answer = serde_json::from_str(raw.get()).map_err(malformed)?;
            return match outcome(method, answer) {
                Err(Attempt::Passing(why)) => Err(Attempt::Passing(why)),
                _ => Ok(results),
            };
        }
        let answers: Vec<Answer> = serde_json::from_str(raw.get()).map_err(malformed)?;
        for answer in answers {
            let id = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
            let place = id.and_then(|id| results.get_mut(id));
            if let (Some(place), Ok(result)) = (place, outcome(method, answer)) {
                *place = Some(result);
            }
        }
        Ok(results)
    }

    fn post<T: DeserializeOwned>(
        &self,
        method: &'static str,
        body: &Value,
        weight: usize,
    ) -> Result<T, Attempt> {
        self.wait_for_turn(weight);
        if self.stopped() {
            return Err(Attempt::Lasting(RpcFailure::Stopped));
        }
        self.requests.fetch_add(weight as u64, Ordering::Relaxed);
        let request = self.agent.post(&self.config.url).content_type("application/json");
        let mut response = request.send(body.to_string()).map_err(|error| {
            let lasting = matches!(
                error,
                ureq::Error::BadUri(_)
                    | ureq::Error::Http(_)
                    | ureq::Error::HostNotFound
                    | ureq::Error::Tls(_)
                    | ureq::Error::Rustls(_)
            );
            let cause = error.to_string();
            match lasting {
                true => self.unreachable(method, cause),
                false => Attempt::Passing(cause),
            }
        })?;
        let status = response.status();
        let content = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let content = content.map_err(|error| Attempt::Passing(error.to_string()))?;
        let answer = serde_json::from_slice(&content);
        match (status, answer) {
            (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _) => {
                Err(Attempt::Passing(format!("HTTP {status}")))
            }
            (status, _) if status.is_server_error() => {
                Err(Attempt::Passing(format!("HTTP {status}")))
            }
            // A refusal may come with a status of its own.
            (_, Ok(answer)) => Ok(answer),
            (status, Err(_)) if !status.is_success() => {
                let words = String::from_utf8_lossy(&content);
                let words: String = words.trim().chars().take(200).collect();
                Err(self.unreachable(method, format!("HTTP {status}: {words}")))
            }
            // Cut off, or the words of a proxy.
            (_, Err(error)) => {
                Err(Attempt::Passing(format!("the answer is not JSON-RPC: {error}")))
            }
        }
    }

    fn unreachable(&self, method: &'static str, cause: String) -> Attempt {
        Attempt::Lasting(RpcFailure::Unreachable { method, endpoint: self.endpoint(), cause })
    }

    fn wait_for_turn(&self, weight: usize) {
        let Some(rate) = self.config.rate_limit else { return };
        let turn = {
            let mut next = self.next.lock();
            let turn = (*next).max(Instant::now());
            *next = turn + Duration::from_secs_f64(weight as f64 / rate);
            turn
        };
        self.pause(turn.saturating_duration_since(Instant::now()));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

fn pause(stop: &(dyn Fn() -> bool + Send + Sync), duration: Duration) {
    let end = Instant::now() + duration;
    while !stop() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}

fn request(id: usize, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn outcome(method: &'static str, answer: Answer) -> Result<Box<RawValue>, Attempt> {
    match (answer.error, answer.result) {
        // A block that is pruned is called that, too; waiting does not bring it back.
        (Some(error), _) if error.is_retry_err() && error.message != "header not found" => {
            Err(Attempt::Passing(format!("code {}: {}", error.code, error.message)))
        }
        (Some(ErrorPayload { code, message, .. }), _) => {
            let message = message.chars().take(300).collect();
            Err(Attempt::Lasting(RpcFailure::Refused { method, code, message }))
        }
        (None, Some(result)) => Ok(result),
        (None, None) => Ok(RawValue::NULL.to_owned()),
    }
}

fn parsed<T: DeserializeOwned>(method: &'static str, result: &RawValue) -> Result<T, RpcFailure> {
    serde_json::from_str(result.get()).map_err(|error| RpcFailure::Malformed {
        method,
        cause: format!("the result has another shape than it must have: {error}"),
    })
}
