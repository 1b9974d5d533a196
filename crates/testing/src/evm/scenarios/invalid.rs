//! Transactions that make a block invalid: the first one decides, at its index, with its reason.

use crate::evm::{
    GeneratedBlock, Rejection,
    asm::words,
    builder::{BlockBuilder, RICH},
    contracts::Contract,
    tx::{Delegate, GWEI, Request},
    user,
};
use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

/// Ten valid transfers, `bad`, and ten more that are never reached.
fn in_the_middle(spec: SpecId, bad: Request, reason: Rejection) -> GeneratedBlock {
    let mut block = BlockBuilder::new(spec);
    around(&mut block, bad, reason);
    block.finish()
}

fn around(block: &mut BlockBuilder, bad: Request, reason: Rejection) {
    for sender in 1..11 {
        block.ok(Request::transfer(user(sender), user(sender + 300), 1));
    }
    block.rejected(bad, reason);
    for sender in 1..11 {
        block.ok(Request::transfer(user(sender), user(sender + 300), 1));
    }
}

/// Nobody ever sends the missing nonce: must neither hang nor spin.
pub fn nonce_too_high() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).nonce(3);
    in_the_middle(SpecId::CANCUN, bad, Rejection::NonceTooHigh)
}

/// A nonce the parent state already has behind it.
pub fn nonce_too_low() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.world().set_nonce(user(0), 8);
    let bad = Request::transfer(user(0), user(1), 1).nonce(7);
    around(&mut block, bad, Rejection::NonceTooLow);
    block.finish()
}

/// Valid against the parent state, too low in order.
pub fn nonce_used_twice() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.ok(Request::transfer(user(0), user(1), 1));
    around(&mut block, Request::transfer(user(0), user(1), 1).nonce(0), Rejection::NonceTooLow);
    block.finish()
}

/// An account that does not exist cannot pay.
pub fn insufficient_funds() -> GeneratedBlock {
    let bad = Request::transfer(user(900), user(1), 1);
    in_the_middle(SpecId::SHANGHAI, bad, Rejection::InsufficientFunds)
}

/// Solvent against the parent state, not after its own earlier transfer.
pub fn funds_spent_earlier_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let fee = U256::from(21_000 * 10 * GWEI);
    let most = U256::from(RICH) - fee - U256::ONE;
    block.ok(Request::transfer(user(0), user(50), 0).value(most));
    around(&mut block, Request::transfer(user(0), user(1), 1), Rejection::InsufficientFunds);
    block.finish()
}

/// Drained by somebody else's call into the code it delegates to.
pub fn funds_spent_by_a_contract_call_of_a_delegated_account() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.delegate(user(0), Contract::Sweeper.at(0));
    block.ok(Request::call(user(12), user(0)).data(words(&[&user(13)])));
    around(&mut block, Request::transfer(user(0), user(1), 1), Rejection::InsufficientFunds);
    block.finish()
}

/// More gas than any block has.
pub fn gas_limit_above_the_block() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).gas(30_000_001);
    in_the_middle(SpecId::CANCUN, bad, Rejection::BlockGasExceeded)
}

/// Fits the block, does not fit what the earlier ones have left: a check on the running total.
pub fn block_gas_limit_exceeded_late() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.gas_limit(500_000);
    let bad = Request::transfer(user(0), user(1), 1).gas(290_001);
    around(&mut block, bad, Rejection::BlockGasExceeded);
    block.finish()
}

/// The last transaction's limit is exactly what is left.
pub fn block_gas_limit_met_exactly() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.gas_limit(11 * 21_000);
    for sender in 0..11 {
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.rejected(Request::transfer(user(12), user(60), 1), Rejection::BlockGasExceeded);
    block.finish()
}

/// 20,999 gas for a transfer.
pub fn intrinsic_gas_too_low() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).gas(20_999);
    in_the_middle(SpecId::BERLIN, bad, Rejection::IntrinsicGas)
}

/// EIP-7825: one transaction may not ask for more than 2^24.
pub fn gas_limit_above_the_transaction_cap() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).gas((1 << 24) + 1);
    in_the_middle(SpecId::OSAKA, bad, Rejection::GasLimitCap)
}

/// EIP-3607: accounts with code do not send.
pub fn sender_is_a_contract() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    let contract = block.deploy(Contract::Sink, 1, 0);
    block.world().fund(contract, U256::from(RICH));
    around(&mut block, Request::transfer(contract, user(1), 1), Rejection::SenderHasCode);
    block.finish()
}

/// 6 gwei against a base fee of 7.
pub fn fee_below_the_base_fee() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).fee(6 * GWEI);
    in_the_middle(SpecId::LONDON, bad, Rejection::FeeBelowBaseFee)
}

/// A blob fee of nothing.
pub fn blob_fee_too_low() -> GeneratedBlock {
    let bad = Request::transfer(user(0), user(1), 1).blobs(&[1], 0);
    in_the_middle(SpecId::CANCUN, bad, Rejection::BlobFeeTooLow)
}

/// An EIP-7702 transaction before Prague.
pub fn transaction_type_of_a_later_fork() -> GeneratedBlock {
    let delegate = Delegate::new(user(0), Contract::Sink.at(0), 1);
    let bad = Request::call(user(0), user(1)).delegates(&[delegate]);
    in_the_middle(SpecId::CANCUN, bad, Rejection::UnsupportedType)
}

/// Nothing before it.
pub fn first_transaction_invalid() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.rejected(Request::transfer(user(0), user(1), 1).nonce(1), Rejection::NonceTooHigh);
    for sender in 1..11 {
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.finish()
}

/// Nothing after it.
pub fn last_transaction_invalid() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for sender in 1..11 {
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.rejected(Request::transfer(user(0), user(1), 1).nonce(1), Rejection::NonceTooHigh);
    block.finish()
}

/// Whoever notices the second one earlier must keep it to itself.
pub fn two_invalid_transactions_and_the_first_counts() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 1..11 {
        let work = Request::call(user(sender), Contract::Worker.at(0));
        block.ok(work.gas(1_000_000).data(words(&[&400u64, &u64::from(sender)])));
    }
    block.rejected(Request::transfer(user(900), user(1), 1), Rejection::InsufficientFunds);
    block.rejected(Request::transfer(user(0), user(1), 1).nonce(9), Rejection::NonceTooHigh);
    block.finish()
}

/// A chain whose link 100 of 200 is missing: the rest must not run forever.
pub fn nonce_gap_in_the_middle_of_a_long_chain() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for nonce in 0..100 {
        block.ok(Request::transfer(user(0), user(60), 1).nonce(nonce));
    }
    for nonce in 101..201 {
        let gap = Request::transfer(user(0), user(60), 1).nonce(nonce);
        block.rejected(gap, Rejection::NonceTooHigh);
    }
    block.finish()
}

/// A block of one.
pub fn only_transaction_invalid() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.rejected(Request::transfer(user(900), user(1), 1), Rejection::InsufficientFunds);
    block.finish()
}
