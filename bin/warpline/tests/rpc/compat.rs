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
    fs,
    time::{Duration, Instant},
};

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
    let mut failed = Vec::new();
    for case in &cases {
        if let Some(problem) = run(case, &schemas, &mut client) {
            failed.push(format!("{}: {problem}", case.name));
        }
    }
    let report = failed.join("\n");
    println!("{} of {} cases passed", cases.len() - failed.len(), cases.len());
    assert!(failed.is_empty(), "{} of {} cases failed\n{report}", failed.len(), cases.len());
}

/// The method of a request, which need not be the one that the case is about.
fn method(request: &str) -> String {
    let request: Value = serde_json::from_str(request).unwrap_or_default();
    request["method"].as_str().unwrap_or_default().to_owned()
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
            misfit(&schemas[method(request)], &got["result"])
        } else {
            difference(expected, &got)
        };
        problem.map(|problem| {
            let got = got.to_string();
            format!("{problem}\n    {}", got.chars().take(300).collect::<String>())
        })
    })
}
