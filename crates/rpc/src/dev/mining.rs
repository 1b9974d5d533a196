//! When blocks are made, what their headers say, and going back.

use super::{Flexible, Wide, all};
use crate::{
    Context, RpcError,
    registry::Registry,
    wire::{Hex, Quantity},
};
use alloy_primitives::{Address, B256, U256};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use warpline_node::{MineOptions, Mining};
use warpline_storage::BlockRef;

/// Blocks that one request may ask for.
const MOST_BLOCKS: u64 = 100_000;

pub(super) fn register(registry: &mut Registry) {
    all(registry, &["evm_mine"], 1, |context, args| {
        let options: Option<MineRequest> = args.optional("options")?;
        let (timestamp, blocks) = match options {
            None => (None, 1),
            Some(MineRequest::Time(Flexible(time))) => (Some(time), 1),
            Some(MineRequest::Options { timestamp, blocks }) => {
                (timestamp.map(|time| time.0), blocks.map_or(1, |count| count.0))
            }
        };
        mine(context, blocks, timestamp, None)?;
        Ok("0x0")
    });
    all(registry, &["anvil_mine", "hardhat_mine"], 2, |context, args| {
        let blocks: Option<Flexible> = args.optional("blocks")?;
        let interval: Option<Flexible> = args.optional("interval")?;
        mine(context, blocks.map_or(1, |count| count.0), None, interval.map(|of| of.0))
    });
    all(registry, &["evm_setAutomine", "anvil_setAutomine"], 1, |context, args| {
        let on: bool = args.required("enabled")?;
        context.node.set_mining(if on { Mining::Instant } else { Mining::Manual });
        Ok(true)
    });
    all(registry, &["anvil_getAutomine", "hardhat_getAutomine"], 0, |context, _| {
        Ok(context.node.mining() == Mining::Instant)
    });
    all(registry, &["evm_setIntervalMining", "anvil_setIntervalMining"], 1, |context, args| {
        let Interval(interval) = args.required("interval")?;
        context.node.set_mining(match interval.is_zero() {
            true => Mining::Manual,
            false => Mining::Interval(interval),
        });
        Ok(true)
    });
    all(registry, &["anvil_getIntervalMining"], 0, |context, _| {
        Ok(match context.node.mining() {
            // No whole second is still an interval.
            Mining::Interval(interval) => Some(interval.as_secs().max(1)),
            Mining::Instant | Mining::Manual => None,
        })
    });
    headers(registry);
    going_back(registry);
    all(registry, &["anvil_nodeInfo", "hardhat_nodeInfo"], 0, |context, _| info(context));
    all(registry, &["anvil_metadata", "hardhat_metadata"], 0, |context, _| metadata(context));
    all(registry, &["anvil_setLoggingEnabled", "hardhat_setLoggingEnabled"], 1, |_, args| {
        // What is logged is the operator's decision.
        let _enabled: bool = args.required("enabled")?;
        Ok(true)
    });
}

fn headers(registry: &mut Registry) {
    all(registry, &["anvil_setCoinbase", "hardhat_setCoinbase"], 1, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        context.node.set_coinbase(address.0)?;
        Ok(true)
    });
    let names = ["anvil_setNextBlockBaseFeePerGas", "hardhat_setNextBlockBaseFeePerGas"];
    all(registry, &names, 1, |context, args| {
        let Flexible(fee) = args.required("baseFee")?;
        context.node.set_next_base_fee(fee)?;
        Ok(true)
    });
    all(registry, &["evm_setBlockGasLimit", "anvil_setBlockGasLimit"], 1, |context, args| {
        let Flexible(limit) = args.required("gasLimit")?;
        context.node.set_gas_limit(limit)?;
        Ok(true)
    });
    all(registry, &["anvil_setMinGasPrice", "hardhat_setMinGasPrice"], 1, |context, args| {
        let Wide(price) = args.required("gasPrice")?;
        let price = u128::try_from(price)
            .map_err(|_| RpcError::invalid_params("the price has more than 128 bits"))?;
        context.node.set_min_tip(price)?;
        Ok(true)
    });
    all(registry, &["hardhat_setPrevRandao", "anvil_setPrevRandao"], 1, |context, args| {
        let value: Hex<B256> = args.required("prevRandao")?;
        context.node.set_prev_randao(value.0)?;
        Ok(true)
    });
}

fn going_back(registry: &mut Registry) {
    all(registry, &["evm_snapshot", "anvil_snapshot"], 0, |context, _| {
        Ok(Quantity(context.node.snapshot()?))
    });
    all(registry, &["evm_revert", "anvil_revert"], 1, |context, args| {
        let Flexible(id) = args.required("id")?;
        Ok(context.node.revert(id)?)
    });
    all(registry, &["anvil_reset", "hardhat_reset"], 1, |context, args| {
        let options: Option<Map<String, Value>> = args.optional("options")?;
        let forks = options.is_some_and(|of| of.values().any(|value| !value.is_null()));
        if forks {
            let words = "forking is not supported: this node does not take over other chains' state. \
                         Without parameters the chain goes back to its genesis block";
            return Err(RpcError::invalid_params(words));
        }
        context.node.reset(0)?;
        Ok(true)
    });
    all(registry, &["anvil_dropTransaction"], 1, |context, args| {
        let hash: Hex<B256> = args.required("hash")?;
        Ok(context.node.pool().remove(&hash.0).map(|tx| tx.hash()))
    });
    // Hardhat's helpers take nothing but a boolean, which anvil does not give them.
    all(registry, &["hardhat_dropTransaction"], 1, |context, args| {
        let hash: Hex<B256> = args.required("hash")?;
        Ok(context.node.pool().remove(&hash.0).is_some())
    });
    all(registry, &["anvil_dropAllTransactions"], 0, |context, _| {
        context.node.pool().clear();
        Ok(())
    });
    all(registry, &["anvil_removePoolTransactions"], 1, |context, args| {
        let address: Hex<Address> = args.required("address")?;
        context.node.pool().remove_sender(address.0);
        Ok(())
    });
}

/// What `evm_mine` can be given.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "neither a time of 64 bits nor an object with `timestamp` and `blocks`"
)]
enum MineRequest {
    Time(Flexible),
    Options { timestamp: Option<Flexible>, blocks: Option<Flexible> },
}

/// Seconds, or a range of them in milliseconds as Hardhat has it: its middle.
#[derive(Debug)]
struct Interval(Duration);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "neither seconds nor the least and the most of milliseconds")]
        enum Given {
            Seconds(Flexible),
            Range(Flexible, Flexible),
        }
        Ok(Self(match Given::deserialize(deserializer)? {
            Given::Seconds(Flexible(seconds)) => Duration::from_secs(seconds),
            Given::Range(Flexible(least), Flexible(most)) => {
                Duration::from_millis(least / 2 + most / 2)
            }
        }))
    }
}

/// Makes so many blocks, `interval` seconds after each other where it is given.
fn mine(
    context: &Context,
    blocks: u64,
    timestamp: Option<u64>,
    interval: Option<u64>,
) -> Result<Option<()>, RpcError> {
    if blocks > MOST_BLOCKS {
        let words = format!("{blocks} blocks are too many at once: at most {MOST_BLOCKS}");
        return Err(RpcError::invalid_params(words));
    }
    let node = &context.node;
    let interval = interval.map(|seconds| seconds.max(1));
    if let Some(interval) = interval.filter(|_| blocks > 1) {
        node.check_times(blocks, interval)?;
    }
    for index in 0..blocks {
        let mut options = MineOptions { timestamp: timestamp.filter(|_| index == 0) };
        if let Some(interval) = interval.filter(|_| index > 0) {
            let head = header_time(context, node.view().head())?;
            options.timestamp = Some(head.saturating_add(interval));
        }
        node.mine(&options)?;
    }
    Ok(None)
}

fn header_time(context: &Context, block: BlockRef) -> Result<u64, RpcError> {
    let blocks = context.view().blocks()?;
    let header = blocks.reader()?.header(block.number)?;
    header.map(|(header, _)| header.timestamp).ok_or_else(|| RpcError::internal("no head"))
}

/// What Foundry asks to find out what it talks to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    current_block_number: Quantity,
    current_block_timestamp: u64,
    current_block_hash: B256,
    hard_fork: &'static str,
    transaction_order: &'static str,
    environment: Value,
    fork_config: Value,
}

fn info(context: &Context) -> Result<NodeInfo, RpcError> {
    let view = context.view();
    let blocks = view.blocks()?;
    let head = blocks.block();
    let header = blocks.reader()?.header(head.number)?;
    let (header, _) = header.ok_or_else(|| RpcError::internal("no head"))?;
    let chain = &view.rules().after_merge;
    let base_fee = context.node.pool().head().base_fee;
    Ok(NodeInfo {
        current_block_number: Quantity(head.number),
        current_block_timestamp: header.timestamp,
        current_block_hash: head.hash,
        hard_fork: chain.fork_name(header.number, header.timestamp),
        transaction_order: "fees",
        environment: json!({
            "baseFee": U256::from(base_fee),
            "chainId": chain.chain_id(),
            "gasLimit": header.gas_limit,
            "gasPrice": U256::from(base_fee),
        }),
        fork_config: json!({ "forkUrl": null, "forkBlockNumber": null, "forkRetryBackoff": null }),
    })
}

fn metadata(context: &Context) -> Result<Value, RpcError> {
    let view = context.view();
    let head = view.head();
    let genesis = view.blocks()?.reader()?.block_hash(0)?;
    Ok(json!({
        "clientVersion": concat!("warpline/", env!("CARGO_PKG_VERSION")),
        "chainId": view.rules().chain_id(),
        "instanceId": genesis,
        "latestBlockNumber": head.number,
        "latestBlockHash": head.hash,
        "forkedNetwork": null,
        "snapshots": {},
    }))
}
