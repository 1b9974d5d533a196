//! Who answers which method, and on which threads.

use crate::{Context, RpcError, args::Args};
use core::future::ready;
use futures_util::future::Either;
use jsonrpsee::{
    RpcModule,
    core::{RegisterMethodError, server::Methods},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many slow methods run at once: more would only be slower, and take all readers of the
/// database.
const SLOW_AT_ONCE: usize = 32;

/// How many methods wait at once. Each takes a thread.
const WAITING_AT_ONCE: usize = 256;

/// Methods by name.
#[derive(Debug)]
pub(crate) struct Registry {
    module: RpcModule<Arc<Context>>,
    taken_twice: Option<RegisterMethodError>,
    slow: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Registry {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let turns = |number| Arc::new(Semaphore::new(number));
        Self {
            module: RpcModule::from_arc(Arc::new(context)),
            taken_twice: None,
            slow: turns(SLOW_AT_ONCE),
            waiting: turns(WAITING_AT_ONCE),
        }
    }

    /// A method that takes microseconds: it runs on the thread that read the request.
    pub(crate) fn quick<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let registered = self.module.register_method(name, move |params, context, _| {
            answered(&answer, context, params.as_str())
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that is quick unless it is about the pending block, which may have to be made.
    pub(crate) fn quick_but_pending<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let turns = Arc::clone(&self.slow);
        let registered = self.module.register_async_method(name, move |params, context, _| {
            if !may_be_pending(params.as_str()) {
                return Either::Left(ready(answered(&answer, &context, params.as_str())));
            }
            let (answer, turns) = (answer.clone(), Arc::clone(&turns));
            let run = move || answered(&answer, &context, params.as_str());
            Either::Right(on_a_thread(turns, run))
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that may take longer: it runs on a thread for such, with only so many others.
    pub(crate) fn slow<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        self.elsewhere(name, Arc::clone(&self.slow), answer);
    }

    /// A method that waits for a block: like a slow one, but it keeps none of these waiting.
    pub(crate) fn waiting<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        self.elsewhere(name, Arc::clone(&self.waiting), answer);
    }

    fn elsewhere<R: Serialize>(
        &mut self,
        name: &'static str,
        turns: Arc<Semaphore>,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let registered = self.module.register_async_method(name, move |params, context, _| {
            let (answer, turns) = (answer.clone(), Arc::clone(&turns));
            on_a_thread(turns, move || answered(&answer, &context, params.as_str()))
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// For what is neither of these, such as subscriptions.
    pub(crate) const fn module(&mut self) -> &mut RpcModule<Arc<Context>> {
        &mut self.module
    }

    /// Takes note that a method could not be registered.
    pub(crate) fn note(&mut self, registered: Result<(), RegisterMethodError>) {
        if let Err(error) = registered {
            self.taken_twice.get_or_insert(error);
        }
    }

    /// All of them.
    pub(crate) fn finish(self) -> Result<Methods, RegisterMethodError> {
        self.taken_twice.map_or(Ok(self.module.into()), Err)
    }
}

/// Whether parameters name the pending block. They may do it with escapes.
fn may_be_pending(params: Option<&str>) -> bool {
    params.is_some_and(|params| params.contains("pending") || params.contains('\\'))
}

/// Runs something on a thread that may be kept for long, once it is its turn.
async fn on_a_thread(
    turns: Arc<Semaphore>,
    run: impl FnOnce() -> Result<Box<RawValue>, RpcError> + Send + 'static,
) -> Result<Box<RawValue>, RpcError> {
    let turn = turns.acquire_owned().await;
    let run = move || {
        let answer = run();
        drop(turn);
        answer
    };
    let crashed = |_| RpcError::internal("method handler crashed");
    tokio::task::spawn_blocking(run).await.map_err(crashed)?
}

fn answered<R: Serialize>(
    answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError>,
    context: &Context,
    params: Option<&str>,
) -> Result<Box<RawValue>, RpcError> {
    let mut args = Args::parse(params)?;
    let result = answer(context, &mut args)?;
    to_raw_value(&result).map_err(RpcError::internal)
}
