//! What this node is and has: `eth_config` (EIP-7910) and `eth_capabilities`.

use crate::{Context, RpcError, context::genesis_hash, registry::Registry, wire::Quantity};
use alloy_eips::{eip2124::ForkHash, eip7840::BlobParams, eip7910::SystemContract};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, Bytes};
use revm::precompile::{PrecompileSpecId, Precompiles};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use warpline_chain::Rules;

pub(crate) fn register(registry: &mut Registry) {
    registry.quick("eth_config", 0, |context, _| config(context));
    registry.quick("eth_capabilities", 0, |context, _| capabilities(context));
}

/// The rules now, those after the next fork and those after the last one that is planned.
#[derive(Debug, Serialize)]
struct Config {
    current: ForkConfig,
    next: Option<ForkConfig>,
    last: Option<ForkConfig>,
}

/// The rules from one fork on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkConfig {
    activation_time: u64,
    blob_schedule: Option<BlobSchedule>,
    chain_id: Quantity,
    fork_id: Bytes,
    precompiles: BTreeMap<String, Address>,
    system_contracts: BTreeMap<SystemContract, Address>,
}

/// How many blobs, and how their price moves.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobSchedule {
    target: u64,
    max: u64,
    base_fee_update_fraction: u128,
}

impl From<BlobParams> for BlobSchedule {
    fn from(params: BlobParams) -> Self {
        Self {
            target: params.target_blob_count,
            max: params.max_blob_count,
            base_fee_update_fraction: params.update_fraction,
        }
    }
}

fn config(context: &Context) -> Result<Config, RpcError> {
    let rules = context.view().rules();
    let blocks = context.view().blocks()?;
    let reader = blocks.reader()?;
    let genesis = genesis_hash(&reader)?;
    let head = reader.header(blocks.block().number)?.map(|(header, _)| header).unwrap_or_default();
    let start = reader.header(0)?.map_or(0, |(header, _)| header.timestamp);
    let forks = forks_by_time(rules);
    let at = |time: u64| of_fork(rules, genesis, start, head.number, time);
    let current = forks.iter().copied().filter(|time| *time <= head.timestamp).max();
    let next = forks.iter().copied().find(|time| *time > head.timestamp);
    let last = next.and(forks.last().copied());
    Ok(Config { current: at(current.unwrap_or_default()), next: next.map(at), last: last.map(at) })
}

/// When forks happen that happen at a time.
fn forks_by_time(rules: &Rules) -> BTreeSet<u64> {
    let forks = EthereumHardfork::VARIANTS.iter();
    let condition = |fork: &EthereumHardfork| rules.after_merge.ethereum_fork_activation(*fork);
    forks.filter_map(|fork| condition(fork).as_timestamp()).collect()
}

fn of_fork(rules: &Rules, genesis: B256, start: u64, number: u64, time: u64) -> ForkConfig {
    let chain = &rules.after_merge;
    let spec = PrecompileSpecId::from_spec_id(chain.spec_id(number, time));
    let precompiles = Precompiles::new(spec).inner().values();
    let named = precompiles.map(|found| (found.id().name().to_owned(), *found.address()));
    let mut system_contracts = BTreeMap::new();
    if chain.is_cancun_active_at_timestamp(time) {
        system_contracts.extend(SystemContract::cancun());
    }
    if chain.is_prague_active_at_timestamp(time) {
        system_contracts.extend(SystemContract::prague(chain.deposit_contract_address()));
    }
    ForkConfig {
        activation_time: time,
        blob_schedule: chain.blob_params(time).map(BlobSchedule::from),
        chain_id: Quantity(rules.chain_id()),
        fork_id: fork_id(rules, genesis, start, time),
        precompiles: named.collect(),
        system_contracts,
    }
}

/// The hash over all forks up to a time (EIP-2124, EIP-6122).
fn fork_id(rules: &Rules, genesis: B256, start: u64, time: u64) -> Bytes {
    let (mut blocks, mut times) = (BTreeSet::new(), BTreeSet::new());
    for fork in EthereumHardfork::VARIANTS {
        match rules.after_merge.ethereum_fork_activation(*fork) {
            ForkCondition::Block(number) if *fork == EthereumHardfork::Petersburg => {
                // While Constantinople comes alone, the rules have Petersburg in its place.
                let end = rules.net_gas_metering.end;
                blocks.insert(if end > number { end } else { number });
            }
            ForkCondition::Block(number) => drop(blocks.insert(number)),
            ForkCondition::TTD { fork_block, .. } => blocks.extend(fork_block),
            ForkCondition::Timestamp(at) if at <= time => drop(times.insert(at)),
            ForkCondition::Timestamp(_) | ForkCondition::Never => {}
        }
    }
    let blocks = blocks.into_iter().filter(|number| *number > 0);
    let times = times.into_iter().filter(|at| *at > start);
    let hash = blocks.chain(times).fold(ForkHash::from(genesis), |hash, fork| hash + fork);
    Bytes::copy_from_slice(&hash.0)
}

/// How far back each kind of data goes.
#[derive(Debug, Serialize)]
struct Capabilities {
    head: Head,
    state: Capability,
    tx: Capability,
    logs: Capability,
    receipts: Capability,
    blocks: Capability,
    stateproofs: Capability,
}

#[derive(Debug, Serialize)]
struct Head {
    number: Quantity,
    hash: B256,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Capability {
    disabled: bool,
    oldest_block: Quantity,
}

fn capabilities(context: &Context) -> Result<Capabilities, RpcError> {
    let blocks = context.view().blocks()?;
    let progress = blocks.reader()?.progress();
    let from = |oldest| Capability { disabled: false, oldest_block: Quantity(oldest) };
    let head = blocks.block();
    Ok(Capabilities {
        head: Head { number: Quantity(head.number), hash: head.hash },
        state: from(progress.history_from),
        tx: from(0),
        logs: from(progress.receipts_from),
        receipts: from(progress.receipts_from),
        blocks: from(0),
        stateproofs: from(progress.history_from),
    })
}
