//! What calls log, transfers of value among it.

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    context_interface::{ContextTr, JournalTr, journaled_state::account::JournaledAccountTr},
    interpreter::{CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome},
};

/// Who seems to log a transfer of value (ERC-7528).
pub const TRANSFER_EMITTER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A log of a simulated block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLog {
    /// What was logged.
    pub log: Log,
    /// Its number in the block. What was logged and then reverted has a number, too.
    pub index: u64,
}

/// Collects the logs of a block, call by call.
#[derive(Debug)]
pub(super) struct LogInspector {
    trace_transfers: bool,
    count: u64,
    /// Logs of the frames that are open, the outermost first.
    open: Vec<Vec<CallLog>>,
    finished: Vec<CallLog>,
}

impl LogInspector {
    pub(super) const fn new(trace_transfers: bool) -> Self {
        Self { trace_transfers, count: 0, open: Vec::new(), finished: Vec::new() }
    }

    /// The logs of the last call.
    pub(super) fn take(&mut self) -> Vec<CallLog> {
        self.open.clear();
        core::mem::take(&mut self.finished)
    }

    fn note(&mut self, log: Log) {
        let index = self.count;
        self.count += 1;
        if let Some(frame) = self.open.last_mut() {
            frame.push(CallLog { log, index });
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if self.trace_transfers && !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            let data = Bytes::copy_from_slice(&value.to_be_bytes::<32>());
            let data = LogData::new_unchecked(topics, data);
            self.note(Log { address: TRANSFER_EMITTER, data });
        }
    }

    fn begin(&mut self) {
        self.open.push(Vec::new());
    }

    fn end(&mut self, success: bool) {
        let logs = self.open.pop().filter(|_| success).unwrap_or_default();
        match self.open.last_mut() {
            Some(outer) => outer.extend(logs),
            None => self.finished = logs,
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX> for LogInspector {
    fn log(&mut self, _: &mut CTX, log: Log) {
        self.note(log);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.begin();
        match inputs.scheme {
            CallScheme::Call => {
                self.transfer(inputs.caller, inputs.target_address, inputs.value.get());
            }
            CallScheme::CallCode => {
                self.transfer(inputs.caller, inputs.bytecode_address, inputs.value.get());
            }
            CallScheme::DelegateCall | CallScheme::StaticCall => {}
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin();
        if self.trace_transfers && !inputs.value().is_zero() {
            let caller = context.journal_mut().load_account_mut(inputs.caller()).ok();
            let nonce = caller.map_or(0, |caller| caller.data.nonce());
            self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}
