//! The trie of a whole state, kept across blocks.

use crate::{
    accounts::Accounts,
    changes::{AccountChange, normalize},
    error::TrieError,
    foreseen::Foreseen,
    pass::{Extent, Log, Pass, Scratch},
    path::Path,
    plan::Planned,
    source::TrieSource,
    tree::{Keep, Slot},
    updates::TrieUpdates,
};
use alloy_primitives::B256;

/// How a [`StateTrie`] works.
#[derive(Clone, Debug)]
pub struct TrieConfig {
    /// Threads to use; 0 and 1 mean the calling one.
    pub threads: usize,
    /// Bytes that the trie may hold between blocks. What is not stored yet stays in memory even
    /// so, and a block needs what it touches.
    pub memory_limit: usize,
    /// From this many leaves on a subtrie has a stored node; smaller ones are read from the flat
    /// state. At least 2. Fixed for the life of a database.
    pub page_limit: usize,
}

impl Default for TrieConfig {
    fn default() -> Self {
        Self { threads: 1, memory_limit: 1 << 30, page_limit: Self::PAGE_LIMIT }
    }
}

impl TrieConfig {
    /// The default page limit: nodes for some few thousandths of the accounts, and four kilobytes
    /// of accounts, at most, to read where a page is not in memory.
    pub const PAGE_LIMIT: usize = 64;
}

/// A point in the history of a [`StateTrie`]: the n-th root that it computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootNumber(pub u64);

/// What came of the staged changes.
#[derive(Clone, Debug)]
pub struct RootUpdate {
    /// The new state root.
    pub root: B256,
    /// To be given to [`StateTrie::persisted`] once `updates` and the flat state are committed.
    pub number: RootNumber,
    /// What has to be written for the source to stand for `root`.
    pub updates: TrieUpdates,
}

/// State root, storage roots and proofs of a state that changes block by block.
///
/// Changes are staged, in as many batches as is convenient; the root is asked for at the end.
/// Those that a block makes while it still executes can be [foreseen](Self::foresee). Everything that was touched stays in memory until
/// [`persisted`](Self::persisted) reports it stored and the memory limit asks for it, so the
/// source may lag any number of blocks behind.
///
/// There is no undo. To leave a block, stage the values of before it.
///
/// After an error nothing is lost: the changes stay staged, and the next call continues.
#[derive(Debug)]
pub struct StateTrie {
    pub(crate) config: TrieConfig,
    threads: Option<rayon::ThreadPool>,
    pub(crate) top: Slot<Accounts>,
    staged: Vec<AccountChange>,
    /// Staged changes up to here were prefetched.
    prefetched: usize,
    /// Applied without having been staged.
    foreseen: Foreseen,
    log: Log,
    /// Buffers for hashing, kept for their memory.
    planned: Vec<Planned>,
    root: B256,
    /// The root being worked on.
    tick: u64,
    /// How many bytes of nodes the last root had stored.
    node_bytes: usize,
    persisted: u64,
    resident: usize,
    /// How many roots ago something was used that the last eviction kept.
    kept_age: u64,
}

impl StateTrie {
    /// The trie of the state with this root, of which nothing is read yet.
    pub fn open(config: TrieConfig, root: B256) -> Result<Self, TrieError> {
        let threads = match config.threads {
            0 | 1 => None,
            threads => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
                Some(builder.thread_name(|at| format!("trie-{at}")).build()?)
            }
        };
        let config = TrieConfig { page_limit: config.page_limit.max(2), ..config };
        Ok(Self {
            config,
            threads,
            top: Slot::root(root),
            staged: Vec::new(),
            prefetched: 0,
            foreseen: Foreseen::default(),
            log: Log::default(),
            planned: Vec::new(),
            root,
            tick: 1,
            node_bytes: 0,
            persisted: 0,
            resident: 0,
            kept_age: 64,
        })
    }

    /// The root of the last complete state.
    pub const fn current_root(&self) -> B256 {
        self.root
    }

    /// Bytes held in memory, not counting buffers of staged changes. An estimate that is exact
    /// after each eviction.
    pub const fn resident_bytes(&self) -> usize {
        self.resident
    }

    /// Nothing is staged, so that the trie stands for [`Self::current_root`].
    pub(crate) fn is_settled(&self) -> bool {
        self.staged.is_empty() && !self.top.dirty
    }

    /// Adds changes to those that the next root includes. Later changes of the same key overrule
    /// earlier ones; changes of one account take effect in the order of being staged.
    pub fn stage(&mut self, changes: impl IntoIterator<Item = AccountChange>) {
        self.staged.extend(changes);
    }

    /// Works on changes that the next staged ones probably contain: fetches what they concern,
    /// applies them and hashes the small subtries. It saves time where they do, and decides
    /// nothing: what the next call that applies staged changes finds beside these is as it was
    /// before. Where other changes are staged or applied already, or memory is at its limit,
    /// nothing happens.
    ///
    /// The first value of a key is worked on, further ones are left to the end, and so is what
    /// takes storage away.
    ///
    /// # Errors
    /// What is concerned cannot be read. Nothing is lost by that.
    pub fn foresee<S: TrieSource>(
        &mut self,
        source: &S,
        changes: Vec<AccountChange>,
    ) -> Result<(), TrieError> {
        let others = self.top.dirty && self.foreseen.is_empty();
        if others || !self.staged.is_empty() || self.resident > self.config.memory_limit {
            return Ok(());
        }
        let changes = normalize(changes);
        self.run_here(source, Extent::Load, &changes)?;
        let (top, foreseen) = (&mut self.top, &mut self.foreseen);
        let changes = changes.into_iter().filter_map(|change| foreseen.note(top, change));
        let changes: Vec<_> = changes.collect();
        let result = self.run_here(source, Extent::Pages, &changes);
        if result.is_err() {
            self.foreseen.failed();
        }
        result
    }

    /// Reads what the staged changes will need, and changes nothing.
    pub fn prefetch<S: TrieSource>(&mut self, source: &S) -> Result<(), TrieError> {
        let new = normalize(self.staged[self.prefetched..].to_vec());
        self.run(source, Extent::Load, &new)?;
        self.prefetched = self.staged.len();
        Ok(())
    }

    /// Applies the staged changes and hashes the small subtries, which is most of the work; what
    /// further changes would have to repeat is left to [`Self::root`].
    pub fn advance<S: TrieSource>(&mut self, source: &S) -> Result<(), TrieError> {
        self.apply(source, Extent::Pages)
    }

    /// The root of the state with all staged changes, and what to write.
    pub fn root<S: TrieSource>(&mut self, source: &S) -> Result<RootUpdate, TrieError> {
        self.apply(source, Extent::Root)?;
        self.root = self.top.node.root();
        let log = std::mem::take(&mut self.log);
        let updates = TrieUpdates::collect(&mut self.top, log, self.node_bytes);
        self.node_bytes = updates.node_bytes();
        let number = RootNumber(self.tick);
        self.tick += 1;
        Ok(RootUpdate { root: self.root, number, updates })
    }

    /// Takes note that every source from now on includes the updates of this root and of those
    /// before it. Evicts what exceeds the memory limit, which takes a walk over all that is in
    /// memory every few blocks.
    pub fn persisted(&mut self, number: RootNumber) {
        self.persisted = self.persisted.max(number.0);
        self.evict();
    }

    fn apply<S: TrieSource>(&mut self, source: &S, extent: Extent) -> Result<(), TrieError> {
        let changes = normalize(std::mem::take(&mut self.staged));
        self.prefetched = 0;
        let (back, untouched) = match self.foreseen.beside(&changes) {
            Ok(back) => back,
            Err(error) => {
                self.staged = changes;
                return Err(error);
            }
        };
        let mut changes = match back.is_empty() {
            true => changes,
            false => normalize(back.into_iter().chain(changes).collect()),
        };
        let done = self.foreseen.take_done(&mut changes);
        let result = self.run(source, extent, &changes);
        match &result {
            Ok(()) => {
                self.foreseen.clear();
                self.log.forget(&untouched);
            }
            Err(_) => {
                self.foreseen.failed();
                self.staged = normalize(done.into_iter().chain(changes).collect());
            }
        }
        result
    }

    fn run<S: TrieSource>(
        &mut self,
        source: &S,
        extent: Extent,
        changes: &[AccountChange],
    ) -> Result<(), TrieError> {
        self.walk(source, extent, |top, pass, scratch| {
            pass.update((), top, Path::ROOT, changes, scratch)
        })
    }

    /// The same on the calling thread alone.
    fn run_here<S: TrieSource>(
        &mut self,
        source: &S,
        extent: Extent,
        changes: &[AccountChange],
    ) -> Result<(), TrieError> {
        let threads = self.threads.take();
        let result = self.run(source, extent, changes);
        self.threads = threads;
        result
    }

    /// Runs `walk` on this trie's threads.
    pub(crate) fn walk<S: TrieSource, T: Send>(
        &mut self,
        source: &S,
        extent: Extent,
        walk: impl FnOnce(&mut Slot<Accounts>, &Pass<'_, S>, &mut Scratch) -> Result<T, TrieError>
        + Send,
    ) -> Result<T, TrieError> {
        let limit = self.config.page_limit as u64;
        let planned = std::mem::take(&mut self.planned);
        let pass = Pass::new(source, extent, limit, self.tick, self.threads.is_some(), planned);
        let mut scratch = Scratch::default();
        let top = &mut self.top;
        let result = match &self.threads {
            Some(threads) => threads.install(|| walk(top, &pass, &mut scratch)),
            None => walk(top, &pass, &mut scratch),
        };
        let (mut log, grown, planned) = pass.finish(&mut scratch);
        self.planned = planned;
        self.log.append(&mut log);
        self.resident += grown;
        result
    }

    /// Brings memory back below the limit, as far as what is stored allows: what was not used for
    /// longest goes first.
    pub(crate) fn evict(&mut self) {
        if self.resident <= self.config.memory_limit {
            return;
        }
        // Some room, so that the next block does not evict again.
        let target = self.config.memory_limit / 8 * 7;
        // What sufficed the last time will do again, more or less.
        let mut age = (self.kept_age * 2).clamp(1, 64);
        loop {
            let used_since = self.tick.saturating_sub(age);
            let keep = Keep { used_since, changed_after: self.persisted };
            self.resident = self.top.shrink(Some(keep));
            self.kept_age = age;
            if self.resident <= target || age == 0 {
                return;
            }
            age /= 2;
        }
    }
}
