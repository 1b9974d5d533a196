//! What every workload promises: blocks are valid and do what they say, cold transactions have
//! nothing in common, hot ones form a chain.

mod harness;

use alloy_consensus::{Transaction, transaction::SignerRecoverable};
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::{B256, U256, keccak256};
use harness::{block, trace};
use std::collections::{HashMap, HashSet};
use warpline_workload::{BlockSpec, Rules, Workload, WorkloadError, generate};

/// Enough for every kind of action of every workload to occur.
const MANY: usize = 150;

#[test]
fn every_transaction_succeeds_and_uses_most_of_its_gas_limit() {
    for workload in Workload::ALL {
        for hot_ratio in [0.0, 0.3, 1.0] {
            let block = block(workload, MANY, hot_ratio);
            let traces = trace(&block);
            assert_eq!(traces.len(), MANY);
            for (i, (trace, tx)) in traces.iter().zip(&block.transactions).enumerate() {
                let label = format!("{workload} {hot_ratio} #{i}: {} gas", trace.gas_used);
                assert!(trace.succeeded, "{label}, {}", trace.output);
                assert!(tx.gas_limit() <= trace.gas_used * 5, "{label} of {}", tx.gas_limit());
                assert!(tx.gas_limit() <= MAX_TX_GAS_LIMIT_OSAKA, "{label}");
            }
        }
    }
}

#[test]
fn old_rules_run_what_was_compiled_for_them() {
    for workload in Workload::ALL {
        let spec = BlockSpec { transactions: 20, hot_ratio: 0.5, seed: 9, rules: Rules::Homestead };
        match generate(workload, &spec) {
            Ok(block) => assert!(trace(&block).iter().all(|trace| trace.succeeded), "{workload}"),
            Err(WorkloadError::Rules { .. }) => assert!(!workload.runs_under_homestead()),
            Err(error) => panic!("{workload}: {error}"),
        }
    }
}

#[test]
fn cold_transactions_have_nothing_in_common() {
    for workload in Workload::ALL {
        let traces = trace(&block(workload, MANY, 0.0));
        let mut writer = HashMap::new();
        for (i, trace) in traces.iter().enumerate() {
            for location in &trace.written {
                let other = writer.insert(*location, i);
                assert_eq!(other, None, "{workload}: #{i} writes {location:?} too");
            }
        }
        for (i, trace) in traces.iter().enumerate() {
            for location in &trace.touched {
                let other = writer.get(location).filter(|other| **other != i);
                assert_eq!(other, None, "{workload}: #{i} reads {location:?}");
            }
        }
    }
}

#[test]
fn hot_transactions_form_one_chain() {
    for workload in Workload::ALL.into_iter().filter(|workload| *workload != Workload::Mixed) {
        let traces = trace(&block(workload, MANY, 1.0));
        for (i, pair) in traces.windows(2).enumerate() {
            let linked = pair[1].touched.iter().any(|location| pair[0].written.contains(location));
            assert!(linked, "{workload}: #{} does not depend on #{i}", i + 1);
        }
    }
}

#[test]
fn the_hot_ratio_is_the_share_of_dependent_transactions() {
    for workload in Workload::ALL.into_iter().filter(|workload| *workload != Workload::Mixed) {
        let traces = trace(&block(workload, 100, 0.3));
        let mut written = HashSet::new();
        let mut dependent = 0;
        for trace in &traces {
            dependent += usize::from(!written.is_disjoint(&trace.touched));
            written.extend(&trace.written);
        }
        // The first hot transaction depends on nobody.
        assert_eq!(dependent, 29, "{workload}");
    }
}

#[test]
fn the_same_seed_gives_the_same_block() {
    for workload in Workload::ALL {
        let (a, b) = (block(workload, 20, 0.5), block(workload, 20, 0.5));
        assert_eq!(a.transactions, b.transactions, "{workload}");
        assert_eq!(a.pre_state, b.pre_state, "{workload}");
        assert_eq!(a.header, b.header, "{workload}");
        let spec = BlockSpec { transactions: 20, hot_ratio: 0.5, seed: 2, rules: Rules::Osaka };
        let other = generate(workload, &spec).unwrap();
        assert_ne!(a.transactions, other.transactions, "{workload}");
    }
}

#[test]
fn signatures_recover_to_the_senders() {
    let block = block(Workload::Mixed, 60, 0.5);
    let types: HashSet<u8> = block.transactions.iter().map(|tx| tx.tx_type() as u8).collect();
    assert_eq!(types, HashSet::from([0, 1, 2]));
    for (tx, sender) in block.transactions.iter().zip(&block.senders) {
        assert_eq!(tx.recover_signer().unwrap(), *sender);
    }
}

#[test]
fn transactions_emit_what_the_contracts_promise() {
    let expected = [
        (Workload::Transfers, vec![]),
        (Workload::Erc20, vec!["Transfer(address,address,uint256)"]),
        (
            Workload::Dex,
            vec![
                "Transfer(address,address,uint256)",
                "Sync(uint112,uint112)",
                "Swap(address,uint256,uint256,uint256,uint256,address)",
            ],
        ),
        (
            Workload::DexTicks,
            vec![
                "Transfer(address,address,uint256)",
                "Swap(address,address,int256,int256,uint160,uint128,int24)",
            ],
        ),
        (
            Workload::Lending,
            vec![
                "Transfer(address,address,uint256)",
                "Accrued(uint256,uint256,uint256)",
                "Deposited(address,uint256,uint256)",
                "Borrowed(address,uint256,uint256,uint256)",
                "Repaid(address,address,uint256,uint256)",
                "Liquidated(address,address,uint256,uint256)",
            ],
        ),
        (Workload::Nft, vec!["Transfer(address,address,uint256)"]),
        (
            Workload::Items,
            vec![
                "TransferBatch(address,address,address,uint256[],uint256[])",
                "TransferSingle(address,address,address,uint256,uint256)",
            ],
        ),
        (
            Workload::Votes,
            vec![
                "DelegateChanged(address,address,address)",
                "VoteCast(address,uint256,uint8,uint256,string)",
                "QuorumReached(uint256,uint256)",
            ],
        ),
        (
            Workload::Custody,
            vec![
                "HandedOver(uint256,address,address,bytes32,uint32)",
                "Inspected(uint256,address,int16)",
                "ColdChainBroken(uint256,int16)",
            ],
        ),
        (Workload::Metering, vec!["Reported(uint256,uint256,uint256,uint256,bytes32)"]),
        (
            Workload::Subscriptions,
            vec![
                "ToppedUp(address,uint256)",
                "Used(address,uint64,uint256)",
                "PeriodStarted(address,uint64)",
            ],
        ),
        (Workload::Counter, vec![]),
    ];
    for (workload, events) in expected {
        let traces = trace(&block(workload, MANY, 0.5));
        let logs = traces.iter().flat_map(|trace| &trace.logs);
        let emitted: HashSet<B256> = logs.map(|log| log.topics()[0]).collect();
        let events: HashSet<B256> = events.into_iter().map(keccak256).collect();
        assert_eq!(emitted, events, "{workload}");
    }
}

#[test]
fn work_before_the_counter_costs_20k_gas() {
    let gas = |workload| trace(&block(workload, 1, 1.0))[0].gas_used;
    let work = gas(Workload::CounterWork) - gas(Workload::Counter);
    assert!((19_000..=21_000).contains(&work), "{work}");
}

/// The data words of a tick pool's `Swap` event: amount0, amount1, sqrtPrice, liquidity, tick.
fn tick_swaps(hot_ratio: f64) -> Vec<[U256; 5]> {
    let swap = keccak256("Swap(address,address,int256,int256,uint160,uint128,int24)");
    let traces = trace(&block(Workload::DexTicks, MANY, hot_ratio));
    let logs = traces.iter().flat_map(|trace| &trace.logs);
    let words = logs.filter(|log| log.topics()[0] == swap).map(|log| {
        let mut words = log.data.data.chunks(32).map(U256::from_be_slice);
        [(); 5].map(|()| words.next().unwrap_or_default())
    });
    words.collect()
}

#[test]
fn liquidity_changes_where_swaps_cross_ticks() {
    for hot_ratio in [0.0, 1.0] {
        let swaps = tick_swaps(hot_ratio);
        assert_eq!(swaps.len(), MANY);
        let liquidities: HashSet<_> = swaps.iter().map(|[.., liquidity, _]| liquidity).collect();
        assert!(liquidities.len() > 1, "{hot_ratio}: no tick was crossed");
    }
}

#[test]
fn a_pool_reports_the_tick_of_its_price() {
    for [amount0, _, sqrt_price, _, tick] in tick_swaps(1.0) {
        let sqrt_price = f64::from(sqrt_price) / 96f64.exp2();
        let exact = sqrt_price.ln() * 2.0 / 1.0001f64.ln();
        let tick = f64::from(tick.as_limbs()[0] as i32);
        // A price that stopped on a border belongs to the tick below when it came from above.
        let came_down = amount0 < U256::MAX >> 1;
        let slack = if came_down { 1.0 } else { 0.0 };
        assert!(tick <= exact + 1e-6 && exact < tick + 1.0 + slack, "{exact} in tick {tick}");
    }
}

#[test]
fn a_ratio_that_is_no_share_is_refused() {
    for hot_ratio in [-0.1, 1.1, f64::NAN] {
        let spec = BlockSpec { hot_ratio, ..BlockSpec::default() };
        let error = generate(Workload::Transfers, &spec).unwrap_err();
        assert!(matches!(error, WorkloadError::HotRatio { .. }));
    }
}

#[test]
fn an_empty_block_is_a_block() {
    let block = block(Workload::Mixed, 0, 0.5);
    assert!(block.transactions.is_empty() && trace(&block).is_empty());
}
