//! The state before a block: what its execution, and the checks after it, ask of it.

use crate::ImportError;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use core::fmt;
use revm::{
    Database,
    state::{AccountInfo, Bytecode},
};
use std::sync::Arc;
use warpline_executor::ParentState;
use warpline_types::{AccountDiff, AccountState, StateDiff};

/// A state that a block can be executed on and judged by.
pub(crate) trait StateBefore: ParentState {
    /// Roots of the states within the block.
    type Roots<'a>: Roots
    where
        Self: 'a;

    /// The accounts that have storage but neither code nor a nonce, each with a slot that is not
    /// zero, as far as they are known (EIP-7610).
    fn storage_only(&self) -> Arc<AddressMap<U256>>;

    /// Begins at this state.
    fn roots(&self) -> Result<Self::Roots<'_>, ImportError>;
}

/// Computes roots of a state to which changes are made.
pub(crate) trait Roots {
    /// The root after some more changes.
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError>;
}

/// An account of a state.
pub(crate) fn account(
    state: &impl ParentState,
    address: Address,
) -> Result<Option<AccountInfo>, ImportError> {
    state.open().basic(address).map_err(ImportError::state)
}

/// The code of an account that was read from the state.
pub(crate) fn code(
    state: &impl ParentState,
    account: &AccountInfo,
) -> Result<Bytecode, ImportError> {
    match &account.code {
        Some(code) => Ok(code.clone()),
        None => state.open().code_by_hash(account.code_hash).map_err(ImportError::state),
    }
}

/// What the diff of a block says of an account.
pub(crate) const fn account_state(info: &AccountInfo) -> AccountState {
    AccountState { balance: info.balance, nonce: info.nonce, code_hash: info.code_hash }
}

/// A state in which some balances have been changed before the block begins.
pub(crate) struct Rebalanced<'a, P> {
    state: &'a P,
    accounts: AddressMap<AccountInfo>,
}

impl<P> fmt::Debug for Rebalanced<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebalanced").field("accounts", &self.accounts.len()).finish_non_exhaustive()
    }
}

impl<'a, P: StateBefore> Rebalanced<'a, P> {
    /// `state` after all that the accounts `from` have was moved to `to`.
    pub(crate) fn new(state: &'a P, from: &[Address], to: Address) -> Result<Self, ImportError> {
        let mut accounts = AddressMap::default();
        let mut moved = U256::ZERO;
        for address in from {
            if let Some(mut info) = account(state, *address)? {
                moved = moved.saturating_add(core::mem::take(&mut info.balance));
                accounts.insert(*address, info);
            }
        }
        let mut receiver = account(state, to)?.unwrap_or_default();
        receiver.balance = receiver.balance.saturating_add(moved);
        accounts.insert(to, receiver);
        Ok(Self { state, accounts })
    }

    /// Adds the changes that were made here to what the block did on top of them.
    pub(crate) fn complete(&self, diff: &mut StateDiff) -> Result<(), ImportError> {
        let mut changed: AddressMap<&mut AccountDiff> =
            diff.accounts.iter_mut().map(|account| (account.address, account)).collect();
        let mut unchanged = Vec::new();
        for (address, info) in &self.accounts {
            let before = account(self.state, *address)?.as_ref().map(account_state);
            match changed.get_mut(address) {
                Some(account) => account.before = before,
                None => unchanged.push(AccountDiff {
                    address: *address,
                    before,
                    after: Some(account_state(info)),
                    storage_cleared: false,
                    storage: Vec::new(),
                }),
            }
        }
        diff.accounts.extend(unchanged);
        Ok(())
    }
}

/// A database of [`Rebalanced`].
#[derive(Debug)]
pub(crate) struct RebalancedDb<'a, D> {
    inner: D,
    accounts: &'a AddressMap<AccountInfo>,
}

impl<D: Database> Database for RebalancedDb<'_, D> {
    type Error = D::Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        match self.accounts.get(&address) {
            Some(info) => Ok(Some(info.clone())),
            None => self.inner.basic(address),
        }
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.inner.code_by_hash(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        self.inner.storage(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.inner.block_hash(number)
    }
}

impl<P: StateBefore> ParentState for Rebalanced<'_, P> {
    type Db<'a>
        = RebalancedDb<'a, P::Db<'a>>
    where
        Self: 'a;

    fn open(&self) -> Self::Db<'_> {
        RebalancedDb { inner: self.state.open(), accounts: &self.accounts }
    }
}

/// Roots after the balances have been moved.
pub(crate) struct RebalancedRoots<R> {
    inner: R,
    moved: Option<StateDiff>,
}

impl<R: Roots> Roots for RebalancedRoots<R> {
    fn root_after(&mut self, changes: &StateDiff) -> Result<B256, ImportError> {
        if let Some(moved) = self.moved.take() {
            self.inner.root_after(&moved)?;
        }
        self.inner.root_after(changes)
    }
}

impl<P: StateBefore> StateBefore for Rebalanced<'_, P> {
    type Roots<'a>
        = RebalancedRoots<P::Roots<'a>>
    where
        Self: 'a;

    fn storage_only(&self) -> Arc<AddressMap<U256>> {
        self.state.storage_only()
    }

    fn roots(&self) -> Result<Self::Roots<'_>, ImportError> {
        let mut moved = StateDiff::default();
        self.complete(&mut moved)?;
        Ok(RebalancedRoots { inner: self.state.roots()?, moved: Some(moved) })
    }
}
