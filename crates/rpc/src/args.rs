//! Parameters of a request, by position, with names for error messages.

use crate::RpcError;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The parameters that have not been asked for yet.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    rest: std::vec::IntoIter<&'a RawValue>,
    taken: usize,
    most: usize,
}

impl<'a> Args<'a> {
    /// From the text of the parameters: a list of at most so many, or nothing. What is `null` at
    /// the end of it, where JavaScript had nothing to say, is not counted.
    pub(crate) fn parse(params: Option<&'a str>, most: usize) -> Result<Self, RpcError> {
        let mut list: Vec<&RawValue> = match params.map(str::trim) {
            None | Some("" | "null") => Vec::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| RpcError::invalid_params("non-array args"))?,
        };
        while list.last().is_some_and(|raw| raw.get() == "null") {
            list.pop();
        }
        if list.len() > most {
            let words = format!("too many arguments, want at most {most}");
            return Err(RpcError::invalid_params(words));
        }
        Ok(Self { rest: list.into_iter(), taken: 0, most })
    }

    /// The next parameter, which has to be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, RpcError> {
        let at = self.taken;
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => {
                let words = format!("missing value for required argument {at} ({name})");
                Err(RpcError::invalid_params(words))
            }
        }
    }

    /// The next parameter; none where it is absent or `null`.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        let at = self.taken;
        debug_assert!(at < self.most, "{name} is parameter {at} of {}", self.most);
        self.taken += 1;
        let Some(raw) = self.rest.next().filter(|raw| raw.get() != "null") else {
            return Ok(None);
        };
        let read = serde_json::from_str(raw.get()).map(Some);
        read.map_err(|error| {
            let words = format!("invalid argument {at} ({name}): {}", in_words(&error));
            RpcError::invalid_params(words)
        })
    }
}

/// What is wrong with a value, without what only this program's source explains: names of types,
/// and positions in a text that is a part of what the caller has sent.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let words = error.to_string();
    let mut words = words.strip_suffix(&position).unwrap_or(&words).to_owned();
    for kind in ["tuple struct ", "unit struct ", "newtype struct ", "struct "] {
        words = without_name(&words, kind, "an object");
    }
    words = without_name(&words, "any variant of untagged enum ", "anything that can be meant");
    // What other formats than JSON would take too.
    words = words.replace(", an array of u8, or raw bytes", "");
    let number = ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f64"]
        .iter()
        .find_map(|kind| words.strip_suffix(kind)?.strip_suffix("expected "));
    number.map(|before| format!("{before}expected a number")).unwrap_or(words)
}

/// Puts `instead` for a kind of type and its name.
fn without_name(words: &str, kind: &str, instead: &str) -> String {
    let Some((before, after)) = words.split_once(kind) else { return words.to_owned() };
    let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
    format!("{before}{instead}{}", &after[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use alloy_rpc_types_eth::TransactionRequest;
    use serde::Deserialize;

    #[test]
    fn a_parameter_too_many_is_refused_and_nulls_at_the_end_are_none() {
        let count = |text, most| Args::parse(Some(text), most).map(|args| args.rest.len());
        assert_eq!(count("[1, null, 3]", 3), Ok(3));
        assert_eq!(count("[1, null, null, null]", 1), Ok(1));
        assert_eq!(count("[null]", 0), Ok(0));
        let refused = count("[1, 2]", 1).unwrap_err();
        let words = "too many arguments, want at most 1";
        assert_eq!((refused.code, refused.message.as_str()), (-32602, words));
        assert!(count("{}", 9).is_err() && count("7", 9).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_rust_and_positions() {
        #[derive(Debug, Deserialize)]
        #[serde(untagged)]
        enum Either {
            _Nothing(()),
        }
        fn words<T: DeserializeOwned>(text: &str) -> String {
            let mut args = Args::parse(Some(text), 1).unwrap();
            args.required::<T>("it").map(drop).unwrap_err().message
        }
        let transaction = words::<TransactionRequest>("[[7]]");
        assert!(transaction.starts_with("invalid argument 0 (it): invalid type"), "{transaction}");
        for words in [transaction, words::<TransactionRequest>("[5]"), words::<Either>("[true]")] {
            for leak in ["struct", "enum", "Request", "Either", "line", "column"] {
                assert!(!words.contains(leak), "{words}");
            }
        }
        assert_eq!(
            words::<Address>("[7]"),
            "invalid argument 0 (it): invalid type: integer `7`, expected 20 bytes, represented as \
             a hex string of length 40"
        );
        assert_eq!(
            words::<u64>("[\"7\"]"),
            "invalid argument 0 (it): invalid type: string \"7\", expected a number"
        );
        assert_eq!(
            words::<bool>("[1]"),
            "invalid argument 0 (it): invalid type: integer `1`, expected a boolean"
        );
    }
}
