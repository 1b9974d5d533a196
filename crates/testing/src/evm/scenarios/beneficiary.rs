//! The beneficiary earns from every transaction, so whoever reads it depends on all before.

use crate::evm::{
    BENEFICIARY, Fact, GeneratedBlock,
    asm::words,
    builder::BlockBuilder,
    contracts::Contract,
    tx::{Delegate, GWEI, Request},
    user,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, KECCAK256_EMPTY, U256};
use revm::primitives::hardfork::SpecId;

/// What the beneficiary earns from a plain transfer at the default fee.
const TIP: u128 = 21_000 * 3 * GWEI;

/// The beneficiary's own transactions, between those that pay it.
pub fn beneficiary_sends() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.beneficiary(user(0));
    for step in 0..30 {
        block.ok(Request::transfer(user(step % 3), user(40 + step), 5));
    }
    block.fact(Fact::Nonce(user(0), 10));
    block.finish()
}

/// Nothing before the block; the fees of the first transactions pay for the later one.
pub fn beneficiary_spends_the_fees_it_just_earned() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for sender in 0..5 {
        block.ok(Request::transfer(user(sender), user(50), 1));
    }
    let fee = 21_000 * 10 * GWEI;
    let wei = U256::from(5 * TIP - fee);
    block.ok(Request::transfer(BENEFICIARY, user(51), 0).value(wei));
    block.fact(Fact::Balance(BENEFICIARY, U256::from(TIP)));
    block.fact(Fact::Balance(user(51), wei));
    block.finish()
}

/// Fees and transfers meet in one balance.
pub fn beneficiary_receives_transfers() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..10 {
        block.ok(Request::transfer(user(sender), BENEFICIARY, 100));
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.fact(Fact::Balance(BENEFICIARY, U256::from(20 * TIP + 1_000)));
    block.finish()
}

/// Each reader sees exactly the fees of those before it.
pub fn beneficiary_balance_read_by_contracts() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let (direct, by_address) = (Contract::CoinbaseReader.at(0), Contract::BalanceReader.at(0));
    for step in 0..10 {
        block.ok(Request::transfer(user(0), user(60), 1));
        let seen = block.balance(BENEFICIARY);
        block.ok(Request::call(user(1), direct).data(words(&[&step])));
        block.fact(Fact::Slot(direct, U256::from(step), seen));
        let seen = block.balance(BENEFICIARY);
        block.ok(Request::call(user(2), by_address).data(words(&[&BENEFICIARY, &step])));
        block.fact(Fact::Slot(by_address, U256::from(step), seen));
    }
    block.finish()
}

/// A serial block in disguise: distinct senders, distinct slots, one balance they all read.
pub fn beneficiary_balance_read_8000_times() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    block.gas_limit(1_000_000_000);
    super::fund(&mut block, 16..8_000);
    let reader = Contract::CoinbaseReader.at(0);
    for index in 0..8_000_u16 {
        let slot = u64::from(index);
        block.ok(Request::call(user(index), reader).gas(60_000).data(words(&[&slot])));
    }
    block.fact(Fact::slot(reader, 0, 0));
    block.finish()
}

/// Fees go to an account with code and storage that transactions also call.
pub fn beneficiary_is_a_contract_that_is_called() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let mortal = Contract::Mortal.at(0);
    block.beneficiary(mortal);
    for sender in 0..10 {
        block.ok(Request::call(user(sender), mortal).value(1));
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.fact(Fact::slot(mortal, 0, 10));
    block.fact(Fact::HasCode(mortal, true));
    block.finish()
}

/// The contract sends away what it has earned so far, twice.
pub fn beneficiary_contract_pays_its_fees_out() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    let sweeper = Contract::Sweeper.at(0);
    block.beneficiary(sweeper);
    for round in 0..2 {
        for sender in 0..5 {
            block.ok(Request::transfer(user(sender), user(60), 1));
        }
        let earned = block.balance(sweeper);
        block.ok(Request::call(user(9), sweeper).data(words(&[&user(70 + round)])));
        block.fact(Fact::Balance(user(70 + round), earned));
    }
    block.finish()
}

/// Before Cancun the account vanishes, and the fee of the very transaction recreates it.
pub fn beneficiary_contract_destroys_itself() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::LONDON);
    let mortal = Contract::Mortal.at(0);
    block.beneficiary(mortal);
    block.ok(Request::transfer(user(0), user(60), 1));
    block.ok(Request::call(user(1), mortal));
    let earned = block.balance(mortal);
    block.ok(Request::call(user(1), mortal).data(words(&[&user(70)])));
    block.ok(Request::transfer(user(2), user(60), 1));
    block.fact(Fact::Balance(user(70), earned));
    block.fact(Fact::HasCode(mortal, false));
    block.fact(Fact::slot(mortal, 0, 0));
    block.finish()
}

/// No tip, no account: a touch with nothing does not create it after Spurious Dragon.
pub fn beneficiary_earns_nothing_and_stays_absent() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    for sender in 0..8 {
        block.ok(Request::transfer(user(sender), user(60), 1).fee(7 * GWEI).tip(0));
    }
    block.fact(Fact::Absent(BENEFICIARY));
    block.finish()
}

/// Free transactions touch it into existence; the block reward pays it anyway.
pub fn beneficiary_earns_nothing_before_spurious_dragon() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::TANGERINE);
    for sender in 0..4 {
        block.ok(Request::transfer(user(sender), user(60), 1).fee(0));
        let reader = Request::call(user(sender + 4), Contract::CoinbaseReader.at(0));
        block.ok(reader.fee(0).data(words(&[&u64::from(sender)])));
    }
    block.fact(Fact::Balance(BENEFICIARY, U256::from(5_000_000_000_000_000_000_u64)));
    block.finish()
}

/// Fees to the identity precompile, which is also called with value.
pub fn beneficiary_is_a_precompile() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let identity = Address::with_last_byte(4);
    block.beneficiary(identity);
    for sender in 0..6 {
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.ok(Request::call(user(7), identity).gas(30_000).value(5).tip(0));
    block.fact(Fact::Balance(identity, U256::from(6 * TIP + 5)));
    block.finish()
}

/// The beneficiary is an externally owned account that delegates during the block.
pub fn beneficiary_delegates() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    block.beneficiary(user(0));
    block.ok(Request::transfer(user(1), user(0), 5));
    let delegate = Delegate::new(user(0), Contract::Mortal.at(0), 0);
    block.ok(Request::call(user(2), user(60)).delegates(&[delegate]));
    block.ok(Request::call(user(1), user(0)).value(5));
    block.ok(Request::transfer(user(0), user(60), 5));
    block.fact(Fact::slot(user(0), 0, 1));
    block.fact(Fact::Nonce(user(0), 2));
    block.fact(Fact::Delegation(user(0), Some(Contract::Mortal.at(0))));
    block.finish()
}

/// Value from contract calls, as builders pay proposers.
pub fn beneficiary_is_paid_by_contracts() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let payer = Contract::CoinbasePayer.at(0);
    for sender in 0..6 {
        block.ok(Request::call(user(sender), payer).value(1_000).fee(7 * GWEI).tip(0));
    }
    block.fact(Fact::Balance(BENEFICIARY, U256::from(6_000)));
    block.fact(Fact::Balance(payer, U256::from(1_000)));
    block.finish()
}

/// Withdrawals come after the fees.
pub fn beneficiary_gets_withdrawals() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::SHANGHAI);
    for sender in 0..4 {
        block.ok(Request::transfer(user(sender), user(60), 1));
    }
    block.withdrawal(BENEFICIARY, 3);
    block.withdrawal(user(60), 4);
    block.fact(Fact::Balance(BENEFICIARY, U256::from(4 * TIP + 3 * GWEI)));
    block.fact(Fact::Balance(user(60), U256::from(4 + 4 * GWEI)));
    block.finish()
}

/// The busiest contract of the block is also the one paid.
pub fn beneficiary_is_the_hot_contract() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let reader = Contract::SelfBalanceReader.at(0);
    block.beneficiary(reader);
    for step in 0..12 {
        let seen = block.balance(reader);
        block.ok(Request::call(user(step as u16 % 4), reader).data(words(&[&step])));
        block.fact(Fact::Slot(reader, U256::from(step), seen));
    }
    block.finish()
}

/// Rewards before the merge: 2 ether, a 32nd more per ommer, and the ommers' own share.
pub fn block_and_ommer_rewards() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::BERLIN);
    let uncle = user(80);
    block.ctx().ommers.push(Header { number: 999, beneficiary: uncle, ..Header::default() });
    block.ok(Request::transfer(user(0), uncle, 1));
    let ether = 1_000_000_000_000_000_000_u128;
    let reward = U256::from(2 * ether + 2 * ether / 32);
    block.fact(Fact::Balance(BENEFICIARY, reward + U256::from(21_000 * 10 * GWEI)));
    block.fact(Fact::Balance(uncle, U256::from(2 * ether * 7 / 8 + 1)));
    block.finish()
}

/// The first fee brings the account into being, and a contract sees it.
pub fn beneficiary_code_hash_before_and_after_its_first_fee() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let reader = Contract::CodeReader.at(0);
    let read = |sender, slot: u64| {
        let data = words(&[&BENEFICIARY, &slot]);
        Request::call(user(sender), reader).fee(7 * GWEI).tip(0).data(data)
    };
    block.ok(read(0, 0));
    block.ok(Request::transfer(user(1), user(60), 1));
    block.ok(read(2, 10));
    block.fact(Fact::slot(reader, 0, 0));
    block.fact(Fact::Slot(reader, U256::from(10), U256::from_be_bytes(KECCAK256_EMPTY.0)));
    block.finish()
}

/// Value for the beneficiary costs 25,000 gas more while it does not exist.
pub fn cost_of_paying_the_beneficiary_depends_on_its_first_fee() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let pay = |sender| {
        let call = Request::call(user(sender), Contract::CoinbasePayer.at(0)).value(9);
        call.gas(50_000).fee(7 * GWEI).tip(0)
    };
    block.fails(pay(0));
    block.ok(Request::transfer(user(1), user(60), 1));
    block.ok(pay(2));
    block.fact(Fact::Balance(BENEFICIARY, U256::from(TIP + 9)));
    block.finish()
}
