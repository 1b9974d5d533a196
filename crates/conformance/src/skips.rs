//! The tests that are not expected to pass, each with the reason, from one data file.

use regex::Regex;
use serde::Deserialize;
use std::sync::LazyLock;

/// The data file.
const FILE: &str = include_str!("../skips.json");

/// One entry of the data file. All fields that it gives must match.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SkipJson {
    reason: String,
    /// Regular expression on the file's path.
    file: Option<String>,
    /// Regular expression on the test's name.
    test: Option<String>,
    /// Regular expression on the whole name of the network or fork.
    fork: Option<String>,
    /// Whether headers have slot numbers (EIP-7843).
    slot_numbers: Option<bool>,
    expect: Expect,
}

/// What is known of the tests that an entry matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Expect {
    /// They cannot be run: the rules that they are about exist nowhere.
    NotRunnable,
    /// They fail; one that passes does not belong into the data file.
    Failure,
}

struct Rule {
    json: SkipJson,
    file: Option<Regex>,
    test: Option<Regex>,
    fork: Option<Regex>,
}

/// A test that is not expected to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) reason: &'static str,
    pub(crate) expect: Expect,
}

static RULES: LazyLock<Result<Vec<Rule>, String>> = LazyLock::new(|| parse(FILE));

fn parse(file: &str) -> Result<Vec<Rule>, String> {
    let skips: Vec<SkipJson> = serde_json::from_str(file).map_err(|error| error.to_string())?;
    let regex = |pattern: &Option<String>| {
        pattern.as_deref().map(Regex::new).transpose().map_err(|error| error.to_string())
    };
    let rule = |json: SkipJson| {
        let fork = json.fork.as_ref().map(|pattern| format!("^(?:{pattern})$"));
        Ok(Rule { file: regex(&json.file)?, test: regex(&json.test)?, fork: regex(&fork)?, json })
    };
    skips.into_iter().map(rule).collect()
}

/// Whether a test is not expected to pass.
pub(crate) fn find(file: &str, test: &str, fork: &str, slot_numbers: bool) -> Option<Skip> {
    let rules = RULES.as_deref().unwrap_or_default();
    let matches = |rule: &&Rule| {
        rule.file.as_ref().is_none_or(|regex| regex.is_match(file))
            && rule.test.as_ref().is_none_or(|regex| regex.is_match(test))
            && rule.fork.as_ref().is_none_or(|regex| regex.is_match(fork))
            && rule.json.slot_numbers.is_none_or(|wanted| wanted == slot_numbers)
    };
    let rule = rules.iter().find(matches)?;
    Some(Skip { reason: &rule.json.reason, expect: rule.json.expect })
}

/// What is wrong with the data file, which is part of the program.
pub(crate) fn problem() -> Option<&'static str> {
    RULES.as_ref().err().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_is_sound() {
        assert_eq!(problem(), None);
        assert!(RULES.as_ref().unwrap().iter().all(|rule| {
            let some = rule.file.is_some() || rule.test.is_some() || rule.json.fork.is_some();
            some && rule.json.reason.len() > 20
        }));
    }

    #[test]
    fn a_skip_needs_every_field_to_match() {
        let file = "any.tar.zst:eels/for_amsterdam/x.json";
        for fork in ["Amsterdam", "BPO2ToAmsterdamAtTime15k"] {
            let skip = find(file, "any", fork, true).unwrap();
            assert!(skip.expect == Expect::NotRunnable && skip.reason.contains("devnet"));
            assert_eq!(find(file, "any", fork, false), None);
        }
        assert_eq!(find(file, "any", "Osaka", true), None);
        let skip = |test, fork| find("TransactionTests/x.json", test, fork, false);
        assert!(skip("V_equals38", "London").is_some());
        assert_eq!(skip("V_equals38", "Homestead"), None);
        assert_eq!(skip("V_equals380", "London"), None);
    }
}
