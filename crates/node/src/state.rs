//! The state of the head, as the pool asks for it.

use alloy_primitives::{Address, KECCAK256_EMPTY};
use revm::{Database, state::AccountInfo};
use warpline_chain::{BlockState, ChainView, Unreadable};
use warpline_executor::ParentState;
use warpline_storage::StorageError;
use warpline_txpool::{AccountCode, Accounts, AccountsError, PoolAccount};

/// Accounts after one block; after a later one where that one cannot be read any more, which the
/// pool is about to be told of.
#[derive(Debug)]
pub(crate) struct HeadState {
    view: ChainView,
    state: BlockState,
}

impl HeadState {
    pub(crate) fn new(view: ChainView) -> Result<Self, StorageError> {
        let state = view.latest()?;
        Ok(Self { view, state })
    }
}

impl Accounts for HeadState {
    fn account(&self, address: &Address) -> Result<PoolAccount, AccountsError> {
        let read = read(&self.state, *address).or_else(|_| {
            let latest = self.view.latest().map_err(Unreadable::from)?;
            read(&latest, *address)
        });
        read.map_err(AccountsError::new)
    }
}

fn read(state: &BlockState, address: Address) -> Result<PoolAccount, Unreadable> {
    let mut db = state.open();
    let Some(AccountInfo { balance, nonce, code_hash, .. }) = db.basic(address)? else {
        return Ok(PoolAccount::default());
    };
    let code = match code_hash == KECCAK256_EMPTY || code_hash.is_zero() {
        true => AccountCode::None,
        false if db.code_by_hash(code_hash)?.is_eip7702() => AccountCode::Delegation,
        false => AccountCode::Contract,
    };
    Ok(PoolAccount { nonce, balance, code })
}
