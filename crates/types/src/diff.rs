//! What a block changed.

use alloy_primitives::{Address, B256, Bytes, U256};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The part of an account that the state trie holds, without its storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountState {
    /// Balance in wei.
    pub balance: U256,
    /// Number of transactions sent, or contracts created.
    pub nonce: u64,
    /// Keccak-256 of the code; of the empty string where there is none.
    pub code_hash: B256,
}

/// One changed storage slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotDiff {
    /// The slot's key.
    pub slot: U256,
    /// Value before the block; zero where the account's storage was cleared in the block.
    pub before: U256,
    /// Value after the block.
    pub after: U256,
}

/// One changed account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountDiff {
    /// The account.
    pub address: Address,
    /// Before the block; `None` where it did not exist.
    pub before: Option<AccountState>,
    /// After the block; `None` where it does not exist any more.
    pub after: Option<AccountState>,
    /// An account that existed before the block was destroyed in it, with all its storage.
    /// Slots written afterwards are in `storage`.
    pub storage_cleared: bool,
    /// Changed slots, each once.
    pub storage: Vec<SlotDiff>,
}

/// Everything a block changed, in no particular order until [`StateDiff::sort`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDiff {
    /// Changed accounts, each once. An account that ends as it began is not listed.
    pub accounts: Vec<AccountDiff>,
    /// Code deployed in the block, by its hash.
    pub codes: Vec<(B256, Bytes)>,
}

/// The first place where two diffs disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The account, where the disagreement concerns one.
    pub address: Option<Address>,
    /// What differs: `balance`, `nonce`, `codeHash`, `slot 0x…`, `storageCleared`, `exists`, …
    pub location: String,
    /// Value on the left-hand side.
    pub left: String,
    /// Value on the right-hand side.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address} ")?;
        }
        write!(f, "{}: {} against {}", self.location, self.left, self.right)
    }
}

impl StateDiff {
    /// Brings accounts, slots and codes into ascending order and drops codes that no account has
    /// at the end of the block, so that two diffs of the same changes are equal.
    pub fn sort(&mut self) {
        self.accounts.sort_unstable_by_key(|account| account.address);
        for account in &mut self.accounts {
            account.storage.sort_unstable_by_key(|slot| slot.slot);
        }
        let code_hash = |state: &Option<AccountState>| state.map(|state| state.code_hash);
        let mut new: Vec<B256> = self
            .accounts
            .iter()
            .filter(|account| code_hash(&account.before) != code_hash(&account.after))
            .filter_map(|account| code_hash(&account.after))
            .collect();
        new.sort_unstable();
        self.codes.retain(|(hash, _)| new.binary_search(hash).is_ok());
        self.codes.sort_unstable_by_key(|(hash, _)| *hash);
        self.codes.dedup_by_key(|(hash, _)| *hash);
    }

    /// The first difference to `right`, or `None` where both list the same changes. Both sides
    /// must be sorted.
    pub fn first_difference(&self, right: &Self) -> Option<Difference> {
        first_unequal(&self.accounts, &right.accounts, |account| account.address)
            .map(|(left, right)| account_difference(left, right))
            .or_else(|| {
                first_unequal(&self.codes, &right.codes, |(hash, _)| *hash).map(|(left, right)| {
                    let show = |code: Option<&(B256, Bytes)>| {
                        code.map_or_else(|| "absent".into(), |(h, c)| format!("{h} {c}"))
                    };
                    let (left, right) = (show(left), show(right));
                    Difference { address: None, location: "code".into(), left, right }
                })
            })
    }
}

/// The first key, in order, at which two sorted lists disagree, with what each holds there.
fn first_unequal<'a, T: PartialEq, K: Ord>(
    left: &'a [T],
    right: &'a [T],
    key: impl Fn(&T) -> K,
) -> Option<(Option<&'a T>, Option<&'a T>)> {
    let at = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    match (left.get(at), right.get(at)) {
        (None, None) => None,
        (Some(l), Some(r)) => Some(match key(l).cmp(&key(r)) {
            core::cmp::Ordering::Less => (Some(l), None),
            core::cmp::Ordering::Equal => (Some(l), Some(r)),
            core::cmp::Ordering::Greater => (None, Some(r)),
        }),
        one_sided => Some(one_sided),
    }
}

fn account_difference(left: Option<&AccountDiff>, right: Option<&AccountDiff>) -> Difference {
    let address = left.or(right).map(|account| account.address);
    let (Some(l), Some(r)) = (left, right) else {
        let show = |a: Option<&AccountDiff>| a.map_or("unchanged", |_| "changed").to_owned();
        let (left, right) = (show(left), show(right));
        return Difference { address, location: "account".into(), left, right };
    };
    let differ = |location: &str, left: &dyn fmt::Debug, right: &dyn fmt::Debug| Difference {
        address,
        location: location.into(),
        left: format!("{left:?}"),
        right: format!("{right:?}"),
    };
    if l.before != r.before {
        return differ("before the block", &l.before, &r.before);
    }
    if l.storage_cleared != r.storage_cleared {
        return differ("storageCleared", &l.storage_cleared, &r.storage_cleared);
    }
    match (&l.after, &r.after) {
        (Some(a), Some(b)) if a.balance != b.balance => {
            return differ("balance", &a.balance, &b.balance);
        }
        (Some(a), Some(b)) if a.nonce != b.nonce => return differ("nonce", &a.nonce, &b.nonce),
        (a, b) if a != b => return differ("account after the block", a, b),
        _ => {}
    }
    let slot = first_unequal(&l.storage, &r.storage, |slot| slot.slot);
    let key = slot.and_then(|(a, b)| a.or(b)).map_or(U256::ZERO, |slot| slot.slot);
    let (a, b) = slot.unwrap_or_default();
    let value = |s: Option<&SlotDiff>| s.map(|s| (s.before, s.after));
    differ(&format!("slot {key:#x}"), &value(a), &value(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(byte: u8, balance: u64, slots: &[(u64, u64)]) -> AccountDiff {
        AccountDiff {
            address: Address::repeat_byte(byte),
            before: None,
            after: Some(AccountState { balance: U256::from(balance), ..Default::default() }),
            storage_cleared: false,
            storage: slots
                .iter()
                .map(|&(slot, after)| SlotDiff {
                    slot: U256::from(slot),
                    before: U256::ZERO,
                    after: U256::from(after),
                })
                .collect(),
        }
    }

    #[test]
    fn order_does_not_matter_after_sorting() {
        let mut left = StateDiff {
            accounts: vec![account(2, 5, &[(9, 1), (3, 1)]), account(1, 5, &[])],
            codes: vec![],
        };
        let mut right = StateDiff {
            accounts: vec![account(1, 5, &[]), account(2, 5, &[(3, 1), (9, 1)])],
            codes: vec![],
        };
        left.sort();
        right.sort();
        assert_eq!(left, right);
        assert_eq!(left.first_difference(&right), None);
    }

    #[test]
    fn the_first_difference_names_account_location_and_both_values() {
        let left = StateDiff {
            accounts: vec![account(1, 5, &[]), account(2, 5, &[(3, 1), (9, 1)])],
            codes: vec![],
        };
        let mut right = left.clone();
        right.accounts[1].storage[1].after = U256::from(2);
        let found = left.first_difference(&right).expect("they differ");
        assert_eq!(found.address, Some(Address::repeat_byte(2)));
        assert_eq!(found.location, "slot 0x9");

        right.accounts.remove(0);
        let found = left.first_difference(&right).expect("they differ");
        assert_eq!(found.address, Some(Address::repeat_byte(1)));
        assert_eq!((found.left.as_str(), found.right.as_str()), ("changed", "unchanged"));
    }
}
