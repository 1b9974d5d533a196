//! Blobs, system contracts, requests, withdrawals, and the one irregular state change.

use crate::evm::{
    Fact, GeneratedBlock,
    asm::words,
    builder::{BlockBuilder, RICH},
    contracts::{Contract, DEPOSIT_EVENT},
    tx::{GWEI, Request},
    user,
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, Bytes, U256};
use revm::primitives::hardfork::SpecId;

/// Blob gas is burnt besides ordinary gas; BLOBHASH is the transaction's own.
pub fn blob_transactions() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let reader = Contract::BlobReader.at(0);
    for sender in 0..4_u16 {
        let number = sender as u8 + 1;
        block.ok(Request::call(user(sender), reader).blobs(&[number, number], GWEI));
        block.ok(Request::transfer(user(sender + 4), user(60), 1).blobs(&[number], GWEI));
    }
    let mut last = [4u8; 32];
    last[0] = 1;
    block.fact(Fact::Slot(reader, U256::ZERO, U256::from_be_bytes(last)));
    block.fact(Fact::slot(reader, 1, 1));
    block.finish()
}

/// EIP-7002: requests queue up in storage, and the end of the block takes them out.
pub fn withdrawal_requests_made_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    for sender in 0..3 {
        let mut request = vec![sender as u8 + 1; 48];
        request.extend_from_slice(&7u64.to_be_bytes());
        let call = Request::call(user(sender), WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
        block.ok(call.value(1_000).data(request.into()));
    }
    // Slot 1 counts the requests of the block and is cleared; slot 3 is the queue's tail.
    block.fact(Fact::slot(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 1, 0));
    block.finish()
}

/// EIP-7251: the same for consolidations, with a request that pays no fee and fails.
pub fn consolidation_requests_made_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let request = Bytes::from(vec![9u8; 96]);
    let call = |sender| {
        Request::call(user(sender), CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS).data(request.clone())
    };
    block.ok(call(0).value(1_000));
    block.fails(call(1));
    block.fact(Fact::slot(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, 1, 0));
    block.finish()
}

/// What the pre-block calls wrote is there for the first transaction.
pub fn system_contracts_read_in_the_block() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let asker = Contract::StaticCaller.at(0);
    let parent = block.ctx().parent_hash;
    for sender in 0..3 {
        let data = words(&[&HISTORY_STORAGE_ADDRESS, &999u64]);
        block.ok(Request::call(user(sender), asker).data(data));
    }
    block.fact(Fact::Slot(asker, U256::ZERO, U256::from_be_bytes(parent.0)));
    // The beacon root contract keys its ring by timestamp.
    block.fact(Fact::slot(BEACON_ROOTS_ADDRESS, 1_700_000_000 % 8_191, 1_700_000_000));
    block.finish()
}

/// A deposit event with well-formed data.
fn deposit_data() -> Bytes {
    let mut data = Vec::new();
    let lengths = [48usize, 32, 8, 96, 8];
    let mut offset = 32 * lengths.len();
    for length in lengths {
        data.extend_from_slice(&U256::from(offset).to_be_bytes::<32>());
        offset += 32 + length.div_ceil(32) * 32;
    }
    for (index, length) in lengths.into_iter().enumerate() {
        data.extend_from_slice(&U256::from(length).to_be_bytes::<32>());
        let mut bytes = vec![index as u8 + 1; length];
        bytes.resize(length.div_ceil(32) * 32, 0);
        data.extend_from_slice(&bytes);
    }
    data.into()
}

fn with_deposit_contract() -> BlockBuilder {
    let mut block = BlockBuilder::new(SpecId::PRAGUE);
    let code = Contract::DepositLogger.code();
    block.world().deploy(MAINNET_DEPOSIT_CONTRACT_ADDRESS, code);
    block
}

/// EIP-6110: the requests come from the logs, in the order of the receipts.
pub fn deposits_logged_in_the_block() -> GeneratedBlock {
    let mut block = with_deposit_contract();
    for sender in 0..3 {
        let call = Request::call(user(sender), MAINNET_DEPOSIT_CONTRACT_ADDRESS);
        block.ok(call.value(32).data(deposit_data()));
        // The same event from another address means nothing.
        let elsewhere = Request::call(user(sender), Contract::DepositLogger.at(0));
        block.ok(elsewhere.data(DEPOSIT_EVENT.0.into()));
    }
    block.fact(Fact::Balance(MAINNET_DEPOSIT_CONTRACT_ADDRESS, U256::from(96)));
    block.finish()
}

/// All transactions are fine, the block is not.
pub fn malformed_deposit_fails_at_the_end() -> GeneratedBlock {
    let mut block = with_deposit_contract();
    let call = Request::call(user(0), MAINNET_DEPOSIT_CONTRACT_ADDRESS);
    block.ok(call.data(words(&[&1u64])));
    block.ok(Request::transfer(user(1), user(60), 1));
    block.fails_at_end();
    block.finish()
}

/// To a sender, to nobody, to a contract, of nothing, and twice to one account.
pub fn withdrawals_to_senders_and_absent_accounts() -> GeneratedBlock {
    let mut block = BlockBuilder::new(SpecId::CANCUN);
    let (absent, untouched) = (user(500), user(501));
    block.ok(Request::transfer(user(0), user(60), 1));
    let after_transfer = block.balance(user(0));
    block.withdrawal(user(0), 5);
    block.withdrawal(absent, 6);
    block.withdrawal(absent, 7);
    block.withdrawal(Contract::Sink.at(0), 8);
    block.withdrawal(untouched, 0);
    block.fact(Fact::Balance(user(0), after_transfer + U256::from(5 * GWEI)));
    block.fact(Fact::Balance(absent, U256::from(13 * GWEI)));
    block.fact(Fact::Balance(Contract::Sink.at(0), U256::from(1_000 + 8 * GWEI)));
    block.fact(Fact::Absent(untouched));
    block.finish()
}

fn with_dao_accounts() -> BlockBuilder {
    let mut block = BlockBuilder::new(SpecId::HOMESTEAD);
    block.dao_block();
    for account in DAO_HARDFORK_ACCOUNTS {
        block.world().fund(account, U256::from(10));
    }
    block
}

/// Balances move without a transaction, after all of them.
pub fn dao_fork_block() -> GeneratedBlock {
    let mut block = with_dao_accounts();
    let drained: Address = DAO_HARDFORK_ACCOUNTS[0];
    block.ok(Request::transfer(user(0), drained, 90));
    block.fact(Fact::Balance(drained, U256::ZERO));
    let total = 10 * DAO_HARDFORK_ACCOUNTS.len() + 90;
    block.fact(Fact::Balance(DAO_HARDFORK_BENEFICIARY, U256::from(total)));
    block.finish()
}

/// A drained account has spent some of it before.
pub fn sender_is_also_drained_by_the_dao_fork() -> GeneratedBlock {
    let mut block = with_dao_accounts();
    let sender = DAO_HARDFORK_ACCOUNTS[3];
    block.world().fund(sender, U256::from(RICH));
    block.ok(Request::transfer(sender, user(60), 1_000));
    block.fact(Fact::Balance(sender, U256::ZERO));
    block.fact(Fact::Nonce(sender, 1));
    block.finish()
}
