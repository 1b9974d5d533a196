//! From a message to its answer, for sockets on which jsonrpsee does not listen itself.

use super::dispatch::{Dispatch, Transport};
use crate::{
    RpcError,
    error::{METHOD_NOT_FOUND, NO_NOTIFICATIONS},
    subscriptions::HexIds,
};
use core::future::Future;
use futures_util::future::Either;
use jsonrpsee::{
    core::{
        middleware::{Batch, BatchEntry, BatchEntryErr, Notification, RpcServiceT},
        server::{
            BoundedSubscriptions, MethodCallback, MethodResponse, MethodSink, Methods,
            SubscriptionState,
        },
    },
    server::ConnectionId,
    types::{ErrorCode, ErrorObjectOwned, Id, InvalidRequest, Params, Request},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Answers a message: a request, a notification, or a batch of them.
pub(super) async fn answer(
    service: &Dispatch<Calls>,
    transport: Transport,
    message: &str,
) -> MethodResponse {
    if message.starts_with('[') {
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(message) else {
            return MethodResponse::error(Id::Null, ErrorObjectOwned::from(ErrorCode::ParseError));
        };
        let texts = entries.into_iter().map(RawValue::get);
        let batch = texts.map(|text| batch_entry(text, transport)).collect();
        return service.batch(Batch::from(batch)).await;
    }
    match entry(message, transport) {
        Some(BatchEntry::Call(request)) => service.call(request).await,
        Some(BatchEntry::Notification(notification)) => service.notification(notification).await,
        None => {
            let is_json = serde_json::from_str::<&RawValue>(message).is_ok();
            let code = if is_json { ErrorCode::InvalidRequest } else { ErrorCode::ParseError };
            MethodResponse::error(id(message), ErrorObjectOwned::from(code))
        }
    }
}

/// A request, or one to which there is no answer.
fn entry(text: &str, transport: Transport) -> Option<BatchEntry<'_>> {
    if let Ok(mut request) = serde_json::from_str::<Request<'_>>(text) {
        request.extensions.insert(transport);
        return Some(BatchEntry::Call(request));
    }
    let notification = serde_json::from_str::<Notification<'_>>(text).ok()?;
    // What has an identifier of another kind is not something that needs no answer.
    let identified: Identified<'_> = serde_json::from_str(text).ok()?;
    identified.id.is_none().then_some(BatchEntry::Notification(notification))
}

/// Whether a request wants an answer.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn batch_entry(text: &str, transport: Transport) -> Result<BatchEntry<'_>, BatchEntryErr<'_>> {
    let invalid = || BatchEntryErr::new(id(text), ErrorCode::InvalidRequest.into());
    entry(text, transport).ok_or_else(invalid)
}

fn id(text: &str) -> Id<'_> {
    serde_json::from_str::<InvalidRequest<'_>>(text).map_or(Id::Null, |invalid| invalid.id)
}

/// What somebody is told who has as many subscriptions as one connection may have.
pub(super) fn too_many_subscriptions(max: u32) -> RpcError {
    RpcError::limit_exceeded(format!("too many subscriptions (max {max})"))
}

/// Calls methods for one connection.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) methods: Methods,
    /// Where notifications go; none where there can be none.
    pub(super) subscriptions: Option<(MethodSink, BoundedSubscriptions)>,
    pub(super) connection: ConnectionId,
    /// Most bytes of an answer.
    pub(super) response: usize,
}

impl RpcServiceT for Calls {
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Request { id, method, params, extensions, .. } = request;
        let params = params.map(Cow::into_owned);
        let params = Params::new(params.as_deref().map(RawValue::get)).into_owned();
        let now = |response| Either::Left(core::future::ready(response));
        match self.methods.method_with_name(&method) {
            None => {
                now(MethodResponse::error(id, ErrorObjectOwned::from(ErrorCode::MethodNotFound)))
            }
            Some((_, MethodCallback::Sync(call))) => {
                now(call(id, params, self.response, extensions))
            }
            Some((_, MethodCallback::Unsubscription(call))) => {
                now(call(id, params, self.connection, self.response, extensions))
            }
            Some((_, MethodCallback::Async(call))) => Either::Right(call(
                id.into_owned(),
                params,
                self.connection,
                self.response,
                extensions,
            )),
            Some((_, MethodCallback::Subscription(call))) => {
                let Some((sink, subscriptions)) = &self.subscriptions else {
                    let error = RpcError::new(METHOD_NOT_FOUND, NO_NOTIFICATIONS);
                    return now(MethodResponse::error(id, ErrorObjectOwned::from(error)));
                };
                let Some(permit) = subscriptions.acquire() else {
                    let error = too_many_subscriptions(subscriptions.max());
                    return now(MethodResponse::error(id, ErrorObjectOwned::from(error)));
                };
                let state = SubscriptionState {
                    conn_id: self.connection,
                    id_provider: &HexIds,
                    subscription_permit: permit,
                };
                Either::Right(call(id.into_owned(), params, sink.clone(), state, extensions))
            }
        }
    }

    fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        // Batches are taken apart before.
        core::future::ready(MethodResponse::error(
            Id::Null,
            ErrorObjectOwned::from(ErrorCode::InternalError),
        ))
    }

    fn notification<'a>(
        &self,
        _: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        core::future::ready(MethodResponse::notification())
    }
}
