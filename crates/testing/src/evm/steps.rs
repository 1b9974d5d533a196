//! What one step of a random block may be.

use super::{
    Rejection,
    asm::{Asm, word_and, words},
    builder::BlockBuilder,
    contracts::{Contract, create2_address},
    program,
    rng::Rng,
    tx::{Delegate, Envelope, GWEI, Request},
    user,
};
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::{
    bytecode::opcode::{CALLER, SELFDESTRUCT},
    primitives::hardfork::SpecId,
};

/// Who takes part: the fewer they are, the more often they meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast {
    /// The newest active fork.
    pub(super) spec: SpecId,
    /// How many users send.
    pub(super) senders: u64,
    /// How many copies of each contract are called.
    pub(super) instances: u64,
}

impl Cast {
    pub(super) fn has(&self, fork: SpecId) -> bool {
        self.spec.is_enabled_in(fork)
    }

    fn sender(&self, rng: &mut Rng) -> Address {
        user(rng.below(self.senders) as u16)
    }

    /// One copy of `contract`.
    fn copy_of(&self, contract: Contract, rng: &mut Rng) -> Address {
        contract.at(rng.below(self.instances) as u8)
    }

    fn contract(&self, rng: &mut Rng) -> Address {
        let contract = rng.pick(Contract::ALL);
        self.copy_of(contract, rng)
    }

    /// Somebody or something of the world.
    pub(super) fn address(&self, rng: &mut Rng) -> Address {
        match rng.below(15) {
            0..=3 => self.sender(rng),
            4..=6 => self.contract(rng),
            7 => super::BENEFICIARY,
            8 => create2_address(Contract::Factory.at(0), rng.below(3), &init_code(rng.below(3))),
            9 => user(rng.below(3) as u16).create(rng.below(3)),
            10 => Address::with_last_byte(1 + rng.below(10) as u8),
            11 | 12 => program::address(rng.below(program::PROGRAMS)),
            13 => program::child(rng),
            _ => user(900 + rng.below(4) as u16),
        }
    }
}

/// Adds what `rng` decides to the block.
pub(super) fn apply(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    match rng.below(60) {
        40..=56 => run_program(block, rng, cast),
        57 | 58 => create_program(block, rng, cast),
        0..=5 => transfer(block, rng, cast),
        6..=22 => call(block, rng, cast),
        23..=25 => create(block, rng, cast),
        26..=28 => make_child(block, rng, cast),
        29 | 30 => nonce_chain(block, rng, cast),
        31 | 32 => fund_and_send(block, rng, cast),
        33..=36 if cast.has(SpecId::PRAGUE) => delegate(block, rng, cast),
        37 if cast.has(SpecId::PRAGUE) => request_withdrawal(block, rng, cast),
        38 if cast.has(SpecId::CANCUN) => blobs(block, rng, cast),
        39 if rng.once_in(4) => invalid(block, rng, cast),
        _ => call(block, rng, cast),
    }
}

/// How many kinds of init code do something that lasts.
pub(super) const INIT_CODES: u64 = 3;

/// A few kinds of init code: children that count and die, plain ones, and ones that fail.
pub(super) fn init_code(kind: u64) -> Bytes {
    match kind {
        0 => Contract::Mortal.init_code_with_storage(),
        1 => Contract::Counter.init_code(),
        2 => Contract::Mortal.init_code(),
        3 => Contract::Reverter.code(),
        4 => Asm::new().ops(&[CALLER, SELFDESTRUCT]).finish(),
        _ => Bytes::new(),
    }
}

fn small_value(rng: &mut Rng) -> u64 {
    rng.pick(&[0, 0, 0, 1, 2, 1_000])
}

/// Fee and envelope as wallets of the fork choose them, sometimes with no tip at all.
fn dress(mut request: Request, rng: &mut Rng, cast: Cast) -> Request {
    if !cast.has(SpecId::LONDON) {
        request.fee = rng.pick(&[0, GWEI, 10 * GWEI]);
    } else if rng.once_in(4) {
        request.fee = 7 * GWEI;
    }
    if cast.has(SpecId::LONDON) && rng.once_in(2) {
        request = request.tip(rng.pick(&[0, GWEI, 3 * GWEI]));
    } else if cast.has(SpecId::BERLIN) && rng.once_in(3) {
        request.envelope = Envelope::AccessList;
    }
    if cast.has(SpecId::BERLIN) && rng.once_in(4) {
        request.access = vec![(cast.address(rng), vec![B256::from(U256::from(rng.below(3)))])];
    }
    request.tip = request.tip.min(request.fee);
    request
}

fn transfer(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let mut request = Request::transfer(cast.sender(rng), cast.address(rng), small_value(rng));
    request.gas = rng.pick(&[21_000, 30_000, 100_000]);
    block.admit(&dress(request, rng, cast));
}

fn call(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let contract = rng.pick(Contract::ALL);
    // Sometimes the call goes to an account that may have delegated to some contract.
    let to = if rng.once_in(8) { cast.address(rng) } else { cast.copy_of(contract, rng) };
    let mut request = Request::call(cast.sender(rng), to).data(arguments(rng, contract, 2, cast));
    request.value = U256::from(small_value(rng));
    request.gas = rng.pick(&[50_000, 120_000, 300_000, 300_000, 1_000_000]);
    block.admit(&dress(request, rng, cast));
}

/// Calldata that means something to `contract`; nested calls go `depth` deep.
fn arguments(rng: &mut Rng, contract: Contract, depth: u8, cast: Cast) -> Bytes {
    let (slot, small) = (rng.below(3), rng.below(4));
    match contract {
        Contract::Forwarder | Contract::Delegator | Contract::StaticCaller if depth > 0 => {
            let callee = rng.pick(Contract::ALL);
            word_and(&cast.copy_of(callee, rng), &arguments(rng, callee, depth - 1, cast))
        }
        Contract::DynamicCaller if depth > 0 && rng.once_in(2) => {
            let callee = rng.pick(Contract::ALL);
            arguments(rng, callee, depth - 1, cast)
        }
        Contract::Factory | Contract::Cycler => word_and(&slot, &init_code(rng.below(6))),
        Contract::Creator => init_code(rng.below(6)),
        Contract::Endower => word_and(&(600 * small), &init_code(rng.below(6))),
        Contract::Mortal if rng.once_in(2) => Bytes::new(),
        Contract::Worker => words(&[&(20 * small), &slot]),
        Contract::Spender => words(&[&cast.address(rng), &(300 * small)]),
        Contract::Token => words(&[&cast.address(rng), &(400_000 * small)]),
        Contract::Cell if rng.once_in(3) => words(&[&slot]),
        Contract::BalanceReader | Contract::CodeReader | Contract::CodeSizeReader => {
            words(&[&cast.address(rng), &slot])
        }
        Contract::Forwarder
        | Contract::Delegator
        | Contract::StaticCaller
        | Contract::DynamicCaller
        | Contract::Mortal
        | Contract::Sweeper => words(&[&cast.address(rng)]),
        _ => words(&[&slot, &small]),
    }
}

fn create(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let from = cast.sender(rng);
    let contract = from.create(block.nonce(from));
    let request = Request::create(from, init_code(rng.below(6))).value(small_value(rng));
    block.admit(&dress(request, rng, cast));
    if rng.once_in(2) {
        let data = if rng.once_in(3) { words(&[&cast.address(rng)]) } else { Bytes::new() };
        block.admit(&dress(Request::call(cast.sender(rng), contract).data(data), rng, cast));
    }
}

/// Calls a random program, or one of its children, with random arguments.
fn run_program(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let to = match rng.below(6) {
        0 => program::child(rng),
        _ => program::address(rng.below(program::PROGRAMS)),
    };
    let data = words(&[&cast.address(rng), &rng.below(4), &rng.below(4)]);
    let data = if rng.once_in(6) { Bytes::new() } else { data };
    let mut request = Request::call(cast.sender(rng), to).data(data);
    request.value = U256::from(small_value(rng));
    request.gas = rng.pick(&[60_000, 200_000, 400_000, 1_000_000, 1_000_000]);
    block.admit(&dress(request, rng, cast));
}

/// Creates a random program and calls it.
fn create_program(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let from = cast.sender(rng);
    let contract = from.create(block.nonce(from));
    let request = Request::create(from, program::init_code(rng, cast)).value(small_value(rng));
    block.admit(&dress(request, rng, cast));
    for _ in 0..rng.below(3) {
        let call = Request::call(cast.sender(rng), contract);
        let data = words(&[&cast.address(rng), &rng.below(4), &rng.below(4)]);
        block.admit(&dress(call.data(data).value(small_value(rng)), rng, cast));
    }
}

/// A CREATE2 child, which then may be called, destroyed and made again.
fn make_child(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let salt = rng.below(3);
    let code = init_code(rng.below(3));
    let factory = Contract::Factory.at(0);
    let child = create2_address(factory, salt, &code);
    for _ in 0..1 + rng.below(2) {
        let make = Request::call(cast.sender(rng), factory).data(word_and(&salt, &code));
        block.admit(&dress(make.value(small_value(rng)), rng, cast));
        for _ in 0..rng.below(3) {
            block.admit(&dress(Request::call(cast.sender(rng), child), rng, cast));
        }
        if rng.once_in(2) {
            let kill = Request::call(cast.sender(rng), child).data(words(&[&cast.address(rng)]));
            block.admit(&dress(kill, rng, cast));
        }
    }
}

fn nonce_chain(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let from = cast.sender(rng);
    for _ in 0..2 + rng.below(6) {
        let request = Request::transfer(from, cast.address(rng), small_value(rng)).gas(60_000);
        block.admit(&dress(request, rng, cast));
    }
}

/// Money for somebody who has none, and what they do with it.
fn fund_and_send(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let poor = user(900 + rng.below(4) as u16);
    let request = Request::transfer(cast.sender(rng), poor, 20_000_000_000_000_000);
    block.admit(&dress(request.gas(60_000), rng, cast));
    for _ in 0..1 + rng.below(3) {
        let request = Request::transfer(poor, cast.address(rng), small_value(rng)).gas(100_000);
        block.admit(&dress(request, rng, cast));
    }
}

/// One to three authorizations, most of them valid, on a call that may use them.
fn delegate(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let from = cast.sender(rng);
    let mut delegates = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let authority = if rng.once_in(3) { from } else { cast.sender(rng) };
        let already = delegates.iter().filter(|d: &&Delegate| d.authority == Some(authority));
        let mut nonce = block.nonce(authority) + already.count() as u64;
        nonce += u64::from(authority == from);
        nonce += u64::from(rng.once_in(8));
        let to = match rng.below(8) {
            0 => Address::ZERO,
            1 => cast.sender(rng),
            3 | 4 => program::address(rng.below(program::PROGRAMS)),
            2 => Address::with_last_byte(1 + rng.below(5) as u8),
            _ => cast.contract(rng),
        };
        delegates.push(Delegate::new(authority, to, nonce));
    }
    let to = delegates[0].authority.filter(|_| rng.once_in(2)).unwrap_or_else(|| cast.address(rng));
    let contract = rng.pick(Contract::ALL);
    let mut request = Request::call(from, to).value(small_value(rng)).delegates(&delegates);
    if rng.once_in(2) {
        request = request.data(arguments(rng, contract, 1, cast));
    }
    block.admit(&request);
}

fn request_withdrawal(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let mut data = vec![rng.below(200) as u8; 48];
    data.extend_from_slice(&rng.next().to_be_bytes());
    let request = Request::call(cast.sender(rng), WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    block.admit(&request.data(data.into()).value(rng.pick(&[0, 1, 1_000])));
}

fn blobs(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let to = if rng.once_in(2) { Contract::BlobReader.at(0) } else { cast.address(rng) };
    let hashes = [rng.below(9) as u8, 3];
    let count = 1 + rng.below(2) as usize;
    block.admit(&Request::call(cast.sender(rng), to).blobs(&hashes[..count], GWEI));
}

fn invalid(block: &mut BlockBuilder, rng: &mut Rng, cast: Cast) {
    let from = cast.sender(rng);
    let nonce = block.nonce(from);
    let plain = Request::transfer(from, cast.address(rng), 1);
    // Amsterdam counts gas differently; nonces and funds are what they were.
    let kinds = if cast.has(SpecId::AMSTERDAM) { 2 } else { 10 };
    let (request, reason) = match rng.below(kinds) {
        0 => (plain.nonce(nonce + 1 + rng.below(3)), Rejection::NonceTooHigh),
        1 if nonce > 0 => (plain.nonce(nonce - 1), Rejection::NonceTooLow),
        2 => (plain.gas(20_999), Rejection::IntrinsicGas),
        3 if cast.has(SpecId::OSAKA) => (plain.gas(30_000_001), Rejection::GasLimitCap),
        3 => (plain.gas(30_000_001), Rejection::BlockGasExceeded),
        4 if cast.has(SpecId::LONDON) => (plain.fee(7 * GWEI - 1), Rejection::FeeBelowBaseFee),
        5 if cast.has(SpecId::CANCUN) => (plain.blobs(&[1], 0), Rejection::BlobFeeTooLow),
        6 if !cast.has(SpecId::LONDON) => (plain.tip(1), Rejection::UnsupportedType),
        7 => {
            let from = program::address(rng.below(program::PROGRAMS));
            (Request::transfer(from, user(0), 0).fee(7 * GWEI), Rejection::SenderHasCode)
        }
        8 if cast.has(SpecId::PRAGUE) => {
            let data = Bytes::from(vec![1; 1_000]);
            (plain.data(data).gas(40_000), Rejection::IntrinsicGas)
        }
        _ => (Request::transfer(user(950), from, 1), Rejection::InsufficientFunds),
    };
    block.rejected(request, reason);
}
