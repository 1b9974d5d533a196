//! Tests of the pool as a whole, and what they share: signed and unsigned transactions, a state
//! in memory, heads.

mod blobs;
mod choice;
mod decoding;
mod delegation;
mod heads;
mod intake;
mod journal;
mod limits;
mod model;
mod threads;
mod wording;

use crate::{
    AccountCode, Accounts, AccountsError, Added, BlobRules, Head, HeadChange, Mined, Origin, Pool,
    PoolAccount, PoolConfig, PoolError, PooledEnvelope,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy, transaction::Recovered};
use alloy_eips::{eip2718::Encodable2718, eip7840::BlobParams};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use parking_lot::RwLock;
use revm::primitives::hardfork::SpecId;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::{collections::BTreeMap, sync::Arc};

/// The chain of all tests.
pub(crate) const CHAIN: u64 = 31337;

/// A state in memory; whoever is not in it is rich.
#[derive(Debug, Default)]
pub(crate) struct World {
    accounts: RwLock<BTreeMap<Address, PoolAccount>>,
    /// Fail every read.
    broken: std::sync::atomic::AtomicBool,
}

pub(crate) fn rich() -> PoolAccount {
    PoolAccount { nonce: 0, balance: U256::from(10).pow(U256::from(24)), code: AccountCode::None }
}

impl World {
    pub(crate) fn set(&self, address: Address, account: PoolAccount) {
        self.accounts.write().insert(address, account);
    }

    pub(crate) fn read(&self, address: &Address) -> PoolAccount {
        self.accounts.read().get(address).copied().unwrap_or_else(rich)
    }

    pub(crate) fn change(&self, address: Address, change: impl FnOnce(&mut PoolAccount)) {
        let mut account = self.read(&address);
        change(&mut account);
        self.set(address, account);
    }

    fn copy(&self) -> Arc<Self> {
        let accounts = RwLock::new(self.accounts.read().clone());
        Arc::new(Self { accounts, ..Self::default() })
    }
}

impl Accounts for World {
    fn account(&self, address: &Address) -> Result<PoolAccount, AccountsError> {
        match self.broken.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(AccountsError::new("the disk is gone")),
            false => Ok(self.read(address)),
        }
    }
}

/// A head under Osaka's rules with a base fee of 100 wei.
pub(crate) fn head(number: u64) -> Head {
    Head {
        number,
        hash: B256::from(U256::from(number)),
        chain_id: CHAIN,
        spec: SpecId::OSAKA,
        base_fee: 100,
        blobs: Some(BlobRules { fee: 1, params: BlobParams::osaka() }),
        gas_limit: 30_000_000,
        max_tx_gas: Some(1 << 24),
        max_init_code: Some(49_152),
    }
}

/// A pool with its state, which is changed through the pool only.
pub(crate) struct Bench {
    pub(crate) pool: Pool,
    pub(crate) world: Arc<World>,
    pub(crate) head: Head,
}

impl Bench {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self::at(config, head(0))
    }

    pub(crate) fn at(config: PoolConfig, head: Head) -> Self {
        let world = Arc::new(World::default());
        Self { pool: Pool::new(config, head, world.clone()), world, head }
    }

    /// Adds a transaction and checks everything.
    pub(crate) fn add(&self, tx: &Tx) -> Result<Added, PoolError> {
        let result = self.pool.add_recovered(tx.unsigned(), tx.origin);
        self.verify();
        result
    }

    pub(crate) fn verify(&self) {
        self.pool.state.read().verify(self.pool.config());
    }

    /// Moves on to the next head, with what `change` does to the state.
    pub(crate) fn advance(&mut self, mined: &[Mined], change: impl FnOnce(&World)) {
        let world = self.world.copy();
        change(&world);
        let head = Head { number: self.head.number + 1, ..self.head };
        self.move_to(head, world, mined, Vec::new(), None);
    }

    pub(crate) fn move_to(
        &mut self,
        head: Head,
        world: Arc<World>,
        mined: &[Mined],
        dropped: Vec<Recovered<warpline_executor::EthTransaction>>,
        changed: Option<&[Address]>,
    ) {
        (self.head, self.world) = (head, world.clone());
        let change = HeadChange { head, accounts: world, mined, dropped, changed };
        self.pool.on_head(change).expect("accounts are readable");
        self.verify();
    }

    /// Nonces of a sender's pending and queued transactions.
    pub(crate) fn nonces(&self, sender: u8) -> (Vec<u64>, Vec<u64>) {
        let content = self.pool.content_from(&address(sender));
        let nonces =
            |txs: Vec<Arc<crate::PoolTransaction>>| txs.iter().map(|tx| tx.nonce()).collect();
        (nonces(content.pending), nonces(content.queued))
    }
}

/// A transfer in short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tx {
    pub(crate) sender: u8,
    pub(crate) nonce: u64,
    pub(crate) max_fee: u128,
    pub(crate) tip: u128,
    pub(crate) gas: u64,
    pub(crate) value: u64,
    /// Bytes of input, all zero.
    pub(crate) input: usize,
    pub(crate) origin: Origin,
}

/// A transfer from `sender` that pays 1000 wei of fee cap and 10 wei of tip.
pub(crate) fn tx(sender: u8, nonce: u64) -> Tx {
    let origin = Origin::External;
    Tx { sender, nonce, max_fee: 1000, tip: 10, gas: 21_000, value: 0, input: 0, origin }
}

impl Tx {
    pub(crate) fn fees(self, max_fee: u128, tip: u128) -> Self {
        Self { max_fee, tip, ..self }
    }

    pub(crate) fn local(self) -> Self {
        Self { origin: Origin::Local, ..self }
    }

    fn body(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: CHAIN,
            nonce: self.nonce,
            gas_limit: self.gas + 10 * self.input as u64,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.tip,
            to: TxKind::Call(Address::ZERO),
            value: U256::from(self.value),
            input: vec![0; self.input].into(),
            ..Default::default()
        }
    }

    /// With a signature that nobody looks at but that makes the hash the sender's own.
    pub(crate) fn unsigned(&self) -> Recovered<PooledEnvelope> {
        let signature =
            Signature::new(U256::from(self.sender) + U256::from(1), U256::from(1), false);
        let tx = PooledEnvelope::Eip1559(self.body().into_signed(signature));
        Recovered::new_unchecked(tx, address(self.sender))
    }

    pub(crate) fn hash(&self) -> B256 {
        *self.unsigned().inner().tx_hash()
    }

    pub(crate) fn mined(&self) -> Mined {
        Mined { hash: self.hash(), sender: address(self.sender) }
    }

    /// With the signature of the sender's key, in the network form.
    pub(crate) fn signed(&self) -> Bytes {
        let signed = sign(self.body(), self.sender);
        PooledEnvelope::Eip1559(signed).encoded_2718().into()
    }
}

/// A sender without a key.
pub(crate) fn address(sender: u8) -> Address {
    Address::with_last_byte(sender)
}

fn key(sender: u8) -> SecretKey {
    SecretKey::from_byte_array(&[sender + 1; 32]).expect("a valid key")
}

/// The address of a sender's key.
pub(crate) fn key_address(sender: u8) -> Address {
    let key = key(sender).public_key(SECP256K1).serialize_uncompressed();
    Address::from_raw_public_key(&key[1..])
}

pub(crate) fn sign_hash(hash: B256, sender: u8) -> Signature {
    let message = Message::from_digest(hash.0);
    let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, &key(sender)).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
}

pub(crate) fn sign<T: SignableTransaction<Signature>>(
    tx: T,
    sender: u8,
) -> alloy_consensus::Signed<T> {
    let signature = sign_hash(tx.signature_hash(), sender);
    tx.into_signed(signature)
}

/// A legacy transfer.
pub(crate) fn legacy(nonce: u64, chain_id: Option<u64>) -> TxLegacy {
    TxLegacy {
        chain_id,
        nonce,
        gas_price: 1000,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        ..Default::default()
    }
}
