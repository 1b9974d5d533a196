//! What somebody without a state needs to execute a block: `debug_executionWitness`.

use super::trace::Subject;
use crate::{Context, RpcError, args::Args, eth::limits, registry::Registry, wire::BlockId};
use alloy_primitives::Bytes;
use serde::Serialize;
use warpline_executor::ParentState;
use warpline_simulation::{Touched, touched};

pub(crate) fn register(registry: &mut Registry) {
    registry.slow("debug_executionWitness", 1, witness);
    registry.slow("debug_executionWitnessByBlockHash", 1, witness);
}

/// The format that reth and geth share.
#[derive(Debug, Serialize)]
struct RpcWitness {
    /// Trie nodes, of the state and of storage, as they are before the block.
    state: Vec<Bytes>,
    codes: Vec<Bytes>,
    /// Addresses and slots whose hashes lead through the tries.
    keys: Vec<Bytes>,
    /// Headers in RLP up to the parent, as far back as the block looks.
    headers: Vec<Bytes>,
}

fn witness(context: &Context, args: &mut Args<'_>) -> Result<RpcWitness, RpcError> {
    let id: BlockId = args.required("block")?;
    let subject = Subject::read(context, id)?;
    if context.view().began_with_changes(&subject.hash) {
        let number = subject.header.number;
        return Err(RpcError::refused(format!(
            "block #{number} begins with changes that no transaction made (anvil_setBalance and \
             the like): nothing can explain its state root"
        )));
    }
    let (state, block) = (&subject.parent.state, subject.block(context));
    let withdrawals = subject.withdrawals.as_ref().map(|list| list.as_slice());
    let limits = limits(context);
    let touched = touched(state.open(), &block, &subject.ommers, withdrawals, &limits)?;
    let Touched { reads, codes, oldest_block, changes } = touched;
    let nodes = state.witness(&reads, &changes)?;
    let mut keys = Vec::with_capacity(reads.len());
    for (address, slots) in &reads {
        keys.push(Bytes::copy_from_slice(address.as_slice()));
        keys.extend(slots.iter().map(|slot| Bytes::copy_from_slice(&slot.to_be_bytes::<32>())));
    }
    let reader = state.reader()?;
    let mut headers = Vec::new();
    for number in oldest_block..subject.header.number {
        let header = reader.header(number)?;
        headers.extend(header.map(|(header, _)| Bytes::from(alloy_rlp::encode(&header))));
    }
    Ok(RpcWitness { state: nodes.into_values().collect(), codes, keys, headers })
}
