//! The published conformance cases, all on one node.

use crate::{
    cases::{self, Case},
    client::Client,
    compare::difference,
    node::{Node, import, published},
    schema::misfit,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// Methods that are not there yet. Only gets shorter.
const MISSING: &[&str] = &[
    "eth_sendRawTransaction",
    "testing_buildBlockV1",
    "txpool_content",
    "txpool_contentFrom",
    "txpool_status",
];

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn every_published_case_is_answered_as_recorded() {
    let Some(folder) = published() else {
        eprintln!("SKIPPED: all conformance cases, no folder rpc-compat, set WARPLINE_SHARED");
        return;
    };
    let cases = cases::read(&folder);
    let schemas = fs::read(folder.join("result-schemas.json")).unwrap();
    let schemas: Value = serde_json::from_slice(&schemas).unwrap();
    let dir = tempfile::tempdir().unwrap();
    import(&folder, dir.path());
    let node = Node::start(dir.path(), &[]);
    let mut client = node.client();
    let (mut failed, mut missing, mut passed) = (Vec::new(), BTreeSet::new(), 0);
    for case in &cases {
        let Some(problem) = run(case, &schemas, &mut client) else {
            passed += 1;
            continue;
        };
        if problem.contains("-32601") && MISSING.contains(&case.method()) {
            missing.insert(case.method());
        } else {
            failed.push(format!("{}: {problem}", case.name));
        }
    }
    let report = failed.join("\n");
    println!("{passed} of {} cases passed; missing methods: {missing:?}", cases.len());
    assert!(failed.is_empty(), "{} of {} cases failed\n{report}", failed.len(), cases.len());
    let there: Vec<_> = MISSING.iter().filter(|method| !missing.contains(*method)).collect();
    assert!(there.is_empty(), "not missing any more: {there:?}");
}

/// What is wrong with the answers to a case.
fn run(case: &Case, schemas: &Value, client: &mut Client) -> Option<String> {
    case.exchanges.iter().find_map(|(request, expected)| {
        let start = Instant::now();
        let answer = client.post(request.as_bytes());
        if start.elapsed() > PATIENCE {
            return Some(format!("took {:?}", start.elapsed()));
        }
        let got: Value = match serde_json::from_slice(&answer.body) {
            Ok(got) => got,
            Err(error) => return Some(format!("no JSON: {error}: {answer:?}")),
        };
        let problem = if case.only_schema && got.get("error").is_none() {
            misfit(&schemas[case.method()], &got["result"])
        } else {
            difference(expected, &got)
        };
        problem.map(|problem| {
            let got = got.to_string();
            format!("{problem}\n    {}", got.chars().take(300).collect::<String>())
        })
    })
}
