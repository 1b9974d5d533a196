//! Contracts that come, go and come again within one block, before and after EIP-6780.

use crate::evm::{
    Fact, GeneratedBlock,
    asm::{word_and, words},
    builder::BlockBuilder,
    contracts::{Contract, create2_address},
    tx::Request,
    user,
};
use alloy_primitives::{Address, Bytes, U256, keccak256};
use revm::primitives::hardfork::SpecId;

/// Runtime of the contracts that factories make: it counts calls and can die.
const CHILD: Contract = Contract::Mortal;

fn child_code() -> Bytes {
    CHILD.init_code_with_storage()
}

/// `sender` asks `factory` for a child with `salt`.
fn make(sender: u16, factory: Contract, salt: u64) -> Request {
    Request::call(user(sender), factory.at(0)).data(word_and(&salt, &child_code()))
}

fn child_of(factory: Contract, salt: u64) -> Address {
    create2_address(factory.at(0), salt, &child_code())
}

fn kill(sender: u16, victim: Address, heir: Address) -> Request {
    Request::call(user(sender), victim).data(words(&[&heir]))
}

/// Code that exists only since the transaction before.
pub fn create_then_call() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for creator in 0..4 {
        let contract = user(creator).create(0);
        block.ok(Request::create(user(creator), Contract::Counter.init_code()));
        block.ok(Request::call(user(creator + 5), contract).data(words(&[&1u64])));
        block.ok(Request::call(user(creator + 5), contract).data(words(&[&1u64])));
        block.fact(Fact::slot(contract, 1, 2));
        block.fact(Fact::Nonce(contract, 1));
    }
    block.finish()
}

/// Wei that waits at the address belongs to the contract.
pub fn create_onto_a_funded_address() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let contract = user(0).create(0);
    block.world().fund(contract, U256::from(40));
    block.ok(Request::create(user(0), child_code()).value(2));
    block.fact(Fact::Balance(contract, U256::from(42)));
    block.fact(Fact::slot(contract, 1, 7));
    block.finish()
}

/// The same, with wei that arrives in the block.
pub fn create_onto_an_address_funded_earlier_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let contract = user(0).create(0);
    block.ok(Request::transfer(user(1), contract, 40));
    block.ok(Request::create(user(0), child_code()).value(2));
    block.ok(Request::call(user(1), contract).value(1));
    block.fact(Fact::Balance(contract, U256::from(43)));
    block.fact(Fact::slot(contract, 0, 1));
    block.finish()
}

/// A nonce or code at the address: creation fails and takes all gas.
pub fn create_onto_a_used_address() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.world().set_nonce(user(0).create(0), 1);
    block.world().deploy(user(1).create(0), Contract::Sink.code());
    for creator in 0..2 {
        block.fails(Request::create(user(creator), child_code()));
        block.fact(Fact::Nonce(user(creator), 1));
        block.fact(Fact::slot(user(creator).create(0), 1, 0));
    }
    block.finish()
}

/// CREATE2 onto an address that got wei in the same block.
pub fn create2_onto_a_funded_address() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let child = child_of(Contract::Factory, 3);
    block.ok(Request::transfer(user(0), child, 5));
    block.ok(make(1, Contract::Factory, 3).value(6));
    block.fact(Fact::Balance(child, U256::from(11)));
    block.fact(Fact::HasCode(child, true));
    block.finish()
}

/// The inner creation fails, the factory stores zero and goes on.
pub fn create2_onto_a_used_address() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let child = child_of(Contract::Factory, 3);
    block.world().set_nonce(child, 1);
    block.ok(make(1, Contract::Factory, 3));
    block.ok(make(2, Contract::Factory, 4));
    block.fact(Fact::slot(Contract::Factory.at(0), 3, 0));
    block.fact(Fact::HasCode(child, false));
    block.fact(Fact::Nonce(Contract::Factory.at(0), 3));
    block.finish()
}

/// Two transactions race for one address; block order decides.
pub fn create2_twice_with_the_same_salt() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..4 {
        block.ok(make(sender, Contract::Factory, 9).gas(600_000));
    }
    block.fact(Fact::HasCode(child_of(Contract::Factory, 9), true));
    block.fact(Fact::slot(Contract::Factory.at(0), 9, 0));
    block.finish()
}

/// CREATE by a shared contract: each child's address counts all creations before it.
pub fn created_address_depends_on_the_creators_nonce() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let creator = Contract::Creator.at(0);
    for sender in 0..8 {
        block.ok(Request::call(user(sender), creator).data(child_code()));
        block.fact(Fact::HasCode(creator.create(1 + u64::from(sender)), true));
    }
    let last = U256::from_be_slice(creator.create(8).as_slice());
    block.fact(Fact::Slot(creator, U256::ZERO, last));
    block.finish()
}

/// EIP-6780 lets a contract die in the transaction that made it, in every fork.
pub fn create_and_destroy_in_one_transaction() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let child = child_of(Contract::Cycler, 5);
    for sender in 0..3 {
        block.ok(make(sender, Contract::Cycler, 5).value(10));
    }
    block.ok(Request::call(user(4), child).value(1));
    block.fact(Fact::Balance(Contract::Cycler.at(0), U256::from(1_030)));
    block.fact(Fact::HasCode(child, false));
    block.fact(Fact::slot(child, 1, 0));
    block.fact(Fact::Balance(child, U256::ONE));
    block.finish()
}

/// Made and destroyed in one transaction, made for good in the next.
pub fn create_destroy_and_create_again() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let child = Contract::Cycler.at(0).create2(
        alloy_primitives::B256::from(U256::from(5)),
        keccak256(Contract::Sink.init_code()),
    );
    let request = |sender| {
        let data = word_and(&5u64, &Contract::Sink.init_code());
        Request::call(user(sender), Contract::Cycler.at(0)).data(data)
    };
    block.ok(make(0, Contract::Cycler, 5));
    block.ok(make(1, Contract::Cycler, 5));
    block.ok(request(2).value(3));
    block.fact(Fact::HasCode(child_of(Contract::Cycler, 5), false));
    block.fact(Fact::HasCode(child, true));
    block.fact(Fact::Balance(child, U256::from(3)));
    block.finish()
}

/// Before Cancun: destroyed in one transaction, re-created in the next, with nothing left over.
pub fn recreation_before_cancun_starts_with_empty_storage() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let child = child_of(Contract::Factory, 2);
    block.ok(make(0, Contract::Factory, 2).value(10));
    block.ok(Request::call(user(1), child));
    block.ok(Request::call(user(1), child));
    block.ok(kill(2, child, user(70)));
    block.ok(make(3, Contract::Factory, 2).value(4));
    block.ok(Request::call(user(4), child));
    block.fact(Fact::slot(child, 0, 1));
    block.fact(Fact::slot(child, 1, 7));
    block.fact(Fact::Balance(child, U256::from(4)));
    block.fact(Fact::Balance(user(70), U256::from(10)));
    block.finish()
}

fn destroyed_then_touched(spec: SpecId) -> (BlockBuilder, Address) {
    let mut block = BlockBuilder::new(spec);
    let victim = block.deploy(CHILD, 1, 50);
    block.world().set_slot(victim, U256::ZERO, U256::from(6));
    block.ok(Request::call(user(0), victim));
    block.ok(kill(1, victim, user(71)));
    let touch = words(&[&victim]);
    block.ok(Request::call(user(2), Contract::Forwarder.at(0)).data(touch));
    let read = words(&[&victim, &4u64]);
    block.ok(Request::call(user(3), Contract::CodeReader.at(0)).data(read));
    block.fact(Fact::Balance(user(71), U256::from(50)));
    (block, victim)
}

/// Gone after the transaction: the touch finds nothing, the hash reads as zero.
pub fn destroyed_contract_touched_later_before_cancun() -> GeneratedBlock {
    let (mut block, victim) = destroyed_then_touched(SpecId::SHANGHAI);
    block.fact(Fact::Absent(victim));
    block.fact(Fact::slot(victim, 0, 0));
    block.fact(Fact::slot(Contract::CodeReader.at(0), 4, 0));
    block.finish()
}

/// Only the balance goes: the touch is a call that counts.
pub fn destroyed_contract_touched_later_after_cancun() -> GeneratedBlock {
    let (mut block, victim) = destroyed_then_touched(SpecId::CANCUN);
    block.fact(Fact::HasCode(victim, true));
    block.fact(Fact::slot(victim, 0, 8));
    let size = CHILD.code().len() as u64;
    block.fact(Fact::slot(Contract::CodeReader.at(0), 5, size));
    block.finish()
}

fn destroyed_then_paid(spec: SpecId) -> (BlockBuilder, Address) {
    let mut block = BlockBuilder::new(spec);
    let victim = block.deploy(CHILD, 1, 50);
    block.world().set_slot(victim, U256::ZERO, U256::from(6));
    block.ok(kill(1, victim, user(71)));
    block.ok(Request::call(user(2), victim).value(5));
    block.fact(Fact::Balance(victim, U256::from(5)));
    (block, victim)
}

/// The wei makes a new, plain account.
pub fn destroyed_contract_gets_value_later_before_cancun() -> GeneratedBlock {
    let (mut block, victim) = destroyed_then_paid(SpecId::LONDON);
    block.fact(Fact::HasCode(victim, false));
    block.fact(Fact::Nonce(victim, 0));
    block.fact(Fact::slot(victim, 0, 0));
    block.finish()
}

/// The contract is still there and runs.
pub fn destroyed_contract_gets_value_later_after_cancun() -> GeneratedBlock {
    let (mut block, victim) = destroyed_then_paid(SpecId::OSAKA);
    block.fact(Fact::HasCode(victim, true));
    block.fact(Fact::slot(victim, 0, 7));
    block.finish()
}

fn destroyed_for_itself(spec: SpecId, left: u64) -> GeneratedBlock {
    let mut block = BlockBuilder::new(spec);
    let victim = block.deploy(CHILD, 1, 50);
    block.ok(kill(1, victim, victim));
    block.ok(Request::call(user(2), Contract::BalanceReader.at(0)).data(words(&[&victim, &0u64])));
    block.fact(Fact::slot(Contract::BalanceReader.at(0), 0, left));
    block.fact(Fact::HasCode(victim, left > 0));
    block.finish()
}

/// Its wei is burnt with it.
pub fn selfdestruct_to_itself_before_cancun() -> GeneratedBlock {
    destroyed_for_itself(SpecId::SHANGHAI, 0)
}

/// Nothing happens.
pub fn selfdestruct_to_itself_after_cancun() -> GeneratedBlock {
    destroyed_for_itself(SpecId::CANCUN, 50)
}

/// A storage reset is a write to every slot, also to those nobody names.
pub fn storage_written_then_destroyed_then_read() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    let child = child_of(Contract::Factory, 8);
    let ask = Contract::StaticCaller.at(0);
    block.ok(make(0, Contract::Factory, 8));
    for sender in 1..6 {
        block.ok(Request::call(user(sender), child));
    }
    block.ok(kill(6, child, user(72)));
    block.ok(Request::call(user(7), child));
    block.ok(Request::call(user(8), ask).data(words(&[&child, &0u64])));
    block.ok(make(9, Contract::Factory, 8));
    block.ok(Request::call(user(10), child));
    block.fact(Fact::slot(child, 0, 1));
    block.fact(Fact::slot(ask, 1, 1));
    block.finish()
}

/// Init code that reverts: no contract, but the creator's nonce has moved.
pub fn failing_creation_leaves_the_nonce_raised() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let creator = Contract::Creator.at(0);
    let reverting = Contract::Reverter.code();
    block.fails(Request::create(user(0), reverting.clone()));
    block.ok(Request::create(user(0), child_code()));
    block.ok(Request::call(user(1), creator).data(reverting));
    block.ok(Request::call(user(2), creator).data(child_code()));
    block.fact(Fact::HasCode(user(0).create(0), false));
    block.fact(Fact::HasCode(user(0).create(1), true));
    block.fact(Fact::HasCode(creator.create(1), false));
    block.fact(Fact::HasCode(creator.create(2), true));
    block.finish()
}

/// EXTCODESIZE of an address in three states: absent, funded, contract.
pub fn code_read_before_and_after_creation() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::BERLIN);
    let (reader, child) = (Contract::CodeSizeReader.at(0), child_of(Contract::Factory, 1));
    let read = |slot: u64| Request::call(user(3), reader).data(words(&[&child, &slot]));
    block.ok(read(1));
    block.ok(Request::transfer(user(0), child, 1));
    block.ok(read(2));
    block.ok(make(1, Contract::Factory, 1));
    block.ok(read(3));
    block.fact(Fact::slot(reader, 1, 0));
    block.fact(Fact::slot(reader, 2, 0));
    block.fact(Fact::slot(reader, 3, CHILD.code().len() as u64));
    block.finish()
}

/// The heir's transaction is paid from the inheritance.
pub fn selfdestruct_to_a_later_sender() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let (victim, heir) = (block.deploy(CHILD, 1, 0), user(500));
    block.world().fund(victim, U256::from(10_000_000_000_000_000_u64));
    block.ok(kill(1, victim, heir));
    block.ok(Request::transfer(heir, user(73), 5));
    block.fact(Fact::Nonce(heir, 1));
    block.fact(Fact::Balance(user(73), U256::from(5)));
    block.finish()
}

/// Storage from before the block must not shine through a contract made anew at its address.
pub fn recreation_over_storage_from_before_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let child = child_of(Contract::Factory, 2);
    block.world().deploy(child, CHILD.code());
    for (slot, value) in [(0u64, 6u64), (1, 3), (5, 9)] {
        block.world().set_slot(child, U256::from(slot), U256::from(value));
    }
    block.ok(make(0, Contract::Factory, 2));
    block.ok(Request::call(user(1), child));
    block.ok(kill(2, child, user(70)));
    block.ok(make(3, Contract::Factory, 2));
    block.ok(Request::call(user(4), child));
    block.fact(Fact::slot(child, 0, 1));
    block.fact(Fact::slot(child, 1, 7));
    block.fact(Fact::slot(child, 5, 0));
    block.finish()
}

/// Dies, lives, dies, lives: each life starts empty.
pub fn destroyed_and_recreated_twice() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    let child = child_of(Contract::Factory, 2);
    for life in 1..=3 {
        block.ok(make(life, Contract::Factory, 2).value(life));
        for sender in 0..life {
            block.ok(Request::call(user(sender), child));
        }
        if life < 3 {
            block.ok(kill(7, child, user(70)));
        }
    }
    block.fact(Fact::slot(child, 0, 3));
    block.fact(Fact::Balance(child, U256::from(3)));
    block.fact(Fact::Balance(user(70), U256::from(3)));
    block.finish()
}
