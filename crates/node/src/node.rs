//! A node that others use: its parts, its threads, and how it ends.

use crate::{
    BlockReport, DevAccounts, Mining, NewHead, NewPending, NodeConfig, NodeError,
    clock::Clock,
    early::{self, Early, EarlyStats},
    events::Events,
    miner::{self, Signal},
    pending::Pending,
    predictor::{self, Predictor},
    producer::{MineOptions, Producer, ProposeOptions, rules_after},
    state::HeadState,
};
use alloy_primitives::{Address, Bytes, TxHash};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::broadcast;
use warpline_chain::{ChainView, Engine, Proposal, StoredChain};
use warpline_storage::BlockRef;
use warpline_txpool::{Added, Intake, IntakeLimits, Origin, Pool, Reply};

/// A running node, shared by whoever serves it.
#[derive(Debug)]
pub struct Node {
    view: ChainView,
    pool: Arc<Pool>,
    intake: Intake,
    events: Arc<Events>,
    accounts: DevAccounts,
    dev: bool,
    pub(crate) pending: Pending,
    predictor: Option<Arc<Predictor>>,
    early: Option<Arc<Early>>,
    /// None after the shutdown.
    producer: Mutex<Option<Producer>>,
    signal: Arc<Signal>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How often somebody who waits for a transaction looks whether it has left the pool without a
/// block.
const LOOK: Duration = Duration::from_millis(20);

/// How often the pool is looked after.
const UPKEEP: Duration = Duration::from_secs(5);

impl Node {
    /// Starts a node on a chain.
    ///
    /// # Errors
    /// The head cannot be read, the journal of the pool neither read nor written, or the
    /// operating system refuses a thread.
    pub fn start(
        chain: StoredChain,
        engine: Engine,
        config: NodeConfig,
    ) -> Result<Arc<Self>, NodeError> {
        let view = chain.view();
        let head = rules_after(&chain, &Clock::default());
        let accounts = Arc::new(HeadState::new(view.clone())?);
        let pool = Arc::new(Pool::new(config.pool.clone(), head, accounts));
        pool.open_journal().map_err(NodeError::Journal)?;
        let (events, signal) = (Arc::new(Events::new()), Arc::new(Signal::new(config.mining)));
        let (told, woken) = (Arc::clone(&events), Arc::clone(&signal));
        let predictor = config.predictor.as_ref().map(Predictor::open).map(Arc::new);
        let taught = predictor.clone();
        let executes_early = config.early && engine.executes_early();
        let early = executes_early.then(|| Arc::new(Early::default()));
        let waiting = early.clone();
        pool.listen(Box::new(move |transactions| {
            if let Some(predictor) = &taught {
                predictor.pending(transactions);
            }
            if told.pending.receiver_count() > 0 {
                let _nobody_listens = told.pending.send(NewPending(transactions.into()));
            }
            if let Some(early) = waiting.as_ref().filter(|_| woken.mining() != Mining::Instant) {
                early.wake();
            }
            woken.work();
        }));
        let intake = Intake::start(&pool, IntakeLimits::default()).map_err(NodeError::Thread)?;
        let producer =
            Producer::new(chain, engine.into(), &config, Arc::clone(&pool), Arc::clone(&events))
                .taught(predictor.clone())
                .taking(early.clone());
        let node = Arc::new(Self {
            view,
            pool,
            intake,
            events,
            accounts: config.accounts,
            dev: config.dev,
            pending: Pending::new(config.pending_lag),
            predictor,
            early,
            producer: Mutex::new(Some(producer)),
            signal: Arc::clone(&signal),
            threads: Mutex::default(),
        });
        let of_miner = Arc::downgrade(&node);
        let miner = thread::Builder::new().name("miner".into());
        let miner = miner.spawn(move || miner::run(&of_miner, &signal));
        node.threads.lock().push(miner.map_err(NodeError::Thread)?);
        node.learn()?;
        node.execute_early()?;
        Ok(node)
    }

    /// Starts the thread that executes what waits, if it is to.
    fn execute_early(self: &Arc<Self>) -> Result<(), NodeError> {
        let Some(early) = self.early.clone() else { return Ok(()) };
        let node = Arc::downgrade(self);
        let thread = thread::Builder::new().name("early".into());
        let thread = thread.spawn(move || early::run(&node, &early));
        self.threads.lock().push(thread.map_err(NodeError::Thread)?);
        Ok(())
    }

    /// Starts the thread that teaches the predictor, if there is one.
    fn learn(&self) -> Result<(), NodeError> {
        let Some(predictor) = self.predictor.clone() else { return Ok(()) };
        let (view, pool) = (self.view.clone(), Arc::clone(&self.pool));
        let thread = thread::Builder::new().name("predictor".into());
        let thread = thread.spawn(move || predictor::run(&predictor, &view, &pool));
        self.threads.lock().push(thread.map_err(NodeError::Thread)?);
        Ok(())
    }

    /// The chain, to be read.
    pub const fn view(&self) -> &ChainView {
        &self.view
    }

    /// The transactions that wait for a block.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Predicts which accounts and slots transactions touch, unless that is switched off.
    pub fn predictor(&self) -> Option<&Predictor> {
        self.predictor.as_deref()
    }

    /// What is executed before its block is made, unless that is switched off.
    pub fn early(&self) -> Option<EarlyStats> {
        self.early.as_ref().map(|early| early.stats())
    }

    /// Accounts whose keys the node has.
    pub const fn accounts(&self) -> &DevAccounts {
        &self.accounts
    }

    /// Whether callers may change state and time.
    pub const fn is_dev(&self) -> bool {
        self.dev
    }

    /// Heads from now on.
    pub fn new_heads(&self) -> broadcast::Receiver<NewHead> {
        self.events.heads.subscribe()
    }

    /// Transactions that become pending from now on.
    pub fn new_pending(&self) -> broadcast::Receiver<NewPending> {
        self.events.pending.subscribe()
    }

    /// When blocks are made.
    pub fn mining(&self) -> Mining {
        self.signal.mining()
    }

    /// Changes when blocks are made.
    pub fn set_mining(&self, mining: Mining) {
        self.signal.set_mining(mining);
        self.look_early();
    }

    /// Puts a transaction in the network form (EIP-2718) into the pool.
    ///
    /// # Errors
    /// The pool refuses it.
    pub fn submit(&self, raw: &[u8], origin: Origin) -> Result<Added, NodeError> {
        Ok(self.pool.add(raw, origin)?)
    }

    /// The same for a server that has many clients: `reply` is called from another thread, which
    /// recovers the senders of all transactions that have arrived meanwhile together.
    ///
    /// # Errors
    /// Too many transactions are waiting for that.
    pub fn take_in(&self, raw: Bytes, origin: Origin, reply: Reply) -> Result<(), NodeError> {
        Ok(self.intake.submit(raw, origin, reply)?)
    }

    /// Waits until a transaction has left the pool for a block, for at most so long. False if it
    /// has not.
    pub async fn mined(&self, hash: &TxHash, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut moves = self.events.moves.subscribe();
        while self.pool.contains(hash) {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let _not_moved = tokio::time::timeout(rest.min(LOOK), moves.changed()).await;
        }
        true
    }

    /// The same on a thread that waits.
    pub fn wait_mined(&self, hash: &TxHash, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut pause = Duration::from_micros(200);
        while self.pool.contains(hash) {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        true
    }

    /// Makes the next block.
    ///
    /// # Errors
    /// The database cannot be read or written, or the time is not after the head's.
    pub fn mine(&self, options: &MineOptions) -> Result<BlockRef, NodeError> {
        self.with(|producer| producer.mine(options))
    }

    /// Executes a block on top of the head, and does not add it.
    ///
    /// # Errors
    /// A given transaction is not valid there, or the database cannot be read.
    pub fn propose(&self, options: ProposeOptions) -> Result<Proposal, NodeError> {
        self.read(|producer| producer.propose(options))
    }

    /// How a block was made, if that was here and not long ago.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn report(&self, block: &BlockRef) -> Result<Option<BlockReport>, NodeError> {
        self.read(|producer| {
            Ok(producer.reports.iter().rev().find(|report| report.block == *block).copied())
        })
    }

    /// Who gets the fees of new blocks.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn coinbase(&self) -> Result<Address, NodeError> {
        self.read(|producer| Ok(producer.coinbase))
    }

    /// Changes who gets the fees of new blocks.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn set_coinbase(&self, coinbase: Address) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.coinbase = coinbase;
            Ok(())
        })
    }

    /// Changes the smallest tip of new transactions and of those in new blocks, in wei per gas.
    ///
    /// # Errors
    /// The node is shutting down.
    pub fn set_min_tip(&self, tip: u128) -> Result<(), NodeError> {
        self.with(|producer| {
            producer.min_tip = tip;
            producer.pool.set_min_tip(tip);
            Ok(())
        })
    }

    /// Whether the next block would have transactions.
    pub(crate) fn has_ready(&self) -> bool {
        let min_tip = self.read(|producer| Ok(producer.min_tip)).unwrap_or_default();
        self.pool.best(min_tip).next().is_some()
    }

    /// Does something that may change what the next block is like.
    pub(crate) fn with<T>(
        &self,
        act: impl FnOnce(&mut Producer) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        let result = {
            let _busy = self.early.as_ref().map(|early| early.interrupt());
            let mut producer = self.producer.lock();
            let result = act(producer.as_mut().ok_or(NodeError::Stopped)?);
            self.pending.forget();
            result
        };
        self.look_early();
        result
    }

    /// Has what waits executed, where it waits for longer than a moment.
    fn look_early(&self) {
        if let Some(early) = self.early.as_ref().filter(|_| self.mining() != Mining::Instant) {
            early.wake();
        }
    }

    /// Does something that changes nothing.
    pub(crate) fn read<T>(
        &self,
        act: impl FnOnce(&Producer) -> Result<T, NodeError>,
    ) -> Result<T, NodeError> {
        act(self.producer.lock().as_ref().ok_or(NodeError::Stopped)?)
    }

    /// Drops what has waited in the pool for too long. To be called now and then.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn upkeep(&self) -> Result<Duration, NodeError> {
        self.pool.maintain(Instant::now()).map_err(NodeError::Journal)?;
        Ok(UPKEEP)
    }

    /// Makes no more blocks, writes everything and closes the database.
    ///
    /// # Errors
    /// The database or the journal cannot be written.
    pub fn shutdown(&self) -> Result<(), NodeError> {
        self.signal.stop();
        self.predictor.iter().for_each(|predictor| predictor.stop());
        self.early.iter().for_each(|early| early.stop());
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the node has panicked");
            }
        }
        self.predictor.iter().for_each(|predictor| predictor.save());
        let journal = self.pool.rotate_journal().map_err(NodeError::Journal);
        match self.producer.lock().take() {
            Some(producer) => producer.chain.shutdown()?,
            None => return Ok(()),
        }
        journal
    }
}
