//! Which balances a transaction really observed.
//!
//! Most balances are only added to or taken from: the fee to the beneficiary, a credit to a
//! recipient. Two such transactions do not conflict. An inspector notes the exceptions: `BALANCE`
//! and `SELFBALANCE` observe a balance exactly, `SELFDESTRUCT` moves all of it, and a transfer
//! out needs it to suffice. Ethereum's own EVM notes the same from inside those instructions,
//! which costs nothing elsewhere (see [`dialect`](super::dialect)).

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

/// Whether an amount is 2¹⁹² wei or more. Sums of smaller ones do not overflow within a transaction.
pub(crate) const fn is_vast(wei: &U256) -> bool {
    wei.as_limbs()[3] != 0
}

/// What one speculative execution observed of balances and nonces.
#[derive(Clone, Debug, Default)]
pub struct BalanceWatch {
    exact: Vec<Address>,
    debits: Vec<(Address, U256)>,
    depth: usize,
    creates: bool,
    /// Code looked at what changes with every block.
    saw_block: bool,
    /// Some transfer was of an amount that could make balances overflow.
    vast: bool,
    /// The frame that opens next belongs to an instruction that was noted already.
    announced: bool,
}

impl BalanceWatch {
    /// Nothing observed yet; `creates` says whether the transaction itself creates a contract.
    pub(crate) const fn new(creates: bool) -> Self {
        Self {
            exact: Vec::new(),
            debits: Vec::new(),
            depth: 0,
            creates,
            saw_block: false,
            vast: false,
            announced: false,
        }
    }

    /// Whether the transaction tried to create a contract.
    pub(crate) const fn creates(&self) -> bool {
        self.creates
    }

    /// Whether code tried to transfer an amount that could make a balance overflow.
    pub(crate) const fn vast(&self) -> bool {
        self.vast
    }

    /// Whether code looked at number, time or randomness of its block, or at a block hash.
    pub(crate) const fn saw_block(&self) -> bool {
        self.saw_block
    }

    /// Code looks at one of these.
    pub(crate) const fn see_block(&mut self) {
        self.saw_block = true;
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

    /// Code looked at this balance, or moved all of it.
    pub(crate) fn observe(&mut self, address: Address) {
        if !self.exact.contains(&address) {
            self.exact.push(address);
        }
    }

    /// Code tries to transfer `value` out of `from`.
    pub(crate) fn note_debit(&mut self, from: Address, value: U256) {
        if !value.is_zero() {
            self.vast |= is_vast(&value);
            self.debits.push((from, value));
        }
    }

    /// Code tries to create a contract, with `value` from `from`.
    pub(crate) fn note_creation(&mut self, from: Address, value: U256) {
        self.creates = true;
        self.note_debit(from, value);
    }
}

/// Calls and creations are noted before their instruction runs: some look at the balance and fail
/// without ever opening a frame. A frame that no instruction announced (a precompile's, a custom
/// instruction's) is noted when it opens.
impl<CTX> Inspector<CTX, EthInterpreter> for BalanceWatch {
    #[inline]
    fn step(&mut self, interp: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        self.announced = false;
        match interp.bytecode.opcode() {
            opcode::BALANCE => {
                if let Some(word) = interp.stack.data().last() {
                    self.observe(Address::from_word((*word).into()));
                }
            }
            opcode::SELFBALANCE | opcode::SELFDESTRUCT => {
                self.observe(interp.input.target_address());
            }
            // From the top: gas, callee, value.
            opcode::CALL | opcode::CALLCODE => {
                if let [.., value, _, _] = interp.stack.data().as_slice() {
                    self.note_debit(interp.input.target_address(), *value);
                    self.announced = true;
                }
            }
            opcode::CREATE | opcode::CREATE2 => {
                if let Some(value) = interp.stack.data().last() {
                    self.note_creation(interp.input.target_address(), *value);
                    self.announced = true;
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        // The outermost call is the transaction's own, which the envelope accounts for.
        if let CallValue::Transfer(value) = inputs.value
            && self.depth > 0
            && !self.announced
        {
            self.note_debit(inputs.caller, value);
        }
        self.announced = false;
        self.depth += 1;
        None
    }

    fn create(&mut self, _: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        if self.depth > 0 && !self.announced {
            self.note_creation(inputs.caller(), inputs.value());
        }
        self.announced = false;
        self.depth += 1;
        None
    }
}
