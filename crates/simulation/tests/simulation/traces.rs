//! Traces of transactions against executing them plainly.

use crate::world::{A, C, LIMITS, World, request, returning};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_trace::geth::GethTrace;
use proptest::prelude::*;
use revm::{DatabaseCommit, context_interface::result::ExecutionResult, database::CacheDB};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use warpline_executor::{EthTransaction, UnreachedRules};
use warpline_simulation::{
    Contended, Overrides, TraceOptions, TracedBlock, dependencies, flat_traces, trace_block,
    trace_call, trace_transaction,
};
use warpline_testing::evm::{MemoryParent, asm::Asm, plan};

fn options(value: Value) -> TraceOptions {
    serde_json::from_value(value).unwrap()
}

/// The valid transactions of a generated block on mainnet after Osaka, and what they come to.
fn executed(seed: u64) -> (World, Vec<EthTransaction>, Vec<Address>, Vec<ExecutionResult>) {
    let mut block = plan::block_from_seed(seed);
    let mut world = World::new(core::mem::take(&mut block.parent));
    world.header.parent_hash = block.ctx.parent_hash;
    world.header.beneficiary = block.env.block_env.beneficiary;
    let env = world.chain.evm_env(&world.header);
    let mut evm = EthEvmFactory::default().create_evm(CacheDB::new(&world.state), env);
    let (mut transactions, mut senders, mut results) = (vec![], vec![], vec![]);
    for (tx, recovered) in block.txs {
        // Generated delegations have no signatures to recover.
        if tx.tx_type == 4 {
            continue;
        }
        let Ok(result) = evm.transact_raw(tx) else { continue };
        evm.db_mut().commit(result.state);
        results.push(result.result);
        senders.push(recovered.signer());
        transactions.push(recovered.into_inner());
    }
    drop(evm);
    (world, transactions, senders, results)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn traces_agree_with_the_execution(seed: u64) {
        let (world, transactions, senders, results) = executed(seed);
        let block = TracedBlock {
            chain: &world.chain,
            header: &world.header,
            hash: B256::ZERO,
            transactions: &transactions,
            senders: &senders,
            unreached: UnreachedRules::default(),
        };
        let calls = options(json!({ "tracer": "callTracer" }));
        let traces = trace_block(world.below(), &block, &calls, &LIMITS).unwrap();
        prop_assert_eq!(traces.len(), results.len());
        for (index, (trace, result)) in traces.iter().zip(&results).enumerate() {
            let GethTrace::CallTracer(frame) = trace else { panic!("{trace:?}") };
            prop_assert_eq!(frame.gas_used, U256::from(result.tx_gas_used()));
            prop_assert_eq!(frame.error.is_none(), result.is_success());
            let single = trace_transaction(world.below(), &block, index, &calls, &LIMITS);
            prop_assert_eq!(&single.unwrap(), trace);
        }
        let steps = trace_block(world.below(), &block, &TraceOptions::default(), &LIMITS).unwrap();
        for (trace, result) in steps.iter().zip(&results) {
            let GethTrace::Default(frame) = trace else { panic!("{trace:?}") };
            prop_assert_eq!((frame.gas, frame.failed), (result.tx_gas_used(), !result.is_success()));
        }
        let flat = flat_traces(world.below(), &block, None, &LIMITS).unwrap();
        let roots = flat.iter().filter(|trace| trace.trace.trace_address.is_empty()).count();
        prop_assert_eq!(roots, results.len());
    }

    #[test]
    fn dependencies_are_those_that_the_prestate_tracer_shows(seed: u64) {
        let (world, transactions, senders, results) = executed(seed);
        let block = TracedBlock {
            chain: &world.chain,
            header: &world.header,
            hash: B256::ZERO,
            transactions: &transactions,
            senders: &senders,
            unreached: UnreachedRules::default(),
        };
        let found = dependencies(world.below(), &block, &LIMITS).unwrap();
        let gas: Vec<u64> = results.iter().map(|result| result.tx_gas_used()).collect();
        prop_assert_eq!(&found.gas, &gas);

        let traces = |config: Value| {
            let options = json!({ "tracer": "prestateTracer", "tracerConfig": config });
            let traces = trace_block(world.below(), &block, &self::options(options), &LIMITS);
            serde_json::to_value(traces.unwrap()).unwrap().as_array().unwrap().clone()
        };
        let (loads, changes) = (traces(json!({})), traces(json!({ "diffMode": true })));
        let mut writers = BTreeMap::<Contended, usize>::new();
        let mut dependents = BTreeMap::<Contended, usize>::new();
        for (index, (load, change)) in loads.iter().zip(&changes).enumerate() {
            let changed = written(change);
            let mut expected = BTreeSet::new();
            let nonces = changed.iter().filter(|at| matches!(at, Contended::Nonce(_)));
            for location in loaded(load).iter().chain(nonces) {
                if let Some(writer) = writers.get(location) {
                    expected.insert(*writer);
                    *dependents.entry(*location).or_default() += 1;
                }
            }
            let expected: Vec<usize> = expected.into_iter().collect();
            prop_assert_eq!(&found.on[index], &expected, "{}", index);
            writers.extend(changed.into_iter().map(|location| (location, index)));
        }
        let hot = found.hot.iter().map(|hot| (hot.location, hot.dependents));
        prop_assert_eq!(hot.collect::<BTreeMap<_, _>>(), dependents);
        let (gas, path) = found.critical_path();
        prop_assert_eq!(path.iter().map(|index| found.gas[*index]).sum::<u64>(), gas);
        prop_assert!(path.windows(2).all(|pair| found.on[pair[1]].contains(&pair[0])));
        prop_assert!(gas <= found.total_gas());
    }
}

/// Where a trace in diff mode shows changes.
fn written(trace: &Value) -> BTreeSet<Contended> {
    let mut written = BTreeSet::new();
    for (address, after) in trace["post"].as_object().unwrap() {
        let address: Address = address.parse().unwrap();
        if !after["nonce"].is_null() {
            written.insert(Contended::Nonce(address));
        }
        if !after["code"].is_null() {
            written.insert(Contended::Code(address));
        }
    }
    for side in ["pre", "post"] {
        for (address, account) in trace[side].as_object().unwrap() {
            written.extend(slots(address, account));
        }
    }
    written
}

/// Slots and code that a trace without it shows to be loaded.
fn loaded(trace: &Value) -> BTreeSet<Contended> {
    let accounts = trace.as_object().unwrap().iter();
    let of = |(address, account): (&String, &Value)| {
        let code = Contended::Code(address.parse().unwrap());
        slots(address, account).into_iter().chain([code]).collect::<Vec<_>>()
    };
    accounts.flat_map(of).collect()
}

fn slots(address: &str, account: &Value) -> Vec<Contended> {
    let address = address.parse().unwrap();
    let slot = |slot: &String| Contended::Slot(address, slot.parse::<B256>().unwrap().into());
    account["storage"].as_object().map_or_else(Vec::new, |list| list.keys().map(slot).collect())
}

fn stored() -> World {
    let mut state = MemoryParent::default();
    state.fund(A, U256::from(10));
    state.deploy(C, returning(Asm::new().push(5).store(1).load(1)));
    state.set_slot(C, U256::from(1), U256::from(3));
    World::new(state)
}

fn traced(options: Value) -> Value {
    let world = stored();
    let options = self::options(options);
    let (none, call) = (Overrides::default(), request(A, C, []));
    let trace = trace_call(world.below(), world.block(), &call, none, &options, &LIMITS);
    serde_json::to_value(trace.unwrap()).unwrap()
}

#[test]
fn every_tracer_of_geth_has_its_own_output() {
    let slot = |number: u64| B256::from(U256::from(number)).to_string();
    let contract = C.to_string().to_lowercase();
    let of =
        |tracer: &str, config: Value| traced(json!({ "tracer": tracer, "tracerConfig": config }));
    let calls = of("callTracer", json!({ "onlyTopCall": true, "withLog": true }));
    assert_eq!((calls["type"].as_str(), calls["gas"].as_str()), (Some("CALL"), Some("0x2faf080")));
    let before = of("prestateTracer", Value::Null);
    assert_eq!(before[&contract]["storage"][slot(1)], slot(3));
    assert!(before[&contract]["code"].is_string());
    let bare = of("prestateTracer", json!({ "disableCode": true, "disableStorage": true }));
    assert!(bare[&contract]["code"].is_null() && bare[&contract]["storage"].is_null());
    let diff = of("prestateTracer", json!({ "diffMode": true }));
    assert_eq!(diff["post"][&contract]["storage"][slot(1)], slot(5));
    assert_eq!(of("noopTracer", Value::Null), json!({}));
    assert_eq!(of("4byteTracer", Value::Null), json!({}));
    let flat = &of("flatCallTracer", Value::Null)[0];
    assert_eq!(flat["type"], "call");
    // Both with what a transaction costs before its first instruction, as in geth.
    let whole = (&flat["action"]["gas"], &flat["result"]["gasUsed"]);
    assert_eq!(whole, (&calls["gas"], &calls["gasUsed"]));
    let mux = of("muxTracer", json!({ "flatCallTracer": null }));
    assert_eq!(mux["flatCallTracer"][0]["result"]["gasUsed"], calls["gasUsed"]);
    let both = of("muxTracer", json!({ "callTracer": null, "noopTracer": null }));
    assert_eq!(both["callTracer"]["type"], "CALL");
}

#[test]
fn the_logger_of_steps_records_what_it_is_asked_for() {
    let steps = traced(json!({}));
    let store = |steps: &Value| {
        let all = steps["structLogs"].as_array().unwrap().clone();
        all.into_iter().find(|step| step["op"] == "SSTORE").unwrap()
    };
    assert_eq!(store(&steps)["stack"], json!(["0x5", "0x1"]));
    assert!(store(&steps)["storage"].is_object() && store(&steps)["memory"].is_null());
    let less = traced(json!({ "disableStack": true, "disableStorage": true }));
    assert!(store(&less)["stack"].is_null() && store(&less)["storage"].is_null());
    let more = traced(json!({ "enableMemory": true, "enableReturnData": true, "limit": 0 }));
    let first = &more["structLogs"][0];
    assert!(first["memory"].is_null() && first["refund"].is_null() && first["stack"].is_array());
    let last = more["structLogs"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["memory"][0], B256::from(U256::from(5)).to_string());
    let few = traced(json!({ "limit": 2, "timeout": "5s", "reexec": 128 }));
    assert_eq!(few["structLogs"].as_array().unwrap().len(), 2);
}

#[test]
fn tracers_that_are_not_there_are_refused() {
    let world = stored();
    let unknown = options(json!({ "tracer": "{ result: function() {} }" }));
    let (none, call) = (Overrides::default(), request(A, C, []));
    let trace = trace_call(world.below(), world.block(), &call, none, &unknown, &LIMITS);
    assert!(trace.unwrap_err().to_string().contains("tracer not found"));
}

#[test]
fn a_trace_that_no_memory_would_hold_is_refused() {
    let mut world = stored();
    world.state.deploy(C, Asm::new().label("again").jump("again").finish());
    let (none, call) = (Overrides::default(), request(A, C, []));
    let plain = TraceOptions::default();
    let trace = trace_call(world.below(), world.block(), &call, none, &plain, &LIMITS);
    assert!(trace.unwrap_err().to_string().contains("set a limit"));
    let few = options(json!({ "limit": 10 }));
    let trace = trace_call(world.below(), world.block(), &call, none, &few, &LIMITS);
    assert!(trace.is_ok());
}
