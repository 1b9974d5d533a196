//! What a reader of a snapshot can be asked for.

use crate::{
    BlockRef, StateReader, StorageError, StoredAccount, StoredReceipt, Transaction,
    history::{account_at, slot_at},
    pending::{PendingBlock, account_with_slots, accounts_from, slots_from},
    snapshot::{Source, check_kept, missing_code},
    tables,
};
use alloy_consensus::{BlockBody, Header, Sealed, constants::EMPTY_ROOT_HASH};
use alloy_eips::eip7928::{BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use warpline_types::AccountState;

/// The state by hashed keys, and the nodes of its tries: what computing a root needs.
pub trait HashedState {
    /// An account by the Keccak-256 of its address.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past, which has no storage roots.
    fn account_by_hash(&self, account: &B256) -> Result<Option<StoredAccount>, StorageError>;

    /// A slot by the Keccak-256 of address and key. Zero where there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    fn slot_by_hash(&self, account: &B256, slot: &B256) -> Result<U256, StorageError>;

    /// Accounts in ascending order from a hash on, at most `limit`, fewer only at the end.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past.
    fn accounts_from(
        &self,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, StoredAccount)>, StorageError>;

    /// The first account from a hash on that has any slot.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past.
    fn account_with_storage(&self, start: &B256) -> Result<Option<B256>, StorageError>;

    /// Slots of an account in ascending order from a hash on, at most `limit`, fewer only at the
    /// end. No zeros.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past.
    fn slots_from(
        &self,
        account: &B256,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, U256)>, StorageError>;

    /// A node of the account trie.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past.
    fn account_node(&self, path: &[u8]) -> Result<Option<Bytes>, StorageError>;

    /// A node of the storage trie of an account.
    ///
    /// # Errors
    /// The database cannot be read, or the snapshot is of the past.
    fn storage_node(&self, account: &B256, path: &[u8]) -> Result<Option<Bytes>, StorageError>;
}

/// State by address.
impl StateReader<'_> {
    /// An account.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn account(&self, address: &Address) -> Result<Option<AccountState>, StorageError> {
        let (cache, epoch) = (&self.snapshot.shared.cache, self.snapshot.epoch);
        if let Some(known) = epoch.and_then(|epoch| cache.account(epoch, address)) {
            return Ok(known);
        }
        let hash = keccak256(address);
        let account = match self.pending(|block| block.account_by_hash(&hash)) {
            Some(account) => account,
            None => self.written_account(&hash)?,
        };
        if let Some(epoch) = epoch {
            cache.learn_account(epoch, *address, account);
        }
        Ok(account)
    }

    /// Many accounts, given by the hashes of their addresses in ascending order, in which neighbours
    /// share pages. What is read this way is not cached.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn accounts_in_order(
        &self,
        wanted: &[B256],
    ) -> Result<Vec<Option<AccountState>>, StorageError> {
        let mut written = tables::AccountsInOrder::new(self.view.tx()?)?;
        let account = |hash: &B256| match (
            self.pending(|block| block.account_by_hash(hash)),
            &self.snapshot.source,
        ) {
            (Some(account), _) => Ok(account),
            (None, Source::Head(_)) => Ok(written.find(hash)?.map(|account| account.state)),
            (None, Source::Past) => self.written_account(hash),
        };
        wanted.iter().map(account).collect()
    }

    /// A slot. Zero where there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn storage(&self, address: &Address, slot: U256) -> Result<U256, StorageError> {
        let (cache, epoch) = (&self.snapshot.shared.cache, self.snapshot.epoch);
        if let Some(known) = epoch.and_then(|epoch| cache.slot(epoch, *address, slot)) {
            return Ok(known);
        }
        let (account, key) = (self.hash_of(address), keccak256(slot.to_be_bytes::<32>()));
        let value = match self.pending(|block| block.slot_by_hash(&account, &key)) {
            Some(value) => value,
            None => self.written_slot(&account, &key)?,
        };
        if let Some(epoch) = epoch {
            cache.learn_slot(epoch, *address, slot, value);
        }
        Ok(value)
    }

    /// The hash of an address whose slots are read one after the other.
    fn hash_of(&self, address: &Address) -> B256 {
        match self.last.get() {
            Some((last, hash)) if last == *address => hash,
            _ => {
                let hash = keccak256(address);
                self.last.set(Some((*address, hash)));
                hash
            }
        }
    }

    /// The code with a hash.
    ///
    /// # Errors
    /// The database cannot be read, or does not have it.
    pub fn code(&self, hash: &B256) -> Result<Bytes, StorageError> {
        if *hash == KECCAK256_EMPTY || hash.is_zero() {
            return Ok(Bytes::new());
        }
        let cache = &self.snapshot.shared.cache;
        if let Some(code) = cache.code(hash) {
            return Ok(code);
        }
        let code = match self.pending(|block| block.code(hash)) {
            Some(code) => code,
            None => tables::code(self.view.tx()?, hash)?.ok_or_else(|| missing_code(hash))?,
        };
        cache.learn_code(*hash, code.clone());
        Ok(code)
    }

    /// The address or the storage key behind a hash, where the chain keeps them. It may belong to
    /// another state than this.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn preimage(&self, hash: &B256) -> Result<Option<Bytes>, StorageError> {
        match self.pending(|block| block.preimage(hash)) {
            Some(preimage) => Ok(Some(preimage)),
            None => tables::code(self.view.tx()?, hash),
        }
    }

    fn pending<T>(&self, of: impl Fn(&PendingBlock) -> Option<T>) -> Option<T> {
        self.snapshot.overlay().iter().find_map(|block| of(block))
    }

    fn written_account(&self, hash: &B256) -> Result<Option<AccountState>, StorageError> {
        let (tx, view, number) = (self.view.tx()?, &self.view, self.snapshot.block.number);
        match self.snapshot.source {
            Source::Head(_) => Ok(tables::account(tx, hash)?.map(|account| account.state)),
            Source::Past => account_at(tx, &view.progress, view.head.number, hash, number),
        }
    }

    /// The root of the storage of an account that exists.
    fn storage_root(&self, account: &B256) -> Result<B256, StorageError> {
        if let Some(root) = self.pending(|block| block.storage_root(account)) {
            return Ok(root);
        }
        let written = tables::account(self.view.tx()?, account)?;
        Ok(written.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }

    fn written_slot(&self, account: &B256, slot: &B256) -> Result<U256, StorageError> {
        let (tx, view, number) = (self.view.tx()?, &self.view, self.snapshot.block.number);
        match self.snapshot.source {
            Source::Head(_) => tables::slot(tx, account, slot),
            Source::Past => slot_at(tx, &view.progress, view.head.number, (account, slot), number),
        }
    }
}

impl HashedState for StateReader<'_> {
    fn account_by_hash(&self, account: &B256) -> Result<Option<StoredAccount>, StorageError> {
        self.view.walkable("an account with its storage root", self.snapshot)?;
        let state = match self.pending(|block| block.account_by_hash(account)) {
            None => return tables::account(self.view.tx()?, account),
            Some(None) => return Ok(None),
            Some(Some(state)) => state,
        };
        let storage_root = self.storage_root(account)?;
        Ok(Some(StoredAccount { state, storage_root }))
    }

    fn slot_by_hash(&self, account: &B256, slot: &B256) -> Result<U256, StorageError> {
        let pending = self.pending(|block| block.slot_by_hash(account, slot));
        pending.map_or_else(|| self.written_slot(account, slot), Ok)
    }

    fn accounts_from(
        &self,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, StoredAccount)>, StorageError> {
        self.view.walkable("a range of accounts", self.snapshot)?;
        let tx = self.view.tx()?;
        let written = |start: &B256, limit| tables::accounts_from(tx, start, limit);
        let changes = accounts_from(self.snapshot.overlay(), start)
            .map(|changed| (changed.hash, changed.after.map(StoredAccount::from)));
        let mut found = merge(changes, start, limit, written)?;
        if !self.snapshot.overlay().is_empty() {
            for (account, stored) in &mut found {
                stored.storage_root = self.storage_root(account)?;
            }
        }
        Ok(found)
    }

    fn account_with_storage(&self, start: &B256) -> Result<Option<B256>, StorageError> {
        self.view.walkable("a range of accounts", self.snapshot)?;
        let mut next = Some(*start);
        while let Some(from) = next {
            let written = tables::account_with_storage(self.view.tx()?, &from)?;
            let pending = account_with_slots(self.snapshot.overlay(), &from);
            let Some(account) = written.into_iter().chain(pending).min() else { break };
            if !self.slots_from(&account, &B256::ZERO, 1)?.is_empty() {
                return Ok(Some(account));
            }
            next = tables::successor(account);
        }
        Ok(None)
    }

    fn slots_from(
        &self,
        account: &B256,
        start: &B256,
        limit: usize,
    ) -> Result<Vec<(B256, U256)>, StorageError> {
        self.view.walkable("a range of slots", self.snapshot)?;
        let tx = self.view.tx()?;
        let written = |start: &B256, limit| tables::slots_from(tx, account, start, limit);
        let (changes, cleared) = slots_from(self.snapshot.overlay(), account, start);
        let changes =
            changes.map(|slot| (slot.hash, Some(slot.after).filter(|value| !value.is_zero())));
        match cleared {
            true => merge(changes, start, limit, |_, _| Ok(Vec::new())),
            false => merge(changes, start, limit, written),
        }
    }

    fn account_node(&self, path: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.view.walkable("a trie node", self.snapshot)?;
        match self.pending(|block| block.account_node(path)) {
            Some(node) => Ok(node),
            None => tables::account_node(self.view.tx()?, path),
        }
    }

    fn storage_node(&self, account: &B256, path: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.view.walkable("a trie node", self.snapshot)?;
        match self.pending(|block| block.storage_node(account, path)) {
            Some(node) => Ok(node),
            None => tables::storage_node(self.view.tx()?, account, path),
        }
    }
}

/// Walks through what is written and what is pending, both from `start` on, at once.
fn merge<V: Copy>(
    changes: impl Iterator<Item = (B256, Option<V>)>,
    start: &B256,
    limit: usize,
    written: impl Fn(&B256, usize) -> Result<Vec<(B256, V)>, StorageError>,
) -> Result<Vec<(B256, V)>, StorageError> {
    let mut found = Vec::new();
    let mut changes = changes.peekable();
    let mut next = Some(*start);
    while let Some(from) = next {
        let chunk = written(&from, limit)?;
        let last = (chunk.len() == limit).then(|| chunk.last().map(|(key, _)| *key)).flatten();
        for (key, value) in chunk {
            while let Some((changed, new)) = changes.next_if(|(changed, _)| *changed < key) {
                found.extend(new.map(|new| (changed, new)));
            }
            match changes.next_if(|(changed, _)| *changed == key) {
                Some((_, new)) => found.extend(new.map(|new| (key, new))),
                None => found.push((key, value)),
            }
        }
        next = last.filter(|_| found.len() < limit).and_then(tables::successor);
    }
    let room = limit.saturating_sub(found.len());
    found.extend(changes.filter_map(|(key, new)| new.map(|new| (key, new))).take(room));
    found.truncate(limit);
    Ok(found)
}

/// Blocks by number and hash, up to the block of the snapshot.
impl StateReader<'_> {
    fn pending_block(&self, number: u64) -> Option<&PendingBlock> {
        let overlay = self.snapshot.overlay().iter();
        overlay.map(AsRef::as_ref).find(|pending| pending.block.number == number)
    }

    fn known(&self, number: u64) -> bool {
        number <= self.snapshot.block.number
    }

    /// The hash of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn block_hash(&self, number: u64) -> Result<Option<B256>, StorageError> {
        match self.pending_block(number) {
            Some(pending) => Ok(Some(pending.block.hash)),
            None if self.known(number) => tables::block_hash(self.view.tx()?, number),
            None => Ok(None),
        }
    }

    /// The height of the block with a hash.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn block_number(&self, hash: &B256) -> Result<Option<u64>, StorageError> {
        let of_hash = |p: &PendingBlock| (p.block.hash == *hash).then_some(p.block.number);
        match self.pending(of_hash) {
            Some(number) => Ok(Some(number)),
            None => {
                let number = tables::block_number(self.view.tx()?, hash)?;
                Ok(number.filter(|number| self.known(*number)))
            }
        }
    }

    /// Header and total difficulty of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn header(&self, number: u64) -> Result<Option<(Header, U256)>, StorageError> {
        match self.pending_block(number) {
            Some(PendingBlock { commit, .. }) => {
                Ok(Some((commit.header.inner().clone(), commit.total_difficulty)))
            }
            None if self.known(number) => tables::header(self.view.tx()?, number),
            None => Ok(None),
        }
    }

    /// Transactions, ommers and withdrawals of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn body(&self, number: u64) -> Result<Option<BlockBody<Transaction>>, StorageError> {
        match self.pending_block(number) {
            Some(pending) => Ok(Some(pending.commit.body.clone())),
            None if self.known(number) => tables::body(self.view.tx()?, number),
            None => Ok(None),
        }
    }

    /// One transaction of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn transaction(
        &self,
        number: u64,
        index: usize,
    ) -> Result<Option<Transaction>, StorageError> {
        match self.pending_block(number) {
            Some(pending) => Ok(pending.commit.body.transactions.get(index).cloned()),
            None if self.known(number) => tables::transaction(self.view.tx()?, number, index),
            None => Ok(None),
        }
    }

    /// Block number and index of the transaction with a hash.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn transaction_position(&self, hash: &B256) -> Result<Option<(u64, u64)>, StorageError> {
        let index = |p: &PendingBlock| {
            p.transaction_index(hash).map(|index| (p.block.number, u64::from(index)))
        };
        match self.pending(index) {
            Some(position) => Ok(Some(position)),
            None => {
                let position = tables::position(self.view.tx()?, hash)?;
                Ok(position.filter(|(number, _)| self.known(*number)))
            }
        }
    }

    /// The senders of the transactions of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read, or they have been pruned.
    pub fn senders(&self, number: u64) -> Result<Option<Vec<Address>>, StorageError> {
        match self.pending_block(number) {
            Some(pending) => Ok(Some(pending.commit.senders.clone())),
            None if self.known(number) => {
                check_kept("senders", number, self.view.progress.senders_from)?;
                tables::senders(self.view.tx()?, number)
            }
            None => Ok(None),
        }
    }

    /// The receipts of the transactions of the block at a height.
    ///
    /// # Errors
    /// The database cannot be read, or they have been pruned.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<StoredReceipt>>, StorageError> {
        match self.pending_block(number) {
            Some(pending) => Ok(Some(pending.commit.receipts.clone())),
            None if self.known(number) => {
                check_kept("receipts", number, self.view.progress.receipts_from)?;
                tables::receipts(self.view.tx()?, number)
            }
            None => Ok(None),
        }
    }

    /// The access list of a block (EIP-7928) with its hash, where it is kept. The block may also be
    /// one that was in the chain once, or is not there yet again.
    ///
    /// # Errors
    /// The database cannot be read, or the list is damaged.
    pub fn access_list(
        &self,
        block: BlockRef,
    ) -> Result<Option<Sealed<BlockAccessList>>, StorageError> {
        let pending = self.pending_block(block.number).filter(|p| p.block == block);
        match pending.and_then(|pending| pending.commit.access_list.as_ref()) {
            Some(list) => {
                let hash = compute_block_access_list_hash(list);
                Ok(Some(Sealed::new_unchecked(list.clone(), hash)))
            }
            None => tables::access_list(self.view.tx()?, block),
        }
    }
}
