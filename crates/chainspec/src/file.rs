//! Genesis files, as geth takes them.

use crate::ChainSpecError;
use alloy_genesis::Genesis;
use alloy_primitives::U256;
use std::path::Path;

/// What no chain can be without, as geth has it: what stands in for them would be another chain.
const REQUIRED: [(&str, &str); 4] = [
    ("/config/chainId", "config.chainId"),
    ("/gasLimit", "gasLimit"),
    ("/difficulty", "difficulty"),
    ("/alloc", "alloc"),
];

/// Reads a genesis file in geth's format.
///
/// # Errors
/// The file cannot be read, or is something else: where, and what is wrong there.
pub fn read_genesis(path: &Path) -> Result<Genesis, ChainSpecError> {
    let text = std::fs::read(path)
        .map_err(|source| ChainSpecError::Read { path: path.to_owned(), source })?;
    let parse = |source| ChainSpecError::Parse { path: path.to_owned(), source };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(parse)?;
    for (field, name) in REQUIRED {
        if value.pointer(field).is_none() {
            return Err(ChainSpecError::MissingField { path: path.to_owned(), name });
        }
    }
    if let Some(gas_used) = value.get("gasUsed").filter(|gas_used| !is_zero(gas_used)) {
        let (path, value) = (path.to_owned(), gas_used.to_string());
        return Err(ChainSpecError::OnlyZero { path, name: "gasUsed", value });
    }
    serde_json::from_slice(&with_long_numbers_quoted(&text)).map_err(parse)
}

/// Whether a quantity is zero or not there, in any way to write it.
fn is_zero(quantity: &serde_json::Value) -> bool {
    match quantity {
        serde_json::Value::Null => true,
        serde_json::Value::String(text) => text.parse() == Ok(U256::ZERO),
        other => other.as_u64() == Some(0),
    }
}

/// The same JSON with whole numbers beyond 64 bits as strings: geth takes balances and difficulties
/// as numbers of any length, which a JSON number of ours would round.
fn with_long_numbers_quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let (token, is_long) = match first {
            b'"' => (string_len(rest), false),
            b'-' | b'0'..=b'9' => {
                let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let len = rest.iter().take_while(|byte| number(byte)).count();
                (len, exceeds_64_bits(&rest[..len]))
            }
            _ => (1, false),
        };
        let (token, after) = rest.split_at(token);
        if is_long {
            quoted.extend([b"\"", token, b"\""].concat());
        } else {
            quoted.extend(token);
        }
        rest = after;
    }
    quoted
}

/// Whether a number is a whole one that no `u64` holds.
fn exceeds_64_bits(number: &[u8]) -> bool {
    let is_whole = number.iter().all(u8::is_ascii_digit);
    is_whole && str::from_utf8(number).is_ok_and(|number| number.parse::<u64>().is_err())
}

/// The bytes of the string that a text begins with, both quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChainSpec;
    use alloy_primitives::Address;

    fn read(text: &str) -> Result<Genesis, ChainSpecError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        std::fs::write(&path, text).unwrap();
        read_genesis(&path)
    }

    #[test]
    fn genesis_files_are_read_and_errors_name_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("genesis.json");
        let name = path.to_str().unwrap();
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            ChainSpec::by_name_or_path(name).unwrap_err().to_string()
        };
        let missing = error("{ \"alloc\": {} }");
        assert!(missing.contains(name) && missing.contains("config.chainId"), "{missing}");
        let missing = error("{ \"config\": { \"chainId\": 5 }, \"alloc\": {} }");
        assert!(missing.contains(name) && missing.contains("`gasLimit`"), "{missing}");
        let broken = error("{ \"config\": ");
        assert!(broken.contains(name) && broken.contains("line 1"), "{broken}");
        assert!(matches!(
            ChainSpec::from_genesis_file(&dir.path().join("absent.json")),
            Err(ChainSpecError::Read { .. })
        ));
        let least =
            r#"{ "config": { "chainId": 5 }, "gasLimit": 1, "difficulty": 0, "alloc": {} }"#;
        std::fs::write(&path, least).unwrap();
        assert_eq!(ChainSpec::by_name_or_path(name).unwrap().chain_id(), 5);
    }

    #[test]
    fn numbers_may_have_any_length() {
        let genesis = read(
            r#"{ "config": { "chainId": 18446744073709551615, "note": "a \" 123456789012345678901 \\",
                 "terminalTotalDifficulty": 115792089237316195423570985008687907853269984665640564039457584007913129639935 },
                 "gasLimit": 30000000, "difficulty": 100000000000000000001,
                 "alloc": { "00000000000000000000000000000000000000aa":
                     { "balance": 123456789012345678901234567890, "nonce": 18446744073709551615 } } }"#,
        )
        .unwrap();
        assert_eq!(genesis.config.chain_id, u64::MAX);
        assert_eq!(genesis.config.terminal_total_difficulty, Some(U256::MAX));
        assert_eq!(genesis.difficulty, U256::from(100_000_000_000_000_000_001_u128));
        let account = &genesis.alloc[&Address::with_last_byte(0xaa)];
        assert_eq!(account.balance, U256::from(123_456_789_012_345_678_901_234_567_890_u128));
        assert_eq!(account.nonce, Some(u64::MAX));
        let note = genesis.config.extra_fields.get("note").and_then(|note| note.as_str());
        assert_eq!(note, Some("a \" 123456789012345678901 \\"));
    }

    #[test]
    fn gas_that_the_first_block_would_have_used_is_refused() {
        let with = |gas_used: &str| {
            let text = format!(
                r#"{{ "config": {{ "chainId": 5 }}, "gasLimit": 1, "difficulty": 0, "alloc": {{}},
                     "gasUsed": {gas_used} }}"#
            );
            read(&text).map_err(|error| error.to_string())
        };
        for none in ["0", "null", "\"0x0\"", "\"0\""] {
            assert_eq!(with(none).map(|genesis| genesis.gas_limit), Ok(1), "{none}");
        }
        for some in ["5", "\"0x5\"", "\"five\"", "[]"] {
            let error = with(some).unwrap_err();
            let said = format!("genesis.json: `gasUsed` is {some}, ");
            assert!(error.contains(&said), "{error}");
        }
    }

    #[test]
    fn what_is_no_whole_number_stays_an_error_that_names_the_place() {
        for balance in ["1.5", "-12345678901234567890123", "1e30", "12345678901234567890x"] {
            let alloc = format!("\"0x{}\": {{ \"balance\": {balance} }}", "aa".repeat(20));
            let text = format!(
                r#"{{ "config": {{ "chainId": 5 }}, "gasLimit": 1, "difficulty": 0, "alloc": {{ {alloc} }} }}"#
            );
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("not a genesis file") && error.contains("line 1"), "{error}");
        }
    }
}
