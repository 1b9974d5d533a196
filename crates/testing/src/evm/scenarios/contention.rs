//! Blocks with little to gain, and blocks where everything depends on how one waits.

use crate::evm::{
    Fact, GeneratedBlock, asm::words, builder::BlockBuilder, contracts::Contract, tx::Request, user,
};
use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

fn call(sender: u16, contract: Contract) -> Request {
    Request::call(user(sender), contract.at(0))
}

fn new_block() -> BlockBuilder {
    BlockBuilder::new(SpecId::CANCUN)
}

/// One slot, everybody adds one.
pub fn hot_counter() -> GeneratedBlock {
    let mut block = new_block();
    for step in 0..200 {
        block.ok(call(step % 16, Contract::Counter).gas(60_000).data(words(&[&1u64])));
    }
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 200));
    block.finish()
}

/// Long independent work that meets in one slot at its very end.
pub fn hot_counter_after_long_work() -> GeneratedBlock {
    let mut block = new_block();
    block.gas_limit(100_000_000);
    for sender in 0..16 {
        block.ok(call(sender, Contract::Worker).gas(5_000_000).data(words(&[&3_000u64, &1u64])));
    }
    block.fact(Fact::slot(Contract::Worker.at(0), 1, 16));
    block.finish()
}

/// Every swap moves the same two reserves.
pub fn dex_pool_with_a_hot_slot() -> GeneratedBlock {
    let mut block = new_block();
    let pool = Contract::Pool.at(0);
    let (mut reserve_in, mut reserve_out) = (1_000_000_000_u64, 1_000_000_000_u64);
    for step in 0..60_u16 {
        let paid = 1_000 + u64::from(step);
        block.ok(call(step % 16, Contract::Pool).data(words(&[&paid])));
        let received = paid * reserve_out / (reserve_in + paid);
        reserve_in += paid;
        reserve_out -= received;
    }
    block.fact(Fact::slot(pool, 0, reserve_in));
    block.fact(Fact::slot(pool, 1, reserve_out));
    block.finish()
}

/// One contract, no shared slot.
pub fn token_transfers_to_distinct_recipients() -> GeneratedBlock {
    let mut block = new_block();
    for sender in 0..16 {
        let to = user(200 + sender);
        block.ok(call(sender, Contract::Token).data(words(&[&to, &10u64])));
        let slot = U256::from_be_slice(to.as_slice());
        block.fact(Fact::Slot(Contract::Token.at(0), slot, U256::from(10)));
    }
    block.finish()
}

/// The same tokens walk through sixteen hands; whoever is early finds an empty purse.
pub fn token_transfers_from_one_holder_chain() -> GeneratedBlock {
    let mut block = new_block();
    let mut carried = 1_000_000_u64;
    for holder in 0..15 {
        block.ok(call(holder, Contract::Token).data(words(&[&user(holder + 1), &carried])));
        carried += 1_000_000;
    }
    block.fails(call(15, Contract::Token).data(words(&[&user(0), &(carried + 1)])));
    block.fact(Fact::Slot(
        Contract::Token.at(0),
        U256::from_be_slice(user(15).as_slice()),
        U256::from(carried),
    ));
    block.finish()
}

/// Keys that agree in all but the highest or the lowest bit: identity is the whole key.
pub fn two_keys_that_differ_in_one_bit() -> GeneratedBlock {
    let mut block = new_block();
    let setter = Contract::Setter.at(0);
    let base: U256 = U256::from(0x1234_5678_u64) << 100;
    let keys: [U256; 4] =
        [base, base | U256::ONE, base | (U256::ONE << 255), base ^ (U256::ONE << 64)];
    for (index, key) in keys.iter().enumerate() {
        let value = index as u64 + 1;
        block.ok(call(index as u16, Contract::Setter).data(words(&[key, &value])));
        block.fact(Fact::Slot(setter, *key, U256::from(value)));
    }
    block.finish()
}

/// One contract, a slot for each sender.
pub fn disjoint_slots_of_one_contract() -> GeneratedBlock {
    let mut block = new_block();
    super::fund(&mut block, 16..150);
    for sender in 0..150 {
        let slot = u64::from(sender);
        block.ok(call(sender, Contract::Counter).data(words(&[&slot])));
        block.fact(Fact::slot(Contract::Counter.at(0), slot, 1));
    }
    block.finish()
}

/// A price update among its readers.
pub fn many_readers_of_one_written_slot() -> GeneratedBlock {
    let mut block = new_block();
    let (cell, asker) = (Contract::Cell.at(0), Contract::StaticCaller.at(0));
    for step in 0..40_u16 {
        if step % 10 == 5 {
            block.ok(call(0, Contract::Cell).data(words(&[&1u64, &100u64])));
        } else {
            block.ok(call(1 + step % 15, Contract::StaticCaller).data(words(&[&cell, &1u64])));
        }
    }
    block.fact(Fact::slot(asker, 0, 400));
    block.fact(Fact::slot(asker, 1, 1));
    block.finish()
}

/// Two chains that never meet, interleaved.
pub fn alternating_writers_of_two_slots() -> GeneratedBlock {
    let mut block = new_block();
    for step in 0..80_u16 {
        let slot = u64::from(step % 2);
        block.ok(call(step % 16, Contract::Counter).data(words(&[&slot])));
    }
    block.fact(Fact::slot(Contract::Counter.at(0), 0, 40));
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 40));
    block.finish()
}

fn long_work(sender: u16) -> Request {
    call(sender, Contract::Worker).gas(8_000_000).data(words(&[&20_000u64, &0u64]))
}

/// Everything behind it could be done meanwhile.
pub fn long_transaction_first() -> GeneratedBlock {
    let mut block = new_block();
    block.ok(long_work(0));
    for step in 0..60 {
        block.ok(call(1 + step % 15, Contract::Counter).data(words(&[&u64::from(step)])));
    }
    block.fact(Fact::slot(Contract::Worker.at(0), 0, 1));
    block.finish()
}

/// Only a look-ahead starts it early.
pub fn long_transaction_last() -> GeneratedBlock {
    let mut block = new_block();
    for step in 0..60 {
        block.ok(call(1 + step % 15, Contract::Counter).data(words(&[&u64::from(step)])));
    }
    block.ok(long_work(0));
    block.fact(Fact::slot(Contract::Worker.at(0), 0, 1));
    block.finish()
}

/// Pre- and post-block rules only.
pub fn empty_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.withdrawal(user(60), 1);
    block.fact(Fact::Balance(user(60), U256::from(1_000_000_000_u64)));
    block.finish()
}

/// Less work than threads.
pub fn single_transaction() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.ok(call(0, Contract::Counter).data(words(&[&1u64])));
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 1));
    block.finish()
}
