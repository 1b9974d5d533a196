//! The compiled contracts: runtime code and where each storage variable lives.
//!
//! `scripts/compile-contracts.mjs` writes the artifacts; they are part of the binary.

use crate::{Rules, WorkloadError, layout::Slot};
use alloy_primitives::{Bytes, U256};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A contract of `contracts/`, compiled for some rules.
#[derive(Debug)]
pub(crate) struct Artifact {
    name: &'static str,
    content: Content,
}

#[derive(Debug, Deserialize)]
struct Content {
    storage: BTreeMap<String, Place>,
    structs: BTreeMap<String, BTreeMap<String, Place>>,
    runtime: Bytes,
}

/// The slot, the first byte from the right, and the number of bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Place(u64, u8, u16);

impl Place {
    /// Whatever is wider than a word (a struct, a fixed array) is known by its first slot.
    fn slot(self) -> Slot {
        let Self(slot, offset, length) = self;
        let length = u8::try_from(length).unwrap_or(32).min(32);
        Slot { key: U256::from(slot), offset, length }
    }
}

/// Defines [`Contract`] with the artifacts of its variants.
macro_rules! contracts {
    ($($name:ident),*) => {
        /// The contracts of `contracts/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Contract { $(#[doc = stringify!($name)] $name),* }

        impl Contract {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            const fn json(self) -> &'static str {
                match self {
                    $(Self::$name =>
                        include_str!(concat!("../artifacts/", stringify!($name), ".json"))),*
                }
            }
        }
    };
}

contracts!(
    Assembly,
    Collection,
    Counter,
    Custody,
    GameItems,
    LendingMarket,
    Metering,
    Oracle,
    Pair,
    Router,
    Subscription,
    TickPool,
    TickRouter,
    Token
);

impl Contract {
    /// The contract as compiled for `rules`, where it exists for the old ones.
    pub(crate) fn load(self, rules: Rules) -> Result<Artifact, WorkloadError> {
        let json = match (rules, self) {
            (Rules::Homestead, Self::Token) => include_str!("../artifacts/Token.homestead.json"),
            (Rules::Homestead, Self::Counter) => {
                include_str!("../artifacts/Counter.homestead.json")
            }
            _ => self.json(),
        };
        let name = self.name();
        let content = serde_json::from_str(json)
            .map_err(|source| WorkloadError::Artifact { contract: name, source })?;
        Ok(Artifact { name, content })
    }
}

impl Artifact {
    /// The code a deployed contract has.
    pub(crate) fn runtime(&self) -> &Bytes {
        &self.content.runtime
    }

    /// Where a state variable lives.
    pub(crate) fn variable(&self, variable: &str) -> Result<Slot, WorkloadError> {
        self.found(self.content.storage.get(variable), variable)
    }

    /// Where a member lives, counted from the first slot of its struct: see [`Slot::member`].
    pub(crate) fn member(&self, of: &str, member: &str) -> Result<Slot, WorkloadError> {
        let place = self.content.structs.get(of).and_then(|members| members.get(member));
        self.found(place, &format!("{of}.{member}"))
    }

    fn found(&self, place: Option<&Place>, variable: &str) -> Result<Slot, WorkloadError> {
        place.map(|place| place.slot()).ok_or_else(|| WorkloadError::Variable {
            contract: self.name,
            variable: variable.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, keccak256};
    use std::{fs, path::Path};

    #[test]
    fn every_artifact_parses_and_fits_a_contract() {
        for contract in Contract::ALL {
            for rules in [Rules::Osaka, Rules::Homestead] {
                let artifact = contract.load(rules).unwrap();
                assert!((1..=24_576).contains(&artifact.runtime().len()), "{contract:?}");
            }
        }
    }

    /// Whether the code is what these sources compile to, only the compiler can tell:
    /// `node scripts/compile-contracts.mjs --check`.
    #[test]
    fn artifacts_were_compiled_from_the_sources_as_they_are() {
        #[derive(Deserialize)]
        struct Provenance {
            sources: BTreeMap<String, B256>,
        }
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in fs::read_dir(crate_dir.join("artifacts")).unwrap() {
            let artifact = entry.unwrap().path();
            let content = fs::read(&artifact).unwrap();
            let Provenance { sources } = serde_json::from_slice(&content).unwrap();
            assert!(!sources.is_empty());
            for (file, hash) in sources {
                let source = fs::read(crate_dir.join("contracts").join(&file)).unwrap();
                assert_eq!(keccak256(source), hash, "{} is older than {file}", artifact.display());
            }
        }
    }

    #[test]
    fn variables_and_members_are_found_where_the_compiler_put_them() {
        let market = Contract::LendingMarket.load(Rules::Osaka).unwrap();
        let debt = market.variable("debtShares").unwrap();
        assert_eq!((debt.key, debt.offset, debt.length), (U256::from(3), 16, 16));
        let member = market.member("Position", "debtShares").unwrap();
        assert_eq!((member.key, member.offset), (U256::ZERO, 16));
    }

    #[test]
    fn a_missing_variable_is_named() {
        let token = Contract::Token.load(Rules::Osaka).unwrap();
        let error = token.variable("owner").unwrap_err().to_string();
        assert_eq!(error, "Token has no storage variable `owner`");
        let error = token.member("Tick", "net").unwrap_err().to_string();
        assert_eq!(error, "Token has no storage variable `Tick.net`");
    }
}
