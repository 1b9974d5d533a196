//! One connection to a node, with one request at a time.

use core::fmt;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A node and what to call it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) name: String,
    uri: Uri,
    authority: String,
}

impl Endpoint {
    /// From `NAME=URL` or `URL`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, url) = match text.split_once('=') {
            Some((name, url)) if !name.contains('/') => (name, url),
            _ => (text, text),
        };
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err(format!("{url}: not an http:// address"));
        }
        let authority = uri.authority().ok_or_else(|| format!("{url}: no host"))?;
        let authority = match authority.port() {
            Some(_) => authority.as_str().to_owned(),
            None => format!("{authority}:80"),
        };
        Ok(Self { name: name.to_owned(), uri, authority })
    }
}

/// A node has refused a request.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    // Absent and null are both no error.
    #[serde(default)]
    error: Option<Refusal>,
    result: Option<T>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    endpoint: Endpoint,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self> {
        let failed = || format!("connecting to {}", endpoint.authority);
        let stream = TcpStream::connect(&endpoint.authority).await.wrap_err_with(failed)?;
        stream.set_nodelay(true).wrap_err_with(failed)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.wrap_err_with(failed)?;
        // Its end shows in the requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { endpoint: endpoint.clone(), sender })
    }

    /// Sends a body and gives back the one of the answer.
    pub(super) async fn exchange(&mut self, body: Bytes) -> Result<Bytes> {
        let name = &self.endpoint.name;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.uri.path())
            .header(HOST, &self.endpoint.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await.wrap_err_with(|| format!("{name} has closed a connection"))?;
        let answer = self.sender.send_request(request).await;
        let answer = answer.wrap_err_with(|| format!("asking {name}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        let body = body.wrap_err_with(|| format!("reading an answer of {name}"))?.to_bytes();
        ensure!(status == StatusCode::OK, "{name} answers {status}: {}", excerpt(&body));
        Ok(body)
    }

    /// Asks for something, and gives back the answer or why it was refused.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Result<Option<T>, Refusal>> {
        let body = self.exchange(request(method, &params)).await?;
        let wrong = || format!("{method}: {} answers {}", self.endpoint.name, excerpt(&body));
        let answer: Answer<T> = serde_json::from_slice(&body).wrap_err_with(wrong)?;
        Ok(answer.error.map_or(Ok(answer.result), Err))
    }

    /// Asks for several things of one kind in a batch, each of which has to be there.
    pub(super) async fn get_all<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &[Value],
    ) -> Result<Vec<T>> {
        let entry = |(id, params)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let batch: Value = params.iter().enumerate().map(entry).collect();
        let body = self.exchange(batch.to_string().into()).await?;
        let name = &self.endpoint.name;
        let wrong = || format!("{method}: {name} answers {}", excerpt(&body));
        let answers: Vec<Answer<T>> = serde_json::from_slice(&body).wrap_err_with(wrong)?;
        ensure!(answers.len() == params.len(), "{}", wrong());
        let result = |answer: Answer<T>| match (answer.error, answer.result) {
            (Some(refusal), _) => Err(eyre!("{method}: {name} refuses: {refusal}")),
            (None, None) => Err(eyre!("{method}: {name} answers null")),
            (None, Some(result)) => Ok(result),
        };
        answers.into_iter().map(result).collect()
    }

    /// Asks for something that has to be there.
    pub(super) async fn get<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<T> {
        let name = self.endpoint.name.clone();
        match self.ask(method, params).await? {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(eyre!("{method}: {name} answers null")),
            Err(refusal) => bail!("{method}: {name} refuses: {refusal}"),
        }
    }
}

/// The body of a request.
pub(super) fn request(method: &str, params: &Value) -> Bytes {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string().into()
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_name_or_are_their_own() {
        let endpoint = Endpoint::parse("anvil=http://127.0.0.1:8545").unwrap();
        assert_eq!(
            (endpoint.name.as_str(), endpoint.authority.as_str()),
            ("anvil", "127.0.0.1:8545")
        );
        let endpoint = Endpoint::parse("http://node/rpc?a=b").unwrap();
        assert_eq!(
            (endpoint.name.as_str(), endpoint.authority.as_str()),
            ("http://node/rpc?a=b", "node:80")
        );
        for text in ["", "a", "https://node", "a=", "http://"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
