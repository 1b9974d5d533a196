//! The contracts of the generated world: each does one thing that engines get wrong.
//!
//! Calldata is a row of 32-byte words, without selectors. Where a fork lacks an opcode the call
//! fails, which is a case worth having too.

use super::asm::{Asm, init_code};
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use revm::bytecode::opcode::{
    ADD, ADDRESS, BALANCE, BLOBBASEFEE, BLOBHASH, BLOCKHASH, CALL, CALLDATASIZE, CALLER, CALLVALUE,
    COINBASE, CREATE, CREATE2, DELEGATECALL, DIV, DUP1, EQ, EXTCODECOPY, EXTCODEHASH, EXTCODESIZE,
    GAS, GASPRICE, ISZERO, KECCAK256, LOG0, LOG1, LT, MLOAD, MSTORE, MUL, NUMBER, ORIGIN, POP,
    RETURN, REVERT, SELFBALANCE, SELFDESTRUCT, SLOAD, SSTORE, STATICCALL, STOP, SUB, SWAP1,
    TIMESTAMP, TLOAD, TSTORE,
};

/// Topic of the deposit contract's event (EIP-6110).
pub const DEPOSIT_EVENT: B256 =
    b256!("0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");

macro_rules! contracts {
    ($($(#[$doc:meta])* $name:ident => $code:expr;)*) => {
        /// One behaviour each; `w0`, `w1` are the words of the calldata.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Contract {
            $($(#[$doc])* $name,)*
        }

        impl Contract {
            /// Every contract there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its runtime code.
            pub fn code(self) -> Bytes {
                match self {
                    $(Self::$name => $code.finish(),)*
                }
            }
        }
    };
}

contracts! {
    /// `slot[w0] += 1`
    Counter => Asm::new().word(0).op(SLOAD).push(1u64).op(ADD).word(0).op(SSTORE);
    /// One word: returns `slot[w0]`. Two words: `slot[w0] += w1`, and returns the sum.
    Cell => Asm::new()
        .push(32u64).op(CALLDATASIZE).op(EQ).jump_if("read")
        .word(0).op(SLOAD).word(1).op(ADD).word(0).op(SSTORE)
        .label("read").word(0).op(SLOAD).push(0u64).op(MSTORE)
        .push(32u64).push(0u64).op(RETURN);
    /// `slot[w0] = w1`, also to zero
    Setter => Asm::new().word(1).word(0).op(SSTORE);
    /// Reverts unless `slot[w0] == w1`; else `slot[w0] = w1 + 1`
    Gate => Asm::new()
        .word(0).op(SLOAD).word(1).op(EQ).jump_if("open")
        .push(0u64).push(0u64).op(REVERT)
        .label("open").word(1).push(1u64).op(ADD).word(0).op(SSTORE);
    /// `slot[w1] = balance(w0)`
    BalanceReader => Asm::new().word(0).op(BALANCE).word(1).op(SSTORE);
    /// `slot[w0] = balance(this)`, by the opcode of Istanbul
    SelfBalanceReader => Asm::new().op(SELFBALANCE).word(0).op(SSTORE);
    /// `slot[w0] = balance(beneficiary)`
    CoinbaseReader => Asm::new().op(COINBASE).op(BALANCE).word(0).op(SSTORE);
    /// Passes its value on to the beneficiary
    CoinbasePayer => Asm::new()
        .push(0u64).push(0u64).push(0u64).push(0u64)
        .ops(&[CALLVALUE, COINBASE]).half_gas().ops(&[CALL, POP]);
    /// Calls `w0` with its value and the rest of the calldata; `slot[0]` = succeeded
    Forwarder => Asm::new()
        .tail_to_memory().push(0u64).push(0u64).tail_len().push(0u64).op(CALLVALUE)
        .word(0).half_gas().op(CALL).store(0);
    /// Runs `w0`'s code as its own with the rest of the calldata; reverts when that fails
    Delegator => Asm::new()
        .tail_to_memory().push(0u64).push(0u64).tail_len().push(0u64)
        .word(0).half_gas().ops(&[DELEGATECALL, ISZERO]).jump_if("failed")
        .op(STOP)
        .label("failed").push(0u64).push(0u64).op(REVERT);
    /// Asks `w0` statically with the rest of the calldata; `slot[0]` = answer, `slot[1]` = succeeded
    StaticCaller => Asm::new()
        .tail_to_memory().push(32u64).push(512u64).tail_len().push(0u64)
        .word(0).half_gas().op(STATICCALL).store(1)
        .push(512u64).op(MLOAD).store(0);
    /// One word: `slot[0] = w0`. Else calls the address in `slot[0]`; `slot[1]` = succeeded
    DynamicCaller => Asm::new()
        .push(32u64).op(CALLDATASIZE).op(EQ).jump_if("set")
        .input_to_memory().push(0u64).push(0u64).op(CALLDATASIZE).push(0u64).op(CALLVALUE)
        .load(0).half_gas().op(CALL).store(1).op(STOP)
        .label("set").word(0).store(0);
    /// Creates from the calldata (CREATE, so the address depends on its nonce); `slot[0]` = address
    Creator => Asm::new()
        .input_to_memory().op(CALLDATASIZE).push(0u64).ops(&[CALLVALUE, CREATE]).store(0);
    /// Endows a creation from the rest of the calldata with `w0` wei of its own, whether it has them
    /// or not, and logs the address; without calldata it just takes what it is sent
    Endower => Asm::new()
        .op(CALLDATASIZE).jump_if("create").op(STOP)
        .label("create").tail_to_memory().tail_len().push(0u64).word(0).op(CREATE)
        .push(0u64).op(MSTORE).push(32u64).push(0u64).op(LOG0);
    /// CREATE2 with salt `w0` and the rest as init code; `slot[w0]` = address
    Factory => Asm::new()
        .tail_to_memory().word(0).tail_len().push(0u64).ops(&[CALLVALUE, CREATE2])
        .word(0).op(SSTORE);
    /// Like [`Self::Factory`], then makes the child destroy itself in favour of this contract
    Cycler => Asm::new()
        .tail_to_memory().word(0).tail_len().push(0u64).ops(&[CALLVALUE, CREATE2])
        .word(0).op(SSTORE)
        .op(ADDRESS).push(0u64).op(MSTORE)
        .push(0u64).push(0u64).push(32u64).push(0u64).push(0u64)
        .word(0).op(SLOAD).half_gas().ops(&[CALL, POP]);
    /// Without calldata `slot[0] += 1`; else destroys itself in favour of `w0`
    Mortal => Asm::new()
        .op(CALLDATASIZE).jump_if("die")
        .load(0).push(1u64).op(ADD).store(0).op(STOP)
        .label("die").word(0).op(SELFDESTRUCT);
    /// `slot[w1]` = code hash, `slot[w1 + 1]` = code size, `slot[w1 + 2]` = first code word of `w0`
    CodeReader => Asm::new()
        .word(0).op(EXTCODEHASH).word(1).op(SSTORE)
        .word(0).op(EXTCODESIZE).word(1).push(1u64).op(ADD).op(SSTORE)
        .push(32u64).push(0u64).push(0u64).word(0).op(EXTCODECOPY)
        .push(0u64).op(MLOAD).word(1).push(2u64).op(ADD).op(SSTORE);
    /// `slot[w1]` = code size of `w0`, in every fork
    CodeSizeReader => Asm::new().word(0).op(EXTCODESIZE).word(1).op(SSTORE);
    /// Adds one to transient slot `w0`, then that to `slot[w0]`: one more per transaction
    Transient => Asm::new()
        .word(0).op(TLOAD).push(1u64).op(ADD).word(0).op(TSTORE)
        .word(0).op(TLOAD).word(0).op(SLOAD).op(ADD).word(0).op(SSTORE);
    /// Writes `slot[w0]`, logs, and reverts
    Reverter => Asm::new()
        .push(99u64).word(0).op(SSTORE).push(0u64).push(0u64).op(LOG0)
        .push(0u64).push(0u64).op(REVERT);
    /// Writes `slot[w0]`, then loops until the gas is gone
    Burner => Asm::new().push(99u64).word(0).op(SSTORE).label("again").jump("again");
    /// Hashes `w0` times, then `slot[w1] += 1`: a long transaction that conflicts at its end
    Worker => Asm::new()
        .word(0)
        .label("again").op(DUP1).op(ISZERO).jump_if("end")
        .push(32u64).push(0u64).op(KECCAK256).push(0u64).op(MSTORE)
        .push(1u64).ops(&[SWAP1, SUB]).jump("again")
        .label("end").word(1).op(SLOAD).push(1u64).op(ADD).word(1).op(SSTORE);
    /// `slot[w1] = blockhash(number - w0)`
    BlockHashReader => Asm::new().word(0).ops(&[NUMBER, SUB, BLOCKHASH]).word(1).op(SSTORE);
    /// Numbers its calls in `slot[0]` and logs the number under topic `w0`
    Logger => Asm::new()
        .load(0).push(1u64).ops(&[ADD, DUP1]).store(0).push(0u64).op(MSTORE)
        .word(0).push(32u64).push(0u64).op(LOG1);
    /// Logs the calldata as a deposit: only meaningful at the deposit contract's address
    DepositLogger => Asm::new()
        .input_to_memory().push(U256::from_be_bytes(DEPOSIT_EVENT.0)).op(CALLDATASIZE).push(0u64)
        .op(LOG1);
    /// `slot[0]` = first blob hash, `slot[1]` = blob base fee
    BlobReader => Asm::new()
        .push(0u64).op(BLOBHASH).store(0).op(BLOBBASEFEE).store(1);
    /// `slot[w0]` = gas left
    GasReader => Asm::new().op(GAS).word(0).op(SSTORE);
    /// `slot[w0]` = a mix of what the environment says
    EnvReader => Asm::new()
        .ops(&[NUMBER, TIMESTAMP, ADD, GASPRICE, ADD, COINBASE, ADD, ORIGIN, ADD, CALLER, ADD])
        .word(0).op(SSTORE);
    /// Constant-product pool: pays `w0` in, credits the caller, moves both reserves (`slot[0..2]`)
    Pool => Asm::new()
        .load(0).word(0).op(ADD).load(1).word(0).op(MUL).op(DIV)
        .load(0).word(0).op(ADD).store(0)
        .op(DUP1).load(1).op(SUB).store(1)
        .ops(&[CALLER, SLOAD, ADD, CALLER, SSTORE]);
    /// Token keyed by address: moves `w1` from the caller to `w0`, or reverts
    Token => Asm::new()
        .word(1).ops(&[CALLER, SLOAD, LT]).jump_if("poor")
        .word(1).ops(&[CALLER, SLOAD, SUB, CALLER, SSTORE])
        .word(0).op(SLOAD).word(1).op(ADD).word(0).op(SSTORE)
        .word(1).push(0u64).op(MSTORE).word(0).push(32u64).push(0u64).op(LOG1).op(STOP)
        .label("poor").push(0u64).push(0u64).op(REVERT);
    /// Sends all it owns to `w0`
    Sweeper => Asm::new()
        .push(0u64).push(0u64).push(0u64).push(0u64)
        .ops(&[ADDRESS, BALANCE]).word(0).half_gas().ops(&[CALL, POP]);
    /// Sends `w1` wei of its own to `w0`, whether it has them or not; `slot[w1]` = succeeded
    Spender => Asm::new()
        .push(0u64).push(0u64).push(0u64).push(0u64)
        .word(1).word(0).half_gas().op(CALL).word(1).op(SSTORE);
    /// Does nothing, so it accepts value
    Sink => Asm::new().op(STOP);
}

impl Contract {
    /// Where the world keeps the `instance`-th copy of this contract.
    pub fn at(self, instance: u8) -> Address {
        let mut bytes = [0u8; 20];
        bytes[..2].copy_from_slice(&[0xc0, 0xde]);
        bytes[18] = self as u8;
        bytes[19] = instance;
        Address::from(bytes)
    }

    /// Init code that deploys this contract.
    pub fn init_code(self) -> Bytes {
        init_code(Asm::new(), &self.code())
    }

    /// Init code that deploys this contract after setting `slot[1] = 7`.
    pub fn init_code_with_storage(self) -> Bytes {
        init_code(Asm::new().push(7u64).store(1), &self.code())
    }
}

/// Where [`Contract::Factory`] or [`Contract::Cycler`] at `factory` puts `init_code`.
pub fn create2_address(factory: Address, salt: u64, init_code: &[u8]) -> Address {
    factory.create2(B256::from(U256::from(salt)), keccak256(init_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_assembles_and_has_its_own_code() {
        let mut codes: Vec<_> = Contract::ALL.iter().map(|contract| contract.code()).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), Contract::ALL.len());
    }
}
