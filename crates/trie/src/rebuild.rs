//! The trie from nothing but the flat state, in one pass in key order.
//!
//! For a state that was imported as a whole, and to verify what a database holds. Memory does not
//! depend on the size of the state: leaves are read ahead by one page, which is enough to tell
//! whether a prefix has a stored node, and everything else is folded at once.

use crate::{
    accounts::{Account, Accounts},
    encode::{self, NodeRef},
    error::{SourceError, TrieError},
    page::{Leaf, Page, Top},
    pass::Scratch,
    path::Path,
    record,
    source::{FlatAccount, TrieReader, TrieSource},
    storage::Storage,
    tree::{Inner, Kind, location},
};
use alloy_primitives::{B256, U256};
use alloy_trie::Nibbles;
use rayon::prelude::*;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// How many leaves are read at a time, at least.
const CHUNK: usize = 256;

/// Something that a rebuild found out and that is to be stored, or compared with what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'a> {
    /// A node of the account trie, or of the storage trie of an account. Nodes come below before
    /// above.
    Node {
        /// The (hashed) account whose storage trie it belongs to.
        storage_of: Option<B256>,
        /// Its path.
        path: Nibbles,
        /// What is to be stored there.
        node: &'a [u8],
    },
    /// An account's storage root is not the one that its flat account carries.
    StorageRoot {
        /// The hashed address.
        account: B256,
        /// The root in the flat account.
        stored: B256,
        /// The root of the slots.
        computed: B256,
    },
}

/// The sum of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The state root, with the storage roots computed from the slots.
    pub root: B256,
    /// Number of accounts.
    pub accounts: u64,
    /// Number of slots.
    pub slots: u64,
    /// Number of nodes reported.
    pub nodes: u64,
}

/// Computes the state root of a flat state, and reports every node that belongs into its store.
/// Stored nodes are not read. Fails on slots whose account does not exist, and as soon as `sink`
/// does.
pub fn rebuild<S: TrieSource>(
    source: &S,
    page_limit: usize,
    threads: usize,
    sink: impl FnMut(Finding<'_>) -> Result<(), SourceError> + Send,
) -> Result<Rebuilt, TrieError> {
    let sink = Mutex::new(sink);
    let report = |finding: Finding<'_>| {
        let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
        (*sink)(finding).map_err(TrieError::Sink)
    };
    let limit = page_limit.max(2);
    let build = |at: Path| {
        let reader = source.open().map_err(TrieError::Open)?;
        let mut builder = Builder::new(reader, limit, &report, at)?;
        let subtrie = builder.subtrie(at)?;
        builder.no_more_storage()?;
        Ok((subtrie, builder.totals))
    };
    if threads < 2 {
        let (subtrie, totals) = build(Path::ROOT)?;
        return Ok(Rebuilt { root: subtrie.node.root(), accounts: subtrie.count, ..totals });
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let parts: Vec<(Subtrie, Rebuilt)> = pool.install(|| {
        let parts = (0..16usize).into_par_iter().with_max_len(1);
        parts.map(|nibble| build(Path::ROOT.child(nibble))).collect::<Result<_, TrieError>>()
    })?;
    let accounts: u64 = parts.iter().map(|(subtrie, _)| subtrie.count).sum();
    if accounts < limit as u64 {
        // No part had a node, and what there is of storage would be reported twice: once more
        // without reporting.
        let mut builder =
            Builder::new(source.open().map_err(TrieError::Open)?, limit, &|_| Ok(()), Path::ROOT)?;
        let subtrie = builder.subtrie(Path::ROOT)?;
        let nodes = parts.iter().map(|(_, totals)| totals.nodes).sum();
        return Ok(Rebuilt { root: subtrie.node.root(), accounts, nodes, ..builder.totals });
    }
    let mut totals = Rebuilt { accounts, ..Rebuilt::default() };
    let mut children = Vec::with_capacity(16);
    for (subtrie, part) in parts {
        totals.slots += part.slots;
        totals.nodes += part.nodes;
        children.push(subtrie);
    }
    let mut scratch = Scratch::default();
    let top = fold::<Accounts>((), Path::ROOT, &children, &report, &mut scratch)?;
    Ok(Rebuilt { root: top.node.root(), nodes: totals.nodes + 1, ..totals })
}

/// A subtrie of which only its connection with what is above is left.
struct Subtrie {
    count: u64,
    /// Its node, as its parent sees it.
    node: NodeRef,
    /// Its topmost branch, if it has several leaves.
    top: Option<Top>,
}

/// Reads a range of accounts, and their storage, in step.
struct Builder<'s, R> {
    reader: R,
    /// The part of the accounts that this one reads.
    range: Path,
    limit: usize,
    report: &'s (dyn Fn(Finding<'_>) -> Result<(), TrieError> + Sync),
    /// Accounts read ahead.
    ahead: VecDeque<Leaf<Account>>,
    /// Where to go on reading; `None` at the end.
    next: Option<B256>,
    /// The next account that has slots.
    with_storage: Option<B256>,
    totals: Rebuilt,
    scratch: Scratch,
}

impl<'s, R: TrieReader> Builder<'s, R> {
    fn new(
        mut reader: R,
        limit: usize,
        report: &'s (dyn Fn(Finding<'_>) -> Result<(), TrieError> + Sync),
        range: Path,
    ) -> Result<Self, TrieError> {
        let with_storage = next_with_storage(&mut reader, Some(range.first_key()))?;
        Ok(Self {
            reader,
            range,
            limit,
            report,
            ahead: VecDeque::new(),
            next: Some(range.first_key()),
            with_storage,
            totals: Rebuilt::default(),
            scratch: Scratch::default(),
        })
    }

    /// Folds the accounts below `at`, which are the next ones.
    fn subtrie(&mut self, at: Path) -> Result<Subtrie, TrieError> {
        while self.ahead.len() < self.limit && self.read_accounts(at)? {}
        if !self.ahead.get(self.limit - 1).is_some_and(|leaf| at.contains(&leaf.key)) {
            return Ok(page::<Accounts>(&mut self.ahead, at, &mut self.scratch));
        }
        let mut children = Vec::with_capacity(16);
        for nibble in 0..16 {
            children.push(self.subtrie(at.child(nibble))?);
        }
        self.totals.nodes += 1;
        fold::<Accounts>((), at, &children, self.report, &mut self.scratch)
    }

    /// Reads some more accounts. False if there are no more.
    fn read_accounts(&mut self, at: Path) -> Result<bool, TrieError> {
        let Some(from) = self.next else { return Ok(false) };
        let mut chunk: Vec<(B256, FlatAccount)> = Vec::with_capacity(CHUNK);
        let range = self.range;
        self.reader
            .accounts(from, &mut |key, account| {
                if !range.contains(&key) {
                    return false;
                }
                chunk.push((key, account));
                chunk.len() < CHUNK
            })
            .map_err(|source| TrieError::Read { at: location::<Accounts>((), at), source })?;
        self.next = advance::<Accounts, _>((), at, from, &chunk, CHUNK)?;
        for (key, mut flat) in chunk {
            if self.with_storage.is_some_and(|account| account < key) {
                return self.no_more_storage().map(|()| true);
            }
            let mut root = alloy_trie::EMPTY_ROOT_HASH;
            if self.with_storage == Some(key) {
                root = self.storage_root(key)?;
                self.with_storage = next_with_storage(&mut self.reader, successor(key))?;
            }
            if root != flat.storage_root {
                let stored = flat.storage_root;
                (self.report)(Finding::StorageRoot { account: key, stored, computed: root })?;
                flat.storage_root = root;
            }
            self.ahead.push_back(Leaf::new(key, Account::new(flat)));
        }
        Ok(true)
    }

    /// Fails if there is an account in range with slots that was not met.
    fn no_more_storage(&self) -> Result<(), TrieError> {
        match self.with_storage.filter(|account| self.range.contains(account)) {
            Some(account) => Err(TrieError::StorageWithoutAccount { account }),
            None => Ok(()),
        }
    }

    fn storage_root(&mut self, account: B256) -> Result<B256, TrieError> {
        let mut slots = Slots { account, ahead: VecDeque::new(), next: Some(B256::ZERO) };
        let subtrie = self.storage_subtrie(&mut slots, Path::ROOT)?;
        self.totals.slots += subtrie.count;
        Ok(subtrie.node.root())
    }

    fn storage_subtrie(&mut self, slots: &mut Slots, at: Path) -> Result<Subtrie, TrieError> {
        while slots.ahead.len() < self.limit && self.read_slots(slots, at)? {}
        if !slots.ahead.get(self.limit - 1).is_some_and(|leaf| at.contains(&leaf.key)) {
            return Ok(page::<Storage>(&mut slots.ahead, at, &mut self.scratch));
        }
        let mut children = Vec::with_capacity(16);
        for nibble in 0..16 {
            children.push(self.storage_subtrie(slots, at.child(nibble))?);
        }
        self.totals.nodes += 1;
        fold::<Storage>(slots.account, at, &children, self.report, &mut self.scratch)
    }

    fn read_slots(&mut self, slots: &mut Slots, at: Path) -> Result<bool, TrieError> {
        let Some(from) = slots.next else { return Ok(false) };
        let mut chunk: Vec<(B256, U256)> = Vec::new();
        self.reader
            .storage(slots.account, from, &mut |key, value| {
                chunk.push((key, value));
                chunk.len() < CHUNK
            })
            .map_err(|source| TrieError::Read {
                at: location::<Storage>(slots.account, at),
                source,
            })?;
        slots.next = advance::<Storage, _>(slots.account, at, from, &chunk, CHUNK)?;
        slots.ahead.extend(chunk.into_iter().map(|(key, value)| Leaf::new(key, value)));
        Ok(true)
    }
}

/// The slots of one account, read ahead.
struct Slots {
    account: B256,
    ahead: VecDeque<Leaf<U256>>,
    next: Option<B256>,
}

/// The first account from `from` on that has slots.
fn next_with_storage(
    reader: &mut impl TrieReader,
    from: Option<B256>,
) -> Result<Option<B256>, TrieError> {
    let Some(from) = from else { return Ok(None) };
    let read = |source| TrieError::Read { at: location::<Accounts>((), Path::ROOT), source };
    reader.account_with_storage(from).map_err(read)
}

/// Where to go on after a chunk; `None` if it was the last.
fn advance<K: Kind, V>(
    scope: K::Scope,
    at: Path,
    from: B256,
    chunk: &[(B256, V)],
    full: usize,
) -> Result<Option<B256>, TrieError> {
    let first = chunk.first().filter(|(key, _)| *key < from);
    let unsorted = chunk.windows(2).find(|pair| pair[0].0 >= pair[1].0).map(|pair| &pair[1]);
    if let Some(&(key, _)) = first.or(unsorted) {
        return Err(TrieError::Disorder { at: location::<K>(scope, at), key });
    }
    let last = chunk.last().filter(|_| chunk.len() == full);
    Ok(last.and_then(|(key, _)| successor(*key)))
}

/// The next key; `None` after the last one.
fn successor(key: B256) -> Option<B256> {
    U256::from_be_bytes(key.0).checked_add(U256::ONE).map(B256::from)
}

/// Folds a small subtrie: the leaves at the front that are below `at`.
fn page<K: Kind>(ahead: &mut VecDeque<Leaf<K::Value>>, at: Path, scratch: &mut Scratch) -> Subtrie {
    let leaves = ahead.iter().take_while(|leaf| at.contains(&leaf.key)).count();
    let mut page = Page::<K>::new(ahead.drain(..leaves).collect());
    let node = page.node(at.depth(), scratch);
    Subtrie { count: leaves as u64, node, top: page.top() }
}

/// Folds the sixteen subtries below a prefix with many leaves, and reports its node.
fn fold<K: Kind>(
    scope: K::Scope,
    at: Path,
    children: &[Subtrie],
    report: &(dyn Fn(Finding<'_>) -> Result<(), TrieError> + Sync),
    scratch: &mut Scratch,
) -> Result<Subtrie, TrieError> {
    let mut inner = Inner::<K>::default();
    for (slot, child) in inner.slots.iter_mut().zip(children) {
        (slot.count, slot.node) = (child.count, child.node);
    }
    let mut bytes = Vec::new();
    record::encode(&inner, &mut bytes);
    let storage_of = K::storage_of(scope);
    report(Finding::Node { storage_of, path: at.nibbles(), node: &bytes })?;
    let only = inner.only_child().and_then(|nibble| children.get(nibble)?.top);
    let top = only.unwrap_or_else(|| {
        encode::branch(inner.slots.iter().map(|slot| &slot.node), &mut scratch.rlp);
        Top { depth: at.depth(), node: NodeRef::to(&scratch.rlp), key: at.first_key() }
    });
    let node = encode::skip_to(&top.key, at.depth(), top.depth, top.node, &mut scratch.rlp);
    Ok(Subtrie { count: inner.count(), node, top: Some(top) })
}
