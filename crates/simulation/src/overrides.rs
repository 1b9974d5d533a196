//! What callers change of a state and a block before the execution.

use crate::{Overlay, OverlayError, SimulationError, precompiles::PrecompileSet};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use revm::{
    Database,
    state::{AccountInfo, Bytecode},
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Changes to accounts, in the order of their addresses.
pub type StateOverrides = BTreeMap<Address, AccountOverride>;

/// Changes to one account. Fields that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AccountOverride {
    /// Balance in wei.
    pub balance: Option<U256>,
    /// Nonce.
    #[serde(with = "alloy_serde::quantity::opt")]
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// All storage.
    pub state: Option<BTreeMap<B256, B256>>,
    /// Some of the storage.
    pub state_diff: Option<BTreeMap<B256, B256>>,
    /// Where the precompile of this address is to be found.
    pub move_precompile_to_address: Option<Address>,
}

/// Why overrides cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// Nothing to move.
    #[error("account {0} is not a precompile")]
    NotAPrecompile(Address),
    /// Where a precompile is to go, something else is overridden.
    #[error("account {0} is already overridden")]
    Overridden(Address),
    /// A precompile has gone there already.
    #[error("account {0} has already been overridden by a precompile")]
    OverriddenByPrecompile(Address),
    /// All of the storage and some of it.
    #[error("account {0} has both 'state' and 'stateDiff'")]
    BothStates(Address),
    /// A field of the block that the method has no use for.
    #[error("block override \"{0}\" is not supported for this RPC method")]
    Unsupported(&'static str),
    /// A number that no header can hold.
    #[error("block override \"{0}\" is too large")]
    TooLarge(&'static str),
}

/// Applies overrides as if a transaction had made them just before.
pub(crate) fn apply<DB: Database>(
    overrides: &StateOverrides,
    state: &mut Overlay<DB>,
    precompiles: &mut PrecompileSet,
) -> Result<(), SimulationError<DB::Error>> {
    let mut moved_to = BTreeSet::new();
    for (address, account) in overrides {
        if moved_to.contains(address) {
            return Err(OverrideError::OverriddenByPrecompile(*address).into());
        }
        if let Some(to) = account.move_precompile_to_address {
            if !precompiles.contains(address) {
                return Err(OverrideError::NotAPrecompile(*address).into());
            }
            if overrides.contains_key(&to) {
                return Err(OverrideError::Overridden(to).into());
            }
            precompiles.copy(address, to);
            moved_to.insert(to);
        }
        precompiles.remove(address);
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(OverrideError::BothStates(*address).into());
        }
        apply_account(*address, account, state)?;
    }
    Ok(())
}

fn apply_account<DB: Database>(
    address: Address,
    account: &AccountOverride,
    state: &mut Overlay<DB>,
) -> Result<(), OverlayError<DB::Error>> {
    let AccountOverride { balance, nonce, code, .. } = account;
    if balance.is_some() || nonce.is_some() || code.is_some() {
        state.change(address, |info| change_info(info, account))?;
    }
    let slot = |(slot, value): (&B256, &B256)| ((*slot).into(), (*value).into());
    if let Some(slots) = &account.state {
        state.replace_storage(address, slots.iter().map(slot))?;
    }
    if let Some(slots) = &account.state_diff {
        state.set_storage(address, slots.iter().map(slot))?;
    }
    Ok(())
}

fn change_info(info: &mut AccountInfo, account: &AccountOverride) {
    if let Some(balance) = account.balance {
        info.balance = balance;
    }
    if let Some(nonce) = account.nonce {
        info.nonce = nonce;
    }
    if let Some(code) = &account.code {
        info.code_hash = keccak256(code);
        let decoded = Bytecode::new_raw_checked(code.clone());
        info.code = Some(decoded.unwrap_or_else(|_| Bytecode::new_legacy(code.clone())));
    }
}

/// Changes to a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockOverrides {
    /// Number.
    #[serde(alias = "blockNumber")]
    pub number: Option<U256>,
    /// Difficulty, which counts before the merge only.
    pub difficulty: Option<U256>,
    /// Time in seconds.
    #[serde(alias = "timestamp", with = "alloy_serde::quantity::opt")]
    pub time: Option<u64>,
    /// Gas limit.
    #[serde(with = "alloy_serde::quantity::opt")]
    pub gas_limit: Option<u64>,
    /// Beneficiary.
    #[serde(alias = "coinbase")]
    pub fee_recipient: Option<Address>,
    /// Randomness of the beacon chain.
    #[serde(alias = "random")]
    pub prev_randao: Option<B256>,
    /// Base fee.
    #[serde(alias = "baseFee")]
    pub base_fee_per_gas: Option<U256>,
    /// Price of blob gas.
    pub blob_base_fee: Option<U256>,
    /// Root of the parent beacon block.
    #[serde(alias = "parentBeaconBlockRoot")]
    pub beacon_root: Option<B256>,
    /// Withdrawals.
    pub withdrawals: Option<Withdrawals>,
}

impl BlockOverrides {
    /// The number, which has to fit into a header.
    pub(crate) fn number(&self) -> Result<Option<u64>, OverrideError> {
        narrow(self.number, "number")
    }

    /// The price of blob gas.
    pub(crate) fn blob_price(&self) -> Result<Option<u128>, OverrideError> {
        narrow(self.blob_base_fee, "blobBaseFee")
    }

    /// Changes a header, but for the fields that stand in no header.
    pub(crate) fn apply(&self, header: &mut Header) -> Result<(), OverrideError> {
        set(&mut header.number, self.number()?);
        set(&mut header.difficulty, self.difficulty);
        set(&mut header.timestamp, self.time);
        set(&mut header.gas_limit, self.gas_limit);
        set(&mut header.beneficiary, self.fee_recipient);
        set(&mut header.mix_hash, self.prev_randao);
        if let Some(fee) = narrow(self.base_fee_per_gas, "baseFeePerGas")? {
            header.base_fee_per_gas = Some(fee);
        }
        Ok(())
    }

    /// Changes the header that a call finds, which has no body to change.
    pub(crate) fn apply_to_call(&self, header: &mut Header) -> Result<(), OverrideError> {
        if self.beacon_root.is_some() {
            return Err(OverrideError::Unsupported("beaconRoot"));
        }
        if self.withdrawals.is_some() {
            return Err(OverrideError::Unsupported("withdrawals"));
        }
        self.apply(header)
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn narrow<T: TryFrom<U256>>(
    value: Option<U256>,
    name: &'static str,
) -> Result<Option<T>, OverrideError> {
    let narrowed = value.map(|value| T::try_from(value)).transpose();
    narrowed.map_err(|_| OverrideError::TooLarge(name))
}
