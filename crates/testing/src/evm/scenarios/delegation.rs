//! EIP-7702: accounts that gain, change and lose code in the middle of a block.

use crate::evm::{
    Fact, GeneratedBlock,
    asm::{word_and, words},
    builder::BlockBuilder,
    contracts::Contract,
    tx::{Delegate, Request},
    user,
};
use alloy_primitives::{Address, U256, keccak256};
use revm::primitives::hardfork::SpecId;

const MORTAL: fn() -> Address = || Contract::Mortal.at(0);

fn new_block() -> BlockBuilder {
    BlockBuilder::new(SpecId::PRAGUE)
}

/// `sponsor` lets `authority` delegate to `to`; the call itself goes nowhere.
fn delegating(sponsor: u16, authority: Address, to: Address, nonce: u64) -> Request {
    Request::call(user(sponsor), user(90)).delegates(&[Delegate::new(authority, to, nonce)])
}

/// Sender and authority are one: the transaction counts two nonces, value moves as ever.
pub fn self_delegation_in_a_plain_looking_transfer() -> GeneratedBlock {
    let mut block = new_block();
    let own = Delegate::new(user(0), MORTAL(), 1);
    block.ok(Request::call(user(0), user(50)).gas(60_000).value(9).delegates(&[own]));
    block.ok(Request::transfer(user(0), user(51), 9).nonce(2));
    block.ok(Request::call(user(1), user(0)));
    block.fact(Fact::Nonce(user(0), 3));
    block.fact(Fact::Balance(user(50), U256::from(9)));
    block.fact(Fact::Delegation(user(0), Some(MORTAL())));
    block.fact(Fact::slot(user(0), 0, 1));
    block.finish()
}

/// The later call must run the second target, on the storage the first one left.
pub fn redelegation_then_call() -> GeneratedBlock {
    let mut block = new_block();
    let (mortal, logger) = (MORTAL(), Contract::Logger.at(0));
    block.ok(delegating(1, user(0), mortal, 0));
    block.ok(Request::call(user(2), user(0)));
    block.ok(delegating(1, user(0), Contract::Setter.at(0), 1));
    block.ok(Request::call(user(2), user(0)).data(words(&[&5u64, &55u64])));
    block.ok(delegating(3, user(0), logger, 2));
    block.ok(Request::call(user(2), user(0)).data(words(&[&1u64])));
    block.fact(Fact::slot(user(0), 0, 2));
    block.fact(Fact::slot(user(0), 5, 55));
    block.fact(Fact::Nonce(user(0), 3));
    block.fact(Fact::Delegation(user(0), Some(logger)));
    block.finish()
}

/// After clearing, the call is a plain transfer; storage stays.
pub fn delegation_cleared_then_call() -> GeneratedBlock {
    let mut block = new_block();
    block.delegate(user(0), MORTAL());
    block.ok(Request::call(user(2), user(0)).value(1));
    block.ok(delegating(1, user(0), Address::ZERO, 0));
    block.ok(Request::transfer(user(2), user(0), 1));
    block.ok(Request::transfer(user(0), user(50), 1));
    block.fact(Fact::slot(user(0), 0, 1));
    block.fact(Fact::HasCode(user(0), false));
    block.fact(Fact::Nonce(user(0), 2));
    block.finish()
}

/// The list is applied before the call it comes with.
pub fn delegation_set_and_used_in_the_same_transaction() -> GeneratedBlock {
    let mut block = new_block();
    for authority in 1..6 {
        let delegate = Delegate::new(user(authority), MORTAL(), 0);
        block.ok(Request::call(user(0), user(authority)).delegates(&[delegate]));
        block.fact(Fact::slot(user(authority), 0, 1));
    }
    block.finish()
}

/// EIP-3607 does not hold delegated accounts back.
pub fn delegated_account_sends_plain_transfers() -> GeneratedBlock {
    let mut block = new_block();
    block.ok(delegating(1, user(0), Contract::Sink.at(0), 0));
    for step in 0..10 {
        block.ok(Request::transfer(user(0), user(50 + step), 3));
    }
    block.fact(Fact::Nonce(user(0), 11));
    block.fact(Fact::Balance(user(59), U256::from(3)));
    block.finish()
}

/// What looks like a transfer to a wallet runs code and writes storage.
pub fn transfer_to_an_account_delegated_earlier_runs_its_code() -> GeneratedBlock {
    let mut block = new_block();
    block.ok(Request::transfer(user(1), user(0), 4));
    block.ok(delegating(2, user(0), Contract::Forwarder.at(0), 0));
    let forward = words(&[&user(77)]);
    block.ok(Request::call(user(1), user(0)).value(4).data(forward));
    block.fails(Request::transfer(user(1), user(0), 4));
    block.fact(Fact::Balance(user(77), U256::from(4)));
    block.fact(Fact::slot(user(0), 0, 1));
    block.finish()
}

/// A delegation to a precompile runs nothing.
pub fn delegation_to_a_precompile() -> GeneratedBlock {
    let mut block = new_block();
    let sha256 = Address::with_last_byte(2);
    block.ok(delegating(1, user(0), sha256, 0));
    block.ok(Request::call(user(2), user(0)).value(6).data(words(&[&1u64])));
    block.fact(Fact::Delegation(user(0), Some(sha256)));
    block.finish()
}

/// A delegates to B, B to a contract: calling A runs B's designator as code, which fails.
pub fn delegation_chain_is_not_followed() -> GeneratedBlock {
    let mut block = new_block();
    block.ok(delegating(1, user(4), user(5), 0));
    block.ok(delegating(1, user(5), MORTAL(), 0));
    block.fails(Request::call(user(2), user(4)).value(1));
    block.ok(Request::call(user(2), user(5)).value(1));
    block.fact(Fact::slot(user(4), 0, 0));
    block.fact(Fact::slot(user(5), 0, 1));
    block.finish()
}

/// The transaction is valid, its authorization is not.
pub fn delegation_with_wrong_nonce_is_skipped() -> GeneratedBlock {
    let mut block = new_block();
    block.ok(delegating(1, user(0), MORTAL(), 5));
    block.ok(Request::transfer(user(0), user(50), 1));
    block.ok(delegating(1, user(0), MORTAL(), 0));
    block.fact(Fact::HasCode(user(0), false));
    block.fact(Fact::Nonce(user(0), 1));
    block.finish()
}

/// Chain 2 is not this one, chain 0 is any; an unrecoverable signature is nobody's.
pub fn delegation_for_another_chain_is_skipped() -> GeneratedBlock {
    let mut block = new_block();
    let on_chain = |who, chain_id| Delegate { chain_id, ..Delegate::new(user(who), MORTAL(), 0) };
    let nobody = Delegate { authority: None, ..Delegate::new(user(9), MORTAL(), 0) };
    let all = [on_chain(2, 2), nobody, on_chain(3, 0)];
    block.ok(Request::call(user(1), user(90)).delegates(&all));
    block.fact(Fact::HasCode(user(2), false));
    block.fact(Fact::Nonce(user(2), 0));
    block.fact(Fact::Delegation(user(3), Some(MORTAL())));
    block.finish()
}

/// A real contract keeps its code.
pub fn delegation_of_a_contract_is_skipped() -> GeneratedBlock {
    let mut block = new_block();
    let counter = Contract::Counter.at(0);
    block.ok(delegating(1, counter, MORTAL(), 1));
    block.ok(Request::call(user(2), counter).data(words(&[&3u64])));
    block.fact(Fact::Delegation(counter, None));
    block.fact(Fact::Nonce(counter, 1));
    block.fact(Fact::slot(counter, 3, 1));
    block.finish()
}

/// The call reverts, the delegation stands.
pub fn delegation_survives_a_revert() -> GeneratedBlock {
    let mut block = new_block();
    let delegate = Delegate::new(user(0), MORTAL(), 0);
    let reverting = Request::call(user(1), Contract::Reverter.at(0)).data(words(&[&1u64]));
    block.fails(reverting.delegates(&[delegate]));
    block.ok(Request::call(user(2), user(0)));
    block.fact(Fact::slot(user(0), 0, 1));
    block.fact(Fact::Nonce(user(0), 1));
    block.finish()
}

/// Independent senders that depend on each other only through an authority's nonce.
pub fn delegations_of_one_authority_by_several_senders() -> GeneratedBlock {
    let mut block = new_block();
    for step in 0..8_u16 {
        let to = if step % 2 == 0 { MORTAL() } else { Contract::Sink.at(0) };
        block.ok(delegating(step + 1, user(0), to, u64::from(step)));
    }
    block.fact(Fact::Nonce(user(0), 8));
    block.fact(Fact::Delegation(user(0), Some(Contract::Sink.at(0))));
    block.finish()
}

/// Somebody else's transaction raises the nonce that the authority's own one needs.
pub fn sponsored_authority_sends_with_its_raised_nonce() -> GeneratedBlock {
    let mut block = new_block();
    let several =
        [0, 1, 2].map(|nonce| Delegate::new(user(0), Contract::Sink.at(nonce as u8), nonce));
    block.ok(Request::call(user(1), user(90)).delegates(&several));
    block.ok(Request::transfer(user(0), user(50), 1).nonce(3));
    block.ok(Request::transfer(user(0), user(50), 1).nonce(4));
    block.fact(Fact::Nonce(user(0), 5));
    block.finish()
}

/// CREATE in delegated code raises the account's nonce, which its next transaction must carry.
pub fn delegated_account_creates_and_raises_its_own_nonce() -> GeneratedBlock {
    let mut block = new_block();
    block.delegate(user(0), Contract::Creator.at(0));
    let child = Contract::Counter.init_code();
    block.ok(Request::call(user(1), user(0)).data(child.clone()));
    block.ok(Request::call(user(2), user(0)).data(child));
    block.ok(Request::transfer(user(0), user(50), 1).nonce(2));
    block.fact(Fact::HasCode(user(0).create(0), true));
    block.fact(Fact::HasCode(user(0).create(1), true));
    block.fact(Fact::Nonce(user(0), 3));
    block.finish()
}

/// SELFDESTRUCT in delegated code moves the balance; after Cancun the account stays.
pub fn delegated_account_destroys_itself() -> GeneratedBlock {
    let mut block = new_block();
    block.delegate(user(0), MORTAL());
    let owned = block.balance(user(0));
    block.ok(Request::call(user(1), user(0)).data(words(&[&user(60)])));
    block.ok(Request::call(user(2), user(0)).value(8));
    block.fact(Fact::Balance(user(60), owned));
    block.fact(Fact::Balance(user(0), U256::from(8)));
    block.fact(Fact::Delegation(user(0), Some(MORTAL())));
    block.finish()
}

/// EXTCODEHASH and EXTCODESIZE see the designator, not the target, and see it change.
pub fn code_of_a_delegated_account_read_by_contracts() -> GeneratedBlock {
    let mut block = new_block();
    let reader = Contract::CodeReader.at(0);
    let read = |slot: u64| Request::call(user(3), reader).data(words(&[&user(0), &slot]));
    block.ok(read(0));
    block.ok(delegating(1, user(0), MORTAL(), 0));
    block.ok(read(10));
    block.ok(delegating(1, user(0), Address::ZERO, 1));
    block.ok(read(20));
    let designator = [&[0xef, 0x01, 0x00], MORTAL().as_slice()].concat();
    let hash = |code: &[u8]| U256::from_be_bytes(keccak256(code).0);
    block.fact(Fact::Slot(reader, U256::from(0), hash(&[])));
    block.fact(Fact::Slot(reader, U256::from(10), hash(&designator)));
    block.fact(Fact::slot(reader, 11, 23));
    block.fact(Fact::Slot(reader, U256::from(20), hash(&[])));
    block.finish()
}

/// An authority without an account gets one; it is then called through a forwarder.
pub fn delegation_of_an_account_that_did_not_exist() -> GeneratedBlock {
    let mut block = new_block();
    let fresh = user(800);
    block.ok(delegating(1, fresh, Contract::Counter.at(0), 0));
    let forward = word_and(&fresh, &words(&[&6u64]));
    block.ok(Request::call(user(2), Contract::Forwarder.at(0)).data(forward));
    block.fact(Fact::slot(fresh, 6, 1));
    block.fact(Fact::Nonce(fresh, 1));
    block.finish()
}

/// The target gets its code after the delegation: the same call does nothing, then something.
pub fn delegation_to_a_contract_created_later() -> GeneratedBlock {
    let mut block = new_block();
    let target = user(4).create(0);
    block.ok(delegating(1, user(0), target, 0));
    block.ok(Request::call(user(2), user(0)));
    block.ok(Request::create(user(4), Contract::Mortal.init_code()));
    block.ok(Request::call(user(2), user(0)));
    block.fact(Fact::slot(user(0), 0, 1));
    block.finish()
}

/// Sender and running contract are one account: SELFBALANCE shows what the fee has left.
pub fn delegated_sender_reads_its_own_balance() -> GeneratedBlock {
    let mut block = new_block();
    block.delegate(user(0), Contract::SelfBalanceReader.at(0));
    for step in 0..5_u64 {
        let before = block.balance(user(0));
        let request = Request::call(user(0), user(0)).gas(100_000).data(words(&[&step]));
        let bought = U256::from(100_000 * request.fee);
        block.ok(request);
        block.fact(Fact::Slot(user(0), U256::from(step), before - bought));
    }
    block.finish()
}
