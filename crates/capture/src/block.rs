//! One block, from the first question to the fixture that has been replayed.

use crate::{
    CaptureError, Client, Fault, Method, RpcFailure, Rules,
    headers::{Ancestor, Headers},
    state::RemoteState,
    wire::{self, Traced, WitnessAnswer},
};
use alloy_primitives::{Address, B256, U64};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU8, Ordering},
};
use warpline_executor::{ParentState, execute_sequential};
use warpline_fixture::BlockFixture;
use warpline_merger::diff_from_bundle;
use warpline_replay::{Checks, Outcome, PreparedBlock, check_body, check_execution};

/// A node, and what has been found out about it.
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    rules: Rules,
    /// The only method to use, if one was chosen.
    method: Option<Method>,
    /// Methods that the node does not have, by their bits.
    missing: AtomicU8,
    headers: Headers,
}

/// A block that has been captured and replayed.
#[derive(Debug)]
pub struct Captured {
    /// The block.
    pub fixture: BlockFixture,
    /// How its state was had.
    pub method: Method,
    /// Whether every account and slot is proven by trie nodes.
    pub proven: bool,
}

impl Endpoint {
    /// Asks a node which chain it serves. `rules` are those of the chain that it must serve,
    /// `method` is the only one to use; by default the node decides both.
    ///
    /// # Errors
    /// No answer, another chain, or one whose rules nobody has said.
    pub fn connect(
        client: Client,
        rules: Option<Rules>,
        method: Option<Method>,
    ) -> Result<Self, Fault> {
        let rules = Rules::of(&client, rules)?;
        let (missing, headers) = (AtomicU8::new(0), Headers::default());
        Ok(Self { client, rules, method, missing, headers })
    }

    /// The rules of the chain.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What asks the node.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The number of the latest block.
    ///
    /// # Errors
    /// No answer.
    pub fn latest(&self) -> Result<u64, Fault> {
        let number: U64 = self.client.call("eth_blockNumber", json!([]))?;
        Ok(number.to())
    }

    /// Captures a block by its number.
    ///
    /// # Errors
    /// What is wrong with the endpoint or its answers.
    pub fn capture(&self, number: u64) -> Result<Captured, CaptureError> {
        self.try_capture(number)
            .map_err(|fault| CaptureError { block: number, fault: Box::new(fault) })
    }

    fn try_capture(&self, number: u64) -> Result<Captured, Fault> {
        if number == 0 {
            return Err(Fault::Genesis);
        }
        let block = wire::fetch_block(&self.client, number, &self.rules)?;
        let parent = self.headers.get(&self.client, block.header.parent_hash)?;
        let mut refusals = Vec::new();
        for method in Method::ALL {
            if self.method.is_some_and(|only| only != method) {
                continue;
            }
            let bit = 1 << method as u8;
            if self.missing.load(Ordering::Relaxed) & bit != 0 {
                continue;
            }
            match self.capture_by(method, block.clone(), parent) {
                Err(fault) if fault.is_refusal() => {
                    if let Fault::Rpc(RpcFailure::Refused { code: -32601, .. }) = &fault {
                        self.missing.fetch_or(bit, Ordering::Relaxed);
                    }
                    refusals.push((method, fault.to_string()));
                }
                done => return done.map_err(|fault| fault.after(&refusals)),
            }
        }
        if let (true, Some(method)) = (refusals.is_empty(), self.method) {
            refusals.push((method, format!("{}: the endpoint does not have it", method.name())));
        }
        Err(Fault::NoMethod(refusals))
    }

    fn capture_by(
        &self,
        method: Method,
        block: BlockFixture,
        parent: Ancestor,
    ) -> Result<Captured, Fault> {
        let hash = block.hash.unwrap_or_default();
        let state = RemoteState::new(&self.client, &self.headers, parent);
        match method {
            Method::Witness => {
                let number = wire::quantity(block.header.number);
                let answer: WitnessAnswer = self.client.call(method.name(), json!([number]))?;
                state.take_witness(method.name(), &answer.state, answer.codes)?;
            }
            Method::Prestate => {
                let tracer = json!({ "tracer": "prestateTracer" });
                let traced: Vec<Traced> = self.client.call(method.name(), json!([hash, tracer]))?;
                state.prefetch(&touched(traced))?;
            }
            Method::Proof => {}
        }
        self.finish(method, block, state)
    }

    /// Executes the block on a state that completes itself, makes the fixture, and replays that.
    fn finish(
        &self,
        method: Method,
        block: BlockFixture,
        state: RemoteState<'_>,
    ) -> Result<Captured, Fault> {
        let mut fixture = block.clone();
        let prepared = PreparedBlock::new("", block, None)?;
        failed(&check_body(&prepared))?;
        let executed = execute(&prepared, &state);
        if let Some(fault) = state.take_fault() {
            return Err(fault);
        }
        executed?;
        fixture.pre_state = state.into_pre_state()?;
        let proven = fixture.pre_state.witness().is_some();
        let source = if proven { "proven" } else { "as claimed" };
        fixture.manifest.source =
            format!("{} ({}, {source})", fixture.manifest.source, method.name());
        let fixture = BlockFixture::from_json(&fixture.to_json()?, "")?;
        verify(fixture.clone())?;
        Ok(Captured { fixture, method, proven })
    }
}

/// Replays a fixture in order and holds it against its header.
///
/// # Errors
/// It cannot be executed, or a check fails.
pub fn verify(fixture: BlockFixture) -> Result<(), Fault> {
    let prepared = PreparedBlock::new("", fixture, None)?;
    failed(&check_body(&prepared))?;
    failed(&execute(&prepared, &prepared.pre_state)?)
}

/// Executes a block in order on a state.
fn execute(prepared: &PreparedBlock, state: &impl ParentState) -> Result<Checks, Fault> {
    let output = execute_sequential(prepared.factory(), prepared.input(), state);
    let output = output.map_err(|error| Fault::Execution(error.to_string()))?;
    Ok(check_execution(prepared, &output.result, &diff_from_bundle(&output.bundle)))
}

/// The checks that fail, if any does.
fn failed(checks: &Checks) -> Result<(), Fault> {
    let words = checks.iter().filter_map(|(check, outcome)| match outcome {
        Outcome::Failed { expected, actual } => {
            Some(format!("{check:?}: the header says {expected}, the replay gives {actual}"))
        }
        _ => None,
    });
    let words: Vec<String> = words.collect();
    match words.is_empty() {
        true => Ok(()),
        false => Err(Fault::Checks(words.join("; "))),
    }
}

/// Accounts and slots that transactions read.
fn touched(traced: Vec<Traced>) -> BTreeMap<Address, BTreeSet<B256>> {
    let mut touched = BTreeMap::<Address, BTreeSet<B256>>::new();
    for (address, account) in traced.into_iter().flat_map(|transaction| transaction.result) {
        touched.entry(address).or_default().extend(account.storage.into_keys());
    }
    touched
}
