//! The state before the block: accounts with code and storage, and the users who send.

use crate::{Rules, WorkloadError, artifact::Artifact, layout::Slot, rng::Rng};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::AddressMap, map::U256Map};

/// One ether in wei.
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// An account before the block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountState {
    /// In wei.
    pub balance: U256,
    /// Transactions sent; 1 for a fresh contract.
    pub nonce: u64,
    /// Runtime code, empty for a user.
    pub code: Bytes,
    /// Storage slots that are not zero.
    pub storage: U256Map<U256>,
}

/// Somebody who holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    index: usize,
    pub(crate) address: Address,
}

/// The state under construction. Everything in it follows from the seed and the order of calls.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) rules: Rules,
    /// The block's timestamp.
    pub(crate) now: u64,
    seed: u64,
    accounts: AddressMap<AccountState>,
    users: Vec<Key>,
    addresses: u64,
    failed: Option<secp256k1::Error>,
}

#[derive(Debug)]
struct Key {
    secret: B256,
    nonce: u64,
}

impl World {
    pub(crate) fn new(seed: u64, rules: Rules, now: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            rules,
            now,
            seed,
            accounts: AddressMap::default(),
            users: Vec::new(),
            addresses: 0,
            failed: None,
        }
    }

    /// A new user with 100 ether.
    pub(crate) fn user(&mut self) -> User {
        let user = self.unfunded_user();
        self.account(user.address).balance = U256::from(100 * ETHER);
        user
    }

    /// A new user who is not in the state, because nobody has paid them yet.
    pub(crate) fn unfunded_user(&mut self) -> User {
        let index = self.users.len();
        let secret = self.derive(b"user", index as u64);
        let address = address_of(secret).unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            Address::ZERO
        });
        self.users.push(Key { secret, nonce: 0 });
        User { index, address }
    }

    /// An address nobody has used; it is not in the state.
    pub(crate) fn fresh_address(&mut self) -> Address {
        self.addresses += 1;
        Address::from_word(self.derive(b"address", self.addresses))
    }

    /// Places a contract with nothing in its storage.
    pub(crate) fn deploy(&mut self, artifact: &Artifact) -> Address {
        let address = self.fresh_address();
        self.place_code(address, artifact.runtime().clone());
        address
    }

    /// Places code at an address of its own.
    pub(crate) fn place_code(&mut self, address: Address, code: Bytes) {
        let account = self.account(address);
        account.nonce = 1;
        account.code = code;
    }

    /// Sets a storage variable.
    pub(crate) fn set(&mut self, contract: Address, slot: Slot, value: impl IntoWord) {
        let storage = &mut self.account(contract).storage;
        let word = slot.store(storage.get(&slot.key).copied().unwrap_or_default(), value.word());
        if word.is_zero() {
            storage.remove(&slot.key);
        } else {
            storage.insert(slot.key, word);
        }
    }

    pub(crate) fn account(&mut self, address: Address) -> &mut AccountState {
        self.accounts.entry(address).or_default()
    }

    /// The key and the next nonce of a user.
    pub(crate) fn next_nonce(&mut self, user: User) -> (B256, u64) {
        let key = &mut self.users[user.index];
        let nonce = key.nonce;
        key.nonce += 1;
        (key.secret, nonce)
    }

    /// The finished state, unless a key could not be derived.
    pub(crate) fn finish(self) -> Result<AddressMap<AccountState>, WorkloadError> {
        match self.failed {
            Some(error) => Err(error.into()),
            None => Ok(self.accounts),
        }
    }

    fn derive(&self, purpose: &[u8], index: u64) -> B256 {
        let seed = self.seed.to_be_bytes();
        let index = index.to_be_bytes();
        keccak256([b"warpline workload ".as_slice(), purpose, &seed, &index].concat())
    }
}

/// The address of a secret key.
fn address_of(secret: B256) -> Result<Address, secp256k1::Error> {
    let secret = secp256k1::SecretKey::from_slice(secret.as_slice())?;
    let public = secret.public_key(secp256k1::SECP256K1).serialize_uncompressed();
    Ok(Address::from_raw_public_key(&public[1..]))
}

/// What a storage variable can be set to.
pub(crate) trait IntoWord {
    fn word(self) -> U256;
}

impl IntoWord for U256 {
    fn word(self) -> U256 {
        self
    }
}

impl IntoWord for Address {
    fn word(self) -> U256 {
        self.into_word().into()
    }
}

impl IntoWord for B256 {
    fn word(self) -> U256 {
        self.into()
    }
}

impl IntoWord for u128 {
    fn word(self) -> U256 {
        U256::from(self)
    }
}

impl IntoWord for u64 {
    fn word(self) -> U256 {
        U256::from(self)
    }
}

impl IntoWord for bool {
    fn word(self) -> U256 {
        U256::from(u8::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Contract;
    use alloy_primitives::{address, b256};

    #[test]
    fn keys_give_the_addresses_ethereum_gives_them() {
        // The first account of the well-known test mnemonic.
        let secret = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let expected = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(address_of(secret).unwrap(), expected);
    }

    #[test]
    fn users_and_contracts_follow_from_the_seed() {
        let world = |seed| World::new(seed, Rules::Osaka, 0);
        let (mut a, mut b, mut c) = (world(1), world(1), world(2));
        let (x, y, z) = (a.user(), b.user(), c.user());
        assert_eq!(x, y);
        assert_ne!(x.address, z.address);
        assert_ne!(a.fresh_address(), a.fresh_address());
    }

    #[test]
    fn zero_is_not_stored() {
        let mut world = World::new(1, Rules::Osaka, 0);
        let token = Contract::Token.load(Rules::Osaka).unwrap();
        let address = world.deploy(&token);
        let slot = token.variable("totalSupply").unwrap();
        world.set(address, slot, 5u64);
        assert_eq!(world.account(address).storage.len(), 1);
        world.set(address, slot, 0u64);
        assert!(world.account(address).storage.is_empty());
    }
}
