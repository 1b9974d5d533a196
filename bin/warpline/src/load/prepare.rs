//! The contracts and accounts that the requests are about, put into a development chain by what
//! ours and anvil have in common.

use super::http::Connection;
use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use eyre::Result;
use serde_json::{Value, json};

/// A token whose transfers are independent where sender and receiver are.
pub(super) const TOKEN: Address = address!("00000000000000000000000000000000000707e1");
/// A counter at which everybody meets.
pub(super) const COUNTER: Address = address!("00000000000000000000000000000000000c0417");

/// Enough for any number of transactions at any price.
const RICH: U256 = U256::from_limbs([0, 0, 1 << 32, 0]);

/// Puts the contracts there, and gives accounts ether and tokens.
pub(super) async fn contracts(node: &mut Connection, rich: &[Address]) -> Result<()> {
    for (address, contract) in [(TOKEN, "Token"), (COUNTER, "Counter")] {
        let code = warpline_workload::runtime_code(contract)?;
        set(node, "anvil_setCode", json!([address, code])).await?;
    }
    for account in rich {
        set(node, "anvil_setBalance", json!([account, RICH])).await?;
        let balance = B256::from(U256::MAX >> 1);
        set(node, "anvil_setStorageAt", json!([TOKEN, balance_slot(account), balance])).await?;
    }
    Ok(())
}

/// Makes a block.
pub(super) async fn mine(node: &mut Connection) -> Result<()> {
    set(node, "evm_mine", json!([])).await
}

async fn set(node: &mut Connection, method: &str, params: Value) -> Result<()> {
    node.ask::<Value>(method, params)
        .await?
        .map_err(|refusal| eyre::eyre!("{method}: {refusal}"))?;
    Ok(())
}

/// Where the token has the balance of an account: slot 0 is `mapping(address => uint256)`.
fn balance_slot(account: &Address) -> U256 {
    mapping(account.into_word())
}

/// Where the counter has the count of id 0: slot 0 is `mapping(uint256 => uint256)`.
pub(super) fn count_slot() -> U256 {
    mapping(B256::ZERO)
}

fn mapping(key: B256) -> U256 {
    keccak256([key, B256::ZERO].concat()).into()
}

/// `transfer(address,uint256)` of one unit.
pub(super) fn token_transfer(to: &Address) -> Bytes {
    let one = B256::from(U256::ONE);
    [&hex!("a9059cbb")[..], to.into_word().as_slice(), one.as_slice()].concat().into()
}

/// `balanceOf(address)`.
pub(super) fn token_balance(of: &Address) -> Bytes {
    [&hex!("70a08231")[..], of.into_word().as_slice()].concat().into()
}

/// `bump(uint256)` of id 0.
pub(super) fn bump() -> Bytes {
    [&keccak256("bump(uint256)")[..4], B256::ZERO.as_slice()].concat().into()
}
