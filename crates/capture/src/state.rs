//! The state before a block, asked for as it is read, and proven where the endpoint gives proofs.

use crate::{
    Client, Fault,
    headers::{Ancestor, Headers},
    wire::quantity,
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U64, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use parking_lot::Mutex;
use revm::{
    DatabaseRef, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
};
use warpline_fixture::{Lookup, PreState, Witness};

const PROOF: &str = "eth_getProof";
const BALANCE: &str = "eth_getBalance";
const NONCE: &str = "eth_getTransactionCount";
const CODE: &str = "eth_getCode";
const STORAGE: &str = "eth_getStorageAt";

/// The state after `parent`, as far as it has been read.
#[derive(Debug)]
pub(crate) struct RemoteState<'a> {
    client: &'a Client,
    headers: &'a Headers,
    parent: Ancestor,
    /// Whether to ask for proofs.
    proofs: AtomicBool,
    known: Mutex<Known>,
    /// The first fault, which the execution reports in words only.
    fault: Mutex<Option<Fault>>,
}

#[derive(Debug)]
struct Known {
    witness: Witness,
    accounts: AddressMap<Option<Account>>,
    codes: B256Map<Bytes>,
    /// Whose code has a hash.
    owners: B256Map<Address>,
    hashes: BTreeMap<u64, B256>,
    /// Whether the parent states a root that can be true. That of an empty state is none: nothing
    /// would happen on it, and anvil's genesis block has it, whatever is there.
    rooted: bool,
    /// Whether everything follows from trie nodes.
    proven: bool,
}

#[derive(Debug)]
struct Account {
    balance: U256,
    nonce: u64,
    code_hash: B256,
    /// None for an account without proof.
    storage_root: Option<B256>,
    slots: HashMap<U256, U256>,
}

/// Tells the execution that there is a fault.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ReadError(String);

impl DBErrorMarker for ReadError {}

impl<'a> RemoteState<'a> {
    /// With nothing known.
    pub(crate) fn new(client: &'a Client, headers: &'a Headers, parent: Ancestor) -> Self {
        let root = parent.state_root;
        let rooted = !root.is_zero() && root != EMPTY_ROOT_HASH;
        let known = Known {
            witness: Witness::new(parent.state_root),
            accounts: AddressMap::default(),
            codes: B256Map::default(),
            owners: B256Map::default(),
            hashes: BTreeMap::from([(parent.number, parent.hash)]),
            rooted,
            proven: rooted,
        };
        let proofs = AtomicBool::new(rooted);
        let (known, fault) = (Mutex::new(known), Mutex::new(None));
        Self { client, headers, parent, proofs, known, fault }
    }

    /// Takes trie nodes and code from elsewhere. Nodes that the root does not lead to and code
    /// that nobody has are of no consequence.
    pub(crate) fn take_witness(
        &self,
        method: &'static str,
        nodes: &[Bytes],
        codes: Vec<Bytes>,
    ) -> Result<(), Fault> {
        let mut known = self.known.lock();
        for (index, node) in nodes.iter().enumerate() {
            let wrong = |error| Fault::wrong(method, format!("trie node {index}: {error}"));
            known.witness.insert(node).map_err(wrong)?;
        }
        known.codes.extend(codes.into_iter().map(|code| (keccak256(&code), code)));
        Ok(())
    }

    /// Asks for many accounts and slots at once, of which it is known that they will be read.
    pub(crate) fn prefetch(&self, wanted: &BTreeMap<Address, BTreeSet<B256>>) -> Result<(), Fault> {
        if self.gives_proofs() {
            let params: Vec<Value> =
                wanted.iter().map(|(address, slots)| self.proof_of(address, slots)).collect();
            match self.client.batch::<EIP1186AccountProofResponse>(PROOF, &params) {
                Ok(answers) => return self.known.lock().take_proofs(wanted, &answers),
                Err(error) => self.without_proofs(error.into())?,
            }
        }
        let addresses: Vec<Value> =
            wanted.keys().map(|address| json!([address, self.at()])).collect();
        let balances: Vec<U256> = self.client.batch(BALANCE, &addresses)?;
        let nonces: Vec<U64> = self.client.batch(NONCE, &addresses)?;
        let codes: Vec<Bytes> = self.client.batch(CODE, &addresses)?;
        let slots =
            || wanted.iter().flat_map(|(of, slots)| slots.iter().map(move |slot| (of, slot)));
        let params: Vec<Value> =
            slots().map(|(address, slot)| json!([address, slot, self.at()])).collect();
        let values: Vec<U256> = self.client.batch(STORAGE, &params)?;
        let mut known = self.known.lock();
        for (((address, balance), nonce), code) in
            wanted.keys().zip(balances).zip(nonces).zip(codes)
        {
            known.insert_claimed(*address, balance, nonce.to(), code);
        }
        for ((address, slot), value) in slots().zip(values) {
            known.insert_claimed_slot(*address, U256::from_be_bytes(slot.0), value);
        }
        Ok(())
    }

    /// Whether the endpoint gives proofs, as far as is known.
    pub(crate) fn gives_proofs(&self) -> bool {
        self.proofs.load(Ordering::Relaxed)
    }

    /// What went wrong, if anything did.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.fault.lock().take()
    }

    /// Everything that was read, as the state of a fixture: anything else is unknown to it.
    pub(crate) fn into_pre_state(self) -> Result<PreState, Fault> {
        let known = self.known.into_inner();
        let mut state = PreState::default();
        state.close();
        for (address, account) in known.accounts {
            let Some(account) = account else {
                state.insert_absent(address);
                continue;
            };
            let Account { balance, nonce, code_hash, slots, .. } = account;
            state.insert_account_with_code_hash(address, balance, nonce, code_hash);
            slots.into_iter().for_each(|(slot, value)| state.insert_storage(address, slot, value));
            if let Some(code) = known.codes.get(&code_hash) {
                state.insert_code(code.clone());
            }
        }
        known.hashes.into_iter().for_each(|(number, hash)| state.insert_block_hash(number, hash));
        if known.proven {
            state.set_witness(known.witness)?;
        }
        Ok(state)
    }

    /// Goes on without proofs if the endpoint has none.
    fn without_proofs(&self, fault: Fault) -> Result<(), Fault> {
        match fault.is_refusal() {
            true => self.proofs.store(false, Ordering::Relaxed),
            false => return Err(fault),
        }
        Ok(())
    }

    fn at(&self) -> Value {
        quantity(self.parent.number)
    }

    fn proof_of(&self, address: &Address, slots: &BTreeSet<B256>) -> Value {
        json!([address, slots, self.at()])
    }

    /// Asks for the proof of an account and a slot of it. False if there are no proofs.
    fn prove(
        &self,
        known: &mut Known,
        address: Address,
        slot: Option<B256>,
    ) -> Result<bool, Fault> {
        if !self.gives_proofs() {
            return Ok(false);
        }
        match self.client.call(PROOF, self.proof_of(&address, &slot.into_iter().collect())) {
            Ok(answer) => known.absorb(address, &answer).map(|()| true),
            Err(error) => self.without_proofs(error.into()).map(|()| false),
        }
    }

    fn account(&self, known: &mut Known, address: Address) -> Result<(), Fault> {
        if known.accounts.contains_key(&address) || known.account_by_nodes(address)? {
            return Ok(());
        }
        if self.prove(known, address, None)? {
            return match known.account_by_nodes(address)? {
                true => Ok(()),
                false => Err(incomplete(self.parent, address, None)),
            };
        }
        let params = || json!([address, self.at()]);
        let balance: U256 = self.client.call(BALANCE, params())?;
        let nonce: U64 = self.client.call(NONCE, params())?;
        let code: Bytes = self.client.call(CODE, params())?;
        known.insert_claimed(address, balance, nonce.to(), code);
        Ok(())
    }

    fn slot(&self, known: &mut Known, address: Address, slot: U256) -> Result<U256, Fault> {
        self.account(known, address)?;
        let Some(Some(account)) = known.accounts.get(&address) else { return Ok(U256::ZERO) };
        if let Some(value) = account.slots.get(&slot) {
            return Ok(*value);
        }
        let key = B256::from(slot);
        if account.storage_root.is_some() {
            if let Some(value) = known.slot_by_nodes(address, slot, false)? {
                return Ok(value);
            }
            if self.prove(known, address, Some(key))? {
                let value = known.slot_by_nodes(address, slot, true)?;
                return value.ok_or_else(|| incomplete(self.parent, address, Some(slot)));
            }
        }
        let value: U256 = self.client.call(STORAGE, json!([address, key, self.at()]))?;
        known.insert_claimed_slot(address, slot, value);
        Ok(value)
    }

    fn code(&self, known: &mut Known, hash: B256) -> Result<Bytes, Fault> {
        if let Some(code) = known.codes.get(&hash) {
            return Ok(code.clone());
        }
        let owner = known.owners.get(&hash).copied().unwrap_or_default();
        let code: Bytes = self.client.call(CODE, json!([owner, self.at()]))?;
        let found = keccak256(&code);
        if found != hash {
            let cause = format!("the code of {owner} hashes to {found}, its account says {hash}");
            return Err(Fault::wrong(CODE, cause));
        }
        known.codes.insert(hash, code.clone());
        Ok(code)
    }

    /// Keeps the fault, of which the execution sees the words.
    fn noted<T>(&self, result: Result<T, Fault>) -> Result<T, ReadError> {
        result.map_err(|fault| {
            let words = ReadError(fault.to_string());
            self.fault.lock().get_or_insert(fault);
            words
        })
    }
}

impl Known {
    /// Takes an account on the endpoint's word. One of which everything is zero is none.
    fn insert_claimed(&mut self, address: Address, balance: U256, nonce: u64, code: Bytes) {
        self.proven = false;
        let exists = !balance.is_zero() || nonce != 0 || !code.is_empty();
        let code_hash = keccak256(&code);
        let slots = HashMap::default();
        let account = Account { balance, nonce, code_hash, storage_root: None, slots };
        self.codes.insert(code_hash, code);
        self.accounts.insert(address, exists.then_some(account));
    }

    /// Takes a slot on the endpoint's word.
    fn insert_claimed_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.proven = false;
        if let Some(Some(account)) = self.accounts.get_mut(&address) {
            account.slots.insert(slot, value);
        }
    }

    fn take_proofs(
        &mut self,
        wanted: &BTreeMap<Address, BTreeSet<B256>>,
        answers: &[EIP1186AccountProofResponse],
    ) -> Result<(), Fault> {
        for ((address, slots), answer) in wanted.iter().zip(answers) {
            self.absorb(*address, answer)?;
            self.account_by_nodes(*address)?;
            for slot in slots {
                self.slot_by_nodes(*address, U256::from_be_bytes(slot.0), true)?;
            }
        }
        Ok(())
    }

    /// Takes the nodes of a proof, and holds what is claimed beside them against them.
    fn absorb(
        &mut self,
        address: Address,
        answer: &EIP1186AccountProofResponse,
    ) -> Result<(), Fault> {
        let slots = answer.storage_proof.iter().flat_map(|slot| &slot.proof);
        for node in answer.account_proof.iter().chain(slots) {
            let wrong = |error| Fault::wrong(PROOF, format!("a node for {address}: {error}"));
            self.witness.insert(node).map_err(wrong)?;
        }
        let proven = match self.witness.account(&address).map_err(no_account(address))? {
            Lookup::Value(account) => account,
            Lookup::Absent => TrieAccount::default(),
            Lookup::Unknown => {
                let root = self.witness.state_root();
                let cause = format!("the proof of {address} does not begin at the root {root}");
                return Err(Fault::wrong(PROOF, cause));
            }
        };
        let lie = |what: &str, claimed: String, proven: String| {
            let cause =
                format!("the {what} of {address} is said to be {claimed}, proven is {proven}");
            Fault::wrong(PROOF, cause)
        };
        if answer.balance != proven.balance {
            return Err(lie("balance", answer.balance.to_string(), proven.balance.to_string()));
        }
        if answer.nonce != proven.nonce {
            return Err(lie("nonce", answer.nonce.to_string(), proven.nonce.to_string()));
        }
        for slot in &answer.storage_proof {
            let key = U256::from_be_bytes(slot.key.as_b256().0);
            let found = self.witness.slot(proven.storage_root, key);
            let value = match found.map_err(no_account(address))? {
                Lookup::Value(value) => value,
                Lookup::Absent => U256::ZERO,
                Lookup::Unknown => continue,
            };
            if value != slot.value {
                let what = format!("slot {key:#x}");
                return Err(lie(&what, format!("{:#x}", slot.value), format!("{value:#x}")));
            }
        }
        Ok(())
    }

    /// Looks an account up in the trie nodes. False if they say nothing about it.
    fn account_by_nodes(&mut self, address: Address) -> Result<bool, Fault> {
        if !self.rooted {
            return Ok(false);
        }
        let account = match self.witness.account(&address).map_err(no_account(address))? {
            Lookup::Unknown => return Ok(false),
            Lookup::Absent => None,
            Lookup::Value(TrieAccount { balance, nonce, code_hash, storage_root }) => {
                self.owners.insert(code_hash, address);
                let (storage_root, slots) = (Some(storage_root), HashMap::default());
                Some(Account { balance, nonce, code_hash, storage_root, slots })
            }
        };
        self.accounts.entry(address).or_insert(account);
        Ok(true)
    }

    /// Looks a slot of a proven account up in the trie nodes. With `proven`, nodes have just been
    /// given for it.
    fn slot_by_nodes(
        &mut self,
        address: Address,
        slot: U256,
        proven: bool,
    ) -> Result<Option<U256>, Fault> {
        let Some(Some(account)) = self.accounts.get_mut(&address) else {
            return Ok(Some(U256::ZERO));
        };
        let Some(root) = account.storage_root else { return Ok(None) };
        if root == EMPTY_ROOT_HASH {
            return Ok(Some(U256::ZERO));
        }
        let value = match self.witness.slot(root, slot).map_err(no_account(address))? {
            Lookup::Value(value) => value,
            Lookup::Absent => U256::ZERO,
            Lookup::Unknown if proven => {
                let cause = format!(
                    "the proof of slot {slot:#x} of {address} does not begin at the root {root}"
                );
                return Err(Fault::wrong(PROOF, cause));
            }
            Lookup::Unknown => return Ok(None),
        };
        account.slots.insert(slot, value);
        Ok(Some(value))
    }
}

fn incomplete(parent: Ancestor, address: Address, slot: Option<U256>) -> Fault {
    let slot = slot.map_or_else(String::new, |slot| format!("slot {slot:#x} of "));
    let root = parent.state_root;
    Fault::wrong(PROOF, format!("the proof of {slot}{address} does not begin at the root {root}"))
}

fn no_account(address: Address) -> impl Fn(alloy_rlp::Error) -> Fault {
    move |error| Fault::wrong(PROOF, format!("a leaf for {address}: {error}"))
}

impl DatabaseRef for RemoteState<'_> {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let mut known = self.known.lock();
        self.noted(self.account(&mut known, address))?;
        Ok(known.accounts.get(&address).and_then(Option::as_ref).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ReadError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let mut known = self.known.lock();
        self.noted(self.code(&mut known, code_hash)).map(Bytecode::new_raw)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, ReadError> {
        let mut known = self.known.lock();
        self.noted(self.slot(&mut known, address, index))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadError> {
        let mut known = self.known.lock();
        if let Some(hash) = known.hashes.get(&number) {
            return Ok(*hash);
        }
        let hash = self.noted(self.headers.hash_of(self.client, self.parent, number))?;
        known.hashes.insert(number, hash);
        Ok(hash)
    }
}
