//! RLP tests: what a value's encoding is, and which bytes encode nothing.

use alloy_primitives::{Bytes, U512, hex};
use alloy_rlp::{Encodable, Header};
use serde_json::Value;

/// Nothing of Ethereum nests lists as deeply.
const MAX_DEPTH: usize = 1024;

/// One fixture.
#[derive(Debug)]
pub(crate) struct RlpTest {
    input: Input,
    output: Vec<u8>,
}

/// What the bytes stand for.
#[derive(Debug)]
enum Input {
    Item(Item),
    /// Something, the test does not say what.
    Valid,
    Invalid,
}

/// What RLP encodes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    String(Bytes),
    List(Vec<Self>),
}

impl RlpTest {
    pub(crate) fn new(input: &Value, output: &str) -> Result<Self, String> {
        let input = match input.as_str() {
            Some("VALID") => Input::Valid,
            Some("INVALID") => Input::Invalid,
            _ => Input::Item(Item::from_json(input)?),
        };
        let output = hex::decode(output).map_err(|error| format!("`out`: {error}"))?;
        Ok(Self { input, output })
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        let decoded = Item::decode_exact(&self.output);
        let reencoded = decoded.as_ref().map(alloy_rlp::encode);
        if let (Ok(bytes), Input::Item(_) | Input::Valid) = (&reencoded, &self.input)
            && *bytes != self.output
        {
            return Err(format!("encoded again: {}", hex::encode(bytes)));
        }
        match (&self.input, decoded) {
            (Input::Invalid, Err(_)) | (Input::Valid, Ok(_)) => Ok(()),
            (Input::Invalid, Ok(_)) => Err("expected an error, but it decodes".into()),
            (Input::Item(item), Ok(decoded)) if *item == decoded => Ok(()),
            (Input::Item(item), Ok(decoded)) => {
                Err(format!("expected {item:?}, decoded {decoded:?}"))
            }
            (_, Err(error)) => Err(format!("expected success, got: {error}")),
        }
    }
}

impl Item {
    /// Text stands for its bytes, a number or `#` and decimal digits for a big-endian integer.
    fn from_json(json: &Value) -> Result<Self, String> {
        let problem = || format!("`in`: {json} has no RLP encoding");
        match json {
            Value::String(text) => match text.strip_prefix('#') {
                Some(digits) => Self::integer(digits).ok_or_else(problem),
                None => Ok(Self::String(text.clone().into_bytes().into())),
            },
            Value::Number(number) => Self::integer(&number.to_string()).ok_or_else(problem),
            Value::Array(items) => {
                items.iter().map(Self::from_json).collect::<Result<_, _>>().map(Self::List)
            }
            _ => Err(problem()),
        }
    }

    fn integer(decimal: &str) -> Option<Self> {
        let value = U512::from_str_radix(decimal, 10).ok()?;
        Some(Self::String(value.to_be_bytes_trimmed_vec().into()))
    }

    fn decode_exact(mut bytes: &[u8]) -> alloy_rlp::Result<Self> {
        let item = Self::decode(&mut bytes, 0)?;
        match bytes.is_empty() {
            true => Ok(item),
            false => Err(alloy_rlp::Error::UnexpectedLength),
        }
    }

    fn decode(bytes: &mut &[u8], depth: usize) -> alloy_rlp::Result<Self> {
        if depth > MAX_DEPTH {
            return Err(alloy_rlp::Error::Custom("lists nested too deeply"));
        }
        let header = Header::decode(bytes)?;
        let (mut payload, rest) =
            bytes.split_at_checked(header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
        *bytes = rest;
        if !header.list {
            return Ok(Self::String(Bytes::copy_from_slice(payload)));
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload, depth + 1)?);
        }
        Ok(Self::List(items))
    }
}

impl Encodable for Item {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        match self {
            Self::String(bytes) => bytes.encode(out),
            Self::List(items) => items.encode(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: Value, output: &str) -> Result<(), String> {
        RlpTest::new(&input, output)?.run()
    }

    /// An empty list in a list in a list, in hexadecimal.
    fn deeply_nested(depth: usize) -> String {
        let mut reversed = Vec::new();
        for _ in 0..depth {
            let mut header = Vec::new();
            Header { list: true, payload_length: reversed.len() }.encode(&mut header);
            reversed.extend(header.into_iter().rev());
        }
        reversed.reverse();
        hex::encode(reversed)
    }

    #[test]
    fn values_have_one_encoding() {
        let nested = serde_json::json!(["dog", [1024, "#256"], 0]);
        assert_eq!(run(nested, "cc83646f67c682040082010080"), Ok(()));
        assert!(run(serde_json::json!("dog"), "83646f68").is_err());
        assert!(run(serde_json::json!({}), "80").is_err());
        assert!(run(serde_json::json!("VALID"), "8100").is_err());
        assert_eq!(run(serde_json::json!("INVALID"), "8100"), Ok(()));
        assert!(run(serde_json::json!("INVALID"), "80").is_err());
        assert_eq!(run(serde_json::json!("INVALID"), "8080"), Ok(()));
        let deep = deeply_nested(100_000);
        assert!(run(serde_json::json!("VALID"), &deep).unwrap_err().contains("too deeply"));
    }
}
