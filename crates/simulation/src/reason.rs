//! What went wrong in the code, in geth's words.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use revm::context_interface::result::HaltReason;
use std::borrow::Cow;

/// The words for code that reverted, whatever the reason.
pub const REVERTED: &str = "execution reverted";

/// The words for what a contract returned when it reverted, with the reason that Solidity's
/// `Error(string)` and `Panic(uint256)` carry.
pub fn of_revert(output: &Bytes) -> Cow<'static, str> {
    if let Ok(Revert { reason }) = Revert::abi_decode(output) {
        return format!("{REVERTED}: {reason}").into();
    }
    match Panic::abi_decode(output) {
        Ok(Panic { code }) => format!("{REVERTED}: {}", of_panic(code)).into(),
        Err(_) => REVERTED.into(),
    }
}

fn of_panic(code: U256) -> Cow<'static, str> {
    let words = match u8::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}").into(),
    };
    words.into()
}

/// The words for code that failed without reverting.
pub fn of_halt(halt: &HaltReason) -> Cow<'static, str> {
    let words = match halt {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024 (1023)",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        HaltReason::PrecompileErrorWithContext(words) => return words.clone().into(),
        HaltReason::PrecompileError | HaltReason::OverflowPayment => {
            return halt.to_string().into();
        }
    };
    words.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::bytes;

    #[test]
    fn reasons_of_solidity_are_told() {
        let reason = Revert::from("not yours").abi_encode().into();
        assert_eq!(of_revert(&reason), "execution reverted: not yours");
        let cases = [
            (0x01, "assert(false)"),
            (0x11, "arithmetic underflow or overflow"),
            (0x77, "unknown panic code: 0x77"),
        ];
        for (code, words) in cases {
            let output = Panic { code: U256::from(code) }.abi_encode().into();
            assert_eq!(of_revert(&output), format!("execution reverted: {words}"));
        }
    }

    #[test]
    fn other_data_is_left_alone() {
        for output in [Bytes::new(), bytes!("08c379a0"), bytes!("deadbeef00")] {
            assert_eq!(of_revert(&output), "execution reverted");
        }
    }
}
