//! The precompiles of a call, some of them moved away or replaced by code.

use alloy_evm::precompiles::{DynPrecompile, PrecompileInput, PrecompilesMap};
use alloy_primitives::{Address, map::AddressMap};
use revm::{
    context::JournalTr,
    precompile::{Precompile, PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};
/// The precompiles of a fork, with changes.
#[derive(Debug, Clone)]
pub(crate) struct PrecompileSet {
    of_fork: &'static Precompiles,
    /// All of them by the address they answer at, once there are changes.
    changed: Option<AddressMap<Precompile>>,
}

impl PrecompileSet {
    pub(crate) fn new(spec: SpecId) -> Self {
        let of_fork = Precompiles::new(PrecompileSpecId::from_spec_id(spec));
        Self { of_fork, changed: None }
    }

    pub(crate) fn contains(&self, address: &Address) -> bool {
        self.get(address).is_some()
    }

    fn get(&self, address: &Address) -> Option<&Precompile> {
        match &self.changed {
            Some(changed) => changed.get(address),
            None => self.of_fork.get(address),
        }
    }

    /// Makes the precompile of one address answer at another, too.
    pub(crate) fn copy(&mut self, from: &Address, to: Address) {
        if let Some(precompile) = self.get(from).cloned() {
            self.changed_mut().insert(to, precompile);
        }
    }

    /// Leaves an address to its code.
    pub(crate) fn remove(&mut self, address: &Address) {
        if self.contains(address) {
            self.changed_mut().remove(address);
        }
    }

    fn changed_mut(&mut self) -> &mut AddressMap<Precompile> {
        let of_fork = self.of_fork;
        self.changed.get_or_insert_with(|| {
            of_fork.inner().iter().map(|(address, one)| (*address, one.clone())).collect()
        })
    }

    /// For an EVM; `None` where its own will do.
    pub(crate) fn map(&self) -> Option<PrecompilesMap> {
        let changed = self.changed.as_ref()?;
        let mut map = PrecompilesMap::from_static(self.of_fork);
        for address in self.of_fork.addresses().filter(|address| !changed.contains_key(*address)) {
            map.apply_precompile(address, |_| None);
        }
        let moved = changed.iter().filter(|(address, one)| *address != one.address());
        for (address, precompile) in moved {
            let (id, precompile) = (precompile.id().clone(), precompile.clone());
            let run = move |input: PrecompileInput<'_>| {
                precompile.execute(input.data, input.gas, input.reservoir)
            };
            map.apply_precompile(address, |_| Some(DynPrecompile::new(id, run)));
        }
        Some(map)
    }

    /// Whatever moves, the addresses of the fork cost no access, and no others (EIP-2929).
    pub(crate) fn warm(&self, journal: &mut impl JournalTr) {
        journal.warm_precompiles(self.of_fork.addresses_set());
    }
}
