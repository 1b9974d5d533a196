//! Instructions whose result follows from their operands alone.

use alloy_primitives::U256;
use core::cmp::Ordering;
use revm::{
    bytecode::opcode as op,
    interpreter::instructions::i256::{i256_cmp, i256_div, i256_mod},
};

/// How many operands an instruction has that computes its result from them alone.
pub(crate) const fn operands(code: u8) -> Option<usize> {
    match code {
        op::ISZERO | op::NOT | op::CLZ => Some(1),
        op::ADDMOD | op::MULMOD => Some(3),
        op::ADD..=op::SIGNEXTEND | op::LT..=op::SAR => Some(2),
        _ => None,
    }
}

/// What such an instruction computes.
pub(crate) fn apply(code: u8, a: U256, b: U256, c: U256) -> Option<U256> {
    let shift = |value: U256| usize::try_from(value).unwrap_or(usize::MAX).min(256);
    let truth = |holds: bool| U256::from(u8::from(holds));
    Some(match code {
        op::ADD => a.wrapping_add(b),
        op::MUL => a.wrapping_mul(b),
        op::SUB => a.wrapping_sub(b),
        op::DIV => a.checked_div(b).unwrap_or_default(),
        op::SDIV => i256_div(a, b),
        op::MOD => a.checked_rem(b).unwrap_or_default(),
        op::SMOD => i256_mod(a, b),
        op::ADDMOD => a.add_mod(b, c),
        op::MULMOD => a.mul_mod(b, c),
        op::EXP => a.pow(b),
        op::SIGNEXTEND => sign_extend(a, b),
        op::LT => truth(a < b),
        op::GT => truth(a > b),
        op::SLT => truth(i256_cmp(&a, &b) == Ordering::Less),
        op::SGT => truth(i256_cmp(&a, &b) == Ordering::Greater),
        op::EQ => truth(a == b),
        op::ISZERO => truth(a.is_zero()),
        op::AND => a & b,
        op::OR => a | b,
        op::XOR => a ^ b,
        op::NOT => !a,
        op::BYTE => match usize::try_from(a) {
            Ok(at @ 0..32) => U256::from(b.byte(31 - at)),
            _ => U256::ZERO,
        },
        op::SHL => b.wrapping_shl(shift(a)),
        op::SHR => b.wrapping_shr(shift(a)),
        op::SAR => b.arithmetic_shr(shift(a)),
        op::CLZ => U256::from(a.leading_zeros()),
        _ => return None,
    })
}

fn sign_extend(bytes: U256, value: U256) -> U256 {
    let Ok(at @ 0..31) = usize::try_from(bytes) else { return value };
    let bit = at * 8 + 7;
    let mask = (U256::from(1) << bit) - U256::from(1);
    if value.bit(bit) { value | !mask } else { value & mask }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes, TxKind};
    use proptest::prelude::*;
    use revm::{
        Context, ExecuteEvm, MainBuilder, MainContext,
        bytecode::Bytecode,
        context::{CfgEnv, TxEnv},
        database::{CacheDB, EmptyDB},
        primitives::hardfork::SpecId,
        state::AccountInfo,
    };

    /// What revm computes.
    fn executed(code: u8, operands: &[U256]) -> U256 {
        let mut program = Vec::new();
        for operand in operands.iter().rev() {
            program.push(op::PUSH32);
            program.extend(operand.to_be_bytes::<32>());
        }
        program.extend([code, op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::RETURN]);
        let mut db = CacheDB::<EmptyDB>::default();
        let contract = Address::repeat_byte(0xc0);
        let program = Bytecode::new_raw(program.into());
        db.insert_account_info(contract, AccountInfo::from_bytecode(program));
        let cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        let mut evm = Context::mainnet().with_db(db).with_cfg(cfg).build_mainnet();
        let kind = TxKind::Call(contract);
        let tx = TxEnv { kind, gas_limit: 1_000_000, ..Default::default() };
        let result = evm.transact(tx).unwrap().result;
        U256::from_be_slice(result.output().map_or(&[][..], Bytes::as_ref))
    }

    /// Words with more edges than chance gives.
    fn word() -> impl Strategy<Value = U256> {
        let any = any::<[u8; 32]>().prop_map(U256::from_be_bytes);
        let small = (0_u64..300).prop_map(U256::from);
        prop_oneof![
            any.clone(),
            small.clone(),
            small.prop_map(|n| U256::MAX - n),
            (0_usize..256).prop_map(|n| U256::ONE << n),
            (any, 0_usize..256).prop_map(|(word, n)| word >> n),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_instruction_computes_what_revm_does(
            choice: prop::sample::Index,
            a in word(),
            b in word(),
            c in word(),
        ) {
            let all: Vec<u8> = (0..=u8::MAX).filter(|code| operands(*code).is_some()).collect();
            prop_assert_eq!(all.len(), 26);
            let code = all[choice.index(all.len())];
            let of = &[a, b, c][..operands(code).unwrap()];
            let mut padded = [U256::ZERO; 3];
            padded[..of.len()].copy_from_slice(of);
            let [x, y, z] = padded;
            prop_assert_eq!(apply(code, x, y, z), Some(executed(code, of)), "{:#x}", code);
        }
    }
}
