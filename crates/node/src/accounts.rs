//! Accounts whose keys the node has: those of a development chain.

use crate::NodeError;
use alloy_primitives::{Address, map::AddressMap};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use std::sync::Arc;

/// The mnemonic that development nodes share; its keys are known to everybody.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Keys, in the order in which they were derived.
#[derive(Debug, Clone, Default)]
pub struct DevAccounts {
    signers: Arc<[PrivateKeySigner]>,
    by_address: Arc<AddressMap<usize>>,
}

impl DevAccounts {
    /// The first accounts of a mnemonic, by the path of Ethereum wallets (BIP-44,
    /// `m/44'/60'/0'/0/n`).
    ///
    /// # Errors
    /// The words are not a mnemonic.
    pub fn from_mnemonic(words: &str, count: u32) -> Result<Self, NodeError> {
        let signer = |index| {
            let builder = MnemonicBuilder::<English>::default().phrase(words);
            builder.index(index).and_then(|builder| builder.build())
        };
        let signers = (0..count).map(signer).collect::<Result<Vec<_>, _>>();
        Ok(Self::from_signers(signers.map_err(NodeError::Mnemonic)?))
    }

    /// Accounts by their keys.
    pub fn from_signers(signers: Vec<PrivateKeySigner>) -> Self {
        let by_address = signers.iter().zip(0..).map(|(signer, at)| (signer.address(), at));
        let by_address = Arc::new(by_address.collect());
        Self { signers: signers.into(), by_address }
    }

    /// The keys.
    pub fn signers(&self) -> &[PrivateKeySigner] {
        &self.signers
    }

    /// The addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.signers.iter().map(PrivateKeySigner::address)
    }

    /// The key of an address, where the node has it.
    pub fn signer(&self, address: &Address) -> Option<&PrivateKeySigner> {
        self.signers.get(*self.by_address.get(address)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn the_well_known_mnemonic_has_the_well_known_accounts() {
        let accounts = DevAccounts::from_mnemonic(MNEMONIC, 10).unwrap();
        let first = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let last = address!("0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");
        let addresses: Vec<_> = accounts.addresses().collect();
        assert_eq!((addresses.len(), addresses[0], addresses[9]), (10, first, last));
        assert_eq!(accounts.signer(&last).map(PrivateKeySigner::address), Some(last));
        assert!(accounts.signer(&Address::ZERO).is_none());
        assert!(DevAccounts::from_mnemonic("test test", 1).is_err());
    }
}
