//! Changing accounts, and sending in their name.

use super::{Flexible, Wide, all};
use crate::{Context, RpcError, registry::Registry, wire::Hex};
use alloy_primitives::{Address, Bytes, U256};
use revm::Database;
use warpline_executor::ParentState;
use warpline_node::DevAccountEdit;

pub(super) fn register(registry: &mut Registry) {
    let names = ["anvil_setBalance", "hardhat_setBalance", "tenderly_setBalance"];
    all(registry, &names, 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let Wide(balance) = args.required("balance")?;
        edit(context, address.0, DevAccountEdit { balance: Some(balance), ..Default::default() })
    });
    all(registry, &["anvil_addBalance", "hardhat_addBalance"], 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let Wide(more) = args.required("balance")?;
        let state = context.view().latest()?;
        let account = state.open().basic(address.0).map_err(RpcError::internal)?;
        let balance = account.map_or(U256::ZERO, |account| account.balance).saturating_add(more);
        edit(context, address.0, DevAccountEdit { balance: Some(balance), ..Default::default() })
    });
    all(registry, &["anvil_setCode", "hardhat_setCode"], 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let code: Bytes = args.required("code")?;
        edit(context, address.0, DevAccountEdit { code: Some(code), ..Default::default() })
    });
    let names = ["anvil_setNonce", "hardhat_setNonce", "evm_setAccountNonce"];
    all(registry, &names, 2, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        let Flexible(nonce) = args.required("nonce")?;
        edit(context, address.0, DevAccountEdit { nonce: Some(nonce), ..Default::default() })
    });
    all(registry, &["anvil_setStorageAt", "hardhat_setStorageAt"], 3, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        // Hardhat wants 32 bytes of value; anvil takes any number.
        let (Wide(slot), Wide(value)) = (args.required("slot")?, args.required("value")?);
        let slots = vec![(slot, value)];
        edit(context, address.0, DevAccountEdit { slots, ..Default::default() })
    });
    let names = ["anvil_impersonateAccount", "hardhat_impersonateAccount"];
    all(registry, &names, 1, |context, args| impersonate(context, args.required("address")?, true));
    let names = ["anvil_stopImpersonatingAccount", "hardhat_stopImpersonatingAccount"];
    all(registry, &names, 1, |context, args| {
        impersonate(context, args.required("address")?, false)
    });
    let names = ["anvil_autoImpersonateAccount", "hardhat_autoImpersonateAccount"];
    all(registry, &names, 1, |context, args| {
        context.node.impersonate_all(args.required("enabled")?)?;
        Ok(())
    });
}

fn edit(context: &Context, address: Address, edit: DevAccountEdit) -> Result<bool, RpcError> {
    context.node.edit_accounts([(address, edit)])?;
    Ok(true)
}

fn impersonate(context: &Context, address: Hex<Address>, on: bool) -> Result<bool, RpcError> {
    context.node.impersonate(address.0, on)?;
    Ok(true)
}
