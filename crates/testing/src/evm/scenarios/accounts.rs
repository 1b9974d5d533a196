//! Transfers: hot senders, hot recipients, chains, empty accounts, precompiles.

use super::fund;
use crate::evm::{
    Fact, GeneratedBlock, USERS,
    asm::words,
    builder::{BlockBuilder, RICH},
    contracts::Contract,
    tx::{GWEI, Request},
    user,
};
use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;

/// An account that no scenario funds beforehand.
const NOBODY: Address = Address::repeat_byte(0x0b);

/// Every transfer has its own sender and recipient.
pub fn independent_transfers() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    fund(&mut block, USERS..200);
    for index in 0..200 {
        block.ok(Request::transfer(user(index), user(1_000 + index), 7));
        block.fact(Fact::Balance(user(1_000 + index), U256::from(7)));
    }
    block.finish()
}

/// A nonce chain as long as a full block: every transaction depends on the one before.
pub fn one_sender_1400_transfers() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for index in 0..1_400 {
        block.ok(Request::transfer(user(0), user(100 + index), 1));
    }
    block.fact(Fact::Nonce(user(0), 1_400));
    block.fact(Fact::Balance(user(1_499), U256::ONE));
    block.finish()
}

/// Independent senders, one recipient that none of them reads.
pub fn one_recipient_of_1300() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    fund(&mut block, USERS..1_300);
    for index in 0..1_300 {
        block.ok(Request::transfer(user(index), NOBODY, 3));
    }
    block.fact(Fact::Balance(NOBODY, U256::from(3 * 1_300)));
    block.finish()
}

/// Each account can pay only because the transaction before has funded it.
pub fn chain_of_accounts_funded_by_the_one_before() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let first = user(100);
    block.world().fund(first, U256::from(RICH));
    for step in 0..60 {
        let (from, to) = (user(100 + step), user(101 + step));
        let keep = U256::from(1_000_000_u64 * GWEI as u64);
        let wei = block.balance(from) - keep;
        block.ok(Request::transfer(from, to, 0).value(wei));
    }
    block.fact(Fact::Nonce(user(159), 1));
    block.fact(Fact::Nonce(user(160), 0));
    block.finish()
}

/// A sends to B and B sends it back, over and over.
pub fn two_accounts_send_the_same_wei_back_and_forth() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    for step in 0..100 {
        let (from, to) = (user(step % 2), user((step + 1) % 2));
        block.ok(Request::transfer(from, to, 1_000_000));
    }
    block.fact(Fact::Nonce(user(0), 50));
    block.fact(Fact::Nonce(user(1), 50));
    block.finish()
}

/// Sender and recipient are one account: two roles, one balance.
pub fn transfer_to_oneself() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for step in 0..20 {
        block.ok(Request::transfer(user(step % 3), user(step % 3), 5).tip(0));
    }
    block.fact(Fact::Nonce(user(0), 7));
    let spent = U256::from(7 * 21_000 * 7 * GWEI);
    block.fact(Fact::Balance(user(0), U256::from(RICH) - spent));
    block.finish()
}

/// A touch creates the empty account, and it stays.
pub fn transfer_of_nothing_to_an_empty_account_before_spurious_dragon() -> GeneratedBlock {
    touch_of_an_empty_account(SpecId::TANGERINE)
}

/// A touched empty account is removed, even one that existed.
pub fn transfer_of_nothing_to_an_empty_account_after_spurious_dragon() -> GeneratedBlock {
    let mut block = touch_of_an_empty_account(SpecId::SPURIOUS_DRAGON);
    block.expected.facts.push(Fact::Absent(NOBODY));
    block
}

fn touch_of_an_empty_account(spec: SpecId) -> GeneratedBlock {
    let mut block = BlockBuilder::new(spec);
    let existing_but_empty = Address::repeat_byte(0x0e);
    block.world().fund(existing_but_empty, U256::ZERO);
    for sender in 0..4 {
        block.ok(Request::transfer(user(sender), NOBODY, 0));
        block.ok(Request::transfer(user(sender + 4), existing_but_empty, 0));
        let reader = Request::call(user(sender + 8), Contract::BalanceReader.at(0));
        block.ok(reader.data(words(&[&NOBODY, &u64::from(sender)])));
    }
    block.fact(Fact::Balance(NOBODY, U256::ZERO));
    block.finish()
}

/// Looks insolvent against the parent state, is not in order.
pub fn sender_funded_earlier_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let poor = user(500);
    for filler in 1..9 {
        block.ok(Request::transfer(user(filler), user(600), 1));
    }
    block.ok(Request::transfer(user(0), poor, 0).value(U256::from(RICH / 2)));
    for step in 0..5 {
        block.ok(Request::transfer(poor, user(700 + step), 11));
    }
    block.ok(Request::call(poor, Contract::Counter.at(0)).data(words(&[&1u64])));
    block.fact(Fact::Nonce(poor, 6));
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 1));
    block.finish()
}

/// Down to exactly zero, then usable again.
pub fn sender_empties_its_account_and_is_funded_again() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let fee = U256::from(21_000 * 10 * GWEI);
    let all = block.balance(user(0)) - fee;
    block.ok(Request::transfer(user(0), user(1), 0).value(all));
    block.ok(Request::call(user(2), Contract::BalanceReader.at(0)).data(words(&[&user(0), &1u64])));
    block.ok(Request::transfer(user(3), user(0), 0).value(fee + U256::from(9)));
    block.ok(Request::transfer(user(0), user(4), 9));
    block.fact(Fact::slot(Contract::BalanceReader.at(0), 1, 0));
    block.fact(Fact::Balance(user(0), U256::ZERO));
    block.fact(Fact::Nonce(user(0), 2));
    block.finish()
}

/// Plain transfers whose recipients have no code but do run.
pub fn value_to_precompiles() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for number in [2u8, 3, 4] {
        for sender in 0..3 {
            let precompile = Address::with_last_byte(number);
            block.ok(Request::transfer(user(sender), precompile, 10).gas(60_000));
        }
        block.fact(Fact::Balance(Address::with_last_byte(number), U256::from(30)));
    }
    block.finish()
}

/// Precompiles with input and value: some succeed, bad input to pairing and KZG fails and
/// returns the value.
pub fn precompile_calls_with_value() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::OSAKA);
    let input = words(&[&1u64, &2u64, &3u64]);
    for number in [1u8, 2, 3, 4] {
        let call = Request::call(user(0), Address::with_last_byte(number));
        block.ok(call.value(5).data(input.clone()));
    }
    for number in [8u8, 0x0a] {
        let call = Request::call(user(1), Address::with_last_byte(number));
        block.fails(call.value(5).data(input.clone()));
        block.fact(Fact::Balance(Address::with_last_byte(number), U256::ZERO));
    }
    block.fact(Fact::Balance(Address::with_last_byte(1), U256::from(5)));
    block.fact(Fact::Nonce(user(1), 2));
    block.finish()
}
