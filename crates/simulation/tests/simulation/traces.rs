//! Traces of transactions against executing them plainly.

use crate::world::{A, C, LIMITS, World, request, returning};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_trace::geth::GethTrace;
use proptest::prelude::*;
use revm::{DatabaseCommit, context_interface::result::ExecutionResult, database::CacheDB};
use serde_json::{Value, json};
use warpline_executor::{EthTransaction, UnreachedRules};
use warpline_simulation::{
    Overrides, TraceOptions, TracedBlock, flat_traces, trace_block, trace_call, trace_transaction,
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
    #![proptest_config(ProptestConfig::with_cases(12))]

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
    assert_eq!(of("flatCallTracer", Value::Null)[0]["type"], "call");
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
