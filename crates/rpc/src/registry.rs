//! Who answers which method, and on which threads.

use crate::{Context, RpcError, args::Args};
use core::{future::ready, time::Duration};
use futures_util::future::Either;
use jsonrpsee::{
    RpcModule,
    core::{RegisterMethodError, server::Methods},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{sync::Arc, time::Instant};
use tokio::sync::Semaphore;

/// How many slow methods run at once: more would only be slower, and take all readers of the
/// database.
const SLOW_AT_ONCE: usize = 32;

/// How long a method may try to answer on the thread that read the request: some times as long as
/// it takes to have another thread do it.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(1);

/// How long a thread may answer one connection before it looks at the others.
const FAIR: Duration = Duration::from_micros(100);

/// Methods by name. `params` is how many parameters a method has at most.
#[derive(Debug)]
pub(crate) struct Registry {
    module: RpcModule<Arc<Context>>,
    taken_twice: Option<RegisterMethodError>,
    slow: Arc<Semaphore>,
}

impl Registry {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            module: RpcModule::from_arc(Arc::new(context)),
            taken_twice: None,
            slow: Arc::new(Semaphore::new(SLOW_AT_ONCE)),
        }
    }

    /// A method that takes microseconds: it runs on the thread that read the request.
    pub(crate) fn quick<R: Serialize>(
        &mut self,
        name: &'static str,
        params: usize,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let registered = self.module.register_method(name, move |given, context, _| {
            answered(&answer, context, given.as_str(), params)
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that is quick unless it is about the pending block, which may have to be made.
    pub(crate) fn quick_but_pending<R: Serialize>(
        &mut self,
        name: &'static str,
        params: usize,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let turns = Arc::clone(&self.slow);
        let registered = self.module.register_async_method(name, move |given, context, _| {
            if !may_be_pending(given.as_str()) {
                return Either::Left(ready(answered(&answer, &context, given.as_str(), params)));
            }
            let (answer, turns) = (answer.clone(), Arc::clone(&turns));
            let run = move || answered(&answer, &context, given.as_str(), params);
            Either::Right(on_a_thread(turns, run))
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that may take longer: it runs on a thread for such, with only so many others.
    pub(crate) fn slow<R: Serialize>(
        &mut self,
        name: &'static str,
        params: usize,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let turns = Arc::clone(&self.slow);
        let registered = self.module.register_async_method(name, move |given, context, _| {
            let (answer, turns) = (answer.clone(), Arc::clone(&turns));
            on_a_thread(turns, move || answered(&answer, &context, given.as_str(), params))
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that takes microseconds as a rule, and now and then much longer. `briefly` answers
    /// on the thread that read the request, or says none within [`BRIEFLY`]; then the method is a
    /// slow one, and `answer` begins anew. About the pending block it is slow at once.
    pub(crate) fn brief<R: Serialize>(
        &mut self,
        name: &'static str,
        params: usize,
        briefly: impl Fn(&Context, &mut Args<'_>) -> Result<Option<R>, RpcError>
        + Clone
        + Send
        + Sync
        + 'static,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let turns = Arc::clone(&self.slow);
        let registered = self.module.register_async_method(name, move |given, context, _| {
            let (briefly, answer, turns) = (briefly.clone(), answer.clone(), Arc::clone(&turns));
            async move {
                let begun = Instant::now();
                if let Some(answer) = attempted(&briefly, &context, given.as_str(), params)? {
                    if begun.elapsed() > FAIR {
                        // The others on this thread come first, whatever this connection asks next.
                        tokio::task::yield_now().await;
                    }
                    return Ok(answer);
                }
                on_a_thread(turns, move || answered(&answer, &context, given.as_str(), params))
                    .await
            }
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that waits for a block: it takes no thread. `read` reads its parameters.
    pub(crate) fn waiting<P, R, F>(
        &mut self,
        name: &'static str,
        params: usize,
        read: impl Fn(&mut Args<'_>) -> Result<P, RpcError> + Clone + Send + Sync + 'static,
        answer: impl Fn(Arc<Context>, P) -> F + Clone + Send + Sync + 'static,
    ) where
        P: Send,
        R: Serialize,
        F: Future<Output = Result<R, RpcError>> + Send,
    {
        let registered = self.module.register_async_method(name, move |given, context, _| {
            let (read, answer) = (read.clone(), answer.clone());
            async move {
                let read =
                    Args::parse(given.as_str(), params).and_then(|mut args| read(&mut args))?;
                let result = answer(Arc::clone(&context), read).await?;
                to_raw_value(&result).map_err(RpcError::internal)
            }
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
    given: Option<&str>,
    params: usize,
) -> Result<Box<RawValue>, RpcError> {
    let mut args = Args::parse(given, params)?;
    let result = answer(context, &mut args)?;
    to_raw_value(&result).map_err(RpcError::internal)
}

/// Answers, unless that would take too long.
fn attempted<R: Serialize>(
    answer: impl Fn(&Context, &mut Args<'_>) -> Result<Option<R>, RpcError>,
    context: &Context,
    given: Option<&str>,
    params: usize,
) -> Result<Option<Box<RawValue>>, RpcError> {
    if may_be_pending(given) {
        return Ok(None);
    }
    let mut args = Args::parse(given, params)?;
    let result = answer(context, &mut args)?;
    result.map(|result| to_raw_value(&result).map_err(RpcError::internal)).transpose()
}
