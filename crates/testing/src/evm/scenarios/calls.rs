//! What contracts observe: outcomes, callers, gas, hashes, and forks that lack opcodes.

use crate::evm::{
    Fact, GeneratedBlock,
    asm::{word_and, words},
    builder::{BlockBuilder, RICH},
    contracts::Contract,
    parent::block_hash,
    tx::{Envelope, GWEI, Request},
    user,
};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use revm::primitives::hardfork::SpecId;

fn call(sender: u16, contract: Contract) -> Request {
    Request::call(user(sender), contract.at(0))
}

/// The write is undone, fee and nonce are not.
pub fn revert_after_write() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..6 {
        block.fails(call(sender, Contract::Reverter).value(5).data(words(&[&1u64])));
        block.fact(Fact::Nonce(user(sender), 1));
    }
    block.fact(Fact::slot(Contract::Reverter.at(0), 1, 0));
    block.fact(Fact::Balance(Contract::Reverter.at(0), U256::from(1_000)));
    block.finish()
}

/// All gas is paid for nothing.
pub fn out_of_gas_after_write() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for sender in 0..4 {
        block.fails(call(sender, Contract::Burner).gas(100_000).data(words(&[&1u64])));
        let fee = U256::from(100_000 * 10 * GWEI);
        block.fact(Fact::Balance(user(sender), U256::from(RICH) - fee));
    }
    block.fact(Fact::slot(Contract::Burner.at(0), 1, 0));
    block.finish()
}

/// Each call opens the gate for the next one only; out of turn it reverts.
pub fn outcome_depends_on_an_earlier_transaction() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for turn in 0..10_u64 {
        let sender = turn as u16;
        block.fails(call(sender, Contract::Gate).data(words(&[&0u64, &(turn + 1)])));
        block.ok(call(sender, Contract::Gate).data(words(&[&0u64, &turn])));
    }
    block.fact(Fact::slot(Contract::Gate.at(0), 0, 10));
    block.finish()
}

/// The outer call succeeds either way and keeps the value of the failed inner one.
pub fn forwarded_value_and_failing_inner_call() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let forwarder = Contract::Forwarder.at(0);
    let to_user = words(&[&user(70)]);
    let to_reverter = word_and(&Contract::Reverter.at(0), &words(&[&1u64]));
    for _ in 0..3 {
        block.ok(call(0, Contract::Forwarder).value(7).data(to_user.clone()));
        block.ok(call(1, Contract::Forwarder).value(7).data(to_reverter.clone()));
    }
    block.fact(Fact::Balance(user(70), U256::from(21)));
    block.fact(Fact::Balance(forwarder, U256::from(1_021)));
    block.fact(Fact::slot(forwarder, 0, 0));
    block.finish()
}

/// Foreign code, own storage.
pub fn delegatecall_writes_the_callers_storage() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::ISTANBUL);
    let data = word_and(&Contract::Counter.at(0), &words(&[&4u64]));
    for sender in 0..5 {
        block.ok(call(sender, Contract::Delegator).data(data.clone()));
    }
    block.fact(Fact::slot(Contract::Delegator.at(0), 4, 5));
    block.fact(Fact::slot(Contract::Counter.at(0), 4, 0));
    block.finish()
}

/// Reading works, writing inside fails, and both see earlier transactions.
pub fn staticcall_cannot_write() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let (asker, cell) = (Contract::StaticCaller.at(0), Contract::Cell.at(0));
    block.ok(call(0, Contract::Cell).data(words(&[&2u64, &30u64])));
    block.ok(call(1, Contract::StaticCaller).data(words(&[&cell, &2u64])));
    block.fact(Fact::slot(asker, 0, 0));
    block.ok(call(0, Contract::Cell).data(words(&[&2u64, &12u64])));
    block.ok(call(1, Contract::StaticCaller).data(words(&[&cell, &2u64, &1u64])));
    block.fact(Fact::slot(asker, 1, 0));
    block.fact(Fact::slot(cell, 2, 42));
    block.finish()
}

/// The callee is data that the transaction before has written.
pub fn call_of_an_address_stored_earlier_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let pair = words(&[&3u64, &9u64]);
    for target in [Contract::Counter, Contract::Setter, Contract::Cell] {
        block.ok(call(0, Contract::DynamicCaller).data(words(&[&target.at(0)])));
        block.ok(call(1, Contract::DynamicCaller).data(pair.clone()));
    }
    block.fact(Fact::slot(Contract::Counter.at(0), 3, 1));
    block.fact(Fact::slot(Contract::Setter.at(0), 3, 9));
    block.fact(Fact::slot(Contract::Cell.at(0), 3, 9));
    block.finish()
}

/// Each transaction adds one, never two.
pub fn transient_storage_is_empty_in_the_next_transaction() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..8 {
        block.ok(call(sender, Contract::Transient).data(words(&[&1u64])));
    }
    block.fact(Fact::slot(Contract::Transient.at(0), 1, 8));
    block.finish()
}

/// The last 256, nothing before, nothing of the future.
pub fn block_hashes() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let reader = Contract::BlockHashReader.at(0);
    for back in [0u64, 1, 2, 200, 256, 257, 900] {
        block.ok(call(back as u16 % 5, Contract::BlockHashReader).data(words(&[&back, &back])));
        let known = (1..=256).contains(&back);
        let hash = if known { block_hash(1_000 - back) } else { B256::ZERO };
        block.fact(Fact::Slot(reader, U256::from(back), U256::from_be_bytes(hash.0)));
    }
    block.finish()
}

/// Logs number the calls, so a receipt shows a wrong order.
pub fn logs_carry_the_order() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..12 {
        block.ok(call(sender, Contract::Logger).data(words(&[&u64::from(sender)])));
    }
    block.fact(Fact::slot(Contract::Logger.at(0), 0, 12));
    block.finish()
}

/// GAS is a value like any other; the cost of the slot write depends on what was there.
pub fn gas_left_depends_on_slot_history() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..6 {
        block.ok(call(sender, Contract::GasReader).data(words(&[&1u64])));
        block.ok(call(sender, Contract::Counter).data(words(&[&1u64])));
    }
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 6));
    block.finish()
}

/// Refunds depend on the slot's value before the transaction, not before the block.
pub fn slot_set_and_cleared() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    let setter = Contract::Setter.at(0);
    block.world().set_slot(setter, U256::from(1), U256::from(5));
    for value in [0u64, 7, 0, 0, 8, 8, 0] {
        block.ok(call(value as u16, Contract::Setter).data(words(&[&1u64, &value])));
    }
    block.fact(Fact::slot(setter, 1, 0));
    block.finish()
}

/// Written and put back: the next reader must not notice.
pub fn write_that_restores_the_old_value() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let setter = Contract::Setter.at(0);
    block.world().set_slot(setter, U256::from(1), U256::from(5));
    for value in [6u64, 5, 5, 6, 5] {
        block.ok(call(value as u16, Contract::Setter).data(words(&[&1u64, &value])));
    }
    block.fact(Fact::slot(setter, 1, 5));
    block.finish()
}

/// SELFBALANCE includes the value of the very call.
pub fn own_balance_read_by_opcode() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::ISTANBUL);
    let reader = Contract::SelfBalanceReader.at(0);
    for step in 0..6_u64 {
        block.ok(call(step as u16, Contract::SelfBalanceReader).value(10).data(words(&[&step])));
        block.fact(Fact::slot(reader, step, 1_010 + 10 * step));
    }
    block.finish()
}

/// A balance that changes by fees alone is read exactly.
pub fn balances_of_senders_read_by_contracts() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let reader = Contract::BalanceReader.at(0);
    for step in 0..8_u64 {
        block.ok(Request::transfer(user(0), user(60), 100));
        let seen = block.balance(user(0));
        block.ok(call(1, Contract::BalanceReader).data(words(&[&user(0), &step])));
        block.fact(Fact::Slot(reader, U256::from(step), seen));
    }
    block.finish()
}

/// Declared addresses and slots, right and wrong ones.
pub fn access_lists() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::BERLIN);
    for sender in 0..4_u16 {
        let mut request = call(sender, Contract::Counter).data(words(&[&1u64]));
        request.envelope = Envelope::AccessList;
        let slot = B256::from(U256::from(1 + sender % 2));
        request.access = vec![(Contract::Counter.at(0), vec![slot]), (user(99), Vec::new())];
        block.ok(request);
    }
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 4));
    block.finish()
}

/// Values that depend on the transaction rather than on state.
pub fn environment_opcodes() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..6 {
        let slot = u64::from(sender % 2);
        let request = call(sender, Contract::EnvReader).data(words(&[&slot]));
        block.ok(request.tip(u128::from(sender) * GWEI / 4));
    }
    block.finish()
}

/// SELFBALANCE, EXTCODEHASH, TLOAD and CREATE2 on a chain that has none of them.
pub fn old_forks_lack_opcodes() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::BYZANTIUM);
    let missing =
        [Contract::SelfBalanceReader, Contract::CodeReader, Contract::Transient, Contract::Factory];
    for (sender, contract) in missing.into_iter().enumerate() {
        block.fails(call(sender as u16, contract).data(words(&[&1u64, &1u64])));
    }
    block.ok(call(5, Contract::Counter).data(words(&[&1u64])));
    block.fact(Fact::slot(Contract::Counter.at(0), 1, 1));
    block.finish()
}

/// The first rules: no DELEGATECALL, contract creation that may run out of gas and still count.
pub fn frontier_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::FRONTIER);
    let delegate = word_and(&Contract::Counter.at(0), &words(&[&4u64]));
    block.fails(call(0, Contract::Delegator).data(delegate));
    block.ok(call(1, Contract::Counter).data(words(&[&4u64])));
    let code = Contract::Mortal.init_code();
    let intrinsic = 21_000 + code.iter().map(|byte| if *byte == 0 { 4 } else { 68 }).sum::<u64>();
    block.ok(Request::create(user(2), code).gas(intrinsic + 1_000));
    block.ok(Request::create(user(3), Contract::Mortal.init_code()));
    block.fact(Fact::HasCode(user(2).create(0), false));
    block.fact(Fact::HasCode(user(3).create(0), true));
    block.finish()
}

/// From Homestead on the same creation fails.
pub fn homestead_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::HOMESTEAD);
    let delegate = word_and(&Contract::Counter.at(0), &words(&[&4u64]));
    block.ok(call(0, Contract::Delegator).data(delegate));
    let code = Contract::Mortal.init_code();
    let intrinsic = 53_000 + code.iter().map(|byte| if *byte == 0 { 4 } else { 68 }).sum::<u64>();
    block.fails(Request::create(user(2), code).gas(intrinsic + 1_000));
    block.fact(Fact::slot(Contract::Delegator.at(0), 4, 1));
    block.fact(Fact::Absent(user(2).create(0)));
    block.finish()
}

/// Whether an inner transfer succeeds depends on all that came in and went out before.
pub fn contract_runs_dry_and_is_refilled() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let spender = Contract::Spender.at(0);
    let spend = |sender: u16, wei: u64| {
        call(sender, Contract::Spender).data(words(&[&user(70 + sender), &wei]))
    };
    for sender in 0..4 {
        block.ok(spend(sender, 300 + u64::from(sender)));
    }
    block.ok(call(5, Contract::Spender).value(500).data(words(&[&user(75), &0u64])));
    block.ok(spend(6, 590));
    block.ok(spend(7, 8));
    for (wei, succeeded) in [(300, 1), (301, 1), (302, 1), (303, 0), (590, 1), (8, 0)] {
        block.fact(Fact::slot(spender, wei, succeeded));
    }
    block.fact(Fact::Balance(spender, U256::from(7)));
    block.finish()
}

/// EXTCODEHASH is zero for what does not exist: a transfer makes the difference.
pub fn code_hash_tells_whether_an_account_exists() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let (reader, fresh) = (Contract::CodeReader.at(0), user(800));
    let read = |slot: u64| call(3, Contract::CodeReader).data(words(&[&fresh, &slot]));
    block.ok(read(0));
    block.ok(Request::transfer(user(0), fresh, 1));
    block.ok(read(10));
    let empty = U256::from_be_bytes(KECCAK256_EMPTY.0);
    block.fact(Fact::slot(reader, 0, 0));
    block.fact(Fact::Slot(reader, U256::from(10), empty));
    block.finish()
}

/// A call with value pays for a new account only while there is none: with just enough gas for
/// the cheap case it fails before the transfer and succeeds after it.
pub fn cost_of_a_new_account_depends_on_an_earlier_transfer() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let fresh = user(800);
    let forward =
        |sender| call(sender, Contract::Forwarder).gas(70_000).value(7).data(words(&[&fresh]));
    block.fails(forward(1));
    block.ok(Request::transfer(user(0), fresh, 1));
    block.ok(forward(2));
    block.fact(Fact::Balance(fresh, U256::from(8)));
    block.finish()
}
