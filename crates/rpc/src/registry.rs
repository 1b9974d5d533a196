//! Who answers which method, and on which threads.

use crate::{Context, RpcError, args::Args};
use core::future::Future;
use jsonrpsee::{
    RpcModule,
    core::{RegisterMethodError, server::Methods},
    types::ErrorCode,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many slow methods run at once: more would only be slower, and take all readers of the
/// database.
const SLOW_AT_ONCE: usize = 32;

/// Methods by name.
#[derive(Debug)]
pub(crate) struct Registry {
    module: RpcModule<Arc<Context>>,
    taken_twice: Option<RegisterMethodError>,
    slow: Arc<Semaphore>,
}

impl Registry {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let slow = Arc::new(Semaphore::new(SLOW_AT_ONCE));
        Self { module: RpcModule::from_arc(Arc::new(context)), taken_twice: None, slow }
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

    /// A method that may take longer: it runs on a thread for such, with only so many others.
    pub(crate) fn slow<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let slow = Arc::clone(&self.slow);
        let registered = self.module.register_async_method(name, move |params, context, _| {
            let (answer, slow) = (answer.clone(), Arc::clone(&slow));
            async move {
                let permit = slow.acquire_owned().await;
                let run = move || {
                    let answer = answered(&answer, &context, params.as_str());
                    drop(permit);
                    answer
                };
                match tokio::task::spawn_blocking(run).await {
                    Ok(answer) => answer,
                    Err(_) => Err(RpcError::new(
                        ErrorCode::InternalError.code(),
                        "method handler crashed",
                    )),
                }
            }
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    /// A method that waits for something to happen. `answer` takes what it needs of the
    /// parameters before it waits.
    pub(crate) fn waiting<R, F>(
        &mut self,
        name: &'static str,
        answer: impl Fn(Arc<Context>, &mut Args<'_>) -> Result<F, RpcError>
        + Clone
        + Send
        + Sync
        + 'static,
    ) where
        R: Serialize,
        F: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let registered = self.module.register_async_method(name, move |params, context, _| {
            let begun = Args::parse(params.as_str())
                .and_then(|mut args| answer(Arc::clone(&context), &mut args));
            async move {
                let result = begun?.await?;
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

fn answered<R: Serialize>(
    answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError>,
    context: &Context,
    params: Option<&str>,
) -> Result<Box<RawValue>, RpcError> {
    let mut args = Args::parse(params)?;
    let result = answer(context, &mut args)?;
    to_raw_value(&result).map_err(RpcError::internal)
}
