//! Which balances a transaction really observed.
//!
//! Most balances are only added to or taken from: the fee to the beneficiary, a credit to a
//! recipient. Two such transactions do not conflict. An inspector notes the exceptions: `BALANCE`
//! and `SELFBALANCE` observe a balance exactly, `SELFDESTRUCT` moves all of it, and a transfer
//! out needs it to suffice.

use alloy_primitives::{Address, U256};
use revm::{
    Inspector,
    bytecode::opcode,
    interpreter::{
        CallInputs, CallOutcome, CallValue, CreateInputs, CreateOutcome, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};

/// See the module documentation. One per speculating thread, cleared for every transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct BalanceWatch {
    exact: Vec<Address>,
    debits: Vec<(Address, U256)>,
    depth: usize,
    creates: bool,
}

impl BalanceWatch {
    pub(crate) fn begin(&mut self) {
        self.exact.clear();
        self.debits.clear();
        self.depth = 0;
        self.creates = false;
    }

    /// Whether the transaction tried to create a contract.
    pub(crate) const fn creates(&self) -> bool {
        self.creates
    }

    pub(crate) fn observed(&self, address: &Address) -> bool {
        self.exact.contains(address)
    }

    /// An upper bound of what was transferred out of `address` by calls and creations inside the
    /// transaction; `None` where it overflows.
    pub(crate) fn debit(&self, address: &Address) -> Option<U256> {
        let debits = self.debits.iter().filter(|(from, _)| from == address);
        debits.into_iter().try_fold(U256::ZERO, |sum, (_, value)| sum.checked_add(*value))
    }

    fn observe(&mut self, address: Address) {
        if !self.exact.contains(&address) {
            self.exact.push(address);
        }
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for BalanceWatch {
    #[inline]
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        match interp.bytecode.opcode() {
            opcode::BALANCE => {
                if let Some(word) = interp.stack.data().last() {
                    self.observe(Address::from_word((*word).into()));
                }
            }
            opcode::SELFBALANCE | opcode::SELFDESTRUCT => {
                self.observe(interp.input.target_address());
            }
            _ => {}
        }
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        if let CallValue::Transfer(value) = inputs.value
            && !value.is_zero()
            && self.depth > 0
        {
            self.debits.push((inputs.caller, value));
        }
        self.depth += 1;
        None
    }

    fn create(&mut self, _: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        if !inputs.value().is_zero() && self.depth > 0 {
            self.debits.push((inputs.caller(), inputs.value()));
        }
        self.depth += 1;
        self.creates = true;
        None
    }
}
