//! What the tracers of geth make of an execution.

use crate::{Overlay, OverlayError, SimulationError};
use alloy_evm::{Database, EvmEnv};
use alloy_primitives::{Address, B256, Log, U256};
use alloy_rpc_types_trace::{
    geth::{GethDebugTracerConfig, GethDebugTracingOptions, GethTrace, StructLog},
    parity::TraceOutput,
};
use core::cell::RefCell;
use revm::{
    DatabaseRef, Inspector,
    context::TxEnv,
    context_interface::{
        ContextTr,
        context::ContextError,
        result::{HaltReason, ResultAndState},
    },
    inspector::JournalExt,
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, Interpreter},
    state::{AccountInfo, Bytecode},
};
use revm_inspectors::tracing::{DebugInspector, DebugInspectorError, TransactionContext};
use serde_json::{Map, Value};

/// Which tracer, and what it is to record.
pub type TraceOptions = GethDebugTracingOptions;

/// Most steps that the logger of steps records. More would not fit into an answer, but into memory
/// neither.
pub const MAX_STEPS: u64 = 1 << 20;

/// Watches executions, one after the other.
#[derive(Debug)]
pub(super) struct Recorder {
    inspector: DebugInspector,
    /// Steps that may still be recorded; `None` where steps are not recorded one by one.
    steps_left: Option<u64>,
    limited: bool,
}

impl Recorder {
    pub(super) fn new<E>(options: &TraceOptions) -> Result<Self, SimulationError<E>> {
        let mut plain = options.clone();
        if matches!(&plain.tracer, Some(tracer) if tracer.as_str() == "muxTracer") {
            normalize(&mut plain.tracer_config);
        }
        let inspector = DebugInspector::new(plain).map_err(refused)?;
        let limited = options.config.limit.is_none_or(|limit| limit == 0 || limit > MAX_STEPS);
        let limited = limited && matches!(inspector, DebugInspector::Default(..));
        Ok(Self { inspector, steps_left: None, limited })
    }

    /// Forgets the execution before.
    pub(super) fn begin<E>(&mut self) -> Result<(), SimulationError<E>> {
        self.steps_left = self.limited.then_some(MAX_STEPS);
        self.inspector.fuse().map_err(refused)
    }

    /// The trace of an execution that has not been committed.
    pub(super) fn finish<DB: Database>(
        &mut self,
        place: TransactionContext,
        tx: &TxEnv,
        env: &EvmEnv,
        result: &ResultAndState<HaltReason>,
        state: &mut Overlay<DB>,
    ) -> Result<GethTrace, SimulationError<DB::Error>> {
        let mut state = Shared(RefCell::new(state));
        let trace = self.inspector.get_result(Some(place), tx, &env.block_env, result, &mut state);
        let mut trace = trace.map_err(|error| match error {
            DebugInspectorError::Database(error) => error.into(),
            error => SimulationError::request(error),
        })?;
        if let GethTrace::Default(frame) = &mut trace {
            frame.struct_logs.iter_mut().for_each(leave_out_nothing);
        }
        complete_gas(&mut trace, result.result.tx_gas_used());
        Ok(trace)
    }
}

/// In geth's list of calls the outermost one has the gas of the whole transaction, of which
/// revm-inspectors puts the limit and not what was used.
fn complete_gas(trace: &mut GethTrace, used: u64) {
    match trace {
        GethTrace::FlatCallTracer(calls) => {
            match calls.first_mut().and_then(|call| call.trace.result.as_mut()) {
                Some(TraceOutput::Call(output)) => output.gas_used = used,
                Some(TraceOutput::Create(output)) => output.gas_used = used,
                None => {}
            }
        }
        GethTrace::MuxTracer(frame) => {
            frame.0.values_mut().for_each(|trace| complete_gas(trace, used));
        }
        _ => {}
    }
}

/// What is empty is not printed, as in geth.
fn leave_out_nothing(step: &mut StructLog) {
    step.refund_counter = step.refund_counter.filter(|refund| *refund != 0);
    step.memory.take_if(|memory| memory.is_empty());
    step.return_data.take_if(|data| data.is_empty());
}

/// Callers write `null` and `{}` for no configuration; revm-inspectors wants the one or the other.
fn normalize(config: &mut GethDebugTracerConfig) {
    for (tracer, config) in config.0.as_object_mut().into_iter().flatten() {
        let takes_none = matches!(tracer.as_str(), "4byteTracer" | "noopTracer" | "stateGasTracer");
        if config.is_null() && !takes_none {
            *config = Value::Object(Map::new());
        } else if takes_none && config.as_object().is_some_and(Map::is_empty) {
            *config = Value::Null;
        }
    }
}

fn refused<E>(error: DebugInspectorError) -> SimulationError<E> {
    match error {
        DebugInspectorError::JsTracerNotEnabled => {
            SimulationError::request("tracer not found: there are no JavaScript tracers")
        }
        error => SimulationError::request(error),
    }
}

impl<CTX> Inspector<CTX> for Recorder
where
    CTX: ContextTr<Journal: JournalExt>,
{
    fn initialize_interp(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        self.inspector.initialize_interp(interp, context);
    }

    fn step(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        if let Some(left) = &mut self.steps_left {
            let Some(rest) = left.checked_sub(1) else {
                let words = format!("trace of more than {MAX_STEPS} steps: set a limit");
                *context.error() = Err(ContextError::Custom(words));
                interp.halt_fatal();
                return;
            };
            *left = rest;
        }
        self.inspector.step(interp, context);
    }

    fn step_end(&mut self, interp: &mut Interpreter, context: &mut CTX) {
        self.inspector.step_end(interp, context);
    }

    fn log(&mut self, context: &mut CTX, log: Log) {
        Inspector::<CTX>::log(&mut self.inspector, context, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, context: &mut CTX, log: Log) {
        self.inspector.log_full(interp, context, log);
    }

    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.inspector.call(context, inputs)
    }

    fn call_end(&mut self, context: &mut CTX, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.inspector.call_end(context, inputs, outcome);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.inspector.create(context, inputs)
    }

    fn create_end(
        &mut self,
        context: &mut CTX,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.inspector.create_end(context, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<CTX>::selfdestruct(&mut self.inspector, contract, target, value);
    }
}

/// An overlay for those who read without being allowed to change anything.
struct Shared<'a, DB: Database>(RefCell<&'a mut Overlay<DB>>);

impl<DB: Database> DatabaseRef for Shared<'_, DB> {
    type Error = OverlayError<DB::Error>;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        revm::Database::basic(*self.0.borrow_mut(), address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        revm::Database::code_by_hash(*self.0.borrow_mut(), code_hash)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Self::Error> {
        revm::Database::storage(*self.0.borrow_mut(), address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        revm::Database::block_hash(*self.0.borrow_mut(), number)
    }
}
