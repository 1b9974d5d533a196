//! A two-page assembler, enough to write test contracts whose every opcode is visible.

use alloy_primitives::{Address, Bytes, U256};
use revm::bytecode::opcode::{
    CALLDATACOPY, CALLDATALOAD, CALLDATASIZE, CODECOPY, DIV, DUP1, GAS, ISZERO, JUMP, JUMPDEST,
    JUMPI, MSTORE, POP, PUSH1, PUSH2, RETURN, SLOAD, SSTORE, SUB, SWAP1,
};

/// Bytecode under construction. Every method appends and returns the assembler.
#[derive(Debug, Clone, Default)]
pub struct Asm {
    code: Vec<u8>,
    labels: Vec<(&'static str, usize)>,
    jumps: Vec<(&'static str, usize)>,
}

impl Asm {
    /// Starts with no code.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one opcode.
    pub fn op(mut self, opcode: u8) -> Self {
        self.code.push(opcode);
        self
    }

    /// Appends opcodes one after another.
    pub fn ops(mut self, opcodes: &[u8]) -> Self {
        self.code.extend_from_slice(opcodes);
        self
    }

    /// Appends the shortest push of `value` that exists since Frontier.
    pub fn push(mut self, value: impl Word) -> Self {
        let bytes = value.word().to_be_bytes_trimmed_vec();
        let bytes = if bytes.is_empty() { vec![0] } else { bytes };
        self.code.push(PUSH1 + bytes.len() as u8 - 1);
        self.code.extend_from_slice(&bytes);
        self
    }

    /// Puts the `index`-th 32-byte word of the calldata on the stack.
    pub fn word(self, index: u64) -> Self {
        self.push(32 * index).op(CALLDATALOAD)
    }

    /// Puts the number of calldata bytes after the first word on the stack.
    pub fn tail_len(self) -> Self {
        self.push(32u64).op(CALLDATASIZE).op(SUB)
    }

    /// Copies the calldata after the first word to memory offset 0.
    pub fn tail_to_memory(self) -> Self {
        self.tail_len().push(32u64).push(0u64).op(CALLDATACOPY)
    }

    /// Copies the whole calldata to memory offset 0.
    pub fn input_to_memory(self) -> Self {
        self.op(CALLDATASIZE).push(0u64).push(0u64).op(CALLDATACOPY)
    }

    /// Puts half of the gas left on the stack: an amount to pass on that every fork accepts.
    pub fn half_gas(self) -> Self {
        self.push(2u64).op(GAS).op(DIV)
    }

    /// Puts the value of storage slot `slot` on the stack.
    pub fn load(self, slot: u64) -> Self {
        self.push(slot).op(SLOAD)
    }

    /// Stores the top of the stack in storage slot `slot`.
    pub fn store(self, slot: u64) -> Self {
        self.push(slot).op(SSTORE)
    }

    /// Marks a jump destination.
    pub fn label(mut self, name: &'static str) -> Self {
        self.labels.push((name, self.code.len()));
        self.op(JUMPDEST)
    }

    /// Jumps to `label`.
    pub fn jump(self, label: &'static str) -> Self {
        self.target(label).op(JUMP)
    }

    /// Jumps to `label` when the top of the stack is not zero.
    pub fn jump_if(self, label: &'static str) -> Self {
        self.target(label).op(JUMPI)
    }

    /// Runs `body`, which leaves the stack as it found it, only if the top of the stack is not
    /// zero.
    pub fn when(self, body: impl FnOnce(Self) -> Self) -> Self {
        let mut asm = self.ops(&[ISZERO, PUSH2, 0, 0]);
        let at = asm.code.len() - 2;
        asm = body(asm.op(JUMPI));
        let end = (asm.code.len() as u16).to_be_bytes();
        asm.code[at..at + 2].copy_from_slice(&end);
        asm.op(JUMPDEST)
    }

    /// Runs `body`, which leaves the stack as it found it, this many times; at least once.
    pub fn times(self, count: u64, body: impl FnOnce(Self) -> Self) -> Self {
        let asm = self.push(count);
        let start = (asm.code.len() as u16).to_be_bytes();
        let asm = body(asm.op(JUMPDEST)).push(1u64).ops(&[SWAP1, SUB, DUP1, PUSH2]);
        asm.ops(&start).ops(&[JUMPI, POP])
    }

    /// Writes `data` to memory from offset 0.
    pub fn data_to_memory(self, data: &[u8]) -> Self {
        let chunks = data.chunks(32).enumerate();
        chunks.fold(self, |asm, (index, chunk)| {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            asm.push(U256::from_be_bytes(word)).push(32 * index as u64).op(MSTORE)
        })
    }

    fn target(mut self, label: &'static str) -> Self {
        self.code.push(PUSH2);
        self.jumps.push((label, self.code.len()));
        self.code.extend_from_slice(&[0, 0]);
        self
    }

    /// The finished code, with every jump resolved.
    pub fn finish(mut self) -> Bytes {
        for (label, at) in self.jumps {
            let target = self.labels.iter().find(|(name, _)| *name == label);
            let (_, target) = target.expect("every jump names a label of the same contract");
            self.code[at..at + 2].copy_from_slice(&(*target as u16).to_be_bytes());
        }
        self.code.into()
    }
}

/// Init code that runs `constructor` and then deploys `runtime`.
pub fn init_code(constructor: Asm, runtime: &[u8]) -> Bytes {
    const COPY_AND_RETURN: usize = 13;
    let mut code = constructor.finish().to_vec();
    let offset = (code.len() + COPY_AND_RETURN) as u16;
    let length = runtime.len() as u16;
    code.push(PUSH2);
    code.extend_from_slice(&length.to_be_bytes());
    code.extend_from_slice(&[DUP1, PUSH2]);
    code.extend_from_slice(&offset.to_be_bytes());
    code.extend_from_slice(&[PUSH1, 0, CODECOPY, PUSH1, 0, RETURN]);
    code.extend_from_slice(runtime);
    code.into()
}

/// What fits one 32-byte word of the stack or the calldata.
pub trait Word {
    /// The value as a word.
    fn word(&self) -> U256;
}

impl Word for u64 {
    fn word(&self) -> U256 {
        U256::from(*self)
    }
}

impl Word for U256 {
    fn word(&self) -> U256 {
        *self
    }
}

impl Word for Address {
    fn word(&self) -> U256 {
        self.into_word().into()
    }
}

/// Calldata made of 32-byte words.
pub fn words(values: &[&dyn Word]) -> Bytes {
    values.iter().flat_map(|value| value.word().to_be_bytes::<32>()).collect::<Vec<_>>().into()
}

/// Calldata of one word followed by raw bytes: what contracts that pass calldata on take.
pub fn word_and(first: &dyn Word, rest: &[u8]) -> Bytes {
    let mut data = first.word().to_be_bytes::<32>().to_vec();
    data.extend_from_slice(rest);
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_pushed_as_one_byte() {
        assert_eq!(Asm::new().push(0u64).finish(), Bytes::from_static(&[PUSH1, 0]));
        assert_eq!(Asm::new().push(256u64).finish(), Bytes::from_static(&[PUSH2, 1, 0]));
    }

    #[test]
    fn a_jump_lands_on_its_label() {
        let code = Asm::new().jump("end").push(1u64).label("end").finish();
        assert_eq!(code[..3], [PUSH2, 0, 6]);
        assert_eq!(code[6], JUMPDEST);
    }

    #[test]
    fn init_code_copies_exactly_the_runtime() {
        let code = init_code(Asm::new(), &[0xaa, 0xbb]);
        let offset = usize::from(u16::from_be_bytes([code[5], code[6]]));
        assert_eq!(code[offset..], [0xaa, 0xbb]);
    }
}
