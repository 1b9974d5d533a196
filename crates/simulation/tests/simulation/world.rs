//! A state, a block on it, and plain executions to compare with.

use alloy_consensus::Header;
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_hardforks::{EthereumHardfork, EthereumHardforks};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};
use core::time::Duration;
use revm::{
    bytecode::opcode::*,
    context::TxEnv,
    context_interface::result::ExecutionResult,
    database::{CacheDB, WrapDatabaseRef},
};
use warpline_chainspec::ChainSpec;
use warpline_simulation::{CallBlock, Limits};
use warpline_testing::evm::{MemoryParent, asm::Asm};

pub(crate) const A: Address = Address::repeat_byte(0xaa);
pub(crate) const B: Address = Address::repeat_byte(0xbb);
pub(crate) const C: Address = Address::repeat_byte(0xcc);

pub(crate) const LIMITS: Limits =
    Limits { gas_cap: 50_000_000, timeout: Some(Duration::from_secs(60)) };

/// A state below, as a database.
pub(crate) type Below<'a> = WrapDatabaseRef<&'a MemoryParent>;

/// A state and its newest block, of mainnet after Osaka.
pub(crate) struct World {
    pub(crate) state: MemoryParent,
    pub(crate) chain: ChainSpec,
    pub(crate) header: Header,
}

impl World {
    pub(crate) fn new(state: MemoryParent) -> Self {
        let chain = ChainSpec::mainnet();
        let osaka = chain.ethereum_fork_activation(EthereumHardfork::Osaka);
        let header = Header {
            number: 24_000_000,
            timestamp: osaka.as_timestamp().unwrap() + 12,
            gas_limit: 60_000_000,
            base_fee_per_gas: Some(1_000),
            excess_blob_gas: Some(0),
            blob_gas_used: Some(0),
            parent_beacon_block_root: Some(Default::default()),
            ..Header::default()
        };
        Self { state, chain, header }
    }

    pub(crate) fn block(&self) -> CallBlock<'_> {
        CallBlock { chain: &self.chain, header: &self.header }
    }

    pub(crate) fn below(&self) -> Below<'_> {
        WrapDatabaseRef(&self.state)
    }

    /// What revm alone makes of a call without fees.
    pub(crate) fn plainly(&self, request: &TransactionRequest) -> ExecutionResult {
        let mut env = self.chain.evm_env(&self.header);
        env.block_env.basefee = 0;
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        env.cfg_env.disable_eip3607 = true;
        let from = request.from.unwrap_or_default();
        let info = revm::DatabaseRef::basic_ref(&self.state, from).unwrap();
        let tx = TxEnv {
            tx_type: 2,
            caller: from,
            gas_limit: request.gas.unwrap_or(LIMITS.gas_cap),
            kind: request.to.unwrap_or(TxKind::Create),
            value: request.value.unwrap_or_default(),
            data: request.input.input().cloned().unwrap_or_default(),
            access_list: request.access_list.clone().unwrap_or_default(),
            gas_priority_fee: Some(0),
            nonce: info.map_or(0, |info| info.nonce),
            chain_id: Some(1),
            ..TxEnv::default()
        };
        let mut evm = EthEvmFactory::default().create_evm(CacheDB::new(&self.state), env);
        evm.transact_raw(tx).unwrap().result
    }
}

/// A call with input.
pub(crate) fn request(from: Address, to: Address, input: impl Into<Bytes>) -> TransactionRequest {
    TransactionRequest {
        from: Some(from),
        to: Some(to.into()),
        input: TransactionInput::new(input.into()),
        ..TransactionRequest::default()
    }
}

/// A transfer.
pub(crate) fn transfer(from: Address, to: Address, wei: u64) -> TransactionRequest {
    TransactionRequest { value: Some(U256::from(wei)), ..request(from, to, []) }
}

/// Code that returns the word on the stack.
pub(crate) fn returning(code: Asm) -> Bytes {
    code.push(0u64).op(MSTORE).push(32u64).push(0u64).op(RETURN).finish()
}

/// The value in a word.
pub(crate) fn word(output: &Bytes) -> U256 {
    U256::from_be_slice(output)
}
