//! One fixture file: which tests it holds, and of which kind.

use crate::{
    block_test::{BlockJson, BlockTest},
    difficulty_test::{self, DifficultyTest},
    engine_test::{EngineTest, PayloadJson},
    json::{Accounts, ConfigJson, Dropped, HeaderJson, unique},
    network,
    rlp_test::RlpTest,
    source::{Document, SourceError},
    state_test::{EnvJson, PostJson, StateTest, TransactionJson},
    trie_test::TrieTest,
    tx_test::TxTest,
};
use alloy_consensus::{Block, Header};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};
use warpline_executor::EthTransaction;

/// One test, of a kind that we run or not.
#[derive(Debug)]
pub(crate) enum Test {
    State(Box<StateTest>),
    Block(Box<BlockTest>),
    Engine(Box<EngineTest>),
    Tx(TxTest),
    Rlp(RlpTest),
    Trie(TrieTest),
    /// One case on a network.
    Difficulty(String, DifficultyTest),
    /// Of another kind: keys, signatures, an index, …
    Other,
}

impl Test {
    /// More gas than any of its transactions can use.
    pub(crate) fn gas_limit(&self) -> u64 {
        match self {
            Self::State(test) => test.transaction.max_gas_limit(),
            Self::Block(test) => test.genesis.gas_limit,
            Self::Engine(test) => test.genesis.gas_limit,
            _ => 0,
        }
    }

    /// Whether headers have slot numbers (EIP-7843), which no fork that we run has.
    pub(crate) fn has_slot_numbers(&self) -> bool {
        match self {
            Self::Block(test) => test.has_slot_numbers(),
            Self::Engine(test) => test.has_slot_numbers(),
            _ => false,
        }
    }
}

/// The tests of a file by name.
pub(crate) fn parse(document: &Document) -> Result<Vec<(String, Test)>, SourceError> {
    let mut json = serde_json::Deserializer::from_slice(&document.json);
    let tests = serde_path_to_error::deserialize::<_, Tests>(&mut json).map_err(|error| {
        let place = match error.path().iter().next() {
            None => String::new(),
            Some(_) => format!("at `{}`: ", error.path()),
        };
        SourceError::new(&document.name, format!("{place}{}", error.into_inner()))
    })?;
    json.end().map_err(|error| SourceError::new(&document.name, error))?;
    let mut known = Vec::with_capacity(tests.0.len());
    for (name, fields) in tests.0 {
        let problem =
            |problem: String| SourceError::new(&document.name, format!("at `{name}`: {problem}"));
        if !fields.difficulties.is_empty() {
            known.extend(fields.into_difficulty_tests(&name).map_err(problem)?);
            continue;
        }
        let test = fields.into_test(&document.name).map_err(problem)?;
        known.push((name, test));
    }
    Ok(known)
}

/// The file: tests by name, or something else altogether.
struct Tests(Vec<(String, Fields)>);

impl<'de> Deserialize<'de> for Tests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByName;

        impl<'de> Visitor<'de> for ByName {
            type Value = Tests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tests, A::Error> {
                let (mut tests, mut names) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!("duplicate test `{name}`")));
                    }
                    tests.push((name, map.next_value::<Fields>()?));
                }
                Ok(Tests(tests))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Tests, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Tests(vec![(String::new(), Fields::default())]))
            }
        }
        deserializer.deserialize_any(ByName)
    }
}

/// All fields that a test of any kind we know may have.
#[derive(Default)]
struct Fields {
    env: Option<EnvJson>,
    pre: Option<Accounts>,
    post: Option<BTreeMap<String, Vec<PostJson>>>,
    transaction: Option<TransactionJson>,
    config: Option<ConfigJson>,
    network: Option<String>,
    genesis_header: Option<HeaderJson>,
    genesis_rlp: Option<Bytes>,
    blocks: Option<Vec<BlockJson>>,
    payloads: Option<Vec<PayloadJson>>,
    last_block_hash: Option<B256>,
    post_state: Option<Accounts>,
    post_state_hash: Option<B256>,
    tx_bytes: Option<Bytes>,
    result: Option<Value>,
    input: Option<Value>,
    output: Option<Value>,
    root: Option<B256>,
    difficulty: serde_json::Map<String, Value>,
    /// By fork and name.
    difficulties: BTreeMap<String, BTreeMap<String, DifficultyTest>>,
    info: Info,
    /// What is wrong with the set of fields: one that nobody knows, or one that is there twice.
    problem: Option<String>,
    /// Of a kind that is none of ours for all that it shares with them.
    foreign: bool,
}

/// What is expected under each fork.
#[derive(Deserialize)]
struct Post(#[serde(deserialize_with = "unique")] BTreeMap<String, Vec<PostJson>>);

/// What a fixture says of itself. Only who filled it matters.
#[derive(Debug, Default, Deserialize)]
struct Info {
    #[serde(rename = "fixture-format", alias = "fixture_format")]
    format: Option<Dropped>,
}

impl Fields {
    /// A file with two kinds' worth of fields, or one kind's and a field nobody knows, is not
    /// what it seems.
    fn into_test(self, file: &str) -> Result<Test, String> {
        if self.foreign {
            return Ok(Test::Other);
        }
        let ours = self.post.is_some() || self.blocks.is_some() || self.payloads.is_some();
        if !ours {
            return self.into_basic_test(file);
        }
        self.check()?;
        let need = |field: &str| format!("missing field `{field}`");
        let pre = self.pre.ok_or_else(|| need("pre"))?;
        let config = self.config.unwrap_or_default();
        if let Some(post) = self.post {
            let env = self.env.ok_or_else(|| need("env"))?;
            let transaction = self.transaction.ok_or_else(|| need("transaction"))?;
            let touches_beneficiary = self.info.format.is_none();
            let test = StateTest { env, pre, transaction, config, post, touches_beneficiary };
            return Ok(Test::State(Box::new(test)));
        }
        let network = self.network.ok_or_else(|| need("network"))?;
        let last_block_hash = self.last_block_hash.ok_or_else(|| need("lastblockhash"))?;
        let genesis = match (self.genesis_rlp, self.genesis_header) {
            (Some(rlp), _) => decode_genesis(&rlp)?,
            (None, Some(header)) => header.into_header(),
            (None, None) => return Err(need("genesisBlockHeader")),
        };
        let end = crate::block_test::End {
            last_block_hash,
            post_state: self.post_state,
            post_state_hash: self.post_state_hash,
        };
        if let Some(blocks) = self.blocks {
            let test = BlockTest { network, config, pre, genesis, blocks, end };
            return Ok(Test::Block(Box::new(test)));
        }
        let payloads = self.payloads.unwrap_or_default();
        Ok(Test::Engine(Box::new(EngineTest { network, config, pre, genesis, payloads, end })))
    }
}

impl Fields {
    fn check(&self) -> Result<(), String> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    /// A test that takes no chain and no state.
    fn into_basic_test(self, file: &str) -> Result<Test, String> {
        let ours = self.tx_bytes.is_some() || self.root.is_some() || !self.difficulty.is_empty();
        if ours {
            self.check()?;
        }
        let test = match self {
            Self { tx_bytes: Some(bytes), result: Some(result), .. } => {
                let result = serde_path_to_error::deserialize(result);
                let result = result
                    .map_err(|error| format!("`result.{}`: {}", error.path(), error.inner()))?;
                Test::Tx(TxTest { bytes, result })
            }
            Self { input: Some(input), root: Some(root), .. } => {
                Test::Trie(TrieTest::new(file, &input, root)?)
            }
            Self {
                input: Some(input), output: Some(Value::String(output)), problem: None, ..
            } => Test::Rlp(RlpTest::new(&input, &output)?),
            Self { difficulty, .. } if !difficulty.is_empty() => {
                let Some(network) = difficulty_test::network_of(file) else {
                    return Ok(Test::Other);
                };
                let test = DifficultyTest::deserialize(Value::Object(difficulty));
                Test::Difficulty(network.to_owned(), test.map_err(|error| error.to_string())?)
            }
            _ => return Ok(Test::Other),
        };
        Ok(test)
    }

    /// The cases of a test that lists them by fork.
    fn into_difficulty_tests(self, name: &str) -> Result<Vec<(String, Test)>, String> {
        self.check()?;
        let of_fork = |(fork, cases): (String, BTreeMap<String, DifficultyTest>)| {
            cases.into_iter().map(move |(case, test)| {
                (format!("{name} {case}"), Test::Difficulty(fork.clone(), test))
            })
        };
        Ok(self.difficulties.into_iter().flat_map(of_fork).collect())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

fn decode_genesis(rlp: &[u8]) -> Result<Header, String> {
    let block = Block::<EthTransaction>::decode(&mut &rlp[..]);
    block.map(|block| block.header).map_err(|error| format!("`genesisRLP`: {error}"))
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a test")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let (mut fields, mut keys) = (Fields::default(), HashSet::new());
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key.clone()) {
                fields.problem.get_or_insert_with(|| format!("duplicate field `{key}`"));
            }
            match key.as_str() {
                "env" => fields.env = Some(map.next_value()?),
                "pre" => fields.pre = Some(map.next_value()?),
                "post" => fields.post = Some(map.next_value::<Post>()?.0),
                "transaction" => fields.transaction = Some(map.next_value()?),
                "config" => fields.config = Some(map.next_value()?),
                "network" => fields.network = Some(map.next_value()?),
                "genesisBlockHeader" => fields.genesis_header = Some(map.next_value()?),
                "genesisRLP" => fields.genesis_rlp = Some(map.next_value()?),
                "blocks" => fields.blocks = Some(map.next_value()?),
                "engineNewPayloads" => fields.payloads = Some(map.next_value()?),
                "lastblockhash" => fields.last_block_hash = Some(map.next_value()?),
                "postState" => fields.post_state = Some(map.next_value()?),
                "postStateHash" => fields.post_state_hash = Some(map.next_value()?),
                "txbytes" => fields.tx_bytes = Some(map.next_value()?),
                "result" => fields.result = Some(map.next_value()?),
                "in" => fields.input = Some(map.next_value()?),
                "out" => fields.output = Some(map.next_value()?),
                "root" => fields.root = Some(map.next_value()?),
                "parentTimestamp" | "parentDifficulty" | "parentUncles" | "currentTimestamp"
                | "currentBlockNumber" | "currentDifficulty" => {
                    fields.difficulty.insert(key, map.next_value()?);
                }
                fork if network::is_fork(fork) => {
                    fields.difficulties.insert(key, map.next_value()?);
                }
                "_info" => fields.info = map.next_value()?,
                // What is hexadecimal says so itself.
                "sealEngine" | "hexEncoded" => {
                    map.next_value::<Dropped>()?;
                }
                // `blockchain_test_sync` and `blockchain_test_engine_x`.
                "syncPayload" | "preHash" | "postStateDiff" => {
                    map.next_value::<IgnoredAny>()?;
                    fields.foreign = true;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    fields.problem.get_or_insert_with(|| format!("unknown field `{key}`"));
                }
            }
        }
        Ok(fields)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields::default())
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(json: &str) -> Result<Vec<(String, Test)>, SourceError> {
        parse(&Document { name: "f.json".into(), json: json.as_bytes().to_vec() })
    }

    #[test]
    fn other_kinds_are_passed_over() {
        for json in [
            r#"{"a": {"in": ["cat"], "tests": [["", "", "cat"]]}}"#,
            r#"{"difficulty": {"parentTimestamp": "1"}}"#,
            r#"[1, {"a": 2}]"#,
            r#"{"a": "text", "b": 1, "c": null, "d": [true]}"#,
            r#"{"a": {"engineNewPayloads": [], "syncPayload": {}}}"#,
            r#"{"a": {"preHash": "0x00", "postStateDiff": {}, "engineNewPayloads": []}}"#,
        ] {
            let tests = parse_text(json).unwrap();
            assert!(tests.iter().all(|(_, test)| matches!(test, Test::Other)), "{json}");
        }
    }

    #[test]
    fn errors_name_file_and_place() {
        let cases = [
            (r#"{"a": {"#, "EOF"),
            ("nonsense", "f.json: expected"),
            (r#"{"a": {}} x"#, "trailing"),
            (r#"{"a": {"post": {}, "pre": 5}}"#, "`a.pre`"),
            (r#"{"a": {"post": {}}}"#, "missing field `pre`"),
            (r#"{"a": {"blocks": [], "pre": {}, "nonsense": 1}}"#, "unknown field `nonsense`"),
            (r#"{"a": {"blocks": [{"rlp": "0x", "other": 1}]}}"#, "unknown field `other`"),
            (r#"{"a": {"in": {"k": 1}, "root": "0x1"}}"#, "`a.root`"),
            (r#"{"a": {"in": {"k": {}}, "out": "0x80"}}"#, "no RLP encoding"),
            (r#"{"a": {"in": ["dog"], "out": "0xzz"}}"#, "`out`"),
            (r#"{"a": {"txbytes": "0x", "result": {"London": {"x": 1}}}}"#, "`result.London"),
            (r#"{"a": {"London": {"b": {"parentTimestamp": 1}}}}"#, "`a.London.b"),
            (r#"{"a": {"txbytes": "0x", "result": {}, "more": 1}}"#, "unknown field `more`"),
            (r#"{"a": {"post": {}, "pre": {}, "pre": {}}}"#, "duplicate field `pre`"),
            (r#"{"a": {"pre": {"0x1": {}}}}"#, "`a.pre.0x1`"),
            (r#"{"a": {"post": {"London": [], "London": []}}}"#, "duplicate key \"London\""),
            (r#"{"a": {}, "a": {}}"#, "duplicate test `a`"),
        ];
        for (json, expected) in cases {
            let error = parse_text(json).unwrap_err().to_string();
            assert!(error.starts_with("f.json: ") && error.contains(expected), "{json}: {error}");
        }
    }
}
