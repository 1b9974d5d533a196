//! The knowledge, and what it is asked.

use crate::{
    call::is_precompile,
    hint::{AccessHint, AccountHint, SlotHint, Source},
    outlook::Outlook,
    reading::Notes,
    template::Template,
    trace::{Lesson, Step, TemplateKey},
    walk::Walk,
};
use alloy_primitives::{Address, B256, TxKind, U256, map::HashMap};
use revm::{
    Database,
    context_interface::{
        Block, Transaction,
        transaction::{AccessListItemTr, AuthorizationTr},
    },
    state::EvmState,
};

/// Bytes of knowledge that are kept if nothing else is said: 256 MiB.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// Which part of them may be taken by what was read in bytecode: an eighth.
const READ: usize = 8;

/// How likely it is that what a transaction announces is what it touches.
const ANNOUNCED: f32 = 0.9;

/// What a prediction takes of the block that a transaction is in, or may come into.
#[derive(Clone, Debug, Default)]
pub struct BlockValues {
    /// `COINBASE`.
    pub beneficiary: Address,
    /// `NUMBER`.
    pub number: U256,
    /// `TIMESTAMP`, in seconds.
    pub timestamp: U256,
    /// `PREVRANDAO`, or the difficulty. `None` as long as it is not known.
    pub prevrandao: Option<U256>,
    /// `GASLIMIT`.
    pub gas_limit: u64,
    /// `BASEFEE`, in wei.
    pub base_fee: u64,
    /// `CHAINID`.
    pub chain_id: u64,
}

impl BlockValues {
    /// Those of a block whose environment is known.
    pub fn new(block: &impl Block, chain_id: u64) -> Self {
        Self {
            beneficiary: block.beneficiary(),
            number: block.number(),
            timestamp: block.timestamp(),
            prevrandao: match block.prevrandao() {
                Some(word) => Some(word.into()),
                None => Some(block.difficulty()),
            },
            gas_limit: block.gas_limit(),
            base_fee: block.basefee(),
            chain_id,
        }
    }
}

/// What a prediction takes of a transaction.
#[derive(Debug)]
pub(crate) struct TxValues<'a> {
    pub(crate) sender: Address,
    pub(crate) value: U256,
    pub(crate) gas_price: U256,
    pub(crate) gas_limit: u64,
    pub(crate) input: &'a [u8],
}

/// How much a prediction may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Care {
    /// Computes what decides between ways that have been gone.
    #[default]
    Quick,
    /// Also computes every other condition, to notice a way that was never gone.
    Thorough,
    /// Also reads the bytecode of functions that were never called, and of known ones that go a way
    /// that was never gone.
    Analytic,
}

/// Predicts from what it has learned.
///
/// Its memory is bounded: what was not learned from for the longest time is forgotten first, and
/// what was only read in bytecode all at once.
#[derive(Clone, Debug)]
pub struct AccessPredictor {
    templates: HashMap<TemplateKey, Template>,
    /// Functions that were never called, as their bytecode was read.
    read: HashMap<TemplateKey, Template>,
    /// About how many bytes these take.
    read_size: usize,
    limit: usize,
    size: usize,
    clock: u64,
}

impl Default for AccessPredictor {
    fn default() -> Self {
        Self::new(DEFAULT_MEMORY)
    }
}

impl AccessPredictor {
    /// Knows nothing, and will know what fits into about `memory` bytes.
    pub fn new(memory: usize) -> Self {
        Self {
            templates: HashMap::default(),
            read: HashMap::default(),
            read_size: 0,
            limit: memory,
            size: 0,
            clock: 0,
        }
    }

    /// Takes in what an execution taught, whether it was committed or a trial. `state` is what it
    /// left, with the slots it changed.
    pub fn learn(&mut self, lessons: &[Lesson], state: &EvmState) {
        self.clock += 1;
        // The call of the transaction itself is the last that ends. If it reverts, what its calls
        // write is taken back, whatever they would have left.
        let reverted = lessons.last().is_some_and(|lesson| {
            matches!(lesson.trace.steps.last(), Some(Step::End { ok: false, .. }))
        });
        for lesson in lessons {
            let before = self.templates.get(&lesson.key).map_or(0, Template::size);
            let template = self.templates.entry(lesson.key).or_insert_with(Template::new);
            template.used = self.clock;
            let stored = &lesson.trace.stored;
            template.learn(&lesson.trace, |n| {
                let slot = stored.get(n).copied().flatten();
                let changed = slot.is_some_and(|(address, slot)| {
                    let account = state.get(&address);
                    account.and_then(|a| a.storage.get(&slot)).is_some_and(|s| s.is_changed())
                });
                (!reverted).then_some(changed)
            });
            self.size = self.size + template.size() - before;
        }
        self.stay_within_limit();
    }

    /// Takes in what the code said that was read for the predictions on an outlook, since it was
    /// made or this was last called.
    pub fn learn_read<S>(&mut self, outlook: &mut Outlook<S>) {
        for Lesson { key, trace } in outlook.lessons.drain(..) {
            let template = self.read.entry(key).or_insert_with(Template::new);
            let before = template.size();
            template.learn(&trace, |_| None);
            self.read_size = self.read_size + template.size() - before;
        }
        if self.read_size > self.limit / READ {
            (self.read, self.read_size) = (HashMap::default(), 0);
        }
        self.stay_within_limit();
    }

    fn stay_within_limit(&mut self) {
        if self.size() > self.limit {
            self.forget();
        }
    }

    /// Forgets until an eighth of the memory is free.
    fn forget(&mut self) {
        let mut ages: Vec<_> =
            self.templates.iter().map(|(key, template)| (template.used, *key)).collect();
        ages.sort_unstable();
        for (_, key) in ages {
            if self.size() <= self.limit - self.limit / 8 {
                return;
            }
            if let Some(template) = self.templates.remove(&key) {
                self.size -= template.size();
            }
        }
    }

    /// Everything, what was learned from longest ago first.
    pub(crate) fn oldest_first(&self) -> impl Iterator<Item = (TemplateKey, &Template)> {
        let mut all: Vec<_> = self.templates.iter().map(|(key, known)| (*key, known)).collect();
        all.sort_unstable_by_key(|(key, template)| (template.used, *key));
        all.into_iter()
    }

    /// Takes in a template that is younger than all others.
    pub(crate) fn insert(&mut self, key: TemplateKey, mut template: Template) {
        self.clock += 1;
        template.used = self.clock;
        self.size += template.size();
        if let Some(former) = self.templates.insert(key, template) {
            self.size -= former.size();
        }
        self.stay_within_limit();
    }

    /// Adds what is not known yet, as older than all that is.
    pub(crate) fn merge(&mut self, other: Self) {
        let mut own = core::mem::take(&mut self.templates);
        (self.templates, self.size) = (other.templates, other.size);
        let after = other.clock;
        self.clock += after;
        for (key, mut template) in own.drain() {
            template.used += after;
            self.size += template.size();
            if let Some(former) = self.templates.insert(key, template) {
                self.size -= former.size();
            }
        }
        self.stay_within_limit();
    }

    /// About how many bytes the knowledge may take.
    pub const fn memory(&self) -> usize {
        self.limit
    }

    /// Functions known.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// About how many bytes the knowledge takes.
    pub const fn size(&self) -> usize {
        self.size + self.read_size
    }

    pub(crate) fn find(
        &self,
        code: B256,
        selector: Option<[u8; 4]>,
    ) -> Option<(TemplateKey, &Template)> {
        find_in(&self.templates, code, selector)
    }

    /// What its bytecode says of a function that was never called, if it was read.
    pub(crate) fn find_read(
        &self,
        TemplateKey { code, selector }: TemplateKey,
    ) -> Option<&Template> {
        find_in(&self.read, code, selector).map(|(_, template)| template)
    }

    /// Predicts into `hint`, which is cleared first. `state` starts as that before the block, or
    /// the latest there is, and follows the transactions whose predictions are accepted. What
    /// cannot be read of it is not predicted, nothing else.
    pub fn predict<S: Database>(
        &self,
        tx: &impl Transaction,
        block: &BlockValues,
        state: &mut Outlook<S>,
        care: Care,
        hint: &mut AccessHint,
    ) {
        hint.clear();
        state.begin();
        envelope(tx, block, hint);
        for (authority, to, nonce) in authorizations(tx, block) {
            state.delegate(authority, to, nonce);
        }
        let TxKind::Call(to) = tx.kind() else {
            hint.gaps.creations += u32::from(!tx.input().is_empty());
            return;
        };
        if is_precompile(&to) {
            return;
        }
        let values = TxValues {
            sender: tx.caller(),
            value: tx.value(),
            gas_limit: tx.gas_limit(),
            gas_price: U256::from(tx.effective_gas_price(block.base_fee.into())),
            input: tx.input(),
        };
        let notes = Notes::default();
        Walk::new(self, state, block, &values, care, &notes, hint).run(to);
    }
}

fn find_in(
    templates: &HashMap<TemplateKey, Template>,
    code: B256,
    selector: Option<[u8; 4]>,
) -> Option<(TemplateKey, &Template)> {
    let of = |selector| {
        let key = TemplateKey { code, selector };
        templates.get(&key).map(|template| (key, template))
    };
    selector.and_then(|selector| of(Some(selector))).or_else(|| of(None))
}

/// Whose calls are to be handed on to whom, and at what nonce, by the authorizations for this chain.
fn authorizations(
    tx: &impl Transaction,
    block: &BlockValues,
) -> impl Iterator<Item = (Address, Address, u64)> {
    let own = U256::from(block.chain_id);
    tx.authorization_list()
        .filter(move |signed| signed.chain_id().is_zero() || signed.chain_id() == own)
        .filter_map(|signed| Some((signed.authority()?, signed.address(), signed.nonce())))
}

/// What follows from the transaction alone.
fn envelope(tx: &impl Transaction, block: &BlockValues, hint: &mut AccessHint) {
    let mut account = |address, written, commutative, (confidence, source)| {
        hint.account(AccountHint { address, written, commutative, confidence, source });
    };
    const CERTAIN: (f32, Source) = (1.0, Source::Envelope);
    account(tx.caller(), true, false, CERTAIN);
    account(block.beneficiary, true, true, CERTAIN);
    match tx.kind() {
        TxKind::Call(to) => account(to, !tx.value().is_zero(), !tx.value().is_zero(), CERTAIN),
        TxKind::Create => account(tx.caller().create(tx.nonce()), true, false, CERTAIN),
    }
    let announced = (ANNOUNCED, Source::AccessList);
    for (authority, ..) in authorizations(tx, block) {
        account(authority, true, false, announced);
    }
    for entry in tx.access_list().into_iter().flatten() {
        let (confidence, source) = announced;
        let (address, written, commutative) = (*entry.address(), false, false);
        hint.account(AccountHint { address, written, commutative, confidence, source });
        for slot in entry.storage_slots() {
            let slot = (*slot).into();
            hint.slot(SlotHint { address, slot, written, confidence, source });
        }
    }
}
