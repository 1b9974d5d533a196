//! The pool: what the node and the RPC server call.

use crate::{
    Accounts, AccountsError, BlobRules, Head, PoolAccount, PoolConfig, PoolError,
    admit::Admitted,
    check::Rules,
    decode::decode,
    journal::Journal,
    state::{Changes, State},
    stats::{Counters, count},
    transaction::{Origin, PoolTransaction, PooledEnvelope, Prepared},
};
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, TxHash, map::AddressMap};
use core::fmt;
use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;
use std::{sync::Arc, time::Instant};

/// Transactions admitted under one lock.
const CHUNK: usize = 256;

/// A transaction that entered the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Its hash.
    pub hash: TxHash,
    /// Whether it could be in the next block or behind others of its sender in it; otherwise it
    /// waits for a nonce that is missing.
    pub pending: bool,
    /// The transaction that left for it: same sender, same nonce, lower fees.
    pub replaced: Option<TxHash>,
}

/// What is called with transactions that have become pending.
pub type Listener = Box<dyn Fn(&[Arc<PoolTransaction>]) + Send + Sync>;

/// The transactions that wait for a block.
///
/// Shared by reference between any number of threads. There is one lock, and it is held for the
/// bookkeeping of a transaction only: decoding, signatures, proofs, reading accounts, the
/// journal, listeners and freeing memory all happen outside.
///
/// A transaction is *pending* if the pool has all transactions of its sender with nonces from the
/// account's to its own, and *queued* if one is missing. Whether the next block's base fee allows
/// it in does not matter for that; [`Pool::best`] leaves out what it does not.
pub struct Pool {
    pub(crate) config: PoolConfig,
    pub(crate) state: RwLock<State>,
    pub(crate) counters: Counters,
    pub(crate) journal: Option<Mutex<Journal>>,
    /// Held while the head changes, so that one change follows the other.
    pub(crate) head_change: Mutex<()>,
    listeners: RwLock<Vec<Listener>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool on a head. The journal is neither read nor written until
    /// [`Pool::open_journal`].
    pub fn new(config: PoolConfig, head: Head, accounts: Arc<dyn Accounts>) -> Self {
        let rules = Rules::new(head, config.price_limit);
        let journal = config.journal.clone().map(|path| Mutex::new(Journal::new(path)));
        Self {
            state: RwLock::new(State::new(&config, rules, accounts)),
            config,
            counters: Counters::default(),
            journal,
            head_change: Mutex::new(()),
            listeners: RwLock::new(Vec::new()),
        }
    }

    /// The limits and switches.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// The head that transactions are held against.
    pub fn head(&self) -> Head {
        self.state.read().rules.head
    }

    /// The smallest tip that is accepted from others, in wei.
    pub fn min_tip(&self) -> u128 {
        self.state.read().rules.min_tip
    }

    /// Changes the smallest tip. What is in the pool stays.
    pub fn set_min_tip(&self, min_tip: u128) {
        let mut state = self.state.write();
        state.rules = Arc::new(Rules::new(state.rules.head, min_tip));
    }

    /// Changes the fees of the next block, as a development chain may at any time.
    pub fn set_next_fees(&self, base_fee: u64, blob_fee: u128) {
        let mut state = self.state.write();
        let mut head = state.rules.head;
        head.base_fee = base_fee;
        head.blobs = head.blobs.map(|blobs| BlobRules { fee: blob_fee, ..blobs });
        state.rules = Arc::new(Rules::new(head, state.rules.min_tip));
        state.order.set_base_fee(base_fee.into());
    }

    /// Calls `listener` with all transactions that become pending from now on: those that arrive,
    /// and queued ones whose gap closes. It is called on the thread that caused it, after the
    /// fact and outside of all locks, with the transactions of one sender in nonce order; it
    /// should not take long. What arrives on several threads may be reported in any order.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Decodes a transaction in the network form (EIP-2718), recovers its sender, verifies its
    /// proofs, and checks all that takes no state. Costs about 50 µs, most of it the signature;
    /// milliseconds if there are blobs.
    ///
    /// # Errors
    /// The first reason not to admit the transaction.
    pub fn prepare(&self, raw: &[u8], origin: Origin) -> Result<Prepared, PoolError> {
        self.counting(decode(raw).and_then(|tx| self.check(tx, None, origin)))
    }

    /// Does what [`Pool::prepare`] does with a decoded transaction.
    ///
    /// # Errors
    /// The first reason not to admit the transaction.
    pub fn prepare_transaction(
        &self,
        tx: PooledEnvelope,
        origin: Origin,
    ) -> Result<Prepared, PoolError> {
        self.counting(self.check(tx, None, origin))
    }

    /// Does what [`Pool::prepare`] does with a transaction whose sender is known, be it recovered
    /// or impersonated.
    ///
    /// # Errors
    /// The first reason not to admit the transaction.
    pub fn prepare_recovered(
        &self,
        tx: Recovered<PooledEnvelope>,
        origin: Origin,
    ) -> Result<Prepared, PoolError> {
        let (tx, sender) = tx.into_parts();
        self.counting(self.check(tx, Some(sender), origin))
    }

    /// Prepares many transactions on all of rayon's threads. Results are in the order given.
    pub fn prepare_batch<B: AsRef<[u8]> + Sync>(
        &self,
        raw: &[B],
        origin: Origin,
    ) -> Vec<Result<Prepared, PoolError>> {
        let each: Vec<_> = raw.iter().map(|raw| (raw.as_ref(), origin)).collect();
        self.prepare_each(&each)
    }

    /// Prepares many transactions of several origins.
    pub(crate) fn prepare_each<B: AsRef<[u8]> + Sync>(
        &self,
        raw: &[(B, Origin)],
    ) -> Vec<Result<Prepared, PoolError>> {
        // Below this it costs more to share the work than to do it.
        const WORTH_SHARING: usize = 4;
        let prepare = |(raw, origin): &(B, Origin)| self.prepare(raw.as_ref(), *origin);
        match raw.len() < WORTH_SHARING {
            true => raw.iter().map(prepare).collect(),
            false => raw.par_iter().map(prepare).collect(),
        }
    }

    /// Adds a transaction in the network form (EIP-2718).
    ///
    /// # Errors
    /// Why it is refused; the pool is as it was then.
    pub fn add(&self, raw: &[u8], origin: Origin) -> Result<Added, PoolError> {
        self.prepare(raw, origin).and_then(|tx| self.admit_one(tx))
    }

    /// Adds a decoded transaction.
    ///
    /// # Errors
    /// As [`Pool::add`].
    pub fn add_transaction(&self, tx: PooledEnvelope, origin: Origin) -> Result<Added, PoolError> {
        self.prepare_transaction(tx, origin).and_then(|tx| self.admit_one(tx))
    }

    /// Adds a transaction whose sender is known. With [`Origin::Impersonated`] the signature may
    /// be anything, but the hash, which depends on it, must differ from all others'.
    ///
    /// # Errors
    /// As [`Pool::add`].
    pub fn add_recovered(
        &self,
        tx: Recovered<PooledEnvelope>,
        origin: Origin,
    ) -> Result<Added, PoolError> {
        self.prepare_recovered(tx, origin).and_then(|tx| self.admit_one(tx))
    }

    /// Adds many transactions; senders are recovered on all of rayon's threads. Results are in
    /// the order given, in which the transactions are also admitted.
    pub fn add_batch<B: AsRef<[u8]> + Sync>(
        &self,
        raw: &[B],
        origin: Origin,
    ) -> Vec<Result<Added, PoolError>> {
        let prepared = self.prepare_batch(raw, origin);
        let (good, mut results): (Vec<_>, Vec<_>) = prepared
            .into_iter()
            .map(|result| match result {
                Ok(tx) => (Some(tx), None),
                Err(error) => (None, Some(Err(error))),
            })
            .unzip();
        self.merge_admitted(good.into_iter().flatten().collect(), &mut results);
        results.into_iter().flatten().collect()
    }

    /// Puts transactions back that were in the pool before, as a development chain does when it
    /// returns to an earlier state. Signatures and proofs are not looked at again.
    pub fn readmit(&self, txs: Vec<Arc<PoolTransaction>>) -> Vec<Result<Added, PoolError>> {
        let rules = self.state.read().rules.clone();
        let (prepared, mut results): (Vec<_>, Vec<_>) = (txs.into_iter())
            .map(|tx| match rules.check_again(&tx) {
                Ok(()) => (Some(Prepared { tx, rules: rules.clone() }), None),
                Err(error) => (None, Some(Err(error))),
            })
            .unzip();
        self.merge_admitted(prepared.into_iter().flatten().collect(), &mut results);
        results.into_iter().flatten().collect()
    }

    /// Admits transactions and puts the results where none are.
    fn merge_admitted(&self, txs: Vec<Prepared>, results: &mut [Option<Result<Added, PoolError>>]) {
        let mut admitted = self.admit(txs).into_iter();
        for result in results.iter_mut().filter(|result| result.is_none()) {
            *result = admitted.next();
        }
    }

    /// Admits prepared transactions in the order given, which is that of the results too.
    pub fn admit(&self, txs: Vec<Prepared>) -> Vec<Result<Added, PoolError>> {
        let journaled = self.journaled(&txs);
        let mut results = Vec::with_capacity(txs.len());
        let mut changes = Changes::default();
        for chunk in txs.chunks(CHUNK) {
            self.admit_chunk(chunk, &mut results, &mut changes);
        }
        let added = results.iter().filter(|result| result.is_ok()).count();
        let replaced = results.iter().flatten().filter(|added| added.replaced.is_some()).count();
        count(&self.counters.added, added);
        count(&self.counters.replaced, replaced);
        count(&self.counters.refused, results.len() - added);
        count(&self.counters.dropped, changes.removed.len().saturating_sub(replaced));
        self.keep(journaled, &results);
        self.publish(&changes.promoted);
        results
    }

    fn admit_one(&self, tx: Prepared) -> Result<Added, PoolError> {
        let result = self.admit(vec![tx]).pop();
        result.unwrap_or_else(|| Err(AccountsError::new("the transaction was lost").into()))
    }

    /// Admits transactions under one lock, after reading the accounts of unknown senders outside
    /// of it. If the head changes in between, the accounts are read again.
    fn admit_chunk(
        &self,
        txs: &[Prepared],
        results: &mut Vec<Result<Added, PoolError>>,
        changes: &mut Changes,
    ) {
        let now = Instant::now();
        loop {
            let (generation, accounts, unknown) = self.unknown_senders(txs);
            let mut read: AddressMap<Result<PoolAccount, AccountsError>> =
                unknown.into_iter().map(|s| (s, accounts.account(&s))).collect();
            let mut state = self.state.write();
            let missing = |tx: &Prepared| {
                let sender = tx.tx.sender();
                state.sender(&sender).is_none() && !read.contains_key(&sender)
            };
            // A sender that was known has lost its last transaction meanwhile.
            if state.generation != generation || txs.iter().any(missing) {
                continue;
            }
            for Prepared { tx, rules } in txs {
                let sender = tx.sender();
                let account = match (state.sender(&sender), read.get_mut(&sender)) {
                    (Some(queue), _) => Ok(*queue.account()),
                    (None, Some(Ok(account))) => Ok(*account),
                    (None, Some(failed)) => std::mem::replace(failed, unreadable()),
                    // Its last transaction was evicted in this loop: its account is that of
                    // the head, as all are.
                    (None, None) => accounts.account(&sender),
                };
                // The head has changed since the transaction was held against the rules.
                let checked = match Arc::ptr_eq(rules, &state.rules) {
                    true => Ok(()),
                    false => state.rules.check_again(tx),
                };
                let admitted = checked
                    .and_then(|()| account.map_err(PoolError::from))
                    .and_then(|account| state.admit(&self.config, tx.clone(), account, now));
                results.push(admitted.map(|admitted| {
                    let Admitted { pending, replaced, changes: new } = admitted;
                    changes.promoted.extend(new.promoted);
                    changes.removed.extend(new.removed);
                    Added { hash: tx.hash(), pending, replaced }
                }));
            }
            return;
        }
    }

    /// The senders whose accounts the pool does not hold, and where to read them.
    fn unknown_senders(&self, txs: &[Prepared]) -> (u64, Arc<dyn Accounts>, Vec<Address>) {
        let state = self.state.read();
        let mut unknown: Vec<_> = (txs.iter().map(|tx| tx.tx.sender()))
            .filter(|sender| state.sender(sender).is_none())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        (state.generation, state.accounts.clone(), unknown)
    }

    /// Checks without state. What is in the pool already is not looked at twice.
    fn check(
        &self,
        tx: PooledEnvelope,
        sender: Option<Address>,
        origin: Origin,
    ) -> Result<Prepared, PoolError> {
        let rules = {
            let state = self.state.read();
            if state.get(tx.tx_hash()).is_some() {
                return Err(PoolError::AlreadyKnown { hash: *tx.tx_hash() });
            }
            state.rules.clone()
        };
        let tx = rules.prepare(&self.config, tx, sender, origin)?;
        Ok(Prepared { tx, rules })
    }

    fn counting<T>(&self, result: Result<T, PoolError>) -> Result<T, PoolError> {
        result.inspect_err(|_| count(&self.counters.refused, 1))
    }

    pub(crate) fn publish(&self, promoted: &[Arc<PoolTransaction>]) {
        if promoted.is_empty() {
            return;
        }
        for listener in self.listeners.read().iter() {
            listener(promoted);
        }
    }
}

fn unreadable() -> Result<PoolAccount, AccountsError> {
    Err(AccountsError::new("an earlier read of the account failed"))
}
