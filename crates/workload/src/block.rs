//! From calls to a block: signed transactions, header, chain, and the system contracts.

use crate::{AccountState, Rules, WorkloadError, world::User, world::World};
use alloy_consensus::{
    EthereumTxEnvelope, Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxLegacy,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip2935, eip4788,
    eip4895::Withdrawal,
    eip7002, eip7251,
};
use alloy_genesis::ChainConfig;
use alloy_primitives::{
    Address, B256, Bytes, Signature, TxKind, U256, address, keccak256, map::AddressMap,
};
use rayon::prelude::*;

/// The chain that workload blocks belong to.
pub const CHAIN_ID: u64 = 31337;

/// When a workload block happens.
pub(crate) const TIMESTAMP: u64 = 1_800_000_000;

const BENEFICIARY: Address = address!("00000000000000000000000000000000000fee5a");
const GWEI: u128 = 1_000_000_000;
const BASE_FEE: u128 = GWEI;

/// One block, not yet executed: the roots, the bloom and the gas used in its header are empty.
#[derive(Debug, Clone)]
pub struct WorkloadBlock {
    /// The rules, in the form of a genesis file's `config`.
    pub chain: ChainConfig,
    /// Everything in the header that does not follow from execution.
    pub header: Header,
    /// The signed transactions in block order.
    pub transactions: Vec<EthereumTxEnvelope<TxEip4844>>,
    /// The sender of each transaction.
    pub senders: Vec<Address>,
    /// Withdrawals, under rules that have them.
    pub withdrawals: Option<Vec<Withdrawal>>,
    /// The whole state before the block.
    pub pre_state: AddressMap<AccountState>,
}

/// What one transaction is to do.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) from: User,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) gas: u64,
}

impl Call {
    /// A call of a contract that carries no value.
    pub(crate) fn new(
        from: User,
        to: Address,
        call: &impl alloy_sol_types::SolCall,
        gas: u64,
    ) -> Self {
        Self { from, to, value: U256::ZERO, input: call.abi_encode().into(), gas }
    }
}

/// A transaction with the key that is to sign it.
struct Unsigned {
    secret: B256,
    transaction: Kind,
}

enum Kind {
    Legacy(TxLegacy),
    Eip2930(TxEip2930),
    Eip1559(TxEip1559),
}

impl Unsigned {
    fn sign(self) -> Result<EthereumTxEnvelope<TxEip4844>, WorkloadError> {
        let secret = self.secret;
        Ok(match self.transaction {
            Kind::Legacy(tx) => {
                let signature = signature(secret, tx.signature_hash())?;
                tx.into_signed(signature).into()
            }
            Kind::Eip2930(tx) => {
                let signature = signature(secret, tx.signature_hash())?;
                tx.into_signed(signature).into()
            }
            Kind::Eip1559(tx) => {
                let signature = signature(secret, tx.signature_hash())?;
                tx.into_signed(signature).into()
            }
        })
    }
}

fn signature(secret: B256, hash: B256) -> Result<Signature, WorkloadError> {
    let secret = secp256k1::SecretKey::from_slice(secret.as_slice())?;
    let message = secp256k1::Message::from_digest(hash.0);
    let signed = secp256k1::SECP256K1.sign_ecdsa_recoverable(&message, &secret);
    let (recovery, rs) = signed.serialize_compact();
    Ok(Signature::from_bytes_and_parity(&rs, i32::from(recovery) != 0))
}

/// Makes a block of `calls` in this order.
pub(crate) fn assemble(mut world: World, calls: Vec<Call>) -> Result<WorkloadBlock, WorkloadError> {
    let rules = world.rules;
    let withdrawals = place_the_rest(&mut world);
    let header = header(&world, &calls, withdrawals.as_deref());
    let senders = calls.iter().map(|call| call.from.address).collect();
    let unsigned: Vec<Unsigned> = calls.into_iter().map(|call| fill_in(&mut world, call)).collect();
    let pre_state = world.finish()?;
    let transactions = unsigned.into_par_iter().map(Unsigned::sign).collect::<Result<_, _>>()?;
    Ok(WorkloadBlock { chain: chain(rules), header, transactions, senders, withdrawals, pre_state })
}

/// Nonce, fees and transaction type. Most transactions have a priority fee, some are of older
/// types; under the old rules there is one type, and it is not bound to a chain.
fn fill_in(world: &mut World, call: Call) -> Unsigned {
    let (secret, nonce) = world.next_nonce(call.from);
    let Call { to, value, input, gas, .. } = call;
    let tip = u128::from(world.rng.range(1, 2_000)) * (GWEI / 1000);
    let kind = world.rng.below(100);
    let legacy = |chain_id| TxLegacy {
        chain_id,
        nonce,
        gas_price: BASE_FEE + tip,
        gas_limit: gas,
        to: TxKind::Call(to),
        value,
        input: input.clone(),
    };
    let transaction = match world.rules {
        Rules::Homestead => Kind::Legacy(legacy(None)),
        Rules::Osaka if kind < 12 => Kind::Legacy(legacy(Some(CHAIN_ID))),
        Rules::Osaka if kind < 18 && !input.is_empty() => Kind::Eip2930(TxEip2930 {
            chain_id: CHAIN_ID,
            nonce,
            gas_price: BASE_FEE + tip,
            gas_limit: gas,
            to: TxKind::Call(to),
            value,
            access_list: AccessList(vec![AccessListItem { address: to, storage_keys: vec![] }]),
            input,
        }),
        Rules::Osaka => Kind::Eip1559(TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: 2 * BASE_FEE + tip,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(to),
            value,
            access_list: AccessList::default(),
            input,
        }),
    };
    Unsigned { secret, transaction }
}

/// The beneficiary, whom withdrawals go to, and the contracts that the rules themselves call.
fn place_the_rest(world: &mut World) -> Option<Vec<Withdrawal>> {
    world.account(BENEFICIARY).balance = U256::from(GWEI);
    if world.rules == Rules::Homestead {
        return None;
    }
    let system = [
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (
            eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            &eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
        ),
        (
            eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
            &eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
        ),
    ];
    for (address, code) in system {
        world.place_code(address, code.clone());
    }
    let withdrawal = |world: &mut World, index: u64| Withdrawal {
        index,
        validator_index: world.rng.below(1_000_000),
        address: world.fresh_address(),
        amount: world.rng.range(1_000_000, 20_000_000),
    };
    Some((0..4).map(|index| withdrawal(world, index)).collect())
}

fn header(world: &World, calls: &[Call], withdrawals: Option<&[Withdrawal]>) -> Header {
    let limits: u64 = calls.iter().map(|call| call.gas).sum();
    let common = Header {
        parent_hash: keccak256("warpline workload parent"),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: BENEFICIARY,
        number: 1,
        gas_limit: limits.max(30_000_000),
        timestamp: world.now,
        extra_data: Bytes::from_static(b"warpline"),
        ..Header::default()
    };
    match world.rules {
        Rules::Homestead => Header { difficulty: U256::from(131_072), ..common },
        Rules::Osaka => Header {
            mix_hash: keccak256("warpline workload randomness"),
            base_fee_per_gas: Some(BASE_FEE as u64),
            withdrawals_root: Some(
                withdrawals
                    .map_or(EMPTY_WITHDRAWALS, alloy_consensus::proofs::calculate_withdrawals_root),
            ),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(keccak256("warpline workload beacon root")),
            ..common
        },
    }
}

/// All forks of `rules` from the first block on.
fn chain(rules: Rules) -> ChainConfig {
    let homestead =
        ChainConfig { chain_id: CHAIN_ID, homestead_block: Some(0), ..ChainConfig::default() };
    match rules {
        Rules::Homestead => homestead,
        Rules::Osaka => ChainConfig {
            eip150_block: Some(0),
            eip155_block: Some(0),
            eip158_block: Some(0),
            byzantium_block: Some(0),
            constantinople_block: Some(0),
            petersburg_block: Some(0),
            istanbul_block: Some(0),
            berlin_block: Some(0),
            london_block: Some(0),
            terminal_total_difficulty: Some(U256::ZERO),
            terminal_total_difficulty_passed: true,
            shanghai_time: Some(0),
            cancun_time: Some(0),
            prague_time: Some(0),
            osaka_time: Some(0),
            ..homestead
        },
    }
}
