//! Who answers which method, and on which threads.

use crate::{Context, RpcError, args::Args};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// Methods by name.
#[derive(Debug)]
pub(crate) struct Registry {
    module: RpcModule<Arc<Context>>,
    taken_twice: Option<RegisterMethodError>,
}

impl Registry {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { module: RpcModule::from_arc(Arc::new(context)), taken_twice: None }
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

    /// A method that may take longer: it runs on a thread of its own.
    pub(crate) fn slow<R: Serialize>(
        &mut self,
        name: &'static str,
        answer: impl Fn(&Context, &mut Args<'_>) -> Result<R, RpcError> + Clone + Send + Sync + 'static,
    ) {
        let registered = self.module.register_blocking_method(name, move |params, context, _| {
            answered(&answer, &context, params.as_str())
        });
        let registered = registered.map(drop);
        self.note(registered);
    }

    fn note(&mut self, registered: Result<(), RegisterMethodError>) {
        if let Err(error) = registered {
            self.taken_twice.get_or_insert(error);
        }
    }

    /// All of them.
    pub(crate) fn finish(self) -> Result<RpcModule<Arc<Context>>, RegisterMethodError> {
        self.taken_twice.map_or(Ok(self.module), Err)
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
