//! `eth_subscribe`: heads, logs and pending transactions as they come.
//!
//! A subscription listens before its caller is told that it exists, so that nothing is missed,
//! and sends after that. What a slow client has not taken waits in the queue of its connection;
//! when that has been full for too long, or the feed is too far ahead, the subscription ends.

use crate::{
    Context, RpcError,
    args::Args,
    eth::{check_query, wanted},
    feed::{LogListener, Step},
    registry::Registry,
    wire::{LogQuery, RpcLog, RpcTransaction},
};
use core::time::Duration;
use jsonrpsee::{
    core::{
        server::{PendingSubscriptionSink, SubscriptionSink},
        traits::IdProvider,
    },
    types::{ErrorObjectOwned, SubscriptionId},
};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{sync::Arc, time::Instant};
use tokio::sync::{
    RwLock,
    broadcast::{Receiver, error::RecvError},
};
use warpline_node::NewPending;
use warpline_txpool::PoolTransaction;

/// How long the queue of a connection may be full.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn register(registry: &mut Registry) {
    let registered = registry.module().register_subscription_raw(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, context, extensions| {
            let context = Arc::clone(&context);
            let filing = extensions.get::<Filing>().cloned().unwrap_or_default();
            match Wanted::read(&context, params.as_str()) {
                Ok(wanted) => drop(tokio::spawn(serve(pending, filing, wanted))),
                Err(error) => drop(tokio::spawn(pending.reject(ErrorObjectOwned::from(error)))),
            }
        },
    );
    let registered = registered.map(drop);
    registry.note(registered);
}

/// What the subscriptions of one connection wait for while one of them is filed. jsonrpsee tells
/// the client of a subscription before it files it; a client that ends it at once would hear
/// that there is none, and get its notifications for ever.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filing(Arc<RwLock<()>>);

impl Filing {
    async fn accept(&self, pending: PendingSubscriptionSink) -> Option<SubscriptionSink> {
        let _being_filed = self.0.read().await;
        pending.accept().await.ok()
    }

    /// Waits until every subscription that the client knows of is filed.
    pub(crate) async fn done(&self) {
        drop(self.0.write().await);
    }
}

/// What can be subscribed to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Topic {
    NewHeads,
    Logs,
    NewPendingTransactions,
    Syncing,
}

/// What somebody subscribes to.
enum Wanted {
    Heads(Receiver<Arc<Step>>),
    Logs(Box<LogQuery>, Receiver<Arc<Step>>, LogListener),
    Pending(Receiver<NewPending>, bool),
    Syncing,
}

impl Wanted {
    fn read(context: &Context, params: Option<&str>) -> Result<Self, RpcError> {
        let mut args = Args::parse(params, 2)?;
        // What came before is of no interest.
        context.feed.advance(context.view())?;
        match args.required("subscription name")? {
            Topic::NewHeads => Ok(Self::Heads(context.feed.steps())),
            Topic::Logs => {
                let query: LogQuery = args.optional("filter")?.unwrap_or_default();
                check_query(&query)?;
                let listener = context.feed.log_listener();
                Ok(Self::Logs(Box::new(query), context.feed.steps(), listener))
            }
            Topic::NewPendingTransactions => {
                let full = args.optional("full transactions")?.unwrap_or_default();
                Ok(Self::Pending(context.node.new_pending(), full))
            }
            Topic::Syncing => Ok(Self::Syncing),
        }
    }
}

async fn serve(pending: PendingSubscriptionSink, filing: Filing, wanted: Wanted) {
    let Some(sink) = filing.accept(pending).await else { return };
    match wanted {
        Wanted::Heads(steps) => {
            each(&sink, steps, |step| step.added.iter().map(|block| block.printed()).collect())
                .await;
        }
        Wanted::Logs(query, steps, _listener) => {
            each(&sink, steps, |step| logs(&query, step)).await
        }
        Wanted::Pending(events, full) => {
            each(&sink, events, |event| {
                event.0.iter().map(|transaction| pending_message(transaction, full)).collect()
            })
            .await;
        }
        Wanted::Syncing => {
            // It never is; this says so, and there is nothing to follow.
            if let Ok(state) = to_raw_value(&false) {
                let _gone = sink.send_timeout(state, PATIENCE).await;
            }
            sink.closed().await;
        }
    }
}

fn pending_message(transaction: &PoolTransaction, full: bool) -> Result<Box<RawValue>, RpcError> {
    let printed = if full {
        to_raw_value(&RpcTransaction::pending(transaction))
    } else {
        to_raw_value(&transaction.hash())
    };
    printed.map_err(RpcError::internal)
}

/// Sends what `messages` makes of every event, until the client or the events are gone.
async fn each<T: Clone>(
    sink: &SubscriptionSink,
    mut events: Receiver<T>,
    messages: impl Fn(&T) -> Result<Vec<Box<RawValue>>, RpcError>,
) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = sink.closed() => return,
        };
        let messages = match event {
            Ok(event) => messages(&event),
            Err(RecvError::Closed) => return,
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "a subscription has ended: its client is too slow");
                return;
            }
        };
        for message in messages.unwrap_or_default() {
            if sink.send_timeout(message, PATIENCE).await.is_err() {
                return;
            }
        }
    }
}

/// Logs that have gone with their blocks, and those that have come.
fn logs(query: &LogQuery, step: &Step) -> Result<Vec<Box<RawValue>>, RpcError> {
    let gone = step.removed.iter().flat_map(|block| block.logs.iter().flatten().rev());
    let come = step.added.iter().flat_map(|block| block.logs.iter().flatten());
    let all = gone.map(|log| (log, true)).chain(come.map(|log| (log, false)));
    all.filter(|(found, _)| wanted(query, found))
        .map(|(found, removed)| {
            to_raw_value(&RpcLog::new(&found.log, &found.place, removed))
                .map_err(RpcError::internal)
        })
        .collect()
}

/// Follows the chain: announces every new head, and gives up filters that nobody asks.
pub(crate) async fn follow(context: Arc<Context>, stopped: impl Future<Output = ()>) {
    let mut heads = context.node.new_heads();
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            head = heads.recv() => match head {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            _ = minute.tick() => context.filters.forget(Instant::now()),
            () = &mut stopped => return,
        }
        // Whatever has come meanwhile is announced with it.
        heads = heads.resubscribe();
        let follower = Arc::clone(&context);
        let advanced =
            tokio::task::spawn_blocking(move || follower.feed.advance(follower.view())).await;
        if let Ok(Err(error)) = advanced {
            tracing::warn!(%error, "the new head cannot be announced");
        }
    }
}

/// Identifiers of subscriptions and filters: random numbers of 128 bits in hex, so that nobody
/// guesses those of others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HexIds;

impl HexIds {
    pub(crate) fn text() -> String {
        format!("{:#x}", rand::random::<u128>())
    }
}

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        Self::text().into()
    }
}
